# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Which entries to delete, and the requests that delete exactly these.

A request names its entry by the original tuple, the id and the zone, echoed as the dump gave them. Requests for entries
of one layout differ in a few words only, so that nothing but these words is kept of an entry (20 bytes of an IPv4
connection with ports), and a batch of requests is one template, repeated, with these words put in as columns.
"""

from __future__ import annotations

import array
import struct
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils import _netlink, _uapi, _wire
from ansible_collections.netops.conntrack.plugins.module_utils._errors import UnavailableError

BATCH = 64
"""Requests in one datagram. An error's answer takes 832 bytes of the receive buffer, so a whole batch of them fits."""

_ENCODED = 64 * BATCH
"""So many requests are encoded at once."""

_TYPE_AND_FLAGS, _SEQUENCE = 1, 2  # words of a header


class Batch(t.NamedTuple):
    """Requests in one datagram, numbered from ``first``; only the last one asks for an answer if it succeeds."""

    datagram: memoryview
    first: int
    size: int


class _Store:
    """The entries of one layout that are to be deleted."""

    def __init__(self, layout: _wire.Layout, row: bytes) -> None:
        constant = {at for at, _word in layout.structure}
        start = _netlink.ATTRIBUTES_AT // 4
        self._template = array.array("I", _request(layout, row))
        self._sources = [at for at in layout.identity if at not in constant]
        self._places = [start + position for position, at in enumerate(layout.identity) if at not in constant]
        self._columns = [array.array("I") for _source in self._sources]

    def __len__(self) -> int:
        return len(self._columns[0])

    def add(self, block: _wire.Block) -> None:
        for column, source in zip(self._columns, self._sources):
            column += block.word_column(source)

    def batches(self, sequence: int) -> t.Iterator[Batch]:
        """Give the requests for all entries, numbered from ``sequence``."""
        for start in range(0, len(self), _ENCODED):
            words = self._requests(start, min(_ENCODED, len(self) - start), sequence + start)
            datagrams = memoryview(words).cast("B")
            size = 4 * BATCH * len(self._template)
            for number, at in enumerate(range(0, len(datagrams), size)):
                datagram = datagrams[at : at + size]
                first = sequence + start + number * BATCH
                yield Batch(datagram, first, len(datagram) // (4 * len(self._template)))

    def _requests(self, start: int, number: int, sequence: int) -> array.array[int]:
        """Encode ``number`` requests; the last one of each batch asks for an answer."""
        width = len(self._template)
        words = self._template * number
        for place, column in zip(self._places, self._columns):
            words[place::width] = column[start : start + number]
        words[_SEQUENCE::width] = array.array("I", range(sequence, sequence + number))
        asking = _type_and_flags(_uapi.NLM_F_ACK)
        for last in (*range(BATCH - 1, number, BATCH), number - 1):
            words[last * width + _TYPE_AND_FLAGS] = asking
        return words


def _type_and_flags(flags: int) -> int:
    word: int = struct.unpack("=I", struct.pack("=HH", _uapi.CT_DELETE, _uapi.NLM_F_REQUEST | flags))[0]
    return word


def _request(layout: _wire.Layout, row: bytes) -> bytes:
    """Encode the delete of the entry in the row.

    Without a tuple it would flush the table: raises ValueError. Without an id it could hit another entry in the same
    place: raises UnavailableError.
    """
    identity = layout.identity_of(row)
    _size, kind = struct.unpack_from("=HH", identity.ljust(4, b"\0"))
    if kind & _uapi.NLA_TYPE_MASK != _uapi.CTA_TUPLE_ORIG:
        raise ValueError("a delete must begin with the original tuple of an entry")
    if "id" not in layout.fields:
        raise UnavailableError("The kernel does not tell the ids of entries, so that none can be deleted safely.")
    return _netlink.encode_request(_uapi.CT_DELETE, 0, 0, layout.constants["family"], identity)


Tag = t.TypeVar("Tag", bound=t.Hashable)


class Targets(t.Generic[Tag]):
    """Entries to delete, each with a tag by which the outcome is counted."""

    def __init__(self) -> None:
        self._stores: dict[tuple[_wire.Layout, Tag], _Store] = {}

    def __len__(self) -> int:
        return sum(map(len, self._stores.values()))

    def add(self, block: _wire.Block, tag: Tag) -> None:
        """Add the entries of a block, which must not be empty."""
        key = block.layout, tag
        if key not in self._stores:
            self._stores[key] = _Store(block.layout, block.data[: block.layout.size])
        self._stores[key].add(block)

    def batches(self, sequence: int) -> t.Iterator[tuple[Tag, Batch]]:
        """Give the requests in batches, each with the tag of all its entries; they are numbered from ``sequence``."""
        for (_layout, tag), store in self._stores.items():
            for batch in store.batches(sequence):
                yield tag, batch
            sequence += len(store)

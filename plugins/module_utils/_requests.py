# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Which entries are meant, and the requests that look up, change or delete exactly these.

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


class Request(t.NamedTuple):
    """What is asked for each entry: the message's type, and the attributes that follow those which name the entry."""

    kind: int
    attributes: bytes = b""


DELETE = Request(_uapi.CT_DELETE)
LOOK_UP = Request(_uapi.CT_GET)


def update(timeout: int | None, mark: tuple[int, int] | None) -> Request:
    """Give the request that lets an entry expire in ``timeout`` seconds, and sets its mark (value and mask); None: not.

    A timeout of 0 would be the entry's end: raises ValueError. The kernel sets the mark to the present one without the
    bits of the mask, exclusive-or the value (ctnetlink_change_mark() in net/netfilter/nf_conntrack_netlink.c). Nothing
    else is sent, and an entry that is not there is not made, because no flag asks for that.
    """
    attributes = b""
    if timeout is not None:
        if timeout < 1:
            raise ValueError("a timeout of less than a second would end the entry")
        attributes += _number(_uapi.CTA_TIMEOUT, timeout)
    if mark is not None:
        value, mask = mark
        attributes += _number(_uapi.CTA_MARK, value) + _number(_uapi.CTA_MARK_MASK, mask)
    return Request(_uapi.CT_NEW, attributes)


def _number(kind: int, value: int) -> bytes:
    return _netlink.encode_attribute(kind, struct.pack("!I", value))


class Batch(t.NamedTuple):
    """Requests in one datagram, numbered from ``first``; the last one asks for an answer even if it succeeds."""

    datagram: memoryview
    first: int
    size: int

    @property
    def last(self) -> int:
        """The number of the last request."""
        return self.first + self.size - 1

    def names(self) -> set[tuple[int, ...]]:
        """Give the words behind the header of each request; if it has no further attributes, they name its entry."""
        words = self.datagram.cast("I")
        width = len(words) // self.size
        return set(zip(*(words[at::width] for at in range(_netlink.ATTRIBUTES_AT // 4, width))))


class _Store:
    """The entries of one layout that are meant."""

    def __init__(self, layout: _wire.Layout, row: bytes) -> None:
        constant = {at for at, _word in layout.structure}
        start = _netlink.ATTRIBUTES_AT // 4
        self._family = layout.constants["family"]
        self._identity = _identity(layout, row)
        self._sources = [at for at in layout.identity if at not in constant]
        self._places = [start + position for position, at in enumerate(layout.identity) if at not in constant]
        self._columns = [array.array("I") for _source in self._sources]

    def __len__(self) -> int:
        return len(self._columns[0])

    def add(self, block: _wire.Block) -> None:
        for column, source in zip(self._columns, self._sources):
            column += block.word_column(source)

    def batches(self, request: Request, sequence: int) -> t.Iterator[Batch]:
        """Give the requests for all entries, numbered from ``sequence``."""
        attributes = self._identity + request.attributes
        template = array.array("I", _netlink.encode_request(request.kind, 0, 0, self._family, attributes))
        size = 4 * BATCH * len(template)
        for start in range(0, len(self), _ENCODED):
            words = self._requests(template, start, min(_ENCODED, len(self) - start), sequence + start)
            datagrams = memoryview(words).cast("B")
            for number, at in enumerate(range(0, len(datagrams), size)):
                datagram = datagrams[at : at + size]
                first = sequence + start + number * BATCH
                yield Batch(datagram, first, len(datagram) // (4 * len(template)))

    def _requests(self, template: array.array[int], start: int, number: int, sequence: int) -> array.array[int]:
        """Encode ``number`` requests; the last one of each batch asks for an answer."""
        width = len(template)
        words = template * number
        for place, column in zip(self._places, self._columns):
            words[place::width] = column[start : start + number]
        words[_SEQUENCE::width] = array.array("I", range(sequence, sequence + number))
        asking = _with_answer(template[_TYPE_AND_FLAGS])
        for last in (*range(BATCH - 1, number, BATCH), number - 1):
            words[last * width + _TYPE_AND_FLAGS] = asking
        return words


def _with_answer(type_and_flags: int) -> int:
    """Give the word of a header that holds type and flags, with NLM_F_ACK added."""
    kind, flags = struct.unpack("=HH", _netlink.WORD.pack(type_and_flags))
    word: int = _netlink.WORD.unpack(struct.pack("=HH", kind, flags | _uapi.NLM_F_ACK))[0]
    return word


def _identity(layout: _wire.Layout, row: bytes) -> bytes:
    """Give the attributes that name the entry in the row.

    A delete without a tuple would flush the table: raises ValueError. Without an id it could hit another entry in the
    same place: raises UnavailableError.
    """
    identity = layout.identity_of(row)
    _size, kind = struct.unpack_from("=HH", identity.ljust(4, b"\0"))
    if kind & _uapi.NLA_TYPE_MASK != _uapi.CTA_TUPLE_ORIG:
        raise ValueError("a request must begin with the original tuple of an entry")
    if "id" not in layout.fields:
        raise UnavailableError("The kernel does not tell the ids of entries, so that none can be changed safely.")
    return identity


Tag = t.TypeVar("Tag", bound=t.Hashable)


class Targets(t.Generic[Tag]):
    """Entries that are meant, each with a tag by which the outcome is counted."""

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

    def batches(self, request: Request, sequence: int) -> t.Iterator[tuple[Tag, Batch]]:
        """Give the requests in batches, each with the tag of all its entries; they are numbered from ``sequence``."""
        for (_layout, tag), store in self._stores.items():
            for batch in store.batches(request, sequence):
                yield tag, batch
            sequence += len(store)

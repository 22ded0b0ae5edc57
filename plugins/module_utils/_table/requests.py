# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Which entries are meant, and the requests that look up, change or delete exactly these.

A request names its entry by the original tuple, the id and the zone, echoed as the dump gave them. Requests for entries
of one layout differ in a few words only, so that nothing but these words is kept of an entry (20 bytes of an IPv4
connection with ports), and a batch of requests is one template, repeated, with these words put in as columns.

Of entries that are to be looked at a second time, a few words more are noted, and when the kernel read them.
"""

from __future__ import annotations

import array
import struct
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._errors import UnavailableError
from ansible_collections.netops.conntrack.plugins.module_utils._netlink import framing
from ansible_collections.netops.conntrack.plugins.module_utils._netlink.clock import Moment
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block
from ansible_collections.netops.conntrack.plugins.module_utils._table.layouts import Layout

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
    """Return the request that sets an entry's timeout (seconds) and mark (value and mask), each unless it is None.

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
    return framing.encode_attribute(kind, struct.pack("!I", value))


class Notes(t.NamedTuple):
    """What was noted of some entries: the low words of fields, as they lie in memory, and when they were read."""

    words: t.Mapping[str, array.array[int]]
    moment: Moment


class Batch(t.NamedTuple):
    """Requests in one datagram, numbered from ``first``. The last one asks for an answer even if it succeeds."""

    datagram: memoryview
    first: int
    size: int
    notes: Notes | None = None

    @property
    def last(self) -> int:
        """The number of the last request."""
        return self.first + self.size - 1

    def names(self) -> dict[tuple[int, ...], int]:
        """Return the place in the batch of each entry by its name, the words behind the header of its request.

        Only a request without further attributes has nothing but a name there.
        """
        words = self.datagram.cast("I")
        width = len(words) // self.size
        names = zip(*(words[at::width] for at in range(framing.ATTRIBUTES_AT // 4, width)))
        return dict(zip(names, range(self.size)))


def low_word(layout: Layout, field: str) -> int:
    """Return the number of the word with the low 32 bits of a field, which is a number of 4 or 8 bytes."""
    return layout.fields[field].end // 4 - 1


class _Store:
    """The entries of one layout that are meant, with what is noted of them."""

    def __init__(self, layout: Layout, row: bytes, noting: t.Sequence[str]) -> None:
        constant = {at for at, _word in layout.structure}
        start = framing.ATTRIBUTES_AT // 4
        self._family = layout.constants["family"]
        self._identity = _identity(layout, row)
        self._sources = [at for at in layout.identity if at not in constant]
        self._places = [start + position for position, at in enumerate(layout.identity) if at not in constant]
        self._columns = [array.array("I") for _source in self._sources]
        self._noted_at = {field: low_word(layout, field) for field in noting if field in layout.fields}
        self._noted = {field: array.array("I") for field in self._noted_at}
        self._parts: list[tuple[int, Moment | None]] = []

    def __len__(self) -> int:
        return len(self._columns[0])

    def add(self, block: Block, moment: Moment | None) -> None:
        if not self._parts or self._parts[-1][1] != moment:
            self._parts.append((len(self), moment))
        for column, source in zip(self._columns, self._sources):
            column += block.word_column(source)
        for field, at in self._noted_at.items():
            self._noted[field] += block.word_column(at)

    def batches(self, request: Request, sequence: int) -> t.Iterator[Batch]:
        """Yield the requests for all entries, numbered from ``sequence``. A batch has entries of one moment."""
        attributes = self._identity + request.attributes
        template = array.array("I", framing.encode_request(request.kind, 0, 0, self._family, attributes))
        size = 4 * len(template)
        for start, end, moment in self._runs():
            words = self._requests(template, start, end - start, sequence + start)
            datagrams = memoryview(words).cast("B")
            for at in range(start, end, BATCH):
                until = min(at + BATCH, end)
                datagram = datagrams[(at - start) * size : (until - start) * size]
                yield Batch(datagram, sequence + at, until - at, self._notes(at, until, moment))

    def _runs(self) -> t.Iterator[tuple[int, int, Moment | None]]:
        """Yield the ends of as many entries of one moment as are encoded at once, and the moment."""
        starts = [start for start, _moment in self._parts]
        for (first, moment), end in zip(self._parts, [*starts[1:], len(self)]):
            for start in range(first, end, _ENCODED):
                yield start, min(start + _ENCODED, end), moment

    def _notes(self, start: int, end: int, moment: Moment | None) -> Notes | None:
        if moment is None:
            return None
        return Notes({field: words[start:end] for field, words in self._noted.items()}, moment)

    def _requests(self, template: array.array[int], start: int, number: int, sequence: int) -> array.array[int]:
        """Encode ``number`` requests."""
        width = len(template)
        words = template * number
        for place, column in zip(self._places, self._columns):
            words[place::width] = column[start : start + number]
        return numbered(words, width, number, sequence)


def numbered(words: array.array[int], width: int, number: int, sequence: int) -> array.array[int]:
    """Return the requests of ``width`` words each, numbered. The last one of each batch asks for an answer."""
    words[_SEQUENCE::width] = array.array("I", range(sequence, sequence + number))
    asking = _with_answer(words[_TYPE_AND_FLAGS])
    for last in (*range(BATCH - 1, number, BATCH), number - 1):
        words[last * width + _TYPE_AND_FLAGS] = asking
    return words


def _with_answer(type_and_flags: int) -> int:
    """Return the word of a header that holds type and flags, with NLM_F_ACK added."""
    kind, flags = struct.unpack("=HH", framing.WORD.pack(type_and_flags))
    word: int = framing.WORD.unpack(struct.pack("=HH", kind, flags | _uapi.NLM_F_ACK))[0]
    return word


def _identity(layout: Layout, row: bytes) -> bytes:
    """Return the attributes that name the entry in the row.

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
    """Entries that are meant, each with a tag by which the outcome is counted.

    Of each entry that is added with its moment, those fields in ``noting`` that it has are noted: 4 bytes each.
    """

    def __init__(self, noting: t.Sequence[str] = ()) -> None:
        self._noting = noting
        self._stores: dict[tuple[Layout, Tag], _Store] = {}

    def __len__(self) -> int:
        return sum(map(len, self._stores.values()))

    def add(self, block: Block, tag: Tag, moment: Moment | None = None) -> None:
        """Add the entries of a block, which must not be empty, and was read at that moment."""
        key = block.layout, tag
        if key not in self._stores:
            self._stores[key] = _Store(block.layout, block.data[: block.layout.size], self._noting)
        self._stores[key].add(block, moment)

    def batches(self, request: Request, sequence: int) -> t.Iterator[tuple[Tag, Batch]]:
        """Yield the requests in batches, each with the tag of all its entries. They are numbered from ``sequence``."""
        for (_layout, tag), store in self._stores.items():
            for batch in store.batches(request, sequence):
                yield tag, batch
            sequence += len(store)

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The messages of connection-tracking entries: where each field is, and many of them at once as columns.

In a message each header of an attribute is an aligned 32-bit word, and each value begins at one (see _netlink.framing).
All numbers inside attributes are in network order, except labels, which are the kernel's bitmap as it lies in memory.
An attribute that is not known here is stepped over. Layouts and numbers: linux/netfilter/nfnetlink_conntrack.h.

A `Layout` is learned from one message, by walking through its attributes, and says where each field is. It holds for
every message that has the same words where the first one had headers: its structure. So whatever is decoded has been
walked through, by itself or by a message of the same structure, and there is no other decoder. A `Block` is many
messages of one layout, and a field of all of them is a slice with a stride. A `Decoder` sorts messages into blocks.

What makes it fast, in microseconds an entry, of 200,000 entries (the mix of tools/bench/tables.py, one processor; the
kernel's own half, sending a dump, takes 1.6):

- Columns instead of entries: 2.0 for a summary from the datagrams on, 16.7 where each entry is decoded and counted.
- Structure is compared by columns, too: 0.3 of these 2.0. Blocks are made of half a megabyte of messages at once: those
  of a datagram alone are too short for that, larger ones no longer fit into the processor's cache.
- Messages are parted by a pattern for runs of one size (_netlink.framing.Splitter): 0.26, and 0.38 by walking from each
  to the next; of a table whose messages all have one size 0.15 and 0.37.
- A test is asked once for each combination of the values that it reads (_table.memo): 0.3 for the founding story's
  selector, 3.5 entry by entry. Of a field with many values only the place among the steps counts at which the answer
  changes: 0.9 for a network and an idle time, 4.8 without.
- Deletes are a template with columns put in, and 64 ask for one answer (_table.requests): 1.4 each, 10.9 one by one.
- A second process receives while this one decodes (_netlink.transport): the larger of both halves instead of their sum.
"""

from __future__ import annotations

import array
import bisect
import collections
import functools
import itertools
import struct
import sys
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._entry.entry import FIELDS, Entry
from ansible_collections.netops.conntrack.plugins.module_utils._errors import InterruptedDumpError, MalformedError
from ansible_collections.netops.conntrack.plugins.module_utils._netlink import framing

Read = t.Callable[[bytes], t.Any]
_number: Read = functools.partial(int.from_bytes, byteorder="big")


def _text(value: bytes) -> str:
    return value.rstrip(b"\0").decode("utf-8", "backslashreplace")


class Field(t.NamedTuple):
    """A value of an attribute: the entry's field, the sizes it may have (none: any), and how its bytes are read."""

    name: str
    sizes: tuple[int, ...]
    read: Read


Schema = t.Mapping[int, t.Union[Field, "Schema"]]
"""What the attributes of each type hold: a value, or attributes again."""


def _tuple_schema(prefix: str, zone: str) -> Schema:
    """Return enum ctattr_tuple, with enum ctattr_ip and enum ctattr_l4proto in it."""
    addresses = {
        kind: Field(prefix + name, (size,), bytes)
        for kind, name, size in ((1, "source", 4), (2, "destination", 4), (3, "source", 16), (4, "destination", 16))
    }
    numbers = {1: ("protocol", 1), 2: ("source_port", 2), 3: ("destination_port", 2)}
    icmp = {4: ("icmp_id", 2), 5: ("icmp_type", 1), 6: ("icmp_code", 1)}
    icmp6 = {kind + 3: value for kind, value in icmp.items()}
    protocol = {
        kind: Field(prefix + name, (size,), _number) for kind, (name, size) in {**numbers, **icmp, **icmp6}.items()
    }
    return {1: addresses, 2: protocol, 3: Field(zone, (2,), _number)}


def _counters_schema(direction: str) -> Schema:
    """Return enum ctattr_counters: 64 bits, or 32 of old kernels."""
    packets, octets = f"packets_{direction}", f"bytes_{direction}"
    return {
        kind + at: Field(name, (size,), _number)
        for kind, size in ((1, 8), (3, 4))
        for at, name in ((0, packets), (1, octets))
    }


_STATE_FIELDS = {_uapi.TCP: "state_tcp", _uapi.DCCP: "state_dccp", _uapi.SCTP: "state_sctp"}

# linux/netfilter/nfnetlink_conntrack.h, enum ctattr_type
_ENTRY: Schema = {
    _uapi.CTA_TUPLE_ORIG: _tuple_schema("", "zone_original"),
    _uapi.CTA_TUPLE_REPLY: _tuple_schema("reply_", "zone_reply"),
    _uapi.CTA_STATUS: Field("status", (4,), _number),
    _uapi.CTA_PROTOINFO: {
        kind: {1: Field(name, (1,), _number)} for kind, name in enumerate(_STATE_FIELDS.values(), start=1)
    },
    _uapi.CTA_HELP: {1: Field("helper", (), _text)},
    _uapi.CTA_TIMEOUT: Field("remaining", (4,), _number),
    _uapi.CTA_MARK: Field("mark", (4,), _number),
    _uapi.CTA_COUNTERS_ORIG: _counters_schema("original"),
    _uapi.CTA_COUNTERS_REPLY: _counters_schema("reply"),
    _uapi.CTA_USE: Field("use", (4,), _number),
    _uapi.CTA_ID: Field("id", (4,), _number),
    _uapi.CTA_ZONE: Field("zone", (2,), _number),
    _uapi.CTA_SECCTX: {1: Field("secctx", (), _text)},
    _uapi.CTA_TIMESTAMP: {1: Field("start", (8,), _number)},
    _uapi.CTA_LABELS: Field("labels", (), bytes),
}
_IDENTITY = (_uapi.CTA_TUPLE_ORIG, _uapi.CTA_ID, _uapi.CTA_ZONE)


class Place(t.NamedTuple):
    """Where a field's value begins and ends in a message, and how its bytes are read."""

    start: int
    end: int
    read: Read


class Layout:
    """Where everything is in the messages of entries that have the same attributes, of the same sizes and order.

    ``fields`` has the place of each field, ``constants`` what all such entries share: family, protocol, whether they
    have ports, and the value of each field that they lack (None, and 0 of ``zone``). ``structure`` are number and value
    of the words that make it this layout: the headers, the family's and the protocols'. ``identity`` are the numbers of
    the words that name an entry in a delete: its original tuple, id and zone as they were sent.
    """

    def __init__(self, message: bytes) -> None:
        """Learn the layout of a row (see Block). Raises MalformedError where its lengths or sizes do not add up."""
        if len(message) < framing.ATTRIBUTES_AT:
            raise MalformedError("netlink: an entry without its family")
        self.size = len(message)
        self.fields: dict[str, Place] = {}
        self._headers = set(range(framing.ATTRIBUTES_AT // 4))
        self._spans: dict[int, range] = {}
        self._walk(_ENTRY, message, framing.ATTRIBUTES_AT, self._word(message, 0))
        self.constants: dict[str, t.Any] = {
            **dict.fromkeys(FIELDS),
            "zone": 0,
            "has_ports": "source_port" in self.fields,
            "family": message[framing.HEADER_LENGTH],
        }
        self._settle_protocol(message)
        self._settle_zone()
        self.structure = tuple((at, self._word(message, at)) for at in sorted(self._headers))
        self.identity = tuple(at for kind in _IDENTITY for at in self._spans.get(kind, ()))

    @staticmethod
    def _word(message: bytes, at: int) -> int:
        word: int = framing.WORD.unpack_from(message, 4 * at)[0]
        return word

    def _walk(self, schema: Schema, message: bytes, start: int, end: int) -> None:
        """Note each header and each known value between ``start`` and ``end``; step over what is not known."""
        for kind, at, until in framing.walk(message, start, end):
            self._headers.add(at // 4 - 1)
            known = schema.get(kind)
            if schema is _ENTRY and kind in _IDENTITY:
                self._spans[kind] = range(at // 4 - 1, (until + 3) // 4)
            if isinstance(known, Field):
                if known.sizes and until - at not in known.sizes:
                    raise MalformedError(f"netlink: {known.name} has {until - at} bytes instead of {known.sizes[0]}")
                self.fields[known.name] = Place(at, until, known.read)
            elif known is not None:
                self._walk(known, message, at, until)

    def _settle_protocol(self, message: bytes) -> None:
        """Make the protocol part of the structure, and take the state of this protocol alone."""
        for name in ("source", "destination", "protocol", "reply_source", "reply_destination", "reply_protocol"):
            if name not in self.fields:
                raise MalformedError(f"netlink: an entry without its {name}")
        place = self.fields.pop("protocol")
        self._headers.update((place.start // 4, self.fields.pop("reply_protocol").start // 4))
        protocol = self.constants["protocol"] = message[place.start]
        states = {name: self.fields.pop(name) for name in _STATE_FIELDS.values() if name in self.fields}
        own = states.get(_STATE_FIELDS.get(protocol, ""))
        if own is not None:
            self.fields["state"] = own

    def _settle_zone(self) -> None:
        """Read the entry's zone from where it was sent.

        An entry has one zone (struct nf_conntrack_zone). It is sent inside a tuple when it holds for that direction
        only (ctnetlink_fill_info() in net/netfilter/nf_conntrack_netlink.c).
        """
        for name in ("zone_original", "zone_reply"):
            if name in self.fields:
                self.fields.setdefault("zone", self.fields[name])

    def entry(self, row: bytes, names: t.Iterable[str] = FIELDS) -> Entry:
        """Decode the fields ``names`` of a row (see Block) of this layout."""
        fields = {}
        for name in names:
            place = self.fields.get(name)
            fields[name] = self.constants[name] if place is None else place.read(row[place.start : place.end])
        return Entry(**fields)

    def identity_of(self, row: bytes) -> bytes:
        """Return the bytes of a row (see Block) that name its entry: its original tuple, id and zone."""
        return _words_of(row, self.identity)


def _words_of(row: bytes, numbers: t.Iterable[int]) -> bytes:
    """Return the words of a row with these numbers."""
    return b"".join(row[4 * at : 4 * at + 4] for at in numbers)


class Block:
    """Entries of one layout, one under the other: the same field of all is a column.

    Their messages, each padded to whole words, are its rows; ``data`` is all of them, ``words`` the same as an array.
    """

    def __init__(self, layout: Layout, data: bytes) -> None:
        self.layout = layout
        self.data = data
        self.words = array.array("I", data)

    def __len__(self) -> int:
        return len(self.data) // self.layout.size

    @functools.cached_property
    def rows(self) -> list[bytes]:
        """The rows, one by one."""
        size = self.layout.size
        return [self.data[start : start + size] for start in range(0, len(self.data), size)]

    def where(self, chosen: t.Iterable[t.Any]) -> Block:
        """Return a block of the rows for which ``chosen``, in the same order, has something true."""
        return Block(self.layout, b"".join(itertools.compress(self.rows, chosen)))

    def entries(self, names: t.Iterable[str] = FIELDS) -> t.Iterator[Entry]:
        """Decode row by row, only the fields ``names``."""
        return (self.layout.entry(row, names) for row in self.rows)

    def word_column(self, at: int) -> array.array[int]:
        """Return the word number ``at`` of every row, as it lies in memory."""
        return self.words[at :: self.layout.size // 4]

    def column(self, name: str) -> t.Iterable[t.Any]:
        """Return a field of every row. A field that the layout lacks is a constant."""
        place = self.layout.fields.get(name)
        if place is None:
            return itertools.repeat(self.layout.constants[name], len(self))
        if place.read is _number:
            return self.numbers(name)
        if place.read is bytes:
            return self.byte_strings(name)
        return [place.read(row[place.start : place.end]) for row in self.rows]

    def byte_strings(self, name: str) -> t.Iterator[bytes]:
        """Return the bytes of a field of every row, which the layout must have."""
        start, end, _read = self.layout.fields[name]
        row = struct.Struct(f"{start}x{end - start}s{self.layout.size - end}x")
        return itertools.chain.from_iterable(row.iter_unpack(self.data))

    def numbers(self, name: str) -> t.Sequence[int]:
        """Return a field of every row, which the layout must have, as numbers; addresses, too."""
        start, end, _read = self.layout.fields[name]
        return self._numbers(start, end - start)

    def places(self, name: str, steps: list[int]) -> t.Iterator[int]:
        """Return for the same numbers how many of ``steps``, which are sorted, are not larger."""
        return map(functools.partial(bisect.bisect_right, steps), self.numbers(name))

    def upper_halves(self, name: str) -> t.Sequence[int]:
        """Return the upper half of a number of 64 bits of every row, which the layout must have."""
        return self._numbers(self.layout.fields[name].start, 4)

    def lower_halves(self, name: str) -> t.Sequence[int]:
        """Return the lower halves of the same numbers."""
        return self._numbers(self.layout.fields[name].start + 4, 4)

    def _numbers(self, start: int, size: int) -> t.Sequence[int]:
        if size == 1:
            return self.data[start :: self.layout.size]
        if size > 8:
            return [_number(row[start : start + size]) for row in self.rows]
        words = self.word_column(start // 4)
        if size == 2:
            words = array.array("H", words.tobytes())[::2]
        words = from_network(words)
        if size < 8:
            return words
        low = self._numbers(start + 4, 4)
        # Few counters ever need their upper half, and to compare it as bytes costs next to nothing.
        has_upper_halves = words.tobytes() != bytes(4 * len(words))
        return [high << 32 | part for high, part in zip(words, low)] if has_upper_halves else low


class Decoder:
    """Sorts the rows that answer the request ``sequence`` into blocks."""

    def __init__(self, sequence: int) -> None:
        self._sequence = sequence
        self._layouts: collections.defaultdict[int, _Layouts] = collections.defaultdict(_Layouts)

    def blocks(self, runs: t.Iterable[bytes]) -> t.Iterator[Block]:
        """Yield all messages of entries in blocks. Raises what ``layout_of`` raises."""
        sizes = collections.defaultdict(list)
        for run in runs:
            sizes[framing.size_of(run)].append(run)
        for size, parts in sizes.items():
            waiting = collections.deque([b"".join(parts)])
            while waiting:
                rows = waiting.popleft()
                block, others = _divide(rows, self.layout_of(rows[:size]))
                waiting += others
                yield block

    def layout_of(self, row: bytes) -> Layout:
        """Return the layout of a row. Raises MalformedError for one that is malformed, or is not an entry of this dump.

        Raises InterruptedDumpError where the kernel says that the table changed too much under the dump.
        """
        layouts = self._layouts[len(row)]
        known = layouts.find(row)
        if known is not None:
            return known
        # The header is part of a layout's structure: what was checked of one row holds for all that have it.
        message = next(framing.messages(row))
        if message.type != _uapi.CT_NEW or message.sequence != self._sequence:
            raise MalformedError(f"netlink: a message of type {message.type:#x} in the answer to another request")
        if message.flags & _uapi.NLM_F_DUMP_INTR:
            raise InterruptedDumpError("The table was changed too much while it was read.")
        return layouts.add(Layout(row))


class _Layouts:
    """The layouts of rows of one size, found by the words of their structure.

    A sender may use all 256 protocols, each of which is a layout, but they have their headers in the same places.
    """

    def __init__(self) -> None:
        self._by_places: dict[tuple[int, ...], dict[bytes, Layout]] = {}

    def find(self, row: bytes) -> Layout | None:
        """Return the layout of the row, None where it is not known yet."""
        for places, layouts in self._by_places.items():
            layout = layouts.get(_words_of(row, places))
            if layout is not None:
                return layout
        return None

    def add(self, layout: Layout) -> Layout:
        """Note a layout and return it."""
        places = tuple(at for at, _word in layout.structure)
        words = b"".join(framing.WORD.pack(word) for _at, word in layout.structure)
        return self._by_places.setdefault(places, {}).setdefault(words, layout)


def from_network(words: array.array[int]) -> array.array[int]:
    """Return the numbers that lie in memory in network order. They take the place of the ``words``."""
    if sys.byteorder == "little":
        words.byteswap()
    return words


def _divide(data: bytes, layout: Layout) -> tuple[Block, list[bytes]]:
    """Return the block of those rows that have the layout, and the other rows, parted where they differ from it.

    So rows of many layouts are parted in one pass, instead of one pass for each layout.
    """
    block = Block(layout, data)
    others: list[bytes] = []
    for at, word in layout.structure:
        column = block.word_column(at)
        if column.tobytes() != framing.WORD.pack(word) * len(block):
            others += _parted(block, column, word)
            block = block.where(map(word.__eq__, column))
    return block, others


def _parted(block: Block, column: array.array[int], word: int) -> list[bytes]:
    """Return the rows that have another word in the column, those with the same one together."""
    rows = list(itertools.compress(block.rows, map(word.__ne__, column)))
    words = list(filter(word.__ne__, column))
    if words.count(words[0]) == len(words):
        return [b"".join(rows)]
    parts: collections.defaultdict[int, list[bytes]] = collections.defaultdict(list)
    for value, row in zip(words, rows):
        parts[value].append(row)
    return [b"".join(part) for part in parts.values()]

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Columns of words, made the rows of a block.

A row has the values of an entry as a message of the kernel has them: numbers in network order, packed addresses. So
everything that reads blocks takes them for a part of a dump. A column is decoded by its different words, of which most
columns have few, and written into all rows at once.
"""

from __future__ import annotations

import array
import functools
import itertools
import operator
import socket
import sys
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._table.layouts import (
    BYTES,
    NUMBER,
    TEXT,
    Encoding,
    FieldSpan,
    Layout,
    constants_of,
    settle_zone,
)

NOW = 4_000_000_000
"""The time at which files are said to have been written, in seconds since the epoch.

A file tells how old an entry is, and not when it began. So its beginning is that much before a time of our own."""

_NANOSECONDS = 1_000_000_000
_LABEL_WORDS = 4
_Code = t.Literal["Q", "I", "H", "B"]
_UNITS: dict[int, _Code] = {8: "Q", 4: "I", 2: "H", 1: "B"}
"""By the size of a number in bytes, the code that the module array has for it."""

_FEW = 64
"""So many words tell whether a column has few different ones. To look at all takes a quarter of decoding them."""

_TEXT_BYTES = 32
"""Texts take a multiple of this."""

_NUMBER_SIZES = {
    **dict.fromkeys(("packets_original", "bytes_original", "packets_reply", "bytes_reply", "start"), 8),
    **dict.fromkeys(("status", "remaining", "mark", "use", "id", "vtag_original", "vtag_reply"), 4),
    **dict.fromkeys(("source_port", "destination_port", "reply_source_port", "reply_destination_port"), 2),
    **dict.fromkeys(("icmp_id", "reply_icmp_id", "zone", "zone_original", "zone_reply"), 2),
    **dict.fromkeys(("state", "icmp_type", "icmp_code", "reply_icmp_type", "reply_icmp_code", "dccp_role"), 1),
}
_PORT_SIZE, _AGE_SIZE = 2, 4
_MOST_DIGITS = {size: len(str((1 << 8 * size) - 1)) for size in _UNITS}
"""By the size of a number in bytes, how many digits it has at most. Each number with less of them has room."""

_ADDRESSES = frozenset({"source", "destination", "reply_source", "reply_destination"})
_TEXTS = frozenset({"helper", "secctx"})
_TAGS = frozenset({"vtag_original", "vtag_reply"})

Form = tuple[int, int, tuple[tuple[str, int], ...]]
"""The family and the protocol of rows, and the size of each of their fields."""


class Column(t.NamedTuple):
    """The packed values of a field, each of ``size`` bytes: one for each row, or one for all."""

    size: int
    data: bytes

    @property
    def is_constant(self) -> bool:
        """Whether there is one value for all rows."""
        return len(self.data) == self.size


def column_of(field: str, words: t.Sequence[str], family: int) -> Column:
    """Return the column of a field. Raises ValueError, OverflowError or OSError where a word is no value of it."""
    if field in _ADDRESSES:
        size = 4 if family == socket.AF_INET else 16
        return Column(size, b"".join(_decoded(words, socket.inet_pton, family)))
    if field in _TEXTS:
        return _text_column(words)
    if field == "labels":
        return Column(4 * _LABEL_WORDS, b"".join(_decoded(words, _bitmap)))
    # A function of C takes a third of the time of one of our own.
    values = _decoded(words, _hexadecimal if _are_keys(field, words) else int)
    if field in _TAGS:
        values = map(_tag, values)
    if field == "start":
        values = [(NOW - age) * _NANOSECONDS for age in values]
    return number_column(field, values)


def _are_keys(field: str, words: t.Sequence[str]) -> bool:
    return "port" in field and words[0].startswith("0x")


def check_words(field: str, words: t.Sequence[str], family: int) -> None:
    """Raise what ``column_of`` raises where one of the words, of which there are some, is no value of a field.

    A number has to have digits only.
    """
    if words.count(words[0]) == len(words):
        words = words[:1]
    # The age that a start is told by has to be below NOW.
    size = _AGE_SIZE if field == "start" else _NUMBER_SIZES.get(field, 0)
    # Most ports have as many digits as a port can have, so it takes less time to convert them than to count digits.
    is_short = size > _PORT_SIZE and max(map(len, words)) < _MOST_DIGITS[size]
    if not is_short:
        column_of(field, words, family)


def numbers(size: int, values: t.Iterable[int]) -> Column:
    """Return numbers of ``size`` bytes as a column. Raises OverflowError for one that has no room."""
    packed = array.array(_UNITS[size], values)
    if sys.byteorder == "little":
        packed.byteswap()
    return Column(size, packed.tobytes())


def number_column(field: str, values: t.Iterable[int]) -> Column:
    """Return the numbers of a field as a column."""
    return numbers(_NUMBER_SIZES[field], values)


Value = t.TypeVar("Value")


def _decoded(words: t.Sequence[str], decode: t.Callable[..., Value], *constants: int) -> t.Iterable[Value]:
    """Return what the words mean, each different one decoded once if they are few. One for all if they are the same.

    ``decode`` is given the ``constants`` and the word.
    """
    few = set(words[:_FEW])
    if len(few) == 1 and words.count(words[0]) == len(words):
        return [decode(*constants, words[0])]
    if len(few) > _FEW // 2:
        return map(decode, *map(itertools.repeat, constants), words)
    values = {word: decode(*constants, word) for word in set(words)}
    return map(values.__getitem__, words)


def _hexadecimal(word: str) -> int:
    """Return a key of GRE."""
    return int(word, 16)


def _tag(number: int) -> int:
    """Return a verification tag of SCTP. conntrack(8) writes and reads its bytes as a number of the machine."""
    return int.from_bytes(number.to_bytes(4, sys.byteorder), "big")


def _bitmap(labels: str) -> bytes:
    """Return the kernel's bitmap of labels: words of 32 bits in the byte order of the machine.

    The labels are their numbers, or all bits as one hexadecimal number.
    """
    is_one_number = labels.startswith("0x")
    bits = int(labels, 16) if is_one_number else functools.reduce(_with_label, map(int, labels.split(",")), 0)
    words = (bits >> 32 * number & 0xFFFFFFFF for number in range(_LABEL_WORDS))
    if bits >> 32 * _LABEL_WORDS:
        raise ValueError("no such label")
    return b"".join(word.to_bytes(4, sys.byteorder) for word in words)


def _with_label(bits: int, label: int) -> int:
    return bits | 1 << label


def _text_column(words: t.Sequence[str]) -> Column:
    texts = list(_decoded(words, lambda word: word.encode("ascii")))
    # At least one byte ends it.
    size = (max(map(len, texts)) // _TEXT_BYTES + 1) * _TEXT_BYTES
    return Column(size, b"".join(text.ljust(size, b"\0") for text in texts))


def form_of(family: int, protocol: int, columns: t.Mapping[str, Column]) -> Form:
    """Return the form of rows with these columns."""
    return family, protocol, tuple(sorted((field, column.size) for field, column in columns.items()))


_OF_EVERY_ROW = frozenset({"family", "protocol"})
_PARTS = {"zone": ("zone_original", "zone_reply"), "has_ports": ("source_port",)}
"""By a field, those that tell it."""


def with_parts(fields: t.Iterable[str]) -> frozenset[str]:
    """Return the fields with those that tell some of them."""
    wanted = frozenset(fields)
    return wanted.union(*(_PARTS[field] for field in wanted & _PARTS.keys()))


class RowWriter:
    """Writes the rows of a form. ``layout`` says where everything is in them.

    The fields ``decoded`` were decoded, or all if it is None. Of the others nothing is said, also not None for unknown:
    to read one of them is a KeyError.
    """

    def __init__(self, form: Form, decoded: frozenset[str] | None = None) -> None:
        family, protocol, sizes = form
        fields: dict[str, FieldSpan] = {}
        at = 0
        # The largest come first, so that each begins at a multiple of its size. Each has words of its own.
        for field, size in sorted(sizes, key=lambda item: (-item[1], item[0])):
            fields[field] = FieldSpan(at, at + size, _encoding(field))
            at += max(size, 4)
        constants = {**constants_of(family, "source_port" in fields), "protocol": protocol}
        if decoded is not None:
            constants = {name: constants[name] for name in constants if name in decoded or name in _OF_EVERY_ROW}
        self._own = dict(fields)
        settle_zone(fields)
        # A block tells the number of its rows by their size.
        self.layout = Layout(max(at + -at % 8, 8), fields, constants)

    def rows(self, number: int, columns: t.Mapping[str, Column]) -> bytes:
        """Return so many rows, one under the other."""
        first = bytearray(self.layout.size)
        varying = []
        for field, column in columns.items():
            place = self._own[field]
            if column.is_constant:
                first[place.start : place.end] = column.data
            else:
                varying.append((place, column))
        rows = bytearray(bytes(first) * number)
        for place, column in varying:
            _write(rows, self.layout.size, place.start, column)
        return bytes(rows)


def _encoding(field: str) -> Encoding:
    if field in _TEXTS:
        return TEXT
    return BYTES if field in _ADDRESSES or field == "labels" else NUMBER


def _write(rows: bytearray, row_size: int, start: int, column: Column) -> None:
    """Write a column into the rows, in units as large as its values are made of."""
    unit = next(size for size in _UNITS if not column.size % size and not start % size)
    code = _UNITS[unit]
    with memoryview(rows) as plain_rows, memoryview(column.data) as plain_data:
        target, source = plain_rows.cast(code), plain_data.cast(code)
        per_value, per_row = column.size // unit, row_size // unit
        for part in range(per_value):
            target[start // unit + part :: per_row] = source[part::per_value]
        target.release()
        source.release()


def different(pairs: t.Sequence[tuple[t.Sequence[str], t.Sequence[str]]]) -> list[bool] | None:
    """Return for each row whether the words of any of the pairs differ, or None if they never do."""
    if all(one is other or one == other for one, other in pairs):
        return None
    return list(map(any, zip(*(map(operator.ne, one, other) for one, other in pairs))))

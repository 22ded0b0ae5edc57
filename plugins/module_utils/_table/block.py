# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Many entries at once, as columns.

The rows of a block have one layout, so a field is at the same place in all of them. All values of a field are one slice
of the bytes, with the size of a row as the stride. Nothing is decoded entry by entry, which is what makes it fast (see
docs/performance.md).
"""

from __future__ import annotations

import array
import bisect
import functools
import itertools
import operator
import struct
import sys
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._entry.entry import FIELDS, Entry
from ansible_collections.netops.conntrack.plugins.module_utils._netlink import framing
from ansible_collections.netops.conntrack.plugins.module_utils._table.layouts import (
    BYTES,
    NUMBER,
    Layout,
    decode_number,
)


class Block:
    """Entries of one layout, one under the other. ``data`` is all rows, ``words`` the same as an array of words."""

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
        flags = list(chosen)
        left_out = list(itertools.compress(range(len(flags)), map(operator.not_, flags)))
        if 2 * len(left_out) > len(flags):
            return Block(self.layout, self._only(itertools.compress(range(len(flags)), flags)))
        return Block(self.layout, self._without(left_out))

    def _only(self, numbers: t.Iterable[int]) -> bytes:
        """Return the rows of these numbers."""
        size = self.layout.size
        return b"".join([self.data[size * number : size * number + size] for number in numbers])

    def _without(self, numbers: t.Sequence[int]) -> bytes:
        """Return all rows but those of these numbers, in pieces that are as long as can be."""
        size = self.layout.size
        starts = [0, *(size * number + size for number in numbers)]
        ends = [*(size * number for number in numbers), len(self.data)]
        return b"".join([self.data[start:end] for start, end in zip(starts, ends)])

    def is_uniform(self, names: t.Iterable[str]) -> bool:
        """Return whether all rows have the same in these fields, which the layout must have."""
        spans = [self.layout.fields[name] for name in names]
        size = self.layout.size
        last = len(self.data) - size
        if any(self.data[span.start : span.end] != self.data[last + span.start : last + span.end] for span in spans):
            # In most blocks that are not uniform, the first row differs from the last one.
            return False
        columns = (self.data[at::size] for span in spans for at in range(span.start, span.end))
        return all(column.count(column[0]) == len(column) for column in columns)

    def bits(self, tables: t.Iterable[tuple[int, bytes]]) -> int:
        """Return a byte for each row, as one number: the bits that all tables have for the bytes of the row.

        Each of the ``tables`` is given with the number of the byte in a row that it is for. Without any it is -1.
        """
        rows = -1
        for at, table in tables:
            rows &= int.from_bytes(self.data[at :: self.layout.size].translate(table), "little")
            if not rows:
                break
        return rows

    def entries(self, names: t.Iterable[str] = FIELDS) -> t.Iterator[Entry]:
        """Decode row by row, only the fields ``names``."""
        return (self.layout.entry(row, names) for row in self.rows)

    def column(self, name: str) -> t.Iterable[t.Any]:
        """Return a field of every row. A field that the layout lacks is a constant."""
        span = self.layout.fields.get(name)
        if span is None:
            return itertools.repeat(self.layout.constants[name], len(self))
        if span.encoding is NUMBER:
            return self.numbers(name)
        if span.encoding is BYTES:
            return self.byte_strings(name)
        decode = span.encoding.decode
        return [decode(row[span.start : span.end]) for row in self.rows]

    def byte_strings(self, name: str) -> t.Iterator[bytes]:
        """Return the bytes of a field of every row, which the layout must have."""
        span = self.layout.fields[name]
        row = struct.Struct(f"{span.start}x{span.end - span.start}s{self.layout.size - span.end}x")
        return itertools.chain.from_iterable(row.iter_unpack(self.data))

    def numbers(self, name: str) -> t.Sequence[int]:
        """Return a field of every row, which the layout must have, as numbers. An address is a number as well."""
        span = self.layout.fields[name]
        return self._numbers_at(span.start, span.end - span.start)

    def bins(self, name: str, breakpoints: list[int]) -> t.Iterator[int]:
        """Return, for each row, the bin that the field's number falls into: how many breakpoints are not larger.

        The ``breakpoints`` must be sorted.
        """
        return map(functools.partial(bisect.bisect_right, breakpoints), self.numbers(name))

    def upper_halves(self, name: str) -> t.Sequence[int]:
        """Return the upper half of a number of 64 bits of every row, which the layout must have."""
        return self._numbers_at(self.layout.fields[name].start, 4)

    def lower_halves(self, name: str) -> t.Sequence[int]:
        """Return the lower halves of the same numbers."""
        return self._numbers_at(self.layout.fields[name].start + 4, 4)

    def word_column(self, number: int) -> array.array[int]:
        """Return the word of this number of every row, as it is in memory."""
        row_words = self.layout.size // framing.WORD.size
        return self.words[number::row_words]

    def word_columns(self, name: str, most: int = sys.maxsize) -> list[array.array[int]]:
        """Return the columns of the words of a field, which the layout must have, at most so many bytes of it."""
        span = self.layout.fields[name]
        end = min(span.end, span.start + most)
        return [self.word_column(number) for number in range(span.start // framing.WORD.size, _words(end))]

    def with_numbers(self, name: str, numbers: array.array[int]) -> Block:
        """Return the block with other numbers of 32 bits in a field, which the layout must have."""
        words = self.words[:]
        row_words = self.layout.size // framing.WORD.size
        words[self.layout.fields[name].start // framing.WORD.size :: row_words] = from_network(numbers[:])
        return Block(self.layout, words.tobytes())

    def with_large_numbers(self, name: str, numbers: t.Sequence[int]) -> Block:
        """Return the block with other numbers of 64 bits in a field, which the layout must have."""
        words = self.words[:]
        halves = array.array("I", struct.pack(f">{len(numbers)}Q", *numbers))
        row_words = self.layout.size // framing.WORD.size
        number = self.layout.fields[name].start // framing.WORD.size
        words[number::row_words], words[number + 1 :: row_words] = halves[::2], halves[1::2]
        return Block(self.layout, words.tobytes())

    def _numbers_at(self, start: int, size: int) -> t.Sequence[int]:
        """Return the numbers of ``size`` bytes that begin at byte ``start`` of each row."""
        if size == 1:
            return self.data[start :: self.layout.size]
        if size == 2:
            return self._halves_of_words(start)
        if size == 4:
            return self._words_at(start)
        if size == 8:
            return self._double_words_at(start)
        return [decode_number(row[start : start + size]) for row in self.rows]

    def _halves_of_words(self, start: int) -> array.array[int]:
        """Return the numbers of 16 bits. Each is the first half of a word, because all values begin at a word."""
        words = self.word_column(start // framing.WORD.size)
        halves = array.array("H", words.tobytes())
        return from_network(halves[::2])

    def _words_at(self, start: int) -> array.array[int]:
        return from_network(self.word_column(start // framing.WORD.size))

    def _double_words_at(self, start: int) -> t.Sequence[int]:
        """Return the numbers of 64 bits. Few counters ever need their upper half, which is seen as bytes at once."""
        high, low = self._words_at(start), self._words_at(start + 4)
        if high.tobytes() == bytes(4 * len(high)):
            return low
        return [upper << 32 | lower for upper, lower in zip(high, low)]


def _words(byte_count: int) -> int:
    """Return how many words so many bytes take."""
    return -(-byte_count // framing.WORD.size)


def from_network(numbers: array.array[int]) -> array.array[int]:
    """Return the numbers, which are in memory in network order. They take the place of those given."""
    if sys.byteorder == "little":
        numbers.byteswap()
    return numbers

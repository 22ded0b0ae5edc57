# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""How many entries have each value of a field, safe from whoever chooses the values.

Whoever sends packets chooses addresses and, through rules, marks. Two things keep that harmless:

- Python hashes a number without a secret, so that a sender can choose numbers that all meet in one place of a hash
  table. So each byte of a number is replaced by another one before it is counted, by a table that is a secret of this
  process. That takes 1 ns a byte. Long numbers are counted as bytes, for whose hash Python itself has a secret.
- Only so many values are kept. When there are more, the least frequent ones are left out, by the method of Misra and
  Gries ("Finding repeated elements", 1982): all counts are lowered by the same number, and those that reach 0 are gone.
"""

from __future__ import annotations

import array
import collections
import heapq
import random
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block

MOST_VALUES = 1 << 17
"""So many different values are counted exactly, in 10 MB of numbers or 15 MB of bytes."""


def _secret_table() -> bytes:
    """Return all bytes in an order that nobody can foresee."""
    table = list(range(256))
    random.SystemRandom().shuffle(table)
    return bytes(table)


_MASK = _secret_table()
_UNMASK = bytes(map(_MASK.index, range(256)))

_TYPE_CODES = {1: "B", 2: "H", 4: "I"}


def masked_words(column: array.array[int]) -> array.array[int]:
    """Return words as they are in memory, each replaced by another one that nobody can foresee."""
    return array.array("I", column.tobytes().translate(_MASK))


def unmasked_words(words: t.Iterable[int]) -> array.array[int]:
    """Return the words as they were in memory that ``masked_words`` replaced."""
    return array.array("I", array.array("I", words).tobytes().translate(_UNMASK))


class ValueCounts:
    """How many entries have each value of a field of ``size`` bytes.

    At most ``most`` different values are kept, without it MOST_VALUES.
    """

    def __init__(self, size: int, most: int | None = None) -> None:
        self._size = size
        self._type_code = _TYPE_CODES.get(size)
        self._most = MOST_VALUES if most is None else most
        self._counts: collections.Counter[t.Any] = collections.Counter()
        self.uncertainty = 0
        """By how much a count may be too small, and the most that a value has which was left out."""

    def add(self, block: Block, name: str) -> None:
        """Count a field of the entries of a block, which have the field."""
        if self._type_code is None:
            self._counts.update(block.byte_strings(name))
        else:
            self._add_numbers(array.array(self._type_code, block.numbers(name)).tobytes())
        self._leave_out()

    def add_constant(self, number: int, entries: int) -> None:
        """Count a number that so many entries have."""
        if self._type_code is None:
            raise ValueError("values of this size are counted as bytes")
        self._add_numbers(array.array(self._type_code, [number]).tobytes(), entries)
        self._leave_out()

    def _add_numbers(self, column: bytes, times: int = 1) -> None:
        """Count the numbers of a column, each so many times."""
        masked = column.translate(_MASK)
        first = masked[: self._size]
        if masked == first * (len(masked) // self._size):
            # Comparing bytes takes a hundredth of the time of counting the same number again and again.
            [key] = self._array(first)
            self._counts[key] += times * (len(masked) // self._size)
        else:
            self._counts.update(self._array(masked))

    def _array(self, data: bytes) -> array.array[int]:
        return array.array(self._type_code or "B", data)

    def _leave_out(self) -> None:
        """Keep only half of the values where there are too many, those with the largest counts.

        As many counts as are kept are lowered by the same number, which so is at most the number of entries divided by
        the number of values that are kept.
        """
        if len(self._counts) <= self._most:
            return
        number_left = self._most // 2
        lowered_by = sorted(self._counts.values())[-number_left - 1]
        remaining = {value: count - lowered_by for value, count in self._counts.items() if count > lowered_by}
        self._counts.clear()
        self._counts.update(remaining)
        self.uncertainty += lowered_by

    @property
    def distinct(self) -> int | None:
        """How many different values there are, or None where some were left out."""
        return None if self.uncertainty else len(self._counts)

    def most_common(self, number: int) -> list[tuple[int, int]]:
        """Return the values with the largest counts, as numbers.

        Of equal counts the smaller value comes first, whatever order they came in.
        """
        if not number:
            return []
        least = min(heapq.nlargest(number, self._counts.values()), default=0)
        larger = {value: count for value, count in self._counts.items() if count > least}
        equal = [value for value, count in self._counts.items() if count == least]
        pairs = zip(self._plain(list(larger)), larger.values())
        ordered = sorted(pairs, key=lambda pair: (-pair[1], pair[0]))
        smallest = heapq.nsmallest(number - len(ordered), self._plain(equal))
        return ordered + [(value, least) for value in smallest]

    def _plain(self, values: list[t.Any]) -> t.Sequence[int]:
        """Return what the values are as numbers."""
        if self._type_code is None:
            return [int.from_bytes(value, "big") for value in values]
        return self._array(array.array(self._type_code, values).tobytes().translate(_UNMASK))

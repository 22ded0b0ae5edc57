# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The words of lines that have the same shape, column by column.

The columns of wanted fields are packed. Of the others it is only made sure that they are values.
"""

from __future__ import annotations

import itertools
import operator
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._listing.line_shapes import Shape, words_of
from ansible_collections.netops.conntrack.plugins.module_utils._listing.rows import (
    Column,
    check_words,
    column_of,
    different,
    number_column,
)

_NO_DIGITS = bytes(byte for byte in range(256) if byte not in b"0123456789. =\n")
_WITHOUT_VALUE = (b"= ", b"=\t", b"=\r")

_KEYS_OF_TEXTS = frozenset({"helper", "secctx", "labels"})
_TAGS_OF_TEXTS = frozenset({"helper", "secctx", "label"})
"""The keys whose values are texts, which may differ in more than their digits."""

_FLAG = frozenset("[]")

_PAIRS = {
    _uapi.SRC_NAT: (
        ("source", "reply_destination"),
        ("source_port", "reply_destination_port"),
        ("icmp_id", "reply_icmp_id"),
    ),
    _uapi.DST_NAT: (("destination", "reply_source"), ("destination_port", "reply_source_port")),
}
"""By the bit of a translation, the fields that it makes different."""

_FIRST_OF = {other: one for names in _PAIRS.values() for one, other in names}
"""By a field of the reply, the one that is the same without a translation."""


def has_values(text: bytes) -> bool:
    """Return whether there is a value right behind each ``=`` of the lines."""
    return not any(key in text for key in _WITHOUT_VALUE) and not text.endswith(b"=")


def digits_of(text: bytes) -> str:
    """Return what is left of lines whose values have only digits and dots: these, each with the ``=`` before it."""
    return text.translate(None, _NO_DIGITS).decode("ascii")


def numbers_of(digits: str) -> list[str]:
    """Return the words of lines of which only the digits are left. There are none where a digit is not in a value.

    Of ``packets1=`` and ``packets=1``, the same letters are left.
    """
    values = digits.replace(" =", " ")
    return [] if "=" in values or "= " in digits or digits.endswith("=") else values.split()


def places_of(line: bytes, only_digits: bool) -> dict[int, int]:
    """Return by the number of a word its place among all words, or among those with digits."""
    words = enumerate(words_of(line))
    kept = (number for number, word in words if not only_digits or any(map(str.isdigit, word)))
    return {number: place for place, number in enumerate(kept)}


def words_alike(line: bytes, shape: Shape) -> dict[int, str]:
    """Return by their numbers the words that are no values, such as keys and flags.

    Another line that has a digit more in one of them looks the same without its digits.
    """
    words = words_of(line)
    is_markup = line.startswith((b"<", b"-"))
    texts = _TAGS_OF_TEXTS if is_markup else _KEYS_OF_TEXTS
    values = {*shape.words.values(), *shape.labels}
    return {
        number: word
        for number, (word, before) in enumerate(zip(words, ["", *words]))
        if number not in values and before not in texts and _is_no_value(word, is_markup)
    }


def _is_no_value(word: str, is_markup: bool) -> bool:
    """Return whether a word is the same in all lines that are alike. What others add can have a number in its value."""
    is_name = is_markup and word[0].isalpha()
    return is_name or not _FLAG.isdisjoint(word) or not any(map(str.isdigit, word))


class Columns:
    """The ``words`` of ``lines`` that have the same shape. ``fields`` are wanted, or all if it is None."""

    def __init__(self, words: list[str], lines: int, shape: Shape, fields: frozenset[str] | None) -> None:
        self._words = words
        self._lines = lines
        self._shape = shape
        self._fields = fields
        self._per_line = len(shape.places)

    @property
    def are_complete(self) -> bool:
        """Whether each line has all of the words. A word more would show in the skeleton."""
        return len(self._words) == self._per_line * self._lines

    @property
    def are_fixed(self) -> bool:
        """Whether the words that may not differ do not."""
        return all(column.count(wanted) == len(column) for column, wanted in self._fixed())

    def _fixed(self) -> t.Iterator[tuple[list[str], str]]:
        for number, word in self._shape.fixed.items():
            if number in self._shape.places:
                rest = "".join(filter(str.isdigit, word)) if self._shape.only_digits else word
                yield self._column(number), rest

    def parted(self, numbers: t.Iterable[int]) -> list[list[int]]:
        """Return the numbers of the lines, those together whose fixed words are the same."""
        parts: dict[tuple[str, ...], list[int]] = {}
        for number, words in zip(numbers, zip(*(column for column, _wanted in self._fixed()))):
            parts.setdefault(words, []).append(number)
        return list(parts.values())

    def _column(self, number: int) -> list[str]:
        """Return the word of this number of every line."""
        return self._words[self._shape.places[number] :: self._per_line]

    def packed(self) -> dict[str, Column]:
        """Return the wanted columns, packed. Raises ValueError, OverflowError or OSError for a word that is no value.

        That a number has no letter is sure: a letter would be in the skeleton.
        """
        shape = self._shape
        words = {field: self._column(number) for field, number in shape.words.items()}
        _join_directions(words)
        columns: dict[str, Column] = {}
        for field, column in words.items():
            first = _FIRST_OF.get(field, "")
            is_same = words.get(first) is column
            if is_same and first in columns:
                columns[field] = columns[first]
            elif self._wants(field):
                columns[field] = column_of(field, column, shape.family)
            elif not is_same:
                check_words(field, _not_in(words.get(first), column), shape.family)
        if shape.labels:
            labels = list(map(",".join, zip(*map(self._column, shape.labels))))
            columns["labels"] = column_of("labels", labels, shape.family)
        for field, value in shape.values.items():
            columns[field] = number_column(field, [value])
        if self._wants("status"):
            columns["status"] = number_column("status", self._status(words))
        return {field: column for field, column in columns.items() if self._wants(field)}

    def _wants(self, field: str) -> bool:
        return self._fields is None or field in self._fields

    def _status(self, words: t.Mapping[str, list[str]]) -> list[int]:
        """Return the status of each line, or one for all.

        A translation shows in the reply, which otherwise is the original direction turned round.
        """
        status = [self._shape.status]
        for bit, names in _PAIRS.items():
            pairs = [(words[one], words[other]) for one, other in names if one in words and other in words]
            changed = different(pairs)
            if changed is not None:
                before = status * len(changed) if len(status) == 1 else status
                status = [old | bit if change else old for old, change in zip(before, changed)]
        return status


def _not_in(first: list[str] | None, column: list[str]) -> list[str]:
    """Return the words of a column that differ from those of the ``first`` direction, which are looked at there."""
    return column if first is None else list(itertools.compress(column, map(operator.ne, column, first)))


def _join_directions(words: dict[str, list[str]]) -> None:
    """Let both directions share the lists of what is the same in both, so that it is looked at once."""
    for other, one in _FIRST_OF.items():
        if one in words and other in words and words[one] == words[other]:
            words[other] = words[one]

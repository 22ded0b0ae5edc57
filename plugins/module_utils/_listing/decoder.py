# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Pieces of a file, made blocks of entries, with the lines that were not understood.

Lines are sorted into groups by what is left of them without digits. All lines of a group have the same shape, so the
words of all are split at once, and a field of all is every nth word (see ``columns``).
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import heapq
import itertools
import re

from ansible_collections.netops.conntrack.plugins.module_utils._listing.columns import (
    Columns,
    digits_of,
    has_values,
    numbers_of,
    places_of,
    words_alike,
)
from ansible_collections.netops.conntrack.plugins.module_utils._listing.entry_lines import line_of_json
from ansible_collections.netops.conntrack.plugins.module_utils._listing.line_shapes import (
    Shape,
    shape_of_line,
    words_of,
)
from ansible_collections.netops.conntrack.plugins.module_utils._listing.markup_shapes import (
    shape_of_save,
    shape_of_xml,
)
from ansible_collections.netops.conntrack.plugins.module_utils._listing.rows import Form, RowWriter, form_of

LONGEST_LINE = 1 << 14
"""Bytes of a line. Those of conntrack have a twentieth at most."""

SHOWN = 10
"""Lines that were not understood and are shown."""

_DIGITS = b"0123456789"

_PRINTABLE = bytes(range(32, 127)) + b"\t\r"

_SIX = re.compile(rb"(?<=[=> ])[a-f]*:[a-f:.]*(?=[ <\r]|$)")
"""An IPv6 address without its digits."""

_SIX_AFTER_KEY = re.compile(rb"=[a-f]*:[a-f:.]*(?=[ \r]|$)")
"""The same of a line that is neither of XML nor of ``-o save``, which is found in a third of the time."""

_TEXT_KEYS = (b"key=0x", b"key>0x", b"helper", b"secctx", b"label")
_TEXT_VALUE = re.compile(rb"((?:srckey|dstkey|helper|secctx|labels?)[=>])([^\s<]*)")
"""Other values that may have letters."""

_NOTHING = re.compile(
    rb"\s*|#.*|<\?xml [^>]*\?>|</?conntrack>|conntrack v\S* \(conntrack-tools\):  flow entries have been shown\.?",
    re.ASCII,
)
"""What the tool writes besides entries, and comments, without digits."""

_NOTED = re.compile(rb"^(# [a-z-]+=[^\n]*)\n(-A [^\n\r#]*)", re.MULTILINE)
"""A comment about the entry of the line after it."""

_LAST_LINE = re.compile(rb"(?:\A|\n)# complete ([0-9]+)\s*\Z")
"""What a whole backup ends with: how many entries it has."""

_LONGEST_LAST_LINE = 64

_COMPLETE = re.compile(rb".* use=\d+|.*</flow>|# complete \d+", re.ASCII)
"""A last line that is known to be complete although no line feed ends it."""

_JSON = b"{"
"""What each line of NDJSON begins with."""

_AT_ONCE = 1 << 10
"""Lines that are decoded at once. Of more, the words take memory that the kernel has to clear again and again."""

_MOST_REMEMBERED = 1 << 13
_MOST_FORMS = 1 << 12
"""So many kinds of rows are decoded at most. A router has some dozens, and each takes memory until the file is read."""

_BAD_VALUES = (ValueError, OverflowError, OSError)

_DIRECTIONS = 2
"""How often a line has an address of a source."""

_NOT_ENTRIES = Shape()


@dataclasses.dataclass
class Decoded:
    """What a piece of a file has: ``rows`` by their form, its number of ``lines``, and how many are no entries.

    ``not_understood`` are the first of those lines, each with its number in the piece, from 1 on. ``complete`` is how
    many entries the file has, as the last line of a whole backup says. None where that is not the last line.
    """

    rows: list[tuple[Form, bytes]]
    lines: int
    not_understood_number: int
    not_understood: list[tuple[int, bytes]]
    complete: int | None = None


class Decoder:
    """Decodes the pieces of a file, one after the other. Rows have the ``fields``, or all if it is None.

    Values of other fields are not kept. They have to be values all the same, or the line is not understood.
    """

    def __init__(self, fields: frozenset[str] | None = None) -> None:
        self._fields = fields
        self._shapes: dict[bytes, Shape] = {}
        self._writers: dict[Form, RowWriter] = {}

    def decode(self, data: bytes) -> Decoded:
        """Return the entries of whole lines. Only the last line of a file may lack its line feed."""
        piece = _Piece(data)
        groups = _Groups()
        # Without a step of Python for each line.
        collections.deque(map(list.append, map(groups.__getitem__, piece.skeletons), itertools.count()), maxlen=0)
        for key, group in groups.by_key.items():
            self._add(piece, group, key)
        return piece.decoded()

    def _add(self, piece: _Piece, group: list[int], key: bytes) -> None:
        """Add the rows of lines that have the same skeleton."""
        shape = self._shapes.get(key) or self._learned(piece, group, key)
        if shape is None:
            piece.bad += group
        elif shape is not _NOT_ENTRIES:
            for start in range(0, len(group), _AT_ONCE):
                self._add_shape(piece, group[start : start + _AT_ONCE], shape)

    def _learned(self, piece: _Piece, group: list[int], key: bytes) -> Shape | None:
        """Return the shape of lines that have this skeleton, or None if no line of the group has one.

        A line without a number that it should have does not spoil it for the others.
        """
        if _NOTHING.fullmatch(key):
            shape: Shape | None = _NOT_ENTRIES
        elif _is_of_a_format(key):
            shape = next(filter(None, map(piece.own_shape, group)), None)
        else:
            return None
        if shape is not None:
            if len(self._shapes) > _MOST_REMEMBERED:
                self._shapes.clear()
            self._shapes[key] = shape
        return shape

    def _add_shape(self, piece: _Piece, group: list[int], shape: Shape | None) -> None:
        if shape is None:
            piece.bad += group
            return
        columns = Columns(piece.words(group, shape.only_digits), len(group), shape, self._fields)
        if columns.are_complete and not columns.are_fixed:
            # They are of several protocols, for example, whose numbers are not in the skeleton.
            parts = columns.parted(group)
            for part in parts:
                own = piece.own_shape(part[0])
                # Lines that do not even have their own shape have none.
                self._add_shape(piece, part, None if len(parts) == 1 and own == shape else own)
            return
        try:
            packed = columns.packed() if columns.are_complete else None
        except _BAD_VALUES:
            packed = None
        if packed is None:
            self._add_halves(piece, group, shape)
            return
        form = form_of(shape.family, shape.protocol, packed)
        if form not in self._writers:
            if len(self._writers) >= _MOST_FORMS:
                piece.bad += group
                return
            self._writers[form] = RowWriter(form, self._fields)
        piece.rows.append((form, self._writers[form].rows(len(group), packed)))

    def _add_halves(self, piece: _Piece, group: list[int], shape: Shape) -> None:
        """Add the rows of lines of which at least one is not understood, or has another shape."""
        if len(group) == 1:
            # SYN_SENT2 differs from SYN_SENT in a digit.
            own = piece.own_shape(group[0])
            self._add_shape(piece, group, None if own == shape else own)
            return
        middle = len(group) // 2
        self._add_shape(piece, group[:middle], shape)
        self._add_shape(piece, group[middle:], shape)


class _Piece:
    """The lines of a piece, which are called by their numbers, and what was made of them: ``rows``, and ``bad`` lines.

    ``skeletons`` are the whole lines without their digits.
    """

    def __init__(self, data: bytes) -> None:
        if data.startswith(_JSON):
            data = b"\n".join(map(line_of_json, data.split(b"\n")))
        last_line = _LAST_LINE.search(data[-_LONGEST_LAST_LINE:])
        self._complete = int(last_line.group(1)) if last_line else None
        if b"# " in data:
            # The comment follows on the line of its entry, so that the lines keep their numbers.
            data = _NOTED.sub(rb"\n\2 \1", data)
        self._data = data
        self.skeletons = data.translate(None, _DIGITS).split(b"\n")
        # In most files, no line is needed with all of its letters.
        self._numbers = digits_of(data).split("\n")
        last = data[data.rfind(b"\n") + 1 :]
        self._cut: list[tuple[int, bytes]] = []
        if not _COMPLETE.fullmatch(last):
            # Nothing is behind the last line feed, or a line that may go on.
            self._cut = [(len(self.skeletons), last)] if last else []
            del self.skeletons[-1]
        self.rows: list[tuple[Form, bytes]] = []
        self.bad: list[int] = []

    @functools.cached_property
    def _lines(self) -> list[bytes]:
        return self._data.split(b"\n")

    def words(self, group: list[int], only_digits: bool) -> list[str]:
        """Return the words of lines, one line after the other, or those of digits and dots.

        There are none where a text has a byte that no line may have, or a digit outside of a value. Neither shows in
        the skeleton.
        """
        if only_digits:
            return numbers_of(" ".join(map(self._numbers.__getitem__, group)))
        text = b" ".join(map(self._lines.__getitem__, group))
        return words_of(text) if has_values(text) and not text.translate(None, _PRINTABLE) else []

    def own_shape(self, number: int) -> Shape | None:
        """Return the shape of a line, or None if it is not understood."""
        line = self._lines[number]
        text = line.rstrip(b"\r").decode("latin-1")
        if len(line) >= LONGEST_LINE or not (text.isascii() and text.replace("\t", " ").isprintable()):
            return None
        read = shape_of_xml if text.startswith("<") else shape_of_save if text.startswith("-") else shape_of_line
        shape = read(text)
        if shape is None:
            return None
        shape.places = places_of(line, shape.only_digits)
        # An address may have no digit.
        if not shape.places.keys() >= {*shape.words.values(), *shape.labels}:
            return None
        if not shape.only_digits:
            shape.fixed.update(words_alike(line, shape))
        return shape

    def decoded(self) -> Decoded:
        """Return what was made of the lines."""
        first = [(number + 1, self._lines[number]) for number in heapq.nsmallest(SHOWN, self.bad)]
        lines = len(self.skeletons) + len(self._cut)
        number = len(self.bad) + len(self._cut)
        return Decoded(self.rows, lines, number, (first + self._cut)[:SHOWN], self._complete)


class _Groups(dict[bytes, list[int]]):
    """The numbers of lines by their skeletons.

    Those whose skeletons differ in values only are one group, as in ``by_key``.
    """

    def __init__(self) -> None:
        super().__init__()
        self.by_key: dict[bytes, list[int]] = {}

    def __missing__(self, skeleton: bytes) -> list[int]:
        key = _without_six(skeleton) if b":" in skeleton else skeleton
        if any(map(key.__contains__, _TEXT_KEYS)):
            key = _TEXT_VALUE.sub(_without_value, key)
        group = self[skeleton] = self.by_key.setdefault(key, [])
        return group


def _without_six(skeleton: bytes) -> bytes:
    if skeleton.startswith((b"<", b"-")):
        return _SIX.sub(b":", skeleton)
    return _SIX_AFTER_KEY.sub(b"=:", skeleton)


def _without_value(found: re.Match[bytes]) -> bytes:
    """Return a key without its value, but with what decides how the value is read."""
    key, value = found.groups()
    if key[:5] == b"label":
        return key + (b"a" if value.strip(b",") else b"")
    if key[:6] in (b"helper", b"secctx"):
        return key
    return key + value[:2]


def _is_of_a_format(skeleton: bytes) -> bool:
    """Return whether a line can be an entry, by what does not depend on its digits."""
    return skeleton.startswith((b"<flow>", b"-A ")) or skeleton.count(b"src=") == _DIRECTIONS

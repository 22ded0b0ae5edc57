# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Pieces of a file, made blocks of entries, with the lines that were not understood.

Lines are sorted into groups by what is left of them without digits. All lines of a group have the same shape, so the
words of all are split at once, and a field of all is every nth word.
"""

from __future__ import annotations

import collections
import dataclasses
import re
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._listing.line_shapes import Shape, shape_of_line
from ansible_collections.netops.conntrack.plugins.module_utils._listing.markup_shapes import (
    shape_of_save,
    shape_of_xml,
)
from ansible_collections.netops.conntrack.plugins.module_utils._listing.rows import (
    Column,
    Form,
    RowWriter,
    column_of,
    different,
    form_of,
    number_column,
)

LONGEST_LINE = 1 << 14
"""Bytes of a line. Those of conntrack have a twentieth at most."""

SHOWN = 10
"""Lines that were not understood and are shown."""

_DIGITS = b"0123456789."
_SEPARATORS = bytes(32 if byte in b'=<>"' else byte for byte in range(256))
_NO_DIGITS = bytes(byte for byte in range(256) if byte not in b"0123456789. \n")
"""What is left out of lines whose values have only digits and dots, so that nothing else is left of their words."""

_SIX = re.compile(rb"(?<=[=> ])[a-f]*:[a-f:]*(?=[ <\r]|$)")
"""An IPv6 address without its digits."""

_TEXT_KEY = re.compile(rb"key[=>]0x|helper|secctx|label")
_TEXT_VALUE = re.compile(rb"((?:srckey|dstkey|helper|secctx|labels?)[=>])([^\s<]*)")
"""Other values that may have letters."""

_NOTHING = re.compile(
    rb"\s*|#.*|<\?xml [^>]*\?>|</?conntrack>|conntrack v\S* \(conntrack-tools\):  flow entries have been shown",
    re.ASCII,
)
"""What the tool writes besides entries, and comments, without digits and dots."""

_NOTED = re.compile(rb"^(# [a-z-]+=[^\n]*)\n(-A [^\n\r#]*)", re.MULTILINE)
"""A comment about the entry of the line after it."""

_LAST_LINE = re.compile(rb"(?:\A|\n)# complete ([0-9]+)\s*\Z")
"""What a whole backup ends with: how many entries it has."""

_LONGEST_LAST_LINE = 64

_COMPLETE = re.compile(rb".* use=\d+|.*</flow>|# complete \d+", re.ASCII)
"""A last line that is known to be complete although no line feed ends it."""

_AT_ONCE = 1 << 11
"""Lines that are decoded at once. Of more, the words take memory that the kernel has to clear again and again."""

_MOST_REMEMBERED = 1 << 13
_MOST_FORMS = 1 << 12
"""So many kinds of rows are decoded at most. A router has some dozens, and each takes memory until the file is read."""

_BAD_VALUES = (ValueError, OverflowError, OSError)

_PAIRS = {
    _uapi.SRC_NAT: (
        ("source", "reply_destination"),
        ("source_port", "reply_destination_port"),
        ("icmp_id", "reply_icmp_id"),
    ),
    _uapi.DST_NAT: (("destination", "reply_source"), ("destination_port", "reply_source_port")),
}
"""By the bit of a translation, the fields that it makes different."""

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
    """Decodes the pieces of a file, one after the other."""

    def __init__(self) -> None:
        self._shapes: dict[bytes, Shape] = {}
        self._writers: dict[Form, RowWriter] = {}

    def decode(self, piece: bytes) -> Decoded:
        """Return the entries of whole lines. Only the last line of a file may lack its line feed."""
        last_line = _LAST_LINE.search(piece[-_LONGEST_LAST_LINE:])
        if b"# " in piece:
            # The comment follows on the line of its entry, so that the lines keep their numbers.
            piece = _NOTED.sub(rb"\n\2 \1", piece)
        lines = piece.split(b"\n")
        skeletons = piece.translate(None, _DIGITS).split(b"\n")
        cut: list[tuple[int, bytes]] = []
        if not _COMPLETE.fullmatch(lines[-1]):
            # Nothing is behind the last line feed, or a line that may go on.
            cut = [(len(lines), lines[-1])] if lines[-1] else []
            del lines[-1], skeletons[-1]
        groups = _Groups()
        # Without a step of Python for each line.
        collections.deque(map(list.append, map(groups.__getitem__, skeletons), lines), maxlen=0)
        rows: list[tuple[Form, bytes]] = []
        bad: set[bytes] = set()
        for key, group in groups.by_key.items():
            self._add(rows, group, key, bad)
        found = [(number, line) for number, line in enumerate(lines, 1) if line in bad] if bad else []
        complete = int(last_line.group(1)) if last_line else None
        return Decoded(rows, len(lines) + len(cut), len(found + cut), (found + cut)[:SHOWN], complete)

    def _add(self, rows: list[tuple[Form, bytes]], group: list[bytes], key: bytes, bad: set[bytes]) -> None:
        """Add the rows of lines that have the same skeleton."""
        shape = self._shapes.get(key) or self._learned(group, key)
        if shape is None:
            bad.update(group)
        elif shape is not _NOT_ENTRIES:
            for start in range(0, len(group), _AT_ONCE):
                self._add_shape(rows, group[start : start + _AT_ONCE], shape, bad)

    def _learned(self, group: list[bytes], key: bytes) -> Shape | None:
        """Return the shape of lines that have this skeleton, or None if no line of the group has one.

        A line without a number that it should have does not spoil it for the others.
        """
        if _NOTHING.fullmatch(key):
            shape: Shape | None = _NOT_ENTRIES
        elif _is_of_a_format(key):
            shape = next(filter(None, map(_own_shape, group)), None)
        else:
            return None
        if shape is not None:
            if len(self._shapes) > _MOST_REMEMBERED:
                self._shapes.clear()
            self._shapes[key] = shape
        return shape

    def _add_shape(
        self, rows: list[tuple[Form, bytes]], group: list[bytes], shape: Shape | None, bad: set[bytes]
    ) -> None:
        if shape is None:
            bad.update(group)
            return
        columns = _Columns(group, shape)
        if columns.are_complete and not columns.are_fixed:
            # They are of several protocols, for example, whose numbers are not in the skeleton.
            for part in columns.parted():
                self._add_shape(rows, part, _own_shape(part[0]), bad)
            return
        try:
            packed = columns.packed() if columns.are_complete else None
        except _BAD_VALUES:
            packed = None
        if packed is None:
            self._add_halves(rows, group, shape, bad)
            return
        form = form_of(shape.family, shape.protocol, packed)
        if form not in self._writers:
            if len(self._writers) >= _MOST_FORMS:
                bad.update(group)
                return
            self._writers[form] = RowWriter(form)
        rows.append((form, self._writers[form].rows(len(group), packed)))

    def _add_halves(self, rows: list[tuple[Form, bytes]], group: list[bytes], shape: Shape, bad: set[bytes]) -> None:
        """Add the rows of lines of which at least one is not understood, or has another shape."""
        if len(group) == 1:
            # SYN_SENT2 differs from SYN_SENT in a digit.
            own = _own_shape(group[0])
            self._add_shape(rows, group, None if own == shape else own, bad)
            return
        middle = len(group) // 2
        self._add_shape(rows, group[:middle], shape, bad)
        self._add_shape(rows, group[middle:], shape, bad)


class _Groups(dict[bytes, list[bytes]]):
    """The lines by their skeletons. Those whose skeletons differ in values only are one group, as in ``by_key``."""

    def __init__(self) -> None:
        super().__init__()
        self.by_key: dict[bytes, list[bytes]] = {}

    def __missing__(self, skeleton: bytes) -> list[bytes]:
        key = _SIX.sub(b":", skeleton) if b":" in skeleton else skeleton
        if _TEXT_KEY.search(key):
            key = _TEXT_VALUE.sub(_without_value, key)
        group = self[skeleton] = self.by_key.setdefault(key, [])
        return group


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


def _own_shape(line: bytes) -> Shape | None:
    """Return the shape of a line, or None if it is not understood."""
    text = line.rstrip(b"\r").decode("latin-1")
    if len(line) >= LONGEST_LINE or not (text.isascii() and text.replace("\t", " ").isprintable()):
        return None
    read = shape_of_xml if text.startswith("<") else shape_of_save if text.startswith("-") else shape_of_line
    shape = read(text)
    if shape is not None:
        shape.places = _places(_words_of(line), shape.only_digits)
    return shape


def _places(words: list[str], only_digits: bool) -> dict[int, int]:
    """Return by the number of a word its place among all words, or among those with digits."""
    kept = (number for number, word in enumerate(words) if not only_digits or any(map(str.isdigit, word)))
    return {number: place for place, number in enumerate(kept)}


class _Columns:
    """The words of lines that have the same shape, column by column."""

    def __init__(self, lines: list[bytes], shape: Shape) -> None:
        self._lines = lines
        self._shape = shape
        self._per_line = len(shape.places)
        text = b"\n".join(lines)
        rest = text.translate(None, _NO_DIGITS) if shape.only_digits else text.translate(_SEPARATORS)
        self._words = rest.decode("latin-1").split()

    @property
    def are_complete(self) -> bool:
        """Whether each line has all of the words. A word more would show in the skeleton."""
        return len(self._words) == self._per_line * len(self._lines)

    @property
    def are_fixed(self) -> bool:
        """Whether the words that may not differ do not."""
        return all(column.count(wanted) == len(column) for column, wanted in self._fixed())

    def _fixed(self) -> t.Iterator[tuple[list[str], str]]:
        for number, word in self._shape.fixed.items():
            if number in self._shape.places:
                rest = "".join(filter(str.isdigit, word)) if self._shape.only_digits else word
                yield self._column(number), rest

    def parted(self) -> list[list[bytes]]:
        """Return the lines, those together whose fixed words are the same."""
        parts: dict[tuple[str, ...], list[bytes]] = {}
        for line, words in zip(self._lines, zip(*(column for column, _wanted in self._fixed()))):
            parts.setdefault(words, []).append(line)
        return list(parts.values())

    def _column(self, number: int) -> list[str]:
        """Return the word of this number of every line."""
        return self._words[self._shape.places[number] :: self._per_line]

    def packed(self) -> dict[str, Column]:
        """Return the fields' columns, packed. Raises ValueError, OverflowError or OSError for a word that is none."""
        shape = self._shape
        words = {field: self._column(number) for field, number in shape.words.items()}
        columns: dict[str, Column] = {}
        status = self._status(words, columns)
        for field in words.keys() - columns.keys():
            columns[field] = column_of(field, words[field], shape.family)
        for field, value in shape.values.items():
            columns[field] = number_column(field, [value])
        if shape.labels:
            labels = list(map(",".join, zip(*map(self._column, shape.labels))))
            columns["labels"] = column_of("labels", labels, shape.family)
        columns["status"] = status
        return columns

    def _status(self, words: t.Mapping[str, list[str]], columns: dict[str, Column]) -> Column:
        """Return the status. A translation shows in the reply, which otherwise is the original direction turned round.

        What is the same in both directions is packed once, and added to the ``columns``.
        """
        bits: list[int] | None = None
        for bit, names in _PAIRS.items():
            pairs = [(words[one], words[other]) for one, other in names if one in words and other in words]
            changed = different(pairs)
            if changed is None:
                self._pack_once(names, words, columns)
                continue
            before = [self._shape.status] * len(changed) if bits is None else bits
            bits = [old | bit if change else old for old, change in zip(before, changed)]
        return number_column("status", [self._shape.status] if bits is None else bits)

    def _pack_once(
        self, names: t.Iterable[tuple[str, str]], words: t.Mapping[str, list[str]], columns: dict[str, Column]
    ) -> None:
        for one, other in names:
            if one in words and other in words:
                columns[one] = columns[other] = column_of(one, words[one], self._shape.family)


def _words_of(line: bytes) -> list[str]:
    return line.translate(_SEPARATORS).decode("latin-1").split()

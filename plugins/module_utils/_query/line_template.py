# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The lines of a block, made of a text with gaps and of the columns that fill them."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._entry.entry import Entry
from ansible_collections.netops.conntrack.plugins.module_utils._query import column_texts
from ansible_collections.netops.conntrack.plugins.module_utils._query.column_texts import Part
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block
from ansible_collections.netops.conntrack.plugins.module_utils._table.layouts import NUMBER, STOP, Layout
from ansible_collections.netops.conntrack.plugins.module_utils._table.memo import Memo

Column = t.Callable[[Block], t.Iterable[Part]]

NANOSECONDS = 1_000_000_000

_GAP = re.compile("%[dxs]")


class Word(t.NamedTuple):
    """A word of a line, and the fields that it is made of."""

    fields: tuple[str, ...]
    text_of: t.Callable[[Entry], str]


class LineTemplate:
    """What the lines of the entries of one layout have in common, and where they differ.

    The texts that are added have a gap for each column: %d for a number, %x for one in hexadecimal digits, %s for a
    text. ``words`` make words of an entry, each of which reads few fields and can be empty.
    """

    def __init__(self, layout: Layout, context: Context, words: t.Sequence[Word] = ()) -> None:
        self.layout = layout
        self._context = context
        self._parts: list[str | Column | int] = []
        fields = {field for word in words for field in word.fields}
        self._varying = sorted(fields & layout.fields.keys())
        self._words_of = Memo(fields, lambda entry: tuple(word.text_of(entry) for word in words))

    def lines(self, block: Block) -> list[str]:
        """Return the line of each entry."""
        return column_texts.joined(self._parts_of(block), len(block)) if len(block) else []

    def _parts_of(self, block: Block) -> t.Iterator[Part]:
        words = column_texts.words(block, self._words_of, self._varying)
        for part in self._parts:
            if isinstance(part, str):
                yield part
            elif isinstance(part, int):
                yield words[part]
            else:
                yield from part(block)

    def has(self, *fields: str) -> bool:
        """Return whether the entries of the layout have all of these fields."""
        return self.layout.fields.keys() >= set(fields)

    def add_text(self, text: str) -> None:
        """Add what is the same in all lines."""
        self._parts.append(text)

    def add_texts(self, text: str, texts: t.Callable[[Block], t.Iterable[str]]) -> None:
        """Add a text with a gap, and the function that returns what fills it in each row."""
        self._add(text, lambda block: [list(texts(block))])

    def add_word(self, number: int) -> None:
        """Add the word of this number."""
        self._parts.append(number)

    def add_value(self, field: str, text: str) -> None:
        """Add the value of a field, if the entries have it."""
        if not self.has(field):
            return
        if "%x" in text:
            self.add_texts(text, lambda block: map("%x".__mod__, block.numbers(field)))
        elif self.layout.fields[field].encoding is NUMBER:
            self._add(text, lambda block: [column_texts.number(block, field)])
        else:
            self.add_texts(text, lambda block: block.column(field))

    def add_address(self, field: str, text: str) -> None:
        """Add an address, which every entry has."""
        self._add(text, lambda block: column_texts.address(block, field))

    def add_number(self, field: str, text: str) -> None:
        """Add a number of a tuple. The tool prints 0 for one that the kernel did not send."""
        if self.has(field):
            self.add_value(field, text)
        else:
            self.add_text(text % 0)

    def add_age(self, text: str) -> None:
        """Add the age in seconds, if the entries have a timestamp."""
        if self.has("start"):
            self.add_texts(text, self._ages)

    def _ages(self, block: Block) -> t.Iterator[str]:
        # The tool cuts both times to whole seconds before it subtracts, unlike the field age.
        now = self._context.now
        if self.has(STOP):
            # Their start was moved by the time since their end (see _table.events).
            times = zip(block.numbers("start"), block.numbers(STOP))
            return (str(stop // NANOSECONDS - (start + stop - now) // NANOSECONDS) for start, stop in times)
        seconds = now // NANOSECONDS
        return (str(seconds - start // NANOSECONDS) for start in block.numbers("start"))

    def _add(self, text: str, column: Column) -> None:
        before, after = _GAP.split(text)
        self._parts += [before, column, after]

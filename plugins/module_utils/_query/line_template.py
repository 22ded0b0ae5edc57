# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The lines of a block, made of a text with gaps and of the columns that fill them."""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._query.fields import address_text
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block
from ansible_collections.netops.conntrack.plugins.module_utils._table.layouts import Layout
from ansible_collections.netops.conntrack.plugins.module_utils._table.memo import Memo

Column = t.Callable[[Block], t.Iterable[t.Any]]

NANOSECONDS = 1_000_000_000


class LineTemplate:
    """What the lines of the entries of one layout have in common, and where they differ.

    The texts that are added have a gap such as %d for each column. They have no other percent sign.
    """

    def __init__(self, layout: Layout, context: Context) -> None:
        self.layout = layout
        self._context = context
        self._text = ""
        self._columns: list[Column] = []

    def lines(self, block: Block) -> t.Iterator[str]:
        """Return the line of each entry."""
        return map(self._text.__mod__, zip(*(column(block) for column in self._columns)))

    def has(self, *fields: str) -> bool:
        """Return whether the entries of the layout have all of these fields."""
        return self.layout.fields.keys() >= set(fields)

    def add_text(self, text: str) -> None:
        """Add what is the same in all lines."""
        self._text += text

    def add_column(self, text: str, column: Column) -> None:
        """Add a text with a gap, and what fills the gap."""
        self._text += text
        self._columns.append(column)

    def add_word(self, memo: Memo[str]) -> None:
        """Add a word that is made of several fields, and can be empty."""
        self.add_column("%s", memo)

    def add_value(self, field: str, text: str) -> None:
        """Add the value of a field, if the entries have it."""
        if self.has(field):
            self.add_column(text, lambda block: block.column(field))

    def add_address(self, field: str, text: str) -> None:
        """Add an address, which every entry has."""
        self.add_column(text, lambda block: map(address_text, block.column(field)))

    def add_number(self, field: str, text: str) -> None:
        """Add a number of a tuple. The tool prints 0 for one that the kernel did not send."""
        if self.has(field):
            self.add_value(field, text)
        else:
            self.add_text(text % 0)

    def add_age(self, text: str) -> None:
        """Add the age in seconds, if the entries have a timestamp."""
        if self.has("start"):
            self.add_column(text, self._ages)

    def _ages(self, block: Block) -> t.Iterator[int]:
        # The tool cuts both times to whole seconds before it subtracts, unlike the field age.
        now = self._context.now // NANOSECONDS
        return (now - start // NANOSECONDS for start in block.column("start"))

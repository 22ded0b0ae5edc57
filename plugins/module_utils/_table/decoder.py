# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Sorting the rows of a dump into blocks of one layout.

The words of a row's structure decide its layout. They are compared by columns as well: where all rows have the same
word, that is one comparison of bytes. Only the rows that differ are looked at again.
"""

from __future__ import annotations

import collections
import operator
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._errors import InterruptedDumpError, MalformedError
from ansible_collections.netops.conntrack.plugins.module_utils._netlink import framing
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block
from ansible_collections.netops.conntrack.plugins.module_utils._table.layouts import Layout, words_of


class Decoder:
    """Sorts the rows that answer the request ``sequence`` into blocks."""

    def __init__(self, sequence: int) -> None:
        self._sequence = sequence
        self._layouts: collections.defaultdict[int, _Layouts] = collections.defaultdict(_Layouts)

    def blocks(self, runs: t.Iterable[bytes]) -> t.Iterator[Block]:
        """Yield all entries of the runs in blocks. Raises what ``layout_of`` raises."""
        runs_of_kind = collections.defaultdict(list)
        for run in runs:
            runs_of_kind[framing.kind_of(run)].append(run)
        for same_kind in runs_of_kind.values():
            size = framing.size_of(same_kind[0])
            waiting = collections.deque([b"".join(same_kind)])
            while waiting:
                rows = waiting.popleft()
                layout = self.layout_of(rows[:size])
                block, others = _divide(rows, layout)
                waiting += others
                yield block

    def layout_of(self, row: bytes) -> Layout:
        """Return the layout of a row. Raises MalformedError for one that is malformed, or is not an entry of this dump.

        Raises InterruptedDumpError if the kernel says that the table changed too much during the dump.
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
        return layouts.add(Layout.of_message(row))


class _Layouts:
    """The layouts of rows of one size, found by the words of their structure.

    A sender may use all 256 protocols, each of which is a layout. But their structure is in the same words, so that one
    look into a dict finds the layout among all of them.
    """

    def __init__(self) -> None:
        self._by_numbers: dict[tuple[int, ...], dict[bytes, Layout]] = {}
        """The layouts by the numbers of the words of their structure, then by these words."""

    def find(self, row: bytes) -> Layout | None:
        """Return the layout of the row, None if it is not known yet."""
        for numbers, layouts in self._by_numbers.items():
            layout = layouts.get(words_of(row, numbers))
            if layout is not None:
                return layout
        return None

    def add(self, layout: Layout) -> Layout:
        """Note a layout and return it."""
        numbers = tuple(number for number, _word in layout.structure)
        words = b"".join(word for _number, word in layout.structure)
        return self._by_numbers.setdefault(numbers, {}).setdefault(words, layout)


def _divide(rows: bytes, layout: Layout) -> tuple[Block, list[bytes]]:
    """Return the block of those rows that have the layout, and the other rows, parted where they differ from it.

    So rows of many layouts are parted in one pass, instead of one pass for each layout.
    """
    block = Block(layout, rows)
    others: list[bytes] = []
    row_words = layout.size // framing.WORD.size
    words, count = block.words, len(block)
    # Each of dozens of words is looked at in each block: what a call costs would be more than the comparison.
    for number, word in layout.structure:
        column = words[number::row_words]
        if column.tobytes() != word * count:
            differ = list(map(framing.WORD.unpack(word)[0].__ne__, column))
            others += _parted(block.where(differ), number)
            block = block.where(map(operator.not_, differ))
            words, count = block.words, len(block)
    return block, others


def _parted(block: Block, number: int) -> list[bytes]:
    """Return the rows of a block, those with the same word of this number together."""
    words = block.word_column(number)
    if words.count(words[0]) == len(words):
        return [block.data]
    rows_of_word: collections.defaultdict[int, list[bytes]] = collections.defaultdict(list)
    for word, row in zip(words, block.rows):
        rows_of_word[word].append(row)
    return [b"".join(same_word) for same_word in rows_of_word.values()]

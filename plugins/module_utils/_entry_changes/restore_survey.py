# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The entries of a file that are to be made, and why others are not."""

from __future__ import annotations

import array
import collections
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.outcome import GROUP_FIELDS, Group
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.restore_plan import RestorePlan, Words
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block
from ansible_collections.netops.conntrack.plugins.module_utils._table.creation import parts_of
from ansible_collections.netops.conntrack.plugins.module_utils._table.layouts import Layout
from ansible_collections.netops.conntrack.plugins.module_utils._table.memo import Memo

_DIRECTED = frozenset({"zone_original", "zone_reply"})


class RestoreSurvey:
    """What one reading of the file finds. The entries to be made are kept in memory, as the rows of blocks."""

    def __init__(self, plan: RestorePlan) -> None:
        self._plan = plan
        selection = plan.selection
        self._decide = Memo(selection.fields, selection.decide, selection.breakpoints)
        self._parts: list[tuple[Group, Layout, bytes]] = []
        self.entries = self.matched = self.undecidable = 0
        self.expired = self.without_timeout = 0
        self.wanted = 0
        """The number of entries to be made, unless the table has them."""
        self.incomplete: collections.Counter[int] = collections.Counter()
        """By the number of a protocol, how many of them lack the field that the plan needs."""

    @property
    def words(self) -> Words:
        """What the result and its messages say."""
        return self._plan.words

    def add(self, block: Block) -> None:
        """Count the entries of a block, and keep those that are to be made."""
        self.entries += len(block)
        answers = self._decide(block)
        matched, undecidable = answers.count(True), answers.count(None)
        self.matched += matched
        self.undecidable += undecidable
        if matched < len(block):
            block = block.where(answers)
        block = self._left(block)
        for part in parts_of(block) if len(block) else ():
            group = Group.from_entry(next(part.entries(GROUP_FIELDS)))
            self._parts.append((group, part.layout, part.data))
        self._note_incomplete(block)
        self.wanted += len(block)

    def _note_incomplete(self, block: Block) -> None:
        protocol = block.layout.constants["protocol"]
        if len(block) and self._plan.needed.get(protocol, "protocol") not in {*block.layout.fields, "protocol"}:
            self.incomplete[protocol] += len(block)

    def _left(self, block: Block) -> Block:
        """Return the entries that have not ended since, with the time that they have left now."""
        if "remaining" not in block.layout.fields:
            self.without_timeout += len(block)
            return Block(block.layout, b"")
        elapsed, remaining = self._plan.elapsed, block.numbers("remaining")
        if min(remaining, default=0) <= elapsed:
            alive = [seconds > elapsed for seconds in remaining]
            self.expired += alive.count(False)
            block = block.where(alive)
        if not elapsed or not len(block):
            return block
        left = (seconds - elapsed for seconds in remaining if seconds > elapsed)
        return block.with_numbers("remaining", array.array("I", left))

    def parts(self) -> t.Iterator[tuple[Group, Block]]:
        """Yield the entries to be made, in parts of one group.

        Those whose zone holds for one direction come first. For these, the kernel also looks for their tuple in zone 0
        (nf_conntrack_find_get()), and makes none if an entry there has it the other way round. The reverse it allows.
        """
        for group, layout, rows in sorted(self._parts, key=lambda part: _DIRECTED.isdisjoint(part[1].fields)):
            yield group, Block(layout, rows)

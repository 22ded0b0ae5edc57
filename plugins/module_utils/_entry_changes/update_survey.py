# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Which entries an update changes, and why others stay as they are."""

from __future__ import annotations

import collections
import dataclasses
import functools
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._entry.entry import Entry
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.options import MANAGEMENT
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.outcome import (
    Group,
)
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.survey import Judge
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.update_plan import (
    NO_UPDATE,
    Aim,
    EntryUpdate,
    UpdatePlan,
)
from ansible_collections.netops.conntrack.plugins.module_utils._selector.key import Answer
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block


@dataclasses.dataclass(frozen=True, eq=False)
class UpdateVerdict:
    """What holds for entries: their group, whether they are selected, what they lack, and why they stay in spite of it.

    ``obstacle`` is what the result counts them as whose timeout stays, or is not known, or "" where there is none.
    ``is_protected`` says that they keep their timeout because of what they are.
    There is one object for all that have everything equal.
    """

    group: Group
    decision: Answer
    lacking: EntryUpdate = NO_UPDATE
    obstacle: str = ""
    is_protected: bool = False

    @property
    def to_send(self) -> EntryUpdate:
        """What is to be sent."""
        keeps_timeout = self.obstacle or self.is_protected
        return self.lacking._replace(timeout=None) if keeps_timeout else self.lacking

    @functools.cached_property
    def protected(self) -> UpdateVerdict:
        """The same verdict on entries that are protected."""
        return dataclasses.replace(self, is_protected=True)

    def is_fine(self) -> bool:
        """Say whether the entries are selected and lack nothing, as far as that is known."""
        return bool(self.decision) and not self.lacking and not self.obstacle


def judge_of(plan: UpdatePlan) -> Judge[UpdateVerdict]:
    """Return what gives the verdicts by this plan."""

    def parts_of(entry: Entry) -> tuple[t.Any, ...]:
        group, decision = Group.from_entry(entry), plan.selection.decide(entry)
        return (group, decision, *_lacking(plan.aim, entry)) if decision else (group, decision)

    return Judge(plan.fields, parts_of, UpdateVerdict, plan.breakpoints)


def _lacking(aim: Aim, entry: Entry) -> tuple[EntryUpdate, str]:
    """Return what the entry lacks, and what it is counted as whose timeout cannot be lowered."""
    mark = aim.lacking_mark(entry)
    if aim.timeout is None:
        return EntryUpdate(None, mark), ""
    if entry.remaining is None:
        return EntryUpdate(None, mark), "without_timeout"
    cap = aim.cap(entry)
    if cap is None:
        return EntryUpdate(None, mark), "undecidable"
    if entry.remaining <= cap:
        return EntryUpdate(None, mark), ""
    return EntryUpdate(cap, mark), aim.obstacle(entry, cap)


class UpdateSurvey:
    """What one reading of the table finds: the entries by verdict, and how many of them are to be updated.

    ``listed`` is the number of entries that were read. ``not_listed`` is the number of those that the kernel counts
    beyond them, None if that is not known.
    """

    def __init__(self, plan: UpdatePlan, judge: Judge[UpdateVerdict]) -> None:
        self.listed = 0
        self.not_listed: int | None = None
        self._plan = plan
        self._judge = judge
        self.verdicts: collections.Counter[UpdateVerdict] = collections.Counter()
        self.targets: collections.Counter[UpdateVerdict] = collections.Counter()
        self.protected: collections.Counter[str] = collections.Counter()

    def sort_out(self, block: Block) -> t.Iterator[tuple[UpdateVerdict, Block]]:
        """Count the entries of the block, and yield those to be updated, by verdict."""
        self.listed += len(block)
        judged = self._judge(self._plan.pruned(block) if self._plan.pruned else block)
        for verdict, count in judged.counts.items():
            self.verdicts[verdict] += count
            if verdict.to_send:
                yield from self._guarded(judged.rows_with_verdict(verdict), verdict)

    def _guarded(self, rows: Block, verdict: UpdateVerdict) -> t.Iterator[tuple[UpdateVerdict, Block]]:
        """Count the entries that are protected, and yield those that get something, with what that is."""
        for reason, part in self._plan.guards.protect(rows):
            # A mark ends no connection. That of the SSH connection stays, because it may decide its route.
            given = verdict.protected if reason else verdict
            if reason == MANAGEMENT or given.to_send != verdict.to_send:
                self.protected[reason] += len(part)
            if reason != MANAGEMENT and given.to_send:
                self.targets[given] += len(part)
                yield given, part

    @property
    def shortens(self) -> bool:
        """Whether any entry is to be given less time."""
        return any(verdict.to_send.timeout is not None for verdict in self.targets)

    def count(self, test: t.Callable[[UpdateVerdict], t.Any]) -> int:
        """Return the number of entries whose verdict passes the test."""
        return sum(count for verdict, count in self.verdicts.items() if test(verdict))

    @property
    def would_update(self) -> int:
        """The number of entries to be updated."""
        return sum(self.targets.values())

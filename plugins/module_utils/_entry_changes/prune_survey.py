# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Which entries a prune deletes, and why others stay in spite of being selected."""

from __future__ import annotations

import collections
import dataclasses
import errno
import itertools
import time
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._entry.entry import Entry
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.last_look import NONE_RECENT, Recent
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.options import HELPER, MANAGEMENT, NAMES
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.outcome import (
    GROUP_FIELDS,
    Group,
)
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.prune_plan import Limit, PrunePlan
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.second_look import (
    StateAndStatus,
    quiet,
)
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.survey import Judge
from ansible_collections.netops.conntrack.plugins.module_utils._errors import RefusedError
from ansible_collections.netops.conntrack.plugins.module_utils._query.extended import ExtendedLines
from ansible_collections.netops.conntrack.plugins.module_utils._query.fields import as_dict
from ansible_collections.netops.conntrack.plugins.module_utils._selector.key import Answer, common_breakpoints
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block
from ansible_collections.netops.conntrack.plugins.module_utils._table.requests import Targets
from ansible_collections.netops.conntrack.plugins.module_utils._table.writable import Outcomes, WritableTable

_NO_CONFIRMATION = "confirm_idle: 0"
_OPTIONS = {
    **{name: f"unprotect: [{name}]" for name in NAMES},
    MANAGEMENT: "protect_management: false",
    HELPER: "protect_helpers: false",
    "offloaded": _NO_CONFIRMATION,
    "fixed_timeout": _NO_CONFIRMATION,
}
"""Why selected entries stay, and the option that would take them."""

_WITHOUT_OPTION = tuple(name for name in NAMES if name not in (MANAGEMENT, HELPER))
"""The protections that have no option of their own."""


@dataclasses.dataclass(frozen=True, eq=False)
class PruneVerdict:
    """The group that an entry is in, and whether it is selected. There is one object for all that have all equal.

    ``first_look`` is what a second look compares, or None where there is none. ``is_recent`` says that such an entry
    may be one that does not match any more by now (see _entry_changes.last_look).
    """

    group: Group
    decision: Answer
    first_look: StateAndStatus | None
    is_recent: bool


class Sample:
    """Some entries, at most ``size``: their lines, as conntrack(8) prints them, and where wanted their dicts.

    An entry is in it once, also if it was not deleted and its table is read again.
    """

    def __init__(self, size: int, with_entries: bool) -> None:
        self._size = size
        self._with_entries = with_entries
        self._identities: set[bytes] = set()
        self.lines: list[str] = []
        self.entries: list[dict[str, t.Any]] = []

    def add(self, block: Block, context: Context) -> None:
        """Add entries of the block, as long as there is room."""
        new = self._new_of(block)
        if not len(new):
            return
        self._identities.update(map(new.layout.identity_of, new.rows))
        lines_of = ExtendedLines(context, short=True)
        self.lines += lines_of(new)
        if self._with_entries:
            self.entries += [as_dict(entry, context) for entry in new.entries()]

    def _new_of(self, block: Block) -> Block:
        """Return entries of the block that are not in the sample, as many as there is room for."""
        room = self._size - len(self.lines)
        # No more than these are looked at, however many there are.
        first = block.data[: (self._size if room else 0) * block.layout.size]
        rows = (row for row in Block(block.layout, first).rows if block.layout.identity_of(row) not in self._identities)
        return Block(block.layout, b"".join(itertools.islice(rows, room)))

    def clear(self) -> None:
        """Forget the entries."""
        self._identities.clear()
        self.lines.clear()
        self.entries.clear()


def _judge_of(plan: PrunePlan, recent: Recent) -> Judge[PruneVerdict]:
    """Return what gives the verdicts by this plan."""

    def parts_of(entry: Entry) -> tuple[t.Any, ...]:
        first_look = StateAndStatus(entry.state, entry.status) if plan.confirm_idle else None
        decision = plan.selection.decide(entry)
        return Group.from_entry(entry), decision, first_look, bool(decision) and recent.test(entry)

    fields = GROUP_FIELDS | plan.selection.fields | recent.fields
    return Judge(fields, parts_of, PruneVerdict, common_breakpoints([plan.selection, recent]))


def sample_of(plan: PrunePlan) -> Sample:
    """Return the plan's sample, which has no entry yet."""
    return Sample(plan.sample, plan.entries)


class PruneSurvey:
    """What one reading of the table finds: the entries of each group, and how many of them are to be deleted.

    ``total`` is the number of entries in the table, if it is known before. ``done`` are entries that are deleted
    already, because of a reading before this one that was disturbed. ``sample`` has some of these, and gets more.
    ``recent`` tells which entries need a last look where each part of the table is pruned at once. ``not_listed`` are
    entries that the kernel counts and no reading shows, ``woken`` those that saw a packet before the second look or did
    not match any more at the last one, and ``gone`` those that were not there any more at the second. None is unknown.
    """

    def __init__(
        self,
        plan: PrunePlan,
        total: int | None,
        done: t.Mapping[Group, int],
        sample: Sample | None = None,
        recent: Recent | None = None,
    ) -> None:
        self._plan = plan
        self._total = total
        self._judge = _judge_of(plan, recent or NONE_RECENT)
        self._sample = sample or sample_of(plan)
        self._matched = sum(done.values())
        self._undecidable = 0
        self._kept: collections.Counter[str] = collections.Counter()
        self._kept_samples = {reason: sample_of(plan) for reason in _OPTIONS}
        self.groups = collections.Counter(done)
        self.targets = collections.Counter(done)
        self.not_listed: int | None = None
        self.woken: int | None = None
        self.gone = 0

    def sort_out(self, block: Block) -> t.Iterator[tuple[PruneVerdict, Block]]:
        """Count the entries of the block, and yield those to be deleted, by verdict."""
        judged = self._judge(block)
        for verdict, count in judged.counts.items():
            self.groups[verdict.group] += count
            if verdict.decision is None:
                self._undecidable += count
            elif verdict.decision:
                self._matched += count
                yield from self._unprotected(judged.rows_with_verdict(verdict), verdict)

    def _unprotected(self, selected: Block, verdict: PruneVerdict) -> t.Iterator[tuple[PruneVerdict, Block]]:
        """Count the entries that stay, and yield the others."""
        for reason, part in self._plan.guards.divide(selected, verdict.first_look):
            if reason:
                self._kept[reason] += len(part)
                self._kept_samples[reason].add(part, self._plan.context)
            else:
                self.targets[verdict.group] += len(part)
                self._sample.add(part, self._plan.context)
                yield verdict, part

    def look_again(
        self, table: WritableTable, targets: Targets[PruneVerdict], looked: Outcomes[PruneVerdict]
    ) -> t.Iterator[Targets[Group]]:
        """Yield the targets that saw no packet since they were read, batch by batch. Count those, and the others.

        Entries that could not be looked up are added to ``looked``. They remain among the targets, without those that
        are gone.
        """
        context = dataclasses.replace(self._plan.context, now=time.time_ns())
        self._sample.clear()
        self.woken = 0
        for look in table.looks(targets, looked):
            group, first_look = look.tag.group, look.tag.first_look
            if look.notes is None or first_look is None:
                raise ValueError("nothing was noted of these entries")
            batch = Targets[Group]()
            for found in look.found:
                block = self._still_matching(quiet(found, first_look, look.notes, look.moment))
                woken = len(found.places) - len(block)
                self.woken += woken
                self.targets[group] -= woken
                if len(block):
                    self._sample.add(block, context)
                    batch.add(block, group)
            yield batch
        for (verdict, number), count in looked.items():
            if number == errno.ENOENT:
                self.gone += count
                self.targets[verdict.group] -= count

    def look_a_last_time(
        self, table: WritableTable, targets: Targets[Group], outcomes: Outcomes[Group]
    ) -> t.Iterator[Targets[Group]]:
        """Yield the targets that match still, batch by batch. Count the others as woken.

        Entries that could not be looked up are added to ``outcomes``. Raises UnavailableError as
        ``refuse_changed_timeouts`` does.
        """
        for look in table.looks(targets, outcomes):
            self._plan.refuse_changed_timeouts()
            batch = Targets[Group]()
            for found in look.found:
                block = self._still_matching(found.block)
                changed = len(found.block) - len(block)
                if changed:
                    self.woken = changed + (self.woken or 0)
                    self.targets[look.tag] -= changed
                if len(block):
                    batch.add(block, look.tag)
            yield batch

    def _still_matching(self, block: Block) -> Block:
        rows = [verdict.decision is True for verdict in self._judge(block).verdicts]
        return block if all(rows) else block.where(rows)

    @property
    def listed(self) -> int:
        """The number of entries that were read, or were deleted before this reading."""
        return sum(self.groups.values())

    @property
    def total(self) -> int:
        """The number of entries in the table."""
        return max(self.listed, self._total or 0)

    @property
    def would_delete(self) -> int:
        """The number of entries to be deleted."""
        return sum(self.targets.values())

    def counts(self) -> dict[str, t.Any]:
        """Return what the result says about the table before the first delete."""
        return {
            "matched": self._matched,
            "protected": sum(self._kept.values()),
            "kept": self._kept_entries(),
            "woken": self.woken,
            "would_delete": self.would_delete,
            "undecidable": self._undecidable,
            "count_before": self.total,
            "not_listed": self.not_listed,
            "lines": self._sample.lines,
            "sample": self._sample.entries,
        }

    def warnings(self) -> t.Iterator[str]:
        """Yield that nothing is to be deleted because all of it is protected, with the way to delete it anyway."""
        names = [name for name in _WITHOUT_OPTION if self._kept[name]]
        if names and sum(self._kept.values()) == self._matched:
            kept = ", ".join(f"{self._kept[name]} by {name}" for name in names)
            yield (
                f"Every entry that is selected stays, because it is protected: {kept}. To delete them anyway, give "
                f"unprotect: [{', '.join(names)}]."
            )

    def _kept_entries(self) -> list[dict[str, t.Any]]:
        return [
            {
                "reason": reason,
                "option": option,
                "entries": self._kept[reason],
                "sample": self._kept_samples[reason].entries,
            }
            for reason, option in _OPTIONS.items()
            if self._kept[reason]
        ]


def enforce(limit: Limit, found: PruneSurvey) -> None:
    """Raise RefusedError if more entries would be deleted than ``limit`` allows."""
    if limit.given is None:
        return
    allowed, wanted = limit.number_of(found.total), found.would_delete
    if wanted > allowed:
        raise RefusedError(
            f"max_delete: {limit.given!r} allows {allowed} of the table's {found.total} entries to be deleted, "
            f"but {wanted} would be. Nothing was deleted. Look at some of them in the result's lines, "
            "then narrow match or raise max_delete.",
            **found.counts(),
            deleted=0,
        )

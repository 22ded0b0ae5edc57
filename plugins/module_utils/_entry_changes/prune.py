# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Deleting the selected entries: which they are, the guards that some of them have, and what became of each.

With ``confirm_idle`` the entries are looked at a second time (see _entry_changes.second_look). Each batch of them is
deleted right after its look, by id. Between the two there is well below a millisecond, in which a packet goes
unnoticed.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import errno
import time
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.outcome import (
    Group,
    count_of,
    lines,
    telling_what_was,
    without_failures,
)
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.prune_plan import (
    Limit,
    Plan,
    Sample,
    Survey,
    Verdict,
    enforce,
)
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.second_look import NOTED
from ansible_collections.netops.conntrack.plugins.module_utils._errors import ConntrackError
from ansible_collections.netops.conntrack.plugins.module_utils._netlink.clock import Clock
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block
from ansible_collections.netops.conntrack.plugins.module_utils._table.kernel_filter import Condition
from ansible_collections.netops.conntrack.plugins.module_utils._table.requests import Targets
from ansible_collections.netops.conntrack.plugins.module_utils._table.table import not_listed
from ansible_collections.netops.conntrack.plugins.module_utils._table.writable import Errors, WritableTable

_EXPECTED = (0, errno.ENOENT)
_FEW = 64
"""Fewer deletes than this are not held against the kernel's count, which other connections change as well."""


def prune(table: WritableTable, plan: Plan, limit: Limit, dry_run: bool) -> Outcome:
    """Delete what the plan selects, unless it is a dry run.

    With a limit or a second look, the whole table is read before the first delete, for which the names of the targets
    are kept (see Targets). Otherwise each part of the table is pruned once it is read. Raises RefusedError if more
    would be deleted than the limit allows, and what the table's ``read``, ``looks`` and ``delete`` raise, with the
    number of those deleted.
    """
    counted = table.count()
    # The kernel's own count has to stand in for what it leaves out.
    conditions = () if counted is None else plan.conditions
    reading = _Reading(table, plan, conditions, counted)
    if plan.confirm_idle:
        return reading.prune_after_second_look(limit, dry_run)
    if limit.given is None and not dry_run:
        return reading.prune_at_once()
    return reading.prune(limit, dry_run)


@dataclasses.dataclass(frozen=True)
class _Reading:
    """A table that is read and pruned, of which the kernel ``counted`` so many entries before."""

    table: WritableTable
    plan: Plan
    conditions: t.Sequence[Condition]
    counted: int | None

    def prune(self, limit: Limit, dry_run: bool) -> Outcome:
        """Read all, then delete."""

        def collect(blocks: t.Iterator[Block]) -> tuple[Survey, Targets[Group]]:
            found, targets = self._survey({}), Targets[Group]()
            for block in blocks:
                for verdict, selected in found.sort_out(block):
                    if not dry_run:
                        targets.add(selected, verdict.group)
            return found, targets

        found, targets = self.table.read(collect, self.conditions)
        self.plan.refuse_changed_timeouts()
        before = self._note_count(found)
        enforce(limit, found)
        if dry_run:
            return Outcome(found, None)
        with telling_what_was("deleted", len(targets)) as errors:
            self.table.delete(targets, errors)
        return self._outcome(found, errors, before)

    def prune_after_second_look(self, limit: Limit, dry_run: bool) -> Outcome:
        """Read all, wait, look at the targets again, and delete those that saw no packet."""
        clock = Clock()

        def collect(blocks: t.Iterator[Block]) -> tuple[Survey, Targets[Verdict]]:
            found, targets = self._survey({}), Targets[Verdict](NOTED)
            for block in blocks:
                moment = clock.moment()
                for verdict, selected in found.sort_out(block):
                    targets.add(selected, verdict, moment)
            return found, targets

        found, targets = self.table.read(collect, self.conditions, clock)
        self.plan.refuse_changed_timeouts()
        self._note_count(found)
        enforce(limit, found)
        if len(targets):
            time.sleep(self.plan.confirm_idle)
        before = self.table.count()
        looked: Errors[Verdict] = collections.Counter()
        with telling_what_was("deleted", len(targets)) as errors:
            for batch in found.look_again(self.table, targets, looked):
                if not dry_run:
                    self.table.delete(batch, errors)
        if dry_run:
            return Outcome(found, None)
        for (verdict, number), count in looked.items():
            if number not in _EXPECTED:
                errors[verdict.group, number] += count
        return self._outcome(found, errors, before)

    def prune_at_once(self) -> Outcome:
        """Delete the targets of each part of the table once it is read."""
        sample = self.plan.new_sample()
        with telling_what_was("deleted") as errors:

            def collect(blocks: t.Iterator[Block]) -> Survey:
                found = self._survey(_settle(errors), sample)
                for block in blocks:
                    targets = Targets[Group]()
                    for verdict, selected in found.sort_out(block):
                        targets.add(selected, verdict.group)
                    self.plan.refuse_changed_timeouts()
                    self.table.delete(targets, errors)
                return found

            found = self.table.read(collect, self.conditions)
        self._note_count(found, count_of(errors, 0))
        return self._outcome(found, errors, self.counted)

    def _survey(self, done: t.Mapping[Group, int], sample: Sample | None = None) -> Survey:
        return Survey(self.plan, self.counted if self.conditions else None, done, sample)

    def _note_count(self, found: Survey, deleted: int = 0) -> int | None:
        """Note how many entries are counted and were not listed, and return the kernel's count.

        ``deleted`` are those that may be missing in the count, because they were deleted since.
        """
        now = self.table.count()
        if not self.conditions:
            found.not_listed = not_listed(self.counted, None if now is None else now + deleted, found.listed)
        return now

    def _outcome(self, found: Survey, errors: Errors[Group], before: int | None) -> Outcome:
        """Return what became of the targets; ``before`` is the kernel's count before the first delete.

        Where that hardly falls, the table is read once more, to tell new connections from entries that stay in memory.
        """
        deleted, now = count_of(errors, 0), self.table.count()
        if before is None or now is None or deleted < _FEW or 2 * (before - now) >= deleted:
            return Outcome(found, errors)
        # What was deleted has to be told, also where this reading fails.
        with contextlib.suppress(ConntrackError):
            listed = self.table.read(lambda blocks: sum(map(len, blocks)))
            found.not_listed = not_listed(now, self.table.count(), listed)
            return Outcome(found, errors, not_freed=2 * (found.not_listed or 0) >= deleted)
        return Outcome(found, errors)


def _settle(errors: Errors[Group]) -> collections.Counter[Group]:
    """Forget what was not deleted: it comes again, or it is no more in the table. Give the number deleted by group."""
    done: collections.Counter[Group] = collections.Counter()
    for (group, number), count in list(errors.items()):
        if number == 0:
            done[group] += count
        else:
            del errors[group, number]
    return done


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What was found, and what became of the targets; None instead means that nothing was tried, as in check mode.

    ``not_freed`` says that entries which were deleted still count against the limit.
    """

    found: Survey
    errors: Errors[Group] | None
    not_freed: bool = False

    def warnings(self) -> t.Iterator[str]:
        """Yield what the operator should know besides the result."""
        if self.not_freed and self.errors is not None:
            yield (
                f"{count_of(self.errors, 0)} entries were deleted, but the kernel's count hardly fell. It counts "
                f"{self.found.not_listed} entries that it does not list. Most likely a program asked for reliable "
                "events of connection tracking, as conntrackd does with NetlinkEventsReliable, and does not read "
                "them. Until it reads or ends, what is deleted still counts against nf_conntrack_max. "
                "'conntrack -L dying' lists these entries. Restart that program. Deleting more frees nothing."
            )

    def result(self, count_after: int | None, with_diff: bool) -> dict[str, t.Any]:
        """Return the module's result. Raises ConntrackError, with all counts, if the kernel refused a delete."""
        errors: Errors[Group] = collections.Counter() if self.errors is None else self.errors
        deleted = count_of(errors, 0)
        result = {
            "changed": bool(self.found.would_delete if self.errors is None else deleted),
            **self.found.counts(),
            "deleted": deleted,
            "already_gone": self.found.gone + count_of(errors, errno.ENOENT),
            "not_deleted": sum(errors.values()) - count_of(errors, *_EXPECTED),
            "count_after": count_after,
            **({"diff": self.diff()} if with_diff else {}),
        }
        without_failures(result, errors, _EXPECTED, "deleted")
        return result

    def diff(self) -> dict[str, str]:
        """Return the groups that change, with their numbers before and after; those predicted, if nothing was tried."""
        deleted = self.found.targets
        if self.errors is not None:
            deleted = collections.Counter(
                {group: count for (group, number), count in self.errors.items() if not number}
            )
        before = {group: self.found.groups[group] for group, count in deleted.items() if count}
        return {
            "before": lines(before),
            "after": lines({group: number - deleted[group] for group, number in before.items()}),
        }

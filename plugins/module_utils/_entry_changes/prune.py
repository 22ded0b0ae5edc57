# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Deleting the selected entries: which they are, the guards that some of them have, and what became of each.

With ``confirm_idle`` the entries are looked at a second time (see _entry_changes.second_look). Without it, those that
may not match any more by the time of their delete are looked at a last time (see _entry_changes.last_look). Each batch
is deleted right after its look, by id. Between the two there is well below a millisecond, in which a packet goes
unnoticed.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import errno
import time
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.backup import Backup
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.last_look import Recent, may_change
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.outcome import (
    Group,
    count_of,
    counting_outcomes,
    diff_of,
    raise_on_failures,
    successes,
)
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.prune_plan import Limit, PrunePlan
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.prune_survey import (
    PruneSurvey,
    PruneVerdict,
    Sample,
    enforce,
    sample_of,
)
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.second_look import NOTED
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.survey import by_verdict, survey_table
from ansible_collections.netops.conntrack.plugins.module_utils._errors import ConntrackError
from ansible_collections.netops.conntrack.plugins.module_utils._netlink.clock import Clock
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block
from ansible_collections.netops.conntrack.plugins.module_utils._table.kernel_filter import Condition
from ansible_collections.netops.conntrack.plugins.module_utils._table.requests import Targets
from ansible_collections.netops.conntrack.plugins.module_utils._table.table import not_listed
from ansible_collections.netops.conntrack.plugins.module_utils._table.writable import Outcomes, WritableTable

_EXPECTED = (0, errno.ENOENT)
_FEW = 64
"""Fewer deletes than this are not held against the kernel's count, which other connections change as well."""


def _proceed() -> None:
    """Do nothing: nobody has to be asked before the first delete."""


def prune(
    table: WritableTable,
    plan: PrunePlan,
    limit: Limit,
    dry_run: bool,
    backup: Backup | None = None,
    require_ready: t.Callable[[], None] = _proceed,
) -> PruneOutcome:
    """Delete what the plan selects, unless it is a dry run.

    With a limit, a second look or a ``backup``, the whole table is read before the first delete, for which the names of
    the targets are kept (see Targets). Otherwise each part of the table is pruned once it is read. Raises RefusedError
    if more would be deleted than the limit allows, what the backup raises, and what the table's ``read``, ``looks`` and
    ``delete`` raise, with the number of those deleted. Where time passes between the reading and the first delete,
    ``require_ready`` is called right before that. What it raises ends the prune.
    """
    counted = table.count()
    # The kernel's own count has to stand in for what it leaves out.
    conditions = () if counted is None else plan.conditions
    reading = _Reading(table, plan, conditions, counted, backup, require_ready)
    if plan.confirm_idle:
        return reading.prune_after_second_look(limit, dry_run)
    if limit.given is None and not dry_run and not backup:
        return reading.prune_at_once()
    return reading.prune(limit, dry_run)


def count_only(table: WritableTable, plan: PrunePlan) -> dict[str, t.Any]:
    """Return the result of a prune that is not made: what the plan selects, and nothing that changed."""
    # Nobody waits for a second look, where nothing is deleted after it.
    outcome = prune(table, dataclasses.replace(plan, confirm_idle=0), Limit(None), dry_run=True)
    return {**outcome.result(table.count(), with_diff=False), "changed": False}


@dataclasses.dataclass(frozen=True)
class _Reading:
    """A table that is read and pruned, of which the kernel ``counted`` so many entries before."""

    table: WritableTable
    plan: PrunePlan
    conditions: t.Sequence[Condition]
    counted: int | None
    backup: Backup | None
    require_ready: t.Callable[[], None]

    def prune(self, limit: Limit, dry_run: bool) -> PruneOutcome:
        """Read all, then delete."""
        found, targets = survey_table(
            self.table, self.conditions, self._survey, _group_of, keep_targets=not dry_run, writer=self.backup
        )
        self.plan.refuse_changed_timeouts()
        before = self._note_count(found)
        enforce(limit, found)
        self._complete_backup(found)
        if dry_run:
            return PruneOutcome(found, None)
        self.require_ready()
        self._need_backup(len(targets) > 0)
        with counting_outcomes("deleted", len(targets)) as outcomes:
            if may_change(self.plan.selection):
                self._delete_what_matches_still(found, targets, outcomes)
            else:
                self.table.delete(targets, outcomes)
        return self._outcome(found, outcomes, before)

    def prune_after_second_look(self, limit: Limit, dry_run: bool) -> PruneOutcome:
        """Read all, wait, look at the targets again, and delete those that saw no packet."""
        found, targets = survey_table(
            self.table, self.conditions, self._survey, by_verdict, noting=NOTED, clock=Clock(), writer=self.backup
        )
        self.plan.refuse_changed_timeouts()
        self._note_count(found)
        enforce(limit, found)
        self._complete_backup(found)
        if len(targets):
            time.sleep(self.plan.confirm_idle)
        if not dry_run:
            self.require_ready()
        before = self.table.count()
        self._need_backup(len(targets) > 0)
        looked: Outcomes[PruneVerdict] = collections.Counter()
        with counting_outcomes("deleted", len(targets)) as outcomes:
            for batch in found.look_again(self.table, targets, looked):
                if not dry_run:
                    self.table.delete(batch, outcomes)
        if dry_run:
            return PruneOutcome(found, None)
        for (verdict, number), count in looked.items():
            if number not in _EXPECTED:
                outcomes[verdict.group, number] += count
        return self._outcome(found, outcomes, before)

    def prune_at_once(self) -> PruneOutcome:
        """Delete the targets of each part of the table once it is read."""
        sample = sample_of(self.plan)
        recent = Recent.of(self.plan.selection, self.plan.context)
        with counting_outcomes("deleted") as outcomes:

            def collect(blocks: t.Iterator[Block]) -> PruneSurvey:
                found = self._survey(_drop_failures(outcomes), sample, recent)
                for block in blocks:
                    quiet, recently_seen = Targets[Group](), Targets[Group]()
                    for verdict, selected in found.sort_out(block):
                        (recently_seen if verdict.is_recent else quiet).add(selected, verdict.group)
                    self.plan.refuse_changed_timeouts()
                    self.table.delete(quiet, outcomes)
                    if len(recently_seen):
                        self._delete_what_matches_still(found, recently_seen, outcomes)
                return found

            found = self.table.read(collect, self.conditions)
        self._note_count(found, count_of(outcomes, 0))
        return self._outcome(found, outcomes, self.counted)

    def _delete_what_matches_still(
        self, found: PruneSurvey, targets: Targets[Group], outcomes: Outcomes[Group]
    ) -> None:
        for batch in found.look_a_last_time(self.table, targets, outcomes):
            self.table.delete(batch, outcomes)

    def _complete_backup(self, found: PruneSurvey) -> None:
        if self.backup and found.would_delete:
            self.backup.complete()

    def _need_backup(self, needed: bool) -> None:
        if self.backup:
            self.backup.is_needed = needed

    def _survey(
        self,
        done: t.Mapping[Group, int] | None = None,
        sample: Sample | None = None,
        recent: Recent | None = None,
    ) -> PruneSurvey:
        total = self.counted if self.conditions else None
        return PruneSurvey(self.plan, total, done or {}, sample, recent)

    def _note_count(self, found: PruneSurvey, deleted: int = 0) -> int | None:
        """Note how many entries are counted and were not listed, and return the kernel's count.

        ``deleted`` are those that may be missing in the count, because they were deleted since.
        """
        now = self.table.count()
        if not self.conditions:
            found.not_listed = not_listed(self.counted, None if now is None else now + deleted, found.listed)
        return now

    def _outcome(self, found: PruneSurvey, outcomes: Outcomes[Group], before: int | None) -> PruneOutcome:
        """Return what became of the targets. ``before`` is the kernel's count before the first delete.

        Where that hardly falls, the table is read once more, to tell new connections from entries that stay in memory.
        """
        deleted, now = count_of(outcomes, 0), self.table.count()
        self._need_backup(deleted > 0)
        if before is None or now is None or deleted < _FEW or 2 * (before - now) >= deleted:
            return PruneOutcome(found, outcomes)
        # What was deleted has to be told, also where this reading fails.
        with contextlib.suppress(ConntrackError):
            listed = self.table.read(lambda blocks: sum(map(len, blocks)))
            found.not_listed = not_listed(now, self.table.count(), listed)
            return PruneOutcome(found, outcomes, not_freed=2 * (found.not_listed or 0) >= deleted)
        return PruneOutcome(found, outcomes)


def _group_of(verdict: PruneVerdict) -> Group:
    return verdict.group


def _drop_failures(outcomes: Outcomes[Group]) -> collections.Counter[Group]:
    """Drop the failed deletes before the table is read again: those entries are read again, or are gone.

    Return the number of those deleted by group.
    """
    for group, number in list(outcomes):
        if number != 0:
            del outcomes[group, number]
    return successes(outcomes)


@dataclasses.dataclass(frozen=True)
class PruneOutcome:
    """What was found, and what became of the targets. None instead means that nothing was tried, as in check mode.

    ``not_freed`` says that entries which were deleted still count against the limit.
    """

    found: PruneSurvey
    outcomes: Outcomes[Group] | None
    not_freed: bool = False

    def warnings(self) -> t.Iterator[str]:
        """Yield what the operator should know besides the result."""
        yield from self.found.warnings()
        if self.not_freed and self.outcomes is not None:
            yield (
                f"{count_of(self.outcomes, 0)} entries were deleted, but the kernel's count hardly fell. It counts "
                f"{self.found.not_listed} entries that it does not list. Most likely a program asked for reliable "
                "events of connection tracking, as conntrackd does with NetlinkEventsReliable, and does not read "
                "them. Until it reads or ends, what is deleted still counts against nf_conntrack_max. "
                "'conntrack -L dying' lists these entries. Restart that program. Deleting more frees nothing."
            )

    def result(self, count_after: int | None, with_diff: bool) -> dict[str, t.Any]:
        """Return the module's result. Raises ConntrackError, with all counts, if the kernel refused a delete."""
        outcomes: Outcomes[Group] = collections.Counter() if self.outcomes is None else self.outcomes
        deleted = count_of(outcomes, 0)
        result = {
            "changed": bool(self.found.would_delete if self.outcomes is None else deleted),
            **self.found.counts(),
            "deleted": deleted,
            "already_gone": self.found.gone + count_of(outcomes, errno.ENOENT),
            "not_deleted": sum(outcomes.values()) - count_of(outcomes, *_EXPECTED),
            "count_after": count_after,
            **({"diff": self.diff()} if with_diff else {}),
        }
        raise_on_failures(result, outcomes, _EXPECTED, "deleted")
        return result

    def diff(self) -> dict[str, str]:
        """Return the groups that change, with their numbers before and after.

        The numbers are those predicted, if nothing was tried.
        """
        deleted = self.found.targets if self.outcomes is None else successes(self.outcomes)
        return diff_of(self.found.groups, deleted)

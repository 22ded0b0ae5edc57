# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Shortening what the selected entries have left, and setting their mark: which need it, and what became of each.

The kernel finds the entry to update by its original tuple and zone and does not compare the id. So the whole table is
read first, and right before a batch of updates its entries are looked up: what has another id by now is left alone, and
of the others only those are updated that still need it, by what they are now. Between this and the update there is
well below a millisecond. An entry that a packet went over, or that was replaced in that moment, has less time left
than the sysctls gave it until its next packet, or gets the mark.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import errno
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeout_claims import REASONS
from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeout_record import require_room, shortening
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.outcome import (
    count_of,
    counting_outcomes,
    diff_of,
    raise_on_failures,
    successes,
)
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.survey import (
    Judge,
    by_verdict,
    survey_table,
)
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.update_plan import (
    EntryUpdate,
    UpdatePlan,
)
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.update_survey import (
    UpdateSurvey,
    UpdateVerdict,
    judge_of,
)
from ansible_collections.netops.conntrack.plugins.module_utils._table import requests
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block
from ansible_collections.netops.conntrack.plugins.module_utils._table.requests import Targets
from ansible_collections.netops.conntrack.plugins.module_utils._table.table import not_listed
from ansible_collections.netops.conntrack.plugins.module_utils._table.writable import Outcomes, WritableTable

_GONE = (errno.ENOENT, errno.ETIME)
"""The kernel answers ETIME for an entry that is just being removed (__nf_ct_change_timeout(), nf_conntrack_core.c)."""

_FIXED = (errno.EPERM,)


def update(table: WritableTable, plan: UpdatePlan, dry_run: bool) -> UpdateOutcome:
    """Bring the selected entries to what the plan aims at, unless it is a dry run.

    The whole table is read before the first update, for which the names of the targets are kept (see Targets). Raises
    what the table's ``read``, ``look_up`` and ``update`` raise, with the number of those updated, what
    ``refuse_changed_timeouts`` and ``shortening`` raise, and UnavailableError where a mark is to be set and the kernel
    shows none.
    """
    judge = judge_of(plan)
    conditions = plan.selection.conditions
    before = table.count()
    found, targets = survey_table(
        table,
        conditions,
        new_survey=lambda: UpdateSurvey(plan, judge),
        tag_of=by_verdict,
        keep_targets=not dry_run,
    )
    plan.refuse_changed_timeouts()
    # A kernel that leaves entries out of the dump does not list what it counts.
    found.not_listed = None if conditions else not_listed(before, table.count(), found.listed)
    timeout = plan.aim.timeout if isinstance(plan.aim.timeout, int) and found.shortens else None
    if dry_run:
        if timeout is not None:
            require_room()
        return UpdateOutcome(found, None, collections.Counter())
    with _on_record(timeout), counting_outcomes("updated", len(targets)) as outcomes:
        settled = _update_after_second_look(table, judge, targets, outcomes)
    return UpdateOutcome(found, outcomes, settled)


def _update_after_second_look(
    table: WritableTable,
    judge: Judge[UpdateVerdict],
    targets: Targets[UpdateVerdict],
    outcomes: Outcomes[UpdateVerdict],
) -> collections.Counter[str]:
    """Look the targets up batch by batch, and update those that still need it, by what they are now.

    Return the others, by what the result counts them as.
    """
    settled: collections.Counter[str] = collections.Counter()
    for verdict, blocks in table.look_up(targets, outcomes):
        for block in blocks:
            judged = judge(block)
            for now in judged.counts:
                rows = judged.rows_with_verdict(now)
                change = (now.protected if verdict.is_protected else now).to_send
                if change:
                    _send(table, rows, verdict, change, outcomes)
                else:
                    settled[now.obstacle or "unchanged"] += len(rows)
    return settled


@contextlib.contextmanager
def _on_record(timeout: int | None) -> t.Iterator[None]:
    """Record a time that no sysctl gives before entries get it, or they would look idle for longer than they are."""
    with contextlib.nullcontext() if timeout is None else shortening(timeout):
        yield


def _send(
    table: WritableTable, block: Block, verdict: UpdateVerdict, change: EntryUpdate, outcomes: Outcomes[UpdateVerdict]
) -> None:
    targets = Targets[UpdateVerdict]()
    targets.add(block, verdict)
    table.update(targets, requests.update(*change), outcomes)


@dataclasses.dataclass(frozen=True)
class UpdateOutcome:
    """What was found, and what became of the targets. None instead means that nothing was tried, as in check mode.

    ``settled`` are targets that needed no update any more once they were looked up, by what the result counts them as.
    """

    found: UpdateSurvey
    outcomes: Outcomes[UpdateVerdict] | None
    settled: collections.Counter[str]

    def result(self, with_diff: bool) -> dict[str, t.Any]:
        """Return the module's result. Raises ConntrackError, with all counts, if the kernel refused an update."""
        found, settled = self.found, self.settled
        outcomes: Outcomes[UpdateVerdict] = collections.Counter() if self.outcomes is None else self.outcomes
        updated = count_of(outcomes, 0)

        def left(obstacle: str) -> int:
            return found.count(lambda verdict: verdict.obstacle == obstacle) + settled[obstacle]

        result = {
            "changed": bool(found.would_update if self.outcomes is None else updated),
            "matched": found.count(lambda verdict: verdict.decision),
            "protected": sum(found.protected.values()),
            "protected_by": dict(found.protected),
            "would_update": found.would_update,
            "updated": updated,
            "unchanged": found.count(UpdateVerdict.is_fine) + settled["unchanged"],
            "already_gone": count_of(outcomes, *_GONE),
            "fixed_timeout": left("fixed_timeout") + count_of(outcomes, *_FIXED),
            "without_timeout": left("without_timeout"),
            "not_listed": found.not_listed,
            "kept": {reason: left(reason) for reason in REASONS},
            "undecidable": left("undecidable") + found.count(lambda verdict: verdict.decision is None),
            **({"diff": self.diff()} if with_diff else {}),
        }
        raise_on_failures(result, outcomes, (0, *_GONE, *_FIXED), "updated")
        return {**result, "not_updated": 0}

    def diff(self) -> dict[str, str]:
        """Return what entries of each group lack, with their numbers before and after, as far as it changes.

        The numbers are those predicted, if nothing was tried.
        """
        updated = self.found.targets if self.outcomes is None else successes(self.outcomes)
        before = _by_kind(self.found.verdicts, lambda verdict: verdict.lacking)
        fewer = _by_kind(updated, lambda verdict: verdict.to_send)
        return diff_of(before, fewer)


def _by_kind(
    verdicts: t.Mapping[UpdateVerdict, int], change_of: t.Callable[[UpdateVerdict], EntryUpdate]
) -> collections.Counter[str]:
    """Return the numbers of entries by group and what is changed of them."""
    kinds: collections.Counter[str] = collections.Counter()
    for verdict, count in verdicts.items():
        for description in change_of(verdict).descriptions():
            kinds[f"{verdict.group}: {description}"] += count
    return +kinds

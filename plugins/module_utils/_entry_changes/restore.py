# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Making the entries of a file anew, without touching one that is in the table.

The whole file is read before the first entry is made. The kernel decides of each whether it can be: it makes none of
which it has one of the tuples, and each request says that nothing may be changed instead.
"""

from __future__ import annotations

import collections
import dataclasses
import errno
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.outcome import (
    Group,
    count_of,
    counting_outcomes,
    diff_lines,
    raise_on_failures,
    successes,
)
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.restore_plan import (
    RestorePlan,
    refuse_incomplete,
    refuse_other_number,
    refuse_unread,
)
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.restore_survey import RestoreSurvey
from ansible_collections.netops.conntrack.plugins.module_utils._errors import RefusedError
from ansible_collections.netops.conntrack.plugins.module_utils._listing.listing import Listing
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block
from ansible_collections.netops.conntrack.plugins.module_utils._table.presence import Presence
from ansible_collections.netops.conntrack.plugins.module_utils._table.writable import Outcomes, WritableTable

_EXPECTED = (0, errno.EEXIST)


def restore(table: WritableTable, listing: Listing, plan: RestorePlan, dry_run: bool) -> RestoreOutcome:
    """Make the entries that the plan selects in the file, unless it is a dry run.

    Raises OptionError for a file that has what is no entry, or too little of one, and what the file's ``read`` and
    ``make_entries`` raise.
    """
    survey = RestoreSurvey(plan)
    listing.read(lambda blocks: collections.deque(map(survey.add, blocks), maxlen=0))
    warnings = (*plan.warnings, *refuse_unread(listing))
    refuse_other_number(listing, survey.entries)
    refuse_incomplete(listing, survey.incomplete)
    return make_entries(table, survey, warnings, dry_run)


def make_entries(
    table: WritableTable, survey: RestoreSurvey, warnings: tuple[str, ...], dry_run: bool
) -> RestoreOutcome:
    """Make the entries of the survey, unless it is a dry run.

    Raises RefusedError if the table has no room for all, and what the table's ``read`` and ``create`` raise, with the
    number of those restored.
    """
    foreseen = _foreseen(table, survey) if dry_run or _missing_room(table, survey.wanted) else None
    if foreseen is not None:
        _refuse_overflow(table, foreseen, survey)
    if dry_run:
        return RestoreOutcome(survey, foreseen or collections.Counter(), warnings, is_done=False)
    with counting_outcomes(survey.words.done, survey.wanted) as outcomes:
        without_labels = _make(table, survey, outcomes)
    return RestoreOutcome(survey, outcomes, warnings, is_done=True, without_labels=without_labels)


def _make(table: WritableTable, survey: RestoreSurvey, outcomes: Outcomes[Group]) -> int:
    """Make the entries, and return how many of them did not get their labels.

    The kernel ignores the labels of a new entry where no rule uses labels (nf_ct_labels_ext_add()).
    """
    without_labels = 0
    for group, block in survey.parts():
        made = table.create(block, group, outcomes)
        if len(made) and "labels" in made.layout.fields:
            without_labels += table.without_labels(made)
    return without_labels


def _foreseen(table: WritableTable, survey: RestoreSurvey) -> Outcomes[Group]:
    """Return what would become of the entries now, from a reading of the table."""
    presence: Presence = table.read(_presence)
    outcomes: Outcomes[Group] = collections.Counter()
    for group, block in survey.parts():
        made = presence.add_new(block)
        outcomes[group, 0] += made
        outcomes[group, errno.EEXIST] += len(block) - made
    return outcomes


def _presence(blocks: t.Iterator[Block]) -> Presence:
    presence = Presence()
    for block in blocks:
        presence.add(block)
    return presence


def _missing_room(table: WritableTable, number: int) -> int:
    """Return how many entries more than there is room for so many new ones would be."""
    limit, count = table.limit(), table.count()
    return 0 if not limit or count is None else max(0, count + number - limit)


def _refuse_overflow(table: WritableTable, foreseen: Outcomes[Group], survey: RestoreSurvey) -> None:
    """Raise RefusedError if the table has no room for the new entries: the kernel would drop others for them."""
    wanted = count_of(foreseen, 0)
    missing = _missing_room(table, wanted)
    if missing:
        words = survey.words
        raise RefusedError(
            f"{words.option}: {wanted} entries would be {words.done}, and the table has {table.count()} of at most "
            f"{table.limit()}. There is no room for {missing} of them, and the kernel would drop connections for them. "
            f"Nothing was {words.done}. Raise net.netfilter.nf_conntrack_max, or choose a part of them.",
            **RestoreOutcome(survey, foreseen, (), is_done=False).counts(),
        )


@dataclasses.dataclass(frozen=True)
class RestoreOutcome:
    """What the file has, and what became of its entries, or would become of them where it is not done."""

    survey: RestoreSurvey
    outcomes: Outcomes[Group]
    warnings: tuple[str, ...]
    is_done: bool
    without_labels: int = 0

    def every_warning(self) -> t.Iterator[str]:
        """Yield what the operator should know besides the result."""
        words = self.survey.words
        yield from self.warnings
        if self.survey.without_timeout:
            yield (
                f"{words.option}: {self.survey.without_timeout} entries have no remaining time, because they were "
                f"offloaded, and are not {words.done}. Their next packets make new ones."
            )
        if self.without_labels:
            yield (
                f"{self.without_labels} entries were {words.done} without their labels, because no rule here uses "
                "labels. Load the ruleset first, delete these entries, and run it again."
            )

    def counts(self) -> dict[str, t.Any]:
        """Return what the result counts."""
        survey, restored = self.survey, count_of(self.outcomes, 0)
        return {
            "entries": survey.entries,
            "matched": survey.matched,
            "undecidable": survey.undecidable,
            "expired": survey.expired,
            "without_timeout": survey.without_timeout,
            "existing": count_of(self.outcomes, errno.EEXIST),
            survey.words.would: survey.wanted - count_of(self.outcomes, errno.EEXIST),
            survey.words.done: restored if self.is_done else 0,
            "refused": sum(self.outcomes.values()) - count_of(self.outcomes, *_EXPECTED),
            "without_labels": self.without_labels,
        }

    def result(self, count_after: int | None, with_diff: bool) -> dict[str, t.Any]:
        """Return the module's result. Raises ConntrackError, with all counts, if the kernel refused an entry."""
        result = {
            "changed": bool(count_of(self.outcomes, 0)),
            **self.counts(),
            "count_after": count_after,
            **({"diff": self.diff()} if with_diff else {}),
        }
        raise_on_failures(result, self.outcomes, _EXPECTED, self.survey.words.done)
        return result

    def diff(self) -> dict[str, str]:
        """Return the numbers of entries that are restored, by group."""
        return {"before": "", "after": diff_lines(+successes(self.outcomes))}

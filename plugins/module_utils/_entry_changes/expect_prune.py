# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Deleting the selected expectations, each with its tuple, zone and id, and what became of them.

Without its expectation, a connection that a helper announced is no RELATED one any more: a firewall that lets only
those in drops it. The master goes on, and its helper may expect the next one.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import errno
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.outcome import (
    count_of,
    counting_outcomes,
    diff_of,
    raise_on_failures,
    successes,
)
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.prune_plan import Limit
from ansible_collections.netops.conntrack.plugins.module_utils._errors import RefusedError
from ansible_collections.netops.conntrack.plugins.module_utils._expectations.expectation import Expectation
from ansible_collections.netops.conntrack.plugins.module_utils._expectations.fields import as_dict
from ansible_collections.netops.conntrack.plugins.module_utils._expectations.requests import Target, batches, delete
from ansible_collections.netops.conntrack.plugins.module_utils._expectations.selection import ExpectationSelection
from ansible_collections.netops.conntrack.plugins.module_utils._interrupt import uninterrupted
from ansible_collections.netops.conntrack.plugins.module_utils._netlink import transport
from ansible_collections.netops.conntrack.plugins.module_utils._table.writable import Outcomes

_EXPECTED = (0, errno.ENOENT)
_WHAT = "expectations"


@dataclasses.dataclass
class ExpectSurvey:
    """Which of the expectations are to be deleted. Those whose zone nobody knows cannot be named, and stay."""

    listed: t.Sequence[Expectation]
    selected: list[Expectation]
    undecidable: int

    @classmethod
    def of(cls, listed: t.Sequence[Expectation], selection: ExpectationSelection) -> ExpectSurvey:
        """Return what the selection selects of all that are ``listed``."""
        answers = [selection.decide(one) for one in listed]
        selected = [one for one, answer in zip(listed, answers) if answer]
        return cls(listed, selected, answers.count(None))

    @property
    def targets(self) -> list[Target]:
        """Those to be deleted, each with its zone."""
        return [Target(one, one.zone) for one in self.selected if one.zone is not None]

    def enforce(self, limit: Limit, sample: int) -> None:
        """Raise RefusedError if more would be deleted than the limit allows."""
        wanted, total = len(self.targets), len(self.listed)
        allowed = limit.number_of(total)
        if limit.given is not None and wanted > allowed:
            raise RefusedError(
                f"max_delete: {limit.given!r} allows {allowed} of the table's {total} expectations to be deleted, but "
                f"{wanted} would be. Nothing was deleted. Look at some of them in the result's sample, then narrow "
                "match or raise max_delete.",
                **self.counts(sample),
                deleted=0,
            )

    def counts(self, sample: int) -> dict[str, t.Any]:
        """Return what the result says about the table before the first delete."""
        targets = self.targets
        return {
            "matched": len(self.selected),
            "without_zone": len(self.selected) - len(targets),
            "would_delete": len(targets),
            "undecidable": self.undecidable,
            "count_before": len(self.listed),
            "sample": [as_dict(target.expectation) for target in targets[:sample]],
        }


def prune_expectations(survey: ExpectSurvey, sample: int, dry_run: bool, with_diff: bool) -> dict[str, t.Any]:
    """Delete the targets of the survey unless it is a dry run, and return the result of the module.

    Raises ConntrackError, with all counts, if the kernel refused a delete or did not answer.
    """
    targets = survey.targets
    outcomes: Outcomes[str] = collections.Counter()
    if not dry_run:
        with counting_outcomes("deleted", len(targets), _WHAT) as outcomes:
            _delete(targets, outcomes)
    deleted = count_of(outcomes, 0)
    result = {
        "changed": bool(targets if dry_run else deleted),
        **survey.counts(sample),
        "deleted": deleted,
        "already_gone": count_of(outcomes, errno.ENOENT),
        "not_deleted": sum(outcomes.values()) - count_of(outcomes, *_EXPECTED),
    }
    if with_diff:
        kinds = collections.Counter(_kind_of(one) for one in survey.listed)
        gone = collections.Counter(_kind_of(target.expectation) for target in targets)
        result["diff"] = diff_of(kinds, gone if dry_run else successes(outcomes))
    raise_on_failures(result, outcomes, _EXPECTED, "deleted", _WHAT)
    return result


def _delete(targets: t.Sequence[Target], outcomes: Outcomes[str]) -> None:
    """Delete the targets, and add what became of them to the outcomes, by kind."""
    with contextlib.closing(transport.open_socket()) as source:
        for first, batch in batches(targets):
            # A signal waits until the batch is counted.
            with uninterrupted():
                answers = delete(source, batch, first)
                outcomes.update((_kind_of(one.expectation), answer) for one, answer in zip(batch, answers))


def _kind_of(expectation: Expectation) -> str:
    """Return what the diff counts by."""
    expected = expectation.expected
    return f"{expected.helper or 'no helper'} {expected.family_name} {expected.protocol_name}"

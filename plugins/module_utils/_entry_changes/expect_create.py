# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Making expectations that are described, for masters that are in the table or are made before.

The kernel expects the connection as if the helper of the master had announced it: the packet that comes is RELATED.
"""

from __future__ import annotations

import collections
import contextlib
import errno
import os
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.expect_plan import (
    ExpectPlan,
    Refusal,
    in_words,
    master_of,
)
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.outcome import (
    counting_outcomes,
    diff_lines,
)
from ansible_collections.netops.conntrack.plugins.module_utils._errors import ConntrackError
from ansible_collections.netops.conntrack.plugins.module_utils._expectations import creation
from ansible_collections.netops.conntrack.plugins.module_utils._expectations.creation import Master, masters_in_table
from ansible_collections.netops.conntrack.plugins.module_utils._expectations.dump import list_expectations
from ansible_collections.netops.conntrack.plugins.module_utils._expectations.expectation import Expectation
from ansible_collections.netops.conntrack.plugins.module_utils._expectations.requests import BATCH
from ansible_collections.netops.conntrack.plugins.module_utils._expectations.wanted import Ends, Key, Wanted
from ansible_collections.netops.conntrack.plugins.module_utils._expectations.zones import with_zones
from ansible_collections.netops.conntrack.plugins.module_utils._interrupt import uninterrupted
from ansible_collections.netops.conntrack.plugins.module_utils._netlink import transport
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block
from ansible_collections.netops.conntrack.plugins.module_utils._table.table import Table
from ansible_collections.netops.conntrack.plugins.module_utils._table.writable import Outcomes
from ansible_collections.netops.conntrack.plugins.module_utils._uapi import FAMILY_NAMES, PROTOCOL_NAMES

_WHAT = "expectations"
_IN_THE_WAY = "is in the way of another expectation, which the same connection would meet"
_REASONS = {
    errno.ENOENT: "has no master any more: its entry ended meanwhile",
    errno.EEXIST: _IN_THE_WAY,
    errno.EBUSY: _IN_THE_WAY,
    errno.EALREADY: _IN_THE_WAY,
    errno.EMFILE: "has no place: the table of expectations is full, or its master has as many as the helper allows",
    errno.EINVAL: "has a class that its helper does not have, or a function that this kernel does not know",
    errno.EOPNOTSUPP: "has a master without a helper, or a helper that this kernel does not know",
    errno.ESHUTDOWN: "has a master without a helper",
}
"""What the kernel says with an errno (ctnetlink_create_expect() in nf_conntrack_netlink.c, nf_conntrack_expect.c)."""

_SOON = 2
"""So many seconds may pass between two listings. What had less left may have ended by itself."""


class ExpectCreation:
    """The expectations of one run, for a table, with entries that are made before them."""

    def __init__(self, table: Table, wanted: t.Sequence[Wanted], new_masters: t.Sequence[Block]) -> None:
        """Read what the table has. Raises what ``list_expectations``, ``with_zones`` and the lookups raise."""
        self._table = table
        self._before = list_expectations() if wanted else []
        self._masters = _masters_of(wanted, new_masters) if wanted else {}
        self.plan = ExpectPlan(wanted, self._similar(wanted), self._masters)

    def enforce(self, limit: int | None) -> None:
        """Raise RefusedError if one of them cannot be made, or there is no room for all, before anything is sent."""
        self.plan.enforce(len(self._before), limit)

    def complete(self, result: dict[str, t.Any], dry_run: bool) -> dict[str, t.Any]:
        """Make the expectations unless it is a dry run, and return the ``result`` of the entries with theirs.

        Raises ConntrackError, with all that, if the kernel refused one or did not answer.
        """
        if not dry_run:
            return self._make(result)
        to_make = [one for _number, one in self.plan.to_make]
        changed = result["changed"] or bool(to_make)
        return {**_with_diff(result, to_make), "changed": changed, "expectations": self.plan.counts(0, ())}

    def warnings(self, result: t.Mapping[str, t.Any]) -> t.Iterator[str]:
        """Yield what the operator should know besides the result."""
        ended = result["expectations"]["ended"]
        if ended:
            yield (
                f"expectations: {ended} of these masters are gone already. Their connection came, or the kernel has "
                "ended them because the helper allows no more for one master. See conntrack_expect_info."
            )

    def _make(self, result: dict[str, t.Any]) -> dict[str, t.Any]:
        refusals: list[Refusal] = []

        def as_result(created: int) -> dict[str, t.Any]:
            changed = result["changed"] or bool(created)
            return {**result, "changed": changed, "expectations": self.plan.counts(created, refusals)}

        with counting_outcomes("created", len(self.plan.to_make), _WHAT, as_result) as outcomes:
            made = _create(self.plan.to_make, outcomes, refusals)
        done = _with_diff(as_result(len(made)), made)
        done["expectations"]["ended"] = self._ended(made)
        if refusals:
            raise ConntrackError(
                f"The kernel refused {len(refusals)} of {len(self.plan.to_make)} expectations: {in_words(refusals)}. "
                f"{len(made)} were created.",
                **done,
            )
        return done

    def _similar(self, wanted: t.Sequence[Wanted]) -> list[Key]:
        """Return those expectations of the table that may be a wanted one or in its way, or have the same master.

        Only for these the zone has to be looked up.
        """
        destinations = {_destination_of(one.key.expected) for one in wanted}
        masters = {one.key.master for one in wanted}
        similar = [
            one
            for one in self._before
            if _destination_of(Ends.of(one.expected)) in destinations or Ends.of(one.master) in masters
        ]
        return [Key.of(one) for one in with_zones(similar, self._table) if one.zone is not None]

    def _ended(self, made: t.Sequence[Wanted]) -> int:
        """Return how many expectations of these masters are gone that would be there if nothing had happened."""
        masters = {one.key.master for one in made}
        if not masters:
            return 0
        now = list_expectations()
        ids = {one.id for one in now}
        lost = [
            one for one in self._before if Ends.of(one.master) in masters and one.id not in ids and _is_lasting(one)
        ]
        present = {Key.of(one)._replace(zone=None) for one in now}
        return len(lost) + sum(one.key._replace(zone=None) not in present for one in made)


def _create(to_make: t.Sequence[tuple[int, Wanted]], outcomes: Outcomes[str], refusals: list[Refusal]) -> list[Wanted]:
    """Make the expectations, and return those that were made. Add to what became of all, and why some were refused."""
    made: list[Wanted] = []
    with contextlib.closing(transport.open_socket()) as source:
        for start in range(0, len(to_make), BATCH):
            batch = to_make[start : start + BATCH]
            # A signal waits until the batch is counted, and what is made has its time.
            with uninterrupted():
                answers = creation.create(source, [one for _number, one in batch], 1)
                for (number, one), answer in zip(batch, answers):
                    outcomes[_kind_of(one), answer] += 1
                    if answer:
                        refusals.append(Refusal(number, _reason_of(answer)))
                new = [one for (_number, one), answer in zip(batch, answers) if not answer]
                creation.set_remaining(source, [one for one in new if one.remaining], 1)
                made += new
    return made


def _with_diff(result: dict[str, t.Any], made: t.Sequence[Wanted]) -> dict[str, t.Any]:
    """Return the result with the expectations that are made, by kind, in its diff, if it has one."""
    if "diff" not in result:
        return result
    diff = result["diff"]
    lines = diff_lines(collections.Counter(f"expectations {_kind_of(one)}" for one in made))
    return {**result, "diff": {**diff, "after": diff["after"] + lines}}


def _reason_of(number: int) -> str:
    return _REASONS.get(number) or f"was refused: {os.strerror(number)}"


def _masters_of(wanted: t.Sequence[Wanted], new: t.Sequence[Block]) -> dict[Master, str | None]:
    """Return the masters that are there, and those that will be, each with its helper."""
    masters = list(dict.fromkeys(master_of(one) for one in wanted))
    found: dict[Master, str | None] = {}
    for block in new:
        for entry in block.entries((*Ends._fields, "zone", "zone_reply", "helper")):
            # A zone of the other direction is none of the original tuple.
            zone = 0 if entry.zone_reply is not None else entry.zone
            found[Master(Ends.of(entry), zone)] = entry.helper
    with transport.open_socket() as source:
        return {**found, **masters_in_table(source, masters)}


def _destination_of(ends: Ends) -> tuple[t.Any, ...]:
    return ends.family, ends.protocol, ends.destination, ends.destination_port


def _is_lasting(one: Expectation) -> bool:
    return (one.expected.remaining or 0) > _SOON


def _kind_of(one: Wanted) -> str:
    """Return what the diff counts by."""
    expected = one.key.expected
    protocol = PROTOCOL_NAMES.get(expected.protocol, str(expected.protocol))
    return f"{one.helper or 'no helper'} {FAMILY_NAMES[expected.family]} {protocol}"

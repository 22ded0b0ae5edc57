# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Which entries a lower timeout may shorten: those that have theirs from the sysctl that was lowered.

A dump does not say where an entry has its timeout from. It may be the sysctl of its state, a rule (``ct timeout`` of
nftables, a policy of cttimeout), or a program that put the entry in. So an entry is only shortened where nothing but
the sysctl explains what it has left.
"""

from __future__ import annotations

import dataclasses
import math
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._entry.entry import Entry
from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeout_policies import GENERIC, Policy
from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeout_record import TimeoutRecord
from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeouts import (
    TIMEOUT_FIELDS,
    governing_sysctls,
    has_timeouts_of_helper,
    policy_timeouts,
)
from ansible_collections.netops.conntrack.plugins.module_utils._uapi import EXPECTED, GRE

CLAIM_FIELDS = TIMEOUT_FIELDS | {"family", "remaining", "helper"}
"""The fields of an entry that ``Claims.reason_to_keep`` reads."""

NOT_LOWERED = "not_lowered"
"""None of the sysctls that govern the entry was lowered."""

RULE = "rule"
"""A timeout policy of this router may have given the entry what it has left."""

HELPER = "helper"
"""A helper may have given the entry what it has left, as that of SIP does."""

LONGER_THAN_BEFORE = "longer_than_before"
"""The entry has more left than the sysctl allowed before it was lowered."""

REASONS = (NOT_LOWERED, RULE, HELPER, LONGER_THAN_BEFORE)

_GENERIC_SYSCTL = "generic_timeout"
"""What governs the entries of all protocols that the kernel does not know."""


@dataclasses.dataclass(frozen=True)
class Claims:
    """What lets an entry be shortened.

    ``bounds`` has each sysctl that was lowered, by short name, with the most seconds that an entry from before can
    still have left. ``policies`` are the timeout policies that rules of this router may use.
    """

    bounds: t.Mapping[str, int]
    policies: t.Sequence[Policy]

    @property
    def breakpoints(self) -> set[int]:
        """All remaining times at which the reason to keep an entry may change, apart from the new timeouts."""
        longest = [
            *self.bounds.values(),
            *(seconds for policy in self.policies for seconds in policy.timeouts.values()),
        ]
        return {seconds + 1 for seconds in longest}

    def reason_to_keep(self, entry: Entry, settings: t.Mapping[str, int], new: int) -> str:
        """Return one of REASONS for an entry that has more left than ``new``, its new timeout. "" means none.

        ``settings`` are the sysctls by short name.
        """
        names = governing_sysctls(entry, settings)
        bounds = [self.bounds[name] for name in names if name in self.bounds]
        remaining = t.cast(int, entry.remaining)
        if not bounds:
            return NOT_LOWERED
        if any(remaining <= seconds and seconds > new for seconds in self._by_rules(entry, names)):
            return RULE
        if has_timeouts_of_helper(entry) or _is_expected_gre(entry):
            return HELPER
        if remaining > max(bounds):
            return LONGER_THAN_BEFORE
        return ""

    def _by_rules(self, entry: Entry, names: t.Sequence[str]) -> t.Iterator[int]:
        """Yield the timeouts that rules may have given the entry in its state."""
        for policy in self.policies:
            if policy.protocol == entry.protocol and policy.family in (None, entry.family):
                yield from policy_timeouts(policy, names)
            elif policy.protocol == GENERIC and _GENERIC_SYSCTL in names:
                yield from policy.timeouts.values()


NOTHING_CLAIMED = Claims({}, ())


def _is_expected_gre(entry: Entry) -> bool:
    """Return whether the helper of PPTP may have made the entry, which gives it hours (nf_conntrack_pptp.h)."""
    return entry.protocol == GRE and bool((entry.status or 0) & EXPECTED)


def lowered_bounds(wanted: t.Mapping[str, int], present: t.Mapping[str, int], record: TimeoutRecord) -> dict[str, int]:
    """Return ``bounds`` of Claims for the timeouts in ``wanted``, by short name.

    A timeout is lowered where the wanted value is below the ``present`` one, as before the change is made. It is also
    lowered where the kernel has the wanted value, and the ``record`` says that this collection lowered it to that.
    """
    bounds = {}
    for name, value in wanted.items():
        now = present.get(name)
        if "timeout" not in name or now is None or value > now:
            continue
        candidates = [now] if value < now else []
        candidates += _bounds_on_record(record, name, now)
        if candidates:
            bounds[name] = max(candidates)
    return bounds


def _bounds_on_record(record: TimeoutRecord, name: str, present: int) -> t.Iterator[int]:
    """Yield the most seconds that an entry from before each of the changes that led down to ``present`` can have."""
    value = present
    for change in reversed(record.changes_of(name)):
        if change.new != value or change.old <= change.new:
            return
        # One second more, because the sysctl was written some time after the change had begun.
        yield math.floor(change.old - (record.now - change.begun)) + 1
        value = change.old

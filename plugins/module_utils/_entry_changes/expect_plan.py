# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Which of the wanted expectations are to be made, and why the kernel would refuse others, found before it is asked."""

from __future__ import annotations

import collections
import os
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._errors import RefusedError
from ansible_collections.netops.conntrack.plugins.module_utils._expectations.creation import Master
from ansible_collections.netops.conntrack.plugins.module_utils._expectations.wanted import Key, Wanted
from ansible_collections.netops.conntrack.plugins.module_utils._files.regular_files import read_start

_MOST_OF_MASTER = {"ftp": 1, "tftp": 1, "sane": 1, "netbios-ns": 1, "pptp": 2, "irc": 8}
"""How many expectations of the class 0 these helpers allow for one master (max_expected in nf_conntrack_*.c).

The kernel makes one more anyway, and ends the oldest (evict_oldest_expect() in net/netfilter/nf_conntrack_expect.c).
It tells nobody how many a helper allows, so nothing is said of those that are not here.
"""

_MOST_OF_IRC = "/sys/module/nf_conntrack_irc/parameters/max_dcc_channels"
_MOST_DIGITS = 16
MOST_NAMED = 5


class Refusal(t.NamedTuple):
    """A wanted expectation, by its place in the option, that is not made, and why."""

    number: int
    reason: str

    def as_dict(self) -> dict[str, t.Any]:
        """Return it as the module returns it."""
        return {"expectation": self.number, "reason": self.reason}


def in_words(refusals: t.Sequence[Refusal]) -> str:
    """Return the first refusals in one text."""
    named = "; ".join(f"expectations[{number}] {reason}" for number, reason in refusals[:MOST_NAMED])
    more = len(refusals) - MOST_NAMED
    return f"{named}; and {more} more" if more > 0 else named


class ExpectPlan:
    """What becomes of the wanted expectations, with what the table has of them and of their masters.

    ``there`` are the expectations of the table that may be the same, or in the way. ``masters`` are those masters that
    have an entry, or get one before, each with its helper.
    """

    def __init__(
        self, wanted: t.Sequence[Wanted], there: t.Iterable[Key], masters: t.Mapping[Master, str | None]
    ) -> None:
        self.wanted = wanted
        self._masters = masters
        self._keys = set(there)
        self._number_of = collections.Counter((key.master, key.zone, key.class_number) for key in self._keys)
        self.existing = 0
        self.to_make: list[tuple[int, Wanted]] = []
        self.refusals: list[Refusal] = []
        for number, one in enumerate(wanted):
            self._decide(number, one)

    def _decide(self, number: int, one: Wanted) -> None:
        if one.key in self._keys:
            self.existing += 1
            return
        reason = self._problem_of(one)
        if reason:
            self.refusals.append(Refusal(number, reason))
            return
        helper = self._masters[master_of(one)]
        self.to_make.append((number, one._replace(helper=helper)))
        self._keys.add(one.key)
        self._number_of[one.key.master, one.key.zone, one.key.class_number] += 1

    def _problem_of(self, one: Wanted) -> str | None:
        """Return why the kernel would refuse an expectation, or end another one for it."""
        master = master_of(one)
        if master not in self._masters:
            return "has no master: the table has no entry with its original tuple in this zone"
        helper = self._masters[master]
        if helper is None:
            return "has a master without a helper, and the kernel takes expectations only for those with one"
        if one.helper not in (None, helper):
            return f"has the helper {one.helper!r}, and its master has {helper!r}"
        if any(_clash(one.key, other) for other in self._keys):
            return "is in the way of another expectation, which the same connection would meet"
        most = _most_of_master(helper) if not one.key.class_number else None
        if most is not None and self._number_of[one.key.master, one.key.zone, one.key.class_number] >= most:
            return (
                f"is one too many: the helper {helper} allows {most} for one master, and the kernel would end the "
                "oldest for it. Delete that with conntrack_expect_prune first"
            )
        return None

    def enforce(self, number: int, limit: int | None) -> None:
        """Raise RefusedError if one cannot be made, or the table with its ``number`` of expectations has no room."""
        if self.refusals:
            raise RefusedError(
                f"expectations: {len(self.refusals)} of {len(self.wanted)} cannot be made: {in_words(self.refusals)}. "
                "Nothing was created.",
                expectations=self.counts(0, self.refusals),
            )
        if self.to_make and limit is not None and number + len(self.to_make) > limit:
            raise RefusedError(
                f"expectations: {len(self.to_make)} would be created, and the table has {number} of at most {limit}. "
                "Nothing was created. Raise net.netfilter.nf_conntrack_expect_max, or give fewer.",
                expectations=self.counts(0, ()),
            )

    def counts(self, created: int, refusals: t.Sequence[Refusal]) -> dict[str, t.Any]:
        """Return what the result says of expectations, of which none has ended because of new ones."""
        return {
            "wanted": len(self.wanted),
            "existing": self.existing,
            "would_create": len(self.to_make),
            "created": created,
            "refused": len(refusals),
            "ended": 0,
            "refusals": [refusal.as_dict() for refusal in refusals],
        }


def master_of(one: Wanted) -> Master:
    """Return the master of a wanted expectation."""
    return Master(one.key.master, one.key.zone or 0)


def _clash(one: Key, other: Key) -> bool:
    """Return whether a connection can meet both, so that the kernel refuses the second (expect_clash() there)."""
    if one.zone != other.zone or one.expected.destination != other.expected.destination:
        return False
    for name in ("family", "protocol", "destination_port"):
        if getattr(one.expected, name) != getattr(other.expected, name):
            return False
    masks = zip(one.expected.source, other.expected.source, one.mask_source, other.mask_source)
    differ = any((mine ^ theirs) & mask & their_mask for mine, theirs, mask, their_mask in masks)
    ports = (one.expected.source_port or 0) ^ (other.expected.source_port or 0)
    return not differ and not ports & (one.mask_source_port or 0) & (other.mask_source_port or 0)


def _most_of_master(helper: str) -> int | None:
    if helper == "irc":
        text = _start_of(_MOST_OF_IRC)
        return int(text) if text.isdigit() else _MOST_OF_MASTER[helper]
    return _MOST_OF_MASTER.get(helper)


def _start_of(path: str) -> str:
    try:
        return os.fsdecode(read_start(path, _MOST_DIGITS)).strip()
    except OSError:
        return ""

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Which entries would not be there if other timeouts had been in force all the time.

A new timeout leaves an entry as it is until its next packet. So it does not say what becomes of the present entries.
But the time that an entry has left says how long ago it got its timeout, and an entry that got it longer ago than the
new timeout would have expired. What an entry may have got its timeout from is decided as for its idle time (see
timeouts). Where something else than the sysctl may have given it, or the time is not known, the effect is unknown.
"""

from __future__ import annotations

import enum
import math
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._entry.entry import Entry
from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeouts import (
    CAPS,
    DUMP_SECONDS,
    IDLE_FIELDS,
    RESET,
    Explanation,
    Timeouts,
    age,
    governing_sysctls,
    has_timeouts_of_helper,
    idle_changes,
)

EFFECT_FIELDS = IDLE_FIELDS
"""The fields of an entry that ``NewTimeouts.effect`` reads."""

_UNACKNOWLEDGED = CAPS[0]
_TCP_TIMEOUTS = "tcp_timeout_"


class Effect(enum.Enum):
    """What new timeouts would have made of an entry whose timeout they give."""

    GONE = "gone"
    STAYS = "stays"
    UNKNOWN = "unknown"


class NewTimeouts:
    """Timeouts that are not set yet: ``wanted`` has seconds by the short name of the sysctl.

    ``timeouts`` is what is known of those that the entries may have got.
    """

    def __init__(self, wanted: t.Mapping[str, int], timeouts: Timeouts) -> None:
        self._wanted = wanted
        self._timeouts = timeouts
        self._settings = {**timeouts.settings, **wanted}
        self.lowered = frozenset(name for name, seconds in wanted.items() if seconds < timeouts.settings.get(name, 0))
        """Those that are below what they are now."""

    def effect(self, entry: Entry) -> Effect | None:
        """Return what the timeouts would have made of the entry, or None if none of them gives it its time."""
        explanations = self._explanations(entry)
        if not explanations:
            names = self._wanted.keys() & _own_sysctls(entry, self._timeouts.settings)
            if not names:
                return None
            return Effect.STAYS if self.lowered.isdisjoint(names) else Effect.UNKNOWN
        if not any(self._acts_on(each, entry) for each in explanations):
            return None
        limits = {name for each in explanations for name in self._limits(each, entry)}
        if self.lowered.isdisjoint(limits):
            return Effect.STAYS
        effects = {self._effect_on(each, entry) for each in explanations}
        return effects.pop() if len(effects) == 1 else Effect.UNKNOWN

    def remaining_changes(self) -> set[int]:
        """Return all remaining times at which the effect on an entry may change."""
        changes = idle_changes((), self._timeouts)
        since_boot = self._least_impossible()
        of_tcp = {seconds for name, seconds in self._settings.items() if name.startswith(_TCP_TIMEOUTS)}
        for each in self._timeouts.everything():
            bounds = {since_boot}
            if each.sysctl is not None:
                bounds.add(self._settings.get(each.sysctl, 0))
                bounds.update(of_tcp if each.sysctl.startswith(_TCP_TIMEOUTS) else ())
            changes.update(each.timeout - self._timeouts.rounding - bound + 1 for bound in bounds)
        return changes

    def age_bounds(self) -> set[int]:
        """Return all ages at which the effect on an entry may change."""
        return {seconds for name, seconds in self._settings.items() if "timeout" in name}

    def _explanations(self, entry: Entry) -> list[Explanation]:
        """Return what may have given the entry its timeout. Nothing where that is not known."""
        if entry.remaining is None or (entry.status or 0) & _uapi.FIXED_TIMEOUT or has_timeouts_of_helper(entry):
            return []
        possible = [
            each
            for each in self._timeouts.possible(entry)
            if each.explains(entry.remaining) and self._elapsed(each, entry.remaining) < self._least_impossible()
        ]
        likely = [each for each in possible if not self._is_ruled_out(each, entry, possible)]
        # A program may have made an entry as the kernel does not.
        return likely or possible

    def _least_impossible(self) -> int:
        """Return the least seconds since its last packet that no entry can have, because the machine is up for less."""
        uptime = self._timeouts.uptime
        return math.floor(uptime) + DUMP_SECONDS + 1 if uptime < math.inf else 1 << 62

    def _elapsed(self, explanation: Explanation, remaining: int) -> int:
        """Return how long ago, at the least, the entry got this timeout."""
        return max(0, explanation.timeout - remaining - self._timeouts.rounding)

    def _is_ruled_out(self, explanation: Explanation, entry: Entry, possible: t.Collection[Explanation]) -> bool:
        """Return whether the kernel gives another one of the ``possible`` timeouts to an entry with such a status."""
        names = governing_sysctls(entry, self._timeouts.settings)
        if explanation.sysctl not in names:
            # Without an answer, a reset ends the entry at once (tcp_packet()).
            return explanation.sysctl == RESET and not (entry.status or 0) & _uapi.SEEN_REPLY
        if _is_picked_up(entry):
            return any(each.sysctl in CAPS for each in possible)
        return explanation.sysctl not in _of_status(entry, names)

    def _acts_on(self, explanation: Explanation, entry: Entry) -> bool:
        """Return whether the wanted timeouts give the entry another time than this, or say what this one is."""
        now = self._given(explanation, entry, self._timeouts.settings)
        then = self._given(explanation, entry, self._settings)
        return explanation.sysctl in self._wanted or now != then

    def _effect_on(self, explanation: Explanation, entry: Entry) -> Effect:
        """Return what would have become of the entry if this is what gave it its timeout."""
        if not explanation.from_a_packet:
            return Effect.UNKNOWN
        given = self._given(explanation, entry, self._settings)
        age_seconds = age(entry.start, self._timeouts)
        if given is None or (age_seconds is not None and age_seconds < given):
            return Effect.STAYS
        return Effect.GONE if self._elapsed(explanation, t.cast(int, entry.remaining)) >= given else Effect.STAYS

    def _given(self, explanation: Explanation, entry: Entry, settings: t.Mapping[str, int]) -> int | None:
        """Return the time that the entry gets in such a case by these ``settings``, None if no sysctl gives it."""
        return min((settings[name] for name in self._limits(explanation, entry)), default=None)

    def _limits(self, explanation: Explanation, entry: Entry) -> set[str]:
        """Return the sysctls of which the kernel gives the shortest in such a case.

        A cap of TCP only shortens the timeout of the state.
        """
        if explanation.sysctl is None:
            return set()
        names = {explanation.sysctl}
        if explanation.sysctl in CAPS:
            names.update(governing_sysctls(entry, self._settings))
        if _is_picked_up(entry):
            names.add(_UNACKNOWLEDGED)
        return {name for name in names if name in self._settings}


def _own_sysctls(entry: Entry, settings: t.Mapping[str, int]) -> list[str]:
    """Return the sysctls that give the entry its timeout, by its protocol, state and status."""
    return _of_status(entry, governing_sysctls(entry, settings))


def _of_status(entry: Entry, names: list[str]) -> list[str]:
    """Return those of an entry's sysctls that its status leaves.

    UDP and GRE get the second one together with ASSURED, unless two packets clashed (udp_packet() and gre_packet() in
    net/netfilter/nf_conntrack_proto_*.c).
    """
    status = entry.status or 0
    if len(names) < 2 or status & _uapi.NAT_CLASH:
        return names
    return names[1:] if status & _uapi.ASSURED else names[:1]


def _is_picked_up(entry: Entry) -> bool:
    """Return whether it is a TCP connection without an answer that was picked up in the middle.

    The kernel never gives it more than the timeout of unacknowledged data (tcp_packet(), since 3.12).
    """
    return (
        entry.protocol == _uapi.TCP and entry.state_name == "ESTABLISHED" and not (entry.status or 0) & _uapi.SEEN_REPLY
    )

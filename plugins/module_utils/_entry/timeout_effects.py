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
"""The fields of an entry that ``origins_of`` reads."""

_UNACKNOWLEDGED = CAPS[0]
_TCP_TIMEOUTS = "tcp_timeout_"
_NEVER = 1 << 62


class Effect(enum.Enum):
    """What new timeouts would have made of an entry whose timeout they give."""

    GONE = "gone"
    STAYS = "stays"
    UNKNOWN = "unknown"


class Origin(t.NamedTuple):
    """What may have given an entry its timeout, and how long ago that was at the least.

    ``limits`` are the sysctls of which the kernel gives the shortest in such a case. There are none where no sysctl
    gives it.
    """

    explanation: Explanation
    elapsed: int
    limits: frozenset[str]

    def given(self, settings: t.Mapping[str, int]) -> int | None:
        """Return the time that the entry gets in such a case by these ``settings``, None if no sysctl gives it."""
        return min((settings[name] for name in self.limits), default=None)


class Origins(t.NamedTuple):
    """All that may have given an entry its timeout, and its age. Without any, nobody knows, and ``names`` may have."""

    every: tuple[Origin, ...]
    names: frozenset[str]
    age: int | None


def origins_of(entry: Entry, timeouts: Timeouts) -> Origins:
    """Return what may have given the entry its timeout, as far as ``timeouts`` tell."""
    own = governing_sysctls(entry, timeouts.settings)
    by_status = frozenset(_of_status(entry, own))
    remaining = entry.remaining
    age_seconds = age(entry.start, timeouts)
    if remaining is None or (entry.status or 0) & _uapi.FIXED_TIMEOUT or has_timeouts_of_helper(entry):
        return Origins((), by_status, age_seconds)
    explaining = [each for each in timeouts.possible(entry) if each.explains(remaining)]
    elapsed = [max(0, each.timeout - remaining - timeouts.rounding) for each in explaining]
    possible = [
        Origin(each, seconds, _limits(each, entry, own, timeouts.settings))
        for each, seconds in zip(explaining, elapsed)
        if seconds < _least_impossible(timeouts)
    ]
    has_cap = any(each.explanation.sysctl in CAPS for each in possible)
    likely = [each for each in possible if not _is_ruled_out(each, entry, own, by_status, has_cap=has_cap)]
    # A program may have made an entry as the kernel does not.
    every = tuple(likely or possible)
    return Origins(every, frozenset().union(*(each.limits for each in every)) if every else by_status, age_seconds)


class NewTimeouts:
    """Timeouts that are not set yet: ``wanted`` has seconds by the short name of the sysctl.

    ``timeouts`` is what is known of those that the entries may have got.
    """

    def __init__(self, wanted: t.Mapping[str, int], timeouts: Timeouts) -> None:
        self._wanted = wanted
        self._timeouts = timeouts
        self._present = timeouts.settings
        self._settings = {**timeouts.settings, **wanted}
        self.lowered = frozenset(name for name, seconds in wanted.items() if seconds < timeouts.settings.get(name, 0))
        """Those that are below what they are now."""

    def effect(self, origins: Origins) -> Effect | None:
        """Return what the timeouts would have made of such an entry, or None if none of them gives it its time."""
        if origins.names.isdisjoint(self._wanted) or not self._act_on(origins):
            return None
        if origins.names.isdisjoint(self.lowered):
            return Effect.STAYS
        effects = {self._effect_on(each, origins.age) for each in origins.every}
        return effects.pop() if len(effects) == 1 else Effect.UNKNOWN

    def remaining_changes(self) -> set[int]:
        """Return all remaining times at which the effect on an entry may change."""
        changes = idle_changes((), self._timeouts)
        since_boot = _least_impossible(self._timeouts)
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

    def _act_on(self, origins: Origins) -> bool:
        """Return whether the timeouts give the entry another time than it got, or say what this one is."""
        if not origins.every:
            return True
        return any(
            each.explanation.sysctl in self._wanted or each.given(self._present) != each.given(self._settings)
            for each in origins.every
        )

    def _effect_on(self, origin: Origin, age_seconds: int | None) -> Effect:
        """Return what would have become of the entry if this is what gave it its timeout."""
        if not origin.explanation.from_a_packet:
            return Effect.UNKNOWN
        given = origin.given(self._settings)
        if given is None or (age_seconds is not None and age_seconds < given):
            return Effect.STAYS
        return Effect.GONE if origin.elapsed >= given else Effect.STAYS


def _least_impossible(timeouts: Timeouts) -> int:
    """Return the least seconds since its last packet that no entry can have, because the machine is up for less."""
    return math.floor(timeouts.uptime) + DUMP_SECONDS + 1 if timeouts.uptime < math.inf else _NEVER


def _limits(
    explanation: Explanation, entry: Entry, own: t.Iterable[str], settings: t.Mapping[str, int]
) -> frozenset[str]:
    """Return the sysctls of which the kernel gives the shortest, if this one gave the entry its timeout.

    A cap of TCP only shortens the timeout of the state, which is the entry's ``own``.
    """
    if explanation.sysctl is None:
        return frozenset()
    names = {explanation.sysctl}
    if explanation.sysctl in CAPS:
        names.update(own)
    if _is_picked_up(entry):
        names.add(_UNACKNOWLEDGED)
    return frozenset(name for name in names if name in settings)


def _is_ruled_out(
    origin: Origin, entry: Entry, own: t.Container[str], by_status: t.Container[str], has_cap: bool
) -> bool:
    """Return whether the kernel gives another timeout to an entry with such a status.

    ``own`` are the sysctls of its protocol and state, ``by_status`` those of them that its status leaves. ``has_cap``
    is whether one of TCP's caps may have given the entry its timeout.
    """
    sysctl = origin.explanation.sysctl
    if sysctl not in own:
        # Without an answer, a reset ends the entry at once (tcp_packet()).
        return sysctl == RESET and not (entry.status or 0) & _uapi.SEEN_REPLY
    return has_cap if _is_picked_up(entry) else sysctl not in by_status


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

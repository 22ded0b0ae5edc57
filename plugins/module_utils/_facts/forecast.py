# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""What settings that are not made yet would do to the entries of now.

A new timeout leaves an entry as it is until its next packet. So there are two answers. One is how many of the entries
would not be there if the timeout had been in force all the time. The other is when these go: with the setting alone
by themselves, when what they have left is over. Shortened by conntrack_update, after the new timeout at the latest.
"""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._entry.entry import Entry
from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeout_effects import (
    EFFECT_FIELDS,
    Effect,
    NewTimeouts,
    origins_of,
)
from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeouts import Timeouts, longest_timeout
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.module_utils._facts.fullness import fullness
from ansible_collections.netops.conntrack.plugins.module_utils._facts.histogram import Histogram
from ansible_collections.netops.conntrack.plugins.module_utils._facts.kinds import DescribedKind, KindCounts
from ansible_collections.netops.conntrack.plugins.module_utils._settings.setting_plan import requested_values
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.values import stored_value
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block
from ansible_collections.netops.conntrack.plugins.module_utils._units import percent

_SIZES = ("max", "buckets")
"""The settings that decide how full a number of entries makes the table."""

_FIELDS = tuple(sorted(EFFECT_FIELDS))

LeaveOut = t.Callable[[Block], Block]
"""Returns the entries of a block that will be left once something else is done."""

LeaveOutFor = t.Callable[[Context], LeaveOut]


class Forecast:
    """What the ``wanted`` settings, numbers by short name, would do to the entries of a table.

    ``timeouts`` is what is known of those that the entries may have got. With ``leave_out``, the entries that it leaves
    out are taken for gone already. It is given the blocks of the table one after the other.
    """

    def __init__(self, wanted: t.Mapping[str, int], timeouts: Timeouts, leave_out: LeaveOut | None = None) -> None:
        self._wanted = wanted
        self._timeouts = timeouts
        self._present = timeouts.settings
        self._seconds = {name: seconds for name, seconds in wanted.items() if "timeout" in name}
        self._then = {**self._present, **self._seconds}
        self._alone = {name: NewTimeouts({name: seconds}, timeouts) for name, seconds in self._seconds.items()}
        self._together = NewTimeouts(self._seconds, timeouts)
        self._kinds = KindCounts(timeouts, self._together)
        self._leave_out = leave_out
        self._left_out = 0
        self._known: dict[tuple[t.Any, ...], _Outcome] = {}

    def add(self, block: Block) -> None:
        """Count the entries of a block."""
        left = block if self._leave_out is None else self._leave_out(block)
        self._left_out += len(block) - len(left)
        if len(left):
            self._kinds.add(left)

    def result(self, count: int | None, limit: int | None) -> dict[str, t.Any]:
        """Return the forecast for the entries that were counted.

        The kernel counts ``count``, and allows ``limit``. None is unknown.
        """
        total, remaining = _Affected(), Histogram()
        states: dict[tuple[str, str | None], _Affected] = {}
        settings = {name: _Affected() for name in self._alone}
        for kind in self._kinds.described():
            outcome = self._outcome_of(kind.entry)
            if outcome.together is None:
                continue
            group = states.setdefault((kind.entry.protocol_name, kind.entry.state_name), _Affected())
            for affected in (total, group):
                affected.add(outcome.together, kind, outcome.most_then)
            for name, effect in outcome.alone.items():
                settings[name].add(effect, kind, outcome.most_then)
            if outcome.together is Effect.GONE:
                remaining.add(kind.entry.remaining, kind.entries)
        entries = self._kinds.entries
        now = None if count is None else max(0, count - self._left_out)
        return {
            "entries": entries,
            **total.result(),
            "percent": percent(total.gone, entries),
            "remaining": remaining.result()["histogram"],
            "states": [
                {"protocol": protocol, "state": state, **group.result()}
                for (protocol, state), group in sorted(states.items(), key=_most_gone_first)
            ],
            "settings": {name: {**self._values(name), **affected.result()} for name, affected in settings.items()},
            "raised": sorted(name for name, seconds in self._seconds.items() if seconds > self._present[name]),
            "not_foretold": sorted(self._wanted.keys() - self._seconds.keys() - set(_SIZES)),
            "now": fullness(now, limit, self._present.get("buckets")),
            "then": self._then_full(None if now is None else max(0, now - total.gone), limit),
        }

    def _values(self, name: str) -> dict[str, int]:
        return {"present": self._present[name], "wanted": self._wanted[name]}

    def _then_full(self, count: int | None, limit: int | None) -> dict[str, t.Any]:
        """Return how full ``count`` entries would make the table, whose limit is ``limit`` unless one is wanted."""
        sizes = {name: stored_value(name, self._wanted[name]) for name in _SIZES if name in self._wanted}
        return fullness(count, sizes.get("max", limit), sizes.get("buckets", self._present.get("buckets")))

    def _outcome_of(self, entry: Entry) -> _Outcome:
        """Return what the timeouts would have made of the entry. Kinds differ in much that does not matter for that."""
        key = tuple(map(entry.__dict__.get, _FIELDS))
        if key not in self._known:
            self._known[key] = self._outcome(entry)
        return self._known[key]

    def _outcome(self, entry: Entry) -> _Outcome:
        origins = origins_of(entry, self._timeouts)
        together = self._together.effect(origins)
        alone = {name: self._alone[name].effect(origins) for name in origins.names & self._alone.keys()}
        # That is what conntrack_update leaves it, if it shortens it.
        most_then = longest_timeout(entry, self._then)
        return _Outcome(together, alone, most_then)


NewForecast = t.Callable[[Context], Forecast]


def forecasts_of(settings: t.Mapping[str, t.Any], leave_out_for: LeaveOutFor | None) -> NewForecast:
    """Return what makes a forecast of the ``settings`` in the present network namespace.

    ``leave_out_for`` returns what leaves out the entries that are taken for gone.
    Raises OptionError for no setting, and ConntrackError for bad ones.
    """
    if not settings:
        remedy = "Give settings that you think of making, such as {tcp_timeout_established: 15h}."
        raise OptionError("forecast", settings, "names no setting", remedy)
    wanted = requested_values(settings, "forecast")

    def new_forecast(context: Context) -> Forecast:
        leave_out = None if leave_out_for is None else leave_out_for(context)
        return Forecast(wanted, context.timeouts, leave_out)

    return new_forecast


class _Outcome(t.NamedTuple):
    """What the timeouts would have made of an entry, together and each alone, and the most that it gets from them."""

    together: Effect | None
    alone: t.Mapping[str, Effect | None]
    most_then: int | None


class _Affected:
    """How many entries get their time from new timeouts, and what these would have made of them."""

    def __init__(self) -> None:
        self.governed = 0
        self.gone = 0
        self.unknown = 0
        self.last: int | None = None
        self.last_shortened: int | None = None

    def add(self, effect: Effect | None, kind: DescribedKind, most: int | None) -> None:
        """Count the entries of a kind, which have ``most`` seconds left once they are shortened."""
        if effect is None:
            return
        self.governed += kind.entries
        if effect is Effect.UNKNOWN:
            self.unknown += kind.entries
        if effect is Effect.GONE:
            self.gone += kind.entries
            latest = kind.latest or 0
            self.last = max(self.last or 0, latest)
            self.last_shortened = max(self.last_shortened or 0, latest if most is None else min(latest, most))

    def result(self) -> dict[str, t.Any]:
        return {
            "governed": self.governed,
            "gone": self.gone,
            "unknown": self.unknown,
            "last_in_seconds": self.last,
            "shortened_in_seconds": self.last_shortened,
        }


def _most_gone_first(item: tuple[tuple[str, str | None], _Affected]) -> tuple[int, int, str, str]:
    (protocol, state), group = item
    return -group.gone, -group.governed, protocol, state or ""

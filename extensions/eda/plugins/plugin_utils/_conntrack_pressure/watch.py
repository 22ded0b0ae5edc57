# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to this collection: it can change without notice.

"""Whether a router is under pressure, and which events that makes."""

from __future__ import annotations

import collections
import typing as t

from _conntrack_pressure.options import Thresholds
from _conntrack_pressure.readings import Reading

NORMAL, PRESSURE, UNKNOWN = "normal", "pressure", "unknown"

_SLACK = 2
"""A table that is full within the seconds of the option raises. Only one that lasts so many times as long clears."""

_MOST_CHARACTERS = 300

Event = dict[str, t.Any]


class Watch:
    """One router: what was read of it, and what was said of it."""

    def __init__(self, router: str, thresholds: Thresholds, relief: str = "none") -> None:
        self.router = router
        self._thresholds = thresholds
        self._relief = relief
        self._readings: collections.deque[Reading] = collections.deque()
        self._status = NORMAL
        self._under_pressure = False
        self._was_full = False
        """Whether it was full since it came under pressure. Only then is it held by how full it is."""
        self._failures = 0
        self._said_at = 0.0
        self._last: dict[str, float] = {}
        """When a drop or an eviction was last seen."""

    def answered(self, reading: Reading, now: float) -> Event | None:
        """Return the event that ``reading`` makes ``now``, if it makes one."""
        self._failures = 0
        increases = self._remember(reading)
        growth = self._growth()
        full_in = _full_in(reading, growth)
        reasons = self._reasons(reading, full_in)
        self._was_full |= "full" in reasons
        if not reasons and self._under_pressure and self._still(reading, full_in):
            reasons = ["not_cleared"]
        self._under_pressure = bool(reasons)
        self._was_full &= self._under_pressure
        status = PRESSURE if self._under_pressure else NORMAL
        if not self._is_news(status, now):
            return None
        figures = {
            "entries": reading.entries,
            "limit": reading.limit,
            "percent": _rounded(reading.percent),
            "growth_per_second": _rounded(growth),
            "full_in_seconds": _rounded(full_in),
            **increases,
            "reasons": reasons,
        }
        return self._event(status, now, figures)

    def failed(self, reason: str, now: float) -> Event | None:
        """Return the event that a poll without an answer makes ``now``. Nothing is known then, least of all 0 %."""
        self._failures += 1
        if self._failures < self._thresholds.unknown_after or not self._is_news(UNKNOWN, now):
            return None
        return self._event(UNKNOWN, now, {"reason": _one_line(reason), "failures": self._failures})

    def _event(self, status: str, now: float, figures: dict[str, t.Any]) -> Event:
        again = self._status == status
        self._status, self._said_at = status, now
        told = {"router": self.router, "status": status, "again": again, "relief": self._relief, **figures}
        # ansible-rulebook limits a playbook to these hosts.
        return {"conntrack": told, "meta": {"hosts": self.router}}

    def _is_news(self, status: str, now: float) -> bool:
        if status != self._status:
            return True
        reminds = status != NORMAL and self._thresholds.remind_after > 0
        return reminds and now - self._said_at >= self._thresholds.remind_after

    def _remember(self, reading: Reading) -> dict[str, int | None]:
        """Take ``reading`` in, and return how much the counters rose since the one before. None is not known."""
        before = self._readings[-1] if self._readings else None
        if before and reading.at <= before.at:
            # The same report again, or a clock that was set back: nothing to compare with.
            if reading.at == before.at:
                return dict.fromkeys(("drops", "evictions", "insert_failures"))
            self._readings.clear()
            before = None
        self._readings.append(reading)
        while reading.at - self._readings[0].at > self._thresholds.window:
            self._readings.popleft()
        increases = {
            name: _increase(getattr(before, name) if before else None, getattr(reading, name))
            for name in ("drops", "evictions", "insert_failures")
        }
        for name, increase in increases.items():
            if increase:
                self._last[name] = reading.at
        return increases

    def _growth(self) -> float | None:
        """Return the new entries in a second. None until half of the window was seen."""
        if not self._readings:
            return None
        first, last = self._readings[0], self._readings[-1]
        seconds = last.at - first.at
        return (last.entries - first.entries) / seconds if seconds >= self._thresholds.window / 2 else None

    def _reasons(self, reading: Reading, full_in: float | None) -> list[str]:
        """Return why the router comes under pressure."""
        limits = self._thresholds
        reasons = []
        if reading.percent is not None and reading.percent >= limits.raise_percent:
            reasons.append("full")
        if self._fills(reading, full_in, limits.full_within):
            reasons.append("full_soon")
        if limits.drops and self._last.get("drops") == reading.at:
            reasons.append("drops")
        if limits.evictions and self._last.get("evictions") == reading.at:
            reasons.append("evictions")
        return reasons

    def _still(self, reading: Reading, full_in: float | None) -> bool:
        """Return whether a router that is under pressure stays so."""
        limits = self._thresholds
        if self._was_full and reading.percent is not None and reading.percent >= limits.clear_percent:
            return True
        if self._fills(reading, full_in, _SLACK * limits.full_within):
            return True
        counted = [name for name in ("drops", "evictions") if getattr(limits, name)]
        return any(name in self._last and reading.at - self._last[name] < limits.window for name in counted)

    def _fills(self, reading: Reading, full_in: float | None, within: float) -> bool:
        enough = reading.percent is not None and reading.percent >= self._thresholds.growth_from_percent
        return enough and full_in is not None and full_in <= within and self._thresholds.full_within > 0


def _full_in(reading: Reading, growth: float | None) -> float | None:
    """Return the seconds until the table is full. None if it does not grow, has no limit, or nobody knows."""
    if growth is None or growth <= 0 or reading.limit <= 0:
        return None
    return max(reading.limit - reading.entries, 0) / growth


def _increase(before: int | None, now: int | None) -> int | None:
    """Return by how much a counter rose. One that is smaller than before began at 0 again, as after a boot."""
    if before is None or now is None:
        return None
    return now - before if now >= before else now


def _one_line(text: str) -> str:
    """Return a text, parts of which a router sent, as one line of visible characters that is not too long."""
    visible = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(visible.split())[:_MOST_CHARACTERS]


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, 3)

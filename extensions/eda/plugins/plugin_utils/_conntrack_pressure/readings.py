# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to this collection: it can change without notice.

"""What the metrics say of one router's table."""

from __future__ import annotations

import dataclasses
import typing as t

from _conntrack_pressure.exposition import Samples, read

_NODE = {
    "entries": "node_nf_conntrack_entries",
    "limit": "node_nf_conntrack_entries_limit",
    "drops": "node_nf_conntrack_stat_drop",
    "evictions": "node_nf_conntrack_stat_early_drop",
    "insert_failures": "node_nf_conntrack_stat_insert_failed",
}
_REPORT = {
    "entries": "netops_conntrack_entries",
    "limit": "netops_conntrack_entries_limit",
    "drops": "netops_conntrack_drop_total",
    "evictions": "netops_conntrack_early_drop_total",
    "insert_failures": "netops_conntrack_insert_failed_total",
}
_MADE_AT = "netops_conntrack_report_timestamp_seconds"


class ReadingError(Exception):
    """Metrics that do not tell how full the table of the router is."""


@dataclasses.dataclass(frozen=True)
class Reading:
    """A router's table at one moment. What is None is not known."""

    at: float
    """Seconds of a clock that never goes back, or of the report's own."""

    entries: int
    limit: int
    """0 for no limit."""

    drops: int | None = None
    evictions: int | None = None
    insert_failures: int | None = None

    @property
    def percent(self) -> float | None:
        """Return how full the table is. None without a limit."""
        return 100 * self.entries / self.limit if self.limit > 0 else None


def from_node_exporter(text: str, at: float) -> Reading:
    """Return what a node_exporter on the router says ``at`` a time. Raise ReadingError if it does not tell."""
    return _reading(read(text, _NODE.values()).get("", {}), _NODE, at)


class Report:
    """A report, which is about many routers."""

    def __init__(self, text: str) -> None:
        self._made_at = read(text, [_MADE_AT]).get("", {}).get(_MADE_AT)
        self._samples = read(text, _REPORT.values(), "host")

    def reading(self, router: str, now: float, stale_after: float) -> Reading:
        """Return what the report says of ``router``, at the time of the report.

        Raise ReadingError if it does not tell, or is older than ``stale_after`` seconds at ``now``, in seconds since
        1970.
        """
        if self._made_at is None:
            raise ReadingError(f"there is no report: {_MADE_AT} is missing")
        if now - self._made_at > stale_after:
            raise ReadingError(f"the report is {now - self._made_at:.0f} seconds old")
        return _reading(self._samples.get(router, {}), _REPORT, self._made_at)


def _reading(samples: Samples, names: dict[str, str], at: float) -> Reading:
    for key in ("entries", "limit"):
        if samples.get(names[key], -1) < 0:
            raise ReadingError(f"{names[key]} is missing: is nf_conntrack loaded, and the collector on?")
    numbers: dict[str, t.Any] = {key: _whole(samples.get(name)) for key, name in names.items()}
    return Reading(at=at, **numbers)


def _whole(number: float | None) -> int | None:
    return None if number is None or number < 0 else int(number)

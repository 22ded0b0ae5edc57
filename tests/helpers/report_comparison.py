# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reports of different runs on the same lab, without what differs between any two of them: times, counters, ports."""

from __future__ import annotations

import typing as t

_MEASURED = {"usage", "table", "stats", "selectors"}
"""What an audit measures. Live flows and SSH connections change it all the time, in which keys there are as well."""

_BY_COUNTERS = {"table_full_logged", "packets_dropped", "entries_evicted", "insert_failed"}
"""The checks of what happened since the boot, on a machine where other labs may have been."""

_BY_TYPE = {"shortened", "sample", "value", "count_before", "count_after", "values", "backup_file"}
"""What is compared by the types of its values alone: figures of entries that come and go, and names of new files."""


def comparable(report: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return what every run on such a lab has to come to, and the types of the rest."""
    kept = {key: value for key, value in report.items() if key not in ("time", "totals")}
    stable: dict[str, t.Any] = _stable(kept)
    return {**stable, "totals": _types(report["totals"])}


def _stable(value: t.Any) -> t.Any:
    if isinstance(value, dict):
        return {key: _part(key, item) for key, item in value.items()}
    if isinstance(value, list):
        return [_stable(item) for item in value]
    return value


def _part(key: str, value: t.Any) -> t.Any:
    if key in _MEASURED and isinstance(value, dict):
        return {name: type(item).__name__ for name, item in value.items()}
    if key == "findings":
        of_now = [finding for finding in value if finding["id"] not in _BY_COUNTERS]
        return _stable(sorted(of_now, key=lambda finding: str(finding["id"])))
    return _types(value) if key in _BY_TYPE else _stable(value)


def _types(value: t.Any) -> t.Any:
    if isinstance(value, dict):
        return {key: _types(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_types(item) for item in value]
    return type(value).__name__

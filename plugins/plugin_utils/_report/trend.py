# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""What has become of a router since an earlier audit of it."""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document import Record, last_audit
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.upgrade import read_back

_BASELINE = "conntrack_audit_baseline"


def with_trend(document: Record, baseline: Record) -> Record:
    """Return the ``document`` with the trend of each router since the ``baseline``, see ``compare``."""
    trends = compare(document, baseline)
    hosts = {host: {**report, "trend": trends[host]} for host, report in document["hosts"].items()}
    return {**document, "baseline": {"time": baseline["time"]}, "hosts": hosts}


def compare(document: Record, baseline: t.Any) -> dict[str, Record | None]:
    """Return the trend of each router of the ``document`` since the ``baseline``, an earlier document of any version.

    Each is compared by the last audit that it has in either. Raises OptionError for a baseline that is no such
    document, or one of a later version.
    """
    earlier = read_back(baseline, _BASELINE)["hosts"]
    return {
        host: trend(last_audit(report), last_audit(earlier.get(host, {}))) for host, report in document["hosts"].items()
    }


def trend(now: Record | None, then: Record | None) -> Record | None:
    """Return what changed from the audit ``then`` to the audit ``now``; None where there was no such audit.

    A part is None where it was not measured at either time. Of the findings those are new, or gone, that are known to
    have passed at the other time.
    """
    if not now or not then:
        return None
    return {
        "entries": _both(now["usage"], then["usage"], "count"),
        "percent": _both(now["usage"], then["usage"], "percent"),
        "selectors": {
            name: _both(now["selectors"].get(name, {}), then["selectors"].get(name, {}), "entries")
            for name in sorted(now["selectors"].keys() | then["selectors"].keys())
        },
        "new_top": _new_top(now["table"], then["table"]),
        "drift": _drift(now["drift"], then["drift"]),
        "findings": _findings(now["findings"], then["findings"]),
    }


def _both(now: Record, then: Record, key: str) -> Record:
    return {"before": then.get(key), "now": now.get(key)}


def _new_top(now: Record | None, then: Record | None) -> Record | None:
    if not now or not then:
        return None
    return {name: _only(_values(now, name), _values(then, name)) for name in now["top"]}


def _values(table: Record, name: str) -> list[t.Any]:
    return [talker["value"] for talker in table["top"].get(name, [])]


def _only(there: list[t.Any], elsewhere: list[t.Any]) -> list[t.Any]:
    known = set(elsewhere)
    return [value for value in there if value not in known]


def _drift(now: list[str] | None, then: list[str] | None) -> Record | None:
    if now is None or then is None:
        return None
    return {"new": _only(there=now, elsewhere=then), "gone": _only(there=then, elsewhere=now)}


def _findings(now: list[Record], then: list[Record]) -> Record:
    return {
        "new": sorted(_with_status(now, "finding") & _with_status(then, "passed")),
        "gone": sorted(_with_status(then, "finding") & _with_status(now, "passed")),
    }


def _with_status(findings: list[Record], status: str) -> set[str]:
    return {finding["id"] for finding in findings if finding["status"] == status}

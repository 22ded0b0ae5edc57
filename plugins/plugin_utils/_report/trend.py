# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""What has become of a router since an earlier audit of it."""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.plugin_utils._report.audit_types import (
    Audit,
    TableFacts,
    Talker,
    Texts,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document_types import (
    Course,
    Document,
    Host,
    News,
    NewTop,
    Trend,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.upgrade import read_back
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.view import last_audit, with_status

_BASELINE = "conntrack_audit_baseline"


def with_trend(document: Document, baseline: Document) -> Document:
    """Return the ``document`` with the trend of each router since the ``baseline``, see ``compare``."""
    trends = compare(document, baseline)
    hosts: dict[str, Host] = {name: {**host, "trend": trends[name]} for name, host in document["hosts"].items()}
    return {**document, "baseline": {"time": baseline["time"]}, "hosts": hosts}


def compare(document: Document, baseline: t.Any) -> dict[str, Trend | None]:
    """Return the trend of each router of the ``document`` since the ``baseline``, an earlier document of any version.

    Each is compared by the last audit that it has in either. Raises OptionError for a baseline that is no such
    document, or one of a later version.
    """
    earlier = read_back(baseline, _BASELINE)["hosts"]
    trends = {}
    for name, host in document["hosts"].items():
        then = last_audit(earlier[name]) if name in earlier else None
        trends[name] = trend(last_audit(host), then)
    return trends


def trend(now: Audit | None, then: Audit | None) -> Trend | None:
    """Return what changed from the audit ``then`` to the audit ``now``. None where there was no such audit.

    A part is None where it was not measured at either time. Of the findings those are new, or gone, that are known to
    have passed at the other time.
    """
    if not now or not then:
        return None
    selectors = sorted(now["selectors"].keys() | then["selectors"].keys())
    return {
        "entries": {"before": then["usage"]["count"], "now": now["usage"]["count"]},
        "percent": {"before": then["usage"]["percent"], "now": now["usage"]["percent"]},
        "selectors": {name: _course_of_selector(now, then, name) for name in selectors},
        "new_top": _new_top(now["table"], then["table"]),
        "drift": _drift(now["drift"], then["drift"]),
        "findings": _findings(now, then),
    }


def _course_of_selector(now: Audit, then: Audit, name: str) -> Course:
    return {"before": _selected(then, name), "now": _selected(now, name)}


def _selected(audit: Audit, name: str) -> int | None:
    return audit["selectors"][name]["entries"] if name in audit["selectors"] else None


def _new_top(now: TableFacts | None, then: TableFacts | None) -> NewTop | None:
    if not now or not then:
        return None
    top, earlier = now["top"], then["top"]
    return {
        "source": _new_values(top["source"], earlier["source"]),
        "destination": _new_values(top["destination"], earlier["destination"]),
        "source_port": _new_values(top["source_port"], earlier["source_port"]),
        "destination_port": _new_values(top["destination_port"], earlier["destination_port"]),
    }


def _new_values(now: list[Talker], then: list[Talker]) -> list[str | int]:
    return _only([talker["value"] for talker in now], [talker["value"] for talker in then])


_Item = t.TypeVar("_Item")


def _only(here: list[_Item], elsewhere: list[_Item]) -> list[_Item]:
    """Return what is in one list and not in the other."""
    known = set(elsewhere)
    return [item for item in here if item not in known]


def _drift(now: Texts | None, then: Texts | None) -> News | None:
    if now is None or then is None:
        return None
    return {"new": _only(now, then), "gone": _only(then, now)}


def _findings(now: Audit, then: Audit) -> News:
    found_now, passed_now = with_status(now, "finding").keys(), with_status(now, "passed").keys()
    found_then, passed_then = with_status(then, "finding").keys(), with_status(then, "passed").keys()
    return {"new": sorted(found_now & passed_then), "gone": sorted(found_then & passed_now)}

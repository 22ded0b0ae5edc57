# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""What was found on the fleet, in the HTML report: check by check, the routers, and what cures it."""

from __future__ import annotations

import collections
import typing as t

from ansible_collections.netops.conntrack.plugins.plugin_utils._bounds import TEXT, listed
from ansible_collections.netops.conntrack.plugins.plugin_utils._display import UNKNOWN, counted, number, with_unit
from ansible_collections.netops.conntrack.plugins.plugin_utils._html.advice import advised
from ansible_collections.netops.conntrack.plugins.plugin_utils._html.components import Fleet, and_more, badge, block
from ansible_collections.netops.conntrack.plugins.plugin_utils._html_toolkit.markup import Html, element
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.audit_types import Finding
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document_types import Check
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.ranking import worst_checks_first
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.view import last_audit, with_status

_WORST = 6
"""Findings named at the top of the page."""


class Affected(t.NamedTuple):
    """The routers on which a check is a finding now, was one before, or is unknown."""

    still: list[str]
    cured: list[str]
    unknown: list[str]
    curable: list[str]
    """Those on which something helps that their sections have, with figures of their own."""

    values: dict[str, str]
    reasons: set[str]


def affected_by_check(fleet: Fleet) -> dict[str, Affected]:
    """Return the routers of each check that was ever a finding, or is unknown. The worst check comes first."""
    by_check: dict[str, Affected] = collections.defaultdict(lambda: Affected([], [], [], [], {}, set()))
    for name, host in fleet.routers:
        last = last_audit(host)
        still, unknown = with_status(last, "finding"), with_status(last, "unknown")
        cured = with_status(host["before"], "finding").keys() - still.keys() - unknown.keys()
        for check_id, finding in still.items():
            by_check[check_id].still.append(name)
            if finding.get("cures"):
                by_check[check_id].curable.append(name)
            by_check[check_id].values[name] = _value_of(finding, fleet.document["checks"][check_id])
        for check_id, finding in unknown.items():
            by_check[check_id].unknown.append(name)
            by_check[check_id].reasons.add(finding["reason"] or UNKNOWN)
        for check_id in cured:
            by_check[check_id].cured.append(name)
    worst_first = [check_id for check_id, _check in worst_checks_first(fleet.document)]
    return {check_id: by_check[check_id] for check_id in worst_first if check_id in by_check}


def _value_of(finding: Finding, check: Check) -> str:
    value = finding["value"]
    return "" if value is None else with_unit(number(value), value, check)


def worst_findings(fleet: Fleet, affected: dict[str, Affected]) -> Html:
    """Return the worst findings of now, each with its number of routers and a link to the routers."""
    checks = fleet.document["checks"]
    items = [
        element(
            "li",
            badge(checks[check_id]["severity"]),
            element("a", checks[check_id]["title"], href=f"#{fleet.findings[check_id]}"),
            element("span", number(len(routers.still)), class_="n"),
        )
        for check_id, routers in affected.items()
        if routers.still and check_id in fleet.findings
    ]
    return block("Worst findings, by routers", *_list(items[:_WORST]), style="card")


def _list(items: list[Html]) -> list[Html]:
    return [element("ul", *items, class_="worst")] if items else []


def findings(fleet: Fleet, affected: dict[str, Affected]) -> list[Html]:
    """Return all findings, with the routers, their values, and the cure."""
    shown = {check_id: routers for check_id, routers in affected.items() if check_id in fleet.findings}
    articles = [_finding(fleet, check_id, routers) for check_id, routers in shown.items()]
    return [*articles, and_more(len(affected) - len(articles))]


def _finding(fleet: Fleet, check_id: str, affected: Affected) -> Html:
    check = fleet.document["checks"][check_id]
    still, cured, unknown, curable, values, reasons = affected
    parts = []
    if still:
        parts.append(element("p", counted(len(still), "router"), class_="soft"))
        parts.append(fleet.named(still, check_id, values))
        parts.append(advised(check["advice"]))
    if curable:
        what = "What helps there, with its own figures, is in the section of"
        parts.append(element("p", what, " ", "each router" if len(curable) > 1 else fleet.link(curable[0]), "."))
    if unknown:
        why = listed(sorted(reasons), "; ", longest=TEXT)
        parts.append(element("p", f"Undecided on {counted(len(unknown), 'router')}: {why}", class_="soft"))
        parts.append(fleet.named(unknown, check_id))
    if cured:
        parts.append(element("p", f"No longer found on {counted(len(cured), 'router')}.", class_="soft"))
    heading = [badge(check["severity"]), element("h4", check["title"])]
    return element("article", *heading, *parts, id=fleet.findings[check_id], class_="card finding")

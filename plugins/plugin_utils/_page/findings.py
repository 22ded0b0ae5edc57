# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""What was found, what is unknown, and what selectors counted, on the page."""

from __future__ import annotations

from ansible_collections.netops.conntrack.plugins.plugin_utils._bounds import SELECTORS, listed, some
from ansible_collections.netops.conntrack.plugins.plugin_utils._display import plain_number, with_unit
from ansible_collections.netops.conntrack.plugins.plugin_utils._page.blocks import Item, Items
from ansible_collections.netops.conntrack.plugins.plugin_utils._page.parts import (
    SHOWN,
    arrow,
    counted,
    few_names,
    finding_value,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.audit_types import Finding, Selector
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document_types import (
    PHASES,
    Check,
    Document,
    Host,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.ranking import (
    overview_of,
    protocols_of,
    selector_names,
    worst_checks_first,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.view import (
    FindingsByPhase,
    audits_of,
    finding_now,
    has_after,
    why_not_pruned,
)

_CURED = 3
"""Routers for which a page says what helps there against one finding."""

_WORDS = {"finding": "found", "passed": "not found", "unknown": "unknown"}

ByCheck = dict[str, dict[str, FindingsByPhase]]
"""What the audits say, by check and router (see findings_by_check)."""


def checks_found(document: Document, by_check: ByCheck) -> Items:
    """Return the checks that were a finding on some router, worst first. Those that still are have the advice."""
    items: list[Item] = []
    for check_id, check in worst_checks_first(document):
        affected = {name: phases for name, phases in by_check.get(check_id, {}).items() if _was_ever_a_finding(phases)}
        if affected:
            still = _with_status_now(document, affected, "finding")
            now = f", now {len(still)}" if has_after(document) else ""
            title = f"{check['title']}: {counted(len(affected), 'router')}{now}"
            courses = [
                f"{name} {_course_of_values(document['hosts'][name], phases, check)}"
                for name, phases in affected.items()
            ]
            advice = [check["advice"], *_cures_of(still)] if still else []
            items.append((check["severity"], [title, few_names(courses), *advice]))
    return Items(items)


def _cures_of(by_router: dict[str, Finding]) -> list[str]:
    """Return what helps on the first of some routers, with the name of each if they are several."""
    curable, others = some([name for name, finding in by_router.items() if finding.get("cures")], _CURED)
    lines = []
    for name in curable:
        whose = f"On {name}: " if len(by_router) > 1 else ""
        lines.append(f"{whose}{' '.join(by_router[name].get('cures', []))}")
    more = [f"The JSON document has the same for {others:,} more."] if others else []
    return [*lines, *more]


def _was_ever_a_finding(phases: FindingsByPhase) -> bool:
    return any(finding["status"] == "finding" for finding in phases.values())


def _with_status_now(document: Document, by_router: dict[str, FindingsByPhase], status: str) -> dict[str, Finding]:
    """Return what a check says now of the routers on which it has this ``status``."""
    now = {name: finding_now(document["hosts"][name], phases) for name, phases in by_router.items()}
    return {name: finding for name, finding in now.items() if finding and finding["status"] == status}


def titles_found(document: Document, by_check: ByCheck) -> Items:
    """Return the checks that are a finding now on some router, worst first, a line each."""
    items: list[Item] = []
    for check_id, check in worst_checks_first(document):
        still = _with_status_now(document, by_check.get(check_id, {}), "finding")
        values = [
            f"{name} {_value(finding, check)}" if _has_value(finding) else name for name, finding in still.items()
        ]
        if values:
            items.append((check["severity"], [f"{check['title']}: {few_names(values)}"]))
    return Items(items)


def unknown_checks(document: Document, by_check: ByCheck) -> Items:
    """Return what nobody could look at in the last audit or the prune of some router, and why."""
    items: list[Item] = []
    for check_id, check in worst_checks_first(document):
        unknown = _with_status_now(document, by_check.get(check_id, {}), "unknown")
        if unknown:
            reasons, others = some(sorted({finding["reason"] or "?" for finding in unknown.values()}), SHOWN)
            more = [f"and {others:,} more reasons"] if others else []
            items.append((check["severity"], [f"{check['title']}: {few_names(list(unknown))}", *reasons, *more]))
    return Items(items + _unavailable(document))


def _unavailable(document: Document) -> list[Item]:
    routers: dict[str, list[str]] = {}
    for name, host in document["hosts"].items():
        reason = why_not_pruned(host, document["check_mode"])
        if reason:
            routers.setdefault(reason, []).append(name)
    return [
        ("prune", [f"Which entries to delete: {few_names(names)}", reason]) for reason, names in sorted(routers.items())
    ]


def _course_of_values(host: Host, phases: FindingsByPhase, check: Check) -> str:
    """Return what a check says in a router's audits, before and after."""
    return arrow(_value(phases.get(phase), check) for phase in PHASES if host[phase])


def _value(finding: Finding | None, check: Check) -> str:
    """Return how a check of an audit is shown: by its value, or else by a word for its status."""
    if not finding:
        return "not checked"
    if not _has_value(finding):
        return _WORDS[finding["status"]]
    return with_unit(finding_value(finding["value"]), finding["value"], check)


def _has_value(finding: Finding) -> bool:
    return finding["value"] not in (None, "")


def counted_by_selectors(document: Document) -> Items:
    """Return what the selectors counted on each router. Nothing if the overview has all of it."""
    names = selector_names(document)
    if len(names) == len(overview_of(names)):
        return Items([])
    names = names[:SELECTORS]
    texts = {router: _counts_of(host, names) for router, host in document["hosts"].items()}
    return Items([(router, [listed(counts, "; ", SELECTORS)]) for router, counts in texts.items() if counts])


def _counts_of(host: Host, names: list[str]) -> list[str]:
    """Return the name of each selector with the entries that it counted before and after, unless there were none."""
    audits = [audit["selectors"] for audit in audits_of(host)]
    texts = []
    for name in names:
        counts = [audit[name] for audit in audits if name in audit]
        if any(each["entries"] != 0 for each in counts):
            course = arrow(plain_number(each["entries"]) for each in counts)
            texts.append(f"{name} {course}{_by_protocol(counts[-1])}")
    return texts


def _by_protocol(counts: Selector) -> str:
    protocols = listed(f"{protocol} {plain_number(entries)}" for protocol, entries in protocols_of(counts))
    return f" ({protocols})" if protocols else ""

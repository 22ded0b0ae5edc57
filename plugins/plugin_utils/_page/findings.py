# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""What was found, what could not be told, and what selectors counted, on the page."""

from __future__ import annotations

from ansible_collections.netops.conntrack.plugins.plugin_utils._bounds import SELECTORS, listed, some, with_unit
from ansible_collections.netops.conntrack.plugins.plugin_utils._page.blocks import Items
from ansible_collections.netops.conntrack.plugins.plugin_utils._page.parts import (
    SHOWN,
    arrow,
    counted,
    few_names,
    has_after,
    shown_number,
    shown_value,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document import Record, why_not_pruned
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.ranking import (
    overview_of,
    protocols_of,
    selector_names,
    worst_checks_first,
)

_WORDS = {"finding": "found", "passed": "not found", "unknown": "unknown"}

Phases = dict[str, Record]
"""What a check says of a router, by the phase of the audit."""


def findings_by_check(document: Record) -> dict[str, dict[str, Phases]]:
    """Return what the audits say, by check and router. To look for each check in each audit takes too long."""
    found: dict[str, dict[str, Phases]] = {}
    for name, host in document["hosts"].items():
        for phase in ("before", "after"):
            for finding in (host[phase] or {"findings": []})["findings"]:
                found.setdefault(finding["id"], {}).setdefault(name, {})[phase] = finding
    return found


def _last(host: Record, phases: Phases) -> Record:
    """Return what the last audit of a router says of a check; an empty dict if it does not have it."""
    return phases.get("after" if host["after"] else "before", {})


def checks_found(document: Record, by_check: dict[str, dict[str, Phases]]) -> Items:
    """Return the checks that were a finding on some router, worst first; the advice for those that still are."""
    items = []
    for check_id, check in worst_checks_first(document):
        affected = {
            name: phases
            for name, phases in by_check.get(check_id, {}).items()
            if any(finding["status"] == "finding" for finding in phases.values())
        }
        hosts = {name: document["hosts"][name] for name in affected}
        still = [name for name, phases in affected.items() if _last(hosts[name], phases).get("status") == "finding"]
        if affected:
            count = f"{counted(len(affected), 'router')}{f', now {len(still)}' if has_after(document) else ''}"
            courses = [f"{name} {_course_of_values(hosts[name], phases, check)}" for name, phases in affected.items()]
            advice = [check["advice"]] if still else []
            items.append((check["severity"], [f"{check['title']}: {count}", few_names(courses), *advice]))
    return Items(items)


def titles_found(document: Record, by_check: dict[str, dict[str, Phases]]) -> Items:
    """Return the checks that are a finding now on some router, worst first, a line each."""
    items = []
    for check_id, check in worst_checks_first(document):
        last = {name: _last(document["hosts"][name], phases) for name, phases in by_check.get(check_id, {}).items()}
        values = [
            f"{name} {_value(finding, check)}" if finding["value"] not in (None, "") else name
            for name, finding in last.items()
            if finding.get("status") == "finding"
        ]
        if values:
            items.append((check["severity"], [f"{check['title']}: {few_names(values)}"]))
    return Items(items)


def untold(document: Record, by_check: dict[str, dict[str, Phases]]) -> Items:
    """Return what nobody could look at in the last audit or the prune of some router, and why."""
    items = []
    for check_id, check in worst_checks_first(document):
        last = {name: _last(document["hosts"][name], phases) for name, phases in by_check.get(check_id, {}).items()}
        unknown = {name: finding for name, finding in last.items() if finding.get("status") == "unknown"}
        reasons, others = some(sorted({finding["reason"] or "?" for finding in unknown.values()}), SHOWN)
        more = [f"and {others:,} more reasons"] if others else []
        if unknown:
            items.append((check["severity"], [f"{check['title']}: {few_names(list(unknown))}", *reasons, *more]))
    return Items(items + _unavailable(document))


def _unavailable(document: Record) -> list[tuple[str, list[str]]]:
    routers: dict[str, list[str]] = {}
    for name, host in document["hosts"].items():
        reason = why_not_pruned(host, document["check_mode"])
        if reason:
            routers.setdefault(reason, []).append(name)
    return [
        ("prune", [f"Which entries to delete: {few_names(names)}", reason]) for reason, names in sorted(routers.items())
    ]


def _course_of_values(host: Record, phases: Phases, check: Record) -> str:
    """Return what a check says in a router's audits, before and after."""
    return arrow(_value(phases.get(phase, {}), check) for phase in ("before", "after") if host[phase])


def _value(finding: Record, check: Record) -> str:
    """Return how a check of an audit is shown: by its value, or else by a word for its status."""
    value = finding.get("value")
    return (
        _WORDS.get(finding.get("status", ""), "not checked")
        if value in (None, "")
        else with_unit(shown_value(value), value, check)
    )


def counted_by_selectors(document: Record) -> Items:
    """Return what the selectors counted on each router; nothing if the overview has all of it."""
    names = selector_names(document)
    if len(names) == len(overview_of(names)):
        return Items([])
    names = names[:SELECTORS]
    texts = {router: _counts_of(host, names) for router, host in document["hosts"].items()}
    return Items([(router, [listed(told, "; ", SELECTORS)]) for router, told in texts.items() if told])


def _counts_of(host: Record, names: list[str]) -> list[str]:
    """Return the name of each selector with the entries that it counted before and after, unless there were none."""
    audits = [host[phase]["selectors"] for phase in ("before", "after") if host[phase]]
    texts = []
    for name in names:
        counts = [audit[name] for audit in audits if name in audit]
        if any(each["entries"] != 0 for each in counts):
            course = arrow(shown_number(each["entries"]) for each in counts)
            texts.append(f"{name} {course}{_by_protocol(counts[-1])}")
    return texts


def _by_protocol(counts: Record) -> str:
    told = listed(f"{protocol} {shown_number(entries)}" for protocol, entries in protocols_of(counts))
    return f" ({told})" if told else ""

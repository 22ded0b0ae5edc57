# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.
"""A router's part of the document, from its record."""

from __future__ import annotations

from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.check import SEVERITIES
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.audit_types import (
    Audit,
    Finding,
    Selector,
    Stats,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document_types import (
    Change,
    Failure,
    Host,
    PruneAccount,
    SettingsAccount,
    Verdict,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.record_types import (
    AuditRecord,
    CheckResult,
    GateResult,
    PruneRecord,
    RouterRecord,
    SettingRecord,
    TuneRecord,
)

_NOTHING_KNOWN = PruneAccount(
    matched=None,
    protected=None,
    kept=None,
    woken=None,
    would_delete=None,
    deleted=None,
    already_gone=None,
    not_deleted=None,
    matches_now=None,
    undecidable=None,
    not_listed=None,
    unavailable=None,
)
"""What the document says of a prune of which the record has nothing."""


def router_report(record: RouterRecord, waiting: bool) -> Host:
    """Return a router's part of the document. ``waiting`` is one whose turn in a roll-out had not come."""
    gates = record.get("health") or []
    failure = record.get("failure") or _unhealthy(gates)
    return {
        "verdict": "not_started" if waiting else _verdict(record, failure),
        "before": _audit(record.get("before")),
        "settings": _settings(record.get("tune")),
        "prune": _prune(record.get("prune")),
        "after": _audit(record.get("after")),
        "health": [_finding(gate) for gate in gates] or None,
        "failure": failure,
        "no_conntrack": record.get("no_conntrack"),
        "trend": None,
    }


def _verdict(record: RouterRecord, failure: Failure | None) -> Verdict:
    """Return the one word for a router: why it was not done, or else the worst of what its last audit found."""
    if failure:
        return "unreachable" if failure["unreachable"] else "failed"
    if record.get("no_conntrack"):
        return "no_conntrack"
    audit = record.get("after") or record.get("before")
    return _worst_finding(audit["findings"]) if audit else "done"


def _worst_finding(findings: list[CheckResult]) -> Verdict:
    """Return the worst severity that was found, or else whether some check is unknown."""
    severities = {finding["severity"] for finding in findings if finding["status"] == "finding"}
    for severity in SEVERITIES:
        if severity in severities:
            return severity
    is_unknown = any(finding["status"] == "unknown" for finding in findings)
    return "unknown" if is_unknown else "passed"


def _unhealthy(gates: list[GateResult]) -> Failure | None:
    """Return the failure of a router that the first of these gates of a roll-out did not let pass, if there is one."""
    for gate in gates:
        if gate["status"] == "finding":
            return {"step": f"Health gate {gate['id']}", "message": gate["title"], "unreachable": False}
    return None


def _audit(audit: AuditRecord | None) -> Audit | None:
    if not audit:
        return None
    return {
        "usage": audit["usage"],
        "selectors": {name: _counted(counts) for name, counts in audit["selectors"].items()},
        "findings": [_finding(result) for result in audit["findings"]],
        "table": audit.get("table"),
        "stats": _stats(audit.get("stats")),
        "drift": audit.get("drift"),
        "explanation": audit.get("explanation"),
        "namespaces": audit.get("namespaces"),
        "across_namespaces": audit.get("across_namespaces"),
    }


def _counted(counts: Selector) -> Selector:
    """Return what a selector counted. None is unknown where it found nothing, but nobody can tell of some entries."""
    if counts["entries"] == 0 and counts.get("undecidable"):
        return {**counts, "entries": None, "percent": None}
    return counts


def _finding(result: Finding) -> Finding:
    """Return what a check or gate says, without what all routers have in common."""
    finding: Finding = {
        "id": result["id"],
        "status": result["status"],
        "value": result["value"],
        "reason": result["reason"],
    }
    return {**finding, "cures": result["cures"]} if result.get("cures") else finding


def _stats(stats: Stats | None) -> Stats | None:
    return {"total": stats["total"], "table_full": stats["table_full"]} if stats else None


def _settings(tune: TuneRecord | None) -> SettingsAccount | None:
    if not tune:
        return None
    changes = {name: _change(setting, tune["why"][name]) for name, setting in tune["settings"].items()}
    return {
        "profile": tune["profile"],
        "left_out": tune["left_out"],
        "changes": {name: change for name, change in changes.items() if _differs(change)},
        "sizing": None if "max" in tune["left_out"] else tune.get("sizing") or None,
        "shortened": tune.get("shortened") or None,
        "forecast": tune.get("forecast") or None,
        "confirmed": tune.get("confirmed"),
    }


def _change(setting: SettingRecord, why: str) -> Change:
    return {
        "before": setting["runtime_before"],
        "after": setting["runtime_after"],
        "boot_before": setting["boot_before"],
        "boot_after": setting["boot"],
        "why": why,
    }


def _differs(change: Change) -> bool:
    return change["before"] != change["after"] or change["boot_before"] != change["boot_after"]


def _prune(prune: PruneRecord | None) -> PruneAccount | None:
    return {**_NOTHING_KNOWN, **prune} if prune else None

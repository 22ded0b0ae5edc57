# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""What the roles left behind on every router, rolled up into one document about the fleet."""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.plugin_utils._checks import SEVERITIES

SCHEMA_VERSION = 1
"""Goes up when a key of the document is renamed, removed, or changes its meaning."""

_NOT_FINISHED = {"step": "?", "message": "stopped by an error, see the output above", "unreachable": False}
_CHECK_KEYS = ("title", "severity", "advice")
_FINDING_KEYS = ("id", "status", "value", "reason")

Record = dict[str, t.Any]


def roll_up(records: dict[str, Record], hosts: list[str], time: str, check_mode: bool = False) -> Record:
    """Give the document about ``hosts``, at ``time`` (a text), from the record that each of them left.

    A record has ``before`` and ``after`` (what an audit found), ``tune``, ``prune`` and ``failure``, each of which may
    be missing or empty; so may ``sizing``, ``recap`` and ``confirmed`` in ``tune``. A host without a record is reported
    as failed.
    """
    reports = {host: _host_report(records.get(host, {"failure": _NOT_FINISHED})) for host in sorted(set(hosts))}
    return {
        "schema_version": SCHEMA_VERSION,
        "time": time,
        "check_mode": check_mode,
        "totals": _totals(reports.values()),
        "unreachable": _with_verdict(reports, "unreachable"),
        "failed": _with_verdict(reports, "failed"),
        "checks": _checks(records.values()),
        "hosts": reports,
    }


def _host_report(record: Record) -> Record:
    report = {
        "before": _audit(record.get("before")),
        "settings": _settings(record.get("tune")),
        "prune": _prune(record.get("prune")),
        "after": _audit(record.get("after")),
        "failure": record.get("failure") or None,
    }
    return {"verdict": _verdict(report, record), **report}


def _audit(audit: Record | None) -> Record | None:
    if not audit:
        return None
    findings = [{key: finding[key] for key in _FINDING_KEYS} for finding in audit["findings"]]
    return {"usage": audit["usage"], "selectors": audit["selectors"], "findings": findings}


def _settings(tune: Record | None) -> Record | None:
    if not tune:
        return None
    changes = {short: _change(setting, tune["why"][short]) for short, setting in tune["settings"].items()}
    return {
        "profile": tune["profile"],
        "left_out": tune["left_out"],
        "changes": {short: change for short, change in changes.items() if _differs(change)},
        "sizing": None if "max" in tune["left_out"] else tune.get("sizing") or None,
        "recap": tune.get("recap") or None,
        "confirmed": tune.get("confirmed"),
    }


def _change(setting: Record, why: str) -> Record:
    return {
        "before": setting["runtime_before"],
        "after": setting["runtime_after"],
        "boot_before": setting["boot_before"],
        "boot_after": setting["boot"],
        "why": why,
    }


def _differs(change: Record) -> bool:
    return bool(change["before"] != change["after"] or change["boot_before"] != change["boot_after"])


def _prune(prune: Record | None) -> Record | None:
    if not prune:
        return None
    return {**prune, "not_deleted": prune["would_delete"] - prune["deleted"] - prune["already_gone"]}


def _verdict(report: Record, record: Record) -> str:
    """Give the one word for a router: why it was not done, or else the worst of what its last audit found."""
    if report["failure"]:
        return "unreachable" if report["failure"]["unreachable"] else "failed"
    audit = record.get("after") or record.get("before")
    if not audit:
        return "done"
    found = {finding["severity"] for finding in audit["findings"] if finding["status"] == "finding"}
    unknown = any(finding["status"] == "unknown" for finding in audit["findings"])
    return next((severity for severity in SEVERITIES if severity in found), "unknown" if unknown else "passed")


def _totals(reports: t.Collection[Record]) -> Record:
    failures = [report["failure"] for report in reports if report["failure"]]
    unreachable = sum(failure["unreachable"] for failure in failures)
    prunes = [report["prune"] for report in reports if report["prune"]]
    recaps = [report["settings"]["recap"] for report in reports if report["settings"] and report["settings"]["recap"]]
    return {
        "hosts": len(reports),
        "done": len(reports) - len(failures),
        "unreachable": unreachable,
        "failed": len(failures) - unreachable,
        "findings_before": _count_findings(reports, "before"),
        "findings_after": _count_findings(reports, "after"),
        "settings_changed": sum(len(report["settings"]["changes"]) for report in reports if report["settings"]),
        "would_recap": sum(recap["would_update"] for recap in recaps),
        "recapped": sum(recap["updated"] for recap in recaps),
        "fixed_timeout": sum(recap["fixed_timeout"] for recap in recaps),
        "would_delete": sum(prune["would_delete"] for prune in prunes),
        "deleted": sum(prune["deleted"] for prune in prunes),
    }


def _count_findings(reports: t.Collection[Record], phase: str) -> int | None:
    """Give the number of findings in all audits of the ``phase``; None when there was no such audit."""
    audits = [report[phase] for report in reports if report[phase]]
    statuses = [finding["status"] for audit in audits for finding in audit["findings"]]
    return statuses.count("finding") if audits else None


def _with_verdict(reports: dict[str, Record], verdict: str) -> list[str]:
    return [host for host, report in reports.items() if report["verdict"] == verdict]


def _checks(records: t.Iterable[Record]) -> dict[str, Record]:
    findings = [
        finding
        for record in records
        for audit in (record.get("before"), record.get("after"))
        for finding in (audit or {}).get("findings", [])
    ]
    return {finding["id"]: {key: finding[key] for key in _CHECK_KEYS} for finding in findings}

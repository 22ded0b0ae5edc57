# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""What the roles left behind on every router, rolled up into one document about the fleet."""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.check import SEVERITIES
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.record_shape import sound

SCHEMA_VERSION = 3
"""Goes up when a key of the document is renamed, removed, or changes its meaning."""

VERDICTS = ("unreachable", "failed", "not_begun", *SEVERITIES, "unknown", "no_conntrack", "passed", "done")
"""Worst first: a router that nobody could look at may be in any state."""

NOT_DONE = VERDICTS[:3]
"""Those of routers that were not done."""

NOT_FINISHED = {"step": "?", "message": "stopped by an error, see the output above", "unreachable": False}
"""The failure of a router that a play lost on the way."""

_TRACES = ("tune", "prune", "health", "failure")
"""What in a record shows that a router's turn had come."""

_PRUNE = dict.fromkeys(
    (
        "matched",
        "protected",
        "kept",
        "woken",
        "would_delete",
        "deleted",
        "already_gone",
        "not_deleted",
        "matches_now",
        "undecidable",
        "not_listed",
        "unavailable",
    )
)
"""What the document says of a prune. A record has what is known of it."""

_CHECK_KEYS = ("title", "severity", "advice", "unit")
_FINDING_KEYS = ("id", "status", "value", "reason")

Record = dict[str, t.Any]


def roll_up(
    records: dict[str, Record],
    hosts: list[str],
    time: str,
    check_mode: bool = False,
    rollout: Record | None = None,
) -> Record:
    """Return the document about ``hosts``, at ``time`` (a text), from the record that each of them left.

    A record has ``before`` and ``after`` (what an audit found), ``tune``, ``prune``, ``health`` (the gates of a
    roll-out), ``failure`` and ``no_conntrack`` (why there is nothing to look at), each of which may be missing or
    empty; so may all in an audit but ``usage``,
    ``selectors`` and ``findings``, and ``sizing``, ``recap`` and ``confirmed`` in ``tune``. A host without a record is
    reported as failed. With a ``rollout`` (``batches``, lists of hosts, and ``stopped``, with the number ``batch`` from
    1 and its ``gates``) the turn of those in its batches had not come on which nothing was begun.

    A record of which something does not hold makes its router a failed one, and nothing else.
    """
    records = {host: sound(record) for host, record in records.items()}
    waiting = _not_begun(rollout, records)
    known = {host: records.get(host, {} if host in waiting else {"failure": NOT_FINISHED}) for host in hosts}
    reports = {host: _host_report(record, host in waiting) for host, record in known.items()}
    return assemble(reports, _checks(records.values()), time, check_mode, rollout)


def assemble(
    reports: dict[str, Record], checks: dict[str, Record], time: str, check_mode: bool, rollout: Record | None = None
) -> Record:
    """Return the document with the ``reports`` of routers, by name, as a document has them under ``hosts``."""
    reports = dict(sorted(reports.items()))
    return {
        "schema_version": SCHEMA_VERSION,
        "time": time,
        "check_mode": check_mode,
        "baseline": None,
        "totals": _totals(reports.values()),
        "unreachable": _with_verdict(reports, "unreachable"),
        "failed": _with_verdict(reports, "failed"),
        "not_begun": _with_verdict(reports, "not_begun"),
        "no_conntrack": _with_verdict(reports, "no_conntrack"),
        "rollout": rollout,
        "checks": checks,
        "hosts": reports,
    }


def last_audit(host: Record) -> Record | None:
    """Return what a router is like now, from its part of the document: its last audit, or None if it had none."""
    return host.get("after") or host.get("before") or None


def failing(document: Record, fail_on: str = "") -> dict[str, str]:
    """Return the routers for which a run has to fail, each with the reason.

    These are the routers that were not done, and with ``fail_on`` (a severity) those whose last audit has a finding as
    bad as that or worse. Raises OptionError for any other severity.
    """
    bad = severities_from(fail_on) if fail_on else ()
    reasons = {host: _reason_to_fail(report, document["checks"], bad) for host, report in document["hosts"].items()}
    return {host: reason for host, reason in reasons.items() if reason}


def severities_from(fail_on: str) -> tuple[str, ...]:
    """Return the severity ``fail_on`` and all that are worse. Raises OptionError for any other word."""
    if fail_on not in SEVERITIES:
        raise OptionError(
            "fail_on", fail_on, "is no severity", f"Give one of {', '.join(SEVERITIES)}, or leave it out."
        )
    return SEVERITIES[: SEVERITIES.index(fail_on) + 1]


def _reason_to_fail(report: Record, checks: dict[str, Record], bad: t.Collection[str]) -> str:
    if report["failure"]:
        return f"{report['failure']['step']}: {report['failure']['message']}"
    if report["verdict"] == "not_begun":
        return "not begun, because the roll-out was stopped"
    findings = _found(last_audit(report))
    titles = [check["title"] for check in map(checks.__getitem__, findings) if check["severity"] in bad]
    return "; ".join(titles)


def _found(audit: Record | None) -> list[str]:
    return [finding["id"] for finding in (audit or {}).get("findings", []) if finding["status"] == "finding"]


def _not_begun(rollout: Record | None, records: dict[str, Record]) -> set[str]:
    """Return the routers of a roll-out on which nothing was begun."""
    planned = {host for batch in rollout["batches"] for host in batch} if rollout else set()
    return {host for host in planned if not any(records.get(host, {}).get(trace) for trace in _TRACES)}


def _host_report(record: Record, waiting: bool) -> Record:
    report = {
        "before": _audit(record.get("before")),
        "settings": _settings(record.get("tune")),
        "prune": _prune(record.get("prune")),
        "after": _audit(record.get("after")),
        "health": _findings(record["health"]) if record.get("health") else None,
        "failure": record.get("failure") or _unhealthy(record.get("health") or []),
        "no_conntrack": record.get("no_conntrack"),
        "trend": None,
    }
    return {"verdict": "not_begun" if waiting else _verdict(report, record), **report}


def _unhealthy(gates: list[Record]) -> Record | None:
    """Return the failure of a router that the first of these gates of a roll-out did not let pass, if there is one."""
    for gate in gates:
        if gate["status"] == "finding":
            return {"step": f"Health gate {gate['id']}", "message": gate["title"], "unreachable": False}
    return None


def _audit(audit: Record | None) -> Record | None:
    if not audit:
        return None
    stats = audit.get("stats")
    return {
        "usage": audit["usage"],
        "selectors": {name: _counted(counts) for name, counts in audit["selectors"].items()},
        "findings": _findings(audit["findings"]),
        "table": audit.get("table"),
        "stats": {key: stats[key] for key in ("total", "table_full")} if stats else None,
        "drift": audit.get("drift"),
        "explanation": audit.get("explanation"),
    }


def _counted(counts: Record) -> Record:
    """Return what a selector counted. None is unknown where it found nothing, but nobody can tell of some entries."""
    if counts["entries"] == 0 and counts.get("undecidable"):
        return {**counts, "entries": None, "percent": None}
    return counts


def _findings(findings: list[Record]) -> list[Record]:
    return [{key: finding[key] for key in _FINDING_KEYS} for finding in findings]


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


def why_not_pruned(host: Record, check_mode: bool) -> str | None:
    """Return why nobody could tell which entries to delete on a router, from its part of the document; None if known.

    This says too whether the run itself turns on what was missing.
    """
    reason: str | None = host["prune"] and host["prune"]["unavailable"]
    if not reason:
        return None
    changes = (host["settings"] or {"changes": {}})["changes"]
    turned_on = [short for short, change in changes.items() if change["before"] == 0 and change["after"] == 1]
    if not any(f"nf_conntrack_{short} " in reason for short in turned_on):
        return reason
    return (
        f"{reason} This run {'would turn' if check_mode else 'turned'} it on, for entries that are made from then on."
    )


def _prune(prune: Record | None) -> Record | None:
    return {**_PRUNE, **prune} if prune else None


def _verdict(report: Record, record: Record) -> str:
    """Return the one word for a router: why it was not done, or else the worst of what its last audit found."""
    if report["failure"]:
        return "unreachable" if report["failure"]["unreachable"] else "failed"
    if report["no_conntrack"]:
        return "no_conntrack"
    audit = record.get("after") or record.get("before")
    if not audit:
        return "done"
    found = {finding["severity"] for finding in audit["findings"] if finding["status"] == "finding"}
    unknown = any(finding["status"] == "unknown" for finding in audit["findings"])
    return next((severity for severity in SEVERITIES if severity in found), "unknown" if unknown else "passed")


def _totals(reports: t.Collection[Record]) -> Record:
    verdicts = [report["verdict"] for report in reports]
    unreachable, failed, not_begun = (verdicts.count(verdict) for verdict in NOT_DONE)
    no_conntrack = verdicts.count("no_conntrack")
    recaps = [report["settings"]["recap"] for report in reports if report["settings"] and report["settings"]["recap"]]
    return {
        "hosts": len(reports),
        "done": len(reports) - unreachable - failed - not_begun - no_conntrack,
        "unreachable": unreachable,
        "failed": failed,
        "not_begun": not_begun,
        "no_conntrack": no_conntrack,
        "findings_before": _count_findings(reports, "before"),
        "findings_after": _count_findings(reports, "after"),
        "settings_changed": sum(len(report["settings"]["changes"]) for report in reports if report["settings"]),
        "would_recap": sum(recap["would_update"] for recap in recaps),
        "recapped": sum(recap["updated"] or 0 for recap in recaps),
        "fixed_timeout": sum(recap["fixed_timeout"] for recap in recaps),
        **totals_of_prunes(reports),
    }


def totals_of_prunes(reports: t.Iterable[Record]) -> Record:
    """Return the sums over the prunes of these ``reports`` of routers."""
    prunes = [report["prune"] for report in reports if report["prune"]]
    return {key: _sum_of_known(prunes, key) for key in ("would_delete", "deleted")}


def _sum_of_known(prunes: list[Record], key: str) -> int | None:
    """Return the sum of a count over the prunes; None where there are prunes and nothing is known of any of them."""
    known = [prune[key] for prune in prunes if prune[key] is not None]
    return sum(known) if known or not prunes else None


def _count_findings(reports: t.Collection[Record], phase: str) -> int | None:
    """Return the number of findings in all audits of the ``phase``; None when there was no such audit."""
    audits = [report[phase] for report in reports if report[phase]]
    return sum(len(_found(audit)) for audit in audits) if audits else None


def _with_verdict(reports: dict[str, Record], verdict: str) -> list[str]:
    return [host for host, report in reports.items() if report["verdict"] == verdict]


def _checks(records: t.Iterable[Record]) -> dict[str, Record]:
    findings = [
        finding
        for record in records
        for audit in (record.get("before"), record.get("after"))
        for finding in (audit or {}).get("findings", [])
    ]
    return worst_of(
        (finding["id"], {key: finding[key] for key in _CHECK_KEYS if key in finding}) for finding in findings
    )


def worst_of(checks: t.Iterable[tuple[str, Record]]) -> dict[str, Record]:
    """Return the checks by id; where routers have a check in several severities, the worst, which no gate may miss."""
    ranked = sorted(checks, key=lambda item: SEVERITIES.index(item[1]["severity"]), reverse=True)
    return dict(ranked)

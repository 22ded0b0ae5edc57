# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""What the roles left behind on every router, rolled up into one document about the fleet."""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.check import SEVERITIES, Severity
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.audit_types import Count
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document_types import (
    NOT_DONE,
    Check,
    Document,
    Failure,
    Host,
    Phase,
    PruneAccount,
    Rollout,
    Totals,
    Verdict,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.record_shape import sound
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.record_types import CheckResult, RouterRecord
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.router_report import router_report
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.view import (
    changes_of,
    count_findings,
    last_audit,
    shortened_of,
    with_status,
)

SCHEMA_VERSION = 3
"""Goes up when a key of the document is renamed, removed, or changes its meaning."""

NOT_FINISHED: Failure = {
    "step": "?",
    "message": "stopped by an error, see the output above",
    "unreachable": False,
}
"""The failure of a router that a play lost on the way."""

_PARTS_OF_A_TURN = ("tune", "prune", "health", "failure", "no_conntrack")
"""What a record has of the turn of its router. tune and prune learn only then that it tracks no connections."""

_UNSEEN: RouterRecord = {"failure": NOT_FINISHED}


def roll_up(
    records: dict[str, t.Any],
    hosts: list[str],
    time: str,
    check_mode: bool = False,
    rollout: Rollout | None = None,
) -> Document:
    """Return the document about ``hosts``, at ``time`` (a text), from the record that each of them left.

    A record has ``before`` and ``after`` (what an audit found), ``tune``, ``prune``, ``health`` (the gates of a
    roll-out), ``failure`` and ``no_conntrack`` (why there is nothing to look at), each of which may be missing or
    empty. In an audit, all but ``usage``, ``selectors`` and ``findings`` may be missing, and in ``tune`` so may
    ``sizing``, ``shortened`` and ``confirmed``. A host without a record is reported as failed.

    A ``rollout`` has ``batches``, which are lists of hosts, and ``stopped``, with the number ``batch`` from 1 and its
    ``gates``. Hosts in its batches on which nothing was begun were still to come.

    A record of which something does not hold makes its router a failed one, and nothing else.
    """
    sound_records = {host: sound(record) for host, record in records.items()}
    waiting = _waiting(rollout, sound_records)
    reports = {}
    for host in hosts:
        record = sound_records.get(host, {} if host in waiting else _UNSEEN)
        reports[host] = router_report(record, host in waiting)
    return assemble(reports, _checks(sound_records.values()), time, check_mode, rollout)


def assemble(
    reports: dict[str, Host], checks: dict[str, Check], time: str, check_mode: bool, rollout: Rollout | None = None
) -> Document:
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
        "not_started": _with_verdict(reports, "not_started"),
        "no_conntrack": _with_verdict(reports, "no_conntrack"),
        "rollout": rollout,
        "checks": checks,
        "hosts": reports,
    }


def failing(document: Document, fail_on: str = "") -> dict[str, str]:
    """Return the routers for which a run has to fail, each with the reason.

    These are the routers that were not done, and with ``fail_on`` (a severity) those whose last audit has a finding as
    bad as that or worse. Raises OptionError for any other severity.
    """
    bad = severities_from(fail_on) if fail_on else ()
    reasons = {host: _reason_to_fail(report, document["checks"], bad) for host, report in document["hosts"].items()}
    return {host: reason for host, reason in reasons.items() if reason}


def severities_from(fail_on: str) -> tuple[Severity, ...]:
    """Return the severity ``fail_on`` and all that are worse. Raises OptionError for any other word."""
    for place, severity in enumerate(SEVERITIES, 1):
        if severity == fail_on:
            return SEVERITIES[:place]
    raise OptionError("fail_on", fail_on, "is no severity", f"Give one of {', '.join(SEVERITIES)}, or leave it out.")


def _reason_to_fail(report: Host, checks: dict[str, Check], bad: t.Collection[Severity]) -> str:
    if report["failure"]:
        return f"{report['failure']['step']}: {report['failure']['message']}"
    if report["verdict"] == "not_started":
        return "not started, because the roll-out was stopped"
    findings = [checks[check_id] for check_id in with_status(last_audit(report), "finding")]
    return "; ".join(check["title"] for check in findings if check["severity"] in bad)


def _waiting(rollout: Rollout | None, records: dict[str, RouterRecord]) -> set[str]:
    """Return the routers of a roll-out on which nothing was begun."""
    planned = {host for batch in rollout["batches"] for host in batch} if rollout else set()
    return {host for host in planned if not _was_begun(records.get(host, {}))}


def _was_begun(record: RouterRecord) -> bool:
    """Return whether a record shows that the turn of its router had come. An audit comes before all turns."""
    return any(record.get(part) for part in _PARTS_OF_A_TURN)


def _totals(reports: t.Collection[Host]) -> Totals:
    verdicts = [report["verdict"] for report in reports]
    unreachable, failed, not_started = (verdicts.count(verdict) for verdict in NOT_DONE)
    no_conntrack = verdicts.count("no_conntrack")
    accounts = list(filter(None, map(shortened_of, reports)))
    would_delete, deleted = totals_of_prunes(reports)
    return {
        "hosts": len(reports),
        "done": len(reports) - unreachable - failed - not_started - no_conntrack,
        "unreachable": unreachable,
        "failed": failed,
        "not_started": not_started,
        "no_conntrack": no_conntrack,
        "findings_before": _total_of_findings(reports, "before"),
        "findings_after": _total_of_findings(reports, "after"),
        "settings_changed": sum(len(changes_of(report)) for report in reports),
        "would_shorten": sum(account["would_update"] or 0 for account in accounts),
        "shortened": sum(account["updated"] or 0 for account in accounts),
        "fixed_timeout": sum(account["fixed_timeout"] or 0 for account in accounts),
        "would_delete": would_delete,
        "deleted": deleted,
    }


def totals_of_prunes(reports: t.Iterable[Host]) -> tuple[Count, Count]:
    """Return how many entries would be deleted, and were, on the routers of these ``reports``."""
    prunes: list[PruneAccount] = [report["prune"] for report in reports if report["prune"]]
    would_delete = _sum_of_known([prune["would_delete"] for prune in prunes])
    return would_delete, _sum_of_known([prune["deleted"] for prune in prunes])


def _sum_of_known(counts: list[Count]) -> Count:
    """Return the sum of what is known. None where there are counts and none is known."""
    known = [count for count in counts if count is not None]
    return sum(known) if known or not counts else None


def _total_of_findings(reports: t.Collection[Host], phase: Phase) -> Count:
    """Return the number of findings in all audits of the ``phase``. None when there was no such audit."""
    audits = [audit for audit in (report[phase] for report in reports) if audit]
    return sum(map(count_findings, audits)) if audits else None


def _with_verdict(reports: dict[str, Host], verdict: Verdict) -> list[str]:
    return [host for host, report in reports.items() if report["verdict"] == verdict]


def _checks(records: t.Iterable[RouterRecord]) -> dict[str, Check]:
    return worst_of((result["id"], _check(result)) for record in records for result in _results(record))


def _results(record: RouterRecord) -> t.Iterator[CheckResult]:
    """Yield what the checks say in all audits of a record."""
    for audit in (record.get("before"), record.get("after")):
        if audit:
            yield from audit["findings"]


def _check(result: CheckResult) -> Check:
    check: Check = {"title": result["title"], "severity": result["severity"], "advice": result["advice"]}
    return {**check, "unit": result["unit"]} if "unit" in result else check


def worst_of(checks: t.Iterable[tuple[str, Check]]) -> dict[str, Check]:
    """Return the checks by id. Of one that has several severities, the worst is kept, so that no gate can miss it."""
    ranked = sorted(checks, key=lambda item: SEVERITIES.index(item[1]["severity"]), reverse=True)
    return dict(ranked)

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""What every writer asks of the document: before and after, what is found now, what was changed. Worked out once."""

from __future__ import annotations

import datetime
import typing as t

from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.check import Status
from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.explanation import Explanation
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.audit_types import Audit, Count, Finding, Number
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document_types import (
    PHASES,
    Change,
    Document,
    Forecast,
    Gate,
    Host,
    PruneAccount,
    ShortenedAccount,
    Stop,
)

_Figure = t.TypeVar("_Figure")

FindingsByPhase = dict[str, Finding]
"""What a check says of one router, by the phase of the audit."""

_PRUNED: dict[bool, t.Literal["would_delete", "deleted"]] = {True: "would_delete", False: "deleted"}
_TIME = "%Y-%m-%dT%H:%M:%SZ"
SOON = 30 * 86_400
"""A table that is full later than that is not said to become full."""

AUDIT_FIRST = (
    "What this report says of these routers may be old. Before you run one of its commands there, mend the reason and "
    "run netops.conntrack.audit for them again."
)
"""What is said of all routers that were not done."""

_SHORTENED: dict[bool, t.Literal["would_shorten", "shortened"]] = {True: "would_shorten", False: "shortened"}
"""By whether it was a rehearsal, the count of what was done, or would be."""


def audits_of(host: Host) -> list[Audit]:
    """Return the audits of a router: the one before and the one after, as far as there are such."""
    audits = (host[phase] for phase in PHASES)
    return [audit for audit in audits if audit]


def last_audit(host: Host) -> Audit | None:
    """Return what a router is like now: its last audit, or None if it had none."""
    return host["after"] or host["before"] or None


def course(host: Host, get: t.Callable[[Audit], _Figure]) -> list[_Figure]:
    """Return what ``get`` finds in a router's audits: before and now, one value alone, or none."""
    return [get(audit) for audit in audits_of(host)]


def entries_of(audit: Audit) -> Count:
    """Return how many entries the table had at an audit."""
    return audit["usage"]["count"]


def limit_of(audit: Audit) -> Count:
    """Return how many entries the table could have at an audit. 0 is no limit."""
    return audit["usage"]["max"]


def percent_of(audit: Audit) -> Number:
    """Return how full the table was at an audit, in percent."""
    return audit["usage"]["percent"]


def has_after(document: Document) -> bool:
    """Return whether a router was audited twice."""
    return any(host["after"] for host in document["hosts"].values())


def with_status(audit: Audit | None, status: Status) -> dict[str, Finding]:
    """Return what the checks of an audit say that have this ``status``, by the id of the check."""
    findings = audit["findings"] if audit else []
    return {finding["id"]: finding for finding in findings if finding["status"] == status}


def explanation_of(audit: Audit | None) -> Explanation | None:
    """Return what fills the table at an audit, and what helps. None where it was not measured."""
    return audit["explanation"] if audit else None


def key_of(explanation: Explanation) -> t.Hashable:
    """Return what two explanations have in common that say the same."""
    commands = tuple((prune["command"], prune["frees"]) for prune in explanation["prunes"])
    return explanation["filled_by"], commands, tuple(explanation["advice"])


def count_findings(audit: Audit) -> int:
    """Return how many checks are a finding in an audit."""
    return sum(finding["status"] == "finding" for finding in audit["findings"])


def count_drift(audit: Audit) -> int | None:
    """Return how many settings will have another value after the next boot. None is unknown."""
    return None if audit["drift"] is None else len(audit["drift"])


def findings_by_check(document: Document) -> dict[str, dict[str, FindingsByPhase]]:
    """Return what the audits say, by check and router. To look for each check in each audit takes too long."""
    findings: dict[str, dict[str, FindingsByPhase]] = {}
    for name, host in document["hosts"].items():
        for phase in PHASES:
            audit = host[phase]
            for finding in audit["findings"] if audit else []:
                findings.setdefault(finding["id"], {}).setdefault(name, {})[phase] = finding
    return findings


def finding_now(host: Host, phases: FindingsByPhase) -> Finding | None:
    """Return what the last audit of a router says of a check, if it has it."""
    return phases.get("after" if host["after"] else "before")


def changes_of(host: Host) -> dict[str, Change]:
    """Return the settings of a router that changed, or in a rehearsal would change."""
    return host["settings"]["changes"] if host["settings"] else {}


def shortened_of(host: Host) -> ShortenedAccount | None:
    """Return the account of the entries of a router whose timeouts were shortened, if there is one."""
    return host["settings"]["shortened"] if host["settings"] else None


def forecast_of(host: Host) -> Forecast | None:
    """Return what was foretold of the settings of a router, if that is known."""
    return host["settings"]["forecast"] if host["settings"] else None


def gone_within(host: Host) -> Count:
    """Return after how many seconds the entries are gone of which that is foretold. None if it is of none.

    Those that are shortened go earlier than those that are left alone.
    """
    forecast = forecast_of(host)
    if not forecast:
        return None
    return forecast["shortened_in_seconds"] if shortened_of(host) else forecast["last_in_seconds"]


def full_in_seconds(document: Document, host: Host) -> int | None:
    """Return after how many seconds a router's table is full if it goes on filling as it did since the baseline.

    None if it is full, does not fill, has no limit, or takes longer than SOON, and if any of that is not known.
    """
    trend, last = host["trend"], last_audit(host)
    if not trend or not last or not document["baseline"]:
        return None
    before, now, limit = trend["entries"]["before"], trend["entries"]["now"], limit_of(last)
    elapsed = _seconds_between(document["baseline"]["time"], document["time"])
    if before is None or now is None or not limit or elapsed <= 0 or not before < now < limit:
        return None
    seconds = int((limit - now) * elapsed / (now - before))
    return seconds if seconds <= SOON else None


def _seconds_between(earlier: str, later: str) -> float:
    """Return the seconds between two times of documents, or 0 if one of them is not as documents have it."""
    try:
        start, end = (datetime.datetime.strptime(time, _TIME) for time in (earlier, later))
    except ValueError:
        return 0
    return (end - start).total_seconds()


class ForetoldTotals(t.NamedTuple):
    """Of how many entries of the fleet how many are foretold to go, and within how many seconds."""

    entries: int
    gone: int
    seconds: int


def total_foretold(document: Document) -> ForetoldTotals:
    """Return what is foretold of all routers together. Those of which nothing is foretold count for nothing."""
    hosts = list(document["hosts"].values())
    foretold = [forecast for host in hosts if (forecast := forecast_of(host))]
    entries = sum(forecast["entries"] or 0 for forecast in foretold)
    gone = sum(forecast["gone"] or 0 for forecast in foretold)
    return ForetoldTotals(entries, gone, max((gone_within(host) or 0 for host in hosts), default=0))


def total_shortened(document: Document) -> int:
    """Return how many timeouts of the fleet were shortened, or in a rehearsal would be."""
    return document["totals"][_SHORTENED[document["check_mode"]]]


def total_deleted(document: Document) -> Count:
    """Return how many entries of the fleet were deleted, or in a rehearsal would be."""
    return document["totals"][_PRUNED[document["check_mode"]]]


def deleted_of(prune: PruneAccount, check_mode: bool) -> Count:
    """Return how many entries a prune deleted, or in a rehearsal would delete."""
    return prune[_PRUNED[check_mode]]


def why_not_pruned(host: Host, check_mode: bool) -> str | None:
    """Return why nobody could tell which entries to delete on a router. None if that was known, or nobody asked.

    This says too whether the run itself turns on what was missing.
    """
    reason = host["prune"]["unavailable"] if host["prune"] else None
    if not reason:
        return None
    changes = changes_of(host).items()
    turned_on = [name for name, change in changes if change["before"] == 0 and change["after"] == 1]
    if not any(f"nf_conntrack_{name} " in reason for name in turned_on):
        return reason
    turns = "would turn" if check_mode else "turned"
    return f"{reason} This run {turns} it on, for entries that are made from then on."


def batches_of(document: Document) -> list[list[str]]:
    """Return the batches of a roll-out. The list is empty without one."""
    return document["rollout"]["batches"] if document["rollout"] else []


def stop_of(document: Document) -> Stop | None:
    """Return the stop of a roll-out: the batch, and the gates. None if it went through."""
    return document["rollout"]["stopped"] if document["rollout"] else None


def stopping_gates(document: Document) -> list[Gate]:
    """Return the gates that stopped a roll-out."""
    stop = stop_of(document)
    return stop["gates"] if stop else []

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.
"""The few figures of the fleet's document that the table on the terminal is drawn from."""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.plugin_utils._report.audit_types import Count, Number
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document_types import (
    PHASES,
    Document,
    Host,
    Phase,
    Stop,
    Verdict,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.ranking import (
    batch_numbers,
    overview_of,
    selected,
    selector_names,
    worst_first,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.view import (
    count_drift,
    count_findings,
    last_audit,
    limit_of,
    percent_of,
    stop_of,
)


class RouterFigures(t.TypedDict):
    """A router: which audits it had, and the figures of both. None is unknown, or not measured.

    ``max_*`` is 0 where there is no limit, ``stale_*`` are the entries of the first of the selectors. ``drift`` and
    ``findings`` are how many the last audit found, and ``batch`` counts from 1.
    """

    router: str
    verdict: Verdict
    audits: list[Phase]
    percent_before: Number
    percent_after: Number
    max_before: Count
    max_after: Count
    stale_before: Count
    stale_after: Count
    deleted: Count
    would_delete: Count
    drift: Count
    findings: Count
    batch: Count


class FleetFigures(t.TypedDict):
    """The fleet: its routers, the worst first, and the names of selectors (see overview_of).

    ``files`` are the paths of the reports, and ``not_written`` the reasons why there are not all of them, by format.
    """

    check_mode: bool
    selectors: list[str]
    rows: list[RouterFigures]
    files: list[str]
    not_written: dict[str, str]
    stopped: Stop | None


def summary(document: Document) -> FleetFigures:
    """Return what a terminal shows of the fleet's ``document`` (see roll_up). The files are still to be added."""
    selectors, batches = overview_of(selector_names(document)), batch_numbers(document)
    first_selector = selectors[0] if selectors else None
    return {
        "check_mode": document["check_mode"],
        "selectors": selectors,
        "rows": [_figures(name, host, first_selector, batches.get(name)) for name, host in worst_first(document)],
        "files": [],
        "not_written": {},
        "stopped": stop_of(document),
    }


def _figures(name: str, host: Host, selector: str | None, batch: int | None) -> RouterFigures:
    before, after, last = host["before"], host["after"], last_audit(host)
    deleted, would_delete = _deletions(host)
    return {
        "router": name,
        "verdict": host["verdict"],
        "audits": [phase for phase in PHASES if host[phase]],
        "percent_before": percent_of(before) if before else None,
        "percent_after": percent_of(after) if after else None,
        "max_before": limit_of(before) if before else None,
        "max_after": limit_of(after) if after else None,
        "stale_before": selected(before, selector) if before and selector else None,
        "stale_after": selected(after, selector) if after and selector else None,
        "deleted": deleted,
        "would_delete": would_delete,
        "drift": count_drift(last) if last else None,
        "findings": count_findings(last) if last else None,
        "batch": batch,
    }


def _deletions(host: Host) -> tuple[Count, Count]:
    """Return how many entries were deleted, and how many would be."""
    prune = host["prune"]
    if prune:
        return prune["deleted"], prune["would_delete"]
    # A prune that failed has no account. Nothing was deleted where a router's turn never came, or where nothing is.
    has_nothing = host["verdict"] in ("not_started", "no_conntrack")
    return 0 if has_nothing else None, None

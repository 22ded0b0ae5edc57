# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""The fleet's document for a spreadsheet: one row for each router."""

from __future__ import annotations

import csv
import io
import re
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._printable import visible
from ansible_collections.netops.conntrack.plugins.plugin_utils._bounds import SELECTORS, is_finite
from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.check import SEVERITIES
from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.expression import follow
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.audit_types import Audit
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document_types import Check, Document
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.ranking import (
    batch_numbers,
    selector_names,
    worst_first,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.view import last_audit

_FORMULA = re.compile(r"(^|;)(?=[\s'\"]*[=+@\uff1d\uff0b\uff0d\uff20-])")
"""Where a spreadsheet takes text for a formula (OWASP, "CSV Injection"), the full-width forms too.

That is at the beginning of a cell, behind blanks and quotes as well. Where a semicolon stands between the cells, as in
the settings of many countries, it is behind each one too. Tab and carriage return, which stand on that list as well, do
not get this far: they are shown as codes.
"""

_COLUMNS = {
    "router": "name",
    "verdict": "verdict",
    "batch": "batch",
    "entries_before": "before.usage.count",
    "entries_after": "after.usage.count",
    "percent_before": "before.usage.percent",
    "percent_after": "after.usage.percent",
    "max": "now.usage.max",
    "buckets": "now.usage.buckets",
    "load_factor": "now.usage.load_factor",
    "memory_bytes": "now.usage.memory_bytes",
    "not_listed": "now.table.not_listed",
    **{f"findings_{severity}": f"findings.{severity}" for severity in SEVERITIES},
    "checks_unknown": "findings.unknown",
    "drift": "now.drift",
    "drop": "now.stats.total.drop",
    "early_drop": "now.stats.total.early_drop",
    "insert_failed": "now.stats.total.insert_failed",
    "profile": "settings.profile",
    "settings_changed": "settings.changes",
    "would_shorten": "settings.shortened.would_update",
    "shortened": "settings.shortened.updated",
    "would_delete": "prune.would_delete",
    "deleted": "prune.deleted",
    "woken": "prune.woken",
    "failure_step": "failure.step",
    "failure_message": "failure.message",
    "entries_baseline": "trend.entries.before",
    "percent_baseline": "trend.percent.before",
    "findings_new": "trend.findings.new",
    "findings_gone": "trend.findings.gone",
    "drift_new": "trend.drift.new",
    "drift_gone": "trend.drift.gone",
}
"""Where each column comes from: a path in what the document says of a router, to which _row adds what is worked out.

Of a list or a dict the cell shows the length.
"""

_Row = dict[str, t.Any]
"""What the document says of a router, and what is worked out from it."""


def as_csv(document: Document) -> str:
    """Return what ``csv_parts`` yields, as one text."""
    return "".join(csv_parts(document))


def csv_parts(document: Document) -> t.Iterator[str]:
    """Yield the fleet's ``document`` (see roll_up) as CSV (RFC 4180): a header, then the routers, the worst first.

    A cell of what is not known is empty. The columns are the same in every report, but for two of each selector at the
    end. Text that a spreadsheet would run as a formula begins with a single quote. Of a great many selectors, the most
    important ones have columns.
    """
    paths = {title: path.split(".") for title, path in _COLUMNS.items()} | _selector_paths(document)
    yield _line(paths)
    for row in _rows(document):
        yield _line(follow(row, path) for path in paths.values())


def _line(cells: t.Iterable[t.Any]) -> str:
    text = io.StringIO()
    csv.writer(text).writerow(map(_cell, cells))
    return text.getvalue()


def _selector_paths(document: Document) -> dict[str, list[str]]:
    return {
        f"selector_{name}_{phase}": [phase, "selectors", name, "entries"]
        for name in sorted(selector_names(document)[:SELECTORS])
        for phase in ("before", "after")
    }


def _rows(document: Document) -> t.Iterator[_Row]:
    batches = batch_numbers(document)
    for name, host in worst_first(document):
        now = last_audit(host)
        findings = _findings_by_severity(now, document["checks"]) if now else None
        yield {**host, "name": name, "batch": batches.get(name), "now": now, "findings": findings}


def _findings_by_severity(audit: Audit, checks: dict[str, Check]) -> dict[str, int]:
    """Return the number of findings by severity, and of the checks that could not be told as ``unknown``."""
    counts = dict.fromkeys((*SEVERITIES, "unknown"), 0)
    for finding in audit["findings"]:
        if finding["status"] != "passed":
            kind = "unknown" if finding["status"] == "unknown" else checks[finding["id"]]["severity"]
            counts[kind] += 1
    return counts


def _cell(value: t.Any) -> t.Any:
    """Return what a cell shows: text that is no formula, a number, or nothing for what is not known."""
    if isinstance(value, (list, dict)):
        return len(value)
    if isinstance(value, str):
        return _FORMULA.sub(r"\1'", visible(value))
    return value if is_finite(value) else None

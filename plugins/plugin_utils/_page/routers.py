# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""The routers on the page: what was done, the roll-out, a row for each, what fills their tables, who was not done."""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.plugin_utils._bounds import short
from ansible_collections.netops.conntrack.plugins.plugin_utils._page.blocks import (
    Block,
    Heading,
    Items,
    Paragraph,
    Table,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._page.parts import (
    COURSE,
    NOT_DONE,
    SHOWN,
    counted,
    course_of,
    few_names,
    how_many_more,
    recap_of,
    shown_number,
    shown_value,
    verdict_of,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document import Record
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.ranking import (
    overview_of,
    selector_counts,
    selector_names,
)


def headline(document: Record) -> list[Block]:
    """Return the first lines of the page: how many routers were done, and what was changed on them."""
    totals, check_mode, hosts = document["totals"], document["check_mode"], document["hosts"].values()
    parts = [f"{totals['done']} of {counted(totals['hosts'], 'router')} done"]
    parts += [f"{word}: {few_names(document[key])}" for key, word in NOT_DONE.items() if document[key]]
    if document["rollout"] and document["rollout"]["stopped"]:
        parts.append(f"stopped after batch {document['rollout']['stopped']['batch']}")
    if any(host["settings"] for host in hosts):
        changed = counted(totals["settings_changed"], "setting")
        parts.append(f"{changed} {'would change' if check_mode else 'changed'}")
    if any(map(recap_of, hosts)):
        fixed = f" ({totals['fixed_timeout']} with a fixed timeout left)" if totals["fixed_timeout"] else ""
        count = counted(totals["would_recap" if check_mode else "recapped"], "timeout")
        parts.append(f"{count} {'would be shortened' if check_mode else 'shortened'}{fixed}")
    if any(host["prune"] for host in hosts):
        count = totals["would_delete" if check_mode else "deleted"]
        parts.append(f"{counted(count, 'entry', 'entries')} {'would be deleted' if check_mode else 'deleted'}")
    return [
        Heading(1, f"Connection tracking of {counted(totals['hosts'], 'router')}, {document['time']}"),
        Paragraph(f"{'Check mode, nothing was changed. ' if check_mode else ''}{'; '.join(parts)}."),
    ]


def rollout(document: Record) -> Items:
    """Return the batches, where and why the roll-out was stopped, and how to go on; nothing for a single batch."""
    rollout = document["rollout"] or {"batches": [], "stopped": None}
    sizes = [str(len(batch)) for batch in rollout["batches"]]
    if len(sizes) < 2 and not rollout["stopped"]:
        return Items([])
    items = [("batches", [f"{len(sizes)}, of {few_names(sizes)} routers"])]
    return Items([*items, *_stop(document, rollout["stopped"])] if rollout["stopped"] else items)


def _stop(document: Record, stopped: Record) -> list[tuple[str, list[str]]]:
    gates = [short(f"{gate['host']}: {_gate(gate)}", COURSE) for gate in stopped["gates"]]
    waiting = document["not_begun"]
    remedy = (
        "Heal what stopped it, then run the playbook again with --limit @REPORT.retry, the file beside this report. It "
        "lists the routers that are not done."
    )
    return [
        ("stopped", [f"after batch {stopped['batch']}", *gates[:SHOWN], *how_many_more(gates)]),
        ("not begun", [f"{counted(len(waiting), 'router')}: {few_names(waiting)}" if waiting else "no router"]),
        ("to go on", [remedy]),
    ]


def _gate(gate: Record) -> str:
    told = [shown_value(gate["value"])] if gate["value"] is not None else []
    return ": ".join([gate["id"], gate["title"], *told, *filter(None, [gate["reason"]])])


def overview(document: Record) -> Table:
    """Return the table with a row for each router; a column that is empty for all of them is left out."""
    hosts, check_mode = document["hosts"], document["check_mode"]
    # Pairs, because a selector may have the name of another column.
    columns: list[tuple[str, t.Callable[[Record], str]]] = [
        ("verdict", verdict_of),
        ("findings", lambda host: course_of(host, _count_findings)),
        ("entries", lambda host: course_of(host, lambda audit: shown_number(audit["usage"]["count"]))),
        ("% full", lambda host: course_of(host, lambda audit: shown_number(audit["usage"]["percent"]))),
        *((name, _selector_column(name)) for name in overview_of(selector_names(document))),
        ("would change" if check_mode else "changed", _changes_cell),
        ("would delete" if check_mode else "deleted", _deletions_column(check_mode)),
    ]
    cells = [(title, [cell(host) for host in hosts.values()]) for title, cell in columns]
    used = [("router", list(hosts)), *((title, column) for title, column in cells if any(column))]
    return Table(
        [[title for title, _column in used], *map(list, zip(*(column for title_of, column in used), strict=True))]
    )


def _count_findings(audit: Record) -> str:
    return str(sum(finding["status"] == "finding" for finding in audit["findings"]))


def _selector_column(name: str) -> t.Callable[[Record], str]:
    return lambda host: course_of(host, lambda audit: shown_number(selector_counts(audit, name).get("entries")))


def _changes_cell(host: Record) -> str:
    return str(len(host["settings"]["changes"])) if host["settings"] else ""


def _deletions_column(check_mode: bool) -> t.Callable[[Record], str]:
    key = "would_delete" if check_mode else "deleted"

    def cell(host: Record) -> str:
        if not host["prune"]:
            return ""
        return shown_number(host["prune"][key])

    return cell


def not_done(document: Record) -> Items:
    """Return the routers that failed, each with the step and the message."""
    return Items(
        [
            (name, [verdict_of(host), f"{host['failure']['step']}: {host['failure']['message']}"])
            for name, host in document["hosts"].items()
            if host["failure"]
        ]
    )


def no_conntrack(document: Record) -> Items:
    """Return the routers that do not track connections, each with the reason."""
    hosts = document["hosts"].items()
    return Items([(name, [host["no_conntrack"]]) for name, host in hosts if host["no_conntrack"]])

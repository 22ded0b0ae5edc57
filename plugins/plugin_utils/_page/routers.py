# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""The routers on the page: what was done, the roll-out, a row for each, what fills their tables, who was not done."""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.plugin_utils._bounds import shorten
from ansible_collections.netops.conntrack.plugins.plugin_utils._display import at_most, percentage, plain_number
from ansible_collections.netops.conntrack.plugins.plugin_utils._page.blocks import (
    Block,
    Heading,
    Item,
    Items,
    Paragraph,
    Table,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._page.parts import (
    COURSE,
    SHOWN,
    counted,
    course_of,
    few_names,
    finding_value,
    how_many_more,
    verdict_of,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document_types import (
    Document,
    Gate,
    Host,
    Stop,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.ranking import (
    overview_of,
    selected,
    selector_names,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.view import (
    batches_of,
    changes_of,
    count_findings,
    deleted_of,
    shortened_of,
    stop_of,
    total_deleted,
    total_foretold,
    total_shortened,
)

_Cell = t.Callable[[Host], str]


def headline(document: Document) -> list[Block]:
    """Return the first lines of the page: how many routers were done, and what was changed on them."""
    routers = counted(document["totals"]["hosts"], "router")
    what_was_done = "; ".join([*_how_many_were_done(document), *_what_was_changed(document)])
    rehearsal = "Check mode, nothing was changed. " if document["check_mode"] else ""
    return [
        Heading(1, f"Connection tracking of {routers}, {document['time']}"),
        Paragraph(f"{rehearsal}{what_was_done}."),
    ]


def _how_many_were_done(document: Document) -> t.Iterator[str]:
    totals, stop = document["totals"], stop_of(document)
    yield f"{totals['done']} of {counted(totals['hosts'], 'router')} done"
    not_done = {
        "unreachable": document["unreachable"],
        "failed": document["failed"],
        "not started": document["not_started"],
        "no conntrack": document["no_conntrack"],
    }
    for word, names in not_done.items():
        if names:
            yield f"{word}: {few_names(names)}"
    if stop:
        yield f"stopped after batch {stop['batch']}"


def _what_was_changed(document: Document) -> t.Iterator[str]:
    totals, hosts = document["totals"], document["hosts"].values()
    would_be = "would be " if document["check_mode"] else ""
    if any(host["settings"] for host in hosts):
        changed = "would change" if document["check_mode"] else "changed"
        yield f"{counted(totals['settings_changed'], 'setting')} {changed}"
    if any(map(shortened_of, hosts)):
        fixed = f" ({totals['fixed_timeout']} with a fixed timeout left)" if totals["fixed_timeout"] else ""
        yield f"{counted(total_shortened(document), 'timeout')} {would_be}shortened{fixed}"
    yield from _what_will_be_gone(document)
    if any(host["prune"] for host in hosts):
        yield f"{counted(total_deleted(document), 'entry', 'entries')} {would_be}deleted"


def _what_will_be_gone(document: Document) -> t.Iterator[str]:
    """Say how many entries the settings are foretold to take away, and how long that takes at most."""
    entries, gone, seconds = total_foretold(document)
    if gone:
        would_be = "would be" if document["check_mode"] else "will be"
        yield f"{gone} of {counted(entries, 'entry', 'entries')} {would_be} gone within {at_most(seconds)}"


def rollout(document: Document) -> Items:
    """Return the batches, where and why the roll-out was stopped, and how to go on. Nothing for a single batch."""
    sizes = [str(len(batch)) for batch in batches_of(document)]
    stop = stop_of(document)
    if len(sizes) < 2 and not stop:
        return Items([])
    batches = ("batches", [f"{len(sizes)}, of {few_names(sizes)} routers"])
    return Items([batches, *(_stop(document, stop) if stop else [])])


def _stop(document: Document, stop: Stop) -> list[Item]:
    gates = [shorten(f"{gate['host']}: {_gate(gate)}", COURSE) for gate in stop["gates"]]
    waiting = document["not_started"]
    remedy = (
        "Fix what stopped it, then run the playbook again with --limit @REPORT.retry, the file next to this report. It "
        "lists the routers that are not done."
    )
    return [
        ("stopped", [f"after batch {stop['batch']}", *gates[:SHOWN], *how_many_more(gates)]),
        ("not started", [f"{counted(len(waiting), 'router')}: {few_names(waiting)}" if waiting else "no router"]),
        ("to go on", [remedy]),
    ]


def _gate(gate: Gate) -> str:
    parts = [gate["id"], gate["title"]]
    if gate["value"] is not None:
        parts.append(finding_value(gate["value"]))
    if gate["reason"]:
        parts.append(gate["reason"])
    return ": ".join(parts)


def overview(document: Document) -> Table:
    """Return the table with a row for each router. A column that is empty for all of them is left out."""
    hosts = document["hosts"]
    titles, columns = ["router"], [list(hosts)]
    for title, cell_of in _columns(document):
        cells = [cell_of(host) for host in hosts.values()]
        if any(cells):
            titles.append(title)
            columns.append(cells)
    return Table([titles, *map(list, zip(*columns, strict=True))])


def _columns(document: Document) -> t.Iterator[tuple[str, _Cell]]:
    """Yield the titles and the cells of the columns. A selector may have the name of another column."""
    check_mode = document["check_mode"]
    yield "verdict", verdict_of
    yield "findings", lambda host: course_of(host, lambda audit: str(count_findings(audit)))
    yield "entries", lambda host: course_of(host, lambda audit: plain_number(audit["usage"]["count"]))
    yield "% full", lambda host: course_of(host, lambda audit: _percent(audit["usage"]["percent"]))
    for name in overview_of(selector_names(document)):
        yield name, _selector_column(name)
    yield "would change" if check_mode else "changed", _changes_cell
    yield "would delete" if check_mode else "deleted", _deletions_column(check_mode)


def _percent(value: float | None) -> str:
    """Return a percentage without a decimal that is 0, and 100 only for a table that is full."""
    return percentage(value).removesuffix(".0")


def _selector_column(name: str) -> _Cell:
    return lambda host: course_of(host, lambda audit: plain_number(selected(audit, name)))


def _changes_cell(host: Host) -> str:
    return str(len(changes_of(host))) if host["settings"] else ""


def _deletions_column(check_mode: bool) -> _Cell:
    def cell(host: Host) -> str:
        return plain_number(deleted_of(host["prune"], check_mode)) if host["prune"] else ""

    return cell


def not_done(document: Document) -> Items:
    """Return the routers that failed, each with the step and the message."""
    items = []
    for name, host in document["hosts"].items():
        failure = host["failure"]
        if failure:
            items.append((name, [verdict_of(host), f"{failure['step']}: {failure['message']}"]))
    return Items(items)


def no_conntrack(document: Document) -> Items:
    """Return the routers that do not track connections, each with the reason."""
    reasons = {name: host["no_conntrack"] for name, host in document["hosts"].items()}
    return Items([(name, [reason]) for name, reason in reasons.items() if reason])

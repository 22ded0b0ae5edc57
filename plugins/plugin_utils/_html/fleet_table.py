# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""The table of the fleet in the HTML report: a row for each router, columns that sort."""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.plugin_utils._bounds import PARTS, some
from ansible_collections.netops.conntrack.plugins.plugin_utils._display import UNKNOWN, number, percentage
from ansible_collections.netops.conntrack.plugins.plugin_utils._html.components import Fleet, badge, course, shown
from ansible_collections.netops.conntrack.plugins.plugin_utils._html_toolkit.charts import gauge
from ansible_collections.netops.conntrack.plugins.plugin_utils._html_toolkit.markup import Html, element
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document_types import VERDICTS, Host
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.ranking import (
    batch_numbers,
    overview_of,
    selected,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.view import (
    changes_of,
    count_drift,
    count_findings,
    deleted_of,
    entries_of,
    last_audit,
    limit_of,
    percent_of,
    with_status,
)

NO_LIMIT = "no limit"


class _Cell(t.NamedTuple):
    """The content of a cell, and the key that it is sorted by if that is not its text. ``?`` and nothing sort last."""

    content: str
    key: float | str | None = None


class _Column(t.NamedTuple):
    """A column: its heading, the cell of a router, how the first click sorts it (None: no click does), and by what."""

    heading: str
    cell: t.Callable[[str, Host], _Cell]
    first: str | None = "descending"
    numeric: bool = True

    @property
    def style(self) -> str | None:
        """The class of its cells: amounts stand on the right."""
        return "n" if self.numeric and self.first == "descending" else None


def fleet_table(fleet: Fleet) -> t.Iterator[str]:
    """Yield the table with all routers, the worst first. A column that is empty for all of them is left out."""
    columns = [
        _Column("Router", lambda name, _host: _Cell(fleet.link(name)), "ascending", numeric=False),
        _Column("Verdict", _verdict, "ascending"),
        _Column("Utilisation", _gauge, None),
        _Column("% full", _percent),
        _Column("Trend", _trend),
        _Column("Entries", lambda _name, host: _course_cell(course(host, entries_of))),
        _Column("Limit", _limit),
        *(_Column(name.capitalize(), _selector(name)) for name in overview_of(fleet.selectors)),
        _Column("Findings", lambda _name, host: _course_cell(course(host, count_findings))),
        _Column("Drift", lambda _name, host: _course_cell(course(host, count_drift))),
        _Column("Would change" if fleet.check_mode else "Changed", _changed),
        _Column("Would delete" if fleet.check_mode else "Deleted", _deleted(fleet.check_mode)),
        _Column("Batch", _batch(batch_numbers(fleet.document)), "ascending"),
    ]
    filled = [column for column in columns if any(column.cell(*router).content for router in fleet.routers)]
    head = element("tr", *map(_heading, filled))
    yield f"<table id=fleet>{element('thead', head)}<tbody>"
    for name, host in fleet.routers:
        cells = [_written(column, column.cell(name, host)) for column in filled]
        yield element("tr", *cells, data_checks=_check_ids(host))
    yield "</tbody></table>"


def _heading(column: _Column) -> Html:
    if not column.first:
        return element("th", column.heading, scope="col")
    return element(
        "th",
        element("button", column.heading, type="button"),
        scope="col",
        class_=column.style,
        aria_sort="ascending" if column.cell is _verdict else "none",
        data_first=column.first,
        data_numeric=column.numeric,
    )


def _written(column: _Column, cell: _Cell) -> Html:
    return element("td", cell.content, class_=column.style, data_key=cell.key)


def _check_ids(host: Host) -> str | None:
    """Return the checks by which the filter finds a router."""
    last = last_audit(host)
    checks, _others = some([*with_status(last, "finding"), *with_status(last, "unknown")], PARTS)
    return " ".join(checks) or None


def _course_cell(values: list[t.Any], text_of: t.Callable[[t.Any], str] = number) -> _Cell:
    return _Cell(shown(values, text_of), values[-1])


def _verdict(_name: str, host: Host) -> _Cell:
    return _Cell(badge(host["verdict"]), VERDICTS.index(host["verdict"]))


def _gauge(_name: str, host: Host) -> _Cell:
    return _Cell(utilisation(host))


def utilisation(host: Host) -> Html:
    """Return how full the table of a router is, as a bar."""
    percents, limits = course(host, percent_of), course(host, limit_of)
    now = _how_full(percents[-1], limits[-1])
    before = f", before {percentage(percents[0])} %" if len(percents) > 1 else ""
    return gauge(percents, now + before)


def _how_full(percent: float | None, limit: int | None) -> str:
    if limit == 0:
        return NO_LIMIT
    return "not known" if percent is None else f"{percentage(percent)} % full"


def _percent(_name: str, host: Host) -> _Cell:
    percents, limits = course(host, percent_of), course(host, limit_of)
    texts = ["-" if limit == 0 else percentage(percent) for percent, limit in zip(percents, limits, strict=True)]
    return _Cell(shown(texts), percents[-1])


def _limit(_name: str, host: Host) -> _Cell:
    limits = course(host, limit_of)
    text = shown(limits, lambda limit: "none" if limit == 0 else number(limit))
    return _Cell(text, "Infinity" if limits[-1] == 0 else limits[-1])


def _trend(_name: str, host: Host) -> _Cell:
    if not host["trend"]:
        return _Cell("")
    now, before = host["trend"]["percent"]["now"], host["trend"]["percent"]["before"]
    if now is None or before is None:
        return _Cell(UNKNOWN)
    growth = now - before
    return _Cell(f"{growth:+.1f}", round(growth, 2))


def _selector(name: str) -> t.Callable[[str, Host], _Cell]:
    return lambda _name, host: _course_cell(course(host, lambda audit: selected(audit, name)))


def _changed(_name: str, host: Host) -> _Cell:
    return _Cell(number(len(changes_of(host))) if host["settings"] else "")


def _deleted(check_mode: bool) -> t.Callable[[str, Host], _Cell]:
    def cell(_name: str, host: Host) -> _Cell:
        return _course_cell([deleted_of(host["prune"], check_mode)]) if host["prune"] else _Cell("")

    return cell


def _batch(numbers: dict[str, int]) -> t.Callable[[str, Host], _Cell]:
    return lambda name, _host: _Cell(number(numbers[name]) if name in numbers else "")

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""The table of the fleet in the HTML report: a row for each router, columns that sort."""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.plugin_utils._bounds import PARTS, some
from ansible_collections.netops.conntrack.plugins.plugin_utils._html.components import (
    Fleet,
    badge,
    course,
    selected,
    shown,
    status_of,
    used,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._html_toolkit.charts import gauge
from ansible_collections.netops.conntrack.plugins.plugin_utils._html_toolkit.markup import (
    UNKNOWN,
    Html,
    element,
    number,
    percentage,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document import VERDICTS, Record, last_audit
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.ranking import batch_numbers, overview_of

NO_LIMIT = "no limit"


class _Cell(t.NamedTuple):
    """What a cell shows, and the number that it is sorted by if that is not the text; ``?`` and nothing sort last."""

    content: str
    key: float | str | None = None


class _Column(t.NamedTuple):
    """A column: its heading, the cell of a router, how the first click sorts it (None: no click does), and by what."""

    heading: str
    cell: t.Callable[[str, Record], _Cell]
    first: str | None = "descending"
    numeric: bool = True

    @property
    def style(self) -> str | None:
        """The class of its cells: amounts stand on the right."""
        return "n" if self.numeric and self.first == "descending" else None


def fleet_table(fleet: Fleet) -> Html:
    """Return the table with all routers, the worst first; a column that is empty for all of them is left out."""
    columns = [
        _Column("Router", lambda name, _host: _Cell(fleet.link(name)), "ascending", numeric=False),
        _Column("Verdict", _verdict, "ascending"),
        _Column("Utilisation", _gauge, None),
        _Column("% full", _percent),
        _Column("Trend", _trend),
        _Column("Entries", lambda _name, host: _course_cell(course(host, used("count")))),
        _Column("Limit", lambda _name, host: _limit(course(host, used("max")))),
        *(_Column(name.capitalize(), _selector(name)) for name in overview_of(fleet.selectors)),
        _Column("Findings", lambda _name, host: _course_cell(course(host, _found))),
        _Column("Drift", lambda _name, host: _course_cell(course(host, _drift))),
        _Column("Would change" if fleet.check_mode else "Changed", _changed),
        _Column("Would delete" if fleet.check_mode else "Deleted", _deleted(fleet.check_mode)),
        _Column("Batch", _batch(batch_numbers(fleet.document)), "ascending"),
    ]
    cells = [[column.cell(name, host) for column in columns] for name, host in fleet.routers]
    kept = [place for place in range(len(columns)) if any(row[place].content for row in cells)]
    head = element("tr", *(_heading(columns[place]) for place in kept))
    rows = [
        element("tr", *(_written(columns[place], row[place]) for place in kept), data_checks=_check_ids(host))
        for row, (_name, host) in zip(cells, fleet.routers, strict=True)
    ]
    return element("table", element("thead", head), element("tbody", *rows), id="fleet")


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


def _check_ids(host: Record) -> str | None:
    """Return the checks by which the filter finds a router."""
    last = last_audit(host)
    checks, _others = some([*status_of(last, "finding"), *status_of(last, "unknown")], PARTS)
    return " ".join(checks) or None


def _course_cell(values: list[t.Any], text_of: t.Callable[[t.Any], str] = number) -> _Cell:
    return _Cell(shown(values, text_of), values[-1])


def _verdict(_name: str, host: Record) -> _Cell:
    return _Cell(badge(host["verdict"]), VERDICTS.index(host["verdict"]))


def _gauge(_name: str, host: Record) -> _Cell:
    return _Cell(utilisation(host))


def utilisation(host: Record) -> Html:
    """Return how full the table of a router is, as a bar."""
    percents, limits = course(host, used("percent")), course(host, used("max"))
    told = (
        NO_LIMIT if limits[-1] == 0 else "not known" if percents[-1] is None else f"{percentage(percents[-1])} % full"
    )
    earlier = f", before {percentage(percents[0])} %" if len(percents) > 1 else ""
    return gauge(percents, told + earlier)


def _percent(_name: str, host: Record) -> _Cell:
    percents, limits = course(host, used("percent")), course(host, used("max"))
    texts = ["-" if limit == 0 else percentage(percent) for percent, limit in zip(percents, limits, strict=True)]
    return _Cell(shown(texts), percents[-1])


def _limit(limits: list[int | None]) -> _Cell:
    text = shown(limits, lambda limit: "none" if limit == 0 else number(limit))
    return _Cell(text, "Infinity" if limits[-1] == 0 else limits[-1])


def _trend(_name: str, host: Record) -> _Cell:
    if not host["trend"]:
        return _Cell("")
    percents = host["trend"]["percent"]
    if None in percents.values():
        return _Cell(UNKNOWN)
    growth = percents["now"] - percents["before"]
    return _Cell(f"{growth:+.1f}", round(growth, 2))


def _selector(name: str) -> t.Callable[[str, Record], _Cell]:
    return lambda _name, host: _course_cell(course(host, selected(name)))


def _found(audit: Record) -> int:
    return len(status_of(audit, "finding"))


def _drift(audit: Record) -> int | None:
    drift = audit["drift"]
    return None if drift is None else len(drift)


def _changed(_name: str, host: Record) -> _Cell:
    return _Cell(number(len(host["settings"]["changes"])) if host["settings"] else "")


def _deleted(check_mode: bool) -> t.Callable[[str, Record], _Cell]:
    key = "would_delete" if check_mode else "deleted"
    return lambda _name, host: _course_cell([host["prune"][key]]) if host["prune"] else _Cell("")


def _batch(numbers: dict[str, int]) -> t.Callable[[str, Record], _Cell]:
    return lambda name, _host: _Cell(number(numbers[name]) if name in numbers else "")

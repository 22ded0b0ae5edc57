# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""What is in the table of a router, in its section of the HTML report: the charts and the top talkers."""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._printable import visible
from ansible_collections.netops.conntrack.plugins.plugin_utils._bounds import LISTED, listed, some
from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.check import FULL, NEARLY_FULL
from ansible_collections.netops.conntrack.plugins.plugin_utils._html.components import (
    ARROW,
    Fleet,
    and_more,
    audits_of,
    block,
    course,
    folding,
    selected,
    used,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._html.fleet_table import NO_LIMIT, utilisation
from ansible_collections.netops.conntrack.plugins.plugin_utils._html_toolkit.charts import (
    HATCH,
    Counts,
    histogram,
    pairs,
    shares,
    stack,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._html_toolkit.markup import (
    UNKNOWN,
    Html,
    duration,
    element,
    number,
    percentage,
    together,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document import Record
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.ranking import protocols_of

_RANGES, _TALKERS = 64, 1_000
"""More ranges than the histogram of any router has, and more top talkers than anybody asks for."""

_NOT_MEASURED = "What is in the table was not measured."
_TOPS = {
    "source": "Sources",
    "destination": "Destinations",
    "source_port": "Source ports",
    "destination_port": "Destination ports",
}
_TIMES = {"idle": "Idle time", "remaining": "Time until it expires"}
_Amounts = dict[str, t.Optional[int]]
"""Name to entries, None for unknown."""

_STATUS = {"unreplied": "never answered", "assured": "assured"}


def contents(fleet: Fleet, host: Record) -> list[Html]:
    """Return a measured router's charts and its most frequent addresses, before next to now if it has both."""
    tables = [audit["table"] for audit in audits_of(host)]
    if not tables:
        return []
    now, was = tables[-1], tables[0] if len(tables) > 1 else None
    left = [block("How full the table is", utilisation(host), _usage(host))]
    right = [folding("Entries", _amounts(fleet, host), *_by_protocol(fleet, host))]
    if not now:
        return [_columns(left, right), element("p", _NOT_MEASURED, class_="soft")]
    left.append(folding("Protocols", *_stacked("Protocols", list(map(_protocols, tables)), fleet.protocols)))
    protocols, others = some(sorted(now["states"]), LISTED)
    for protocol in protocols:
        series = [_states(table, protocol) for table in tables]
        left.append(folding(f"States of {protocol}", *_stacked(f"States of {protocol}", series, fleet.states)))
    left.append(and_more(others))
    right += [folding(title, _histogram(title, now[key], was and was[key])) for key, title in _TIMES.items()]
    return [_columns(left, right), _tops(host, now["top"], was and was["top"])]


def axes_of(fleet: Fleet) -> list[tuple[int, ...]]:
    """Return the different edges that the histograms of the fleet have."""
    tables = [audit["table"] for _name, host in fleet.routers for audit in audits_of(host) if audit["table"]]
    return sorted({_counts(table[key]).edges for table in tables for key in _TIMES})


def _columns(left: list[Html], right: list[Html]) -> Html:
    return element("div", element("div", *left), element("div", *right), class_="charts")


def _usage(host: Record) -> Html:
    usage = audits_of(host)[-1]["usage"]
    if usage["max"] == 0:
        return element("small", f"{number(usage['count'])} entries, {NO_LIMIT}")
    room = f"{number(usage['headroom'])} left of {number(usage['max'])}"
    return element("small", f"{percentage(usage['percent'])} %, {room}; the marks are at {NEARLY_FULL} and {FULL} %")


def _amounts(fleet: Fleet, host: Record) -> Html:
    rows = [("all", course(host, used("count")))]
    counted = {name for audit in audits_of(host) for name in audit["selectors"]}
    rows += [(name, course(host, selected(name))) for name in fleet.selectors if name in counted]
    rows += [(word, course(host, _status(key))) for key, word in _STATUS.items()]
    rows.append(("evictable", course(host, lambda audit: audit["table"] and audit["table"]["evictable"])))
    return pairs(rows, "Entries: " + "; ".join(f"{name} {ARROW.join(map(number, values))}" for name, values in rows))


def _by_protocol(fleet: Fleet, host: Record) -> t.Iterator[Html]:
    """Yield a line for each selector that counted entries of other protocols than TCP."""
    counted = audits_of(host)[-1]["selectors"]
    for name in fleet.selectors:
        protocols = protocols_of(counted.get(name, {}))
        if protocols:
            told = listed(f"{protocol} {number(entries)}" for protocol, entries in protocols)
            yield element("p", f"{name} now: {told}", class_="soft")


def _status(key: str) -> t.Callable[[Record], int | None]:
    return lambda audit: audit["table"] and audit["table"]["status"].get(key)


def _protocols(table: Record | None) -> _Amounts | None:
    return table and table["protocols"]


def _states(table: Record | None, protocol: str) -> _Amounts | None:
    """Return the entries of a protocol by state; those of which the kernel told none are unknown."""
    if not table:
        return None
    counts: _Amounts = table["states"].get(protocol, {})
    total, known = table["protocols"].get(protocol), _total(counts)
    rest = None if total is None or known is None else total - known
    return {**counts, **({UNKNOWN: rest} if rest else {})}


def _total(counts: _Amounts | None) -> int | None:
    """Return the sum, unless a part of it is unknown."""
    amounts = (counts or {}).values()
    return None if counts is None or None in amounts else sum(filter(None, amounts))


def _stacked(what: str, series: list[_Amounts | None], slots: dict[str, int]) -> list[Html]:
    """Return a bar for each of the series, before and now, above the legend of all; the largest of now first.

    Of a great many only the largest have a part of the bar.
    """
    now = series[-1] or {}
    names = sorted({name for counts in series for name in counts or {}}, key=lambda name: (-(now.get(name) or 0), name))
    names, others = some(names, LISTED)
    styles = {name: HATCH if name == UNKNOWN else f"slot{slots[name]}" for name in names}
    bars = []
    for word, counts in zip(("before", "now")[-len(series) :], series, strict=True):
        amounts = counts or {}
        told = ", ".join(f"{name} {number(amounts[name])}" for name in names if name in amounts)
        parts = [(styles[name], amounts.get(name) or 0) for name in names]
        chart = "not measured" if counts is None else stack(parts, f"{what}, {word}: {told or 'none'}")
        bars.append(element("div", element("small", word), chart, number(_total(counts)), class_="bar"))
    return [*bars, element("ul", *_legend(now, styles), class_="legend"), and_more(others)]


def _legend(now: _Amounts, styles: dict[str, str]) -> t.Iterator[Html]:
    total = _total(now)
    for name, style in styles.items():
        count = now.get(name, 0)
        share = "" if count is None or not total else f", {percentage(100 * count / total)} %"
        yield element("li", f"{name} {number(count)}{share}", class_=style)


def _histogram(title: str, now: Record, was: Record | None) -> Html:
    told = [f"{_span(each)} {number(each['entries'])}" for each in now["histogram"] if each["entries"] != 0]
    label = f"{title}: {listed(told) or 'none'}; unknown {number(now['unknown'])}"
    return histogram(_counts(now), _counts(was) if was else None, label)


def _span(each: Record) -> str:
    until = " or more" if each["below"] is None else f" to {duration(each['below'])}"
    return duration(each["from"]) + until


def _counts(measured: Record) -> Counts:
    ranges = measured["histogram"][:_RANGES]
    return Counts(
        tuple(each["from"] for each in ranges), tuple(each["entries"] for each in ranges), measured["unknown"]
    )


def _tops(host: Record, now: Record, was: Record | None) -> Html:
    new = (host["trend"] or {}).get("new_top") or {}
    lists = [
        folding(title, *_top(title, now[key][:_TALKERS], was.get(key, []) if was else None, set(new.get(key, []))))
        for key, title in _TOPS.items()
        if now.get(key)
    ]
    return element("div", *lists, class_="tops") if lists else Html("")


def _top(title: str, talkers: list[Record], was: list[Record] | None, new: set[t.Any]) -> list[Html]:
    """Return the talkers with their entries, before too if there was an audit; a dash for one that was no top talker.

    The columns are text, aligned by a font of one width: cells of tables would be most elements of the page.
    """
    earlier = {talker["value"]: number(talker["entries"]) for talker in was or []}
    rows = [("", *(["before"] if was is not None else []), "entries", "%")]
    for talker in talkers:
        then = [] if was is None else [earlier.get(talker["value"], "-")]
        rows.append((str(talker["value"]), *then, number(talker["entries"]), percentage(talker["percent"])))
    marks = ["", *("  new" if talker["value"] in new else "" for talker in talkers)]
    lines = [line + mark for line, mark in zip(_aligned(rows), marks, strict=True)]
    label = listed(f"{talker['value']} {percentage(talker['percent'])} %" for talker in talkers)
    chart = shares([talker["percent"] for talker in talkers], f"{title} by share: {label}")
    return [element("pre", together(lines, Html("\n")), chart)]


def _aligned(rows: list[tuple[str, ...]]) -> list[str]:
    """Return the rows as lines: the first column to the left, the others to the right."""
    shown = [[visible(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    return ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in shown]

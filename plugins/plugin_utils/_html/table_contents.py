# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""What is in the table of a router, in its section of the HTML report: the charts and the top talkers."""

from __future__ import annotations

import operator
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._printable import visible
from ansible_collections.netops.conntrack.plugins.plugin_utils._bounds import LISTED, listed, some
from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.check import FULL, NEARLY_FULL
from ansible_collections.netops.conntrack.plugins.plugin_utils._display import UNKNOWN, duration, number, percentage
from ansible_collections.netops.conntrack.plugins.plugin_utils._html.components import (
    ARROW,
    Fleet,
    and_more,
    block,
    course,
    folding,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._html.fleet_table import NO_LIMIT, utilisation
from ansible_collections.netops.conntrack.plugins.plugin_utils._html_toolkit.charts import (
    HATCH,
    Bins,
    histogram,
    pairs,
    shares,
    stack,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._html_toolkit.markup import (
    Html,
    element,
    escaped,
    joined,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.audit_types import (
    Audit,
    Counts,
    Histogram,
    RangeOfSeconds,
    TableFacts,
    Talker,
    Top,
    TopValue,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document_types import Host, NewTop
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.ranking import protocols_of, selected
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.view import audits_of, entries_of

_RANGES, _TALKERS = 64, 1_000
"""More ranges than the histogram of any router has, and more top talkers than anybody asks for."""

_NOT_MEASURED = "What is in the table was not measured."

_STATUS = {"unreplied": "never answered", "assured": "assured"}

_IDLE, _REMAINING = "Idle time", "Time until it expires"


def contents(fleet: Fleet, host: Host) -> list[Html]:
    """Return a measured router's charts and its most frequent addresses, before next to now if it has both."""
    tables = [audit["table"] for audit in audits_of(host)]
    if not tables:
        return []
    now = tables[-1]
    was = tables[0] if len(tables) > 1 else None
    left = [block("How full the table is", utilisation(host), _usage(audits_of(host)[-1]))]
    right = [folding("Entries", _amounts(fleet, host), *_by_protocol(fleet, host))]
    if not now:
        return [_columns(left, right), element("p", _NOT_MEASURED, class_="soft")]
    left += _protocols_and_states(fleet, now, tables)
    right.append(folding(_IDLE, _histogram(_IDLE, now["idle"], was["idle"] if was else None)))
    right.append(folding(_REMAINING, _histogram(_REMAINING, now["remaining"], was["remaining"] if was else None)))
    new_top = host["trend"]["new_top"] if host["trend"] else None
    return [_columns(left, right), _tops(now["top"], was["top"] if was else None, new_top)]


def axes_of(fleet: Fleet) -> list[tuple[int, ...]]:
    """Return the different edges that the histograms of the fleet have."""
    tables = [audit["table"] for _name, host in fleet.routers for audit in audits_of(host) if audit["table"]]
    return sorted({_bins(histogram).edges for table in tables for histogram in (table["idle"], table["remaining"])})


def _columns(left: list[Html], right: list[Html]) -> Html:
    return element("div", element("div", *left), element("div", *right), class_="charts")


def _usage(audit: Audit) -> Html:
    usage = audit["usage"]
    if usage["max"] == 0:
        return element("small", f"{number(usage['count'])} entries, {NO_LIMIT}")
    room = f"{number(usage['headroom'])} left of {number(usage['max'])}"
    return element("small", f"{percentage(usage['percent'])} %, {room}; the marks are at {NEARLY_FULL} and {FULL} %")


def _amounts(fleet: Fleet, host: Host) -> Html:
    """Return bars of the entries by what they have in common, before and now."""
    counted = {name for audit in audits_of(host) for name in audit["selectors"]}
    rows = [("all", course(host, entries_of))]
    rows += [(name, course(host, _selector(name))) for name in fleet.selectors if name in counted]
    rows += [(word, course(host, _status(status))) for status, word in _STATUS.items()]
    rows.append(("evictable", course(host, _evictable)))
    texts = [f"{name} {ARROW.join(map(number, values))}" for name, values in rows]
    return pairs(rows, f"Entries: {'; '.join(texts)}")


def _selector(name: str) -> t.Callable[[Audit], int | None]:
    return lambda audit: selected(audit, name)


def _status(key: str) -> t.Callable[[Audit], int | None]:
    return lambda audit: audit["table"]["status"].get(key) if audit["table"] else None


def _evictable(audit: Audit) -> int | None:
    return audit["table"]["evictable"] if audit["table"] else None


def _by_protocol(fleet: Fleet, host: Host) -> t.Iterator[Html]:
    """Yield a line for each selector that counted entries of other protocols than TCP."""
    selectors = audits_of(host)[-1]["selectors"]
    for name in fleet.selectors:
        protocols = protocols_of(selectors.get(name))
        if protocols:
            counts = listed(f"{protocol} {number(entries)}" for protocol, entries in protocols)
            yield element("p", f"{name} now: {counts}", class_="soft")


def _protocols_and_states(fleet: Fleet, now: TableFacts, tables: list[TableFacts | None]) -> t.Iterator[Html]:
    """Yield bars of the protocols, and of the states of each protocol that has some, before and now."""
    by_protocol = [table["protocols"] if table else None for table in tables]
    yield folding("Protocols", *_stacked("Protocols", by_protocol, fleet.protocols))
    protocols, others = some(sorted(now["states"]), LISTED)
    for protocol in protocols:
        title = f"States of {protocol}"
        by_state = [_states(table, protocol) if table else None for table in tables]
        yield folding(title, *_stacked(title, by_state, fleet.states))
    yield and_more(others)


def _states(table: TableFacts, protocol: str) -> Counts:
    """Return the entries of a protocol by state. Those of which the kernel told none are unknown.

    A router may claim fewer entries of a protocol than of its states.
    """
    counts = table["states"].get(protocol, {})
    total, known = table["protocols"].get(protocol), _total(counts)
    rest = 0 if total is None or known is None else max(total - known, 0)
    return {**counts, UNKNOWN: rest} if rest else counts


def _total(counts: Counts | None) -> int | None:
    """Return the sum, unless a part of it is unknown."""
    if counts is None or None in counts.values():
        return None
    return sum(filter(None, counts.values()))


def _stacked(what: str, series: list[Counts | None], slots: dict[str, int]) -> list[Html]:
    """Return a bar for each of the series, before and now, above the legend of all. The largest of now comes first.

    Of a great many only the largest have a part of the bar.
    """
    now = series[-1] or {}
    names, others = some(_largest_first(now, series), LISTED)
    styles = {name: HATCH if name == UNKNOWN else f"slot{slots[name]}" for name in names}
    words = ("before", "now")[-len(series) :]
    bars = [_stacked_bar(what, word, counts, styles) for word, counts in zip(words, series, strict=True)]
    return [*bars, element("ul", *_legend(now, styles), class_="legend"), and_more(others)]


def _largest_first(now: Counts, series: list[Counts | None]) -> list[str]:
    names = {name for counts in series for name in counts or {}}
    return sorted(names, key=lambda name: (-(now.get(name) or 0), name))


def _stacked_bar(what: str, word: str, counts: Counts | None, styles: dict[str, str]) -> Html:
    """Return one bar, with what it is of and its total. Each name has its part in the style of that name."""
    if counts is None:
        chart = escaped("not measured")
    else:
        texts = [f"{name} {number(counts[name])}" for name in styles if name in counts]
        parts = [(style, counts.get(name) or 0) for name, style in styles.items()]
        chart = stack(parts, f"{what}, {word}: {', '.join(texts) or 'none'}")
    return element("div", element("small", word), chart, number(_total(counts)), class_="bar")


def _legend(now: Counts, styles: dict[str, str]) -> t.Iterator[Html]:
    total = _total(now)
    for name, style in styles.items():
        count = now.get(name, 0)
        share = "" if count is None or not total else f", {percentage(100 * count / total)} %"
        yield element("li", f"{name} {number(count)}{share}", class_=style)


def _histogram(title: str, now: Histogram, was: Histogram | None) -> Html:
    ranges = [f"{_span(each)} {number(each['entries'])}" for each in now["histogram"] if each["entries"] != 0]
    label = f"{title}: {listed(ranges) or 'none'}; unknown {number(now['unknown'])}"
    return histogram(_bins(now), _bins(was) if was else None, label)


def _span(each: RangeOfSeconds) -> str:
    until = " or more" if each["below"] is None else f" to {duration(each['below'])}"
    return duration(each["from"]) + until


def _bins(measured: Histogram) -> Bins:
    ranges = measured["histogram"][:_RANGES]
    edges = tuple(each["from"] for each in ranges)
    return Bins(edges, tuple(each["entries"] for each in ranges), measured["unknown"])


def _tops(now: Top, was: Top | None, new: NewTop | None) -> Html:
    """Return the most frequent addresses and ports, those marked that are new since the baseline."""
    lists = [
        _top("Sources", now["source"], was and was["source"], new and new["source"]),
        _top("Destinations", now["destination"], was and was["destination"], new and new["destination"]),
        _top("Source ports", now["source_port"], was and was["source_port"], new and new["source_port"]),
        _top(
            "Destination ports",
            now["destination_port"],
            was and was["destination_port"],
            new and new["destination_port"],
        ),
    ]
    return element("div", *lists, class_="tops") if any(lists) else Html("")


def _top(title: str, now: list[Talker], was: list[Talker] | None, new: list[TopValue] | None) -> Html:
    """Return the talkers with their entries and a bar of their share. Nothing if there are none."""
    if not now:
        return Html("")
    talkers, new_values = now[:_TALKERS], set(new or [])
    header, *lines = _aligned([_header(was), *_rows(talkers, was)])
    marks = ["  new" if talker["value"] in new_values else "" for talker in talkers]
    text = joined([header, *map(operator.add, lines, marks)], Html("\n"))
    shares_in_words = listed(f"{talker['value']} {percentage(talker['percent'])} %" for talker in talkers)
    chart = shares([talker["percent"] for talker in talkers], f"{title} by share: {shares_in_words}")
    return folding(title, element("pre", text, chart))


def _header(was: list[Talker] | None) -> tuple[str, ...]:
    return ("", "entries", "%") if was is None else ("", "before", "entries", "%")


def _rows(talkers: list[Talker], was: list[Talker] | None) -> t.Iterator[tuple[str, ...]]:
    """Yield the cells of each talker. What it had before is there if there was an audit: a dash for no top talker.

    The columns are text, aligned by a font of one width: cells of tables would be most elements of the page.
    """
    earlier = {talker["value"]: number(talker["entries"]) for talker in was or []}
    for talker in talkers:
        before = [] if was is None else [earlier.get(talker["value"], "-")]
        yield str(talker["value"]), *before, number(talker["entries"]), percentage(talker["percent"])


def _aligned(rows: list[tuple[str, ...]]) -> list[str]:
    """Return the rows as lines: the first column to the left, the others to the right."""
    cells_of_rows = [[visible(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells_of_rows, strict=True)]
    lines = []
    for first, *others in cells_of_rows:
        numbers = map(str.rjust, others, widths[1:])
        lines.append("  ".join([first.ljust(widths[0]), *numbers]))
    return lines

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""The fleet in the HTML report: its figures, where the routers stand, the roll-out, what was found."""

from __future__ import annotations

import collections
import typing as t

from ansible_collections.netops.conntrack.plugins.plugin_utils._bounds import PARTS, some
from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.check import FULL, NEARLY_FULL
from ansible_collections.netops.conntrack.plugins.plugin_utils._html.components import (
    ARROW,
    Fleet,
    and_more,
    audits_of,
    badge,
    block,
    course,
    definitions,
    rows_of,
    section,
    shown,
    used,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._html.explanations import Explanations
from ansible_collections.netops.conntrack.plugins.plugin_utils._html.findings import (
    affected_by_check,
    findings,
    worst_findings,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._html.fleet_table import fleet_table
from ansible_collections.netops.conntrack.plugins.plugin_utils._html_toolkit.charts import Point, fleet_map, stack
from ansible_collections.netops.conntrack.plugins.plugin_utils._html_toolkit.markup import (
    Html,
    compact,
    counted,
    element,
    number,
    together,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document import (
    NOT_DONE,
    VERDICTS,
    Record,
    last_audit,
)

_SHAPES = {
    "critical": "square",
    "high": "triangle",
    "medium": "diamond",
    "low": "circle",
    "info": "circle",
    "passed": "circle",
}
"""How a router stands on the map, by its verdict; all others are rings."""

_MOST = 6
"""Lines of a list of what changed most."""

_FITS_A_TILE = 10_000_000


def header(fleet: Fleet) -> Html:
    """Return what the page opens with: what this is about, and the figures of the fleet."""
    document = fleet.document
    baseline = f", compared with {document['baseline']['time']}" if document["baseline"] else ""
    return element(
        "header",
        element("h1", f"Connection tracking of {counted(document['totals']['hosts'], 'router')}"),
        element("p", document["time"], baseline, class_="lead"),
        element("p", "Check mode: nothing was changed", class_="notice") if fleet.check_mode else "",
        _tiles(fleet),
    )


def overview(fleet: Fleet, explained: Explanations) -> Html:
    """Return the sections about the fleet as a whole."""
    course_of = f", before{ARROW}after" if any(host["after"] for _name, host in fleet.routers) else ""
    affected = affected_by_check(fleet)
    left, right = [_verdicts(fleet), _rollout(fleet)], [_map(fleet)]
    (right if fleet.document["rollout"] else left).append(worst_findings(fleet, affected))
    table = element("div", fleet_table(fleet), class_="card wide")
    return together(
        [
            element(
                "section",
                explained.on_top(),
                element("div", element("div", *left), element("div", *right), class_="two"),
                _since(fleet),
                id="overview",
            ),
            section("Not done", _not_done(fleet)),
            section("Connections are not tracked", _no_conntrack(fleet)),
            section(f"Routers{course_of}", _search(), table, id_="routers"),
            section("Findings", *findings(fleet, affected), id_="findings"),
        ]
    )


def _tiles(fleet: Fleet) -> Html:
    totals, hosts = fleet.document["totals"], [host for _name, host in fleet.routers]
    counts = [totals[key] for key in ("findings_before", "findings_after") if totals[key] is not None]
    shown_verdicts = (*NOT_DONE, *(["no_conntrack"] if totals["no_conntrack"] else []))
    of_all = together([number(totals["done"]), element("s", f" of {number(totals['hosts'])}")])
    tiles = [
        _tile("routers done", of_all),
        *(_tile(_spoken(verdict), _amount(totals[verdict]), verdict) for verdict in shown_verdicts),
        _tile("findings", shown(counts or [None])),
    ]
    would = "would be " if fleet.check_mode else ""
    if any(host["settings"] for host in hosts):
        recapped = totals["would_recap" if would else "recapped"]
        tiles.append(
            _tile("settings would change" if would else "settings changed", _amount(totals["settings_changed"]))
        )
        tiles.append(_tile(f"timeouts {would}shortened", _amount(recapped)))
    if any(host["prune"] for host in hosts):
        tiles.append(_tile(f"entries {would}deleted", _amount(totals["would_delete" if would else "deleted"])))
    return element("dl", *tiles, class_="tiles")


def _tile(term: str, figure: str, verdict: str = "") -> Html:
    """Return a figure with its name, in the colour of a ``verdict`` unless it is 0."""
    style = f"card {verdict}" if verdict and figure != "0" else "card"
    return element("div", element("dt", term), element("dd", figure), class_=style)


def _amount(count: int | None) -> str:
    return number(count) if count is None or count < _FITS_A_TILE else compact(count)


def _spoken(verdict: str) -> str:
    return verdict.replace("_", " ")


def _verdicts(fleet: Fleet) -> Html:
    """Return how many routers have which verdict, as a bar and in words that filter the table."""
    counts = collections.Counter(host["verdict"] for _name, host in fleet.routers)
    present = [verdict for verdict in VERDICTS if counts[verdict]]
    words = ", ".join(f"{counts[verdict]:,} {_spoken(verdict)}" for verdict in present)
    chart = stack([(verdict, counts[verdict]) for verdict in present], f"Routers by verdict: {words}")
    legend = (
        element("li", element("button", badge(verdict), " ", number(counts[verdict]), data_search=_spoken(verdict)))
        for verdict in present
    )
    return block("Verdicts", chart, element("ul", *legend, class_="verdicts"), style="card")


def _map(fleet: Fleet) -> Html:
    points = [
        Point(
            course(host, used("count")),
            course(host, used("percent")),
            host["verdict"],
            _SHAPES.get(host["verdict"], "ring"),
        )
        for _name, host in reversed(fleet.routers)
        if _is_on_the_map(last_audit(host))
    ]
    if not points:
        return Html("")
    percents = [point.percents[-1] for point in points]
    full, near = (
        sum(percent is not None and percent >= least for percent in percents) for least in (FULL, NEARLY_FULL)
    )
    told = (
        f"{full:,} at {FULL} % or more, {near - full:,} from {NEARLY_FULL} to {FULL} %, "
        f"{len(points) - near - percents.count(None):,} below; {percents.count(None):,} without a limit, "
        f"{len(fleet.routers) - len(points):,} not known."
    )
    chart = fleet_map(points, f"Routers by entries and how full the table is: {told}")
    return block("How full, and how large", chart, element("small", told), style="card")


def _is_on_the_map(audit: Record | None) -> bool:
    usage = audit["usage"] if audit else {"count": None}
    return usage["count"] is not None and (usage["percent"] is not None or usage["max"] == 0)


def _rollout(fleet: Fleet) -> Html:
    rollout, waiting = fleet.document["rollout"], fleet.document["not_begun"]
    not_begun = set(waiting)
    if not rollout:
        return Html("")
    batches, stopped = rollout["batches"], rollout["stopped"]
    last = stopped["batch"] if stopped else 0
    done = "planned" if fleet.check_mode else "done"
    items = [
        _batch(place, batch, "stopped" if place == last else "not_begun" if not_begun.issuperset(batch) else done)
        for place, batch in enumerate(batches, 1)
    ]
    parts = [element("ol", *items, class_="batches")]
    if stopped:
        parts.append(element("p", element("strong", f"Stopped at batch {last} of {len(batches)}"), ", by these gates:"))
        gates, others = some(stopped["gates"], PARTS)
        parts.append(element("ul", *(_stop(fleet, gate) for gate in gates), class_="stops"))
        parts.append(and_more(others))
    if waiting:
        parts.append(element("p", f"Not begun, and unchanged: {counted(len(waiting), 'router')}"))
        parts.append(fleet.named(waiting, "not begun"))
    return block("Roll-out", *parts, style="card")


def _batch(place: int, batch: list[str], state: str) -> Html:
    size, word = element("small", counted(len(batch), "router")), element("small", _spoken(state))
    return element("li", element("b", f"Batch {place}"), size, word, class_="failed" if state == "stopped" else state)


def _stop(fleet: Fleet, gate: Record) -> Html:
    value = "" if gate["value"] is None else f" ({number(gate['value'])})"
    return element(
        "li", fleet.link(gate["host"]), f": {gate['title']}{value}", f", {gate['reason']}" if gate["reason"] else ""
    )


def _not_done(fleet: Fleet) -> Html:
    rows = [
        (fleet.link(name), badge(host["verdict"]), host["failure"]["step"], host["failure"]["message"])
        for name, host in fleet.routers
        if host["failure"]
    ]
    table = rows_of(("Router", "Verdict", "Step", "Message"), rows)
    return element("div", table, class_="card scroll") if rows else Html("")


def _no_conntrack(fleet: Fleet) -> Html:
    rows = [(fleet.link(name), host["no_conntrack"]) for name, host in fleet.routers if host["no_conntrack"]]
    return element("div", rows_of(("Router", "Reason"), rows), class_="card scroll") if rows else Html("")


def _search() -> Html:
    hint = "Filter: router, verdict, check"
    return element(
        "div",
        element("input", id="search", type="search", placeholder=hint, aria_label=hint),
        element("small", id="count", role="status"),
        class_="search",
    )


def _since(fleet: Fleet) -> Html:
    """Return what changed in the fleet since the baseline: the tables that filled most, and the new findings."""
    if not fleet.document["baseline"]:
        return Html("")
    trends = {name: host["trend"] for name, host in fleet.routers if host["trend"]}
    drifted = [name for name, trend in trends.items() if trend["drift"] and trend["drift"]["new"]]
    strangers = [name for name, host in fleet.routers if audits_of(host) and not host["trend"]]
    told = [
        ("filled up most, in points of their limits", _filled_up(fleet, trends)),
        ("new findings, by routers", _titles(fleet, trends, "new")),
        ("findings gone, by routers", _titles(fleet, trends, "gone")),
        ("new drift", fleet.named(drifted, "drift")),
        ("not in the baseline", fleet.named(strangers, "")),
    ]
    title = f"Since {fleet.document['baseline']['time']}"
    return block(title, definitions((pair for pair in told if pair[1]), "since"), style="card")


def _filled_up(fleet: Fleet, trends: dict[str, Record]) -> Html:
    growths = {
        name: trend["percent"]["now"] - trend["percent"]["before"]
        for name, trend in trends.items()
        if None not in trend["percent"].values()
    }
    largest = sorted((name for name in growths if growths[name] > 0), key=lambda name: -growths[name])[:_MOST]
    return _ranked((f"{growths[name]:+.1f}", fleet.link(name)) for name in largest)


def _titles(fleet: Fleet, trends: dict[str, Record], which: str) -> Html:
    """Return the checks that are findings on routers where they were not, or the other way round."""
    counts = collections.Counter(check_id for trend in trends.values() for check_id in trend["findings"][which])
    checks = fleet.document["checks"]
    known = sorted((-count, check_id) for check_id, count in counts.items() if check_id in checks)
    return _ranked((f"{-count:,}", checks[check_id]["title"]) for count, check_id in known[:_MOST])


def _ranked(items: t.Iterable[tuple[str, str]]) -> Html:
    listed = [element("li", element("b", figure), " ", name) for figure, name in items]
    return element("ul", *listed) if listed else Html("")

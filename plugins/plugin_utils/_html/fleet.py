# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""The fleet in the HTML report: its figures, where the routers stand, the roll-out, what was found."""

from __future__ import annotations

import collections
import itertools
import typing as t

from ansible_collections.netops.conntrack.plugins.plugin_utils._bounds import PARTS, some
from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.check import FULL, NEARLY_FULL, fullness
from ansible_collections.netops.conntrack.plugins.plugin_utils._display import at_most, compact, counted, number, spoken
from ansible_collections.netops.conntrack.plugins.plugin_utils._html.components import (
    ARROW,
    Fleet,
    and_more,
    badge,
    block,
    course,
    definitions,
    rows_of,
    section,
    shown,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._html.explanations import Explanations
from ansible_collections.netops.conntrack.plugins.plugin_utils._html.findings import (
    affected_by_check,
    findings,
    worst_findings,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._html.fleet_table import fleet_table
from ansible_collections.netops.conntrack.plugins.plugin_utils._html_toolkit.charts import Point, fleet_map, stack
from ansible_collections.netops.conntrack.plugins.plugin_utils._html_toolkit.markup import Html, element, joined
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.audit_types import Audit
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document_types import (
    NOT_DONE,
    VERDICTS,
    Gate,
    Trend,
    Verdict,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.view import (
    AUDIT_FIRST,
    audits_of,
    batches_of,
    entries_of,
    has_after,
    last_audit,
    percent_of,
    stop_of,
    total_deleted,
    total_foretold,
    total_shortened,
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


def overview(fleet: Fleet, explained: Explanations) -> t.Iterator[str]:
    """Yield the sections about the fleet as a whole, part by part."""
    affected = affected_by_check(fleet)
    left, right = [_verdicts(fleet), _rollout(fleet)], [_map(fleet)]
    (right if fleet.document["rollout"] else left).append(worst_findings(fleet, affected))
    yield element(
        "section",
        explained.on_top(),
        element("div", element("div", *left), element("div", *right), class_="two"),
        _since(fleet),
        id="overview",
    )
    yield section("Not done", *_not_done(fleet))
    yield section("Connections are not tracked", _no_conntrack(fleet))
    yield from _routers(fleet)
    yield section("Findings", *findings(fleet, affected), id_="findings")


def _routers(fleet: Fleet) -> t.Iterator[str]:
    course_of = f", before{ARROW}after" if has_after(fleet.document) else ""
    yield joined([Html("<section id=routers>"), element("h2", f"Routers{course_of}"), _search()])
    yield '<div class="card wide">'
    yield from fleet_table(fleet)
    yield "</div></section>"


def _tiles(fleet: Fleet) -> Html:
    return element("dl", *_tiles_of_routers(fleet), *_tiles_of_changes(fleet), class_="tiles")


def _tiles_of_routers(fleet: Fleet) -> t.Iterator[Html]:
    totals = fleet.document["totals"]
    counts: dict[Verdict, int] = {verdict: totals[verdict] for verdict in NOT_DONE}
    if totals["no_conntrack"]:
        counts["no_conntrack"] = totals["no_conntrack"]
    findings_of_phases = [totals["findings_before"], totals["findings_after"]]
    known_findings = [count for count in findings_of_phases if count is not None]
    yield _tile("routers done", joined([number(totals["done"]), element("s", f" of {number(totals['hosts'])}")]))
    for verdict, count in counts.items():
        yield _tile(spoken(verdict), _amount(count), verdict)
    yield _tile("findings", shown(known_findings or [None]))


def _tiles_of_changes(fleet: Fleet) -> t.Iterator[Html]:
    document, hosts = fleet.document, [host for _name, host in fleet.routers]
    would_be = "would be " if fleet.check_mode else ""
    if any(host["settings"] for host in hosts):
        changed = "would change" if fleet.check_mode else "changed"
        yield _tile(f"settings {changed}", _amount(document["totals"]["settings_changed"]))
        yield _tile(f"timeouts {would_be}shortened", _amount(total_shortened(document)))
    _entries, gone, seconds = total_foretold(document)
    if gone:
        will_be = "would be" if fleet.check_mode else "will be"
        yield _tile(f"entries {will_be} gone within {at_most(seconds)}", _amount(gone))
    if any(host["prune"] for host in hosts):
        yield _tile(f"entries {would_be}deleted", _amount(total_deleted(document)))


def _tile(term: str, figure: str, verdict: str = "") -> Html:
    """Return a figure with its name, in the colour of a ``verdict`` unless it is 0."""
    style = f"card {verdict}" if verdict and figure != "0" else "card"
    return element("div", element("dt", term), element("dd", figure), class_=style)


def _amount(count: int | None) -> str:
    return number(count) if count is None or count < _FITS_A_TILE else compact(count)


def _verdicts(fleet: Fleet) -> Html:
    """Return how many routers have which verdict, as a bar and in words that filter the table."""
    counts = collections.Counter(host["verdict"] for _name, host in fleet.routers)
    present = [verdict for verdict in VERDICTS if counts[verdict]]
    words = ", ".join(f"{counts[verdict]:,} {spoken(verdict)}" for verdict in present)
    chart = stack([(verdict, counts[verdict]) for verdict in present], f"Routers by verdict: {words}")
    legend = (
        element("li", element("button", badge(verdict), " ", number(counts[verdict]), data_search=spoken(verdict)))
        for verdict in present
    )
    return block("Verdicts", chart, element("ul", *legend, class_="verdicts"), style="card")


def _map(fleet: Fleet) -> Html:
    points = [
        Point(
            course(host, entries_of),
            course(host, percent_of),
            host["verdict"],
            _SHAPES.get(host["verdict"], "ring"),
        )
        for _name, host in reversed(fleet.routers)
        if _is_on_the_map(last_audit(host))
    ]
    if not points:
        return Html("")
    percents = [point.percents[-1] for point in points]
    levels = collections.Counter("no limit" if percent is None else fullness(percent) for percent in percents)
    words = (
        f"{levels['full']:,} at {FULL} % or more, {levels['near']:,} from {NEARLY_FULL} to {FULL} %, "
        f"{levels['fine']:,} below; {levels['no limit']:,} without a limit, "
        f"{len(fleet.routers) - len(points):,} not known."
    )
    chart = fleet_map(points, f"Routers by entries and how full the table is: {words}")
    return block("How full, and how large", chart, element("small", words), style="card")


def _is_on_the_map(audit: Audit | None) -> bool:
    if not audit or audit["usage"]["count"] is None:
        return False
    return audit["usage"]["percent"] is not None or audit["usage"]["max"] == 0


def _rollout(fleet: Fleet) -> Html:
    if not fleet.document["rollout"]:
        return Html("")
    parts = [element("ol", *_batches(fleet), class_="batches"), *_stop(fleet)]
    waiting = fleet.document["not_started"]
    if waiting:
        parts.append(element("p", f"Not started, and unchanged: {counted(len(waiting), 'router')}"))
        parts.append(fleet.named(waiting, "not started"))
    return block("Roll-out", *parts, style="card")


def _batches(fleet: Fleet) -> t.Iterator[Html]:
    stop, waiting = stop_of(fleet.document), set(fleet.document["not_started"])
    for number_of_batch, batch in enumerate(batches_of(fleet.document), 1):
        if stop and number_of_batch == stop["batch"]:
            state = "stopped"
        elif waiting.issuperset(batch):
            state = "not_started"
        else:
            state = "planned" if fleet.check_mode else "done"
        yield _batch(number_of_batch, batch, state)


def _stop(fleet: Fleet) -> t.Iterator[Html]:
    """Yield where the roll-out was stopped, and by which gates, if it was."""
    stop = stop_of(fleet.document)
    if stop:
        where = f"Stopped at batch {stop['batch']} of {len(batches_of(fleet.document))}"
        yield element("p", element("strong", where), ", by these gates:")
        gates, others = some(stop["gates"], PARTS)
        yield element("ul", *(_gate(fleet, gate) for gate in gates), class_="stops")
        yield and_more(others)


def _batch(place: int, batch: list[str], state: str) -> Html:
    size, word = element("small", counted(len(batch), "router")), element("small", spoken(state))
    return element("li", element("b", f"Batch {place}"), size, word, class_="failed" if state == "stopped" else state)


def _gate(fleet: Fleet, gate: Gate) -> Html:
    value = "" if gate["value"] is None else f" ({number(gate['value'])})"
    reason = f", {gate['reason']}" if gate["reason"] else ""
    return element("li", fleet.link(gate["host"]), f": {gate['title']}{value}", reason)


def _not_done(fleet: Fleet) -> t.Iterator[Html]:
    failures = [(name, host["verdict"], host["failure"]) for name, host in fleet.routers if host["failure"]]
    rows = [
        (fleet.link(name), badge(verdict), failure["step"], failure["message"]) for name, verdict, failure in failures
    ]
    if rows:
        yield element("div", rows_of(("Router", "Verdict", "Step", "Message"), rows), class_="card scroll")
        yield element("p", AUDIT_FIRST, class_="soft")


def _no_conntrack(fleet: Fleet) -> Html:
    reasons = [(name, host["no_conntrack"]) for name, host in fleet.routers]
    rows = [(fleet.link(name), reason) for name, reason in reasons if reason]
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
    not_in_baseline = [name for name, host in fleet.routers if audits_of(host) and not host["trend"]]
    terms = [
        ("filled up most, in points of their limits", _filled_up(fleet, trends)),
        ("new findings, by routers", _titles(fleet, (trend["findings"]["new"] for trend in trends.values()))),
        ("findings gone, by routers", _titles(fleet, (trend["findings"]["gone"] for trend in trends.values()))),
        ("new drift", fleet.named(drifted, "drift")),
        ("not in the baseline", fleet.named(not_in_baseline, "")),
    ]
    title = f"Since {fleet.document['baseline']['time']}"
    return block(title, definitions((pair for pair in terms if pair[1]), "since"), style="card")


def _filled_up(fleet: Fleet, trends: dict[str, Trend]) -> Html:
    growths = {}
    for name, trend in trends.items():
        now, before = trend["percent"]["now"], trend["percent"]["before"]
        if now is not None and before is not None and now > before:
            growths[name] = now - before
    largest = sorted(growths, key=lambda name: -growths[name])[:_MOST]
    return _ranked((f"{growths[name]:+.1f}", fleet.link(name)) for name in largest)


def _titles(fleet: Fleet, findings_of_routers: t.Iterable[list[str]]) -> Html:
    """Return the checks that are findings on routers where they were not, or the other way round."""
    counts = collections.Counter(itertools.chain.from_iterable(findings_of_routers))
    checks = fleet.document["checks"]
    known = sorted((-count, check_id) for check_id, count in counts.items() if check_id in checks)
    return _ranked((f"{-count:,}", checks[check_id]["title"]) for count, check_id in known[:_MOST])


def _ranked(items: t.Iterable[tuple[str, str]]) -> Html:
    listed = [element("li", element("b", figure), " ", name) for figure, name in items]
    return element("ul", *listed) if listed else Html("")

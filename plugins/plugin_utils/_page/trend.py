# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""What changed since the baseline, on the page."""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.plugin_utils._bounds import VALUE, listed, shorten
from ansible_collections.netops.conntrack.plugins.plugin_utils._display import at_most, plain_number, plain_text
from ansible_collections.netops.conntrack.plugins.plugin_utils._page.blocks import Block, Item, Items, Table
from ansible_collections.netops.conntrack.plugins.plugin_utils._page.parts import (
    COURSE,
    arrow,
    few_names,
    section,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.audit_types import TopValue
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document_types import (
    Course,
    Document,
    News,
    Trend,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.ranking import overview_of, worst_checks_first
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.view import full_in_seconds

_Age = t.Literal["new", "gone"]
_WORDS: dict[_Age, str] = {"new": "new", "gone": "no longer"}


def since_baseline(document: Document) -> list[Block]:
    """Return what changed since the baseline. Nothing without one."""
    if not document["baseline"]:
        return []
    time = document["baseline"]["time"]
    trends = {name: host["trend"] for name, host in document["hosts"].items()}
    compared = {name: trend for name, trend in trends.items() if trend}
    others = [name for name, trend in trends.items() if not trend]
    news = [*_new_findings(document, compared), *_new_drift(compared), *_new_talkers(compared)]
    news += _full_soon(document)
    if others:
        news.append(("not compared", [f"without an audit then or now: {few_names(others)}"]))
    return [
        *section(f"The routers, {time} → {document['time']}", _trends(compared)),
        *section(f"New since {time}, or gone", Items(news)),
    ]


def _full_soon(document: Document) -> list[Item]:
    """Return which tables are full soon if they go on filling as they did since the baseline, the first one first."""
    seconds = {name: full_in_seconds(document, host) for name, host in document["hosts"].items()}
    soon = sorted((after, name) for name, after in seconds.items() if after is not None)
    texts = [f"{name} in {at_most(after)}" for after, name in soon]
    return [("full", [f"if it goes on like this: {few_names(texts)}"])] if texts else []


def _trends(compared: dict[str, Trend]) -> Table:
    selectors = overview_of(name for trend in compared.values() for name in trend["selectors"])
    rows = []
    for name, trend in compared.items():
        counts = [_since(trend["selectors"].get(selector)) for selector in selectors]
        rows.append([name, _since(trend["entries"]), _since(trend["percent"]), *counts])
    return Table([["router", "entries", "% full", *selectors], *rows])


def _since(course: Course | None) -> str:
    values = [course["before"], course["now"]] if course else [None]
    return arrow(map(plain_number, values))


def _new_findings(document: Document, compared: dict[str, Trend]) -> list[Item]:
    items: list[Item] = []
    routers = _routers_by_news({name: trend["findings"] for name, trend in compared.items()})
    for check_id, check in worst_checks_first(document):
        for age, word in _WORDS.items():
            names = routers.get((age, check_id))
            if names:
                items.append((check["severity"], [f"{word}: {check['title']}: {few_names(names)}"]))
    return items


def _new_drift(compared: dict[str, Trend]) -> list[Item]:
    routers = _routers_by_news({name: trend["drift"] for name, trend in compared.items() if trend["drift"]})
    ordered = sorted(routers, key=lambda news: (news[0] == "gone", news[1]))
    return [
        ("drift", [f"{_WORDS[age]}: {shorten(what, VALUE)}: {few_names(routers[age, what])}"]) for age, what in ordered
    ]


def _routers_by_news(news: dict[str, News]) -> dict[tuple[_Age, str], list[str]]:
    """Return on which routers something is new or gone, by that word and by what it is."""
    routers: dict[tuple[_Age, str], list[str]] = {}
    for name, of_router in news.items():
        for age in _WORDS:
            for what in dict.fromkeys(of_router[age]):
                routers.setdefault((age, what), []).append(name)
    return routers


def _new_talkers(compared: dict[str, Trend]) -> list[Item]:
    items: list[Item] = []
    for name, trend in compared.items():
        kinds = _kinds_of_talkers(trend)
        if kinds:
            items.append((name, [f"new among the top: {listed(kinds, '; ', longest=COURSE)}"]))
    return items


def _kinds_of_talkers(trend: Trend) -> list[str]:
    """Return the values that are new among the top, a text for each kind of them."""
    top = trend["new_top"]
    if not top:
        return []
    values: dict[str, list[TopValue]] = {
        "source": top["source"],
        "destination": top["destination"],
        "source port": top["source_port"],
        "destination port": top["destination_port"],
    }
    return [f"{kind} {few_names(list(map(plain_text, new)))}" for kind, new in values.items() if new]

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""What changed since the baseline, on the page."""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.plugin_utils._bounds import VALUE, listed, plain_text, short
from ansible_collections.netops.conntrack.plugins.plugin_utils._page.blocks import Block, Items, Table
from ansible_collections.netops.conntrack.plugins.plugin_utils._page.parts import (
    COURSE,
    arrow,
    few_names,
    section,
    shown_number,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document import Record
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.ranking import overview_of, worst_checks_first


def since_baseline(document: Record) -> list[Block]:
    """Return what changed since the baseline. Nothing without one."""
    if not document["baseline"]:
        return []
    time = document["baseline"]["time"]
    trends = {name: host["trend"] for name, host in document["hosts"].items()}
    compared = {name: trend for name, trend in trends.items() if trend}
    others = [name for name, trend in trends.items() if not trend]
    news = [*_new_findings(document, compared), *_new_drift(compared), *_new_talkers(compared)]
    news += [("not compared", [f"without an audit then or now: {few_names(others)}"])] if others else []
    return [
        *section(f"The routers, {time} → {document['time']}", _trends(compared)),
        *section(f"New since {time}, or gone", Items(news)),
    ]


def _trends(compared: dict[str, Record]) -> Table:
    selectors = overview_of(name for trend in compared.values() for name in trend["selectors"])
    rows = [
        [
            name,
            _since(trend["entries"]),
            _since(trend["percent"]),
            *(_since(trend["selectors"].get(selector, {})) for selector in selectors),
        ]
        for name, trend in compared.items()
    ]
    return Table([["router", "entries", "% full", *selectors], *rows])


def _since(course: Record) -> str:
    return arrow(shown_number(course.get(key)) for key in ("before", "now"))


def _new_findings(document: Record, compared: dict[str, Record]) -> list[tuple[str, list[str]]]:
    items = []
    routers = _routers_by_news(compared, "findings")
    for check_id, check in worst_checks_first(document):
        for key, word in (("new", "new"), ("gone", "no longer")):
            names = routers.get((key, check_id))
            items += [(check["severity"], [f"{word}: {check['title']}: {few_names(names)}"])] if names else []
    return items


def _new_drift(compared: dict[str, Record]) -> list[tuple[str, list[str]]]:
    routers = _routers_by_news({name: trend for name, trend in compared.items() if trend["drift"]}, "drift")
    words = {"new": "new", "gone": "no longer"}
    return [
        ("drift", [f"{words[key]}: {short(what, VALUE)}: {few_names(routers[key, what])}"])
        for key, what in sorted(routers, key=lambda news: (news[0] == "gone", news[1]))
    ]


def _routers_by_news(compared: dict[str, Record], part: str) -> dict[tuple[str, str], list[str]]:
    """Return on which routers something is new or gone, by that word and by what it is."""
    routers: dict[tuple[str, str], list[str]] = {}
    for name, trend in compared.items():
        for key in ("new", "gone"):
            for what in dict.fromkeys(trend[part][key]):
                routers.setdefault((key, what), []).append(name)
    return routers


def _new_talkers(compared: dict[str, Record]) -> list[tuple[str, list[str]]]:
    return [
        (name, [f"new among the top: {listed(kinds, '; ', longest=COURSE)}"])
        for name, trend in compared.items()
        for kinds in [[_talkers(kind, values) for kind, values in (trend["new_top"] or {}).items() if values]]
        if kinds
    ]


def _talkers(kind: str, values: list[t.Any]) -> str:
    return f"{kind.replace('_', ' ')} {few_names(list(map(plain_text, values)))}"

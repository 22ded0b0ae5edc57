# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""What fills the tables of the worst routers and what helps there, at the top of the HTML report.

Each explanation stands at one place. The sections of all other routers that it is the same for have a link to it. Only
a line without advice below the top is no longer than a link, and stands with each router.
"""

from __future__ import annotations

from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.explanation import Explanation
from ansible_collections.netops.conntrack.plugins.plugin_utils._display import counted
from ansible_collections.netops.conntrack.plugins.plugin_utils._html.advice import helped
from ansible_collections.netops.conntrack.plugins.plugin_utils._html.components import Fleet, badge, block
from ansible_collections.netops.conntrack.plugins.plugin_utils._html_toolkit.markup import Html, element
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.ranking import explanations

_TITLE, _TITLE_OF_ONE = "What fills the tables", "What fills the table"
_SEE = "See what fills it, and what helps"

_MOST = 5
"""Explanations that a first screen has room for."""


class Explanations:
    """What fills the tables of a fleet, and where on the page that stands."""

    def __init__(self, fleet: Fleet) -> None:
        """Give each explanation a place: at the top, or else with the worst of the routers that it is the same for."""
        self._fleet = fleet
        self._verdicts = {name: host["verdict"] for name, host in fleet.routers}
        self._explanations: list[Explanation] = []
        self._names: list[list[str]] = []
        self._places: dict[str, int] = {}
        for place, (explanation, names) in enumerate(explanations(fleet.document)):
            self._explanations.append(explanation)
            self._names.append(names)
            self._places.update(dict.fromkeys(names, place))

    def on_top(self) -> Html:
        """Return what fills the tables of the worst routers. Nothing if it is known of none."""
        articles = [self._article(place) for place in range(len(self._explanations))[:_MOST]]
        others = sum(map(len, self._names[_MOST:]))
        more = f"What fills the tables of {counted(others, 'more router')} stands in their sections."
        return block(_TITLE, *articles, element("p", more, class_="soft") if others else "", style="card")

    def of_router(self, name: str) -> Html:
        """Return what fills the table of one router, or a link to it. Nothing if it is not known."""
        place = self._places.get(name)
        if place is None:
            return Html("")
        anchor = self.anchor_at(name)
        if anchor or (place >= _MOST and not _helps(self._explanations[place])):
            return element("div", element("h3", _TITLE_OF_ONE), *self._words(place), id=anchor)
        return block(_TITLE_OF_ONE, element("p", element("a", _SEE, href=f"#{_anchor(place)}")))

    def anchor_at(self, name: str) -> str | None:
        """Return the anchor of the explanation that stands in the section of a router. None if there is no such one."""
        place = self._places.get(name)
        if place is None or place < _MOST or self._names[place][0] != name:
            return None
        return _anchor(place)

    def _article(self, place: int) -> Html:
        names, (cause, cure) = self._names[place], self._words(place)
        return element(
            "article",
            badge(self._verdicts[names[0]]),
            element("div", self._fleet.named(names, ""), cause),
            cure,
            id=_anchor(place),
            class_="finding fills",
        )

    def _words(self, place: int) -> list[Html]:
        """Return what fills a table, and what helps there."""
        explanation, on_each = self._explanations[place], len(self._names[place]) > 1
        return [element("p", explanation["filled_by"], class_="cause"), helped(explanation, on_each)]


def _anchor(place: int) -> str:
    return f"e{place + 1}"


def _helps(explanation: Explanation) -> bool:
    return bool(explanation["prunes"] or explanation["advice"])

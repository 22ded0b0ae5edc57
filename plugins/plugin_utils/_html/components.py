# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""What the sections of the HTML report share: the fleet as they see it, and the small parts that they consist of."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.netops.conntrack.plugins.plugin_utils._bounds import SELECTORS
from ansible_collections.netops.conntrack.plugins.plugin_utils._display import number, spoken
from ansible_collections.netops.conntrack.plugins.plugin_utils._html_toolkit.markup import (
    Html,
    element,
    escaped,
    joined,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._html_toolkit.scales import colours
from ansible_collections.netops.conntrack.plugins.plugin_utils._html_toolkit.style import SLOTS
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.audit_types import Audit
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document_types import (
    Document,
    Host,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.ranking import (
    selector_names,
    worst_checks_first,
    worst_first,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.view import audits_of
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.view import course as known_course

_PROTOCOLS = {"tcp": 0, "udp": 1, "icmp": 6, "icmpv6": 2, "sctp": 4, "gre": 3, "dccp": 5, "udplite": 7}
_STATES = {
    "ESTABLISHED": 0,
    "TIME_WAIT": 1,
    "SYN_SENT": 6,
    "SYN_RECV": 2,
    "CLOSE": 3,
    "FIN_WAIT": 4,
    "CLOSE_WAIT": 5,
    "LAST_ACK": 7,
}
_NAMED = 24
"""Routers named in one list; the table and the JSON document have all."""

_FINDINGS = 500
"""Checks that have a place of their own, with the routers and the cure. No fleet has more of its own."""

OPENED_AT_ONCE = 500
"""Routers whose sections a browser has ready, with all their charts. It takes minutes and gigabytes for 10,000."""

ARROW = " → "


@dataclasses.dataclass(frozen=True)
class Fleet:
    """The document, and what all sections have to agree on.

    ``routers`` are name and host, the worst first. ``anchors`` are the ids of their sections. ``findings`` are the ids
    of the places where the checks are explained. ``protocols`` and ``states`` are the numbers of their colours, and
    ``selectors`` the names that were counted, the most important one first.
    """

    document: Document
    routers: list[tuple[str, Host]]
    anchors: dict[str, str]
    findings: dict[str, str]
    protocols: dict[str, int]
    states: dict[str, int]
    selectors: list[str]

    @classmethod
    def from_document(cls, document: Document) -> Fleet:
        """Return the fleet of a ``document``."""
        audits = [audit for host in document["hosts"].values() for audit in audits_of(host)]
        tables = [audit["table"] for audit in audits if audit["table"]]
        states = {state for table in tables for counts in table["states"].values() for state in counts}
        checks = worst_checks_first(document)[:_FINDINGS]
        return cls(
            document=document,
            routers=worst_first(document),
            anchors={name: f"r{place}" for place, name in enumerate(sorted(document["hosts"]), 1)},
            findings={check_id: f"f{place}" for place, (check_id, _check) in enumerate(checks, 1)},
            protocols=colours((name for table in tables for name in table["protocols"]), _PROTOCOLS, SLOTS),
            states=colours(states, _STATES, SLOTS),
            selectors=selector_names(document)[:SELECTORS],
        )

    @property
    def check_mode(self) -> bool:
        """Whether nothing was really changed."""
        return self.document["check_mode"]

    @property
    def on_demand(self) -> bool:
        """Whether the page makes the section of a router only when it is opened. Without scripts it has all of them."""
        return len(self.routers) > OPENED_AT_ONCE

    def link(self, name: str) -> Html:
        """Return a link to the section of a router, or only the name of one that the document is not about."""
        return element("a", name, href=f"#{self.anchors[name]}") if name in self.anchors else escaped(name)

    def named(self, names: t.Sequence[str], search: str, values: t.Mapping[str, str] | None = None) -> Html:
        """Return the links to some routers, with their ``values`` if there are any. Nothing without routers.

        Of many only the first are named, with a button that shows all in the table by the words of ``search``.
        """
        if not names:
            return Html("")
        links = []
        for name in names[:_NAMED]:
            value = values.get(name) if values else None
            links.append(joined([self.link(name), value], " ") if value else self.link(name))
        if len(names) > _NAMED:
            button = element("button", "show all", class_="show", data_search=search)
            links.append(joined([f"and {len(names) - _NAMED:,} more ", button]))
        return element("p", joined(links, ", "), class_="names")


_Figure = t.TypeVar("_Figure")


def course(host: Host, get: t.Callable[[Audit], _Figure | None]) -> list[_Figure | None]:
    """Return what ``get`` finds in a router's audits: before and now, or one value alone. [None] without audits."""
    figures: list[_Figure | None] = [*known_course(host, get)]
    return figures or [None]


def shown(values: t.Sequence[t.Any], text_of: t.Callable[[t.Any], str] = number) -> Html:
    """Return the last of some values, behind those before it that are shown as something else."""
    if len(values) == 1:
        return escaped(text_of(values[0]))
    texts = list(dict.fromkeys(map(text_of, values)))
    earlier = joined([*texts[:-1], ""], ARROW)
    return joined([element("s", earlier) if len(texts) > 1 else "", text_of(values[-1])])


def badge(verdict: str) -> Html:
    """Return a verdict, or a severity: its word, with a sign and a colour."""
    return element("span", spoken(verdict), class_=f"badge {verdict}")


def section(title: str, *content: str, id_: str | None = None) -> Html:
    """Return a section of the page. Nothing if there is nothing in it."""
    return element("section", element("h2", title), *content, id=id_) if any(content) else Html("")


def block(title: str, *content: str, style: str | None = None) -> Html:
    """Return a part of a section or of the overview. Nothing if there is nothing in it."""
    return element("div", element("h3", title), *content, class_=style) if any(content) else Html("")


def folding(title: str, *content: str) -> Html:
    """Return a part of a section that a narrow screen shows closed at first. Nothing if there is nothing in it."""
    heading = element("summary", element("h3", title))
    return element("details", heading, *content, class_="fold", open=True) if any(content) else Html("")


def and_more(count: int) -> Html:
    """Return the line below the first of many things. Nothing if these are all."""
    return element("p", f"And {count:,} more, which the JSON report has.", class_="soft") if count else Html("")


def rows_of(headings: t.Sequence[str], rows: t.Iterable[t.Sequence[str]]) -> Html:
    """Return a plain table."""
    head = element("thead", element("tr", *(element("th", heading, scope="col") for heading in headings)))
    body = (element("tr", *(element("td", cell) for cell in row)) for row in rows)
    return element("table", head, element("tbody", *body))


def definitions(pairs: t.Iterable[tuple[str, str]], style: str = "facts") -> Html:
    """Return terms with their values."""
    return element(
        "dl", *(element("div", element("dt", term), element("dd", value)) for term, value in pairs), class_=style
    )

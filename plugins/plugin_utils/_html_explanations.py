# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""What fills the tables of the worst routers and what helps there, at the top of the HTML report."""

from __future__ import annotations

from ansible_collections.netops.conntrack.plugins.plugin_utils._bounds import some
from ansible_collections.netops.conntrack.plugins.plugin_utils._html_parts import Fleet, badge, block
from ansible_collections.netops.conntrack.plugins.plugin_utils._html_text import Html, element
from ansible_collections.netops.conntrack.plugins.plugin_utils._order import explanations
from ansible_collections.netops.conntrack.plugins.plugin_utils._report import Record, last_audit

_TITLE = "What fills the tables"

_MOST = 5
"""Explanations that a first screen has room for."""


def explained(fleet: Fleet) -> Html:
    """Return what fills the tables of the worst routers; nothing if it is known of none."""
    shown, others = some(explanations(fleet.document), _MOST)
    verdicts = {name: host["verdict"] for name, host in fleet.routers}
    articles = [
        element(
            "article", badge(verdicts[names[0]]), fleet.named(names, ""), *_told(explanation), class_="finding fills"
        )
        for explanation, names in shown
    ]
    more = f"The sections of {others:,} more routers say what fills theirs."
    return block(_TITLE, *articles, element("p", more, class_="soft") if others else "", style="card")


def explained_router(host: Record) -> Html:
    """Return what fills the table of one router; nothing if it is not known."""
    explanation = (last_audit(host) or {}).get("explanation")
    return block("What fills the table", *_told(explanation)) if explanation else Html("")


def _told(explanation: Record) -> list[Html]:
    advice = explanation["advice"]
    return [element("p", explanation["filled_by"]), *([element("p", advice, class_="cure")] if advice else [])]

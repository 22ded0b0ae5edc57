# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""The figures of a router that no chart has, in its section of the HTML report."""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.plugin_utils._bounds import listed
from ansible_collections.netops.conntrack.plugins.plugin_utils._display import UNKNOWN, number
from ansible_collections.netops.conntrack.plugins.plugin_utils._html.components import (
    course,
    definitions,
    folding,
    shown,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._html_toolkit.markup import Html
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.audit_types import (
    Audit,
    Count,
    Counts,
    TableFacts,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document_types import Host
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.view import audits_of
from ansible_collections.netops.conntrack.plugins.plugin_utils._tuning.sizing import binary_size

_COUNTERS = {"drop": "dropped", "early_drop": "evicted early", "insert_failed": "inserts failed"}

_TextOf = t.Callable[[t.Any], str]


def figures(host: Host) -> Html:
    """Return the figures of a router that no chart has. Nothing if it was not measured."""
    if not audits_of(host):
        return Html("")

    def term(
        name: str, get: t.Callable[[Audit], t.Any], text_of: t.Callable[[t.Any], str] = number
    ) -> tuple[str, Html]:
        return name, shown(course(host, get), text_of)

    terms = [
        term("buckets", lambda audit: audit["usage"]["buckets"]),
        term("load factor", lambda audit: audit["usage"]["load_factor"]),
        term("memory", lambda audit: audit["usage"]["memory_bytes"], _memory),
        *(term(word, _counter(key)) for key, word in _COUNTERS.items()),
        term("table full in the kernel log", _table_full),
        term("drift at the next boot", _drift),
        term("counted, but not listed", _not_listed),
        *(term(word, _zones(get)) for get, word in _zones_to_show(host)),
    ]
    return folding("Figures", definitions(terms))


def _memory(size: int | None) -> str:
    return UNKNOWN if size is None else binary_size(size)


def _counter(key: str) -> t.Callable[[Audit], Count]:
    return lambda audit: audit["stats"]["total"].get(key) if audit["stats"] else None


def _table_full(audit: Audit) -> Count:
    return audit["stats"]["table_full"]["messages"] if audit["stats"] else None


def _not_listed(audit: Audit) -> Count:
    return audit["table"].get("not_listed") if audit["table"] else None


_CountsOf = t.Callable[[TableFacts], t.Optional[Counts]]

_ZONES: tuple[tuple[_CountsOf, str], ...] = (
    (lambda table: table["zones"], "entries by zone"),
    (lambda table: table.get("zones_original"), "by zone of the original direction only"),
    (lambda table: table.get("zones_reply"), "by zone of the reply direction only"),
)


def _zones_to_show(host: Host) -> list[tuple[_CountsOf, str]]:
    """Return the counts of zones, and how they are called, that say something: most routers have zone 0 only."""
    tables = [audit["table"] for audit in audits_of(host) if audit["table"]]
    return [(get, word) for get, word in _ZONES if any(set(get(table) or {}) - {"0"} for table in tables)]


def _zones(get: _CountsOf) -> t.Callable[[Audit], str]:
    def text_of(audit: Audit) -> str:
        zones = get(audit["table"]) if audit["table"] else None
        if zones is None:
            return UNKNOWN
        return listed(f"{zone}: {number(entries)}" for zone, entries in zones.items()) or "none"

    return text_of


def _drift(audit: Audit) -> str | None:
    return None if audit["drift"] is None else listed(audit["drift"]) or "none"

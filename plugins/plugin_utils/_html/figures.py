# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""The figures of a router that no chart has, in its section of the HTML report."""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.plugin_utils._bounds import listed
from ansible_collections.netops.conntrack.plugins.plugin_utils._html.components import (
    audits_of,
    course,
    definitions,
    folding,
    shown,
    used,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._html_toolkit.markup import UNKNOWN, Html, number
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document import Record
from ansible_collections.netops.conntrack.plugins.plugin_utils._tuning.sizing import binary_size

_COUNTERS = {"drop": "dropped", "early_drop": "evicted early", "insert_failed": "inserts failed"}
_ZONES = {
    "zones": "entries by zone",
    "zones_original": "by zone of the original direction only",
    "zones_reply": "by zone of the reply direction only",
}


def figures(host: Record) -> Html:
    """Return the figures of a router that no chart has; nothing if it was not measured."""
    if not audits_of(host):
        return Html("")
    pairs = [
        ("buckets", shown(course(host, used("buckets")))),
        ("load factor", shown(course(host, used("load_factor")))),
        ("memory", shown(course(host, used("memory_bytes")), _memory)),
        *((word, shown(course(host, _counter(key)))) for key, word in _COUNTERS.items()),
        ("table full in the kernel log", shown(course(host, _table_full))),
        ("drift at the next boot", shown(course(host, _drift))),
        ("counted, but not listed", shown(course(host, _not_listed))),
        *((word, shown(course(host, _zones(key)))) for key, word in _zones_to_show(host)),
    ]
    return folding("Figures", definitions(pairs))


def _memory(size: int | None) -> str:
    return UNKNOWN if size is None else binary_size(size)


def _counter(key: str) -> t.Callable[[Record], t.Any]:
    return lambda audit: audit["stats"] and audit["stats"]["total"].get(key)


def _table_full(audit: Record) -> t.Any:
    return audit["stats"] and audit["stats"]["table_full"]["messages"]


def _not_listed(audit: Record) -> int | None:
    count: int | None = audit["table"] and audit["table"].get("not_listed")
    return count


def _zones_to_show(host: Record) -> list[tuple[str, str]]:
    """Return the counts of zones, and how they are called, that say something: most routers have zone 0 only."""
    tables = [audit["table"] for audit in audits_of(host) if audit["table"]]
    return [(key, word) for key, word in _ZONES.items() if any(set(table.get(key) or {}) - {"0"} for table in tables)]


def _zones(key: str) -> t.Callable[[Record], str]:
    def text_of(audit: Record) -> str:
        zones = audit["table"] and audit["table"].get(key)
        if zones is None:
            return UNKNOWN
        return listed(f"{zone}: {number(entries)}" for zone, entries in zones.items()) or "none"

    return text_of


def _drift(audit: Record) -> str | None:
    return None if audit["drift"] is None else listed(audit["drift"]) or "none"

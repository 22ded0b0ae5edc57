# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fleets whose tables are filled by something: a DNS storm, a SYN flood, idle connections, bare ACKs, or nothing."""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.explanation import explain
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.invocation import pasteable
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.ranking import worst_first
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.view import last_audit
from helpers.documents import Document, fleet_document

_SETTINGS = {
    "udp_timeout": 30,
    "tcp_timeout_syn_sent": 120,
    "tcp_timeout_established": 432_000,
    "tcp_timeout_unacknowledged": 300,
}
_ESTABLISHED = {"protocol": "tcp", "state": "ESTABLISHED"}
TABLES: dict[str, dict[str, t.Any]] = {
    "a DNS storm": {"protocol": "udp", "replied": False, "destination": "192.0.2.54", "destination_port": 53},
    "a SYN flood": {
        "protocol": "tcp",
        "state": "SYN_SENT",
        "replied": False,
        "destination": "2001:db8:1200:34:a56:78ff:fe9a:bcde",
        "destination_port": 443,
    },
    "bare ACKs": {**_ESTABLISHED, "replied": False, "packets_original": {"min": 1, "max": 1}},
    "idle connections": {**_ESTABLISHED, "replied": True, "destination_port": 443},
    "a healthy table": {**_ESTABLISHED, "replied": True, "destination_port": 8443},
}
"""What most entries of a table have in common, as a selector."""

_SHARES = {"idle connections": 95.0, "a healthy table": 35.0}


def explanation_of(name: str, entries: int) -> Document:
    """Return what the report says of one of the TABLES with so many entries."""
    match, share = TABLES[name], _SHARES.get(name, 92.0)
    filling = int(entries * share / 100)
    cluster = {
        "match": match,
        "entries": filling,
        "percent": share,
        "prunable": 0 if match["replied"] else filling,
        "sources": min(filling, 1284),
        "more_sources": False,
        "source_network": "2001:db8:c::/48" if ":" in match.get("destination", "") else "10.0.0.0/8",
        "destinations": 1 if "destination" in match else min(filling, 4096),
        "more_destinations": "destination" not in match and filling > 4096,
        "destination_network": match.get("destination"),
    }
    idle = {"entries": int(entries * 0.9), "percent": 90.0} if name == "idle connections" else {}
    explanation = explain(
        {
            "usage": {"percent": 97.0},
            "settings": _SETTINGS,
            "selectors": {"idle_hour": idle},
            "table": {"entries": entries, "filled_by": [cluster]},
        }
    )
    assert explanation is not None
    return explanation


def filled_fleet(hosts: int, **options: bool) -> Document:
    """Return the document of an audit of ``hosts`` routers, the worst of which have one of the TABLES each.

    Its commands are those of a run with an inventory and become. ``options`` are those of fleet_document.
    """
    document = fleet_document(max(hosts, 6), **{"after": False, "with_trend": False, **options})
    measured: list[tuple[str, Document]] = [(name, host) for name, host in worst_first(document) if last_audit(host)]
    if hosts < len(document["hosts"]):
        document = only(document, [name for name, _host in measured[:hosts]])
    for (_name, host), table in zip(measured, TABLES, strict=False):
        for audit in filter(None, (host["before"], host["after"])):
            audit["explanation"] = explanation_of(table, audit["usage"]["count"])
    return pasteable(document, {"inventory": ["/etc/ansible/routers.yml"], "become": True}, "routers")


def only(document: Document, names: list[str]) -> Document:
    """Return the document about some of its routers alone, which were all measured."""
    hosts = {name: host for name, host in document["hosts"].items() if name in names}
    none: dict[str, t.Any] = {key: [] for key in ("unreachable", "failed", "not_started", "no_conntrack")}
    counts = {**dict.fromkeys(none, 0), "hosts": len(names), "done": len(names)}
    found = {f"findings_{phase}": _findings(hosts, phase) for phase in ("before", "after")}
    return {**document, **none, "hosts": hosts, "totals": {**document["totals"], **counts, **found}}


def _findings(hosts: dict[str, t.Any], phase: str) -> int | None:
    audits = [host[phase] for host in hosts.values() if host[phase]]
    statuses = [finding["status"] for audit in audits for finding in audit["findings"]]
    return statuses.count("finding") if audits else None

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""What the entries of a cluster have in common, in words, and as a selector."""

from __future__ import annotations

import typing as t

Facts = dict[str, t.Any]
"""The facts of a router, as conntrack_facts returns them, and parts of these."""


def described(match: Facts) -> str:
    """Return what entries have in common, from the selector ``match``."""
    return ", ".join(common_words(match))


def described_with_peers(cluster: Facts) -> str:
    """Return the same of a cluster, and from how many sources to how many destinations its entries are."""
    match = cluster["match"]
    source, destination = _peers(cluster, "source"), _peers(cluster, "destination")
    if has_host(match, "source") or source is None:
        return ", ".join([*_kind(match), *_from(match), *_to(match, destination), *_translated(match)])
    return ", ".join([*_kind(match), *_to(match, destination), f"from {source}", *_translated(match)])


def common_words(match: Facts) -> list[str]:
    """Return what entries have in common, one thing after the other."""
    return [*_kind(match), *_from(match), *_to(match), *_translated(match)]


def selector_words(match: Facts) -> list[str]:
    """Return a selector as the words of a text, as the modules take it."""
    words = []
    for key, value in match.items():
        if isinstance(value, dict):
            words += [f"{key}.{end}={number}" for end, number in value.items()]
        else:
            words.append(f"{key}={str(value).lower() if isinstance(value, bool) else value}")
    return words


def share_of(cluster: Facts) -> str:
    """Return the share of a cluster in percent. What is not all of the table is never shown as 100."""
    return f"{min(cluster['percent'], 99.9) if cluster['percent'] < 100 else 100:.1f}".removesuffix(".0")


def has_host(match: Facts, *names: str) -> bool:
    """Return whether one of these addresses of a selector is a single one. The others may be networks."""
    return any(match.get(name) and "/" not in match[name] for name in names)


def _kind(match: Facts) -> t.Iterator[str]:
    yield " ".join(filter(None, [match["protocol"], match.get("state")]))
    yield "answered" if match["replied"] else "unanswered"
    if match.get("packets_original"):
        yield "a single packet"
    if match.get("icmp_type") is not None:
        yield f"type {match['icmp_type']}"
    if match.get("zone") is not None:
        yield f"zone {match['zone']}"


def _from(match: Facts) -> t.Iterator[str]:
    if match.get("source"):
        yield f"from {match['source']}"


def _to(match: Facts, peers: str | None = None) -> t.Iterator[str]:
    """Yield where the entries go. A port of several destinations comes before these."""
    port = None if match.get("destination_port") is None else f"port {match['destination_port']}"
    if peers and not has_host(match, "destination"):
        yield f"to {port} of {peers}" if port else f"to {peers}"
        return
    target = " ".join(filter(None, [match.get("destination"), port]))
    if target:
        yield f"to {target}"


def _translated(match: Facts) -> t.Iterator[str]:
    """Yield what NAT makes of the addresses."""
    for name, address in (("source", "reply_destination"), ("destination", "reply_source")):
        if match.get(address):
            yield f"{name} translated to {match[address]}"


def _peers(cluster: Facts, name: str) -> str | None:
    """Return how many different sources or destinations there are and in which network, None if that is not known."""
    number = cluster.get(f"{name}s")
    if number is None:
        return None
    network = cluster.get(f"{name}_network")
    if number == 1 and network:
        return str(network)
    more = "more than " if cluster.get(f"more_{name}s") else ""
    where = f" in {network}" if network else ""
    return f"{more}{number:,} {name}{'s' if number != 1 else ''}{where}"

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A table's summary, counted entry by entry with the plainest means: the judge of counting by blocks."""

from __future__ import annotations

import collections
import ipaddress
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._entry.entry import Entry
from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeouts import Timeouts, idle

# linux/netfilter/nf_conntrack_common.h
_STATUS = {
    "expected": 1 << 0,
    "assured": 1 << 2,
    "snat": 1 << 4,
    "dnat": 1 << 5,
    "fixed_timeout": 1 << 10,
    "helper": 1 << 13,
    "offloaded": 1 << 14 | 1 << 15,
}
_SEEN_REPLY = 1 << 1
_NOT_EVICTABLE = 1 << 2 | 1 << 10 | 1 << 14 | 1 << 15
_WITH_PORTS = (6, 17, 33, 132, 136)
_BOUNDS = (0, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 54000, 86400, 172800, 345600, 432000)

Counts = collections.Counter[t.Any]


def summary(entries: t.Sequence[Entry], timeouts: Timeouts, top: int) -> dict[str, t.Any]:
    """Return what Summary.result gives of these entries."""
    marks = collections.Counter(entry.mark for entry in entries if entry.mark is not None)
    known = [entry.status for entry in entries if entry.status is not None]
    return {
        "entries": len(entries),
        "families": {"ipv4": 0, "ipv6": 0, **collections.Counter(map(_family, entries))},
        "protocols": dict(collections.Counter(entry.protocol_name for entry in entries)),
        "states": _states(entries),
        "status": {
            **{name: sum(bool(status & bits) for status in known) for name, bits in _STATUS.items()},
            "unreplied": sum(not status & _SEEN_REPLY for status in known),
        },
        "evictable": sum(not status & _NOT_EVICTABLE for status in known),
        **_zones("zones", map(_zone, entries), top),
        **_zones("zones_original", (entry.zone_original for entry in entries), top),
        **_zones("zones_reply", (entry.zone_reply for entry in entries), top),
        "marks": {hex(mark): count for mark, count in _largest(marks, top)},
        "marks_distinct": len(marks),
        "packets": _amounts(entries, "packets"),
        "bytes": _amounts(entries, "bytes"),
        "remaining": _histogram([entry.remaining for entry in entries]),
        "idle": _histogram([idle(entry, timeouts) for entry in entries]),
        "top": {
            "source": _top(collections.Counter(entry.source for entry in entries), top, len(entries)),
            "destination": _top(collections.Counter(entry.destination for entry in entries), top, len(entries)),
            "source_port": _top(_ports(entries, "source_port"), top, len(entries)),
            "destination_port": _top(_ports(entries, "destination_port"), top, len(entries)),
        },
        "uncertainty": {"marks": 0, "source": 0, "destination": 0},
    }


def _family(entry: Entry) -> str:
    return {2: "ipv4", 10: "ipv6"}.get(entry.family, str(entry.family))


def _states(entries: t.Iterable[Entry]) -> dict[str, Counts]:
    states: dict[str, Counts] = {}
    for entry in entries:
        if entry.state_name is not None:
            states.setdefault(entry.protocol_name, collections.Counter())[entry.state_name] += 1
    return states


def _zone(entry: Entry) -> int:
    """Return the entry's zone, in whichever of three places it was sent."""
    sent = [zone for zone in (entry.zone_original, entry.zone_reply) if zone is not None]
    return sent[0] if sent else entry.zone


def _zones(name: str, values: t.Iterable[int | None], top: int) -> dict[str, t.Any]:
    counts = collections.Counter(zone for zone in values if zone is not None)
    return {
        name: {str(zone): count for zone, count in _largest(counts, top)},
        f"{name}_distinct": len(counts),
    }


def _largest(counts: Counts, number: int) -> list[tuple[t.Any, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:number]


def _amounts(entries: t.Iterable[Entry], name: str) -> dict[str, int]:
    sums = {"original": 0, "reply": 0, "unknown": 0}
    for entry in entries:
        original, reply = getattr(entry, f"{name}_original"), getattr(entry, f"{name}_reply")
        if original is None or reply is None:
            sums["unknown"] += 1
        else:
            sums["original"] += original
            sums["reply"] += reply
    return sums


def _histogram(values: t.Iterable[int | None]) -> dict[str, t.Any]:
    counts: Counts = collections.Counter()
    for value in values:
        counts[None if value is None else max(bound for bound in _BOUNDS if bound <= value)] += 1
    ranges = zip(_BOUNDS, (*_BOUNDS[1:], None))
    return {
        "histogram": [{"from": start, "below": end, "entries": counts[start]} for start, end in ranges],
        "unknown": counts[None],
    }


def _ports(entries: t.Iterable[Entry], name: str) -> Counts:
    ports = (getattr(entry, name) for entry in entries if entry.protocol in _WITH_PORTS)
    return collections.Counter(port for port in ports if port is not None)


def _top(counts: Counts, number: int, entries: int) -> list[dict[str, t.Any]]:
    return [
        {
            "value": str(ipaddress.ip_address(value)) if isinstance(value, bytes) else value,
            "entries": count,
            "percent": round(100 * count / entries, 2),
        }
        for value, count in _largest(counts, number)
    ]

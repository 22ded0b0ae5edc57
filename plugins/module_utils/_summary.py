# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""One pass of counting over the entries of a table."""

from __future__ import annotations

import bisect
import collections
import heapq
import ipaddress
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils import _wire
from ansible_collections.netops.conntrack.plugins.module_utils._idle import idle

HISTOGRAM_BOUNDS = (0, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 54000, 86400, 172800, 345600, 432000)
"""Where the ranges of a histogram begin, in seconds; the last one has no end."""

_STATUS_COUNTS = {
    "assured": _wire.ASSURED,
    "expected": _wire.EXPECTED,
    "snat": _wire.SRC_NAT,
    "dnat": _wire.DST_NAT,
    "fixed_timeout": _wire.FIXED_TIMEOUT,
    "helper": _wire.HELPER,
    "offloaded": _wire.OFFLOAD | _wire.HW_OFFLOAD,
}
# early_drop() in net/netfilter/nf_conntrack_core.c passes over entries with any of these.
_NOT_EVICTABLE = _wire.ASSURED | _wire.OFFLOAD | _wire.HW_OFFLOAD | _wire.FIXED_TIMEOUT

_Kind = tuple[int, int, t.Optional[int], t.Optional[int]]


class _Histogram:
    """Seconds counted in the ranges of HISTOGRAM_BOUNDS; None is counted as unknown."""

    def __init__(self) -> None:
        self._counts = [0] * len(HISTOGRAM_BOUNDS)
        self._unknown = 0

    def add(self, seconds: int | None) -> None:
        if seconds is None:
            self._unknown += 1
        else:
            self._counts[bisect.bisect_right(HISTOGRAM_BOUNDS, seconds) - 1] += 1

    def result(self) -> dict[str, t.Any]:
        ends = (*HISTOGRAM_BOUNDS[1:], None)
        ranges = zip(HISTOGRAM_BOUNDS, ends, self._counts)
        histogram = [{"from": start, "below": end, "entries": entries} for start, end, entries in ranges]
        return {"histogram": histogram, "unknown": self._unknown}


class Summary:
    """What is in a table, counted entry by entry; ``top`` is how many of the largest are named."""

    def __init__(self, settings: t.Mapping[str, int], top: int) -> None:
        self._settings = settings
        self._top = top
        self._kinds: collections.Counter[_Kind] = collections.Counter()
        self._zones: collections.Counter[int] = collections.Counter()
        self._marks: collections.Counter[int] = collections.Counter()
        self._sources: collections.Counter[bytes] = collections.Counter()
        self._destinations: collections.Counter[bytes] = collections.Counter()
        self._source_ports: collections.Counter[int] = collections.Counter()
        self._destination_ports: collections.Counter[int] = collections.Counter()
        self._packets = {"original": 0, "reply": 0, "unknown": 0}
        self._bytes = {"original": 0, "reply": 0, "unknown": 0}
        self._remaining = _Histogram()
        self._idle = _Histogram()

    def add(self, entry: _wire.Entry) -> None:
        """Count one entry."""
        self._kinds[entry.family, entry.protocol, entry.state, entry.status] += 1
        self._zones[entry.zone] += 1
        if entry.mark is not None:
            self._marks[entry.mark] += 1
        self._count_talkers(entry)
        _add_amounts(self._packets, entry.packets_original, entry.packets_reply)
        _add_amounts(self._bytes, entry.bytes_original, entry.bytes_reply)
        self._remaining.add(entry.remaining)
        self._idle.add(idle(entry, self._settings))

    def _count_talkers(self, entry: _wire.Entry) -> None:
        original = entry.original
        self._sources[original.source] += 1
        self._destinations[original.destination] += 1
        if entry.protocol in _wire.PORT_PROTOCOLS:
            if original.source_port is not None:
                self._source_ports[original.source_port] += 1
            if original.destination_port is not None:
                self._destination_ports[original.destination_port] += 1

    def result(self) -> dict[str, t.Any]:
        """Give the counts, in the form that conntrack_facts documents as its ``table``."""
        entries = sum(self._kinds.values())
        return {
            "entries": entries,
            **self._kind_counts(),
            "zones": {str(zone): count for zone, count in _most_common(self._zones, self._top)},
            "zones_distinct": len(self._zones),
            "marks": {hex(mark): count for mark, count in _most_common(self._marks, self._top)},
            "marks_distinct": len(self._marks),
            "packets": self._packets,
            "bytes": self._bytes,
            "remaining": self._remaining.result(),
            "idle": self._idle.result(),
            "top": {
                "source": self._largest(self._sources, entries, _address_text),
                "destination": self._largest(self._destinations, entries, _address_text),
                "source_port": self._largest(self._source_ports, entries, int),
                "destination_port": self._largest(self._destination_ports, entries, int),
            },
        }

    def _kind_counts(self) -> dict[str, t.Any]:
        """Decode the kinds of entries once each, instead of once an entry."""
        families = dict.fromkeys(_wire.FAMILY_NAMES.values(), 0)
        protocols: collections.Counter[str] = collections.Counter()
        states: dict[str, collections.Counter[str]] = {}
        status = dict.fromkeys((*_STATUS_COUNTS, "unreplied"), 0)
        evictable = 0
        for (family, protocol, state, bits), count in self._kinds.items():
            family_name = _wire.FAMILY_NAMES.get(family, str(family))
            families[family_name] = families.get(family_name, 0) + count
            name = _wire.PROTOCOL_NAMES.get(protocol, str(protocol))
            protocols[name] += count
            state_name = _wire.state_name(protocol, state)
            if state_name is not None:
                states.setdefault(name, collections.Counter())[state_name] += count
            if bits is None:
                continue
            for key, mask in _STATUS_COUNTS.items():
                status[key] += count if bits & mask else 0
            status["unreplied"] += 0 if bits & _wire.SEEN_REPLY else count
            evictable += 0 if bits & _NOT_EVICTABLE else count
        return {
            "families": families,
            "protocols": dict(protocols.most_common()),
            "states": {name: dict(counts.most_common()) for name, counts in sorted(states.items())},
            "status": status,
            "evictable": evictable,
        }

    def _largest(
        self, counts: collections.Counter[t.Any], entries: int, show: t.Callable[[t.Any], t.Any]
    ) -> list[dict[str, t.Any]]:
        return [
            {"value": show(value), "entries": count, "percent": percent(count, entries)}
            for value, count in _most_common(counts, self._top)
        ]


def percent(part: int, whole: int) -> float:
    """Give ``part`` as a percentage of ``whole`` with two decimals; 0 of an empty whole."""
    return round(100 * part / whole, 2) if whole else 0.0


def _most_common(counts: collections.Counter[t.Any], number: int) -> list[tuple[t.Any, int]]:
    """Give the values with the largest counts; of equal counts the smaller value first, whatever order they came in."""
    return heapq.nsmallest(number, counts.items(), key=lambda item: (-item[1], item[0]))


def _address_text(packed: bytes) -> str:
    return str(ipaddress.ip_address(packed))


def _add_amounts(totals: dict[str, int], original: int | None, reply: int | None) -> None:
    if original is None or reply is None:
        totals["unknown"] += 1
    else:
        totals["original"] += original
        totals["reply"] += reply

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""One pass of counting over the entries of a table."""

from __future__ import annotations

import collections
import ipaddress
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeouts import Timeouts, idle
from ansible_collections.netops.conntrack.plugins.module_utils._facts.histogram import Histogram
from ansible_collections.netops.conntrack.plugins.module_utils._facts.kinds import KindCounts
from ansible_collections.netops.conntrack.plugins.module_utils._facts.port_counts import PortCounts
from ansible_collections.netops.conntrack.plugins.module_utils._facts.value_counts import ValueCounts
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block
from ansible_collections.netops.conntrack.plugins.module_utils._units import percent

_STATUS_COUNTS = {
    "assured": _uapi.ASSURED,
    "expected": _uapi.EXPECTED,
    "snat": _uapi.SRC_NAT,
    "dnat": _uapi.DST_NAT,
    "fixed_timeout": _uapi.FIXED_TIMEOUT,
    "helper": _uapi.HELPER,
    "offloaded": _uapi.OFFLOAD | _uapi.HW_OFFLOAD,
}
# early_drop() in net/netfilter/nf_conntrack_core.c passes over entries with any of these.
_NOT_EVICTABLE = _uapi.ASSURED | _uapi.OFFLOAD | _uapi.HW_OFFLOAD | _uapi.FIXED_TIMEOUT

_AddressType = t.Union[type[ipaddress.IPv4Address], type[ipaddress.IPv6Address]]
_ADDRESS_TYPES: dict[int, _AddressType] = {4: ipaddress.IPv4Address, 16: ipaddress.IPv6Address}
"""By the number of bytes of an address."""

_ZONE_BYTES, _MARK_BYTES = 2, 4


class Summary:
    """What is in a table, counted block by block. ``top`` is how many of the largest are named."""

    def __init__(self, timeouts: Timeouts, top: int) -> None:
        self._kinds = KindCounts(timeouts)
        self._timeouts = timeouts
        self._top = top
        # An entry has one zone. It is counted again by the direction where it holds for that direction only.
        self._zones = {name: ValueCounts(_ZONE_BYTES) for name in ("zone", "zone_original", "zone_reply")}
        self._marks = ValueCounts(_MARK_BYTES)
        self._addresses = {
            (name, size): ValueCounts(size) for name in ("source", "destination") for size in _ADDRESS_TYPES
        }
        self._ports = {name: PortCounts(name) for name in ("source_port", "destination_port")}
        self._packets = {"original": 0, "reply": 0, "unknown": 0}
        self._bytes = {"original": 0, "reply": 0, "unknown": 0}

    def add(self, block: Block) -> None:
        """Count the entries of a block."""
        self._kinds.add(block)
        for name, zones in self._zones.items():
            _tally(zones, block, name)
        _tally(self._marks, block, "mark")
        for name in ("source", "destination"):
            span = block.layout.fields[name]
            self._addresses[name, span.end - span.start].add(block, name)
        if block.layout.constants["protocol"] in _uapi.PORT_PROTOCOLS:
            for name, ports in self._ports.items():
                if name in block.layout.fields:
                    ports.add(block)
        _add_amounts(self._packets, block, "packets")
        _add_amounts(self._bytes, block, "bytes")

    def result(self) -> dict[str, t.Any]:
        """Return the counts, in the form that conntrack_facts documents as its ``table``."""
        entries = self._kinds.entries
        remaining = Histogram()
        unused = Histogram()
        for entry, count, _latest in self._kinds.described():
            remaining.add(entry.remaining, count)
            unused.add(idle(entry, self._timeouts), count)
        most_common: dict[str, list[tuple[t.Any, int]]] = {
            "source": self._most_common_addresses("source"),
            "destination": self._most_common_addresses("destination"),
            **{name: counts.most_common(self._top) for name, counts in self._ports.items()},
        }
        return {
            "entries": entries,
            **self._kind_counts(),
            **self._zone_counts(),
            "marks": {hex(mark): count for mark, count in self._marks.most_common(self._top)},
            "marks_distinct": self._marks.distinct,
            "packets": self._packets,
            "bytes": self._bytes,
            "remaining": remaining.result(),
            "idle": unused.result(),
            "top": {name: self._largest(counts, entries) for name, counts in most_common.items()},
            "uncertainty": self._uncertainty(),
        }

    def _kind_counts(self) -> dict[str, t.Any]:
        """Decode the kinds of entries once each, instead of once an entry."""
        families = dict.fromkeys(_uapi.FAMILY_NAMES.values(), 0)
        protocols: collections.Counter[str] = collections.Counter()
        states: dict[str, collections.Counter[str]] = {}
        status = dict.fromkeys((*_STATUS_COUNTS, "unreplied"), 0)
        evictable = 0
        for entry, count, _latest in self._kinds.described():
            bits = entry.status
            families[entry.family_name] = families.get(entry.family_name, 0) + count
            protocols[entry.protocol_name] += count
            if entry.state_name is not None:
                states.setdefault(entry.protocol_name, collections.Counter())[entry.state_name] += count
            if bits is None:
                continue
            for key, mask in _STATUS_COUNTS.items():
                if bits & mask:
                    status[key] += count
            if not bits & _uapi.SEEN_REPLY:
                status["unreplied"] += count
            if not bits & _NOT_EVICTABLE:
                evictable += count
        return {
            "families": families,
            "protocols": dict(protocols.most_common()),
            "states": {name: dict(counts.most_common()) for name, counts in sorted(states.items())},
            "status": status,
            "evictable": evictable,
        }

    def _zone_counts(self) -> dict[str, t.Any]:
        """Return the zones with most entries, those of any direction and those of one direction only."""
        counts: dict[str, t.Any] = {}
        for field, name in (("zone", "zones"), ("zone_original", "zones_original"), ("zone_reply", "zones_reply")):
            zones = self._zones[field]
            counts[name] = {str(zone): count for zone, count in zones.most_common(self._top)}
            counts[f"{name}_distinct"] = zones.distinct
        return counts

    def _uncertainty(self) -> dict[str, int]:
        """Return by how many entries the numbers may be too small of values that are too many to keep them all.

        Zones and ports have 16 bits, so that there never are.
        """
        uncertainty = {"marks": self._marks.uncertainty, "source": 0, "destination": 0}
        for (name, _size), counts in self._addresses.items():
            uncertainty[name] = max(uncertainty[name], counts.uncertainty)
        return uncertainty

    def _most_common_addresses(self, name: str) -> list[tuple[str, int]]:
        """Return the addresses with most entries, those of both families together."""
        largest = []
        for size, address_type in _ADDRESS_TYPES.items():
            counts = self._addresses[name, size].most_common(self._top)
            largest += [(address_type(address), count) for address, count in counts]
        largest.sort(key=lambda item: (-item[1], item[0].packed))
        return [(str(address), count) for address, count in largest[: self._top]]

    def _largest(self, counts: t.Iterable[tuple[t.Any, int]], entries: int) -> list[dict[str, t.Any]]:
        return [{"value": value, "entries": count, "percent": percent(count, entries)} for value, count in counts]


def _tally(counts: ValueCounts, block: Block, name: str) -> None:
    """Count a field's numbers. Those that the entries lack are not counted, unless there is a number that it means."""
    if name in block.layout.fields:
        counts.add(block, name)
    elif block.layout.constants[name] is not None:
        counts.add_constant(block.layout.constants[name], len(block))


def _add_amounts(totals: dict[str, int], block: Block, amount: str) -> None:
    original, reply = f"{amount}_original", f"{amount}_reply"
    if original in block.layout.fields and reply in block.layout.fields:
        totals["original"] += sum(block.column(original))
        totals["reply"] += sum(block.column(reply))
    else:
        totals["unknown"] += len(block)

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Clusters of entries, which share their protocol and the values of some fields, counted by columns of bytes.

A cluster can be said as a selector, but a selector asks a test for each combination of values (see _table.memo), which
costs a sixth of a summary. Here each byte of a value is a column of its own, and a column is compared in one call, for
all clusters at once. That both count the same entries is what the tests look at.
"""

from __future__ import annotations

import ipaddress
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block
from ansible_collections.netops.conntrack.plugins.module_utils._table.layouts import Layout


class Cluster(t.NamedTuple):
    """What the entries of a cluster share. None: they do not share it.

    Addresses are packed. ``single_packet`` is whether each of them saw one packet and no more.
    """

    protocol: int
    replied: bool
    state: int | None = None
    single_packet: bool | None = None
    destination: bytes | None = None
    destination_port: int | None = None
    source: bytes | None = None

    @property
    def match(self) -> dict[str, t.Any]:
        """The selector of these entries."""
        match: dict[str, t.Any] = {
            "protocol": _uapi.PROTOCOL_NAMES.get(self.protocol, str(self.protocol)),
            "state": _uapi.state_name(self.protocol, self.state),
            "replied": self.replied,
            "packets_original": {"min": 1, "max": 1} if self.single_packet else None,
            "source": _address(self.source),
            "destination": _address(self.destination),
            "destination_port": self.destination_port,
        }
        return {key: value for key, value in match.items() if value is not None}

    @property
    def conditions(self) -> list[FieldCondition]:
        """What has to hold for the fields of an entry of the protocol."""
        conditions = [FieldCondition("status", _uapi.SEEN_REPLY if self.replied else 0, _uapi.SEEN_REPLY)]
        numbers = {
            "state": self.state,
            "destination_port": self.destination_port,
            "packets_original": 1 if self.single_packet else None,
        }
        conditions += [FieldCondition(name, number) for name, number in numbers.items() if number is not None]
        for name, address in (("destination", self.destination), ("source", self.source)):
            if address is not None:
                conditions.append(FieldCondition(name, int.from_bytes(address, "big"), size=len(address)))
        return conditions


def may_be_one_way(match: t.Mapping[str, t.Any]) -> bool:
    """Return whether a cluster, by its selector, may have live TCP connections whose answers take another way.

    With asymmetric routing these are ESTABLISHED and never answered. They see more than one packet.
    """
    if match["protocol"] != "tcp" or match["replied"] or match.get("packets_original"):
        return False
    return match.get("state") in (None, "ESTABLISHED")


def _address(packed: bytes | None) -> str | None:
    return None if packed is None else str(ipaddress.ip_address(packed))


class FieldCondition(t.NamedTuple):
    """A field has a value in the bits of ``mask``, without one in all bits. ``size`` is that of the field in bytes."""

    field: str
    value: int
    mask: int | None = None
    size: int | None = None


class _ColumnPlan(t.NamedTuple):
    """How the clusters are counted in blocks of one layout.

    Each cluster has a bit. ``possible`` has those of the clusters that can have entries of the layout. A column is the
    number of a byte in a row, and a table from its values to the bits of the clusters that they fit.
    """

    possible: int
    columns: list[tuple[int, bytes]]


class ClusterCounts:
    """Counts the entries of up to eight clusters at once, so that each byte of a row is looked at once for all."""

    def __init__(self, clusters: t.Sequence[Cluster]) -> None:
        self._clusters = clusters
        self._plans: dict[Layout, _ColumnPlan] = {}

    def counts_in(self, block: Block) -> list[int]:
        """Return how many entries of the block each cluster has."""
        plan = self._plans.get(block.layout)
        if plan is None:
            plan = self._plans[block.layout] = _plan(self._clusters, block.layout)
        fits = _fits(plan, block) if plan.possible else b""
        return [len(fits) - len(fits.translate(None, _WITH_BIT[number])) for number in range(len(self._clusters))]


_WITH_BIT = [bytes(byte for byte in range(256) if byte >> number & 1) for number in range(8)]
"""By the number of a bit, the bytes that have it."""


def _fits(plan: _ColumnPlan, block: Block) -> bytes:
    """Return for each row a byte with the bits of the clusters that it belongs to, or nothing if it is none for all."""
    rows = -1
    for at, table in plan.columns:
        column = block.data[at :: block.layout.size].translate(table)
        if len(plan.columns) == 1:
            return column
        rows &= int.from_bytes(column, "little")
        if not rows:
            return b""
    return rows.to_bytes(len(block), "little")


def _plan(clusters: t.Sequence[Cluster], layout: Layout) -> _ColumnPlan:
    """Return how the clusters are counted in blocks of the layout."""
    possible = 0
    tables: dict[int, bytearray] = {}
    wanted = [_wanted(cluster, layout) for cluster in clusters]
    for number, places in enumerate(wanted):
        if places is not None:
            possible |= 1 << number
    for number, places in enumerate(wanted):
        for at, (value, bits) in (places or {}).items():
            table = tables.setdefault(at, bytearray([possible]) * 256)
            for byte in range(256):
                if byte & bits != value:
                    table[byte] &= ~(1 << number)
    return _ColumnPlan(possible, [(at, bytes(table)) for at, table in tables.items()])


def _wanted(cluster: Cluster, layout: Layout) -> dict[int, tuple[int, int]] | None:
    """Return by the number of a byte in a row which value its bits have, and which bits count, in the cluster.

    None is for a layout whose entries cannot be in the cluster.
    """
    if layout.constants["protocol"] != cluster.protocol:
        return None
    wanted: dict[int, tuple[int, int]] = {}
    for condition in cluster.conditions:
        place = layout.fields.get(condition.field)
        if place is None or condition.size not in (None, place.end - place.start):
            return None
        size = place.end - place.start
        mask = (1 << 8 * size) - 1 if condition.mask is None else condition.mask
        values, masks = condition.value.to_bytes(size, "big"), mask.to_bytes(size, "big")
        wanted.update({place.start + at: (values[at], masks[at]) for at in range(size) if masks[at]})
    return wanted

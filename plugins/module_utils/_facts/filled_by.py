# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""What fills a table: the few clusters of entries that hold the largest shares of it.

They are looked for among the first entries of a dump. Then they are counted in the whole table, in the same pass.
"""

from __future__ import annotations

import collections
import functools
import operator
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._entry.control_traffic import (
    KEPT_PORTS,
    PORT_FIELDS,
    is_control_traffic,
)
from ansible_collections.netops.conntrack.plugins.module_utils._errors import NotPermittedError
from ansible_collections.netops.conntrack.plugins.module_utils._facts.cluster_counts import ClusterCounts, ClusterRows
from ansible_collections.netops.conntrack.plugins.module_utils._facts.cluster_search import (
    LEAST_PERCENT,
    largest_clusters,
)
from ansible_collections.netops.conntrack.plugins.module_utils._facts.clusters import (
    ADDRESS_FIELDS,
    Cluster,
    may_be_one_way,
)
from ansible_collections.netops.conntrack.plugins.module_utils._facts.distinct_addresses import DistinctAddresses
from ansible_collections.netops.conntrack.plugins.module_utils._facts.networks import Network
from ansible_collections.netops.conntrack.plugins.module_utils._facts.options import USUAL
from ansible_collections.netops.conntrack.plugins.module_utils._facts.sample import FoundInSample
from ansible_collections.netops.conntrack.plugins.module_utils._pair.sync_ports import sync_ports
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block
from ansible_collections.netops.conntrack.plugins.module_utils._table.port_rows import (
    Ports,
    ports_by_protocol,
    rows_with_ports,
)
from ansible_collections.netops.conntrack.plugins.module_utils._units import percent


def ports_kept_here() -> Ports | None:
    """Return the ports of what a prune keeps in the network namespace that the process is in.

    None where the configuration of its conntrackd, or whether it has one, may not be seen.
    """
    usual = ((protocol, port) for protocol, ports in KEPT_PORTS.items() for port in ports)
    try:
        return ports_by_protocol([*usual, *sync_ports()])
    except NotPermittedError:
        return None


def usual_ports() -> Ports | None:
    """Return the ports of what a prune keeps on any machine."""
    return KEPT_PORTS


class FilledBy:
    """Finds what fills a table, in ``most`` clusters. It is given the blocks of the table one after the other.

    ``find_kept_ports`` returns the ports of what a prune keeps, None where these are unknown. It is called at most
    once, and only where a prune could delete any of the clusters.
    """

    fields: t.ClassVar[frozenset[str]] = frozenset(
        {
            *ADDRESS_FIELDS,
            *("protocol", "status", "state", "zone", "icmp_type", "packets_original", "helper"),
            *PORT_FIELDS,
        }
    )

    def __init__(self, most: int = USUAL, find_kept_ports: t.Callable[[], Ports | None] = usual_ports) -> None:
        self._most = most
        self._clusters = FoundInSample(lambda sample: _Counting(largest_clusters(sample, most), find_kept_ports))
        self._entries = 0

    def add(self, block: Block) -> None:
        """Count the entries of a block, or keep them as a part of the sample."""
        if self._most:
            self._entries += len(block)
            self._clusters.add(block)

    def result(self) -> dict[str, t.Any]:
        """Return ``filled_by`` and ``explained_percent`` of the facts ``table``. Nothing if nothing was asked for."""
        return self._clusters.counts().result(self._entries) if self._most else {}


class _Counting:
    """Counts all clusters, block by block."""

    def __init__(self, clusters: list[Cluster], find_kept_ports: t.Callable[[], Ports | None]) -> None:
        self._clusters = [_Counted(cluster) for cluster in clusters]
        asked = any(cluster.may_be_prunable for cluster in self._clusters)
        self._kept_ports = find_kept_ports() if asked else {}
        self._counts = ClusterCounts(clusters)
        self._patterns: collections.Counter[int] = collections.Counter()

    def add(self, block: Block) -> None:
        """Count the entries of a block."""
        rows = self._counts.rows_of(block)
        if rows is None:
            return
        patterns = rows.patterns()
        self._patterns.update(patterns)
        here = functools.reduce(operator.or_, patterns, 0)
        clusters = [(number, cluster) for number, cluster in enumerate(self._clusters) if here >> number & 1]
        # To look at all ports takes as long as the rest, and is in vain for entries that a prune leaves alone anyway.
        ports = self._kept_ports if any(cluster.may_be_prunable for _number, cluster in clusters) else {}
        control = rows_with_ports(block, ports) if ports else []
        is_unknown = ports is None and block.layout.constants["protocol"] in KEPT_PORTS
        for number, cluster in clusters:
            entries = sum(entries for pattern, entries in patterns.items() if pattern >> number & 1)
            kept = sum(map(operator.and_, rows.of(number), control)) if control else 0
            cluster.add(entries, None if is_unknown else kept, block)
            cluster.add_peers(block, rows, number, entries)

    def result(self, total: int) -> dict[str, t.Any]:
        """Return the clusters that have enough of the whole table, and what share all of them have together."""
        results = [cluster.result(total) for cluster in self._clusters]
        named = [number for number, result in enumerate(results) if result["percent"] >= LEAST_PERCENT]
        bits = sum(1 << number for number in named)
        explained = sum(entries for pattern, entries in self._patterns.items() if pattern & bits)
        return {"filled_by": [results[number] for number in named], "explained_percent": percent(explained, total)}


class _Counted:
    """A cluster, how many entries and peers it has, and how many of its entries a prune can delete without harm."""

    def __init__(self, cluster: Cluster) -> None:
        self._match = cluster.match
        self._is_control_traffic = is_control_traffic(cluster.protocol, cluster.destination_port)
        self._may_be_one_way = may_be_one_way(self._match)
        self._sources = _Peers("source", cluster.source)
        self._destinations = _Peers("destination", cluster.destination)
        self.entries = 0
        self.prunable: int | None = 0

    @property
    def may_be_prunable(self) -> bool:
        """Whether a prune could delete any of its entries, as far as their ports let it."""
        return not (self._match["replied"] or self._may_be_one_way or self._is_control_traffic)

    def add(self, entries: int, kept: int | None, block: Block) -> None:
        """Count so many entries of a block, and how many of them are ``kept`` by a prune for their ports, if known."""
        self.entries += entries
        if self._match["replied"] or self.prunable is None:
            return
        if self._may_be_one_way:
            # Without counters nobody can tell which of them are live connections.
            self.prunable = 0 if "packets_original" in block.layout.fields else None
        elif not self._is_control_traffic and "helper" not in block.layout.fields:
            # A prune keeps control traffic, and entries with a helper, unless it is told otherwise.
            self.prunable = None if kept is None else self.prunable + entries - kept

    def add_peers(self, block: Block, rows: ClusterRows, number: int, entries: int) -> None:
        """Count the sources and destinations of the rows that are in this cluster, which has this number."""
        members = None if entries == len(block) else rows.of(number)
        self._sources.add(block, members)
        self._destinations.add(block, members)

    def result(self, total: int) -> dict[str, t.Any]:
        return {
            "match": self._match,
            "entries": self.entries,
            "percent": percent(self.entries, total),
            "prunable": self.prunable,
            **self._sources.result(),
            **self._destinations.result(),
        }


class _Peers:
    """The different sources, or destinations, of a cluster's entries. If all have one, there is nothing to count."""

    def __init__(self, field: str, known: Network | None) -> None:
        self._field = field
        self._host = known if known is not None and known.is_host else None
        self._addresses = DistinctAddresses(field)

    def add(self, block: Block, members: bytes | None) -> None:
        if self._host is None:
            self._addresses.add(block, members)

    def result(self) -> dict[str, t.Any]:
        network = self._addresses.network if self._host is None else self._host
        return {
            f"{self._field}s": self._addresses.number if self._host is None else 1,
            f"more_{self._field}s": self._addresses.are_more,
            f"{self._field}_network": None if network is None else network.text,
        }

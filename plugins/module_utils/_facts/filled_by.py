# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""What fills a table: the few clusters of entries that hold the largest shares of it.

They are looked for among the first entries of a dump. These are a fair sample, because the kernel walks through the
buckets of a hash whose key nobody knows. Then the clusters are counted in the whole table, in the same pass.
"""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._facts.cluster_search import (
    LEAST_PERCENT,
    largest_clusters,
)
from ansible_collections.netops.conntrack.plugins.module_utils._facts.clusters import (
    Cluster,
    ClusterCounts,
    may_be_one_way,
)
from ansible_collections.netops.conntrack.plugins.module_utils._facts.summary import percent
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block

SAMPLE = 5_000
"""Entries among which clusters are looked for. Of 1,000 samples, one finds a share of 5 % smaller than 4.05 %."""

_SAMPLE_BYTES = 1 << 22
"""Bytes of their messages that are kept at most. Labels and names can make them long."""

MOST = 3
"""Clusters at most."""


class FilledBy:
    """Finds what fills a table, whose blocks it is given one after the other."""

    def __init__(self) -> None:
        self._sample: list[Block] = []
        self._sampled = 0
        self._sampled_bytes = 0
        self._clusters: _Counting | None = None
        self._entries = 0

    def add(self, block: Block) -> None:
        """Count the entries of a block, or keep them as a part of the sample."""
        self._entries += len(block)
        if self._clusters is not None:
            self._clusters.add(block)
            return
        self._sample.append(block)
        self._sampled += len(block)
        self._sampled_bytes += len(block.data)
        if self._sampled >= SAMPLE or self._sampled_bytes >= _SAMPLE_BYTES:
            self._clusters = self._found()

    def result(self) -> list[dict[str, t.Any]]:
        """Return what conntrack_facts documents as ``table.filled_by``, first what says most."""
        counting = self._found() if self._clusters is None else self._clusters
        results = [each.result(self._entries) for each in counting.clusters]
        return [result for result in results if result["percent"] >= LEAST_PERCENT]

    def _found(self) -> _Counting:
        """Return the clusters of the sample, with its entries counted. It is not needed any more then."""
        counting = _Counting(largest_clusters(self._sample, MOST))
        for block in self._sample:
            counting.add(block)
        self._sample = []
        return counting


class _Counting:
    """Counts all clusters, block by block."""

    def __init__(self, clusters: list[Cluster]) -> None:
        self.clusters = [_Counted(cluster) for cluster in clusters]
        self._counts = ClusterCounts(clusters)

    def add(self, block: Block) -> None:
        """Count the entries of a block."""
        for each, entries in zip(self.clusters, self._counts.counts_in(block)):
            if entries:
                each.add(entries, block)


class _Counted:
    """A cluster, how many entries it has, and how many of them a prune can delete without harm."""

    def __init__(self, cluster: Cluster) -> None:
        self._match = cluster.match
        self._may_be_one_way = may_be_one_way(self._match)
        self.entries = 0
        self.prunable: int | None = 0

    def add(self, entries: int, block: Block) -> None:
        """Count so many entries of a block."""
        self.entries += entries
        if self._match["replied"] or self.prunable is None:
            return
        if self._may_be_one_way:
            # Without counters nobody can tell which of them are live connections.
            self.prunable = 0 if "packets_original" in block.layout.fields else None
        elif "helper" not in block.layout.fields:
            # A prune keeps entries with a helper unless it is told otherwise.
            self.prunable += entries

    def result(self, total: int) -> dict[str, t.Any]:
        return {
            "match": self._match,
            "entries": self.entries,
            "percent": percent(self.entries, total),
            "prunable": self.prunable,
        }

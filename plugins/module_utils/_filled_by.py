# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""What fills a table: the few clusters of entries that hold the largest shares of it.

They are looked for among the first entries of a dump. These are a fair sample, because the kernel walks through the
buckets of a hash whose key nobody knows. Then the clusters are counted in the whole table, in the same pass.
"""

from __future__ import annotations

import collections
import itertools
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._clusters import Cluster, Columns
from ansible_collections.netops.conntrack.plugins.module_utils._summary import percent
from ansible_collections.netops.conntrack.plugins.module_utils._wire import Block

SAMPLE = 10_000
"""Entries among which clusters are looked for. Of 1,000 samples, one finds a share of 5 % smaller than 4.3 %."""

_SAMPLE_BYTES = 1 << 22
"""Bytes of their messages that are kept at most. Labels and names can make them long."""

MOST = 3
"""Clusters at most."""

LEAST_PERCENT = 5
"""The least share of the table that a cluster has."""

_MOST_VALUES = 5
"""Different values of a field that are looked at. More of them have too small shares to be a cluster each, and their
combinations would take long."""

_LEAST_NEW = 0.9
"""The least part of a cluster's entries that are in no cluster before it."""

_ESTABLISHED = _uapi.STATE_NAMES[_uapi.TCP].index("ESTABLISHED")

_Sample = collections.Counter[Cluster]
"""Entries of the sample by all that is known of them: values that are not frequent are None."""

_SAYS = {"state": 1.2, "single_packet": 1.1, "destination": 1.8, "destination_port": 1.4, "source": 1.8}
"""How much more a cluster says that has a field."""

_SAYS_LITTLE = 0.5
"""How much less one says that is answered and has no address: so most entries of a healthy table are."""


class FilledBy:
    """Finds what fills a table, whose blocks it is given one after the other."""

    def __init__(self) -> None:
        self._sample: list[Block] = []
        self._sampled = 0
        self._sampled_bytes = 0
        self._clusters: list[_Counted] | None = None
        self._entries = 0

    def add(self, block: Block) -> None:
        """Count the entries of a block, or keep them as a part of the sample."""
        self._entries += len(block)
        if self._clusters is not None:
            _count(self._clusters, block)
            return
        self._sample.append(block)
        self._sampled += len(block)
        self._sampled_bytes += len(block.data)
        if self._sampled >= SAMPLE or self._sampled_bytes >= _SAMPLE_BYTES:
            self._clusters = self._found()

    def result(self) -> list[dict[str, t.Any]]:
        """Return what conntrack_facts documents as ``table.filled_by``, first what says most."""
        counted = self._found() if self._clusters is None else self._clusters
        results = [each.result(self._entries) for each in counted]
        return [result for result in results if result["percent"] >= LEAST_PERCENT]

    def _found(self) -> list[_Counted]:
        """Return the clusters of the sample, with its entries counted. It is not needed any more then."""
        clusters = [_Counted(cluster) for cluster in _largest(_kinds_of(self._sample))]
        for block in self._sample:
            _count(clusters, block)
        self._sample = []
        return clusters


class _Counted:
    """A cluster, how many entries it has, and how many of them a prune can delete without harm."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.conditions = cluster.conditions
        self.entries = 0
        self.prunable: int | None = 0

    def add(self, entries: int, block: Block) -> None:
        """Count so many entries of a block."""
        self.entries += entries
        if not entries or self.cluster.replied or self.prunable is None:
            return
        if self.cluster.may_be_one_way:
            # Without counters nobody can tell which of them are live connections.
            self.prunable = 0 if "packets_original" in block.layout.fields else None
        elif "helper" not in block.layout.fields:
            # A prune keeps entries with a helper unless it is told otherwise.
            self.prunable += entries

    def result(self, total: int) -> dict[str, t.Any]:
        return {
            "match": self.cluster.match,
            "entries": self.entries,
            "percent": percent(self.entries, total),
            "prunable": self.prunable,
        }


def _count(clusters: list[_Counted], block: Block) -> None:
    protocol = block.layout.constants["protocol"]
    columns = Columns(block)
    for each in clusters:
        if each.cluster.protocol == protocol:
            each.add(columns.count(each.conditions), block)


# What the sample has


def _kinds_of(sample: list[Block]) -> _Sample:
    """Return the entries of the sample by what is known of them."""
    frequent = _frequent_values(sample)
    kinds: _Sample = collections.Counter()
    for block in sample:
        if "status" in block.layout.fields and _kind_of(block) not in _uapi.IMPOSSIBLE_KINDS:
            _add_kinds(kinds, block, frequent)
    return kinds


def _kind_of(block: Block) -> tuple[int, int]:
    return block.layout.constants["family"], block.layout.constants["protocol"]


def _frequent_values(sample: list[Block]) -> dict[str, dict[bytes, bytes]]:
    """Return the values of addresses and ports that can have a share that is large enough, each by itself."""
    names = ("destination", "destination_port", "source")
    # Bytes are hashed with a secret, so nobody can choose values that take long to count.
    counts: dict[str, collections.Counter[bytes]] = {name: collections.Counter() for name in names}
    for block in sample:
        for name in _tuple_fields(block):
            counts[name].update(block.byte_strings(name))
    least = _least(sum(map(len, sample)))
    return {
        name: {value: value for value, entries in counts[name].most_common(_MOST_VALUES) if entries >= least}
        for name in names
    }


def _least(entries: int) -> float:
    return entries * LEAST_PERCENT / 100


def _tuple_fields(block: Block) -> list[str]:
    """Return the fields of an entry's addresses and ports that a cluster may have. GRE has keys in place of ports."""
    has_ports = block.layout.constants["has_ports"] and block.layout.constants["protocol"] in _uapi.PORT_PROTOCOLS
    return ["destination", "source", *(["destination_port"] if has_ports else [])]


_REPLIED = bytes(bool(byte & _uapi.SEEN_REPLY) for byte in range(256))
"""From the lowest byte of the status to whether the entry was answered."""


def _add_kinds(kinds: _Sample, block: Block, frequent: t.Mapping[str, t.Mapping[bytes, bytes]]) -> None:
    """Count the entries of a block by what is known of them."""
    protocol = block.layout.constants["protocol"]
    fields = _tuple_fields(block)
    columns: dict[str, t.Iterable[t.Any]] = {
        name: map(frequent[name].get, block.byte_strings(name)) if name in fields else itertools.repeat(None)
        for name in frequent
    }
    replied = block.data[block.layout.fields["status"].end - 1 :: block.layout.size].translate(_REPLIED)
    rows = zip(
        replied,
        _states(block),
        _single_packets(block),
        columns["destination"],
        columns["destination_port"],
        columns["source"],
    )
    for (answered, state, single, destination, port, source), entries in collections.Counter(rows).items():
        number = None if port is None else int.from_bytes(port, "big")
        # Of all others it says nothing.
        only_one = True if single and state == _ESTABLISHED and not answered else None
        kinds[Cluster(protocol, bool(answered), state, only_one, destination, number, source)] += entries


_STATES = {state: state for state in range(1, len(_uapi.STATE_NAMES[_uapi.TCP]))}
"""The states of TCP that have a name of their own."""


def _states(block: Block) -> t.Iterable[int | None]:
    """Return the state of each entry of TCP that has one."""
    if block.layout.constants["protocol"] != _uapi.TCP or "state" not in block.layout.fields:
        return itertools.repeat(None)
    return map(_STATES.get, block.numbers("state"))


def _single_packets(block: Block) -> t.Iterable[bool]:
    """Return for each entry whether it is of TCP and saw a single packet, as far as it has counters."""
    if block.layout.constants["protocol"] != _uapi.TCP or "packets_original" not in block.layout.fields:
        return itertools.repeat(False)
    return map((1).__eq__, block.numbers("packets_original"))


# From the sample to clusters


def _largest(kinds: _Sample) -> list[Cluster]:
    """Return the clusters that say most about the sample, one after the other, each of entries that are left."""
    least = _least(sum(kinds.values()))
    every = _entries_of_clusters(kinds)
    left, left_of = kinds, every
    found: list[Cluster] = []
    while len(found) < MOST:
        scores = {
            cluster: left_of[cluster] * _says(cluster)
            for cluster, entries in every.items()
            if entries >= least and left_of[cluster] >= _LEAST_NEW * entries
        }
        if not scores:
            break
        best = max(scores, key=lambda cluster: (scores[cluster], sum(field is not None for field in cluster)))
        found.append(best)
        left = collections.Counter({kind: entries for kind, entries in left.items() if not _is_part(kind, best)})
        left_of = _entries_of_clusters(left)
    return found


def _entries_of_clusters(kinds: _Sample) -> collections.Counter[Cluster]:
    """Return how many entries there are of each cluster: of each kind, with some of its values left out."""
    counts: collections.Counter[Cluster] = collections.Counter()
    for kind, entries in kinds.items():
        shared = [field for field in _SAYS if getattr(kind, field) is not None]
        for number in range(len(shared) + 1):
            for left_out in itertools.combinations(shared, number):
                counts[Cluster(**{**kind._asdict(), **dict.fromkeys(left_out)})] += entries
    return counts


def _is_part(kind: Cluster, cluster: Cluster) -> bool:
    return all(wanted is None or wanted == value for wanted, value in zip(cluster, kind))


def _says(cluster: Cluster) -> float:
    """Return how much a cluster says, in comparison with the protocol alone."""
    weight = 1.0
    for field, more in _SAYS.items():
        if getattr(cluster, field) is not None:
            weight *= more
    unknown_peer = cluster.destination is None and cluster.source is None
    return weight * _SAYS_LITTLE if cluster.replied and unknown_peer else weight

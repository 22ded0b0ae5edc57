# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Finds the clusters that say most about a sample of a table's entries."""

from __future__ import annotations

import collections
import itertools
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._facts.clusters import Cluster
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block

LEAST_PERCENT = 5
"""The least share of the table that a cluster has."""

_MOST_VALUES = 5
"""Different values of a field that are looked at. More of them have too small shares to be a cluster each, and their
combinations would take long."""

_LEAST_NEW = 0.9
"""The least part of a cluster's entries that are in no other one, apart from its parts and its whole."""

_LEAST_PART, _LEAST_BESIDES_PARTS = 4, 2
"""How many times the least share a cluster has that is a part of another, and the rest of one that has parts."""

_ESTABLISHED = _uapi.STATE_NAMES[_uapi.TCP].index("ESTABLISHED")

_Sample = collections.Counter[Cluster]
"""Entries of the sample by all that is known of them: values that are not frequent are None."""

_SAYS = {"state": 1.2, "single_packet": 1.1, "destination": 1.8, "destination_port": 1.4, "source": 1.8}
"""How much more a cluster says that has a field."""

_SAYS_LITTLE = 0.5
"""How much less one says that is answered and has no address: so most entries of a healthy table are."""


def largest_clusters(sample: list[Block], most: int) -> list[Cluster]:
    """Return ``most`` clusters at the most, first the one that says most.

    A cluster may be a part of another one. Apart from that they hardly share an entry.
    """
    search = _Search(_kinds_of(sample))
    for _number in range(most):
        if search.next() is None:
            break
    return search.found


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
        name: map(values.get, block.byte_strings(name)) if values and name in fields else itertools.repeat(None)
        for name, values in frequent.items()
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


class _Search:
    """Finds the clusters that say most about a sample, one after the other: each what the others do not say."""

    def __init__(self, kinds: _Sample) -> None:
        self._kinds = kinds
        self._every = _entries_of_clusters(kinds)
        self._left_of = self._every
        self._least = _least(sum(kinds.values()))
        self._candidates = [cluster for cluster, entries in self._every.items() if entries >= self._least]
        self.found: list[Cluster] = []

    def next(self) -> Cluster | None:
        """Return the next cluster, and note it, or None where no other says anything."""
        gains = {cluster: self._gain(cluster) for cluster in self._candidates}
        best = max(gains, key=lambda cluster: (gains[cluster], _fields_of(cluster)), default=None)
        if best is None or not gains[best]:
            return None
        self.found.append(best)
        left = {kind: entries for kind, entries in self._kinds.items() if not _is_in_any(kind, self.found)}
        self._left_of = _entries_of_clusters(collections.Counter(left))
        return best

    def _gain(self, cluster: Cluster) -> float:
        """Return how much a cluster says besides those that were found.

        It is 0 where it shares entries with one that is neither a part of it nor the whole of it.
        """
        entries, new = self._every[cluster], self._left_of[cluster]
        wholes = [each for each in self.found if _is_part(cluster, each)]
        if wholes:
            return self._gain_of_part(cluster, wholes)
        if entries - new <= _most_shared(entries):
            return new * _says(cluster)
        parts = [each for each in self.found if _is_part(each, cluster)]
        if new < _LEAST_BESIDES_PARTS * self._least or self._shared(cluster, parts) > _most_shared(new):
            return 0
        return new * _says(cluster)

    def _gain_of_part(self, cluster: Cluster, wholes: list[Cluster]) -> float:
        """Return how much a cluster says that is a part of others. Only an address says more than they do."""
        entries = self._every[cluster]
        has_address = _addresses_of(cluster) > max(map(_addresses_of, wholes))
        if not has_address or entries < _LEAST_PART * self._least:
            return 0
        if self._shared(cluster, wholes) > _most_shared(entries):
            return 0
        return entries * (_says(cluster) - max(map(_says, wholes)))

    def _shared(self, cluster: Cluster, nested: list[Cluster]) -> int:
        """Return how many of its entries are in clusters that were found, too, but for those that are ``nested``."""
        others = [each for each in self.found if each not in nested]
        return sum(
            entries for kind, entries in self._kinds.items() if _is_part(kind, cluster) and _is_in_any(kind, others)
        )


def _most_shared(entries: int) -> float:
    return entries * (1 - _LEAST_NEW)


def _fields_of(cluster: Cluster) -> int:
    return sum(field is not None for field in cluster)


def _addresses_of(cluster: Cluster) -> int:
    return sum(address is not None for address in (cluster.destination, cluster.source))


def _entries_of_clusters(kinds: _Sample) -> collections.Counter[Cluster]:
    """Return how many entries there are of each cluster: of each kind, with some of its values left out."""
    counts: collections.Counter[Cluster] = collections.Counter()
    for kind, entries in kinds.items():
        shared = [field for field in _SAYS if getattr(kind, field) is not None]
        for number in range(len(shared) + 1):
            for left_out in itertools.combinations(shared, number):
                counts[Cluster(**{**kind._asdict(), **dict.fromkeys(left_out)})] += entries
    return counts


def _is_in_any(kind: Cluster, clusters: t.Iterable[Cluster]) -> bool:
    return any(_is_part(kind, cluster) for cluster in clusters)


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

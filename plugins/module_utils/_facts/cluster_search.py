# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Finds the clusters that say most about a sample of a table's entries.

Values that many entries share are combined field by field, as long as many entries share the combination (frequent item
sets). Of these the one is taken that says most of most entries, then the one that says most of those that are left.
"""

from __future__ import annotations

import functools
import operator
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._facts.cluster_items import Item, Items, count_rows
from ansible_collections.netops.conntrack.plugins.module_utils._facts.clusters import Cluster
from ansible_collections.netops.conntrack.plugins.module_utils._facts.networks import Network
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block

LEAST_PERCENT = 5
"""The least share of the table that a cluster has."""

_ENOUGH = 0.9
"""The part of what can be explained after which only parts of clusters are looked for."""

_LEAST_NEW = 0.9
"""The least part of a cluster's entries that are in no other one, apart from its parts and its whole."""

_LEAST_PART, _LEAST_BESIDES_PARTS = 4, 2
"""How many times the least share a cluster has that is a part of another, and the rest of one that has parts."""

_MOST_CANDIDATES = 1_000
"""Combinations that are looked at. A table that nobody made for it has some hundreds."""

_SAYS = {
    "state": 1.2,
    "single_packet": 1.1,
    "icmp_type": 1.1,
    "destination_port": 1.4,
    "destination": 1.8,
    "source": 1.8,
    "zone": 1.2,
    "reply_source": 1.1,
    "reply_destination": 1.1,
}
"""How much more a cluster says that has a field. Of an address that is for a single one."""

_OF_MOST_ENTRIES = ("zone", "reply_source", "reply_destination")
"""Fields of which a value may be that of most entries of a router, so that it says nothing."""

_NETWORK_SAYS = 0.25
"""What part of this a network says, times the share of its bits that all its addresses have in common."""

_SAYS_LITTLE = 0.5
"""How much less one says that is answered and has no host: so most entries of a healthy table are."""

_TELLING = 2
"""How many times more often a network, a zone or an address after NAT is in a cluster than elsewhere, to be named."""

_NARROWER = 0.95
"""What part of a cluster's entries a network has at the most, to be named."""


class _Candidate(t.NamedTuple):
    """A cluster with its rows of the sample. ``weight`` is how much its fields say."""

    cluster: Cluster
    rows: int
    entries: int
    weight: float

    @property
    def says(self) -> float:
        """How much the cluster says, in comparison with the protocol alone."""
        return self.weight * _SAYS_LITTLE if self.cluster.replied and not self.cluster.has_host else self.weight


def largest_clusters(sample: list[Block], most: int) -> list[Cluster]:
    """Return ``most`` clusters at the most, first the one that says most.

    A cluster may be a part of another one. Apart from that they hardly share an entry.
    """
    total = sum(map(len, sample))
    least = total * LEAST_PERCENT / 100
    if not most or not total:
        return []
    search = _Search(_candidates(Items(sample, least), total, least), least)
    for _number in range(most):
        if not search.find_next():
            break
    return [each.cluster for each in search.found]


def _candidates(items: Items, total: int, least: float) -> list[_Candidate]:
    """Return the combinations of values that enough entries share, field by field."""
    candidates = []
    for (protocol, replied), rows in items.kinds:
        candidates.append(_Candidate(Cluster(protocol, replied), rows, count_rows(rows), 1.0))
    for field in _SAYS:
        found = []
        for item in items.by_field[field]:
            combinations = (_combined(known, field, item, total, least) for known in candidates)
            found += [each for each in combinations if each is not None]
        # Where there are too many, those with most entries are kept.
        found.sort(key=lambda each: each.entries, reverse=True)
        candidates += found[: max(0, _MOST_CANDIDATES - len(candidates))]
    return candidates


def _combined(known: _Candidate, field: str, item: Item, total: int, least: float) -> _Candidate | None:
    """Return a cluster with one more field, or None where it has too few entries or the field says nothing."""
    rows = known.rows & item.rows
    entries = count_rows(rows)
    if entries < least:
        return None
    weight = _SAYS[field]
    is_network = isinstance(item.value, Network) and not item.value.is_host
    if is_network:
        if entries > _NARROWER * known.entries:
            return None
        common_bits = item.value.length / (8 * len(item.value.address))
        weight = 1 + (weight - 1) * _NETWORK_SAYS * common_bits
    if (is_network or field in _OF_MOST_ENTRIES) and not _is_telling(known, item, total, least):
        return None
    return _Candidate(known.cluster._replace(**{field: item.value}), rows, entries, known.weight * weight)


def _is_telling(known: _Candidate, item: Item, total: int, least: float) -> bool:
    """Return whether a value is more frequent in a cluster than in all other entries.

    Where there are hardly any others, nothing can tell it from them.
    """
    others = total - known.entries
    if others < least:
        return False
    here = count_rows(item.rows & known.rows) / known.entries
    elsewhere = count_rows(item.rows & ~known.rows) / others
    return here >= _TELLING * elsewhere


class _Search:
    """Finds the clusters that say most about a sample, one after the other: each what the others do not say."""

    def __init__(self, candidates: list[_Candidate], least: float) -> None:
        # So the first that says enough ends the search for the next one.
        self._candidates = sorted(candidates, key=lambda each: each.entries * each.says, reverse=True)
        self._least = least
        self._enough = _ENOUGH * count_rows(_rows_of(candidates))
        self._held = 0
        self.found: list[_Candidate] = []

    def find_next(self) -> bool:
        """Find the next cluster, and note it. Return whether there is one that says anything."""
        best, most = None, 0.0
        for candidate in self._candidates:
            if candidate.entries * candidate.says <= most:
                break
            gain = self._gain(candidate)
            if gain > most:
                best, most = candidate, gain
        if best is None:
            return False
        self.found.append(best)
        self._held |= best.rows
        return True

    def _gain(self, candidate: _Candidate) -> float:
        """Return how much a cluster says besides those that were found.

        It is 0 where it shares entries with one that is neither a part of it nor the whole of it.
        """
        wholes = [each for each in self.found if candidate.cluster.is_part_of(each.cluster)]
        if wholes:
            return self._gain_of_part(candidate, wholes)
        if count_rows(self._held) >= self._enough:
            return 0
        new = count_rows(candidate.rows & ~self._held)
        if candidate.entries - new <= _most_shared(candidate.entries):
            return new * candidate.says
        parts = [each for each in self.found if each.cluster.is_part_of(candidate.cluster)]
        if new < _LEAST_BESIDES_PARTS * self._least or self._shared(candidate, parts) > _most_shared(new):
            return 0
        return new * candidate.says

    def _gain_of_part(self, candidate: _Candidate, wholes: list[_Candidate]) -> float:
        """Return how much a cluster says that is a part of others. Only an address says more than they do."""
        has_address = candidate.cluster.addresses > max(whole.cluster.addresses for whole in wholes)
        if not has_address or candidate.entries < _LEAST_PART * self._least:
            return 0
        if self._shared(candidate, wholes) > _most_shared(candidate.entries):
            return 0
        return candidate.entries * (candidate.says - max(whole.says for whole in wholes))

    def _shared(self, candidate: _Candidate, nested: list[_Candidate]) -> int:
        """Return how many of its entries are in clusters that were found, too, but for those that are ``nested``."""
        return count_rows(candidate.rows & _rows_of([each for each in self.found if each not in nested]))


def _rows_of(candidates: t.Iterable[_Candidate]) -> int:
    """Return the rows that are in any of the clusters."""
    return functools.reduce(operator.or_, (each.rows for each in candidates), 0)


def _most_shared(entries: int) -> float:
    return entries * (1 - _LEAST_NEW)

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Clusters counted by columns of bytes.

A cluster can be said as a selector, but a selector asks a test for each combination of values (see _table.memo), which
costs a sixth of a summary. Here each byte of a value is a column of its own, and a column is compared in one call, for
eight clusters at once. That both count the same entries is what the tests look at.
"""

from __future__ import annotations

import collections
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._facts.clusters import FieldCondition
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block
from ansible_collections.netops.conntrack.plugins.module_utils._table.layouts import Layout

_BITS = 8
"""So many clusters have a bit of one byte each."""

_WITH_BIT = [bytes(byte >> number & 1 for byte in range(256)) for number in range(_BITS)]
"""By the number of a bit, a table from each byte to whether it has the bit."""


class Conditions(t.Protocol):
    """Entries of one protocol whose fields have some values, such as a cluster."""

    @property
    def protocol(self) -> int:
        """The number of the protocol."""

    @property
    def conditions(self) -> list[FieldCondition]:
        """What has to hold for the fields."""


class _ColumnPlan(t.NamedTuple):
    """How up to eight clusters are counted in blocks of one layout.

    Each cluster has a bit. ``possible`` has those of the clusters that can have entries of the layout. A column is the
    number of a byte in a row, and a table from its values to the bits of the clusters that they fit.
    """

    possible: int
    columns: list[tuple[int, bytes]]


class ClusterRows:
    """Which rows of a block are in which clusters.

    For each eight clusters there is a column of bytes, with a byte for each row. A bit of it is a cluster.
    """

    def __init__(self, columns: list[bytes]) -> None:
        self._columns = columns

    def patterns(self) -> dict[int, int]:
        """Return how many rows are in the same clusters, by the bits of these. Rows in none of them are left out."""
        if len(self._columns) == 1:
            counts = _byte_counts(self._columns[0])
        else:
            # That takes ten times as long, so it is for more than eight clusters only.
            rows = collections.Counter(zip(*self._columns))
            counts = {int.from_bytes(bytes(row), "little"): entries for row, entries in rows.items()}
        counts.pop(0, None)
        return counts

    def of(self, number: int) -> bytes:
        """Return a byte for each row: 1 for those in the cluster of this number, 0 for the others."""
        return self._columns[number // _BITS].translate(_WITH_BIT[number % _BITS])


def _byte_counts(column: bytes) -> dict[int, int]:
    """Return how often each byte is in a column. That is quick because few different ones are."""
    counts = {}
    while column:
        byte = column[0]
        others = column.translate(None, bytes([byte]))
        counts[byte] = len(column) - len(others)
        column = others
    return counts


class ClusterCounts:
    """Finds the rows of clusters, so that each byte of a row is looked at once for eight of them."""

    def __init__(self, clusters: t.Sequence[Conditions]) -> None:
        self._groups = [clusters[start : start + _BITS] for start in range(0, len(clusters), _BITS)]
        self._plans: dict[Layout, list[_ColumnPlan]] = {}

    def rows_of(self, block: Block) -> ClusterRows | None:
        """Return which rows of the block are in which clusters, or None if none is in any."""
        plans = self._plans.get(block.layout)
        if plans is None:
            plans = self._plans[block.layout] = [_plan(group, block.layout) for group in self._groups]
        rows = [_fits(plan, block) for plan in plans]
        if not any(rows):
            return None
        return ClusterRows([number.to_bytes(len(block), "little") for number in rows])


def _fits(plan: _ColumnPlan, block: Block) -> int:
    """Return for each row a byte with the bits of the clusters that it is in, as one number."""
    return block.bits(plan.columns) if plan.possible else 0


def _plan(clusters: t.Sequence[Conditions], layout: Layout) -> _ColumnPlan:
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


def _wanted(cluster: Conditions, layout: Layout) -> dict[int, tuple[int, int]] | None:
    """Return by the number of a byte in a row which value its bits have, and which bits count, in the cluster.

    None is for a layout whose entries cannot be in the cluster.
    """
    if layout.constants["protocol"] != cluster.protocol:
        return None
    wanted: dict[int, tuple[int, int]] = {}
    for condition in cluster.conditions:
        place = layout.fields.get(condition.field)
        if place is None:
            if layout.constants[condition.field] == condition.value:
                continue
            return None
        size = place.end - place.start
        if condition.size not in (None, size):
            return None
        mask = (1 << 8 * size) - 1 if condition.mask is None else condition.mask
        values, masks = condition.value.to_bytes(size, "big"), mask.to_bytes(size, "big")
        wanted.update({place.start + at: (values[at], masks[at]) for at in range(size) if masks[at]})
    return wanted

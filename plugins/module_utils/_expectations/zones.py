# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""In which zone each expectation is, which kernels do not tell in a dump, and without which none can be deleted.

An expectation is in the zone of its master. The default zone is tried first. Where that is wrong, the zones of all
entries with the tuple of the master are. A lookup sends the id, so that the answer is that of this expectation alone.
"""

from __future__ import annotations

import collections
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._entry.entry import Entry
from ansible_collections.netops.conntrack.plugins.module_utils._expectations.expectation import Expectation
from ansible_collections.netops.conntrack.plugins.module_utils._expectations.requests import Target, batches, look_up
from ansible_collections.netops.conntrack.plugins.module_utils._netlink import transport
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block
from ansible_collections.netops.conntrack.plugins.module_utils._table.table import Table

_Ends = tuple[t.Any, ...]
_ZONES = ("zone", "zone_original", "zone_reply")
_NAMES = ("protocol", "source", "destination", "source_port", "destination_port", "icmp_id")


def with_zones(expectations: t.Sequence[Expectation], table: Table) -> list[Expectation]:
    """Return the expectations with their zones, in the same order.

    One that is gone by now has none, and neither has one whose master has no entry in the table yet. The table is read
    only if some are in another zone than the default one. Raises what Table.read and ``look_up`` raise.
    """
    zones: dict[int, int] = {at: one.zone for at, one in enumerate(expectations) if one.zone is not None}
    _find(zones, {at: {0} for at in range(len(expectations))}, expectations)
    without = [at for at in range(len(expectations)) if at not in zones]
    if without:
        candidates = _zones_of({_ends(expectations[at].master) for at in without}, table)
        _find(zones, {at: candidates[_ends(expectations[at].master)] for at in without}, expectations)
    return [one.in_zone(zones[at]) if at in zones else one for at, one in enumerate(expectations)]


def _find(
    zones: dict[int, int], candidates: t.Mapping[int, t.Collection[int]], expectations: t.Sequence[Expectation]
) -> None:
    """Add to ``zones``, by the expectation's place, that of its ``candidates`` in which the kernel finds it."""
    tried = [(at, zone) for at, some in candidates.items() if at not in zones for zone in sorted(some)]
    targets = [Target(expectations[at], zone) for at, zone in tried]
    if not targets:
        return
    with transport.open_socket() as source:
        answers = [answer for first, batch in batches(targets) for answer in look_up(source, batch, first)]
    zones.update(place for place, answer in zip(tried, answers) if answer == 0)


def _zones_of(masters: t.Collection[_Ends], table: Table) -> t.Mapping[_Ends, set[int]]:
    """Return the zones other than the default one of the entries that have these tuples."""

    def collect(blocks: t.Iterator[Block]) -> t.Mapping[_Ends, set[int]]:
        found: dict[_Ends, set[int]] = collections.defaultdict(set)
        for block in blocks:
            # Entries of the default zone have none in their layout.
            if not block.layout.fields.keys().isdisjoint(_ZONES):
                _add(found, block, masters)
        return found

    return table.read(collect)


def _add(found: dict[_Ends, set[int]], block: Block, masters: t.Collection[_Ends]) -> None:
    columns = (_column(block, name) for name in _NAMES)
    for ends, zone in zip(zip(*columns), block.column("zone")):
        if ends in masters:
            found[ends].add(zone)


def _column(block: Block, name: str) -> t.Iterable[t.Any]:
    return block.byte_strings(name) if name in ("source", "destination") else block.column(name)


def _ends(master: Entry) -> _Ends:
    """Return what a master has in common with its entry. The length of an address tells its family."""
    return tuple(getattr(master, name) for name in _NAMES)

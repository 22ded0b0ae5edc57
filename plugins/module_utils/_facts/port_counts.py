# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""How many entries have each port.

The ports of clients are all over the 65,536 that there are. A dict of so many is larger than the cache of a processor,
and to count in it takes five times as long as in a list with a place for each. A list has no hash either, so that no
sender can choose ports that all meet in one place.
"""

from __future__ import annotations

import heapq
import itertools

from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block

_PORTS = 1 << 16


class PortCounts:
    """How many entries have each port of one side."""

    def __init__(self, name: str) -> None:
        """Count the field of this ``name``."""
        self._name = name
        self._counts = [0] * _PORTS

    def add(self, block: Block) -> None:
        """Count the ports of the entries of a block, whose layout must have some."""
        ports = block.numbers(self._name)
        counts = self._counts
        if block.is_uniform([self._name]):
            counts[ports[0]] += len(ports)
            return
        for port in ports:
            counts[port] += 1

    def most_common(self, number: int) -> list[tuple[int, int]]:
        """Return the ports with the largest counts. Of equal counts, the smaller port comes first."""
        counts = self._counts
        counted = zip(itertools.compress(counts, counts), itertools.compress(range(_PORTS), counts))
        # To compare one number takes a fifth of the time that a pair of two takes.
        largest = heapq.nlargest(number, (count * _PORTS - port for count, port in counted))
        return [(-rank % _PORTS, -(-rank // _PORTS)) for rank in largest]

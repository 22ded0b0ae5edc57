# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""How many different addresses some entries have, exactly up to a bound, and which network they are in."""

from __future__ import annotations

import functools
import itertools
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._facts.networks import Network, common_network
from ansible_collections.netops.conntrack.plugins.module_utils._facts.value_counts import masked_words, unmasked_words
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block, from_network

MOST_ADDRESSES = 4_096
"""So many different addresses are counted exactly, in half a megabyte."""

_WORD_BYTES = 4


class DistinctAddresses:
    """The different addresses in a field, as long as they are no more than MOST_ADDRESSES, and their network."""

    def __init__(self, field: str) -> None:
        self._field = field
        self._values: dict[int, set[t.Any]] = {}
        self._networks: dict[int, Network] = {}
        self.are_more = False
        """Whether there are more than are counted."""

    def add(self, block: Block, members: bytes | None) -> None:
        """Count the rows of a block for which ``members`` has a 1. None stands for all rows."""
        if self.are_more:
            self._widen(block, members)
            return
        place = block.layout.fields[self._field]
        size = place.end - place.start
        column: t.Iterable[t.Any]
        if size == _WORD_BYTES:
            column = masked_words(block.word_column(place.start // _WORD_BYTES))
        else:
            column = block.byte_strings(self._field)
        values = self._values.setdefault(size, set())
        values.update(column if members is None else itertools.compress(column, members))
        if sum(map(len, self._values.values())) > MOST_ADDRESSES:
            self._networks = self._networks_of_values()
            self._values.clear()
            self.are_more = True

    @property
    def number(self) -> int:
        """How many there are, or MOST_ADDRESSES where there are more."""
        return MOST_ADDRESSES if self.are_more else sum(map(len, self._values.values()))

    @property
    def network(self) -> Network | None:
        """The smallest network that has all of them, or None where only that of all addresses has."""
        networks = list((self._networks if self.are_more else self._networks_of_values()).values())
        return networks[0] if len(networks) == 1 and networks[0].length else None

    def _networks_of_values(self) -> dict[int, Network]:
        """Return by the size of an address the smallest network with all that were counted."""
        networks = {}
        for size, values in self._values.items():
            if values and size == _WORD_BYTES:
                numbers = from_network(unmasked_words(values))
                ends = [number.to_bytes(size, "big") for number in (min(numbers), max(numbers))]
                networks[size] = common_network(*ends)
            elif values:
                networks[size] = common_network(min(values), max(values))
        return networks

    def _widen(self, block: Block, members: bytes | None) -> None:
        """Widen the network to the addresses of the block's rows that are not in it, which are few."""
        place = block.layout.fields[self._field]
        network = self._networks.get(place.end - place.start)
        outside = members
        if network is not None:
            outside = _outside(block, place.start, network, members)
            if outside is None:
                return
        addresses = block.byte_strings(self._field)
        strays = set(addresses if outside is None else itertools.compress(addresses, outside))
        if network is not None:
            strays |= {network.address, network.last}
        self._networks[place.end - place.start] = common_network(min(strays), max(strays))


def _outside(block: Block, start: int, network: Network, members: bytes | None) -> bytes | None:
    """Return a byte for each row, 1 for members whose address is not in the network, or None if there is no such row.

    The address begins at the byte ``start`` of a row. Each byte of it is a column.
    """
    rows = int.from_bytes(b"\1" * len(block) if members is None else members, "little")
    outside = rows & ~block.bits((start + at, table) for at, table in _tables(network))
    return outside.to_bytes(len(block), "little") if outside else None


@functools.lru_cache(maxsize=64)
def _tables(network: Network) -> list[tuple[int, bytes]]:
    """Return by the number of a byte of an address a table from its values to whether they are in the network."""
    masks = network.mask.to_bytes(len(network.address), "big")
    return [
        (at, bytes(byte & mask == value for byte in range(256)))
        for at, (value, mask) in enumerate(zip(network.address, masks))
        if mask
    ]

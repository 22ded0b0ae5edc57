# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""What many entries of a sample share: values of their fields, each with the rows that have it.

The rows of a value are the bits of one number. So the rows that have two values are an AND of two numbers.
"""

from __future__ import annotations

import collections
import heapq
import itertools
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._facts.clusters import ADDRESS_FIELDS
from ansible_collections.netops.conntrack.plugins.module_utils._facts.networks import Network, heavy_networks
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block

_MOST_VALUES = 8
"""Values of a field that are looked at, and of an address so many hosts and so many networks. More of them have too
small shares to be a cluster each, and their combinations would take long."""

_ESTABLISHED = _uapi.STATE_NAMES[_uapi.TCP].index("ESTABLISHED")
_STATES = frozenset(range(1, len(_uapi.STATE_NAMES[_uapi.TCP])))
"""The states of TCP that have a name of their own."""

_USUAL_ICMP_TYPES = frozenset({8, 128})
"""Echo requests of ICMP and ICMPv6. Nearly all entries have these, so that they say nothing."""

_DEFAULT_ZONE = 0
_DIGIT_ONE = ord("1")


class Item(t.NamedTuple):
    """A value of a field, and the bits of the rows that have it."""

    value: t.Any
    rows: int


Column = list[t.Any]
"""A value for each row of the sample, or None."""


def _count_bits(number: int) -> int:
    return bin(number).count("1")


count_rows: t.Callable[[int], int] = getattr(int, "bit_count", _count_bits)
"""Return how many bits of a number are set. Python has it of its own since 3.10."""


class Items:
    """The values that ``least`` entries of a sample or more have, by field."""

    def __init__(self, sample: list[Block], least: float) -> None:
        """Read the sample. Entries without a status, or of a kind that the kernel never makes, have no value."""
        blocks = [block for block in sample if _is_told(block)]
        self._least = least
        self._size = sum(map(len, blocks))
        self.kinds = self._heavy(_kinds(blocks))
        """Whether entries of a protocol were answered, as (protocol, replied)."""
        self.by_field: dict[str, list[Item]] = {
            "state": self._heavy(_states(blocks)),
            "single_packet": self._heavy(_single_packets(blocks)),
            "icmp_type": self._heavy(_icmp_types(blocks)),
            "destination_port": self._heavy(_ports(blocks)),
            "zone": self._heavy(_zones(blocks)),
        }
        addresses = {name: _addresses(blocks, name) for name in ADDRESS_FIELDS}
        for name in ("destination", "source"):
            self.by_field[name] = self._networks(addresses[name])
        for name, before in (("reply_source", "destination"), ("reply_destination", "source")):
            self.by_field[name] = self._translated(addresses[name], addresses[before])

    def _heavy(self, column: Column) -> list[Item]:
        """Return the values with most rows."""
        counts = collections.Counter(value for value in column if value is not None)
        values = {value for value, rows in counts.most_common(_MOST_VALUES) if rows >= self._least}
        rows_of: dict[t.Any, list[int]] = {value: [] for value in sorted(values)}
        if values:
            for row, value in enumerate(column):
                if value in values:
                    rows_of[value].append(row)
        return [Item(value, self._bits(rows)) for value, rows in rows_of.items()]

    def _bits(self, rows: t.Iterable[int]) -> int:
        digits = bytearray(b"0") * self._size
        for row in rows:
            digits[row] = _DIGIT_ONE
        return int(digits, 2)

    def _networks(self, column: Column) -> list[Item]:
        """Return the hosts and the networks with most rows, of both families."""
        items = []
        for size in (4, 16):
            rows = [row for row, address in enumerate(column) if len(address) == size]
            if len(rows) < self._least:
                continue
            # Packed addresses have the order of their numbers.
            rows.sort(key=column.__getitem__)
            addresses = [column[row] for row in rows]
            items += [
                Item(network, self._bits(rows[places.start : places.stop]))
                for network, places in _largest(heavy_networks(addresses, self._least))
            ]
        return items

    def _translated(self, column: Column, before: Column) -> list[Item]:
        """Return the addresses that NAT puts in the place of others, and all entries that have them."""
        counts = collections.Counter(after for after, address in zip(column, before) if after != address)
        frequent = {address for address, rows in counts.most_common(_MOST_VALUES) if rows >= self._least}
        items = self._heavy([address if address in frequent else None for address in column]) if frequent else []
        return [item._replace(value=Network(item.value, 8 * len(item.value))) for item in items]


def _largest(found: list[tuple[Network, range]]) -> list[tuple[Network, range]]:
    """Return the hosts and the networks with most addresses."""
    largest = []
    for is_host in (True, False):
        of_kind = [each for each in found if each[0].is_host is is_host]
        largest += heapq.nlargest(_MOST_VALUES, of_kind, key=lambda each: len(each[1]))
    return largest


def _is_told(block: Block) -> bool:
    kind = block.layout.constants["family"], block.layout.constants["protocol"]
    return "status" in block.layout.fields and kind not in _uapi.IMPOSSIBLE_KINDS


_REPLIED = bytes(bool(byte & _uapi.SEEN_REPLY) for byte in range(256))
"""From the lowest byte of the status to whether the entry was answered."""


def _answered(block: Block) -> bytes:
    return block.data[block.layout.fields["status"].end - 1 :: block.layout.size].translate(_REPLIED)


def _kinds(blocks: list[Block]) -> Column:
    return [(block.layout.constants["protocol"], bool(replied)) for block in blocks for replied in _answered(block)]


def _states(blocks: list[Block]) -> Column:
    return [state for block in blocks for state in _states_of(block)]


def _states_of(block: Block) -> t.Iterable[int | None]:
    """Return the state of each entry of TCP that has one with a name."""
    if block.layout.constants["protocol"] != _uapi.TCP or "state" not in block.layout.fields:
        return itertools.repeat(None, len(block))
    return (state if state in _STATES else None for state in block.numbers("state"))


def _single_packets(blocks: list[Block]) -> Column:
    """Return True for each entry of TCP that is established and saw a single packet and no answer."""
    column: Column = []
    for block in blocks:
        if "packets_original" in block.layout.fields:
            rows = zip(_states_of(block), _answered(block), block.numbers("packets_original"))
            column += [True if row == (_ESTABLISHED, 0, 1) else None for row in rows]
        else:
            column += [None] * len(block)
    return column


def _icmp_types(blocks: list[Block]) -> Column:
    types = _values(blocks, "icmp_type", _uapi.ICMP_PROTOCOLS)
    return [None if number in _USUAL_ICMP_TYPES else number for number in types]


def _ports(blocks: list[Block]) -> Column:
    """Return the destination ports. GRE has keys in their place."""
    return _values(blocks, "destination_port", _uapi.PORT_PROTOCOLS)


def _zones(blocks: list[Block]) -> Column:
    zones = [zone for block in blocks for zone in block.column("zone")]
    return [None if zone == _DEFAULT_ZONE else zone for zone in zones]


def _values(blocks: list[Block], name: str, protocols: t.Container[int]) -> Column:
    column: Column = []
    for block in blocks:
        has_field = block.layout.constants["protocol"] in protocols and name in block.layout.fields
        column += block.numbers(name) if has_field else [None] * len(block)
    return column


def _addresses(blocks: list[Block], name: str) -> list[bytes]:
    return [address for block in blocks for address in block.byte_strings(name)]

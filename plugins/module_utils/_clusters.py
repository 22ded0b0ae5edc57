# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Clusters of entries, which share their protocol and the values of some fields, counted by columns of bytes.

A cluster can be said as a selector, but a selector asks a test for each combination of values (see _memo), which costs
a sixth of a summary. Here each byte of a value is a column of its own, and a column is compared in one call. So a
cluster costs a fiftieth at most. That both count the same entries is what the tests look at.
"""

from __future__ import annotations

import functools
import ipaddress
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._wire import Block


class Cluster(t.NamedTuple):
    """What the entries of a cluster share. None: they do not share it.

    Addresses are packed. ``single_packet`` is whether each of them saw one packet and no more.
    """

    protocol: int
    replied: bool
    state: int | None = None
    single_packet: bool | None = None
    destination: bytes | None = None
    destination_port: int | None = None
    source: bytes | None = None

    @property
    def match(self) -> dict[str, t.Any]:
        """The selector of these entries."""
        match: dict[str, t.Any] = {
            "protocol": _uapi.PROTOCOL_NAMES.get(self.protocol, str(self.protocol)),
            "state": _uapi.state_name(self.protocol, self.state),
            "replied": self.replied,
            "packets_original": {"min": 1, "max": 1} if self.single_packet else None,
            "source": _address(self.source),
            "destination": _address(self.destination),
            "destination_port": self.destination_port,
        }
        return {key: value for key, value in match.items() if value is not None}

    @property
    def may_be_one_way(self) -> bool:
        """Whether it may have live TCP connections whose answers take another way.

        With asymmetric routing these are ESTABLISHED and never answered. They see more than one packet.
        """
        if self.protocol != _uapi.TCP or self.replied or self.single_packet:
            return False
        return _uapi.state_name(self.protocol, self.state) in (None, "ESTABLISHED")

    @property
    def conditions(self) -> list[Condition]:
        """What has to hold for the fields of an entry of the protocol."""
        conditions = [Condition("status", _uapi.SEEN_REPLY if self.replied else 0, _uapi.SEEN_REPLY)]
        numbers = {
            "state": self.state,
            "destination_port": self.destination_port,
            "packets_original": 1 if self.single_packet else None,
        }
        conditions += [Condition(name, number) for name, number in numbers.items() if number is not None]
        for name, address in (("destination", self.destination), ("source", self.source)):
            if address is not None:
                conditions.append(Condition(name, int.from_bytes(address, "big"), size=len(address)))
        return conditions


def _address(packed: bytes | None) -> str | None:
    return None if packed is None else str(ipaddress.ip_address(packed))


class Condition(t.NamedTuple):
    """A field has a value in the bits of ``mask``, without one in all bits. ``size`` is that of the field in bytes."""

    field: str
    value: int
    mask: int | None = None
    size: int | None = None


class Columns:
    """The bytes of a block's fields as columns. What several clusters ask for is worked out once."""

    def __init__(self, block: Block) -> None:
        self._block = block
        self._columns: dict[int, bytes] = {}
        self._rows: dict[Condition, int | None] = {}

    def count(self, conditions: t.Iterable[Condition]) -> int:
        """Return for how many entries all of the ``conditions`` hold."""
        rows: int | None = None
        for condition in conditions:
            rows = _both(rows, self._rows_of(condition))
            if rows == 0:
                return 0
        if rows is None:
            return len(self._block)
        return len(rows.to_bytes(len(self._block), "little").translate(None, b"\0"))

    def _rows_of(self, condition: Condition) -> int | None:
        """Return the rows for which it holds: a byte for each, 1 or 0. None is for all rows."""
        if condition not in self._rows:
            self._rows[condition] = self._looked_up(condition)
        return self._rows[condition]

    def _looked_up(self, condition: Condition) -> int | None:
        place = self._block.layout.fields.get(condition.field)
        if place is None or condition.size not in (None, place.end - place.start):
            return 0
        rows: int | None = None
        for at, table in enumerate(_tables(condition.value, condition.mask, place.end - place.start), place.start):
            held = None if table is None else self._column(at).translate(table)
            if held is not None and b"\0" in held:
                rows = _both(rows, int.from_bytes(held, "little"))
            if rows == 0:
                break
        return rows

    def _column(self, at: int) -> bytes:
        if at not in self._columns:
            self._columns[at] = self._block.data[at :: self._block.layout.size]
        return self._columns[at]


def _both(one: int | None, other: int | None) -> int | None:
    """Return the rows that are in both, where None stands for all rows."""
    if one is None:
        return other
    return one if other is None else one & other


@functools.lru_cache(maxsize=256)
def _tables(value: int, mask: int | None, size: int) -> tuple[bytes | None, ...]:
    """Return for each byte of a value the table that makes 1 of the bytes that fit and 0 of all others.

    None is for a byte of which no bit counts.
    """
    masks = (2 ** (8 * size) - 1 if mask is None else mask).to_bytes(size, "big")
    return tuple(
        bytes(byte & bits == wanted for byte in range(256)) if bits else None
        for wanted, bits in zip(value.to_bytes(size, "big"), masks)
    )

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Networks of addresses, and those that many addresses are in.

This is the problem of hierarchical heavy hitters, solved top-down: a network can only hold many addresses if the larger
one around it does.
"""

from __future__ import annotations

import bisect
import ipaddress
import typing as t

_LEVELS: dict[int, t.Sequence[int]] = {4: range(8, 33), 16: (32, 48, 56, 64, 128)}
"""By the number of bytes of an address, how long the prefix of a network is that says something.

IPv6 has few lengths that people use.
"""

_MOST_LEFT_OUT = 0.05
"""The part of a network's addresses that may lie outside of its border, so that a few strays do not widen it."""


_LEAST_FURTHER = 4
"""How many bits a network's prefix is longer than that of the next larger one, to be named. So it is much denser."""


class Network(t.NamedTuple):
    """The addresses that begin with the same ``length`` bits. ``address`` is the first of them, packed."""

    address: bytes
    length: int

    @property
    def is_host(self) -> bool:
        """Whether it is a single address."""
        return self.length == 8 * len(self.address)

    @property
    def text(self) -> str:
        """The network as selectors write it. A single address has no length."""
        address = ipaddress.ip_address(self.address)
        return str(address) if self.is_host else f"{address}/{self.length}"

    @property
    def last(self) -> bytes:
        """The last of its addresses, packed."""
        size = len(self.address)
        return (int.from_bytes(self.address, "big") | ~self.mask & (1 << 8 * size) - 1).to_bytes(size, "big")

    @property
    def mask(self) -> int:
        """The bits that are the same in all its addresses."""
        bits = 8 * len(self.address)
        return (1 << bits) - (1 << bits - self.length)

    def contains(self, other: Network) -> bool:
        """Return whether all addresses of another network are in this one."""
        if len(self.address) != len(other.address) or self.length > other.length:
            return False
        number = int.from_bytes(self.address, "big")
        return int.from_bytes(other.address, "big") & self.mask == number


def common_network(smallest: bytes, largest: bytes) -> Network:
    """Return the smallest network with both of these packed addresses, so that it has all between them.

    Its length is one that says something, or 0: then it is all addresses.
    """
    size = len(smallest)
    first, last = int.from_bytes(smallest, "big"), int.from_bytes(largest, "big")
    border = 8 * size - (first ^ last).bit_length()
    length = max((level for level in _LEVELS[size] if level <= border), default=0)
    return network_of(smallest, length)


def network_of(address: bytes, length: int) -> Network:
    """Return the network of this length that a packed address is in."""
    free = 8 * len(address) - length
    first = int.from_bytes(address, "big") >> free << free
    return Network(first.to_bytes(len(address), "big"), length)


class _Part(t.NamedTuple):
    """The sorted addresses from ``start`` to ``end`` share ``length`` bits. Of so many (``whole``) it is the border.

    ``around`` is the length of the next larger network that is a border.
    """

    length: int
    start: int
    end: int
    whole: int
    around: int

    @property
    def entries(self) -> int:
        return self.end - self.start


def heavy_networks(addresses: list[bytes], least: float) -> list[tuple[Network, range]]:
    """Return the networks that hold ``least`` or more of the addresses, each with the range of those that it holds.

    The addresses are sorted, packed, and of one family. Where nearly all addresses of a network are in a smaller one,
    only that is returned: so its length is that of the real border. A half or a quarter of a larger network says
    nothing, because addresses that are spread evenly have such, too.
    """
    if len(addresses) < least or not addresses:
        return []
    parts = [_Part(0, 0, len(addresses), len(addresses), 0)]
    borders: list[_Part] = []
    for length in _LEVELS[len(addresses[0])]:
        longer: list[_Part] = []
        for part in parts:
            inner = [each for each in _parted(addresses, part, length) if each.entries >= least]
            largest = max((each.entries for each in inner), default=0)
            if largest >= part.whole * (1 - _MOST_LEFT_OUT):
                # The border is further inside.
                kept = part._replace(length=length)
                inner = [
                    kept._replace(start=each.start, end=each.end) if each.entries == largest else each for each in inner
                ]
            else:
                borders.append(part)
            longer += inner
        parts = longer
    return [
        (network_of(addresses[part.start], part.length), range(part.start, part.end))
        for part in (*borders, *parts)
        if part.length - part.around >= _LEAST_FURTHER or part.length == 8 * len(addresses[0])
    ]


def _parted(addresses: list[bytes], part: _Part, length: int) -> t.Iterator[_Part]:
    """Yield the parts of a part whose addresses share ``length`` bits."""
    start = part.start
    while start < part.end:
        last = network_of(addresses[start], length).last
        end = bisect.bisect_right(addresses, last, start, part.end)
        yield _Part(length, start, end, end - start, part.length)
        start = end

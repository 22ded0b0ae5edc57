# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The addresses of the router itself, by which the active member of a pair is known."""

from __future__ import annotations

import re
import socket
import typing as t

_ADDRESS = re.compile(r"\|-- ([0-9.]+)$", re.ASCII)
_DUPLICATE = 0x08
"""IFA_F_DADFAILED of linux/if_addr.h: another machine has this address."""


def parse_address(text: str) -> bytes:
    """Return an IPv4 or IPv6 address in network byte order. Raises ValueError."""
    try:
        return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)
    except OSError:
        raise ValueError(text) from None


def local_addresses(proc: str = "/proc") -> set[bytes]:
    """Return the addresses of the network namespace that the process is in, in network byte order.

    Also those of its VRFs. ``proc`` is where proc(5) is mounted. Raises OSError where it cannot be read.
    """
    with open(f"{proc}/net/fib_trie", encoding="ascii") as file:
        addresses = set(_of_version_4(file))
    try:
        with open(f"{proc}/net/if_inet6", encoding="ascii") as file:
            addresses.update(_of_version_6(file))
    except FileNotFoundError:
        # The kernel has no IPv6.
        pass
    return addresses


def _of_version_4(lines: t.Iterable[str]) -> t.Iterator[bytes]:
    """Yield the addresses of the routing tables (net/ipv4/fib_trie.c): each stands above the kinds of its routes."""
    address = b""
    for line in lines:
        found = _ADDRESS.search(line.rstrip())
        if found:
            address = parse_address(found[1])
        elif line.split() == ["/32", "host", "LOCAL"]:
            yield address


def _of_version_6(lines: t.Iterable[str]) -> t.Iterator[bytes]:
    """Yield the addresses of the interfaces, of which each line has one in hexadecimal (net/ipv6/addrconf.c)."""
    for line in lines:
        address, _interface, _length, _scope, flags = line.split()[:5]
        if not int(flags, 16) & _DUPLICATE:
            yield bytes.fromhex(address)

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The keys of a selector that compare what is in an entry's tuples: addresses, ports, keys of GRE, and ICMP."""

from __future__ import annotations

import socket
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._entry.entry import Entry
from ansible_collections.netops.conntrack.plugins.module_utils._selector.address_lists import (
    AddressList,
    parse_address_list,
)
from ansible_collections.netops.conntrack.plugins.module_utils._selector.key import (
    Answer,
    Compiled,
    Key,
    of_families,
    of_protocols,
    only,
)
from ansible_collections.netops.conntrack.plugins.module_utils._selector.values import (
    Network,
    Range,
    breakpoints_of,
    number_range,
    parse_network,
    port_range,
)
from ansible_collections.netops.conntrack.plugins.module_utils._table.kernel_filter import Condition

_EVERY_PROTOCOL = range(256)
_GRE_ONLY = frozenset({_uapi.GRE})


def address_key(*fields: str) -> Key[Network]:
    """Make a key that compares addresses, of which any may match."""

    def compiled(networks: list[Network], _context: Context) -> Compiled:
        by_family: dict[int, list[tuple[int, int]]] = {}
        for network in networks:
            address_and_mask = int(network.network_address), int(network.netmask)
            by_family.setdefault(_family_of(network), []).append(address_and_mask)

        def test(entry: Entry) -> Answer:
            wanted = by_family.get(entry.family)
            if wanted is None:
                return False
            for field in fields:
                address = int.from_bytes(getattr(entry, field), "big")
                if any(address & mask == network for network, mask in wanted):
                    return True
            return False

        condition = only([_condition(fields, network) for network in networks])
        ranges = [Range(int(network[0]), int(network[-1])) for network in networks]
        return Compiled(test, of_families(by_family), condition, dict.fromkeys(fields, breakpoints_of(ranges)))

    return Key(parse_network, compiled, ("family", *fields))


def address_list_key(*fields: str) -> Key[AddressList]:
    """Make a key that looks addresses up in lists, of which any may be in any."""

    def compiled(lists: list[AddressList], _context: Context) -> Compiled:
        def test(entry: Entry) -> Answer:
            family = entry.family
            addresses = [int.from_bytes(getattr(entry, field), "big") for field in fields]
            return any((family, address) in each for each in lists for address in addresses)

        families = frozenset().union(*(each.families for each in lists))
        breakpoints = frozenset(number for each in lists for number in each.breakpoints)
        return Compiled(test, of_families(families), breakpoints=dict.fromkeys(fields, breakpoints))

    return Key(parse_address_list, compiled, ("family", *fields))


def _family_of(network: Network) -> int:
    return int(socket.AF_INET if network.version == 4 else socket.AF_INET6)


def _condition(fields: tuple[str, ...], network: Network) -> Condition | None:
    """Return what the kernel can be asked for: it compares one IPv4 address of the original direction."""
    if fields not in (("source",), ("destination",)):
        return None
    if network.version != 4 or network.num_addresses != 1:
        return None
    return Condition(fields[0], int(network.network_address))


def port_key(field: str) -> Key[Range]:
    """Make a key for a port, which only some protocols have."""
    return _range_key(field, port_range, _uapi.PORT_PROTOCOLS)


def gre_key(field: str) -> Key[Range]:
    """Make a key for one of the two keys of GRE, which the kernel keeps where other protocols have their ports."""
    return _range_key(field, _parse_to(0xFFFF), _GRE_ONLY)


def icmp_key(field: str, maximum: int) -> Key[Range]:
    """Make a key for a number that only ICMP and ICMPv6 have."""
    return _range_key(field, _parse_to(maximum), _uapi.ICMP_PROTOCOLS)


def id_key() -> Key[Range]:
    """Make the key for the kernel's number of an entry, which entries of every protocol have."""
    return _range_key("id", _parse_to(0xFFFFFFFF), _EVERY_PROTOCOL)


def _parse_to(maximum: int) -> t.Callable[[t.Any, str], Range]:
    return lambda value, option: number_range(value, option, maximum)


def _range_key(field: str, parse: t.Callable[[t.Any, str], Range], protocols: t.Collection[int]) -> Key[Range]:
    """Make a key that compares a number with ranges. Only entries of ``protocols`` have it."""

    def compiled(ranges: list[Range], _context: Context) -> Compiled:
        def test(entry: Entry) -> Answer:
            if entry.protocol not in protocols:
                return False
            number = getattr(entry, field)
            return None if number is None else any(each.contains(number) for each in ranges)

        return Compiled(test, of_protocols(protocols), breakpoints={field: breakpoints_of(ranges)})

    return Key(parse, compiled, ("protocol", field))

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names and addresses of a lab."""

from __future__ import annotations

import ipaddress
import socket

import pytest
from topology import (
    CLIENT,
    CLIENT6,
    CLIENT6_GATEWAY,
    CLIENT_GATEWAY,
    FLOWS,
    MANAGEMENT,
    MAX_ROUTERS,
    SILENT,
    SILENT6,
    STALE_DESTINATIONS,
    UNANSWERED_DESTINATION,
    Router,
    choose_block,
    is_prefix,
    owned_by,
    stale_source,
)

BLOCK = ipaddress.IPv4Address("198.18.4.0")


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("nclab", True),
        ("a1", True),
        ("two-parts", True),
        ("abcdefghij", True),
        ("abcdefghijk", False),
        ("a", False),
        ("", False),
        ("1lab", False),
        ("lab-", False),
        ("La", False),
        ("a/b", False),
        ("a b", False),
    ],
)
def test_is_prefix(text: str, good: bool) -> None:
    assert is_prefix(text) is good


def test_the_longest_interface_name_fits() -> None:
    assert len(Router("abcdefghij", MAX_ROUTERS, BLOCK).link) <= 15


@pytest.mark.parametrize(
    ("name", "owned"),
    [
        ("nclab-r1", True),
        ("nclab-c12", True),
        ("nclab-s3", True),
        ("nclab-m3", True),
        ("nclab-r", False),
        ("nclab-x1", False),
        ("nclab2-r1", False),
        ("nclab-r1-r1", False),
        ("my-nclab-r1", False),
        ("nclab", False),
    ],
)
def test_a_lab_owns_its_names_and_no_others(name: str, owned: bool) -> None:
    assert owned_by("nclab", name) is owned


def test_a_prefix_is_not_a_pattern() -> None:
    assert not owned_by(".*", "nclab-r1")


def test_addresses_of_routers_are_pairs_in_networks_of_four() -> None:
    routers = [Router("nclab", number, BLOCK) for number in (1, 2, 50)]
    assert [(router.gateway, router.address) for router in routers] == [
        ("198.18.4.1", "198.18.4.2"),
        ("198.18.4.5", "198.18.4.6"),
        ("198.18.4.197", "198.18.4.198"),
    ]


def test_the_block_follows_from_the_prefix_and_makes_way() -> None:
    first = choose_block("nclab", [])
    second = choose_block("nclab", [first + 5])
    assert choose_block("nclab", []) == first
    assert first in MANAGEMENT
    assert second in MANAGEMENT
    assert abs(int(second) - int(first)) >= 4 * MAX_ROUTERS
    assert choose_block("nclab", [second + 5]) == first


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_sources_of_stale_packets_differ(family: socket.AddressFamily) -> None:
    count = 100_000
    sources = {stale_source(index, family) for index in range(count)}
    network = ipaddress.ip_network({socket.AF_INET: "198.51.100.0/24", socket.AF_INET6: "2001:db8:c::/64"}[family])
    assert len(sources) == count
    assert all(1024 <= port <= 65535 for _address, port in sources)
    addresses = {ipaddress.ip_address(address) for address, _port in sources}
    assert all(address in network for address in addresses)
    assert not addresses & {ipaddress.ip_address(used) for used in (CLIENT, CLIENT_GATEWAY, CLIENT6, CLIENT6_GATEWAY)}


def test_who_never_answers_lies_in_a_silent_network() -> None:
    silent = [ipaddress.ip_network(SILENT), ipaddress.ip_network(SILENT6)]

    def is_silent(address: str) -> bool:
        return any(ipaddress.ip_address(address) in network for network in silent)

    assert all(is_silent(address) for address in (*STALE_DESTINATIONS.values(), UNANSWERED_DESTINATION))
    assert not any(is_silent(flow.destination) for flow in FLOWS)

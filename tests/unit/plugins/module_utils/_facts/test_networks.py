# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Networks that hold many addresses are found with their real border, and a network holds what Python says it holds."""

from __future__ import annotations

import ipaddress
import random

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._facts.networks import (
    Network,
    common_network,
    heavy_networks,
    network_of,
)
from hypothesis import given
from hypothesis import strategies as st


def packed(text: str) -> bytes:
    return ipaddress.ip_address(text).packed


def heavy(addresses: list[str], least: float) -> dict[str, int]:
    found = heavy_networks(sorted(map(packed, addresses)), least)
    return {network.text: len(places) for network, places in found}


def some_of(network: str, number: int) -> list[str]:
    parsed = ipaddress.ip_network(network)
    chance = random.Random(network)
    return [str(parsed[chance.randrange(parsed.num_addresses)]) for _number in range(number)]


@pytest.mark.parametrize("network", ["10.16.0.0/12", "172.30.8.0/22", "203.0.113.0/24", "2001:db8:66::/48"])
def test_the_border_of_a_network_is_its_real_one(network: str) -> None:
    assert heavy(some_of(network, 1000), 50) == {network: 1000}


def test_a_few_strays_do_not_widen_a_network() -> None:
    assert heavy([*some_of("10.16.0.0/16", 990), *some_of("192.0.0.0/8", 10)], 50) == {"10.16.0.0/16": 990}


def test_a_network_among_others_is_found_and_no_half_of_an_even_spread() -> None:
    assert heavy([*some_of("10.5.5.0/24", 500), *some_of("0.0.0.0/0", 1500)], 100)["10.5.5.0/24"] == 500
    assert heavy(some_of("10.0.0.0/8", 2000), 100) == {"10.0.0.0/8": 2000}


def test_hosts_are_found_in_their_network() -> None:
    found = heavy([*["192.0.2.54"] * 300, *["192.0.2.7"] * 200, *some_of("10.0.0.0/8", 500)], 100)
    assert found == {"192.0.2.54": 300, "192.0.2.7": 200, "10.0.0.0/8": 500, "192.0.2.0/26": 500}


def test_of_few_addresses_nothing_is_found() -> None:
    assert heavy([], 0) == {}
    assert heavy(["10.0.0.1"] * 4, 5) == {}


@pytest.mark.parametrize(
    ("one", "other", "network"),
    [
        ("10.0.0.1", "10.0.0.1", "10.0.0.1"),
        ("10.0.0.1", "10.3.255.255", "10.0.0.0/14"),
        ("2001:db8::1", "2001:db8::ffff", "2001:db8::/64"),
        ("2001:db8::1", "2001:db8:0:f::1", "2001:db8::/56"),
    ],
)
def test_the_smallest_network_of_two_addresses(one: str, other: str, network: str) -> None:
    assert common_network(packed(one), packed(other)).text == network


@pytest.mark.parametrize(("one", "other"), [("10.0.0.1", "192.0.2.1"), ("2001:db8::1", "2a00::1")])
def test_addresses_that_are_far_apart_have_no_network(one: str, other: str) -> None:
    assert common_network(packed(one), packed(other)).length == 0


@given(st.ip_addresses(v=4), st.ip_addresses(v=4), st.integers(0, 32), st.integers(0, 32))
def test_a_network_holds_what_python_says(
    one: ipaddress.IPv4Address, other: ipaddress.IPv4Address, length: int, longer: int
) -> None:
    network, inner = network_of(one.packed, length), network_of(other.packed, longer)
    parsed = ipaddress.IPv4Network((int(one), length), strict=False)
    assert (network.address, network.last) == (parsed.network_address.packed, parsed.broadcast_address.packed)
    assert network.mask == int(parsed.netmask)
    assert network.contains(inner) == ipaddress.IPv4Network((int(other), longer), strict=False).subnet_of(parsed)
    assert not network.contains(Network(bytes(16), 0))

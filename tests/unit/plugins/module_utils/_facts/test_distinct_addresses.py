# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Different addresses are counted exactly up to a bound, and their network is known beyond it."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._facts import distinct_addresses as module
from ansible_collections.netops.conntrack.plugins.module_utils._facts.distinct_addresses import DistinctAddresses
from helpers.encoded_messages import Fields, blocks_of


def entries(*sources: str) -> list[Fields]:
    return [{"source": source, "destination": "2001:db8::1" if ":" in source else "10.9.9.9"} for source in sources]


def counted(parts: t.Iterable[list[str]], members: bytes | None = None) -> DistinctAddresses:
    addresses = DistinctAddresses("source")
    for sources in parts:
        for block in blocks_of(*entries(*sources)):
            addresses.add(block, members)
    return addresses


def said(addresses: DistinctAddresses) -> tuple[int, bool, str | None]:
    network = addresses.network
    return addresses.number, addresses.are_more, None if network is None else network.text


def test_each_address_is_counted_once() -> None:
    assert said(counted([["10.0.0.1", "10.0.0.2"], ["10.0.0.1", "10.0.0.9"]])) == (3, False, "10.0.0.0/28")
    assert said(counted([["2001:db8::1", "2001:db8::1"]])) == (1, False, "2001:db8::1")


def test_nothing_has_no_network() -> None:
    assert said(counted([])) == (0, False, None)


def test_only_members_are_counted() -> None:
    assert said(counted([["10.0.0.1", "10.0.0.2", "192.0.2.1"]], b"\1\1\0")) == (2, False, "10.0.0.0/30")


def test_addresses_of_both_families_have_no_network() -> None:
    assert said(counted([["10.0.0.1"], ["2001:db8::1"]])) == (2, False, None)


@pytest.mark.parametrize("network", ["10.0.{}.{}", "2001:db8:0:{}::{}"])
def test_beyond_the_bound_the_network_is_widened(network: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ADDRESSES", 5)
    near = [network.format(1, at) for at in range(1, 8)]
    inside = said(counted([near, near]))
    assert inside == (5, True, "10.0.1.0/29" if "." in network else "2001:db8:0:1::/64")
    wider = said(counted([near, [network.format(2, 1), network.format(1, 1)], [network.format(9, 1)]]))
    assert wider == (5, True, "10.0.0.0/20" if "." in network else "2001:db8::/56")


def test_beyond_the_bound_only_members_widen_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ADDRESSES", 1)
    addresses = counted([["10.0.0.1", "10.0.0.2"]])
    [block] = blocks_of(*entries("10.0.0.9", "192.0.2.1"))
    addresses.add(block, b"\1\0")
    assert said(addresses) == (1, True, "10.0.0.0/28")
    addresses.add(block, b"\0\1")
    assert said(addresses) == (1, True, None)
    addresses.add(block, None)
    assert said(addresses) == (1, True, None)
    six = blocks_of(*entries("2001:db8::1"))[0]
    addresses.add(six, None)
    assert addresses.network is None

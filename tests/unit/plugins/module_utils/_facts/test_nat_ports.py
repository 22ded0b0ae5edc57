# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ports that NAT uses are counted by public address and service, as many as there are entries."""

from __future__ import annotations

import random
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._facts import sample as sample_module
from ansible_collections.netops.conntrack.plugins.module_utils._facts.nat_ports import NatPorts
from helpers.encoded_messages import Fields, blocks_of

TCP, UDP, ICMP = 6, 17, 1
SRC_NAT, ANSWERED = 1 << 4, 1 << 1


def translated(number: int, address: str, destination: str = "203.0.113.7", **fields: t.Any) -> list[Fields]:
    """Return entries whose sources were translated to an address, each to a port of its own."""
    return [
        {
            "protocol": TCP,
            "status": SRC_NAT | ANSWERED * (at % 2),
            "source": f"10.0.{at >> 8}.{at & 255}",
            "source_port": 5000,
            "destination": destination,
            "destination_port": 443,
            "reply_source": destination,
            "reply_source_port": 443,
            "reply_destination": address,
            "reply_destination_port": 1024 + at,
            **({"state": 3} if fields.get("protocol", TCP) == TCP else {}),
            **fields,
        }
        for at in range(number)
    ]


def counted(*entries: Fields) -> list[tuple[t.Any, ...]]:
    rows = list(entries)
    random.Random(1).shuffle(rows)
    nat_ports = NatPorts()
    for start in range(0, len(rows), 500):
        for block in blocks_of(*rows[start : start + 500]):
            nat_ports.add(block)
    return [tuple(pair.values()) for pair in nat_ports.result()]


def test_the_ports_of_each_address_towards_each_service_are_counted() -> None:
    entries = [
        *translated(300, "192.0.2.1"),
        *translated(200, "192.0.2.1", "203.0.113.8"),
        *translated(100, "192.0.2.2"),
        *translated(50, "192.0.2.1", protocol=UDP),
        *translated(40, "192.0.2.1", zone=7),
        *translated(30, "192.0.2.1", reply_source_port=80),
    ]
    assert counted(*entries) == [
        ("tcp", "192.0.2.1", "203.0.113.7", 443, 0, 300),
        ("tcp", "192.0.2.1", "203.0.113.8", 443, 0, 200),
        ("tcp", "192.0.2.2", "203.0.113.7", 443, 0, 100),
        ("udp", "192.0.2.1", "203.0.113.7", 443, 0, 50),
        ("tcp", "192.0.2.1", "203.0.113.7", 443, 7, 40),
        ("tcp", "192.0.2.1", "203.0.113.7", 80, 0, 30),
    ]


def test_an_address_of_ipv6_has_ports_too() -> None:
    entries = [
        {**entry, "source": f"2001:db8::{at:x}"}
        for at, entry in enumerate(translated(20, "2001:db8:1::1", "2001:db8:2::2"))
    ]
    assert counted(*entries) == [("tcp", "2001:db8:1::1", "2001:db8:2::2", 443, 0, 20)]


@pytest.mark.parametrize(
    "entries",
    [
        translated(9, "192.0.2.1"),
        translated(50, "192.0.2.1", status=ANSWERED),
        translated(50, "192.0.2.1", status=None),
        translated(50, "192.0.2.1", status=1 << 5),
        translated(50, "192.0.2.1", protocol=ICMP),
        [],
    ],
    ids=["few", "not translated", "no status", "destination translated", "no ports", "none"],
)
def test_entries_that_use_no_port_of_nat_are_not_counted(entries: list[Fields]) -> None:
    assert counted(*entries) == []


def test_pairs_of_a_sample_are_counted_in_the_whole_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample_module, "SAMPLE", 1000)
    others = [translated(1, f"192.0.{at >> 8}.{at & 255}")[0] for at in range(2000)]
    assert counted(*translated(3000, "198.51.100.1"), *others) == [("tcp", "198.51.100.1", "203.0.113.7", 443, 0, 3000)]


def test_at_most_eight_pairs_are_counted() -> None:
    entries = [entry for number in range(20) for entry in translated(20, f"192.0.2.{number}")]
    assert len(counted(*entries)) == 8

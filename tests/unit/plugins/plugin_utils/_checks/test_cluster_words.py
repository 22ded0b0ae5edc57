# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A cluster is said in words: what its entries share, and from how many sources to how many destinations they are."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.cluster_words import (
    described,
    described_with_peers,
    has_host,
)

DNS: dict[str, t.Any] = {"protocol": "udp", "replied": False, "destination": "192.0.2.54", "destination_port": 53}
SYN: dict[str, t.Any] = {"protocol": "tcp", "state": "SYN_SENT", "replied": False}
OF_MANY = {"sources": 1284, "more_sources": False, "source_network": "10.0.0.0/8"}
TO_MANY = {"destinations": 4096, "more_destinations": True, "destination_network": None}


@pytest.mark.parametrize(
    ("match", "peers", "words"),
    [
        (DNS, OF_MANY, "udp, unanswered, to 192.0.2.54 port 53, from 1,284 sources in 10.0.0.0/8"),
        (DNS, {}, "udp, unanswered, to 192.0.2.54 port 53"),
        (DNS, {**OF_MANY, "sources": None}, "udp, unanswered, to 192.0.2.54 port 53"),
        ({**DNS, "zone": 7}, {}, "udp, unanswered, zone 7, to 192.0.2.54 port 53"),
        (
            {**DNS, "reply_destination": "198.51.100.1"},
            {},
            "udp, unanswered, to 192.0.2.54 port 53, source translated to 198.51.100.1",
        ),
        (
            {**SYN, "source": "198.51.100.66"},
            {**OF_MANY, **TO_MANY},
            "tcp SYN_SENT, unanswered, from 198.51.100.66, to more than 4,096 destinations",
        ),
        (
            {**SYN, "destination_port": 443},
            {**OF_MANY, **TO_MANY},
            "tcp SYN_SENT, unanswered, to port 443 of more than 4,096 destinations, from 1,284 sources in 10.0.0.0/8",
        ),
        ({**SYN, "source": "10.0.0.0/9"}, {}, "tcp SYN_SENT, unanswered, from 10.0.0.0/9"),
        ({**SYN, "source": "10.0.0.0/8"}, OF_MANY, "tcp SYN_SENT, unanswered, from 1,284 sources in 10.0.0.0/8"),
        (
            SYN,
            {"sources": 1, "more_sources": False, "source_network": "2001:db8::1"},
            "tcp SYN_SENT, unanswered, from 2001:db8::1",
        ),
        ({"protocol": "icmp", "replied": False, "icmp_type": 13}, {}, "icmp, unanswered, type 13"),
        (
            {"protocol": "tcp", "replied": True, "reply_source": "10.0.0.80"},
            {},
            "tcp, answered, destination translated to 10.0.0.80",
        ),
    ],
)
def test_a_cluster_in_words(match: dict[str, t.Any], peers: dict[str, t.Any], words: str) -> None:
    assert described_with_peers({"match": match, **peers}) == words


def test_a_selector_is_described_without_numbers() -> None:
    assert described({**SYN, "source": "10.0.0.0/8", "destination": "192.0.2.1"}) == (
        "tcp SYN_SENT, unanswered, from 10.0.0.0/8, to 192.0.2.1"
    )


def test_a_network_is_no_host() -> None:
    assert has_host(DNS, "source", "destination")
    assert not has_host({**SYN, "source": "10.0.0.0/8"}, "source", "destination")

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is read from the kernel, field by field, beside what conntrack(8) prints of the same entries."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._query.extended import ExtendedLines
from ansible_collections.netops.conntrack.plugins.module_utils._query.fields import as_dict
from helpers.kernel_entries import ACCOUNTING, MADE, V4, fill, read_beside
from helpers.support import network_namespace, run


class Reading(t.NamedTuple):
    """The table as read by the collection, and within the same second by the tool; each in an order of its own."""

    lines: list[str]
    shown: list[str]
    entries: list[dict[str, t.Any]]


def read_both(netns: str) -> Reading:
    blocks, context, text = read_beside(netns, "extended")
    lines_of = ExtendedLines(context)
    lines = [line for block in blocks for line in lines_of(block)]
    entries = [as_dict(entry, context) for block in blocks for entry in block.entries()]
    return Reading(sorted(lines), sorted(text.splitlines()), entries)


@pytest.fixture(scope="module", params=["accounting", "plain"])
def filled(request: pytest.FixtureRequest) -> t.Iterator[str]:
    with network_namespace("decoding") as netns:
        if request.param == "accounting":
            run(["sysctl", "-qw", *ACCOUNTING], netns=netns)
        fill(netns)
        yield netns


@pytest.fixture(scope="module")
def reading(filled: str) -> Reading:
    return read_both(filled)


def test_lines_are_those_of_the_tool(reading: Reading) -> None:
    assert reading.lines == reading.shown
    assert len(reading.lines) > len(MADE) + 20


@pytest.mark.parametrize(
    "word",
    [
        *(f"{name} " for name in ("tcp", "udp", "udplite", "icmp", "icmpv6", "sctp", "gre", "dccp", "unknown")),
        "ipv6",
        "[UNREPLIED]",
        "[ASSURED]",
        "zone=5",
        "zone-orig=9",
        "zone-reply=8",
        "mark=4660",
        "mark=4294967295",
        "helper=ftp",
        "srckey=0x1 dstkey=0x2ab",
        "type=13",
        "type=8 code=0 id=1 ",
        "type=128 code=0 id=1 ",
        "SHUTDOWN_ACK_SENT",
        "dport=8080",
        "dst=127.0.0.100 sport=2122",
        "dst=127.0.0.100 sport=",
    ],
)
def test_the_comparison_covers(reading: Reading, word: str) -> None:
    assert any(word in line for line in reading.shown)


def test_accounting_shows_in_both(reading: Reading, request: pytest.FixtureRequest) -> None:
    counted = "[accounting]" in request.node.name
    assert all(("packets=" in line) == counted for line in reading.shown)
    assert all(("delta-time=" in line) == counted for line in reading.shown)
    assert all((entry["packets"] is not None) == counted for entry in reading.entries)
    assert all((entry["age"] is not None) == counted for entry in reading.entries)


def entry_of(reading: Reading, protocol: str, **fields: t.Any) -> dict[str, t.Any]:
    found = [
        entry
        for entry in reading.entries
        if entry["protocol"] == protocol and all(entry[name] == value for name, value in fields.items())
    ]
    assert found, f"no {protocol} with {fields}"
    return found[0]


@pytest.mark.parametrize(
    ("protocol", "key", "wanted"),
    [
        ("udp", {"destination_port": 1003}, {"mark": 0x1234, "nat": [], "replied": False, "icmp_id": None}),
        ("udp", {"destination_port": 1004}, {"labels": [5]}),
        ("udp", {"destination_port": 1005}, {"labels": [127]}),
        ("udp", {"destination_port": 1006, "family": "ipv4"}, {"nat": ["dnat"], "reply_source_port": 1007}),
        ("udp", {"destination_port": 1008, "family": "ipv4"}, {"nat": ["snat"], "reply_destination": "127.0.0.9"}),
        ("udp", {"destination_port": 2}, {"nat": ["snat"], "reply_destination": "203.0.113.1"}),
        ("udp", {"destination_port": 1002}, {"zone": 10}),
        ("tcp", {"destination_port": 2122}, {"helper": "ftp", "labels": [64], "nat": ["snat"], "expected": False}),
        ("tcp", {"destination_port": 2123}, {"helper": None, "labels": [], "nat": ["dnat"], "expected": True}),
        ("tcp", {"destination_port": 8080}, {"helper": None, "nat": [], "replied": True}),
        ("tcp", {"destination_port": 2121}, {"helper": "ftp", "state": "ESTABLISHED", "assured": True}),
        ("icmp", {"icmp_type": 13}, {"icmp_code": 0, "icmp_id": 65535, "state": None, "source_port": None}),
        ("sctp", {"family": "ipv6"}, {"state": "SHUTDOWN_ACK_SENT"}),
        ("99", {"family": "ipv6"}, {"protocol_number": 99, "source": "2001:db8::1", "source_port": None}),
        ("gre", {}, {"source_key": 1, "destination_key": 0x2AB, "destination_port": None}),
    ],
)
def test_fields(reading: Reading, protocol: str, key: dict[str, t.Any], wanted: dict[str, t.Any]) -> None:
    entry = entry_of(reading, protocol, **key)
    assert {name: entry[name] for name in wanted} == wanted


def test_sums_and_times(reading: Reading) -> None:
    entry = entry_of(reading, "tcp", destination_port=2121)
    if entry["packets_original"] is not None:
        assert entry["packets"] == entry["packets_original"] + entry["packets_reply"] > 0
        assert entry["bytes"] == entry["bytes_original"] + entry["bytes_reply"] > 10
        assert 0 <= entry["age"] < 60
    assert 0 <= entry["idle"] < 60
    assert 431900 < entry["remaining"] <= 432000


def test_an_entry_is_json(reading: Reading) -> None:
    assert json.loads(json.dumps(reading.entries)) == reading.entries


def test_every_protocol_number_has_the_tools_name() -> None:
    with network_namespace("decoding") as netns:
        numbers = [number for number in range(1, 256) if number not in _uapi.PROTOCOL_NAMES]
        lines = [f"-I -p {number} {V4}" for number in numbers]
        run(["conntrack", "-R", "-"], netns=netns, text="\n".join(lines) + "\n")
        reading = read_both(netns)
    assert reading.lines == reading.shown
    assert len(reading.lines) == len(numbers)

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeouts import Timeouts
from ansible_collections.netops.conntrack.plugins.module_utils._facts.histogram import HISTOGRAM_BOUNDS
from ansible_collections.netops.conntrack.plugins.module_utils._facts.summary import Summary
from ansible_collections.netops.conntrack.plugins.module_utils._units import percent
from helpers.encoded_messages import Fields, blocks_of
from helpers.strategies import NOW

SETTINGS = {"tcp_timeout_established": 432000, "udp_timeout": 30}
SYN_SENT, ESTABLISHED = 1, 3


def entry(protocol: int, source: str, ports: tuple[int, int] | None = None, **fields: t.Any) -> Fields:
    """Make the fields of an entry from ``source`` to 203.0.113.1 (or 2001:db8::1)."""
    destination = "2001:db8::1" if ":" in source else "203.0.113.1"
    named = dict(zip(("source_port", "destination_port"), ports or ()))
    return {"protocol": protocol, "source": source, "destination": destination, **named, **fields}


ENTRIES = [
    entry(
        _uapi.TCP,
        "198.18.0.1",
        (1025, 443),
        state=ESTABLISHED,
        status=_uapi.SEEN_REPLY | _uapi.ASSURED | _uapi.SRC_NAT | _uapi.HELPER,
        remaining=431000,
        mark=0x10,
        zone=7,
        packets_original=3,
        packets_reply=2,
        bytes_original=300,
        bytes_reply=200,
    ),
    entry(
        _uapi.TCP,
        "198.18.0.1",
        (1026, 443),
        state=SYN_SENT,
        status=_uapi.DST_NAT | _uapi.EXPECTED,
        remaining=9,
        mark=0x10,
        packets_original=1,
        packets_reply=0,
        bytes_original=40,
        bytes_reply=0,
    ),
    entry(_uapi.SCTP, "2001:db8::5", (5, 443), state=4, status=_uapi.SEEN_REPLY | _uapi.FIXED_TIMEOUT, remaining=10),
    entry(_uapi.UDP, "198.18.0.2", (5, 53), status=_uapi.SEEN_REPLY | _uapi.OFFLOAD, mark=0),
    entry(_uapi.UDP, "198.18.0.2", (6, 53), status=_uapi.SEEN_REPLY | _uapi.HW_OFFLOAD, remaining=30),
    entry(_uapi.ICMP, "198.18.0.3", status=0, remaining=29, packets_original=1),
    entry(99, "198.18.0.4", (7, 8), remaining=500000, zone_original=7),
]


def summarize(*entries: Fields, top: int = 10) -> dict[str, t.Any]:
    summary = Summary(Timeouts(SETTINGS, NOW), top)
    for block in blocks_of(*entries):
        summary.add(block)
    return summary.result()


def filled(histogram: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return a histogram's ranges that are not empty, by where they begin, and what is unknown."""
    ranges = {part["from"]: part["entries"] for part in histogram["histogram"] if part["entries"]}
    return {**ranges, "unknown": histogram["unknown"]}


def test_every_key() -> None:
    result = summarize(*ENTRIES)
    assert filled(result.pop("remaining")) == {0: 1, 10: 2, 30: 1, 345600: 1, 432000: 1, "unknown": 1}
    assert filled(result.pop("idle")) == {0: 1, 600: 1, "unknown": 5}
    assert result == {
        "entries": 7,
        "families": {"ipv4": 6, "ipv6": 1},
        "protocols": {"tcp": 2, "udp": 2, "sctp": 1, "icmp": 1, "99": 1},
        "states": {"tcp": {"ESTABLISHED": 1, "SYN_SENT": 1}, "sctp": {"ESTABLISHED": 1}},
        "status": {
            "assured": 1,
            "unreplied": 2,
            "offloaded": 2,
            "expected": 1,
            "snat": 1,
            "dnat": 1,
            "fixed_timeout": 1,
            "helper": 1,
        },
        "evictable": 2,
        "zones": {"0": 5, "7": 2},
        "zones_distinct": 2,
        "zones_original": {"7": 1},
        "zones_original_distinct": 1,
        "zones_reply": {},
        "zones_reply_distinct": 0,
        "marks": {"0x10": 2, "0x0": 1},
        "marks_distinct": 2,
        "packets": {"original": 4, "reply": 2, "unknown": 5},
        "bytes": {"original": 340, "reply": 200, "unknown": 5},
        "top": {
            "source": [
                {"value": "198.18.0.1", "entries": 2, "percent": 28.57},
                {"value": "198.18.0.2", "entries": 2, "percent": 28.57},
                {"value": "2001:db8::5", "entries": 1, "percent": 14.29},
                {"value": "198.18.0.3", "entries": 1, "percent": 14.29},
                {"value": "198.18.0.4", "entries": 1, "percent": 14.29},
            ],
            "destination": [
                {"value": "203.0.113.1", "entries": 6, "percent": 85.71},
                {"value": "2001:db8::1", "entries": 1, "percent": 14.29},
            ],
            "source_port": [
                {"value": 5, "entries": 2, "percent": 28.57},
                {"value": 6, "entries": 1, "percent": 14.29},
                {"value": 1025, "entries": 1, "percent": 14.29},
                {"value": 1026, "entries": 1, "percent": 14.29},
            ],
            "destination_port": [
                {"value": 443, "entries": 3, "percent": 42.86},
                {"value": 53, "entries": 2, "percent": 28.57},
            ],
        },
        "uncertainty": {"marks": 0, "source": 0, "destination": 0},
    }


def test_empty_table() -> None:
    result = summarize()
    assert (result["entries"], result["evictable"], result["zones_distinct"]) == (0, 0, 0)
    assert result["families"] == {"ipv4": 0, "ipv6": 0}
    assert set(result["status"].values()) == {0}
    assert result["protocols"] == result["states"] == result["zones"] == result["marks"] == {}
    assert filled(result["remaining"]) == filled(result["idle"]) == {"unknown": 0}
    assert result["top"] == {"source": [], "destination": [], "source_port": [], "destination_port": []}


def test_no_more_than_top_are_named() -> None:
    entries = [
        entry(_uapi.UDP, f"198.18.0.{source}", (source, 1000 + source), mark=source, zone=source)
        for source in range(1, 6)
        for _time in range(source)
    ]
    result = summarize(*entries, top=2)
    assert (result["zones"], result["zones_distinct"]) == ({"5": 5, "4": 4}, 5)
    assert (result["marks"], result["marks_distinct"]) == ({"0x5": 5, "0x4": 4}, 5)
    assert {name: [one["value"] for one in named] for name, named in result["top"].items()} == {
        "source": ["198.18.0.5", "198.18.0.4"],
        "destination": ["203.0.113.1"],
        "source_port": [5, 4],
        "destination_port": [1005, 1004],
    }


def test_none_is_named_where_none_is_asked_for() -> None:
    result = summarize(*({"source_port": port, "mark": port, "zone": port} for port in range(1, 4)), top=0)
    assert (result["zones"], result["zones_distinct"]) == ({}, 3)
    assert (result["marks"], result["marks_distinct"]) == ({}, 3)
    assert not any(result["top"].values())


@pytest.mark.parametrize("seconds", HISTOGRAM_BOUNDS[1:])
def test_ranges_of_a_histogram_begin_with_their_bound(seconds: int) -> None:
    entries = [entry(_uapi.UDP, "198.18.0.1", remaining=remaining) for remaining in (seconds - 1, seconds, seconds)]
    histogram = summarize(*entries)["remaining"]["histogram"]
    below = next(part for part in histogram if part["below"] == seconds)
    above = next(part for part in histogram if part["from"] == seconds)
    assert (below["entries"], above["entries"]) == (1, 2)
    assert (histogram[0]["from"], histogram[-1]["below"]) == (0, None)


@pytest.mark.parametrize(("part", "whole", "expected"), [(1, 3, 33.33), (3, 3, 100.0), (0, 3, 0.0), (0, 0, 0.0)])
def test_percent(part: int, whole: int, expected: float) -> None:
    assert percent(part, whole) == expected

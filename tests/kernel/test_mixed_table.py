# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A table of some thousand entries of every kind: its summary, and each selector, beside what conntrack(8) lists."""

from __future__ import annotations

import bisect
import collections
import pathlib
import random
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._facts.histogram import HISTOGRAM_BOUNDS
from ansible_collections.netops.conntrack.plugins.module_utils._facts.summary import Summary
from ansible_collections.netops.conntrack.plugins.module_utils._selector.compiler import compile_selection
from ansible_collections.netops.conntrack.plugins.module_utils._selector.keys import KEYS
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block
from ansible_collections.netops.conntrack.plugins.module_utils._table.memo import Memo
from helpers.conntrack_xml import entries_of
from helpers.encoded_messages import assert_columns_are_rows
from helpers.kernel_entries import ACCOUNTING, fill, read_beside, shown
from helpers.reference_summary import summary
from helpers.support import network_namespace, run

ENTRIES = 4000
_SPORTS = range(2000, 2000 + 7 * ENTRIES // 5)
"""More than that many, because the shortest quarter of them can be gone before they are read on a busy machine."""
TOP = 3

_STATES = ("SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE")
_PORTS = "--sport {sport} --dport {dport}"
_KINDS = (
    *(("tcp", f"{_PORTS} --state {state}") for state in _STATES),
    *(("udp", _PORTS),) * 4,
    ("icmp", "--icmp-type 8 --icmp-code 0 --icmp-id {sport}"),
    ("udplite", _PORTS),
    ("sctp", f"{_PORTS} --state ESTABLISHED --orig-vtag 1 --reply-vtag 2"),
    ("gre", "--srckey {sport} --dstkey {dport}"),
)
_STATUS = ("", "-u SEEN_REPLY", "-u SEEN_REPLY,ASSURED", "-u FIXED_TIMEOUT", "-u SEEN_REPLY,ASSURED,FIXED_TIMEOUT")
_FURTHER = ("", "", "", "-m 1", "-m 16", "-m 4294967295", "-w 5", "--orig-zone 7", "--reply-zone 8")
_NAT = ("", "", "--src-nat 203.0.113.7", "--dst-nat 203.0.113.8")
_SECONDS = (35, 90, 91, 330, 930, 3630, 7800, 22_200, 54_600, 86_900, 173_400, 400_030, 431_000)
"""Most are some minutes above a bound, so that they stay in their range on a machine that is busy."""


def commands(sports: t.Iterable[int]) -> str:
    """Return commands for conntrack -R, each with its own source port, id of ICMP or key of GRE."""
    chance = random.Random(7)
    made = []
    for sport in sports:
        protocol, numbers = chance.choice(_KINDS)
        ends, nat = f"-s 198.18.{chance.randrange(4)}.{chance.randrange(9)} -d 203.0.113.1", chance.choice(_NAT)
        if protocol in ("tcp", "udp", "sctp") and chance.random() < 0.3:
            ends, nat = f"-s 2001:db8::{chance.randrange(40):x} -d 2001:db8:1::{chance.randrange(3)}", ""
        numbers = numbers.format(sport=sport, dport=chance.choice((22, 53, 80, 443)))
        rest = f"{chance.choice(_STATUS)} {chance.choice(_FURTHER)} {nat} -t {chance.choice(_SECONDS)}"
        made.append(f"-I -p {protocol} {ends} {numbers} {rest}\n")
    return "".join(made)


class Mixed(t.NamedTuple):
    """One table in blocks, and as the tool listed it in the same second; ``fixed`` are ids with a fixed timeout."""

    blocks: list[Block]
    context: Context
    listed: list[dict[str, t.Any]]
    fixed: set[int]
    expected: int


@pytest.fixture(scope="module")
def mixed() -> Mixed:
    with network_namespace("mixed") as netns:
        # The first half has neither counters nor timestamps.
        run(["conntrack", "-R", "-"], netns=netns, text=commands(_SPORTS[: len(_SPORTS) // 2]))
        run(["sysctl", "-qw", *ACCOUNTING], netns=netns)
        fill(netns)
        run(["conntrack", "-R", "-"], netns=netns, text=commands(_SPORTS[len(_SPORTS) // 2 :]))
        blocks, context, text = read_beside(netns, "xml,id,labels,ktimestamp")
        fixed = {entry["id"] for entry in entries_of(shown(netns, "xml,id", "-u", "FIXED_TIMEOUT"))}
        expected = len(shown(netns, "extended", "-u", "EXPECTED").splitlines())
    return Mixed(blocks, context, entries_of(text), fixed, expected)


def result_of(mixed: Mixed) -> dict[str, t.Any]:
    counts = Summary(mixed.context.timeouts, TOP)
    for block in mixed.blocks:
        counts.add(block)
    return counts.result()


def test_the_summary_is_that_of_the_rows(mixed: Mixed) -> None:
    entries = [entry for block in mixed.blocks for entry in block.entries()]
    assert result_of(mixed) == summary(entries, mixed.context.timeouts, TOP)


def test_columns_are_rows(mixed: Mixed) -> None:
    assert len(mixed.blocks) > 50
    for block in mixed.blocks:
        assert_columns_are_rows(block)


def amounts(listed: t.Iterable[dict[str, t.Any]], name: str) -> dict[str, int]:
    known = [entry for entry in listed if entry[f"{name}_original"] is not None]
    return {
        "original": sum(entry[f"{name}_original"] for entry in known),
        "reply": sum(entry[f"{name}_reply"] for entry in known),
        "unknown": sum(entry[f"{name}_original"] is None for entry in listed),
    }


def translated(listed: t.Iterable[dict[str, t.Any]], end: str, replied: str) -> int:
    """Count the entries of which the answers go to, or come from, somewhere else than the first packet says."""
    return sum(
        entry[end] != entry[f"reply_{replied}"] or entry.get(f"{end}_port") != entry.get(f"reply_{replied}_port")
        for entry in listed
    )


def test_the_summary_is_that_of_the_listing(mixed: Mixed) -> None:
    listed, result = mixed.listed, result_of(mixed)
    assert result["entries"] == len(listed) > ENTRIES
    assert result["families"] == collections.Counter(entry["family"] for entry in listed)
    numbers = {
        "tcp": 6,
        "udp": 17,
        "icmp": 1,
        "icmpv6": 58,
        "udplite": 136,
        "sctp": 132,
        "gre": 47,
        "dccp": 33,
        "99": 99,
    }
    assert {numbers[name]: count for name, count in result["protocols"].items()} == collections.Counter(
        entry["protocol_number"] for entry in listed
    )
    states = collections.Counter(entry["state"] for entry in listed if entry["protocol_number"] == 6)
    assert result["states"]["tcp"] == states
    assert set(_STATES) <= set(states)
    assert result["status"] == {
        "assured": sum(entry["assured"] for entry in listed),
        "unreplied": sum(not entry["replied"] for entry in listed),
        "offloaded": 0,
        "expected": mixed.expected,
        "snat": translated(listed, "source", "destination"),
        "dnat": translated(listed, "destination", "source"),
        "fixed_timeout": len(mixed.fixed),
        "helper": sum(entry["helper"] is not None for entry in listed),
    }
    assert [name for name, count in result["status"].items() if not count] == ["offloaded"]
    assert result["evictable"] == sum(not entry["assured"] and entry["id"] not in mixed.fixed for entry in listed)
    for name, field in (("zones", "zone"), ("zones_original", "zone_original"), ("zones_reply", "zone_reply")):
        zones = collections.Counter(entry[field] for entry in listed if entry[field] is not None)
        assert zones
        assert (result[name], result[f"{name}_distinct"]) == (named(zones, str), len(zones))
    marks = collections.Counter(entry["mark"] for entry in listed)
    assert (result["marks"], result["marks_distinct"]) == (named(marks, hex), len(marks))
    for name in ("packets", "bytes"):
        assert result[name] == amounts(listed, name)
        assert 0 < result[name]["unknown"] < len(listed)


def named(counts: collections.Counter[int], name: t.Callable[[int], str]) -> dict[str, int]:
    return {name(value): count for value, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:TOP]}


def test_the_remaining_times_are_those_of_the_listing(mixed: Mixed) -> None:
    found = {part["from"]: part["entries"] for part in result_of(mixed)["remaining"]["histogram"]}
    places = (bisect.bisect_right(HISTOGRAM_BOUNDS, entry["remaining"]) - 1 for entry in mixed.listed)
    assert {bound: count for bound, count in found.items() if count} == collections.Counter(
        HISTOGRAM_BOUNDS[place] for place in places
    )
    assert sum(map(bool, found.values())) > 7, found


@pytest.mark.parametrize("name", ["source", "destination", "source_port", "destination_port"])
def test_the_largest_are_those_of_the_listing(mixed: Mixed, name: str) -> None:
    counts = collections.Counter(entry[name] for entry in mixed.listed if entry.get(name) is not None)
    found = result_of(mixed)["top"][name]
    assert [one["entries"] for one in found] == [count for _value, count in counts.most_common(TOP)]
    assert all(counts[one["value"]] == one["entries"] for one in found)


# Each selects some entries, but not all.
SELECTORS: dict[str, t.Any] = {
    "family": "ipv6",
    "protocol": ["udp", "gre"],
    "state": ["ESTABLISHED", "SYN_SENT"],
    "replied": True,
    "assured": False,
    "offloaded": True,
    "expected": True,
    "nat": "snat",
    "source": ["198.18.1.0/24", "2001:db8::/124"],
    "destination": "203.0.113.0/24",
    "reply_source": "203.0.113.8",
    "reply_destination": ["203.0.113.7", "2001:db8::5"],
    "address": "203.0.113.7",
    "source_list": ["198.18.1.0/24", "2001:db8::/124"],
    "destination_list": ["203.0.113.0/24"],
    "address_list": ["203.0.113.7", "2001:db8::8/125"],
    "source_port": ["2000-2999", 5000],
    "destination_port": [22, "80-443"],
    "reply_source_port": 53,
    "reply_destination_port": "3000-5000",
    "source_key": "2000-4000",
    "destination_key": "80:443",
    "reply_source_key": [22, 53],
    "reply_destination_key": "2000:4000",
    "icmp_type": 8,
    "icmp_code": 0,
    "icmp_id": "2000-4000",
    "reply_icmp_type": 0,
    "reply_icmp_code": 0,
    "reply_icmp_id": "2000-4000",
    "id": "0-2147483647",
    "mark": ["16", "0x1/0x1"],
    "zone": [5, 7],
    "zone_original": 7,
    "zone_reply": 8,
    "label": [5, 64],
    "helper": "ftp",
    "packets_original": {"min": 1},
    "packets_reply": {"max": 2},
    "bytes_original": {"min": 50},
    "bytes_reply": {"max": 1000},
    "packets": {"min": 1, "max": 6},
    "bytes": {"min": 1},
    "remaining": [{"max": 60}, {"min": "1d"}],
    "idle": {"min": 40, "max": "1h"},
    "age": {"max": 3600},
}


def test_every_key_is_tried() -> None:
    assert SELECTORS.keys() == KEYS.keys()


@pytest.mark.parametrize("key", SELECTORS)
def test_a_selector_is_for_blocks_what_it_is_for_entries(mixed: Mixed, key: str, tmp_path: pathlib.Path) -> None:
    value = SELECTORS[key]
    if key.endswith("_list"):
        file = tmp_path / "list.txt"
        file.write_text("\n".join(value), encoding="utf-8")
        value = str(file)
    selection = compile_selection([{key: value}], None, mixed.context)
    of_block = Memo(selection.fields, selection.decide, selection.breakpoints)
    answers: collections.Counter[bool | None] = collections.Counter()
    for block in mixed.blocks:
        wanted = [selection.decide(entry) for entry in block.entries()]
        assert of_block(block) == wanted
        answers.update(wanted)
    assert answers[False] > 0 or answers[None] > 0
    assert (answers[True] > 0) is (key != "offloaded")

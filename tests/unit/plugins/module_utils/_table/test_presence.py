# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which new entries have a tuple that is in the table, in either direction."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block
from ansible_collections.netops.conntrack.plugins.module_utils._table.presence import Presence
from helpers import listings
from helpers.encoded_messages import Fields, blocks_of

TCP, UDP, ICMP, GRE, ESP, ICMPV6 = 6, 17, 1, 47, 50, 58

THERE = {
    "protocol": UDP,
    "source": "10.0.0.1",
    "destination": "10.0.0.2",
    "source_port": 1000,
    "destination_port": 53,
    "reply_source": "10.0.0.3",
    "reply_destination": "10.0.0.4",
    "reply_source_port": 5353,
    "reply_destination_port": 2000,
}
"""An entry whose addresses and ports are translated, so that its tuples have nothing in common."""

ORIGINAL = {"source": "10.9.0.1", "destination": "10.9.0.2", "source_port": 9, "destination_port": 99}
REPLY = {f"reply_{name}": value for name, value in ORIGINAL.items()}
"""A tuple that is not in the table, for either direction."""


def made(there: t.Iterable[Block], new: t.Iterable[Block]) -> int:
    """Return how many of the new entries can be made where the others are there."""
    presence = Presence()
    for block in there:
        presence.add(block)
    return sum(map(presence.add_new, new))


def made_of(there: Fields, *new: Fields) -> int:
    return made(blocks_of(there), blocks_of(*new))


def test_the_same_entry_cannot_be_made() -> None:
    assert made_of(THERE, THERE) == 0
    assert made([], blocks_of(THERE)) == 1


@pytest.mark.parametrize("other", [ORIGINAL, REPLY])
def test_one_tuple_that_is_there_is_enough(other: Fields) -> None:
    assert made_of(THERE, {**THERE, **other}) == 0
    assert made_of({**THERE, **other}, THERE) == 0


def test_another_entry_can_be_made() -> None:
    assert made_of(THERE, {**THERE, **ORIGINAL, **REPLY}) == 1


@pytest.mark.parametrize("field", ["source", "destination", "source_port", "destination_port"])
@pytest.mark.parametrize("direction", ["original", "reply"])
def test_a_tuple_with_one_difference_is_another_one(direction: str, field: str) -> None:
    other, name = (REPLY, field) if direction == "original" else (ORIGINAL, f"reply_{field}")
    value = "10.8.0.1" if "port" not in field else 8
    assert made_of(THERE, {**THERE, **other, name: value}) == 1


@pytest.mark.parametrize("other", [ORIGINAL, REPLY])
def test_a_tuple_of_the_other_direction_counts(other: Fields) -> None:
    turned = {
        **{name.removeprefix("reply_"): value for name, value in THERE.items() if name.startswith("reply_")},
        **{f"reply_{name}": THERE[name] for name in ORIGINAL},
    }
    assert made_of(THERE, {"protocol": UDP, **turned}) == 0
    assert made_of(THERE, {"protocol": UDP, **turned, **other}) == 0


@pytest.mark.parametrize("other", [{}, ORIGINAL, REPLY])
def test_of_new_entries_with_one_tuple_the_first_is_made(other: Fields) -> None:
    again = {**THERE, **other}
    assert made([], blocks_of(THERE, again)) == 1
    assert made([], [*blocks_of(THERE), *blocks_of(again)]) == 1
    # What was refused is not there.
    assert made_of(THERE, {**THERE, **REPLY}, {**THERE, **ORIGINAL, **REPLY}) == 1


@pytest.mark.parametrize("other", [TCP, 132])
def test_each_protocol_has_ports_of_its_own(other: int) -> None:
    assert made_of(THERE, {**THERE, "protocol": other}) == 1


def test_entries_without_ports_are_told_by_their_addresses() -> None:
    one = {"protocol": ESP, "source": "10.0.0.1", "destination": "10.0.0.2"}
    assert made_of(one, one) == 0
    assert made_of(one, {**one, "source": "10.0.0.9"}) == 1


def test_keys_of_gre_count() -> None:
    one = {"protocol": GRE, "source_port": 0, "destination_port": 7}
    assert made_of(one, one) == 0
    assert made_of(one, {**one, "destination_port": 8}) == 1


@pytest.mark.parametrize("field", ["source", "destination"])
def test_each_word_of_a_long_address_counts(field: str) -> None:
    one = {"protocol": UDP, "source_port": 1, "destination_port": 2, field: "2001:db8::1:0:0:1"}
    assert made_of(one, one) == 0
    for address in ("2001:db9::1:0:0:1", "2001:db8:0:1:1::1", "2001:db8::2:0:0:1", "2001:db8::1:0:0:2"):
        assert made_of(one, {**one, field: address}) == 1


ZONES = {
    "none": {},
    "both": {"zone": 7},
    "original": {"zone_original": 7},
    "reply": {"zone_reply": 7},
    "each": {"zone_original": 7, "zone_reply": 8},
}
IN_ZONES = {"none": (0, 0), "both": (7, 7), "original": (7, 0), "reply": (0, 7), "each": (7, 8)}
"""The zones of the original tuple and of the reply."""


@pytest.mark.parametrize("there", ZONES)
@pytest.mark.parametrize("new", ZONES)
def test_a_zone_counts_for_the_directions_that_it_holds_for(there: str, new: str) -> None:
    shared = [one == other for one, other in zip(IN_ZONES[there], IN_ZONES[new], strict=True)]
    assert made_of({**THERE, **ZONES[there]}, {**THERE, **ZONES[new]}) == (0 if any(shared) else 1)


def test_the_number_of_a_zone_counts() -> None:
    assert made_of({**THERE, "zone": 7}, {**THERE, "zone": 8}) == 1


PINGS = {
    ICMP: {"protocol": ICMP, "icmp_type": 8, "icmp_code": 0, "icmp_id": 5, "reply_icmp_type": 0},
    ICMPV6: {"protocol": ICMPV6, "family": 10, "icmp_type": 128, "icmp_code": 0, "icmp_id": 5, "reply_icmp_type": 129},
}
"""By protocol: an echo request, and its reply."""


@pytest.mark.parametrize("protocol", PINGS)
def test_icmp_is_told_by_type_code_and_id(protocol: int) -> None:
    ping = PINGS[protocol]
    timestamp = {ICMP: (13, 14), ICMPV6: (139, 140)}[protocol]
    assert made_of(ping, ping) == 0
    for other in (
        {"icmp_id": 6},
        {"icmp_code": 1},
        dict(zip(("icmp_type", "reply_icmp_type"), timestamp, strict=True)),
    ):
        assert made_of(ping, {**ping, **other}) == 1


@pytest.mark.parametrize("protocol", PINGS)
@pytest.mark.parametrize("name", ["icmp_id", "icmp_code"])
def test_a_translated_number_of_icmp_counts_for_the_reply(protocol: int, name: str) -> None:
    """The original tuples differ, so that the replies decide."""
    ping = {**PINGS[protocol], f"reply_{name}": 77}
    other = {**ping, name: 99}
    assert made_of(ping, other) == 0
    assert made_of(ping, {**other, f"reply_{name}": 78}) == 1


@pytest.mark.parametrize("protocol", PINGS)
def test_a_reply_of_icmp_has_the_type_that_answers(protocol: int) -> None:
    """Whoever was asked asks as well: neither the request nor the reply has the same tuple as in the table."""
    ping = {**PINGS[protocol]}
    ends = ("2001:db8::1", "2001:db8::2") if protocol == ICMPV6 else ("198.18.0.1", "203.0.113.1")
    back = {**ping, "source": ends[1], "destination": ends[0], "reply_source": ends[0], "reply_destination": ends[1]}
    assert made_of(ping, back) == 1
    # The request of this one is the reply to the other.
    answer = {**back, "icmp_type": ping["reply_icmp_type"], "reply_icmp_type": ping["icmp_type"]}
    assert made_of(ping, answer) == 0


LINE = (
    "-A -t 30 -u SEEN_REPLY -s 198.18.0.1 -d 203.0.113.1 -r 203.0.113.1 -q 198.18.0.1 "
    "-p icmp --icmp-type 8 --icmp-code 0 --icmp-id {}\n"
)


def test_a_line_without_the_numbers_of_the_reply_has_those_of_the_request() -> None:
    there = blocks_of(PINGS[ICMP])
    blocks = [listings.blocks_of(listings.decoded(LINE.format(number))) for number in (5, 6)]
    assert not any("reply_icmp_id" in block.layout.fields for each in blocks for block in each)
    assert [made(there, each) for each in blocks] == [0, 1]
    # The reply alone is there.
    reply_alone = blocks_of({**PINGS[ICMP], "icmp_id": 99, "reply_icmp_id": 5})
    assert [made(reply_alone, each) for each in blocks] == [0, 1]

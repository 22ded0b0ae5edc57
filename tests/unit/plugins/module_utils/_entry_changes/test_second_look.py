# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a second look makes of entries, exactly: the doubt of times that are cut, counters, and what cannot be told."""

from __future__ import annotations

import dataclasses
import math
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.second_look import (
    NOTED,
    StateAndStatus,
    obstacle,
    quiet,
)
from ansible_collections.netops.conntrack.plugins.module_utils._netlink.clock import Moment
from ansible_collections.netops.conntrack.plugins.module_utils._table.requests import LOOK_UP, Notes, Targets
from ansible_collections.netops.conntrack.plugins.module_utils._table.writable import Found
from ansible_collections.netops.conntrack.plugins.module_utils._uapi import FIXED_TIMEOUT, UDP
from helpers.encoded_messages import Fields, blocks_of
from hypothesis import given
from hypothesis import strategies as st

ENTRY = {"protocol": UDP, "source_port": 1, "destination_port": 2, "id": 3, "status": 0x8, "remaining": 100}
COUNTED = ENTRY | {"packets_original": 5, "bytes_original": 500, "packets_reply": 7, "bytes_reply": 700}
LOOKS = Moment(1000.0, 1000.0), Moment(1030.0, 1030.0)
LATER = {"remaining": 70}


def notes_of(moment: Moment, *entries: Fields) -> Notes:
    """Return what is noted of entries of one layout, once they have become targets."""
    targets = Targets[int](NOTED)
    for block in blocks_of(*entries):
        targets.add(block, 0, moment)
    [(_tag, batch)] = targets.batches(LOOK_UP, 1)
    assert batch.notes is not None
    return batch.notes


def is_quiet(before: Fields, now: Fields, looks: tuple[Moment, Moment] = LOOKS) -> bool:
    first_look = StateAndStatus(before.get("state"), before.get("status"))
    [block] = blocks_of(now)
    return len(quiet(Found(block, [0]), first_look, notes_of(looks[0], before), looks[1])) == 1


@pytest.mark.parametrize("entry", [ENTRY, COUNTED], ids=["without counters", "with counters"])
@pytest.mark.parametrize(
    ("remaining", "expected"),
    [(70, True), (69, True), (71, True), (72, False), (68, False), (100, False), (0, False), (432_000, False)],
)
def test_an_expiry_that_may_be_the_same(entry: Fields, remaining: int, expected: bool) -> None:
    """Both were cut to whole seconds, 30 s apart."""
    assert is_quiet(entry, {**entry, "remaining": remaining}) is expected


@pytest.mark.parametrize(
    ("first", "second", "remaining", "expected"),
    [
        # The first look took 5 s: the entry may have been read at once, or 5 s later.
        (Moment(1000, 1005), Moment(1030, 1030), 75, True),
        (Moment(1000, 1005), Moment(1030, 1030), 76, True),
        (Moment(1000, 1005), Moment(1030, 1030), 77, False),
        (Moment(1000, 1005), Moment(1030, 1030), 69, True),
        (Moment(1000, 1005), Moment(1030, 1030), 68, False),
        (Moment(1000, 1000), Moment(1030, 1032), 67, True),
        (Moment(1000, 1000), Moment(1030, 1032), 66, False),
    ],
)
def test_the_time_that_a_look_takes_is_doubt_too(first: Moment, second: Moment, remaining: int, expected: bool) -> None:
    assert is_quiet(ENTRY, {**ENTRY, "remaining": remaining}, (first, second)) is expected


@dataclasses.dataclass(frozen=True)
class Case:
    """When an entry is read and expires, in seconds, and within which times it is known to have been read."""

    expiry: float
    read: float
    read_again: float
    doubt: tuple[float, float, float, float]

    @property
    def looks(self) -> tuple[Moment, Moment]:
        before, after, before_again, after_again = self.doubt
        return (
            Moment(self.read - before, self.read + after),
            Moment(self.read_again - before_again, self.read_again + after_again),
        )

    @property
    def blur(self) -> float:
        """The change of the expiry from which on it has to be noticed."""
        return 2 + sum(self.doubt) + 0.11

    def is_quiet(self, moved: float) -> bool:
        return is_quiet(
            {**ENTRY, "remaining": math.floor(self.expiry - self.read)},
            {**ENTRY, "remaining": math.floor(self.expiry + moved - self.read_again)},
            self.looks,
        )


DOUBT = st.floats(0, 3)
CASES = st.builds(
    Case,
    expiry=st.floats(2000, 500_000),
    read=st.floats(0, 600),
    read_again=st.floats(601, 1300),
    doubt=st.tuples(DOUBT, DOUBT, DOUBT, DOUBT),
)


@given(CASES)
def test_an_entry_without_a_packet_is_always_quiet(case: Case) -> None:
    assert case.is_quiet(0)


@given(CASES, st.floats(0, 400_000), st.booleans())
def test_an_expiry_that_moved_by_more_than_the_doubt_is_always_noticed(case: Case, more: float, later: bool) -> None:
    moved = case.blur + more
    if later or case.expiry - moved > case.read_again:
        assert not case.is_quiet(moved if later else -moved)


@pytest.mark.parametrize("counter", ["packets_original", "packets_reply"])
@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        (5, 5, True),
        (5, 6, False),
        (5, 0, False),
        (0, 1, False),
        (1 << 40, 1 << 40, True),
        (1 << 40, (1 << 40) + 1, False),
    ],
)
def test_a_counter_that_moved(counter: str, before: int, now: int, expected: bool) -> None:
    assert is_quiet({**COUNTED, counter: before}, {**COUNTED, **LATER, counter: now}) is expected


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        ({"status": 0x8}, {"status": 0xA}, False),
        ({"status": 0x8}, {"status": 0x4008}, False),
        ({"state": 3}, {"state": 3}, True),
        ({"state": 3}, {"state": 4}, False),
        # What is not there any more cannot be compared.
        ({}, {"packets_reply": None, "bytes_reply": None}, False),
        ({}, {"remaining": None}, False),
        # What says nothing about packets.
        ({}, {"mark": 7}, True),
    ],
)
def test_other_changes(before: dict[str, t.Any], now: dict[str, t.Any], expected: bool) -> None:
    tcp = {**COUNTED, "protocol": 6} if "state" in before else COUNTED
    assert is_quiet({**tcp, **before}, {**tcp, **before, **LATER, **now}) is expected


def test_each_row_is_held_against_its_own_notes() -> None:
    entries = [{**COUNTED, "id": number, "remaining": 100 + number, "packets_reply": number} for number in range(1, 9)]
    notes = notes_of(LOOKS[0], *entries)
    now = [{**entry, "remaining": entry["remaining"] - 30} for entry in entries]
    now[2]["packets_reply"] = 4
    now[5]["remaining"] += 60
    places = [7, 5, 4, 2, 1]
    [block] = blocks_of(*(now[place] for place in places))
    left = quiet(Found(block, places), StateAndStatus(None, 0x8), notes, LOOKS[1])
    assert [entry.id for entry in left.entries()] == [8, 5, 2]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (ENTRY, ""),
        ({**ENTRY, "status": None}, ""),
        (COUNTED, ""),
        ({**ENTRY, "remaining": None, "status": 0x4008}, "offloaded"),
        ({**COUNTED, "remaining": None, "status": 0x8008}, "offloaded"),
        ({**ENTRY, "status": FIXED_TIMEOUT}, "fixed_timeout"),
        ({**COUNTED, "status": FIXED_TIMEOUT}, ""),
    ],
)
def test_what_a_second_look_cannot_tell(fields: dict[str, t.Any], expected: str) -> None:
    [block] = blocks_of(fields)
    assert obstacle(block.layout, fields["status"]) == expected


def test_a_batch_has_entries_of_one_moment() -> None:
    """Few entries of many parts of a dump are not held against a time that is as long as the whole dump."""
    targets = Targets[int](NOTED)
    [block] = blocks_of(*({**ENTRY, "id": number} for number in range(400)))
    for part in range(200):
        two = block.where(number // 2 == part for number in range(400))
        targets.add(two, 0, Moment(part // 2, part // 2 + 1))
    batches = [batch for _tag, batch in targets.batches(LOOK_UP, 1)]
    assert [batch.size for batch in batches] == [4] * 100
    assert [batch.notes.moment.earliest for batch in batches if batch.notes] == list(range(100))
    assert [batch.first for batch in batches] == [1 + 4 * number for number in range(100)]

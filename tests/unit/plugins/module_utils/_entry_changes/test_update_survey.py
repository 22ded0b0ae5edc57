# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an entry is sent, also one that a kernel cannot be made to have at will: offloaded, or without a mark."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeout_claims import Claims
from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeout_policies import Policy
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.update_plan import UpdatePlan
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.update_survey import (
    UpdateVerdict,
    judge_of,
)
from ansible_collections.netops.conntrack.plugins.module_utils._errors import UnavailableError
from helpers.encoded_messages import Fields, blocks_of
from helpers.strategies import SETTINGS
from helpers.update_plans import TCP, TCP_ENTRY, plan_of

UDP, GRE, SCTP = 17, 47, 132
TIME_WAIT = 7
SEEN_REPLY, FIXED_TIMEOUT, OFFLOAD = 1 << 1, 1 << 10, 1 << 14
PORTS = {"source_port": 5, "destination_port": 9}


def verdicts(plan: UpdatePlan, *entries: Fields) -> list[UpdateVerdict]:
    """Return the verdicts on entries of one layout, in their order."""
    [block] = blocks_of(*entries)
    return judge_of(plan)(block).verdicts


@pytest.mark.parametrize(
    ("fields", "settings", "cap"),
    [
        ({}, SETTINGS, 432000),
        ({"state": TIME_WAIT}, SETTINGS, 125),
        ({"state": 0}, SETTINGS, None),
        ({"state": 200}, SETTINGS, None),
        ({}, {"udp_timeout": 30}, None),
        ({}, {"tcp_timeout_established": -1}, None),
        ({}, {"tcp_timeout_established": 0}, 1),
        ({"protocol": UDP, "state": None}, SETTINGS, 30),
        ({"protocol": UDP, "state": None, "status": SEEN_REPLY}, SETTINGS, 180),
        ({"protocol": UDP, "state": None, "status": SEEN_REPLY}, {"udp_timeout": 30}, 30),
        ({"protocol": GRE, "state": None, "status": SEEN_REPLY, **PORTS}, SETTINGS, 181),
        ({"protocol": SCTP, "state": 4, **PORTS}, SETTINGS, 210),
        ({"protocol": SCTP, "state": 7, **PORTS}, SETTINGS, None),
        ({"protocol": SCTP, "state": None}, SETTINGS, 600),
        ({"protocol": 99, "state": None}, SETTINGS, 600),
    ],
)
def test_the_cap_of_the_settings(fields: Fields, settings: dict[str, int], cap: int | None) -> None:
    [verdict] = verdicts(plan_of("settings", settings=settings), {**TCP_ENTRY, **fields})
    assert verdict.to_send.timeout == cap
    assert verdict.obstacle == ("undecidable" if cap is None else "")


@pytest.mark.parametrize(
    ("fields", "change", "obstacle"),
    [
        ({}, (900, (5, 255)), ""),
        ({"mark": 0xF05}, (900, None), ""),
        ({"remaining": 900}, (None, (5, 255)), ""),
        ({"remaining": 900, "mark": 5}, (None, None), ""),
        ({"remaining": 901, "mark": 5}, (900, None), ""),
        ({"status": FIXED_TIMEOUT}, (None, (5, 255)), "fixed_timeout"),
        ({"status": FIXED_TIMEOUT, "mark": 5}, (None, None), "fixed_timeout"),
        ({"status": FIXED_TIMEOUT, "remaining": 900, "mark": 5}, (None, None), ""),
        ({"status": OFFLOAD, "remaining": None, "state": None}, (None, (5, 255)), "without_timeout"),
        ({"status": OFFLOAD, "remaining": None, "state": None, "mark": 5}, (None, None), "without_timeout"),
    ],
)
def test_what_an_entry_is_sent(fields: Fields, change: t.Any, obstacle: str) -> None:
    [verdict] = verdicts(plan_of(900, (5, 0xFF)), {**TCP_ENTRY, **fields})
    assert (tuple(verdict.to_send), verdict.obstacle) == (change, obstacle)


def test_of_many_times_only_those_above_the_cap_are_lowered() -> None:
    """Also where so many differ that only their place among the steps counts."""
    entries = [{**TCP_ENTRY, "remaining": seconds, "id": seconds} for seconds in range(700, 1100)]
    match = [{"remaining": {"min": 800}}]
    found = verdicts(plan_of(900, match=match), *entries)
    assert [verdict.to_send.timeout for verdict in found] == [None] * 201 + [900] * 199
    assert [verdict.decision for verdict in found] == [False] * 100 + [True] * 300


def test_of_many_times_only_those_with_a_claim_are_shortened() -> None:
    """The cap, what the sysctl allowed before, and what rules explain: each is a step on its own."""
    rule = Policy(None, TCP, {"tcp_timeout_established": 950})
    claims = Claims({"tcp_timeout_established": 1000}, [rule])
    entries = [{**TCP_ENTRY, "remaining": seconds, "id": seconds} for seconds in range(700, 1100)]
    found = verdicts(plan_of("settings", settings={"tcp_timeout_established": 900}, claims=claims), *entries)
    obstacles = [""] * 201 + ["rule"] * 50 + [""] * 50 + ["longer_than_before"] * 99
    assert [verdict.obstacle for verdict in found] == obstacles
    assert [verdict.to_send.timeout for verdict in found] == [None] * 251 + [900] * 50 + [None] * 99


@pytest.mark.parametrize("match", [None, [{"protocol": "tcp"}]])
def test_a_kernel_that_shows_no_marks(match: list[t.Any] | None) -> None:
    with pytest.raises(UnavailableError, match="CONFIG_NF_CONNTRACK_MARK"):
        verdicts(plan_of(None, (5, 0xFF), match=match), {**TCP_ENTRY, "mark": None})


def test_a_mark_that_is_not_asked_for_may_be_unknown() -> None:
    plan = plan_of(None, (5, 0xFF), match=[{"protocol": "udp"}])
    assert [verdict.decision for verdict in verdicts(plan, {**TCP_ENTRY, "mark": None})] == [False]
    [verdict] = verdicts(plan_of(900), {**TCP_ENTRY, "mark": None})
    assert verdict.to_send == (900, None)

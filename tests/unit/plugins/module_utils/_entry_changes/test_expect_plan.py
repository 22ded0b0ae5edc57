# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which expectations are to be made, by what a table has. Those of real tables are in tests/kernel."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes import expect_plan
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.expect_plan import ExpectPlan, master_of
from ansible_collections.netops.conntrack.plugins.module_utils._errors import RefusedError
from ansible_collections.netops.conntrack.plugins.module_utils._expectations.wanted import Wanted, parse_all

CLASS: dict[str, t.Any] = {"class": 1}


def wanted(port: int = 4000, source: str = "192.0.2.2", **more: t.Any) -> Wanted:
    ends = {"protocol": "tcp", "source": source, "destination": "192.0.2.1", "destination_port": port}
    master = {"protocol": "tcp", "source": "192.0.2.1", "source_port": 9, "destination": "192.0.2.2"}
    expected = {**ends, **more.pop("expected", {})}
    return parse_all([{"expected": expected, "master": {**master, "destination_port": 21}, **more}])[0]


def plan(*new: Wanted, there: t.Sequence[Wanted] = (), helper: str | None = "sip") -> ExpectPlan:
    return ExpectPlan(new, [one.key for one in there], {master_of(one): helper for one in new})


def test_room_is_needed_for_those_that_are_new() -> None:
    some = plan(wanted(1), wanted(2), wanted(3), there=[wanted(3)])
    some.enforce(97, 99)
    some.enforce(97, None)
    with pytest.raises(RefusedError, match="the table has 98 of at most 99") as caught:
        some.enforce(98, 99)
    counts = caught.value.result["expectations"]
    assert (counts["existing"], counts["would_create"], counts["created"]) == (1, 2, 0)
    plan(wanted(3), there=[wanted(3)]).enforce(99, 99)


@pytest.mark.parametrize(
    ("one", "other", "clash"),
    [
        (wanted(), wanted(4001), False),
        (wanted(), wanted(source="192.0.2.3"), False),
        (wanted(), wanted(zone=4), False),
        (wanted(), wanted(expected={"protocol": "udp"}), False),
        (wanted(), wanted(expected={"source_port": 20}), True),
        (wanted(expected={"source_port": 21}), wanted(expected={"source_port": 20}), False),
        (wanted(), wanted(source="192.0.2.3", mask={"source": "255.255.255.0"}), True),
        (wanted(), wanted(source="192.0.3.3", mask={"source": "255.255.255.0"}), False),
        (wanted(), wanted(**CLASS), True),
    ],
)
def test_what_one_connection_would_meet_is_refused(one: Wanted, other: Wanted, clash: bool) -> None:
    assert len(plan(one, there=[other]).refusals) == clash
    assert len(plan(other, one).refusals) == clash


def test_the_helper_is_that_of_the_master() -> None:
    [(number, made)] = plan(wanted(), helper="ftp").to_make
    assert (number, made.helper) == (0, "ftp")


def test_how_many_irc_allows_is_a_parameter_of_its_module(monkeypatch: pytest.MonkeyPatch) -> None:
    new = [wanted(port) for port in range(1, 11)]
    assert [refusal.number for refusal in plan(*new, helper="irc").refusals] == [8, 9]
    monkeypatch.setattr(expect_plan, "_start_of", lambda _path: "9")
    assert [refusal.number for refusal in plan(*new, helper="irc").refusals] == [9]
    # Of a class other than 0 nothing is known.
    assert not plan(*(one._replace(key=one.key._replace(class_number=1)) for one in new), helper="irc").refusals

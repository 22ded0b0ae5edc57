# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
import pathlib
import time
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeout_record import TimeoutRecord
from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeouts import Timeouts
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.guards import Guards
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.prune_plan import (
    PrunePlan,
    parse_confirm_idle,
    parse_limit,
    plan_of,
)
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError, UnavailableError
from ansible_collections.netops.conntrack.plugins.module_utils._selector.compiler import compile_selection
from helpers.encoded_messages import blocks_of

UNGUARDED = {
    "protect_management": False,
    "protect_helpers": True,
    "protect": [],
    # What is read of the machine.
    "unprotect": ["expectation", "conntrackd"],
}


@pytest.mark.parametrize(
    ("given", "total", "expected"),
    [
        (None, 9, 9),
        (0, 9, 0),
        ("12", 9, 12),
        ("0%", 9, 0),
        (4294967295, 9, 4294967295),
        ("40%", 10, 4),
        ("40%", 1000, 400),
        ("99%", 1000, 990),
        ("40 %", 9, 3),
        ("0.1%", 1000, 1),
        ("29%", 100, 29),
        ("100%", 9, 9),
    ],
)
def test_limit(given: t.Any, total: int, expected: int) -> None:
    assert parse_limit(given).number_of(total) == expected


@pytest.mark.parametrize("given", ["101%", "100.1%", "-1%", "%", "x", -1, 4294967296, 1.5, True, "", [1]])
def test_bad_limit(given: t.Any) -> None:
    with pytest.raises(OptionError, match="max_delete"):
        parse_limit(given)


@pytest.mark.parametrize(
    ("given", "is_limit"), [(None, False), ("100%", False), ("99%", True), ("0%", True), (0, True)]
)
def test_only_the_whole_table_is_no_limit(given: t.Any, is_limit: bool) -> None:
    assert (parse_limit(given).given is not None) is is_limit


@pytest.mark.parametrize(("helper", "protected"), [(None, False), ("ftp", True)])
def test_an_entry_with_a_helper_is_protected(helper: str | None, protected: bool) -> None:
    [block] = blocks_of({"helper": helper, "mark": 1}, {"helper": helper, "mark": 2})
    [(reason, part)] = Guards((), helpers=True).divide(block, None)
    assert (reason, part.rows) == ("helper" if protected else "", block.rows)
    [(reason, part)] = Guards((), helpers=False).divide(block, None)
    assert (reason, part.rows) == ("", block.rows)


@pytest.mark.parametrize(("given", "seconds"), [("0", 0), (30, 30), ("30s", 30), ("10m", 600)])
def test_confirm_idle(given: t.Any, seconds: int) -> None:
    assert parse_confirm_idle(given) == seconds


@pytest.mark.parametrize("given", ["601s", "11m", "-1", "soon", "", None])
def test_bad_confirm_idle(given: t.Any) -> None:
    with pytest.raises(OptionError, match="confirm_idle"):
        parse_confirm_idle(given)


@pytest.mark.parametrize(
    ("selector", "when", "seconds"),
    [
        ({"protocol": "udp"}, "always", 30),
        ({"protocol": "udp"}, "idle", 0),
        ({"idle": {"min": "1h"}}, "always", 30),
        ({"idle": {"min": "1h"}}, "idle", 30),
    ],
)
def test_a_second_look_only_where_it_is_wanted(selector: dict[str, t.Any], when: str, seconds: int) -> None:
    context = Context({"tcp_timeout_established": 432000}, 0)
    params = {**UNGUARDED, "confirm_idle": "30s", "confirm_idle_when": when}
    assert plan_of(params, compile_selection([selector], None, context), context).confirm_idle == seconds


def test_an_exclude_that_reads_idle_wants_a_second_look() -> None:
    """What is left is what had no packet for an hour, as if match asked for that."""
    context = Context({"tcp_timeout_established": 432000}, 0)
    params = {**UNGUARDED, "confirm_idle": "30s", "confirm_idle_when": "idle"}
    selection = compile_selection([{"protocol": "tcp"}], [{"idle": {"max": "1h"}}], context)
    assert plan_of(params, selection, context).confirm_idle == 30


@pytest.mark.parametrize(
    ("match", "guarded"),
    [
        ([{"protocol": "tcp"}], True),
        ([{"helper": "ftp"}], False),
        ([{"helper": "ftp"}, {"helper": "sip", "protocol": "udp"}], False),
        ([{"helper": "ftp"}, {"protocol": "udp"}], True),
    ],
)
def test_who_names_helpers_means_entries_with_a_helper(match: list[dict[str, t.Any]], guarded: bool) -> None:
    context = Context({}, 0)
    params = {**UNGUARDED, "confirm_idle": "0", "confirm_idle_when": "always"}
    assert plan_of(params, compile_selection(match, None, context), context).guards.helpers is guarded


@pytest.mark.parametrize(("whole", "number"), [(False, 1), (True, 0)])
def test_who_wants_the_numbers_of_all_groups_reads_the_whole_table(whole: bool, number: int) -> None:
    context = Context({}, 0)
    params = {**UNGUARDED, "confirm_idle": "0", "confirm_idle_when": "always"}
    selection = compile_selection([{"family": "ipv4"}], None, context)
    assert len(plan_of(params, selection, context, whole=whole).conditions) == number


@pytest.mark.parametrize(
    ("match", "exclude", "is_refused"),
    [
        ({"idle": {"min": "1h"}}, None, True),
        ({"protocol": "tcp"}, {"idle": {"max": "1h"}}, True),
        ({"protocol": "tcp"}, None, False),
    ],
)
def test_a_timeout_that_is_changed_meanwhile_is_refused_where_idle_is_asked(
    match: dict[str, t.Any], exclude: dict[str, t.Any] | None, is_refused: bool, tmp_path: pathlib.Path
) -> None:
    """A shorter one makes an entry that just saw a packet look as if it had been idle for long."""
    record = tmp_path / "record"
    settings = {"tcp_timeout_established": 432000}
    context = Context(settings, 0, Timeouts(settings, 0, record=TimeoutRecord(now=time.monotonic(), path=str(record))))
    params = {**UNGUARDED, "confirm_idle": "0", "confirm_idle_when": "always"}
    plan = plan_of(params, compile_selection(match, exclude, context), context)
    plan.refuse_changed_timeouts()
    record.write_text("changed", encoding="utf-8")
    with pytest.raises(UnavailableError, match="A timeout was changed") if is_refused else contextlib.nullcontext():
        plan.refuse_changed_timeouts()


def test_what_nobody_asks_for_is_not_done() -> None:
    context = Context({}, 0)
    selection = compile_selection([{"family": "ipv4"}], None, context)
    plan = plan_of({**UNGUARDED, "confirm_idle": "0", "confirm_idle_when": "always"}, selection, context)
    assert (plan.sample, plan.whole, plan.confirm_idle, plan.entries) == (0, False, 0, True)
    plain = PrunePlan(selection, plan.guards, context, sample=0, whole=False)
    assert (plain.confirm_idle, plain.entries) == (0, True)

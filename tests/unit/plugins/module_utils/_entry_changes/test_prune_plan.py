# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.guards import Guards
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.prune_plan import (
    parse_confirm_idle,
    parse_limit,
    plan_of,
)
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
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
        ("40%", 10, 4),
        ("40 %", 9, 3),
        ("0.1%", 1000, 1),
        ("29%", 100, 29),
        ("100%", 9, 9),
    ],
)
def test_limit(given: t.Any, total: int, expected: int) -> None:
    assert parse_limit(given).number_of(total) == expected


@pytest.mark.parametrize("given", ["101%", "100.1%", "-1%", "%", "x", -1, 1.5, True, "", [1]])
def test_bad_limit(given: t.Any) -> None:
    with pytest.raises(OptionError, match="max_delete"):
        parse_limit(given)


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

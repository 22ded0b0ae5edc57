# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.plugin_utils._profiles import plan

PROFILE = {
    "acct": {"value": 1, "why": "Counters."},
    "tcp_loose": {"value": 0, "why": "No pick-up."},
    "generic_timeout": {"value": "2m", "why": "Shorter."},
}
ALL = ["acct", "tcp_loose", "generic_timeout", "max"]
OWN = "set by conntrack_tune_overrides"


@pytest.mark.parametrize(
    ("overrides", "available", "settings", "left_out"),
    [
        ({}, ALL, {"acct": 1, "tcp_loose": 0, "generic_timeout": "2m"}, []),
        ({}, ["acct"], {"acct": 1}, ["generic_timeout", "tcp_loose"]),
        ({}, [], {}, ["acct", "generic_timeout", "tcp_loose"]),
        ({"max": 1000}, ALL, {"acct": 1, "tcp_loose": 0, "generic_timeout": "2m", "max": 1000}, []),
        ({"tcp_loose": 1}, ALL, {"acct": 1, "tcp_loose": 1, "generic_timeout": "2m"}, []),
        ({"net.netfilter.nf_conntrack_tcp_loose": 1}, ["acct"], {"acct": 1, "tcp_loose": 1}, ["generic_timeout"]),
        ({"nf_conntrack_acct": 0}, ["acct"], {"acct": 0}, ["generic_timeout", "tcp_loose"]),
        ({"no_such": 1}, ["acct"], {"acct": 1, "no_such": 1}, ["generic_timeout", "tcp_loose"]),
    ],
)
def test_plan(
    overrides: dict[str, t.Any], available: list[str], settings: dict[str, t.Any], left_out: list[str]
) -> None:
    result = plan(PROFILE, overrides, available)
    assert (result["settings"], result["left_out"]) == (settings, left_out)


def test_each_setting_says_why() -> None:
    result = plan(PROFILE, {"nf_conntrack_acct": 0, "max": 5}, ["acct", "generic_timeout", "max"])
    assert result["why"] == {"acct": OWN, "generic_timeout": "Shorter.", "max": OWN}


def test_a_profile_may_use_any_notation() -> None:
    profile = {"net.netfilter.nf_conntrack_acct": {"value": 1, "why": "Counters."}}
    assert plan(profile, {}, ["acct"])["settings"] == {"acct": 1}


@pytest.mark.parametrize(
    "entry", [1, {}, {"value": 1}, {"why": "x"}, {"value": None, "why": "x"}, {"value": 1, "why": ""}]
)
def test_an_incomplete_profile_is_refused_by_name(entry: t.Any) -> None:
    with pytest.raises(OptionError, match=r"^profile, acct: .* is not complete"):
        plan({"acct": entry}, {}, ["acct"])


def test_the_value_zero_is_complete() -> None:
    assert plan({"acct": {"value": 0, "why": "x"}}, {}, ["acct"])["settings"] == {"acct": 0}

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.plugin_utils._tuning.profiles import plan

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


SIZING = {"max": 1000, "buckets": 512, "memory_bytes": 452096, "why": "Room for all."}


@pytest.mark.parametrize(
    ("overrides", "available", "values", "why", "left_out"),
    [
        (
            {},
            ["max", "buckets"],
            {"max": 1000, "buckets": 512},
            {"max": "Room for all.", "buckets": "Room for all."},
            [],
        ),
        (
            {"nf_conntrack_max": 5},
            ["max", "buckets"],
            {"max": 5, "buckets": 512},
            {"max": OWN, "buckets": "Room for all."},
            [],
        ),
        ({}, ["max"], {"max": 1000}, {"max": "Room for all."}, ["buckets"]),
        ({}, [], {}, {}, ["buckets", "max"]),
        ({"max": 5}, [], {"max": 5}, {"max": OWN}, ["buckets"]),
    ],
)
def test_a_sizing_stands_between_profile_and_overrides(
    overrides: dict[str, t.Any],
    available: list[str],
    values: dict[str, t.Any],
    why: dict[str, str],
    left_out: list[str],
) -> None:
    profile = {"max": {"value": 1, "why": "The profile's."}}
    assert plan(profile, overrides, available, SIZING) == {"settings": values, "why": why, "left_out": left_out}


@pytest.mark.parametrize("sizing", [None, {}])
def test_without_a_sizing_there_is_none(sizing: dict[str, t.Any] | None) -> None:
    assert plan({}, {}, ["max", "buckets"], sizing) == {"settings": {}, "why": {}, "left_out": []}


def test_a_profile_may_use_any_notation() -> None:
    profile = {"net.netfilter.nf_conntrack_acct": {"value": 1, "why": "Counters."}}
    assert plan(profile, {}, ["acct"])["settings"] == {"acct": 1}


@pytest.mark.parametrize(
    "entry", [1, {}, {"value": 1}, {"why": "x"}, {"value": None, "why": "x"}, {"value": 1, "why": ""}]
)
def test_an_incomplete_profile_is_refused_by_name(entry: t.Any) -> None:
    with pytest.raises(OptionError, match=r"^profile, acct: .* is not complete"):
        plan({"acct": entry}, {}, ["acct"])


def test_two_names_of_one_setting_must_agree() -> None:
    assert plan({}, {"max": 70, "nf_conntrack_max": 70}, ["max"])["settings"] == {"max": 70}
    with pytest.raises(OptionError, match="conntrack_tune_overrides, nf_conntrack_max: 80 is another value"):
        plan({}, {"max": 70, "nf_conntrack_max": 80}, ["max"])


def test_the_value_zero_is_complete() -> None:
    assert plan({"acct": {"value": 0, "why": "x"}}, {}, ["acct"])["settings"] == {"acct": 0}


@pytest.mark.parametrize(
    ("profile", "overrides", "words"),
    [
        (
            "acct=1",
            {},
            r"the settings of the profile: 'acct=1' is not a dictionary of names and",
        ),
        ({}, "max=5", r"conntrack_tune_overrides: 'max=5' is not a dictionary .* \{max: 1M, tcp_loose: false\}"),
        ({}, [{"max": 5}], r"conntrack_tune_overrides: \[.* is not a dictionary"),
        ({}, None, r"conntrack_tune_overrides: None is not a dictionary"),
    ],
)
def test_what_is_no_dictionary_is_refused_in_words_of_the_user(profile: t.Any, overrides: t.Any, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        plan(profile, overrides, ["acct"])

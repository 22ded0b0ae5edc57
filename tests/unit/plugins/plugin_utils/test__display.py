# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.plugin_utils._display import (
    at_most,
    compact,
    counted,
    duration,
    number,
    percentage,
    plain_number,
    plain_text,
    spoken,
    value_in_line,
    with_unit,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "?"),
        (0, "0"),
        (917_504, "917,504"),
        (97.30, "97.3"),
        (45.80498866213152, "45.8"),
        (100.0, "100"),
        (0.0, "0"),
        (True, "true"),
        ("max buckets", "max buckets"),
        (["max", 5, None], "max, 5, ?"),
    ],
)
def test_number(value: t.Any, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "?"),
        (0, "0.0"),
        (0.01, "<0.1"),
        (0.05, "0.1"),
        (97.31, "97.3"),
        (99.96, ">99.9"),
        (100, "100.0"),
        (104.2, "104.2"),
    ],
)
def test_percentage_is_never_rounded_to_none_or_all(value: float | None, text: str) -> None:
    assert percentage(value) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1_000, "1k"),
        (1_249, "1.2k"),
        (9_960, "10k"),
        (412_300, "412k"),
        (999_499, "999k"),
        (999_500, "1M"),
        (1_100_000, "1.1M"),
        (10**21, "1000E"),
    ],
)
def test_compact(count: int, text: str) -> None:
    assert compact(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (10, "10s"), (60, "1m"), (90, "90s"), (7_200, "2h"), (54_000, "15h"), (432_000, "5d")],
)
def test_duration(seconds: int, text: str) -> None:
    assert duration(seconds) == text


def test_counted() -> None:
    assert [counted(count, "entry", "entries") for count in (0, 1, 2_000)] == ["0 entries", "1 entry", "2,000 entries"]
    assert counted(2, "router") == "2 routers"


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "?"), (917_504, "917504"), (97.34, "97.3"), (100.0, "100"), (True, "true"), ("max buckets", "max buckets")],
)
def test_a_plain_number_can_be_copied(value: t.Any, text: str) -> None:
    assert plain_number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "?"),
        (5, "5"),
        ([], "none"),
        (["max"], "max"),
        (["max", "acct"], "(max, acct)"),
        (["max", "acct", "buckets"], "(max, acct, and 1 more)"),
    ],
)
def test_a_list_is_in_brackets_in_a_line(value: t.Any, text: str) -> None:
    assert value_in_line(value, 2) == text


@pytest.mark.parametrize(
    ("value", "check", "text"),
    [(5, {"unit": "%"}, "x %"), ("five", {"unit": "%"}, "x"), (None, {"unit": "%"}, "x"), (5, {}, "x")],
)
def test_only_numbers_have_a_unit(value: t.Any, check: dict[str, str], text: str) -> None:
    assert with_unit("x", value, check) == text


def test_a_key_is_spoken_in_words() -> None:
    assert spoken("no_conntrack") == "no conntrack"


@pytest.mark.parametrize(("value", "text"), [("é", "é"), (True, "true"), (None, "null"), (["é"], '["é"]')])
def test_a_value_of_json_as_text(value: t.Any, text: str) -> None:
    assert plain_text(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (120, "120 s"),
        (121, "3 min"),
        (7_200, "120 min"),
        (7_201, "3 h"),
        (54_000, "15 h"),
        (54_001, "16 h"),
        (172_801, "3 days"),
        (377_990, "5 days"),
    ],
)
def test_a_time_that_something_takes_at_most_is_rounded_up(seconds: int, text: str) -> None:
    assert at_most(seconds) == text

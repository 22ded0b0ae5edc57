# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How much is shown of what routers sent: the start, the end, and always how much is not shown."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.plugin_utils._bounds import (
    TEXT,
    is_finite,
    listed,
    shorten,
    some,
    with_short_texts,
)


def test_a_short_text_stays_and_a_long_one_says_what_it_lacks() -> None:
    assert shorten("x" * 8, 8) == "x" * 8
    assert shorten("abcdefghij", 8) == "abcdef [2 characters left out] ij"
    assert shorten("x" * (TEXT + 1_500)).count("1,500 characters left out") == 1


@pytest.mark.parametrize("value", [0, -1, 1.5, 10**300])
def test_a_number_is_finite(value: t.Any) -> None:
    assert is_finite(value)


@pytest.mark.parametrize("value", [None, True, False, "1", float("nan"), float("inf"), 10**400, [], {}])
def test_what_cannot_be_counted_is_not(value: t.Any) -> None:
    assert not is_finite(value)


def test_the_first_are_listed_and_the_others_counted() -> None:
    assert some("abc", 3) == (["a", "b", "c"], 0)
    assert some("abcde", 3) == (["a", "b", "c"], 2)
    assert listed("abc", most=3) == "a, b, c"
    assert listed("abcde", most=3) == "a, b, c, and 2 more"
    assert listed([], most=3) == ""


def test_all_texts_of_a_document_are_short_and_the_document_itself_stays() -> None:
    long = "x" * (TEXT + 10)
    document: dict[str, t.Any] = {"a": [long, 5, None], long: {"b": long}}
    shown = with_short_texts(document)
    assert shown == {"a": [shorten(long), 5, None], shorten(long): {"b": shorten(long)}}
    assert document["a"][0] == long
    assert with_short_texts(shown) is shown


def test_what_is_nested_without_end_is_not_shown() -> None:
    document: dict[str, t.Any] = {}
    inner = document
    for _level in range(100):
        inner["a"] = inner = {}
    assert "nested too deeply" in str(with_short_texts(document))

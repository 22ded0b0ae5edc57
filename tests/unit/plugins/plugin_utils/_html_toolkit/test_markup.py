# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._printable import visible
from ansible_collections.netops.conntrack.plugins.plugin_utils._html_toolkit.markup import (
    Html,
    compact,
    counted,
    duration,
    element,
    escaped,
    number,
    percentage,
    together,
)
from helpers.documents import HOSTILE_NAMES
from helpers.html_reader import read
from hypothesis import example, given
from hypothesis import strategies as st


@given(content=st.text(), value=st.text())
@example("<script>alert(1)</script>", '" onload="alert(1)')
@example("'`=", "a=b>c")
@example("", "")
def test_whatever_is_put_in_comes_out_as_text(content: str, value: str) -> None:
    written = element("p", content, title=value)
    assert written.isprintable()
    (paragraph,) = read(written).children
    assert paragraph.children == []
    assert paragraph.attributes == {"title": visible(value)}
    assert paragraph.text == visible(content)


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_hostile_name_is_shown(name: str) -> None:
    (link,) = read(element("a", name, href="#r1")).children
    assert (link.text, link.children) == (visible(name), [])


def test_what_is_markup_already_is_kept() -> None:
    assert element("p", Html("<b>a</b>"), " & ", element("i", "b")) == "<p><b>a</b> &amp; <i>b</i></p>"
    assert together(["<", Html("<br>")], between=", ") == "&lt;, <br>"
    assert isinstance(escaped("<"), Html)


@pytest.mark.parametrize(
    ("attributes", "written"),
    [
        ({"class_": "soft"}, "<p class=soft>"),
        ({"class_": "card finding"}, '<p class="card finding">'),
        ({"aria_label": "a", "data_key": 0}, "<p aria-label=a data-key=0>"),
        ({"hidden": True, "title": None, "data_numeric": False}, "<p hidden>"),
        ({"title": ""}, '<p title="">'),
        ({"href": "x/"}, '<p href="x/">'),
    ],
)
def test_attributes(attributes: dict[str, t.Any], written: str) -> None:
    assert element("p", **attributes) == f"{written}</p>"


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

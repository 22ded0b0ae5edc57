# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._printable import visible
from ansible_collections.netops.conntrack.plugins.plugin_utils._html_toolkit.markup import (
    Html,
    element,
    escaped,
    joined,
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
    assert joined(["<", Html("<br>")], between=", ") == "&lt;, <br>"
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

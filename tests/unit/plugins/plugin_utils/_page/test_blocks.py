# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.netops.conntrack.plugins.plugin_utils._page.blocks import (
    WIDTH,
    Block,
    Heading,
    Items,
    Paragraph,
    Table,
    as_markdown,
    as_screen,
    as_text,
)


@pytest.mark.parametrize(
    ("block", "markdown", "text"),
    [
        (Heading(1, "Page"), "# Page", "Page\n===="),
        (Heading(2, "Part"), "## Part", "Part\n----"),
        (Paragraph("Some words."), "Some words.", "Some words."),
        (
            Table([["router", "deleted"], ["r1", "12"], ["router22", ""]]),
            "| router | deleted |\n| --- | --- |\n| r1 | 12 |\n| router22 |  |",
            "router    deleted\nr1        12\nrouter22",
        ),
        (Table([["router"]]), "| router |\n| --- |", "router"),
        (
            Items([("high", ["First", "second"]), ("critical", ["Third"])]),
            "- **high** First\n  - second\n- **critical** Third",
            "high      First\n          second\ncritical  Third",
        ),
    ],
)
def test_both_formats(block: Block, markdown: str, text: str) -> None:
    assert (as_markdown(block), as_text(block)) == (markdown, text)


@pytest.mark.parametrize(
    ("given", "markdown", "text"),
    [
        ("a|b", r"a\|b", "a|b"),
        ("a\nb", r"a\\nb", r"a\nb"),
        ("a\r\tb", r"a\\r\\tb", r"a\r\tb"),
        ("\x1b[31mred", r"\\x1b\[31mred", r"\x1b[31mred"),
        ("\u202eback", r"\\u202eback", r"\u202eback"),
        ("<script>&amp;", r"\<script\>\&amp;", "<script>&amp;"),
        ("`code` *bold* [link] ~no~", r"\`code\` \*bold\* \[link\] \~no\~", "`code` *bold* [link] ~no~"),
        ("tcp_timeout _it_", r"tcp_timeout \_it\_", "tcp_timeout _it_"),
        ("back\\slash", r"back\\slash", "back\\slash"),
        ("Zürich → 東京", "Zürich → 東京", "Zürich → 東京"),
    ],
)
def test_nothing_that_is_given_can_act_as_markup_or_steer_a_terminal(given: str, markdown: str, text: str) -> None:
    assert (as_markdown(Paragraph(given)), as_text(Paragraph(given))) == (markdown, text)
    assert as_markdown(Table([["h"], [given]])).splitlines() == ["| h |", "| --- |", f"| {markdown} |"]
    assert as_text(Table([["h"], [given]])).splitlines() == ["h", text]
    assert as_markdown(Items([(given, [given])])) == f"- **{markdown}** {markdown}"
    assert as_text(Items([("x", [given])])) == f"x  {text}"


def test_running_text_is_broken_into_lines_under_its_label() -> None:
    lines = as_text(Items([("high", ["word " * 60])])).splitlines()
    assert len(lines) == 3
    assert max(map(len, lines)) <= 110
    assert [line[:6] for line in lines] == ["high  ", " " * 6, " " * 6]


def test_a_label_longer_than_the_line_leaves_room_for_its_text() -> None:
    assert as_text(Items([("r" * 200, ["some words"])])) == f"{'r' * 200}  some words"


def test_a_name_with_hyphens_stays_whole() -> None:
    lines = as_text(Items([("x", [", ".join(["edge-ams-01"] * 20)])])).splitlines()
    assert [name for line in lines for name in line[3:].rstrip(",").split(", ")] == ["edge-ams-01"] * 20


@pytest.mark.parametrize("width", [60, 80, WIDTH])
def test_a_screen_has_the_width_that_is_asked_for(width: int) -> None:
    command = "`ansible router1 -i inventory.yml -b -m netops.conntrack.conntrack_prune -a match=protocol=udp`"
    items = Items([("router1", ["Some words " * 20, command])])
    table = Table([["a column"] * 20, ["a cell"] * 20])
    for block in (Paragraph("Some words " * 20), items, table):
        lines = as_screen(block, width).splitlines()
        assert width - 16 <= max(map(len, lines)) <= width

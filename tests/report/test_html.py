# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The HTML report in a real browser: what it loads, sorts, filters, opens and prints, and how it looks.

UPDATE_SCREENSHOTS=1 has the pictures in docs/ taken anew.
"""

from __future__ import annotations

import base64
import functools
import os
import pathlib
import re
import time
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._printable import visible
from ansible_collections.netops.conntrack.plugins.plugin_utils._html.components import OPENED_AT_ONCE
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.ranking import worst_first
from helpers.documents import HOSTILE_NAMES, Document, fleet_document, under_other_names
from helpers.filled_tables import filled_fleet
from helpers.support import CHECKOUT
from playwright.sync_api import expect

Open = t.Callable[..., t.Any]

MIB = 1 << 20
MOST_BYTES = 300 * 1024
SECONDS = 300
"""How long the largest report may take in all on a machine that does much else; alone it takes some ten seconds."""

SHOWN = "report-fleet"
"""The picture that pages show."""

UPDATE = os.environ.get("UPDATE_SCREENSHOTS", "") not in ("", "0")
RUNS: tuple[dict[str, bool], ...] = ({}, {"after": False, "with_trend": False}, {"check_mode": True}, {"hostile": True})
NUMERIC = (
    "Verdict",
    "% full",
    "Trend",
    "Entries",
    "Limit",
    "Stale",
    "Findings",
    "Drift",
    "Changed",
    "Deleted",
    "Batch",
)
SORTABLE = ("Router", *NUMERIC)
RISING = ("Router", "Verdict", "Batch")
"""Headings of which the first click puts the smallest first."""


@functools.cache
def fleet(hosts: int = 14, **options: bool) -> Document:
    return fleet_document(hosts, **options)


def keys(opened: t.Any, heading: str) -> list[t.Any]:
    """Return what a column is sorted by, row by row as they stand now: a text, or a number; None for unknown."""
    found: list[t.Any] = opened.page.evaluate(
        """([heading, numeric]) => {
             const name = cell => cell.querySelector("button")?.textContent ?? cell.textContent;
             const table = document.getElementById("fleet");
             const place = [...table.tHead.rows[0].cells].findIndex(cell => name(cell) === heading);
             return [...table.tBodies[0].rows].map(row => row.cells[place]).map(cell =>
               numeric ? cell.dataset.key ?? cell.textContent : cell.textContent);
           }""",
        [heading, heading in NUMERIC],
    )
    return [_number(text) if heading in NUMERIC else text for text in found]


def _number(text: str) -> float | None:
    try:
        return float(text.replace(",", ""))
    except ValueError:
        assert text in ("", "?", "-"), text
        return None


def button(opened: t.Any, heading: str) -> t.Any:
    return opened.page.locator("#fleet thead button", has_text=re.compile(f"^{re.escape(heading)}$"))


def in_order(values: list[t.Any], falling: bool) -> list[t.Any]:
    """Return the values in order, those that are not known last in either case."""
    known = sorted((value for value in values if value is not None), reverse=falling)
    return known + [None] * values.count(None)


@pytest.mark.parametrize("options", RUNS)
def test_it_asks_for_nothing_and_complains_of_nothing(open_report: Open, options: dict[str, bool]) -> None:
    opened = open_report(fleet(**options))
    opened.page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
    opened.page.wait_for_load_state("networkidle")
    assert opened.requests == [opened.file.as_uri()]
    assert opened.complaints == []


def test_a_script_that_is_not_its_own_is_not_run(open_report: Open) -> None:
    opened = open_report(fleet(3))
    opened.page.evaluate(
        """() => {
             const script = document.createElement("script");
             script.textContent = "document.title = 'taken'";
             document.body.append(script);
             document.body.insertAdjacentHTML("beforeend", "<img src=x onerror=document.title=1>");
           }"""
    )
    opened.page.wait_for_load_state("networkidle")
    assert opened.page.title() == "Connection tracking, 2026-05-01T03:00:00Z"
    assert len(opened.complaints) >= 2


def test_fifty_routers_fit_into_a_mebibyte(open_report: Open) -> None:
    opened = open_report(fleet(50, hostile=True))
    assert opened.page.locator("#fleet tbody tr").count() == 50
    assert opened.page.locator("details.router").count() == 50
    assert opened.file.stat().st_size < MIB


@pytest.mark.parametrize("options", RUNS)
def test_every_chart_says_its_figures(open_report: Open, options: dict[str, bool]) -> None:
    labels = open_report(fleet(**options)).page.evaluate(
        """() => [...document.querySelectorAll("svg:not([aria-hidden=true])")].map(
             svg => [svg.getAttribute("role"), svg.getAttribute("aria-label") ?? ""])"""
    )
    assert len(labels) > 100
    assert {role for role, _label in labels} == {"img"}
    assert all(re.search(r"\d|none|not known|no limit", label) for _role, label in labels)


def test_the_worst_come_first(open_report: Open) -> None:
    opened = open_report(fleet())
    assert keys(opened, "Router") == [name for name, _host in worst_first(fleet())]
    assert opened.page.locator("#fleet th[aria-sort=ascending]").inner_text().startswith("Verdict")


@pytest.mark.parametrize(
    ("press", "headings"), [("click", SORTABLE), ("Enter", ("Router", "% full")), ("Space", ("Router", "% full"))]
)
def test_a_heading_sorts_the_table_both_ways(open_report: Open, press: str, headings: tuple[str, ...]) -> None:
    opened = open_report(fleet(50))
    rows = keys(opened, "Router")
    for heading in headings:
        if heading == "Verdict":
            button(opened, "Router").click()
        for falling in (False, True) if heading in RISING else (True, False):
            values = keys(opened, heading)
            assert len(set(values)) > 1
            if press == "click":
                button(opened, heading).click()
            else:
                button(opened, heading).focus()
                opened.page.keyboard.press(press)
            assert keys(opened, heading) == in_order(values, falling)
            states = opened.page.locator("#fleet th[aria-sort]:not([aria-sort=none])")
            assert states.count() == 1
            assert states.inner_text().startswith(heading)
            assert states.get_attribute("aria-sort") == ("descending" if falling else "ascending")
    assert sorted(keys(opened, "Router")) == sorted(rows)


def test_what_is_not_known_is_sorted_last(open_report: Open) -> None:
    opened = open_report(fleet())
    for heading in ("% full", "Entries", "Stale", "Drift"):
        for _way in range(2):
            button(opened, heading).click()
            column = keys(opened, heading)
            unknown = column.count(None)
            assert 0 < unknown < len(column)
            assert column[-unknown:] == [None] * unknown


def test_the_headings_are_reached_with_the_keyboard(open_report: Open) -> None:
    opened = open_report(fleet(3))
    opened.page.locator("#search").focus()
    opened.page.keyboard.press("Tab")
    assert opened.page.evaluate("document.activeElement.textContent") == "Router"


def test_the_filter_shows_the_routers_that_have_all_words(open_report: Open) -> None:
    opened = open_report(fleet())

    def shown() -> list[str]:
        texts: list[str] = opened.page.locator("#fleet tbody tr:visible td:first-child").all_inner_texts()
        return texts

    opened.page.fill("#search", "EDGE info")
    expected = [name for name, host in worst_first(fleet()) if "edge" in name and host["verdict"] == "info"]
    assert shown() == expected != []
    assert opened.page.inner_text("#count") == f"{len(expected)} of 14 shown"
    opened.page.fill("#search", "no such router")
    assert shown() == []
    opened.page.fill("#search", "")
    assert len(shown()) == 14


def test_a_verdict_of_the_legend_shows_its_routers(open_report: Open) -> None:
    opened = open_report(fleet())
    opened.page.locator(".verdicts button", has_text="not started").click()
    assert opened.page.input_value("#search") == "not started"
    names = opened.page.locator("#fleet tbody tr:visible td:first-child").all_inner_texts()
    assert sorted(names) == fleet()["not_started"]


def test_the_routers_of_a_finding_can_all_be_shown(open_report: Open) -> None:
    document = fleet(60, after=False, with_trend=False)
    opened = open_report(document)
    opened.page.locator("article button[data-search=loose_pickup]").click()
    affected = [name for name, host in document["hosts"].items() if host["before"]]
    names = opened.page.locator("#fleet tbody tr:visible td:first-child").all_inner_texts()
    assert sorted(names) == sorted(affected)


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_host_name_is_text_whatever_it_looks_like(open_report: Open, name: str) -> None:
    opened = open_report(fleet(hostile=True))
    link = opened.page.locator(
        "#fleet tbody a", has=opened.page.locator(f"xpath=self::*[text()={_quoted(visible(name))}]")
    )
    assert link.first.evaluate("each => each.textContent") == visible(name)
    link.first.click()
    title = opened.page.locator(".router[open] > summary b")
    assert title.evaluate("each => each.textContent") == visible(name)
    assert opened.page.locator("script").count() == 1
    assert opened.page.locator("img").count() == 0
    assert opened.complaints == []


def _quoted(text: str) -> str:
    """Return a text as XPath writes it, which has no escapes."""
    parts = ", ".join(f"'{part}'" if '"' in part else f'"{part}"' for part in re.split(r"(')", text) if part)
    return f"concat('', {parts})"


def test_a_link_opens_the_section_of_its_router(open_report: Open) -> None:
    opened = open_report(fleet())
    link = opened.page.locator("#fleet tbody a").nth(10)
    link.click()
    section = opened.page.locator(".router[open]")
    assert section.count() == 1
    assert section.locator("> summary b").text_content() == link.text_content()
    expect(section.locator("> summary")).to_be_in_viewport()
    assert section.locator(".histogram").first.is_visible()


def test_without_scripts_all_is_there(open_report: Open) -> None:
    opened = open_report(fleet(6), java_script_enabled=False)
    assert opened.page.locator("#fleet tbody tr:visible").count() == 6
    assert not opened.page.locator("#search").is_visible()
    opened.page.locator(".router > summary").last.click()
    assert opened.page.locator(".router[open]").count() == 1


@pytest.mark.parametrize("width", [420, 1000, 1360, 2200])
def test_the_page_is_as_wide_as_the_window(open_report: Open, width: int) -> None:
    opened = open_report(fleet(hostile=True), viewport={"width": width, "height": 900})
    opened.page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
    assert opened.page.evaluate("document.documentElement.scrollWidth") == width


def test_light_and_dark_look_different(open_report: Open) -> None:
    def brightness(scheme: str) -> list[int]:
        page = open_report(fleet(3), color_scheme=scheme).page
        styles = page.evaluate(
            "['body', '.card', 'h1'].map(each => { const style = getComputedStyle(document.querySelector(each));"
            " return each === 'h1' ? style.color : style.backgroundColor })"
        )
        return [sum(map(int, re.findall(r"\d+", style)[:3])) // 3 for style in styles]

    page, card, text = brightness("light")
    assert text < 60 < 230 < page < card
    page, card, text = brightness("dark")
    assert page < card < 40 < 200 < text


def test_paper_shows_what_is_closed_on_the_screen(open_report: Open) -> None:
    opened = open_report(fleet(4), color_scheme="dark")
    body = opened.page.locator("details .body").last
    assert not body.is_visible()
    opened.page.emulate_media(media="print")
    assert opened.page.locator("details .body").evaluate_all("each => each.every(body => body.clientHeight > 40)")
    assert not opened.page.locator("nav").is_visible()
    assert opened.page.evaluate("getComputedStyle(document.querySelector('h1')).color") == "rgb(29, 33, 41)"


def test_a_printed_report_has_all_pages(open_report: Open) -> None:
    opened = open_report(fleet(4))

    def pages() -> int:
        return len(re.findall(rb"/Type\s*/Page\b", opened.page.pdf()))

    closed = pages()
    opened.page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
    assert closed == pages() > 4


def test_two_thousand_routers_open_scroll_sort_and_filter(open_report: Open) -> None:
    document = fleet(2000, hostile=True)
    started = time.monotonic()
    opened = open_report(document)
    page = opened.page
    assert page.locator("details.router").count() == 2000
    page.evaluate(
        """async () => {
             const end = document.documentElement.scrollHeight;
             for (let step = 1; step <= 20; step++) {
               scrollTo(0, end * step / 20);
               await new Promise(done => requestAnimationFrame(() => setTimeout(done)));
             }
           }"""
    )
    assert page.evaluate("scrollY + innerHeight >= document.documentElement.scrollHeight - 1")
    assert page.locator("footer").is_visible()
    button(opened, "Entries").click()
    entries = keys(opened, "Entries")
    assert entries == in_order(entries, falling=True)
    page.fill("#search", "fw-")
    assert page.inner_text("#count") == f"{sum('fw-' in name for name in document['hosts'])} of 2000 shown"
    page.locator(".router > summary").last.click()
    expect(page.locator(".router[open] .body")).to_be_visible()
    assert opened.complaints == []
    assert time.monotonic() - started < SECONDS


@functools.cache
def large_fleet() -> Document:
    """Return a fleet of which the sections are made when they are opened."""
    return under_other_names(fleet_document(40), OPENED_AT_ONCE + 20)


def test_a_large_page_makes_a_section_when_it_is_opened(open_report: Open) -> None:
    opened = open_report(large_fleet())
    sections = opened.page.locator(".router")
    assert sections.count() == len(large_fleet()["hosts"])
    assert opened.page.locator(".router .body").count() == 0
    section = sections.filter(has=opened.page.locator("summary .badge.high")).last
    section.locator("> summary").click()
    expect(section.locator(".charts")).to_be_visible()
    assert opened.page.locator(".router .body").count() == 1
    assert opened.complaints == []


def test_a_link_on_a_large_page_makes_the_section_and_leads_to_it(open_report: Open) -> None:
    opened = open_report(large_fleet())
    link = opened.page.locator("#fleet tbody a").nth(300)
    link.click()
    section = opened.page.locator(".router[open]")
    expect(section.locator(".body")).to_be_in_viewport()
    assert section.locator("> summary b").text_content() == link.text_content()
    opened.page.goto(f"{opened.file.as_uri()}#r2")
    opened.page.reload()
    expect(opened.page.locator("#r2")).to_be_in_viewport()


def test_a_large_page_has_all_sections_without_scripts(open_report: Open) -> None:
    opened = open_report(large_fleet(), java_script_enabled=False)
    assert opened.page.locator(".router .body").count() == len(large_fleet()["hosts"])
    opened.page.locator(".router > summary").last.click()
    expect(opened.page.locator(".router[open] .body")).to_be_visible()


def test_each_link_of_a_large_page_leads_to_something(open_report: Open) -> None:
    missing = open_report(large_fleet()).page.evaluate(
        """() => [...document.querySelectorAll("a[href^='#']")].map(each => each.hash.slice(1)).filter(id =>
             !document.getElementById(id) && !document.querySelector(`[data-holds~="${id}"]`))"""
    )
    assert missing == []


@pytest.mark.parametrize(
    ("name", "scheme", "link"),
    [
        ("report-fleet", "light", ""),
        ("report-router", "light", "#fleet tr:has(.badge.high) a"),
        ("report-dark", "dark", "nav a[href='#routers']"),
    ],
)
def test_pictures_for_the_documentation(
    open_report: Open, tmp_path: pathlib.Path, name: str, scheme: str, link: str
) -> None:
    document = filled_fleet(50, after=True, with_trend=True)
    opened = open_report(document, color_scheme=scheme, viewport={"width": 1360, "height": 1250})
    picture = CHECKOUT / "docs" / f"{name}.png" if UPDATE and name == SHOWN else tmp_path / f"{name}.png"
    if link:
        opened.page.locator(link).first.click()
        expect(opened.page.locator("h1")).not_to_be_in_viewport()
    opened.page.screenshot(path=picture, animations="disabled")
    assert colours_in(opened.page, picture.read_bytes()) > 50
    assert picture.stat().st_size < MOST_BYTES


def colours_in(page: t.Any, png: bytes) -> int:
    """Return how many different colours a picture has."""
    page.goto("about:blank")
    count: int = page.evaluate(
        """async picture => {
             const image = new Image();
             image.src = "data:image/png;base64," + picture;
             await image.decode();
             const canvas = new OffscreenCanvas(image.width, image.height), context = canvas.getContext("2d");
             context.drawImage(image, 0, 0);
             return new Set(new Uint32Array(context.getImageData(0, 0, image.width, image.height).data.buffer)).size;
           }""",
        base64.b64encode(png).decode(),
    )
    return count

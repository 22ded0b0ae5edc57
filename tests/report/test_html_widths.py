# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The HTML report on screens from a small phone to a large desktop: what fits, what folds, what stands on top."""

from __future__ import annotations

import copy
import functools
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.ranking import worst_first
from helpers.documents import Document, fleet_document
from helpers.filled_tables import filled_fleet, only

Open = t.Callable[..., t.Any]

HEIGHTS = {320: 568, 360: 740, 390: 844, 430: 932, 768: 1024, 1024: 768, 1280: 800, 1440: 900}
PHONES = (320, 360, 390, 430)
LEAST_COLUMN = 60
MOST_HEIGHT = 9_600

OPEN_ALL = "document.querySelectorAll('details').forEach(each => { each.open = true })"
OPEN_ROUTERS = "document.querySelectorAll('.router').forEach(each => { each.open = true })"
DRAW_ALL = "document.querySelectorAll('.router').forEach(each => { each.style.contentVisibility = 'visible' })"
"""What is not in the window has no height of its own otherwise."""

COLUMNS = """() => [...document.querySelectorAll("body *")]
  .filter(each => ["grid", "table-row"].includes(getComputedStyle(each.parentNode).display))
  .filter(each => each.textContent.trim() && each.checkVisibility() && !each.closest(".tiles"))
  .map(each => [Math.round(each.getBoundingClientRect().width), `${each.className} ${each.textContent.slice(0, 30)}`])
"""
"""The width of each cell of a grid or a table, with its text."""


HIDDEN = """all => all.filter(each => each.textContent.trim() || each.matches("svg"))
  .map(each => !each.checkVisibility())"""
"""Whether each of some elements that have content is hidden."""

TILES = """all => all.map(each =>
  [each.offsetTop, each.offsetLeft + each.offsetWidth, each.scrollWidth <= each.clientWidth])"""
"""Where each tile begins, where it ends, and whether its words fit in."""


@functools.cache
def fleet(hosts: int, **options: bool) -> Document:
    return filled_fleet(hosts, **options)


@functools.cache
def hostile_run() -> Document:
    return fleet_document(14, hostile=True)


@functools.cache
def one_of_a_run() -> Document:
    """Return a document about a router that was audited, changed, pruned, audited again, and compared."""
    document = fleet(20, after=True, with_trend=True)
    full = (name for name, host in document["hosts"].items() if host["after"] and host["prune"] and host["trend"])
    return only(document, [next(full)])


def opened_at(open_report: Open, document: Document, width: int, *scripts: str, **options: t.Any) -> t.Any:
    """Open a report on a screen of a ``width``, and give its page after some ``scripts``."""
    page = open_report(document, viewport={"width": width, "height": HEIGHTS[width]}, **options).page
    for script in (*scripts, DRAW_ALL):
        page.evaluate(script)
    return page


def bottom(page: t.Any, selector: str) -> float:
    box = page.locator(selector).first.bounding_box()
    return float(box["y"] + box["height"])


@pytest.mark.parametrize("width", HEIGHTS)
@pytest.mark.parametrize("which", ["one", "three", "fifty", "hostile"])
def test_nothing_is_wider_than_the_window(open_report: Open, width: int, which: str) -> None:
    document = hostile_run() if which == "hostile" else fleet({"one": 1, "three": 3, "fifty": 50}[which])
    page = opened_at(open_report, document, width, OPEN_ALL)
    assert page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("width", PHONES)
@pytest.mark.parametrize("which", ["audit", "run"])
def test_no_column_is_narrow_on_a_phone(open_report: Open, width: int, which: str) -> None:
    document = fleet(3) if which == "audit" else hostile_run()
    columns = opened_at(open_report, document, width, OPEN_ALL).evaluate(COLUMNS)
    assert len(columns) > 50
    assert [column for column in columns if column[0] < LEAST_COLUMN] == []


@pytest.mark.parametrize("width", PHONES)
def test_each_router_has_its_name_on_a_phone(open_report: Open, width: int) -> None:
    document = fleet(50)
    page = opened_at(open_report, document, width)
    names = [name for name, _host in worst_first(document)]
    for selector in (".router > summary b", "#fleet tbody td:first-child"):
        shown = page.locator(selector).evaluate_all(
            "all => all.map(each => [each.textContent, each.scrollWidth <= each.clientWidth + 1 || "
            "each.getBoundingClientRect().width >= each.scrollWidth - 1, each.getBoundingClientRect().width])"
        )
        assert [name for name, _whole, _width in shown] == names
        assert all(whole and width > LEAST_COLUMN for _name, whole, width in shown), selector


@pytest.mark.parametrize("width", [*PHONES, 768])
def test_the_names_stay_when_the_table_is_moved(open_report: Open, width: int) -> None:
    page = opened_at(open_report, fleet(3), width)
    place = page.evaluate(
        """() => {
             const box = document.querySelector("#fleet").parentNode, cell = document.querySelector("#fleet td");
             box.scrollIntoView();
             box.scrollLeft = 10_000;
             const { left, right, top, bottom } = cell.getBoundingClientRect();
             const there = document.elementFromPoint(left + 30, (top + bottom) / 2);
             const [heading, other] = document.querySelectorAll("#fleet th");
             const level = heading.getBoundingClientRect().top === other.getBoundingClientRect().top;
             return [box.scrollLeft, left, cell.contains(there), level];
           }"""
    )
    moved, left, is_seen, is_level = place
    assert moved > 0
    assert left >= 0
    assert is_seen
    assert is_level


@pytest.mark.parametrize("width", PHONES)
@pytest.mark.parametrize("which", ["audit", "run"])
def test_the_page_of_one_router_is_not_endless(open_report: Open, width: int, which: str) -> None:
    page = opened_at(open_report, fleet(1) if which == "audit" else one_of_a_run(), width, OPEN_ROUTERS)
    assert page.locator(".router > .body").is_visible()
    assert page.evaluate("document.documentElement.scrollHeight") < MOST_HEIGHT


def test_a_phone_shows_closed_what_paper_and_a_desktop_show(open_report: Open) -> None:
    def hidden(page: t.Any) -> list[bool]:
        inner: list[bool] = page.locator(".fold > :not(summary)").evaluate_all(HIDDEN)
        assert len(inner) > 10
        return inner

    page = opened_at(open_report, fleet(1), 360, OPEN_ROUTERS)
    assert all(hidden(page))
    page.locator(".fold > summary").first.click()
    assert hidden(page).count(False) in (1, 2, 3)
    page.emulate_media(media="print")
    assert not any(hidden(page))
    assert not any(hidden(opened_at(open_report, fleet(1), 1280, OPEN_ROUTERS)))
    page = opened_at(open_report, fleet(1), 360, OPEN_ROUTERS)
    page.set_viewport_size({"width": 1280, "height": 800})
    page.wait_for_function("document.querySelector('.fold').open")
    assert not any(hidden(page))


def test_without_scripts_nothing_is_closed_on_a_phone(open_report: Open) -> None:
    opened = open_report(fleet(1), viewport={"width": 360, "height": 740}, java_script_enabled=False)
    opened.page.locator(".router > summary").click()
    assert opened.page.locator(".fold .tops, .fold .facts").first.is_visible()


def with_tiles(count: int) -> Document:
    """Return a document whose page has so many tiles."""
    document = copy.deepcopy(fleet_document(20, after=count > 6, with_trend=False))
    document["totals"] |= {"findings_before": 1_277, "no_conntrack": int(count in (6, 9, 10))}
    if count > 6:
        document["totals"] |= {"findings_after": 1_118, "deleted": 1_234_567, "shortened": 2_345_678}
    for host in document["hosts"].values():
        host["prune"] = host["prune"] if count > 7 else None
        if host["settings"] and count < 10:
            host["settings"]["forecast"] = None
    return document


@pytest.mark.parametrize("width", HEIGHTS)
@pytest.mark.parametrize("count", [5, 6, 7, 8, 9, 10])
def test_no_tile_stands_alone(open_report: Open, width: int, count: int) -> None:
    page = opened_at(open_report, with_tiles(count), width)
    tiles = page.locator(".tiles > div").evaluate_all(TILES)
    assert len(tiles) == count
    rows: dict[int, list[int]] = {}
    for top, right, fits in tiles:
        rows.setdefault(top, []).append(right)
        assert fits
    assert all(len(row) > 1 for row in rows.values())
    assert len(rows) == 1 or width < 1200 or count >= 9
    ends = [max(row) for row in rows.values()]
    assert max(ends) - min(ends) <= 2, "each row is filled"


@pytest.mark.parametrize("width", [768, 1280])
@pytest.mark.parametrize(("hosts", "options"), [(3, {}), (50, {}), (50, {"after": True})])
def test_what_fills_the_worst_tables_is_above_the_fold(
    open_report: Open, width: int, hosts: int, options: dict[str, bool]
) -> None:
    page = opened_at(open_report, fleet(hosts, **options), width)
    told = page.locator(".fills")
    whole = [each for each in told.all() if each.bounding_box()["y"] + each.bounding_box()["height"] <= HEIGHTS[width]]
    # The tiles of a run take more rows.
    assert len(whole) >= (1 if options and width < 1280 else 2)
    # With how many sources the entries have, two of them fill a narrow screen.
    assert width < 1280 or options or bottom(page, ".fills:nth-of-type(3) .badge") <= HEIGHTS[width]
    # What it frees stands above it.
    assert page.locator(".fills .command").first.bounding_box()["y"] < HEIGHTS[width] * 0.55


@pytest.mark.parametrize("width", PHONES)
@pytest.mark.parametrize(("hosts", "options"), [(1, {}), (3, {}), (50, {"after": True})])
def test_what_fills_the_worst_table_begins_above_the_fold_of_a_phone(
    open_report: Open, width: int, hosts: int, options: dict[str, bool]
) -> None:
    page = opened_at(open_report, fleet(hosts, **options), width)
    fold = HEIGHTS[width]
    assert bottom(page, ".fills .badge") < bottom(page, ".fills .cause") < fold
    assert width == min(PHONES) or bottom(page, ".fills .command") < fold


@pytest.mark.parametrize("width", HEIGHTS)
def test_a_command_has_a_line_of_its_own_and_stays_in_its_box(open_report: Open, width: int) -> None:
    page = opened_at(open_report, fleet(3), width, OPEN_ALL)
    boxes = page.locator(".command").evaluate_all(
        """all => all.map(each => {
             const box = each.getBoundingClientRect(), parent = each.parentNode.getBoundingClientRect();
             const others = [...each.parentNode.children].filter(other => other !== each)
               .map(other => other.getBoundingClientRect());
             return [
               others.every(other => other.bottom <= box.top + 1 || other.top >= box.bottom - 1),
               box.right <= parent.right + 1,
               each.clientWidth > 100 && each.scrollWidth <= each.clientWidth,
             ];
           })"""
    )
    assert len(boxes) >= 8
    assert all(map(all, boxes))


def test_a_click_takes_a_whole_command(open_report: Open) -> None:
    page = opened_at(open_report, fleet(1), 360)
    command = page.locator(".fills .command").first
    command.click()
    taken = page.evaluate("getSelection().toString()")
    name = next(iter(fleet(1)["hosts"]))
    assert taken == (
        f"ansible {name} -i /etc/ansible/routers.yml -b -m netops.conntrack.conntrack_prune "
        "-a 'match=\"protocol=udp replied=false destination=192.0.2.54 destination_port=53\" backup=true'"
    )


def test_a_section_leads_to_what_stands_elsewhere(open_report: Open) -> None:
    opened = open_report(fleet(3))
    page = opened.page
    page.evaluate(OPEN_ROUTERS)
    for link in page.locator(".body a").all():
        link.click()
        target = page.locator(link.get_attribute("href"))
        box = target.bounding_box()
        assert 40 <= box["y"] < 1000, "below the navigation, which stays on top"
    assert page.locator(".body a").count() > 20

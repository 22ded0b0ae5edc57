# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.plugin_utils._html_toolkit.charts import (
    Counts,
    Point,
    axis,
    axis_id,
    fleet_map,
    gauge,
    histogram,
    level,
    pairs,
    shares,
    stack,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._html_toolkit.markup import Html
from helpers.html_reader import Element, read
from hypothesis import given
from hypothesis import strategies as st

LABEL = 'how "full" <it> is'
EDGES = (0, 10, 60)


def drawn(chart: Html) -> Element:
    """Return the chart as the browser reads it, when it has been seen that it has its text alternative."""
    (svg,) = read(chart).children
    assert svg.name == "svg"
    assert (svg.attributes["role"], svg.attributes["aria-label"]) == ("img", LABEL)
    return svg


def widths(stack: Element) -> dict[str, tuple[int, int]]:
    """Return offset and width of each part of a stacked bar, by class."""
    found = {}
    for path in stack.all("path"):
        offset, width = map(int, re.findall(r"M(\d+) 0h(\d+)", path.attributes["d"])[0])
        found[path.attributes["class"]] = (offset, width)
    return found


def columns(path: Element) -> list[tuple[float, float]]:
    """Return the left end and the top of each bar of a histogram."""
    return [(float(x), float(y)) for x, y in re.findall(r"M([\d.]+) 84V([\d.]+)h26V84z", path.attributes["d"])]


@pytest.mark.parametrize(("percent", "name"), [(0, "fine"), (79.9, "fine"), (80, "near"), (94.9, "near"), (95, "full")])
def test_level(percent: float, name: str) -> None:
    assert level(percent) == name


def test_a_gauge_shows_now_before_and_the_thresholds() -> None:
    svg = drawn(gauge([97.5, 40.0], LABEL))
    assert svg.one("rect", "fine").attributes["width"] == "80"
    assert svg.one("rect", "was").attributes["width"] == "195"
    assert svg.one("path", "marks").attributes["d"] == "M160 0v14M190 0v14"


def test_a_table_that_is_fuller_than_full_fills_its_gauge() -> None:
    assert drawn(gauge([104.0], LABEL)).one("rect", "full").attributes["width"] == "200"


@pytest.mark.parametrize("percents", [[None], [None, None], [40.0, None]])
def test_what_is_not_known_is_hatched_and_no_bar_of_0(percents: list[float | None]) -> None:
    svg = drawn(gauge(percents, LABEL))
    assert svg.one("rect", "hatch").attributes["width"] == "200"
    assert not [*svg.all(style="fine"), *svg.all(style="near"), *svg.all(style="full")]
    assert len(list(svg.all(style="was"))) == (percents[0] is not None)


def test_the_parts_of_a_stack_fill_it() -> None:
    drawing = drawn(stack([("slot0", 700), ("slot1", 0), ("slot2", 299), ("slot3", 1)], LABEL))
    assert widths(drawing) == {"slot0": (0, 209), "slot2": (209, 90), "slot3": (299, 1)}


def test_an_empty_stack_is_empty() -> None:
    assert widths(drawn(stack([("slot0", 0)], LABEL))) == {}


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=12).filter(any))
def test_a_stack_is_as_long_for_any_total(amounts: list[int]) -> None:
    drawing = drawn(stack([(f"slot{place}", amount) for place, amount in enumerate(amounts)], LABEL))
    assert sum(width for _offset, width in widths(drawing).values()) == 300


def test_a_histogram_has_a_bar_for_each_range() -> None:
    svg = drawn(histogram(Counts(EDGES, (50, 0, 100), 0), None, LABEL))
    assert columns(svg.one("path", "bars")) == [(3, 49), (67, 14)]
    assert svg.one("text").text == "50100"
    assert svg.one("use").attributes["href"] == f"#{axis_id(EDGES)}"
    assert not list(svg.all(style="outline"))


def test_one_in_a_million_is_still_seen() -> None:
    svg = drawn(histogram(Counts(EDGES, (1, 10**6, 0), 0), None, LABEL))
    assert columns(svg.one("path", "bars"))[0] == (3, 83)


def test_a_histogram_has_the_outline_of_what_was() -> None:
    svg = drawn(histogram(Counts(EDGES, (50, 0, 0), 0), Counts(EDGES, (100, 0, 25), 0), LABEL))
    assert svg.one("path", "outline").attributes["d"] == "M0 84V14h32V84h32V66.5h32V84"
    assert columns(svg.one("path", "bars")) == [(3, 49)]
    assert set(svg.one("text").attributes["y"].split()) == {"46"}


def test_a_number_stands_above_an_outline_that_would_cross_it() -> None:
    svg = drawn(histogram(Counts(EDGES, (95, 0, 0), 0), Counts(EDGES, (100, 0, 0), 0), LABEL))
    assert set(svg.one("text").attributes["y"].split()) == {"11"}


def test_an_outline_over_other_ranges_is_not_drawn() -> None:
    svg = drawn(histogram(Counts(EDGES, (50, 0, 0), 0), Counts((0, 5, 60), (100, 0, 25), 0), LABEL))
    assert not list(svg.all(style="outline"))


def test_entries_without_a_time_stand_apart() -> None:
    svg = drawn(histogram(Counts(EDGES, (50, 0, 0), 100), None, LABEL))
    assert columns(svg.one("path", "hatch")) == [(115, 14)]
    assert svg.one("text").text == "50100?"


def test_a_count_that_is_not_known_is_no_bar_but_a_question() -> None:
    svg = drawn(histogram(Counts(EDGES, (None, 0, 7), None), None, LABEL))
    assert columns(svg.one("path", "bars")) == [(67, 14)]
    assert columns(svg.one("path", "hatch")) == []
    assert svg.one("text").text == "?7??"


def test_each_character_of_the_labels_has_its_place() -> None:
    svg = drawn(histogram(Counts(EDGES, (1_249, 0, 3), 0), None, LABEL))
    text = svg.one("text")
    assert text.text == "1.2k3"
    assert text.attributes["x"].split() == ["7", "13", "19", "25", "80"]
    assert len(text.attributes["y"].split()) == 5


def test_the_axis_names_where_each_range_but_the_first_begins() -> None:
    group = read(axis(EDGES)).children[0]
    assert group.attributes["id"] == axis_id(EDGES)
    assert group.text == "10s1m"
    assert axis_id((0, 10)) != axis_id(EDGES)


@given(st.lists(st.integers(0, 10**9), min_size=3, max_size=3), st.lists(st.integers(0, 10**9), min_size=3, max_size=3))
def test_no_bar_leaves_its_histogram(now: list[int], was: list[int]) -> None:
    svg = drawn(
        histogram(Counts(EDGES, (now[0], now[1], now[2]), 5), Counts(EDGES, (was[0], was[1], was[2]), 0), LABEL)
    )
    tops = [y for path in (svg.one("path", "bars"), svg.one("path", "hatch")) for _x, y in columns(path)]
    assert all(14 <= top <= 83 for top in tops)
    assert len(tops) == sum(map(bool, now)) + 1


def test_pairs_share_a_scale() -> None:
    svg = drawn(pairs([("all", [1_000, 250]), ("stale", [None, 0])], LABEL))
    assert [text.text for text in svg.all("text")] == ["all", "1,000", "250", "stale", "?", "0"]
    assert "h300v" in svg.one("path", "was").attributes["d"]
    assert re.findall(r"h([\d.]+)v", svg.one("path", "now").attributes["d"]) == ["75", "0"]
    assert re.findall(r"h([\d.]+)v", svg.one("path", "hatch").attributes["d"]) == ["300"]


def test_one_value_is_that_of_now() -> None:
    svg = drawn(pairs([("all", [0]), ("stale", [0])], LABEL))
    assert not list(svg.all(style="was"))
    assert re.findall(r"h([\d.]+)v", svg.one("path", "now").attributes["d"]) == ["0", "0"]


def test_the_name_of_a_selector_is_text() -> None:
    assert next(drawn(pairs([("<b>&", [1])], LABEL)).all("text")).text == "<b>&"


def test_shares() -> None:
    svg = drawn(shares([25.34, None, 0, 100.0], LABEL))
    assert svg.one("path").attributes["d"] == "M0 0h25.3v1H0zM0 3h100v1H0z"
    assert svg.attributes["viewbox"] == "0 0 100 4"


def point(entries: t.Any, percents: t.Any, style: str = "info", shape: str = "circle") -> Point:
    return Point(entries, percents, style, shape)


def spots(svg: Element, style: str) -> list[tuple[float, float]]:
    paths = [path.attributes["d"] for path in svg.all("path", style)]
    return [(float(x), float(y)) for path in paths for x, y in re.findall(r"M([\d.]+) ([\d.]+)m", path)]


def test_a_router_stands_by_its_entries_and_how_full_it_is() -> None:
    svg = drawn(fleet_map([point([10_000], [50.0]), point([100], [0.0]), point([1_000_000], [100.0])], LABEL))
    assert spots(svg, "info") == [(351, 122.5), (52, 233), (650, 12)]


def test_routers_of_a_verdict_share_one_shape() -> None:
    points = [point([10], [1.0]), point([10], [1.0], "high", "triangle"), point([20], [1.0], "high", "triangle")]
    svg = drawn(fleet_map(points, LABEL))
    assert (len(spots(svg, "info")), len(spots(svg, "high"))) == (1, 2)
    assert svg.one("path", "high").classes == ["high", "triangle"]


def test_a_thread_leads_from_where_a_router_was() -> None:
    svg = drawn(fleet_map([point([100_000, 1_000], [90.0, 10.0])], LABEL))
    assert svg.one("path", "thread").attributes["d"] == "M650 34.1L251.3 210.9"


def test_without_a_limit_a_router_stands_in_a_lane_below_0() -> None:
    assert spots(drawn(fleet_map([point([100], [None])], LABEL)), "info") == [(52, 249)]


@pytest.mark.parametrize("entries", [[None], [None, None], [5, None]])
def test_a_router_that_is_not_counted_now_is_not_on_the_map_as_0(entries: list[int | None]) -> None:
    points = [point(entries, [50.0] * len(entries))]
    assert spots(drawn(fleet_map(points, LABEL)), "info") == []


def test_small_tables_stand_at_the_end_which_says_so() -> None:
    svg = drawn(fleet_map([point([0], [0.0])], LABEL))
    assert spots(svg, "info") == [(52, 233)]
    assert "≤ 100" in [text.text for text in svg.all("text")]

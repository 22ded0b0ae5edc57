# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import math
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.plugin_utils._html_toolkit.scales import (
    apportion,
    colours,
    linear,
    linear_marks,
    logarithmic,
    logarithmic_marks,
    rounded,
    stacked,
)
from hypothesis import given
from hypothesis import strategies as st

AMOUNTS = st.floats(1e-3, 1e12)
PARTS = st.lists(st.integers(0, 10**15), max_size=20)
NAMES = st.lists(st.text(max_size=8), max_size=20)


@pytest.mark.parametrize(
    ("domain", "places", "value", "place"),
    [
        ((0, 100), (0, 200), 50, 100),
        ((0, 100), (200, 0), 25, 150),
        ((10, 20), (0, 1), 15, 0.5),
        ((0, 100), (0, 200), 140, 200),
        ((0, 100), (0, 200), -3, 0),
    ],
)
def test_linear(domain: t.Any, places: t.Any, value: float, place: float) -> None:
    assert linear(domain, places)(value) == place


@pytest.mark.parametrize("domain", [(1, 1), (2, 1), (math.nan, 1)])
def test_an_empty_domain_is_refused(domain: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="empty"):
        linear(domain, (0, 1))


@pytest.mark.parametrize(
    ("value", "place"), [(100, 0), (1_000, 1), (10_000, 2), (1_000_000, 4), (5, 0), (0, 0), (10**9, 4)]
)
def test_logarithmic(value: float, place: float) -> None:
    assert logarithmic((100, 1_000_000), (0, 4))(value) == pytest.approx(place)


@pytest.mark.parametrize("domain", [(0, 10), (-1, 10), (10, 10)])
def test_a_logarithm_needs_a_domain_above_0(domain: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="domain"):
        logarithmic(domain, (0, 1))


@given(low=AMOUNTS, ratio=st.floats(1.01, 1e6), values=st.lists(st.floats(0, 1e15), min_size=2))
def test_no_scale_changes_the_order(low: float, ratio: float, values: list[float]) -> None:
    for scale in (linear((low, low * ratio), (0, 100)), logarithmic((low, low * ratio), (0, 100))):
        places = [scale(value) for value in sorted(values)]
        assert places == sorted(places)
        assert places[0] >= 0
        assert places[-1] <= 100


@pytest.mark.parametrize(
    ("most", "wanted", "marks"),
    [
        (100, 5, [0, 20, 40, 60, 80, 100]),
        (7, 5, [0, 2, 4, 6, 8]),
        (1, 4, [0, 0.5, 1]),
        (4, 4, [0, 1, 2, 3, 4]),
        (917_504, 6, [0, 200_000, 400_000, 600_000, 800_000, 1_000_000]),
        (0.3, 3, [0, 0.1, 0.2, 0.3]),
        (3, 1, [0, 5]),
    ],
)
def test_linear_marks(most: float, wanted: int, marks: list[float]) -> None:
    assert linear_marks(most, wanted) == pytest.approx(marks)


@given(most=AMOUNTS, wanted=st.integers(1, 12))
def test_linear_marks_reach_over_the_most_and_not_far(most: float, wanted: int) -> None:
    marks = linear_marks(most, wanted)
    assert marks[0] == 0
    assert 2 <= len(marks) <= wanted + 1
    assert marks[-1] >= most * (1 - 1e-9)
    assert marks[-2] < most


@pytest.mark.parametrize(("most", "wanted"), [(0, 5), (-1, 5), (5, 0)])
def test_linear_marks_need_something_to_mark(most: float, wanted: int) -> None:
    with pytest.raises(ValueError, match="steps"):
        linear_marks(most, wanted)


@pytest.mark.parametrize(
    ("least", "most", "marks"),
    [
        (100, 1_000, [100, 1_000]),
        (100, 1_001, [100, 1_000, 10_000]),
        (100, 100, [100, 1_000]),
        (1, 1, [1, 10]),
        (0.5, 20, [0.1, 1, 10, 100]),
    ],
)
def test_logarithmic_marks(least: float, most: float, marks: list[float]) -> None:
    assert logarithmic_marks(least, most) == pytest.approx(marks)


@pytest.mark.parametrize(("least", "most"), [(0, 10), (10, 9), (-1, 10)])
def test_logarithmic_marks_need_amounts_above_0(least: float, most: float) -> None:
    with pytest.raises(ValueError, match="powers of ten"):
        logarithmic_marks(least, most)


@pytest.mark.parametrize(
    ("parts", "units", "shares"),
    [
        ([], 10, []),
        ([0, 0], 10, [0, 0]),
        ([1], 10, [10]),
        ([1, 1, 1], 10, [4, 3, 3]),
        ([50, 30, 20], 300, [150, 90, 60]),
        ([999_999, 1], 300, [299, 1]),
        ([999_999, 0, 1], 300, [299, 0, 1]),
        ([1, 1, 1], 2, [1, 1, 0]),
        ([7, 2, 1], 0, [0, 0, 0]),
    ],
)
def test_apportion(parts: list[int], units: int, shares: list[int]) -> None:
    assert apportion(parts, units) == shares


@given(parts=PARTS, units=st.integers(20, 1_000))
def test_shares_add_up_and_hide_nothing(parts: list[int], units: int) -> None:
    shares = apportion(parts, units)
    assert sum(shares) == (units if any(parts) else 0)
    assert [share > 0 for share in shares] == [part > 0 for part in parts]


@given(parts=PARTS, units=st.integers(0, 1_000))
def test_a_larger_part_never_gets_less(parts: list[int], units: int) -> None:
    by_size = sorted(parts, reverse=True)
    shares = apportion(by_size, units)
    assert shares == sorted(shares, reverse=True)


def test_a_part_below_0_is_refused() -> None:
    with pytest.raises(ValueError, match="below 0"):
        apportion([3, -1], 10)


@given(widths=st.lists(st.integers(0, 300)))
def test_what_is_stacked_lies_end_to_end(widths: list[int]) -> None:
    laid = stacked(widths)
    assert [width for _offset, width in laid] == widths
    assert [offset for offset, _width in laid] == [sum(widths[:place]) for place in range(len(widths))]


def test_colours_keep_what_is_fixed_and_fill_the_rest() -> None:
    chosen = colours(["tcp", "udp", "xtp"], {"tcp": 0, "udp": 1}, 3)
    assert chosen == {"tcp": 0, "udp": 1, "xtp": 2}


@given(names=NAMES, slots=st.integers(1, 9), data=st.data())
def test_colours_do_not_depend_on_the_order(names: list[str], slots: int, data: st.DataObject) -> None:
    chosen = colours(names, {}, slots)
    assert chosen == colours(data.draw(st.permutations(names)), {}, slots)
    assert set(chosen.values()) <= set(range(slots))
    assert len(set(chosen.values())) == min(len(chosen), slots)


def test_a_name_has_the_same_colour_in_each_fleet() -> None:
    assert colours(["xtp"], {}, 9) == {"xtp": colours(["xtp", "tcp"], {"tcp": 8}, 9)["xtp"]}


@pytest.mark.parametrize(
    ("place", "text"), [(0, "0"), (12.0, "12"), (12.34, "12.3"), (-0.04, "0"), (0.96, "1"), (123456.7, "123457")]
)
def test_rounded(place: float, text: str) -> None:
    assert rounded(place) == text

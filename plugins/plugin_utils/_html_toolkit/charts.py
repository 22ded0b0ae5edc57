# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""Charts as inline SVG: from figures to markup. Colours and fonts come from the style of the page, by class.

Each chart has a text alternative, which its caller words. What is not known is hatched, and never drawn as 0.
"""

from __future__ import annotations

import collections
import typing as t
import zlib

from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.check import FULL, NEARLY_FULL, fullness
from ansible_collections.netops.conntrack.plugins.plugin_utils._display import UNKNOWN, compact, duration, number
from ansible_collections.netops.conntrack.plugins.plugin_utils._html_toolkit.markup import Html, element, joined
from ansible_collections.netops.conntrack.plugins.plugin_utils._html_toolkit.scales import (
    Scale,
    apportion,
    linear,
    linear_marks,
    logarithmic,
    logarithmic_marks,
    rounded,
    stacked,
)

HATCH = "hatch"
"""The class, and the id of the pattern, of what is not known."""

_GAUGE_WIDTH, _GAUGE_HEIGHT = 200, 14
_STACK_UNITS = 300
"""The width of a stacked bar: a part that is there at all is one of these, 2 pixels or so, wide."""

_BIN, _BIN_GAP, _TOP, _BASE = 32, 3, 14, 84
_PAIR_LEFT, _PAIR_WIDTH, _PAIR_BAR, _PAIR_GAP = 112, 300, 10, 12
_MAP_LEFT, _MAP_RIGHT, _MAP_TOP, _MAP_BOTTOM, _MAP_LANE = 52, 650, 12, 262, 249
_MAP_UP = linear((0, 100), (_MAP_LANE - 16, _MAP_TOP))
_MAP_LEAST = 100
"""Entries at the left end of the map; tables with less stand there, too."""

_SHAPES = {
    "circle": "m-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z",
    "diamond": "m0-6l6 6l-6 6l-6-6z",
    "triangle": "m0-6l6 10h-12z",
    "square": "m-4.5-4.5h9v9h-9z",
    "ring": "m-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z",
}
"""What is drawn around the place of a point, by name."""

_Column = tuple[float, tuple[t.Optional[int], t.Optional[int]]]
"""A place on the axis of a histogram, in ranges, and how many there are now and were before."""

_Label = tuple[float, float, str]
"""Where the middle of a text is, and the text."""

_ADVANCE, _LETTER = 6, 12
"""From one character of a label to the next, for its font has characters of one width; and from line to line."""

Values = t.Sequence[t.Optional[float]]
"""One value for now, or two for before and now; None for unknown."""


class Point(t.NamedTuple):
    """A router on the map: its entries and per cent full, each before and now, its class, and its shape."""

    entries: Values
    percents: Values
    style: str
    shape: str


class Bins(t.NamedTuple):
    """A histogram: where its ranges begin, how many there are in each, and how many nobody knows."""

    edges: tuple[int, ...]
    entries: tuple[int | None, ...]
    unknown: int | None


def gauge(percents: Values, label: str) -> Html:
    """Return how full a table is, with marks at the thresholds. The thin bar below is how full it was before."""
    place = linear((0, 100), (0, _GAUGE_WIDTH))
    now = percents[-1]
    parts = [element("rect", class_="track", width=_GAUGE_WIDTH, height=_GAUGE_HEIGHT)]
    if now is None:
        parts.append(element("rect", class_=HATCH, width=_GAUGE_WIDTH, height=_GAUGE_HEIGHT))
    else:
        parts.append(element("rect", class_=fullness(now), width=rounded(place(now)), height=_GAUGE_HEIGHT))
    if len(percents) > 1 and percents[0] is not None:
        parts.append(element("rect", class_="was", y=_GAUGE_HEIGHT - 4, width=rounded(place(percents[0])), height=4))
    marks = "".join(f"M{rounded(place(mark))} 0v{_GAUGE_HEIGHT}" for mark in (NEARLY_FULL, FULL))
    parts.append(element("path", class_="marks", d=marks))
    return _drawn("gauge", _GAUGE_WIDTH, _GAUGE_HEIGHT, label, parts, preserveAspectRatio="none")


def stack(parts: t.Sequence[tuple[str, int]], label: str) -> Html:
    """Return one bar of ``parts``, each a class and an amount. It is as long for any total."""
    places = stacked(apportion([amount for _style, amount in parts], _STACK_UNITS))
    bars = [
        element("path", class_=style, d=f"M{offset} 0h{width}v1h-{width}z")
        for (style, _amount), (offset, width) in zip(parts, places, strict=True)
        if width
    ]
    return _drawn("stack", _STACK_UNITS, 1, label, bars, preserveAspectRatio="none")


def axis(edges: tuple[int, ...]) -> Html:
    """Return the axis that all histograms with these ``edges`` (seconds) share, for the page's defs."""
    labels = [(place * _BIN, _BASE + 13, duration(edge)) for place, edge in enumerate(edges) if place]
    line = element("path", d=f"M0 {_BASE}H{len(edges) * _BIN}")
    return element("g", line, _labels(labels), id=axis_id(edges), class_="axis")


def axis_id(edges: tuple[int, ...]) -> str:
    """Return the id of the axis with these ``edges``."""
    return f"axis{zlib.crc32(repr(edges).encode()):x}"


def histogram(counts: Bins, was: Bins | None, label: str) -> Html:
    """Return a bar with its number for each range, and the outline of what there ``was`` if the ranges are the same.

    The entries whose time is not known stand apart at the right.
    """
    ranges = len(counts.edges)
    then = was.entries if was and was.edges == counts.edges else (None,) * ranges
    known: list[_Column] = [*enumerate(zip(counts.entries, then, strict=True))]
    unknown: list[_Column] = [(ranges + 0.5, (counts.unknown, None))] if counts.unknown != 0 else []
    height = _height_of([*known, *unknown])
    outline = [element("path", class_="outline", d=_outline(then, height))] if any(then) else []
    parts = [
        element("use", href=f"#{axis_id(counts.edges)}"),
        *outline,
        element("path", class_="bars", d=_bars(known, height)),
        element("path", class_=HATCH, d=_bars(unknown, height)),
        _labels([*_numbers([*known, *unknown], height), *_unknown_labels(unknown)]),
    ]
    return _drawn("histogram", (ranges + 2) * _BIN, _BASE + 18, label, parts)


def _height_of(columns: list[_Column]) -> Scale:
    """Return the scale on which the largest of all amounts fits, also if it is one of before."""
    amounts = [amount for _place, both in columns for amount in both if amount is not None]
    return linear((0, max([1, *amounts])), (_BASE, _TOP))


def _bars(columns: list[_Column], height: Scale) -> str:
    return "".join(_bar(place, now, height) for place, (now, _was) in columns if now)


def _numbers(columns: list[_Column], height: Scale) -> t.Iterator[_Label]:
    for column in columns:
        yield from _above(column, height)


def _unknown_labels(columns: list[_Column]) -> t.Iterator[_Label]:
    for place, _amounts in columns:
        yield (place + 0.5) * _BIN, _BASE + 13, UNKNOWN


def pairs(rows: t.Sequence[tuple[str, Values]], label: str) -> Html:
    """Return bars of amounts that share a scale, a row for each name. What it was lies above what it is now."""
    amounts = [value for _name, values in rows for value in values if value is not None]
    place = linear((0, max([1, *amounts])), (0, _PAIR_WIDTH))
    bars = collections.defaultdict[str, list[str]](list)
    texts = []
    y = 2
    for name, values in rows:
        middle = y + (len(values) * _PAIR_BAR + 8) / 2
        texts.append(_text(0, middle, name, "name"))
        for style, value in zip(("was", "now")[-len(values) :], values, strict=True):
            width = rounded(_PAIR_WIDTH if value is None else place(value))
            behind_bar = _PAIR_LEFT + float(width) + 6
            texts.append(_text(behind_bar, y + _PAIR_BAR - 1, number(value), style))
            style_of_bar = HATCH if value is None else style
            bars[style_of_bar].append(f"M{_PAIR_LEFT} {y}h{width}v{_PAIR_BAR}h-{width}z")
            y += _PAIR_BAR + 1
        y += _PAIR_GAP
    paths = [element("path", class_=style, d="".join(shapes)) for style, shapes in bars.items()]
    full_width = _PAIR_LEFT + _PAIR_WIDTH + 80
    return _drawn("pairs", full_width, y - _PAIR_GAP + 4, label, [*paths, *texts])


def shares(percents: Values, label: str) -> Html:
    """Return a bar of its share for each line of a list, to lie behind its lines. None is unknown."""
    bars = "".join(f"M0 {line}h{rounded(percent)}v1H0z" for line, percent in enumerate(percents) if percent)
    path = element("path", d=bars)
    return _drawn("shares", 100, len(percents), label, [path], preserveAspectRatio="none")


def fleet_map(points: t.Sequence[Point], label: str) -> Html:
    """Return every router whose entries are known by them (logarithmic) and how full it is. A thread leads from before.

    Those without a limit, which cannot be full, stand in a lane of their own below.
    """
    most = max((entries for point in points for entries in point.entries if entries), default=0)
    marks = logarithmic_marks(_MAP_LEAST, max(most, _MAP_LEAST))
    across = logarithmic((marks[0], marks[-1]), (_MAP_LEFT, _MAP_RIGHT))
    threads = []
    spots = collections.defaultdict[tuple[str, str], list[str]](list)
    for point in points:
        if point.entries[-1] is not None:
            places = _places(point, across)
            threads.append(f"M{'L'.join(places)}")
            spots[point.style, point.shape].append(f"M{places[-1]}{_SHAPES[point.shape]}")
    parts = [
        *_map_grid(marks, across),
        element("path", class_="thread", d="".join(threads)),
        *(element("path", class_=" ".join(classes), d="".join(shapes)) for classes, shapes in spots.items()),
    ]
    return _drawn("map", _MAP_RIGHT + 20, _MAP_BOTTOM + 38, label, parts)


def hatching() -> Html:
    """Return the pattern of what is not known, for the page's defs."""
    line = element("path", d="M-1 1l2-2M0 6l6-6M5 7l2-2")
    return element("pattern", line, id=HATCH, width=6, height=6, patternUnits="userSpaceOnUse")


def _drawn(style: str, width: int, height: int, label: str, parts: t.Iterable[Html], **attributes: str) -> Html:
    content = joined(parts)
    return element(
        "svg", content, class_=style, viewBox=f"0 0 {width} {height}", role="img", aria_label=label, **attributes
    )


def _text(x: float, y: float, content: str, style: str | None = None) -> Html:
    return element("text", content, class_=style, x=rounded(x), y=rounded(y))


def _crown(amount: int, height: Scale) -> float:
    """Return the top of a bar, which is seen even if it is one in a million."""
    return min(height(amount), _BASE - 1)


def _bar(place: float, amount: int, height: Scale) -> str:
    left = rounded(place * _BIN + _BIN_GAP)
    top = rounded(_crown(amount, height))
    width = _BIN - 2 * _BIN_GAP
    return f"M{left} {_BASE}V{top}h{width}V{_BASE}z"


def _above(column: _Column, height: Scale) -> t.Iterator[_Label]:
    """Yield the number of a column, above the bar, or the outline where that would cross it. Nothing for 0."""
    place, (now, was) = column
    if now != 0:
        crown, outline = (_crown(amount or 0, height) for amount in (now, was))
        y = outline if crown - _LETTER < outline < crown else crown
        yield (place + 0.5) * _BIN, y - 3, UNKNOWN if now is None else compact(now)


def _labels(labels: t.Iterable[_Label]) -> Html:
    """Return short texts, each in the middle of its place, as one element: page-wide, these would be half of all."""
    across: list[str] = []
    down: list[str] = []
    characters = ""
    for x, y, text in labels:
        left = x - (len(text) - 1) / 2 * _ADVANCE
        across += [f"{left + step * _ADVANCE:.0f}" for step in range(len(text))]
        down += [f"{y:.0f}"] * len(text)
        characters += text
    return element("text", characters, x=" ".join(across), y=" ".join(down)) if characters else Html("")


def _outline(amounts: t.Iterable[int | None], height: Scale) -> str:
    tops = [rounded(_crown(amount, height)) if amount else str(_BASE) for amount in amounts]
    steps = "".join(f"V{top}h{_BIN}" for top in tops)
    return f"M0 {_BASE}{steps}V{_BASE}"


def _places(point: Point, across: Scale) -> list[str]:
    """Return the places of a router on the map, before and now, as far as its entries are known."""
    return [
        f"{rounded(across(entries))} {rounded(_MAP_LANE if percent is None else _MAP_UP(percent))}"
        for entries, percent in zip(point.entries, point.percents, strict=True)
        if entries is not None
    ]


def _map_grid(marks: list[float], across: Scale) -> t.Iterator[Html]:
    """Yield what the points stand on: zones of full tables, lines, and the words of both axes."""
    percents = linear_marks(100, 5)
    yield _zone("full", FULL, 100)
    yield _zone("near", NEARLY_FULL, FULL)
    yield element("path", class_="grid", d=_map_lines(percents, marks, across))
    for percent in percents:
        yield _text(_MAP_LEFT - 6, _MAP_UP(percent) + 4, f"{percent:g} %", "end")
    yield _text(_MAP_LEFT - 6, _MAP_LANE + 4, "no limit", "end")
    words = [f"≤ {compact(_MAP_LEAST)}", *(compact(int(mark)) for mark in marks[1:])]
    for mark, word in zip(marks, words, strict=True):
        yield _text(across(mark), _MAP_BOTTOM + 15, word, "mid")
    yield _text((_MAP_LEFT + _MAP_RIGHT) / 2, _MAP_BOTTOM + 32, "entries in the table", "mid")


def _map_lines(percents: list[float], marks: list[float], across: Scale) -> str:
    width = _MAP_RIGHT - _MAP_LEFT
    lines = [f"M{_MAP_LEFT} {rounded(_MAP_UP(percent))}h{width}" for percent in percents]
    lines += [f"M{rounded(across(mark))} {_MAP_TOP}V{_MAP_BOTTOM}" for mark in marks]
    return "".join(lines)


def _zone(style: str, low: float, high: float) -> Html:
    y, height = rounded(_MAP_UP(high)), rounded(_MAP_UP(low) - _MAP_UP(high))
    return element("rect", class_=f"zone {style}", x=_MAP_LEFT, y=y, width=_MAP_RIGHT - _MAP_LEFT, height=height)

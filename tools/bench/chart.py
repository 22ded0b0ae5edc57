# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The chart of docs/performance.svg: for each work on the largest table, how long the C tool and the engine take."""

from __future__ import annotations

import math
import typing as t
from xml.sax.saxutils import escape

from bench.report import Row, rows, seconds
from bench.results import ONE_PROCESS, OVERLAP, Results

_WIDTH, _LEFT, _RIGHT, _TOP = 760, 150, 130, 74
_BAR, _BAR_STEP, _GROUP_GAP, _AXIS = 15, 18, 16, 34
_MOST_TICKS = 6

_STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1f2328 }
  .title { font-size: 16px; font-weight: 600 }
  .soft { fill: #59636e }
  .grid { stroke: #d1d9e0 }
  .tool { fill: #818b98 }
  .one { fill: #0969da }
  .overlap { fill: #1b7c83 }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc }
    .soft { fill: #9198a1 }
    .grid { stroke: #3d444d }
    .tool { fill: #7d8590 }
    .one { fill: #4493f8 }
    .overlap { fill: #39c5cf }
  }
"""
_LEGEND = (("tool", "C tool"), ("one", "engine, one process"), ("overlap", "engine, a second process reads"))


class Bar(t.NamedTuple):
    """One bar: the class that gives it its colour, its length in seconds, and what stands at its end."""

    style: str
    seconds: float
    label: str


class Group(t.NamedTuple):
    """The bars of one work on one table."""

    work: str
    kind: str
    bars: tuple[Bar, ...]


def largest(results: Results) -> int:
    """Return the size of the largest table that was measured; 0 when none was."""
    return max((contest.size for contest in results.contests), default=0)


def groups(results: Results) -> list[Group]:
    """Return what the chart shows: every work on the largest tables."""
    of_contest: dict[tuple[str, int, str], list[Row]] = {}
    for row in rows(results):
        if row.contest.size == largest(results):
            of_contest.setdefault(row.contest.key, []).append(row)
    return [_group(found) for found in of_contest.values()]


def ticks(most: float) -> list[float]:
    """Return the marks of an axis from 0 to ``most`` or a little further: steps of 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(most / _MOST_TICKS))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power * _MOST_TICKS >= most)
    return [number * step for number in range(math.ceil(most / step) + 1)]


def alternative(results: Results) -> str:
    """Return the chart in words, for those who do not see it."""
    told = (
        f"{group.work} ({group.kind}): " + ", ".join(f"{_name(each.style)} {each.label}" for each in group.bars)
        for group in groups(results)
    )
    return "; ".join(told) + "."


def draw(results: Results) -> str:
    """Return the chart as SVG. Raises ValueError when nothing was measured."""
    shown = groups(results)
    marks = ticks(max(each.seconds for group in shown for each in group.bars))
    scale = (_WIDTH - _LEFT - _RIGHT) / marks[-1]
    bottom = _TOP + sum(len(group.bars) * _BAR_STEP + _GROUP_GAP for group in shown)
    title = f"Seconds for a table of {largest(results):,} entries: less is better"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {bottom + _AXIS}" width="{_WIDTH}" '
        f'height="{bottom + _AXIS}" role="img" aria-labelledby="title description">',
        "<!-- SPDX-License-Identifier: GPL-3.0-or-later -->",
        f'<title id="title">{title}</title>',
        f'<desc id="description">{escape(alternative(results))}</desc>',
        f"<style>{_STYLE}</style>",
        f'<text class="title" x="12" y="26">{title}</text>',
        *_legend(),
        *(_grid_line(mark, scale, bottom) for mark in marks),
        *_groups(shown, scale),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _group(found: list[Row]) -> Group:
    first = found[0]
    bars = [Bar("tool", first.command_seconds, f"{seconds(first.command_seconds)} s")]
    for row in found:
        style = {ONE_PROCESS: "one", OVERLAP: "overlap"}[row.mode]
        bars.append(Bar(style, row.engine_seconds, f"{seconds(row.engine_seconds)} s, {row.ratio.value:.2f} x"))
    return Group(first.contest.work, first.contest.kind, tuple(bars))


def _name(style: str) -> str:
    return dict(_LEGEND)[style]


def _legend() -> list[str]:
    parts, x = [], 12
    for style, text in _LEGEND:
        parts.append(f'<rect class="{style}" x="{x}" y="42" width="12" height="12" rx="2"/>')
        parts.append(f'<text x="{x + 18}" y="53">{text}</text>')
        x += 46 + 7 * len(text)
    return parts


def _grid_line(mark: float, scale: float, bottom: int) -> str:
    x = _LEFT + mark * scale
    return (
        f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP - 6}" y2="{bottom}"/>'
        f'<text class="soft" x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{mark:g}</text>'
    )


def _groups(shown: list[Group], scale: float) -> list[str]:
    parts, y = [], _TOP
    for group in shown:
        parts.append(f'<text x="12" y="{y + 14}">{escape(group.work)}</text>')
        parts.append(f'<text class="soft" x="12" y="{y + 32}">{escape(group.kind)} table</text>')
        for each in group.bars:
            width = each.seconds * scale
            parts.append(
                f'<rect class="{each.style}" x="{_LEFT}" y="{y}" width="{width:.1f}" height="{_BAR}" rx="2"/>'
                f'<text x="{_LEFT + width + 6:.1f}" y="{y + 12}">{escape(each.label)}</text>'
            )
            y += _BAR_STEP
        y += _GROUP_GAP
    return parts

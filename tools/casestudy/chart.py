# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The chart of docs/case-study.svg: what the table holds after each step, and how long each method takes."""

from __future__ import annotations

import math
import typing as t
from xml.sax.saxutils import escape

from casestudy.figures import Figures, delete_all_seconds, duration, stale_after, step

_WIDTH, _LEFT, _RIGHT = 780, 170, 160
_TOP, _STEP, _BAR, _PANEL_GAP, _AXIS = 74, 26, 16, 76, 26

_STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1f2328 }
  .title { font-size: 16px; font-weight: 600 }
  .soft { fill: #59636e }
  .grid { stroke: #d1d9e0 }
  .limit { stroke: #59636e; stroke-dasharray: 4 3 }
  .stale, .hand { fill: #818b98 }
  .other, .ours { fill: #0969da }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc }
    .soft { fill: #9198a1 }
    .grid { stroke: #3d444d }
    .limit { stroke: #9198a1 }
    .stale, .hand { fill: #7d8590 }
    .other, .ours { fill: #4493f8 }
  }
"""
_MARKS = (
    *((1, "1 s"), (10, "10 s"), (60, "1 min"), (600, "10 min"), (3_600, "1 h"), (86_400, "1 day")),
    *((864_000, "10 days"), (8_640_000, "100 days"), (86_400_000, "1,000 days")),
)
"""The marks of the axis of time, in seconds. A bar that is longer than the last one would leave the picture."""
_TITLES = {"restore": "restore, the undo"}
_STEPS = ("audit", "explain", "forecast", "prune --check", "prune", "tune", "restore")


class Level(t.NamedTuple):
    """What the table holds after a step."""

    title: str
    stale: int
    others: int


class Duration(t.NamedTuple):
    """How long something took, or would take; ``style`` is the method."""

    title: str
    style: str
    seconds: float
    note: str = ""


def levels(figures: Figures) -> list[Level]:
    """Return what the first panel shows."""
    stale, filled = figures["by_hand"]["stale"], figures["filled"]["entries"]
    shown = [
        Level("filled", stale, filled - stale),
        Level("timeouts set by hand", stale, figures["by_hand"]["after_sysctl"] - stale),
    ]
    for name in ("prune", "tune", "restore"):
        entries, left = step(figures, name)["entries"], stale_after(figures, name)
        shown.append(Level(_TITLES.get(name, name), left, entries - left))
    return shown


def durations(figures: Figures) -> list[Duration]:
    """Return what the second panel shows."""
    hand = figures["by_hand"]
    return [
        Duration("dump and count", "hand", hand["dump_seconds"] + hand["count_seconds"]),
        Duration("delete one by one", "hand", delete_all_seconds(figures), ", extrapolated"),
        *(Duration(name, "ours", step(figures, name)["seconds"]) for name in _STEPS),
    ]


def alternative(figures: Figures) -> str:
    """Return the chart in words, for those who do not see it."""
    held = "; ".join(f"{each.title}: {each.stale:,} stale, {each.others:,} others" for each in levels(figures))
    took = "; ".join(f"{each.title}: {duration(each.seconds)}{each.note}" for each in durations(figures))
    return f"Entries after each step: {held}. Time: {took}."


def draw(figures: Figures) -> str:
    """Return the chart as SVG."""
    middle = _TOP + len(levels(figures)) * _STEP + _AXIS + _PANEL_GAP
    height = middle + len(durations(figures)) * _STEP + _AXIS + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" '
        'role="img" aria-labelledby="title description">',
        "<!-- SPDX-License-Identifier: GPL-3.0-or-later -->",
        '<title id="title">The table after each step, and the time of each method</title>',
        f'<desc id="description">{escape(alternative(figures))}</desc>',
        f"<style>{_STYLE}</style>",
        *_heading(26, "Entries in the table after each step", (("stale", "stale"), ("other", "all others"))),
        *_levels(figures, _TOP),
        *_heading(
            middle - 48, "Time, on a logarithmic scale", (("hand", "by hand"), ("ours", "a command of the collection"))
        ),
        *_durations(durations(figures), middle),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _heading(y: int, title: str, legend: t.Iterable[tuple[str, str]]) -> list[str]:
    parts, x = [f'<text class="title" x="12" y="{y}">{title}</text>'], 12
    for style, text in legend:
        parts.append(f'<rect class="{style}" x="{x}" y="{y + 14}" width="12" height="12" rx="2"/>')
        parts.append(f'<text x="{x + 18}" y="{y + 25}">{text}</text>')
        x += 46 + 7 * len(text)
    return parts


def _levels(figures: Figures, top: int) -> list[str]:
    shown, limit = levels(figures), figures["limit"]
    scale = (_WIDTH - _LEFT - _RIGHT) / max(limit, *(each.stale + each.others for each in shown))
    x, bottom = _LEFT + limit * scale, top + len(shown) * _STEP
    parts = [
        f'<line class="limit" x1="{x:.1f}" x2="{x:.1f}" y1="{top - 6}" y2="{bottom}"/>',
        f'<text class="soft" x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">limit {limit:,}</text>',
    ]
    for number, each in enumerate(shown):
        y, others, stale = top + number * _STEP, each.others * scale, each.stale * scale
        parts.append(f'<text x="12" y="{y + 13}">{each.title}</text>')
        parts.append(f'<rect class="other" x="{_LEFT}" y="{y}" width="{others:.1f}" height="{_BAR}"/>')
        parts.append(f'<rect class="stale" x="{_LEFT + others:.1f}" y="{y}" width="{stale:.1f}" height="{_BAR}"/>')
        parts.append(f'<text x="{_LEFT + others + stale + 8:.1f}" y="{y + 13}">{each.stale + each.others:,}</text>')
    return parts


def _durations(shown: list[Duration], top: int) -> list[str]:
    most = next(mark for mark, _text in _MARKS if mark >= max(each.seconds for each in shown))
    scale = (_WIDTH - _LEFT - _RIGHT) / math.log10(most)
    bottom, parts = top + len(shown) * _STEP, []
    for mark, text in _MARKS:
        if mark <= most:
            x = _LEFT + math.log10(mark) * scale
            parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top - 6}" y2="{bottom}"/>')
            parts.append(f'<text class="soft" x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{text}</text>')
    for number, each in enumerate(shown):
        y, width = top + number * _STEP, math.log10(max(each.seconds, 1.01)) * scale
        parts.append(f'<text x="12" y="{y + 13}">{each.title}</text>')
        parts.append(f'<rect class="{each.style}" x="{_LEFT}" y="{y}" width="{width:.1f}" height="{_BAR}" rx="2"/>')
        parts.append(f'<text x="{_LEFT + width + 8:.1f}" y="{y + 13}">{duration(each.seconds)}{each.note}</text>')
    return parts

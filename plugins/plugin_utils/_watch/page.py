# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""The page that repeats: how full the tables are, how fast they change, what fills them, and what moves most."""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.plugin_utils._bounds import VALUE, shorten
from ansible_collections.netops.conntrack.plugins.plugin_utils._display import (
    UNKNOWN,
    counted,
    duration,
    limit_and_share,
    number,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._page.blocks import (
    WIDTH,
    Block,
    Heading,
    Items,
    Paragraph,
    Table,
    as_screen,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._watch.exchange import State
from ansible_collections.netops.conntrack.plugins.plugin_utils._watch.look import Look, Mover

_COLUMNS = {
    "change/s": "change",
    "new/s": "new",
    "gone/s": "gone",
    "dropped/s": "drop",
    "evicted/s": "early_drop",
    "not inserted/s": "insert_failed",
    "invalid/s": "invalid",
}
"""The columns of rates, by what they are called on the page."""

_NOT_YET = "It was not looked at yet."
_HOW_IT_ENDS = "Ctrl-C ends this. Nothing is changed."
_NARROWEST = 40
"""Columns of the narrowest terminal that lines are broken for."""


class _Room(t.NamedTuple):
    """How much of each section there is room for."""

    movers: int
    """Of each router."""

    characters: int
    """Of what fills a table, and of what moved."""

    help: bool
    """Whether the command is shown that says what helps."""


_ROOMS = (
    _Room(5, 600, True),
    _Room(3, 300, True),
    _Room(2, 200, True),
    _Room(1, 140, True),
    _Room(1, 60, False),
)
"""From the most to the least that is shown. The first one whose page is short enough is taken."""


class Watch(t.NamedTuple):
    """What the page says of the watch itself."""

    interval: int
    rounds: int | None
    explain: str
    """The command that says what helps."""


def page(
    states: t.Mapping[str, State | None],
    watch: Watch,
    now: float,
    time: str,
    width: int = WIDTH,
    height: int | None = None,
) -> list[str]:
    """Return the lines of the page, not wider than ``width``, and as far as possible in ``height`` lines.

    ``states`` is what is known of each router, ``now`` is the monotonic clock, and ``time`` the time to show.
    """
    columns = max(min(width, WIDTH), _NARROWEST)
    lines: list[str] = []
    for room in _ROOMS:
        blocks = _blocks(states, watch, now, time, room)
        lines = [line for block in blocks for line in _lines(block, columns)][1:]
        if height is None or len(lines) < height:
            break
    return lines


def _blocks(
    states: t.Mapping[str, State | None], watch: Watch, now: float, time: str, room: _Room
) -> t.Iterator[Block]:
    known = {router: state["look"] for router, state in states.items() if state and not state["problem"]}
    looks = {router: look for router, look in known.items() if look is not None}
    yield Heading(1, f"{_title(states, watch)}, {time}")
    yield Table([["router", "entries", "max", "% full", *_COLUMNS], *_rows(states, looks)])
    problems = {router: problem for router, state in states.items() if (problem := _problem(state, now))}
    if problems:
        yield Items([(router, [shorten(problem, VALUE)]) for router, problem in problems.items()])
    if looks:
        yield Heading(2, "What fills the tables")
        yield Items([(router, [_cut(look["filled_by"], room.characters)]) for router, look in looks.items()])
        yield from _movers(looks, room)
    yield Paragraph(_HOW_IT_ENDS if watch.rounds is None else "")
    if looks and room.help:
        yield Items([("what helps", [watch.explain])])


def _lines(block: Block, columns: int) -> list[str]:
    """Return the lines of a block. There is an empty one above it, but for what a heading is about."""
    lines = as_screen(block, columns).splitlines()
    return lines if isinstance(block, (Table, Items)) else ["", *lines]


def _title(states: t.Mapping[str, State | None], watch: Watch) -> str:
    number_of_looks = max((state["looks"] for state in states.values() if state), default=0)
    last = f" of {watch.rounds:,}" if watch.rounds else ""
    routers = counted(len(states), "router")
    return f"Look {number_of_looks:,}{last} at {routers}, one every {duration(watch.interval)}"


def _rows(states: t.Mapping[str, t.Any], looks: t.Mapping[str, Look]) -> list[list[str]]:
    unknown = [UNKNOWN] * (3 + len(_COLUMNS))
    return [[router, *(_cells(looks[router]) if router in looks else unknown)] for router in states]


def _cells(look: Look) -> list[str]:
    rates: t.Mapping[str, t.Any] = look["rates"] or {}
    return [
        number(look["entries"]),
        *limit_and_share(look["max"], look["percent"]),
        _rate(rates.get("change"), "+"),
        *(_rate(rates.get(name)) for name in list(_COLUMNS.values())[1:]),
    ]


def _rate(value: float | None, sign: str = "") -> str:
    """Return a number per second, with one decimal if it is small."""
    if value is None:
        return UNKNOWN
    if 0 < abs(value) < 0.05:
        return f"{'-' if value < 0 else sign}<0.1"
    shown = f"{value:{sign},.{1 if abs(value) < 10 else 0}f}"
    return "0" if not value else shown.removesuffix(".0")


def _problem(state: State | None, now: float) -> str | None:
    """Return why a router has no figures, and since when. None if it has some."""
    if state is None:
        return _NOT_YET
    if state["problem"] is None:
        return None if state["look"] else _NOT_YET
    since = "" if state["at"] is None else f"No answer since {duration(int(now - state['at']))} ago. "
    return f"{since}{state['problem']}"


def _movers(looks: t.Mapping[str, Look], room: _Room) -> t.Iterator[Block]:
    """Yield what moved most between the last two looks at each router, or why nothing is known of that."""
    compared = {router: look for router, look in looks.items() if look["seconds"] is not None}
    if not compared:
        yield Paragraph("Rates, and what moves most, are known from the second look on.")
        return
    moved = [(router, look["movers"][: room.movers]) for router, look in compared.items() if look["movers"]]
    if not moved:
        yield Paragraph("Nothing moved between the last two looks.")
        return
    yield Heading(2, "What moved most between the last two looks")
    yield Items([(router, [_cut(_moved(mover), room.characters) for mover in movers]) for router, movers in moved])


def _moved(mover: Mover) -> str:
    more = " or more" if mover["at_least"] else ""
    return f"{mover['change']:+,}{more}, now {number(mover['entries'])}: {mover['what']}"


def _cut(text: str, most: int) -> str:
    """Return the beginning of a text in so many characters. What comes first in it says most."""
    return text if len(text) <= most else f"{text[: most - 3]}..."

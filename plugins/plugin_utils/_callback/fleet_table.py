# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""The fleet in one table that fits a terminal."""

from __future__ import annotations

import collections
import dataclasses
import itertools
import os
import textwrap
import typing as t
import unicodedata

from ansible import constants
from ansible.utils.color import stringc
from ansible_collections.netops.conntrack.plugins.module_utils._printable import visible
from ansible_collections.netops.conntrack.plugins.plugin_utils._bounds import VALUE, shorten
from ansible_collections.netops.conntrack.plugins.plugin_utils._callback.figures import FleetFigures, RouterFigures
from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.check import fullness
from ansible_collections.netops.conntrack.plugins.plugin_utils._display import UNKNOWN, plain_text, spoken
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.audit_types import Anything, Count, Number
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document_types import Gate, Phase, Stop

NARROWEST = 20
"""Columns of the narrowest table, a shortened name and a verdict; a terminal with less gets this one."""

_NAME_SHARE, _BAR_SHARE = 4, 8
"""A name keeps a fourth of the width, if it is that long, before it is shortened; a bar is an eighth, within limits."""

_BAR_LEAST, _BAR_MOST = 6, 20
_LONGEST_TITLE = 12
_LONGEST_VERDICT = len("no conntrack")
_GATES_SHOWN = 3
_GAP = "  "

_DROPPED_FIRST = ("batch", "findings", "drift", "pruned", "stale", "mark", "usage", "percent")
"""Columns that a narrow terminal does without, in this order; the router and the verdict stay."""

_VERDICT_COLOURS = {
    "unreachable": "COLOR_UNREACHABLE",
    "failed": "COLOR_ERROR",
    "not_started": "COLOR_WARN",
    "critical": "COLOR_ERROR",
    "high": "COLOR_WARN",
    "medium": "COLOR_WARN",
    "passed": "COLOR_OK",
    "done": "COLOR_OK",
}
"""Ansible's own settings for colours, which its user may have changed; the other verdicts have none."""


def table(fleet: FleetFigures, width: int, colour: bool, unicode: bool, rows: int = 40) -> str:
    """Return the ``fleet`` (see summary) as lines of no more than ``width`` columns, or NARROWEST if that is more.

    The first ``rows`` routers are drawn (all of them for 0), and the others counted by verdict. ``colour`` paints as
    Ansible's settings say, unless they say not to. Without ``unicode`` there is nothing but ASCII.

    Raises LookupError, TypeError, ValueError or AttributeError for what is no such fleet.
    """
    signs, width = _BLOCKS if unicode else _ASCII, max(width, NARROWEST)
    shown = fleet["rows"][: rows if rows > 0 else None]
    notes = [
        *_others(fleet["rows"][len(shown) :]),
        *_stopped(fleet["stopped"]),
        *report_lines(fleet["files"]),
        *_not_written(fleet["not_written"]),
    ]
    lines = [
        *_wrapped(_title(fleet), width, signs),
        *_drawn(_all_columns(fleet, shown, width, signs), width, colour, signs),
        *(line for note in notes for line in _wrapped(note, width, signs)),
    ]
    return "\n".join(lines)


def _title(fleet: FleetFigures) -> str:
    rows = fleet["rows"]
    counted = f"{len(rows)} router{'' if len(rows) == 1 else 's'}: {_tally(rows)}" if rows else "no router"
    return f"CONNTRACK FLEET, {counted}{'. Check mode, nothing was changed.' if fleet['check_mode'] else ''}"


def _tally(rows: list[RouterFigures]) -> str:
    """Return how many of the routers have which verdict, in the order of the rows: the worst first."""
    counts = collections.Counter(map(_verdict, rows))
    return ", ".join(f"{count} {verdict}" for verdict, count in counts.items())


def _verdict(row: RouterFigures) -> str:
    return spoken(row["verdict"])


def _others(rows: list[RouterFigures]) -> list[str]:
    return [f"And {len(rows)} more: {_tally(rows)}"] if rows else []


def _stopped(stop: Stop | None) -> list[str]:
    if not stop:
        return []
    gates = [_gate(gate) for gate in stop["gates"]]
    more = [f"and {len(gates) - _GATES_SHOWN} more"] if len(gates) > _GATES_SHOWN else []
    return [f"Stopped after batch {stop['batch']}: {'; '.join(gates[:_GATES_SHOWN] + more)}"]


def _gate(gate: Gate) -> str:
    why = gate["value"] if gate["reason"] is None else gate["reason"]
    return f"{gate['host']}: {gate['title']} ({shorten(_known(why), VALUE)})"


def report_lines(files: list[str]) -> list[str]:
    """Return the reports in one line for each name, with the endings as a shell takes them."""
    endings: dict[str, list[str]] = {}
    for stem, ending in map(os.path.splitext, files):
        endings.setdefault(stem, []).append(ending.removeprefix("."))
    return [
        f"Report: {stem}.{of_stem[0] if len(of_stem) == 1 else '{' + ','.join(of_stem) + '}'}"
        for stem, of_stem in endings.items()
    ]


def _not_written(reasons: dict[str, str]) -> list[str]:
    return [f"Not written: {part}: {reason}" for part, reason in reasons.items()]


@dataclasses.dataclass(frozen=True)
class _Signs:
    """What a drawing is made of: the parts of a bar's cell from the least to the whole, its other cells, and so on."""

    parts: str
    freed: str
    empty: str
    arrow: str
    cut: str
    encoding: str

    def shown(self, text: str) -> str:
        """Return ``text`` in characters that the terminal has and that do not steer it."""
        return visible(text).encode(self.encoding, "backslashreplace").decode(self.encoding)

    def shortened(self, text: str, columns: int) -> str:
        """Return ``text`` in ``columns`` at most, cut in the middle."""
        if _width(text) <= columns:
            return text
        room = columns - len(self.cut)
        end = _beginning(text[::-1], room // 2)[::-1]
        return _beginning(text, room - _width(end)) + self.cut + end


_BLOCKS = _Signs("▏▎▍▌▋▊▉█", "░", "·", "→", "…", "utf-8")
_ASCII = _Signs("#", "-", ".", "->", "..", "ascii")

BLOCK_CHARACTERS = _BLOCKS.parts + _BLOCKS.freed + _BLOCKS.empty + _BLOCKS.arrow + _BLOCKS.cut
"""What an encoding has to have for a drawing that is not ASCII."""


def _width(text: str) -> int:
    """Return the columns that a terminal takes for ``text``: none for a combining character, two for a wide one."""
    return sum(map(_width_of_character, text))


def _width_of_character(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def _beginning(text: str, columns: int) -> str:
    """Return as much of the beginning of ``text`` as has room in ``columns``."""
    used = itertools.accumulate(map(_width_of_character, text))
    return text[: sum(1 for _end in itertools.takewhile(lambda end: end <= columns, used))]


def _wrapped(text: str, width: int, signs: _Signs) -> list[str]:
    # Wide characters are as many as narrow ones to textwrap: a line that is too long for that is cut. And textwrap
    # takes the square of the time for a word that is long.
    lines = textwrap.wrap(shorten(signs.shown(text)), width, break_on_hyphens=False)
    return [signs.shortened(line, width) for line in lines]


@dataclasses.dataclass(frozen=True)
class _Column:
    """A title, and for each router a text and, if it has a colour, the name of the setting for it."""

    title: str
    texts: list[str]
    colours: list[str | None] | None = None
    right: bool = False

    @property
    def width(self) -> int:
        return max(map(_width, (self.title, *self.texts)))

    @property
    def tells(self) -> bool:
        """Whether anything is known for any router."""
        return not set(self.texts) <= {"", UNKNOWN}

    def cells(self, colour: bool) -> list[str]:
        """Return the title and the texts, filled up to one width, and painted if there is to be ``colour``."""
        width = self.width
        colours = self.colours if colour and self.colours else [None] * len(self.texts)
        title = self._filled(self.title, width, None)
        return [title, *(self._filled(text, width, each) for text, each in zip(self.texts, colours, strict=True))]

    def _filled(self, text: str, width: int, setting: str | None) -> str:
        blanks = " " * (width - _width(text))
        painted = stringc(text, getattr(constants, setting)) if setting and text else text
        return blanks + painted if self.right else painted + blanks


def _all_columns(fleet: FleetFigures, rows: list[RouterFigures], width: int, signs: _Signs) -> dict[str, _Column]:
    """Return the columns by name, from left to right. One that tells nothing is left out."""
    would_delete, deleted = [row["would_delete"] for row in rows], [row["deleted"] for row in rows]

    def counts(title: str, values: list[Count]) -> _Column:
        return _Column(title, [signs.shown(_known(value)) for value in values], right=True)

    columns = {
        **_columns_of_fullness(rows, width, signs),
        "stale": _Column(
            signs.shortened(signs.shown("".join(fleet["selectors"][:1])), _LONGEST_TITLE),
            [_course(row, _stale, signs) for row in rows],
            right=True,
        ),
        "pruned": counts("would prune", would_delete) if fleet["check_mode"] else counts("pruned", deleted),
        "drift": counts("drift", [row["drift"] for row in rows]),
        "findings": counts("findings", [row["findings"] for row in rows]),
        "batch": counts("batch", [row["batch"] for row in rows]),
    }
    return {
        "router": _Column("router", [signs.shown(row["router"]) for row in rows]),
        **{name: column for name, column in columns.items() if column.tells},
        "verdict": _Column(
            "verdict",
            [signs.shortened(signs.shown(_verdict(row)), _LONGEST_VERDICT) for row in rows],
            [_VERDICT_COLOURS.get(row["verdict"]) for row in rows],
        ),
    }


def _columns_of_fullness(rows: list[RouterFigures], width: int, signs: _Signs) -> dict[str, _Column]:
    """Return how full the tables are: as a bar, in percent, and as a mark, each in the same colour."""
    pressures = [_pressure(row) for row in rows]
    colours = [setting for _mark, setting in pressures]
    bar_cells = min(max(width // _BAR_SHARE, _BAR_LEAST), _BAR_MOST)
    percents = [_course(row, _percent, signs) for row in rows]
    return {
        "usage": _Column("usage", [_bar(row, bar_cells, signs) for row in rows], colours),
        "percent": _Column("% full", percents, colours, right=True),
        "mark": _Column("", [mark for mark, _setting in pressures], colours),
    }


def _drawn(columns: dict[str, _Column], width: int, colour: bool, signs: _Signs) -> list[str]:
    """Return the line of titles and one for each router, of as many ``columns`` as have room in ``width``."""
    if not columns["router"].texts:
        return []
    columns, names = dict(columns), columns["router"]
    for name in _DROPPED_FIRST:
        if _room_for_names(columns, width) >= min(names.width, width // _NAME_SHARE):
            break
        columns.pop(name, None)
    room = _room_for_names(columns, width)
    columns["router"] = dataclasses.replace(
        names,
        title=signs.shortened(names.title, room),
        texts=[signs.shortened(name, room) for name in names.texts],
    )
    lines = zip(*(column.cells(colour) for column in columns.values()), strict=True)
    return [_GAP.join(cells).rstrip() for cells in lines]


def _room_for_names(columns: dict[str, _Column], width: int) -> int:
    return width - sum(len(_GAP) + column.width for name, column in columns.items() if name != "router")


def _known(value: Anything) -> str:
    return UNKNOWN if value is None else plain_text(value)


def _course(row: RouterFigures, text_of: t.Callable[[RouterFigures, Phase], str], signs: _Signs) -> str:
    """Return what ``text_of`` says of the router's audits, before and after. One text if both are the same."""
    texts = dict.fromkeys(signs.shown(text_of(row, phase)) for phase in row["audits"])
    return f" {signs.arrow} ".join(texts) or UNKNOWN


def _percent(row: RouterFigures, phase: Phase) -> str:
    limit, percent = _limit_and_percent(row, phase)
    if limit == 0:
        return "no limit"
    return UNKNOWN if percent is None else f"{percent:.1f}"


def _limit_and_percent(row: RouterFigures, phase: Phase) -> tuple[Count, Number]:
    if phase == "before":
        return row["max_before"], row["percent_before"]
    return row["max_after"], row["percent_after"]


def _stale(row: RouterFigures, phase: Phase) -> str:
    return _known(row["stale_before"] if phase == "before" else row["stale_after"])


def _percent_now(row: RouterFigures) -> float | None:
    if not row["audits"]:
        return None
    _limit, percent = _limit_and_percent(row, row["audits"][-1])
    return percent


_PRESSURES = {"full": ("!!", "COLOR_ERROR"), "near": ("!", "COLOR_WARN"), "fine": ("", "COLOR_OK")}
"""How full a table is, as a mark and as the name of a setting for a colour."""


def _pressure(row: RouterFigures) -> tuple[str, str | None]:
    """Return how full the table is now, as a mark and as the name of a setting for a colour."""
    percent = _percent_now(row)
    return ("", None) if percent is None else _PRESSURES[fullness(percent)]


def _bar(row: RouterFigures, cells: int, signs: _Signs) -> str:
    """Return a bar of how full the table is now, and beside it what was freed since the audit before."""
    now = _percent_now(row)
    if now is None:
        return ""
    steps = len(signs.parts)
    whole, part = divmod(_steps(now, cells * steps), steps)
    used = signs.parts[-1] * whole + (signs.parts[part - 1] if part else "")
    before = -(-_steps(row["percent_before"] or 0, cells * steps) // steps)
    return used.ljust(before, signs.freed).ljust(cells, signs.empty)


def _steps(percent: float, most: int) -> int:
    """Return ``percent`` of ``most``, rounded down: a bar is full at 100 only, and empty at 0 only."""
    return min(max(int(percent * most / 100), 1 if percent > 0 else 0), most)

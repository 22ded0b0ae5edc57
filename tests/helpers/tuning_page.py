# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The page docs/tuning.md, read as its readers do: which settings it names, and with which defaults."""

from __future__ import annotations

import re

from helpers.support import CHECKOUT

PAGE = (CHECKOUT / "docs" / "tuning.md").read_text(encoding="utf-8")
MATRIX = "What the profiles set"

_SECTION = re.compile(r"^## (.*)\n((?:(?!^## ).*\n)*)", re.MULTILINE)
_ENTRY = re.compile(r"^### `(\w+)`\n\n\*\*Default:\*\* (.*)\n((?:(?!^##).*\n)*)", re.MULTILINE)
_ROW = re.compile(r"^\| `(\w+)` \| (\d+) \| .+ \|$", re.MULTILINE)
_MATRIX_ROW = re.compile(r"^\| \[`(\w+)`\]\(#\1\) \|(.*)\|$", re.MULTILINE)

SECTIONS: dict[str, str] = dict(_SECTION.findall(PAGE))
ENTRIES: dict[str, str] = {name: text for name, _default, text in _ENTRY.findall(PAGE)}
"""What is said of each setting that has a heading, below its default."""


def stated_defaults() -> list[tuple[str, int | None]]:
    """Return each setting of the page with its default, once for each place. None is a default that depends."""
    headed = [(name, default) for name, default, _text in _ENTRY.findall(PAGE)]
    return [(name, _number(default)) for name, default in [*headed, *_ROW.findall(PAGE)]]


def profile_rows() -> dict[str, list[int | None]]:
    """Return the cells of the table of profiles, by setting. None is an empty cell."""
    return {
        name: [int(cell) if cell.strip() else None for cell in cells.split("|")]
        for name, cells in _MATRIX_ROW.findall(SECTIONS[MATRIX])
    }


def _number(default: str) -> int | None:
    number = re.match(r"\d+", default)
    return int(number.group()) if number else None

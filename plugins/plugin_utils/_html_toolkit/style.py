# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""How the HTML report looks, in light, in dark and on paper."""

from __future__ import annotations

from ansible_collections.netops.conntrack.plugins.plugin_utils._html_toolkit.rules import RULES
from ansible_collections.netops.conntrack.plugins.plugin_utils._html_toolkit.widths import PAPER, WIDTHS

SLOTS = 9
"""Colours for the parts of stacked bars. They differ for people who do not see red, green or blue, too."""

LIGHT = {
    "page": "#f6f7f8",
    "card": "#ffffff",
    "text": "#1d2129",
    "soft": "#5b6470",
    "line": "#e1e5ea",
    "track": "#e9edf1",
    "link": "#0b5cad",
    "was": "#8492a3",
    "now": "#1f6886",
    "near": "#c26a00",
    "full": "#b42318",
    "unreachable": "#6b3fa0",
    "failed": "#9b1c4a",
    "not_started": "#5b6470",
    "critical": "#b42318",
    "high": "#b04a00",
    "medium": "#856100",
    "low": "#0b63b6",
    "info": "#4a6378",
    "unknown": "#5b6470",
    "no_conntrack": "#5b6470",
    "passed": "#0b7168",
    "done": "#0b7168",
    "slot0": "#1f6886",
    "slot1": "#d07a1c",
    "slot2": "#134733",
    "slot3": "#d34463",
    "slot4": "#5c2fa9",
    "slot5": "#ab7041",
    "slot6": "#4e9ad0",
    "slot7": "#734724",
    "slot8": "#839693",
}

DARK = {
    "page": "#12161b",
    "card": "#1a1f26",
    "text": "#e6e9ee",
    "soft": "#9aa4b2",
    "line": "#2c333c",
    "track": "#2a313a",
    "link": "#7db8f5",
    "was": "#77879a",
    "now": "#5fb3d4",
    "near": "#f0a24a",
    "full": "#ff8a75",
    "unreachable": "#c3a6f0",
    "failed": "#f58fb0",
    "not_started": "#9aa4b2",
    "critical": "#ff8a75",
    "high": "#ffa95c",
    "medium": "#e3c04e",
    "low": "#7db8f5",
    "info": "#9fb6c9",
    "unknown": "#9aa4b2",
    "no_conntrack": "#9aa4b2",
    "passed": "#5fd0c3",
    "done": "#5fd0c3",
    "slot0": "#5e88b5",
    "slot1": "#c7aa3e",
    "slot2": "#45af81",
    "slot3": "#b5338b",
    "slot4": "#9371d8",
    "slot5": "#ead1ab",
    "slot6": "#9dbed8",
    "slot7": "#a66450",
    "slot8": "#dbe2e2",
}

SIGNS = {
    "unreachable": "✕",
    "failed": "✕",
    "not_started": "○",
    "critical": "■",
    "high": "▲",
    "medium": "◆",
    "low": "●",
    "info": "●",
    "unknown": "?",
    "no_conntrack": "○",
    "passed": "✓",
    "done": "✓",
}
"""What stands before the word for a verdict, so that its colour is not needed."""


def style() -> str:
    """Return the style sheet of the page."""
    return "".join(
        [
            f":root{{color-scheme:light dark;{_variables(LIGHT)}}}",
            f"@media screen and (prefers-color-scheme:dark){{:root{{{_variables(DARK)}}}}}",
            *(
                f'.{verdict}{{--ink:var(--{verdict})}}.badge.{verdict}::before{{content:"{sign}"}}'
                for verdict, sign in SIGNS.items()
            ),
            *(f".slot{number}{{--ink:var(--slot{number})}}" for number in range(SLOTS)),
            *map(_without_indents, (RULES, WIDTHS, PAPER)),
        ]
    )


def _variables(palette: dict[str, str]) -> str:
    return "".join(f"--{name}:{colour};" for name, colour in palette.items())


def _without_indents(text: str) -> str:
    return "".join(line.strip() for line in text.splitlines())

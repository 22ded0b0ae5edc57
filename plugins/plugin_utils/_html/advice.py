# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""Advice in the HTML report: its sentences, and each command on a line of its own, from which it can be copied."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.explanation import Explanation
from ansible_collections.netops.conntrack.plugins.plugin_utils._display import number
from ansible_collections.netops.conntrack.plugins.plugin_utils._html_toolkit.markup import Html, element, joined

_COMMAND = re.compile(r"`([^`]+)`")
"""A command as it stands in an advice (see _report.invocation)."""

_HYPHENATED = re.compile(r"(?<!\S)((?=\S*-)\S{2,24})(?!\S)")
"""A word of a command that a browser would break after a hyphen, such as an option, unless it is long."""

_LEAD = "Run"
"""What says nothing in front of a command that stands on a line of its own."""


_Piece = tuple[str, bool]
"""A text, and whether it is a command."""


def advised(advice: str) -> Html:
    """Return an ``advice``, each command of which has a line of its own. Nothing for an empty one."""
    return _cure(_pieces(advice))


def helped(explanation: Explanation, on_each: bool) -> Html:
    """Return what helps against what fills a table, first what frees entries. Nothing if nothing is known to help.

    ``on_each`` is whether several routers have that many entries each.
    """
    return _cure(_pieces_of(explanation, " on each" if on_each else ""))


def _pieces_of(explanation: Explanation, where: str) -> t.Iterator[_Piece]:
    for prune in explanation["prunes"]:
        frees = f"This frees {number(prune['frees'])} entries{where}, none of them ever answered."
        yield from [(f"{frees} Run it with --check first, then without:", False), (prune["command"], True)]
    yield from _pieces(" ".join(explanation["advice"]))


def _pieces(advice: str) -> t.Iterator[_Piece]:
    """Yield sentences and commands by turns."""
    for place, piece in enumerate(_COMMAND.split(advice)):
        yield piece, place % 2 == 1


def _cure(pieces: t.Iterable[_Piece]) -> Html:
    """Return pieces as elements. The stop or comma after a command goes: it would begin a line."""
    elements = []
    follows_command = False
    for piece, is_command in pieces:
        text = piece.lstrip(".,;: ") if follows_command else piece
        if is_command:
            elements.append(element("code", _unbroken(piece), class_="command"))
        elif text.strip() and text.strip() != _LEAD:
            elements.append(element("p", text.strip()))
        follows_command = is_command
    return element("div", *elements, class_="cure") if elements else Html("")


def _unbroken(command: str) -> Html:
    """Return a command that is only broken between its words. Copied, it is the same text."""
    words = _HYPHENATED.split(command)
    return joined(element("span", word) if place % 2 == 1 else word for place, word in enumerate(words))

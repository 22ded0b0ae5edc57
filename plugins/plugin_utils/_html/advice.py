# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""Advice in the HTML report: its sentences, and each command on a line of its own, from which it can be copied."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.netops.conntrack.plugins.plugin_utils._html_toolkit.markup import Html, element, together

_COMMAND = re.compile(r"`([^`]+)`")
"""A command as it stands in an advice (see _report.invocation)."""

_HYPHENATED = re.compile(r"(?<!\S)((?=\S*-)\S{2,24})(?!\S)")
"""A word of a command that a browser would break after a hyphen, such as an option, unless it is long."""

_LEAD = "Run"
"""What says nothing in front of a command that stands on a line of its own."""


def advised(advice: str) -> Html:
    """Return an ``advice``, each command of which has a line of its own; nothing for an empty one."""
    parts = list(_parts(advice))
    return element("div", *parts, class_="cure") if parts else Html("")


def _parts(advice: str) -> t.Iterator[Html]:
    """Yield sentences and commands by turns. The stop or comma after a command goes: it would begin a line."""
    pieces = _COMMAND.split(advice)
    for place, piece in enumerate(pieces):
        is_command = place % 2 == 1
        follows_command = place > 0 and not is_command
        text = piece.lstrip(".,;: ") if follows_command else piece
        if is_command:
            yield element("code", _unbroken(text), class_="command")
        elif text.strip() and text.strip() != _LEAD:
            yield element("p", text.strip())


def _unbroken(command: str) -> Html:
    """Return a command that is only broken between its words. Copied, it is the same text."""
    words = _HYPHENATED.split(command)
    return together(element("span", word) if place % 2 == 1 else word for place, word in enumerate(words))

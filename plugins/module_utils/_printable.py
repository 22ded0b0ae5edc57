# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Text that somebody else wrote, such as the name of a file, made fit for a terminal, a page or a label."""

from __future__ import annotations


def visible(text: str) -> str:
    """Return ``text`` in one line, with each character that would steer a terminal or break a line shown as its code.

    These are the control characters, and those that turn the direction of writing, are not seen, or end a line or a
    paragraph.
    """
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )


def visible_lines(text: str) -> str:
    """Return ``text`` as ``visible`` does, but with its line feeds and tabs, as a difference between files needs it."""
    return "\n".join("\t".join(map(visible, line.split("\t"))) for line in text.split("\n"))

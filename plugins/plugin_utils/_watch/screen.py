# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""The screen on which a page is drawn again and again.

Nothing of the terminal is changed for good: its modes, its cursor and its colours stay as they are. So there is nothing
to restore, however the run ends.
"""

from __future__ import annotations

import os
import typing as t

from ansible.utils.display import Display

_HOME, _CLEAR_LINE, _CLEAR_BELOW = "\x1b[H", "\x1b[K", "\x1b[J"
_UNKNOWN_SIZE = os.terminal_size((80, 24))
_DEBUGGING = 3
"""From this verbosity on (-vvv), Ansible shows what it does, and no page may be drawn over that."""


def _terminal() -> int | None:
    """Return a descriptor of the terminal on standard output. None if there is none that a page can be drawn on."""
    if not os.isatty(1) or os.environ.get("TERM", "dumb") == "dumb":
        return None
    return os.dup(1)


_TERMINAL = _terminal()
"""Made when Ansible loads the action, which is before it makes a process for each router.

These have no standard output since ansible-core 2.19. What they display, the main process writes.
"""


class Screen:
    """Shows pages, one over the other on a terminal, and one after the other where there is none."""

    def __init__(self, terminal: int | None = _TERMINAL) -> None:
        self._display = Display()
        self._terminal = None if self._display.verbosity >= _DEBUGGING else terminal
        self._is_drawn = False

    @property
    def size(self) -> os.terminal_size | None:
        """How large the terminal is now. None without one."""
        if self._terminal is None:
            return None
        try:
            size = os.get_terminal_size(self._terminal)
        except OSError:  # it was closed
            return _UNKNOWN_SIZE
        return size if size.columns and size.lines else _UNKNOWN_SIZE

    def show(self, lines: t.Sequence[str]) -> None:
        """Show a page. On a terminal it replaces the one before, and what does not fit is left out."""
        size = self.size
        if size is None:
            self._display.display("\n".join(["", *lines]))
            return
        # What was on the screen before the first page moves up, where it can be scrolled back to.
        above = "" if self._is_drawn else "\n" * size.lines
        self._is_drawn = True
        self._display.display(above + drawing(lines, size), screen_only=True, newline=False)


def drawing(lines: t.Sequence[str], size: os.terminal_size) -> str:
    """Return what draws a page on a terminal of this size. The cursor ends in the line below it."""
    shown = [f"{line[: size.columns]}{_CLEAR_LINE}\n" for line in lines[: size.lines - 1]]
    return "".join([_HOME, *shown, _CLEAR_BELOW])

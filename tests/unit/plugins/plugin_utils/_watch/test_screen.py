# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pages on a terminal, one over the other, and elsewhere one after the other."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import termios
import typing as t

import pytest
from ansible.utils.display import Display
from ansible_collections.netops.conntrack.plugins.plugin_utils._watch.screen import Screen, drawing


@pytest.fixture
def terminal() -> t.Iterator[int]:
    """Yield a terminal of 10 lines with 20 columns."""
    ours, its = pty.openpty()
    resize(its, 10, 20)
    yield its
    os.close(ours)
    os.close(its)


def resize(terminal: int, lines: int, columns: int) -> None:
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))


def test_a_page_is_drawn_over_the_one_before() -> None:
    assert drawing(["one", "two"], os.terminal_size((20, 10))) == "\x1b[Hone\x1b[K\ntwo\x1b[K\n\x1b[J"


def test_what_does_not_fit_is_left_out_so_that_nothing_scrolls() -> None:
    drawn = drawing(["x" * 30] * 30, os.terminal_size((20, 10)))
    assert drawn == "\x1b[H" + f"{'x' * 20}\x1b[K\n" * 9 + "\x1b[J"


def test_what_was_on_the_screen_before_moves_up(terminal: int, capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen(terminal)
    screen.show(["first"])
    assert capsys.readouterr().out == "\n" * 10 + "\x1b[Hfirst\x1b[K\n\x1b[J"
    screen.show(["second"])
    assert capsys.readouterr().out == "\x1b[Hsecond\x1b[K\n\x1b[J"


def test_the_size_is_that_of_now(terminal: int) -> None:
    screen = Screen(terminal)
    assert screen.size == (20, 10)
    resize(terminal, 40, 100)
    assert screen.size == (100, 40)
    resize(terminal, 0, 0)
    assert screen.size == (80, 24)


def test_without_a_terminal_pages_follow_one_another(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen(None)
    assert screen.size is None
    screen.show(["first"])
    screen.show(["second"])
    assert capsys.readouterr().out == "\nfirst\n\nsecond\n"


def test_nothing_is_drawn_over_what_somebody_wants_to_read(terminal: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Display(), "verbosity", 3)
    assert Screen(terminal).size is None

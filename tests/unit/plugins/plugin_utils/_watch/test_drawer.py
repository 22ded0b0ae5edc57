# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When the page is drawn. The clock of these tests is a list of times."""

from __future__ import annotations

import multiprocessing
import os
import pathlib
import signal
import time
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.plugin_utils._watch.drawer import Drawer, States
from ansible_collections.netops.conntrack.plugins.plugin_utils._watch.exchange import Exchange
from helpers.support import PATIENCE, wait_until, with_default_signals

INTERVAL = 5.0


class Watched:
    """Routers, each with its process, and the pages that one of them draws."""

    def __init__(self, directory: pathlib.Path, *routers: str, terminal: bool = False) -> None:
        self.processes = {router: Exchange(str(directory), routers, router) for router in routers}
        self.pages: list[dict[str, int]] = []
        self.drawer = Drawer(self.processes[routers[0]], INTERVAL, terminal, self._draw)
        self.begun = time.monotonic()

    def _draw(self, states: States) -> None:
        self.pages.append({router: state["looks"] for router, state in states.items() if state})

    def after(self, seconds: float) -> bool:
        """Let the drawer look at the files so many seconds after its start; give whether it is done."""
        return self.drawer._step(self.begun + seconds)

    def tell(self, router: str, **changes: t.Any) -> None:
        self.processes[router].tell(**changes)


def test_a_page_for_each_look_where_there_is_no_terminal(tmp_path: pathlib.Path) -> None:
    watched = Watched(tmp_path, "a", "b")
    watched.tell("a", looks=1)
    watched.after(1)
    watched.tell("b")
    watched.after(2)
    assert watched.pages == []
    watched.tell("b", looks=1)
    watched.after(3)
    watched.after(4)
    assert watched.pages == [{"a": 1, "b": 1}]
    watched.tell("a", looks=2)
    watched.after(7)
    assert len(watched.pages) == 1
    watched.tell("b", looks=2)
    watched.after(8)
    assert watched.pages[1:] == [{"a": 2, "b": 2}]


def test_a_router_that_is_late_is_not_waited_for(tmp_path: pathlib.Path) -> None:
    watched = Watched(tmp_path, "a", "b")
    watched.tell("b")
    watched.tell("a", looks=1)
    watched.after(34)
    assert watched.pages == []
    watched.after(35)
    assert watched.pages == [{"a": 1, "b": 0}]


def test_one_that_has_ended_is_not_waited_for(tmp_path: pathlib.Path) -> None:
    watched = Watched(tmp_path, "a", "b")
    watched.tell("b", problem="Unreachable", ended=True)
    watched.tell("a", looks=1)
    watched.after(1)
    watched.tell("a", looks=2)
    watched.after(2)
    assert watched.pages == [{"a": 1, "b": 0}, {"a": 2, "b": 0}]


def test_on_a_terminal_all_that_is_new_is_drawn_and_the_time(tmp_path: pathlib.Path) -> None:
    watched = Watched(tmp_path, "a", "b", terminal=True)
    watched.after(7)
    assert watched.pages == []
    watched.tell("a", looks=1)
    watched.after(8)
    watched.after(9)
    watched.tell("b", looks=1)
    watched.after(10)
    watched.after(14.9)
    assert watched.pages == [{"a": 1}, {"a": 1, "b": 1}]
    watched.after(15)
    assert len(watched.pages) == 3


def test_it_is_over_when_all_have_ended(tmp_path: pathlib.Path) -> None:
    watched = Watched(tmp_path, "a", "b")
    watched.tell("a", looks=3, ended=True)
    watched.tell("b")
    assert not watched.after(1)
    watched.tell("b", looks=3, ended=True)
    assert watched.after(2)
    assert watched.pages == [{"a": 3, "b": 3}]


def test_a_page_that_was_drawn_is_not_drawn_again_at_the_end(tmp_path: pathlib.Path) -> None:
    watched = Watched(tmp_path, "a")
    watched.tell("a", looks=1)
    assert not watched.after(1)
    watched.tell("a", ended=True)
    assert watched.after(2)
    assert watched.pages == [{"a": 1}]


def test_a_process_that_never_begins_is_waited_for_half_a_minute(tmp_path: pathlib.Path) -> None:
    watched = Watched(tmp_path, "a", "b")
    watched.tell("a", problem="It failed.", ended=True)
    assert not watched.after(29)
    assert watched.after(31)
    assert watched.pages[-1] == {"a": 0}


def test_an_error_ends_the_thread_and_is_not_lost(tmp_path: pathlib.Path) -> None:
    watched = Watched(tmp_path, "a")
    watched.drawer._draw = lambda states: 1 / 0  # type: ignore[assignment]  # it never returns
    watched.drawer.start()
    watched.drawer.raise_error()
    watched.tell("a", looks=1)
    with pytest.raises(ZeroDivisionError):
        watched.drawer.join()


def test_the_thread_ends_with_the_last_page(tmp_path: pathlib.Path) -> None:
    watched = Watched(tmp_path, "a")
    watched.drawer.start()
    watched.tell("a", looks=1, ended=True)
    watched.drawer.join()
    assert watched.pages == [{"a": 1}]


def _draw_slowly(directory: pathlib.Path) -> None:
    """Draw a page that takes a while, and leave a mark before and after."""
    with_default_signals()
    process = Exchange(str(directory), ["a"], "a")

    def draw(_states: States) -> None:
        (directory / "begun").touch()
        time.sleep(0.5)
        (directory / "done").touch()

    process.tell(looks=1)
    Drawer(process, INTERVAL, True, draw).start()
    time.sleep(30)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_process_when_the_page_is_drawn(tmp_path: pathlib.Path, number: signal.Signals) -> None:
    process = multiprocessing.get_context("fork").Process(target=_draw_slowly, args=(tmp_path,))
    process.start()
    wait_until(lambda: (tmp_path / "begun").exists() or not process.is_alive())
    os.kill(process.pid or 0, number)
    process.join(PATIENCE)
    process.kill()
    assert (tmp_path / "done").exists()
    assert process.exitcode in {-number, 1}


@pytest.mark.parametrize("handler", [signal.SIG_IGN, signal.SIG_DFL, signal.default_int_handler])
def test_signals_are_handled_as_before_when_the_last_page_is_drawn(tmp_path: pathlib.Path, handler: t.Any) -> None:
    before = signal.signal(signal.SIGINT, handler)
    try:
        watched = Watched(tmp_path, "a")
        watched.tell("a", looks=1, ended=True)
        watched.drawer.start()
        watched.drawer.join()
        assert signal.getsignal(signal.SIGINT) == handler
    finally:
        signal.signal(signal.SIGINT, before)

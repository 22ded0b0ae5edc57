# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files in which processes tell each other what they saw."""

from __future__ import annotations

import os
import pathlib
import threading

from ansible_collections.netops.conntrack.plugins.plugin_utils._watch.exchange import BEGUN, Exchange

ROUTERS = ["a", "../b", "c\n"]


def exchange(directory: pathlib.Path, own: str) -> Exchange:
    return Exchange(str(directory / "exchange"), ROUTERS, own)


def test_what_each_process_tells_the_others_know(tmp_path: pathlib.Path) -> None:
    first, second = exchange(tmp_path, "a"), exchange(tmp_path, "../b")
    assert first.states() == {"a": None, "../b": None, "c\n": None}
    first.tell()
    second.tell(looks=3, problem="Unreachable")
    second.tell(ended=True)
    expected = {"a": BEGUN, "../b": {**BEGUN, "looks": 3, "problem": "Unreachable", "ended": True}, "c\n": None}
    assert first.states() == second.states() == expected


def test_its_files_are_in_its_directory_and_for_nobody_else(tmp_path: pathlib.Path) -> None:
    for router in ROUTERS:
        exchange(tmp_path, router).tell()
    assert os.listdir(tmp_path) == ["exchange"]
    assert (tmp_path / "exchange").stat().st_mode & 0o077 == 0
    assert len(list((tmp_path / "exchange").iterdir())) == len(ROUTERS)


def test_a_process_that_was_made_when_another_had_failed_already(tmp_path: pathlib.Path) -> None:
    first = exchange(tmp_path, "a")
    Exchange(str(tmp_path / "exchange"), ["c\n"], "c\n").tell(looks=5)
    state = first.states()["c\n"]
    assert state is not None
    assert state["looks"] == 5


def test_one_process_is_the_first(tmp_path: pathlib.Path) -> None:
    assert [exchange(tmp_path, router).is_first() for router in ROUTERS] == [True, False, False]


def test_another_one_can_be_the_first_after_the_last_page(tmp_path: pathlib.Path) -> None:
    first, second = exchange(tmp_path, "a"), exchange(tmp_path, "../b")
    assert first.is_first()
    first.tell(ended=True)
    first.end_drawing()
    first.end_drawing()
    assert second.is_first()
    assert second.states()["a"] == {**BEGUN, "ended": True}


def test_a_state_is_never_read_in_part(tmp_path: pathlib.Path) -> None:
    writer, reader = exchange(tmp_path, "a"), exchange(tmp_path, "c\n")
    writer.tell(problem="x" * 100_000)
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            writer.tell(problem="x" * 100_000)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for _time in range(300):
            state = reader.states()["a"]
            assert state is not None
            assert state["problem"] == "x" * 100_000
    finally:
        stop.set()
        thread.join()

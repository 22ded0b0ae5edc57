# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The log is a FIFO in packet mode (pipe(2), O_DIRECT), which gives one record a read, as /dev/kmsg does."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import pathlib
import time
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._facts import kernel_log as kernel_log_module
from ansible_collections.netops.conntrack.plugins.module_utils._facts.kernel_log import table_full

FULL = "nf_conntrack: nf_conntrack: table full, dropping packet"


@pytest.fixture
def any_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take a FIFO for the log."""
    monkeypatch.setattr(kernel_log_module, "_is_log", lambda _status: True)


@contextlib.contextmanager
def kernel_log(directory: pathlib.Path, *records: str) -> t.Iterator[str]:
    path = directory / "kmsg"
    os.mkfifo(path)
    log = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    try:
        fcntl.fcntl(log, fcntl.F_SETFL, os.O_DIRECT | os.O_NONBLOCK)
        for record in records:
            os.write(log, record.encode())
        yield str(path)
    finally:
        os.close(log)


def record(text: str, seconds_ago: float) -> str:
    now = time.clock_gettime(time.CLOCK_MONOTONIC)
    return f"4,100,{int((now - seconds_ago) * 1e6)},-;{text}\n"


@pytest.mark.usefixtures("any_log")
def test_lines_are_counted_and_the_last_one_is_dated(tmp_path: pathlib.Path) -> None:
    records = [
        record(FULL, 5.0),
        record("eth0: link up", 4.5),
        record("ip_conntrack: table full, dropping packet.", 3.0),
        record("nf_conntrack: expectation table full", 2.0),
    ]
    with kernel_log(tmp_path, *records) as path:
        result = table_full(path)
    assert (result["messages"], result["unreadable"]) == (2, None)
    assert result["last_seconds_ago"] == pytest.approx(3.0, abs=0.5)


@pytest.mark.usefixtures("any_log")
def test_log_without_such_a_line(tmp_path: pathlib.Path) -> None:
    with kernel_log(tmp_path, record("eth0: link up", 1)) as path:
        assert table_full(path) == {"messages": 0, "last_seconds_ago": None, "unreadable": None}


@pytest.mark.usefixtures("any_log")
@pytest.mark.parametrize("head", ["4,100", "4,100,soon,-"])
def test_line_without_a_time_counts(tmp_path: pathlib.Path, head: str) -> None:
    with kernel_log(tmp_path, f"{head};{FULL}\n") as path:
        assert table_full(path) == {"messages": 1, "last_seconds_ago": None, "unreadable": None}


@pytest.mark.usefixtures("any_log")
def test_time_ahead_of_the_clock_is_now(tmp_path: pathlib.Path) -> None:
    with kernel_log(tmp_path, record(FULL, -60)) as path:
        assert table_full(path)["last_seconds_ago"] == 0.0


@pytest.mark.usefixtures("any_log")
def test_gap_is_stepped_over(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    errors = [OSError(errno.EPIPE, "Broken pipe")]
    read = os.read

    def overtaken(log: int, size: int) -> bytes:
        if errors:
            raise errors.pop()
        return read(log, size)

    monkeypatch.setattr(os, "read", overtaken)
    with kernel_log(tmp_path, record(FULL, 1)) as path:
        assert table_full(path)["messages"] == 1
    assert not errors


@pytest.mark.usefixtures("any_log")
def test_log_that_cannot_be_opened_or_read(tmp_path: pathlib.Path) -> None:
    missing = str(tmp_path / "none")
    for path, reason in ((missing, "No such file or directory"), (str(tmp_path), "Is a directory")):
        unreadable = {"messages": None, "last_seconds_ago": None, "unreadable": f"{path}: {reason}"}
        assert table_full(path) == unreadable


def test_what_is_not_the_log_says_nothing_of_it(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "file"
    file.write_text(record(FULL, 1))
    for path in (str(file), "/dev/null", "/dev/zero"):
        reason = "it is not the kernel's log"
        unreadable = {"messages": None, "last_seconds_ago": None, "unreadable": f"{path}: {reason}"}
        assert table_full(path) == unreadable

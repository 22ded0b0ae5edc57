# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lock of the one run that may change settings, in a directory of the test's own."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import pathlib
import re
import stat
import time
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._errors import NotPermittedError, UnavailableError
from ansible_collections.netops.conntrack.plugins.module_utils._files import run_directory as run_directory_module
from ansible_collections.netops.conntrack.plugins.module_utils._settings import lock as lock_module
from ansible_collections.netops.conntrack.plugins.module_utils._settings.lock import (
    exclusive,
    exclusive_in_image,
    room_for_lock,
)


@pytest.fixture(autouse=True)
def directory(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    for module in (run_directory_module, lock_module):
        monkeypatch.setattr(module, "DIRECTORY", str(tmp_path / "run"))
    return tmp_path / "run"


@pytest.fixture
def file() -> pathlib.Path:
    return pathlib.Path(run_directory_module.path_of("lock"))


@pytest.fixture
def waited(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the seconds for which a run waits, which pass at once."""
    passed: list[float] = []
    monkeypatch.setattr(time, "monotonic", lambda: sum(passed))
    monkeypatch.setattr(time, "sleep", passed.append)
    return passed


def is_free(file: pathlib.Path) -> bool:
    with file.open() as again:
        try:
            fcntl.flock(again, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def test_one_run_at_a_time(file: pathlib.Path) -> None:
    with exclusive():
        assert not is_free(file)
        with pytest.raises(UnavailableError), exclusive(wait=0):
            raise AssertionError("it has the lock, too")
    assert is_free(file)
    with exclusive():
        pass


def test_the_lock_is_free_after_an_error(file: pathlib.Path) -> None:
    with pytest.raises(ZeroDivisionError), exclusive():
        raise ZeroDivisionError
    assert is_free(file)


def test_the_file_says_who_has_it_and_since_when(file: pathlib.Path) -> None:
    file.parent.mkdir()
    file.write_text("9" * 60)
    began = int(time.time())
    with exclusive():
        pid, since = file.read_text().split()
        assert file.read_text() == f"{os.getpid()} {since}\n"
    assert int(pid) == os.getpid()
    assert began <= int(since) <= time.time()


def test_the_file_is_for_root_alone(file: pathlib.Path) -> None:
    with exclusive():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_signature_that_cannot_be_written_is_no_error(file: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: t.Any) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "pwrite", full)
    with exclusive():
        assert not is_free(file)


def test_a_run_waits_until_the_other_one_is_done(waited: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    other = contextlib.ExitStack()
    other.enter_context(exclusive())

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 2:
            other.close()

    monkeypatch.setattr(time, "sleep", sleep)
    with exclusive():
        assert waited == [0.25, 0.25]


@pytest.mark.parametrize(("wait", "seconds"), [(None, 60), (0, 0), (1, 1), (2.5, 2.5)])
def test_it_waits_for_so_long_and_no_longer(waited: list[float], wait: float | None, seconds: float) -> None:
    words = f"This run has waited for {seconds} s, and changed nothing."
    with exclusive(), pytest.raises(UnavailableError, match=re.escape(words)), exclusive(wait):
        raise AssertionError("it has the lock, too")
    # At the end of the time it tries once more.
    assert sum(waited) == seconds + 0.25


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("4711 1700000000\n", "settings since 2023-11-14 22:13:20 UTC, pid 4711. This run"),
        ("", "settings right now. This run"),
        ("4711\n", "settings right now. This run"),
        ("4711 soon\n", "settings right now. This run"),
        (f"4711 1{'0' * 30}\n", "settings right now. This run"),
    ],
)
@pytest.mark.usefixtures("waited")
def test_who_has_the_lock_is_told_with_the_remedy(file: pathlib.Path, text: str, words: str) -> None:
    with exclusive():
        file.write_text(text)
        with pytest.raises(UnavailableError) as caught, exclusive(wait=0):
            raise AssertionError("it has the lock, too")
    assert words in caught.value.message
    assert caught.value.message.endswith(f"fuser {file} shows its process.")


def test_without_root_nothing_can_be_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: t.Any, **_options: t.Any) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(lock_module, "make", refuse)
    with pytest.raises(NotPermittedError, match="needs root"), exclusive():
        raise AssertionError("it has the lock")


def test_a_place_without_room_for_a_lock_is_told(directory: pathlib.Path) -> None:
    directory.write_text("a file where the directory belongs")
    with pytest.raises(UnavailableError, match=r"lock-\d+ cannot be written"), exclusive():
        raise AssertionError("it has the lock")


def test_only_a_file_that_is_not_there_takes_room(file: pathlib.Path) -> None:
    assert room_for_lock() == (64,)
    file.parent.mkdir()
    file.write_text("")
    assert room_for_lock() == (64,)
    file.write_text("1")
    assert room_for_lock() == ()


def test_an_image_gets_no_lock(directory: pathlib.Path, file: pathlib.Path) -> None:
    with exclusive_in_image():
        assert not directory.exists()
    directory.mkdir()
    with exclusive_in_image():
        assert not is_free(file)
    assert is_free(file)

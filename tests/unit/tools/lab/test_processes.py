# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Running commands, and ending the right processes."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import subprocess
import sys
import typing as t

import processes
import pytest
from helpers.support import wait_until
from processes import LabError, Process, end, identify, run


@pytest.fixture
def sleeper() -> t.Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def test_run_gives_the_output() -> None:
    assert run(["cat"], text="twice\n") == "twice\n"


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["sh", "-c", "echo no such thing >&2; exit 3"], "no such thing"),
        (["sh", "-c", "exit 3"], "exit status 3"),
        (["/no/such/command"], "/no/such/command"),
    ],
)
def test_run_fails_with_the_words_of_the_command(command: list[str], words: str) -> None:
    with pytest.raises(LabError, match=words):
        run(command)


def test_a_command_dies_with_its_caller(tmp_path: pathlib.Path) -> None:
    script = "import processes, sys; processes.run(['sh', '-c', 'echo $$ >' + sys.argv[1] + '; sleep 60; true'])"
    file = tmp_path / "pid"
    lab = str(pathlib.Path(processes.__file__).parent)
    with subprocess.Popen([sys.executable, "-c", script, str(file)], env={**os.environ, "PYTHONPATH": lab}) as caller:
        wait_until(lambda: file.exists() and file.read_text())
        command = identify(int(file.read_text()))
        assert command is not None
        caller.kill()
    wait_until(lambda: identify(command.pid) != command)


def test_a_command_does_not_start_after_its_caller(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getpid", lambda: 1)
    with pytest.raises(LabError):
        run(["touch", str(tmp_path / "done")])
    assert not (tmp_path / "done").exists()


def test_identify_tells_a_process_from_a_later_one() -> None:
    process = identify(os.getpid())
    assert process is not None
    assert process == identify(os.getpid())
    assert process.started > 0


def test_identify_nobody() -> None:
    with subprocess.Popen(["true"]) as process:
        process.wait()
    assert identify(process.pid) is None


def test_end_waits_until_the_process_is_gone(sleeper: subprocess.Popen[bytes]) -> None:
    process = identify(sleeper.pid)
    assert process is not None
    end([process])
    assert sleeper.poll() == -9


def test_end_leaves_a_recycled_pid_alone(sleeper: subprocess.Popen[bytes]) -> None:
    process = identify(sleeper.pid)
    assert process is not None
    end([dataclasses.replace(process, started=process.started - 1)])
    assert sleeper.poll() is None


def test_end_takes_a_process_that_is_gone_for_ended() -> None:
    with subprocess.Popen(["true"]) as process:
        process.wait()
    end([Process(process.pid, 1)])

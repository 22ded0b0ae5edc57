# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Running commands to their end, finding the processes inside network namespaces, and ending them for certain."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import select
import signal
import subprocess
import typing as t

NETNS_DIRECTORY = pathlib.Path("/run/netns")
"""Where `ip netns add` keeps the named namespaces (ip-netns(8))."""
_TIED = ("setpriv", "--pdeathsig", "KILL", "--", "sh", "-c", '[ "$PPID" = "$0" ] && exec "$@"')
"""Runs a command that dies with its caller, whose pid comes first, and never starts when the caller is dead already."""
_PATIENCE = 60.0
_DEATH_SECONDS = 5.0
_ROUNDS = 20


class LabError(Exception):
    """The lab cannot be built, used or taken down; the message says why."""


@dataclasses.dataclass(frozen=True, order=True)
class Process:
    """A process that no later one with the same pid can be taken for: ``started`` is in clock ticks since boot."""

    pid: int
    started: int


def run(command: t.Sequence[str], *, netns: str | None = None, text: str = "", patience: float = _PATIENCE) -> str:
    """Run ``command`` (in ``netns``) with ``text`` as its input and give what it prints.

    The command dies with its caller, so that an `up` that was killed has nothing still at work when `down` comes.
    Raises LabError with the command's own words when it fails, or is not finished after ``patience`` seconds.
    """
    enter = ("ip", "netns", "exec", netns) if netns else ()
    try:
        done = subprocess.run(
            (*_TIED, str(os.getpid()), *enter, *command),
            input=text,
            capture_output=True,
            text=True,
            timeout=patience,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise LabError(f"{' '.join(command)}: not finished after {patience:.0f} s") from error
    if done.returncode != 0:
        raise LabError(f"{' '.join(command)}: {done.stderr.strip() or f'exit status {done.returncode}'}")
    return done.stdout


def identify(pid: int) -> Process | None:
    """Return the running process ``pid``, or None when there is none (proc_pid_stat(5), field 22)."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return Process(pid, int(fields[19]))


def inside(namespaces: t.Iterable[str]) -> set[Process]:
    """Return the processes whose network namespace is one of the named ``namespaces``, and is not the caller's own."""
    wanted = {_file_identity(NETNS_DIRECTORY / name) for name in namespaces} - {
        None,
        _file_identity("/proc/self/ns/net"),
    }
    pids = [int(name) for name in os.listdir("/proc") if name.isdecimal()]
    found = (identify(pid) for pid in pids if _file_identity(f"/proc/{pid}/ns/net") in wanted)
    return {process for process in found if process is not None}


def end(processes: t.Iterable[Process]) -> None:
    """Kill ``processes`` and wait until they are gone; one whose pid now belongs to another process is left alone.

    Raises LabError when one does not go.
    """
    for process in processes:
        try:
            handle = os.pidfd_open(process.pid)
        except ProcessLookupError:
            continue
        try:
            if identify(process.pid) == process:
                _kill(handle, process)
        finally:
            os.close(handle)


def end_inside(namespaces: t.Collection[str]) -> None:
    """End every process in the named ``namespaces``, also those that are started meanwhile."""
    for _round in range(_ROUNDS):
        found = inside(namespaces)
        if not found:
            return
        end(found)
    raise LabError(f"processes keep being started in {', '.join(namespaces)}")


def _kill(handle: int, process: Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(handle, signal.SIGKILL)
    if not select.select([handle], [], [], _DEATH_SECONDS)[0]:
        raise LabError(f"process {process.pid} does not end {_DEATH_SECONDS:.0f} s after SIGKILL")


def _file_identity(path: str | os.PathLike[str]) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Processes as /proc shows them: which there are, their memory, and what they have taken of the processors."""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import threading
import typing as t

_PROC = pathlib.Path("/proc")
_USED = slice(11, 15)  # utime, stime, cutime and cstime of proc_pid_stat(5), counted from behind the name
_PSS = re.compile(rb"^Pss: +([0-9]+) kB", re.MULTILINE)
_PARENT = re.compile(rb"^PPid:\s+([0-9]+)", re.MULTILINE)


@contextlib.contextmanager
def tree_megabytes(root: int, every: float) -> t.Iterator[list[float]]:
    """Yield the list to which the memory below the process ``root`` is added ``every`` so many seconds (10**6 bytes).

    The first is from before the body.
    """
    samples = [megabytes(below(root))]
    done = threading.Event()

    def watch() -> None:
        while not done.wait(every):
            samples.append(megabytes(below(root)))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield samples
    finally:
        done.set()
        watcher.join()


def below(root: int) -> list[int]:
    """Return the processes whose parents, or parents' parents and so on, are the process ``root``."""
    children: dict[int, list[int]] = {}
    for pid in running():
        match = _PARENT.search(_read(pid, "status"))
        if match:
            children.setdefault(int(match[1]), []).append(pid)
    found: list[int] = []
    waiting = [root]
    while waiting:
        mine = children.pop(waiting.pop(), [])
        found += mine
        waiting += mine
    return found


def used(pids: t.Iterable[int]) -> dict[int, float]:
    """Return the processor's seconds that each process has taken, with its children that have ended."""
    fields = ((pid, _read(pid, "stat").rpartition(b") ")[2].split()[_USED]) for pid in pids)
    return {pid: sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK") for pid, ticks in fields if ticks}


def since(before: t.Mapping[int, float], pids: t.Iterable[int]) -> float:
    """Return what the processes have taken since ``used`` gave ``before``."""
    return sum(seconds - before.get(pid, 0.0) for pid, seconds in used(pids).items())


def titled(beginning: str) -> list[int]:
    """Return the processes whose command line begins so."""
    return [pid for pid in running() if _read(pid, "cmdline").startswith(beginning.encode())]


def megabytes(pids: t.Iterable[int]) -> float:
    """Return the memory of the processes together, in 10**6 bytes; what they share with others counts in part.

    That is their proportional set size (proc_pid_smaps_rollup(5)).
    """
    matches = (_PSS.search(_read(pid, "smaps_rollup")) for pid in pids)
    return sum(int(match[1]) * 1024 for match in matches if match) / 1e6


def running() -> list[int]:
    """Return the numbers of all processes."""
    return [int(path.name) for path in _PROC.iterdir() if path.name.isdecimal()]


def _read(pid: int, name: str) -> bytes:
    """Return a file about a process; empty when it has ended."""
    try:
        return (_PROC / str(pid) / name).read_bytes()
    except OSError:
        return b""

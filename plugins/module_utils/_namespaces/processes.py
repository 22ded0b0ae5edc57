# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Which network namespaces the processes of the machine are in (proc(5)).

A process can end at any time, and its number can be given to another one. That is no error here.
"""

from __future__ import annotations

import contextlib
import os
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._files.process_files import (
    PROC,
    process_numbers,
    read_of_process,
)
from ansible_collections.netops.conntrack.plugins.module_utils._namespaces.control_groups import Owner, owner_of
from ansible_collections.netops.conntrack.plugins.module_utils._netns import Identity, identity

_INITIAL_PIDS = 0xEFFFFFFC  # PROC_PID_INIT_INO of linux/proc_ns.h


class Holder(t.NamedTuple):
    """The process with the lowest number in a network namespace, as it was when it was looked at."""

    pid: int
    process: str
    owner: Owner | None


class Processes:
    """The processes by the network namespace that they are in, and what could not be seen of them.

    ``pids`` has the numbers of the processes, in ascending order. ``hidden`` is how many could not be looked at, and
    ``lists_all`` whether this process sees those of others at all.
    """

    def __init__(self, pids: dict[Identity, list[int]], hidden: int, lists_all: bool, proc: str) -> None:
        self.pids = pids
        self.hidden = hidden
        self.lists_all = lists_all
        self._proc = proc

    def holder(self, namespace: Identity) -> Holder | None:
        """Return the process with the lowest number that is in a namespace now, None if there is none any more."""
        for pid in self.pids.get(namespace, ()):
            with contextlib.suppress(OSError):
                process = read_of_process(pid, "comm", self._proc).rstrip("\n")
                holder = Holder(pid, process, owner_of(read_of_process(pid, "cgroup", self._proc)))
                # Only now, because the number may have been given to another process meanwhile.
                if identity(os.stat(_link(self._proc, pid))) == namespace:
                    return holder
        return None


def find_processes(proc: str = PROC) -> Processes:
    """Return the processes of the machine, as far as this one can see them."""
    numbers = process_numbers(proc)
    pids: dict[Identity, list[int]] = {}
    hidden = 0
    for pid in numbers:
        try:
            namespace = identity(os.stat(_link(proc, pid)))
        except PermissionError:
            # The kernel also says so of a process that has just ended.
            hidden += os.path.exists(f"{proc}/{pid}")
        except OSError:
            continue
        else:
            pids.setdefault(namespace, []).append(pid)
    # Number 1 is always there. With the option hidepid, proc does not list it to everybody.
    return Processes(pids, hidden, lists_all=1 in numbers, proc=proc)


def sees_the_whole_machine(proc: str = PROC) -> bool:
    """Return whether this process sees all processes of the machine, and not only those of a container."""
    try:
        return os.stat(f"{proc}/self/ns/pid").st_ino == _INITIAL_PIDS
    except OSError:
        # A kernel without PID namespaces has no containers.
        return True


def _link(proc: str, pid: int) -> str:
    return f"{proc}/{pid}/ns/net"

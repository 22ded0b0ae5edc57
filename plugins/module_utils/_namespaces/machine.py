# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The network namespaces of the machine: those with a name, those that a process is in, and those that are mounted.

A namespace that only a thread, an open file or an interface keeps is not found. The kernel has no list of them.
"""

from __future__ import annotations

import dataclasses
import os
import re
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils import _netns
from ansible_collections.netops.conntrack.plugins.module_utils._errors import (
    BECOME_ROOT,
    ConntrackError,
    UnavailableError,
)
from ansible_collections.netops.conntrack.plugins.module_utils._namespaces.processes import (
    Holder,
    Processes,
    find_processes,
    sees_the_whole_machine,
)
from ansible_collections.netops.conntrack.plugins.module_utils._netns import Identity

_MOUNTS = "/proc/self/mountinfo"
_OF_NETWORK = re.compile(r"net:\[[0-9]+\]")
_WAYS_IN = 8
"""Processes of a namespace that are remembered, because each can end at any time."""

_OCTAL = re.compile(r"\\([0-7]{3})")


@dataclasses.dataclass(frozen=True)
class Namespace:
    """A network namespace, with all that it can be found by.

    ``names`` are those that ``ip netns`` has for it. ``holder`` is a process in it, ``pids`` the numbers of some, and
    ``processes`` how many are in it. ``paths`` are where else it is mounted.
    """

    identity: Identity
    names: tuple[str, ...]
    holder: Holder | None
    pids: tuple[int, ...]
    processes: int
    paths: tuple[str, ...]

    @property
    def references(self) -> list[str]:
        """Return what the option ``netns`` takes for it, the one that lasts longest first."""
        names = [_netns.reference_to(name) for name in self.names]
        return [*names, *(f"pid:{pid}" for pid in self.pids), *self.paths]


@dataclasses.dataclass(frozen=True)
class Machine:
    """All namespaces that were found.

    ``broken`` has for each name without a namespace why there is none, and ``unseen`` the sentences about what could
    not be looked at.
    """

    namespaces: tuple[Namespace, ...]
    broken: dict[str, str]
    hidden_processes: int
    unseen: tuple[str, ...]


def find_namespaces() -> Machine:
    """Return the network namespaces of the machine, as far as this process can see them."""
    names, broken = _named()
    paths = _mounted()
    processes = find_processes()
    found = list(dict.fromkeys([*names, *processes.pids, *paths]))
    namespaces = (_namespace(each, names.get(each, []), processes, paths.get(each, [])) for each in found)
    # All processes of a namespace may have ended meanwhile. Then there is no way into it.
    reachable = tuple(namespace for namespace in namespaces if namespace.references)
    return Machine(reachable, broken, processes.hidden, tuple(_unseen(processes)))


def _namespace(identity: Identity, names: t.Sequence[str], processes: Processes, paths: t.Sequence[str]) -> Namespace:
    holder = processes.holder(identity)
    pids = processes.pids.get(identity, [])
    # Those before the holder have ended. Some of the others lead there if the holder ends as well.
    reachable = [pid for pid in pids if pid >= holder.pid][:_WAYS_IN] if holder else []
    return Namespace(identity, tuple(names), holder, tuple(reachable), len(pids), tuple(paths))


def _named() -> tuple[dict[Identity, list[str]], dict[str, str]]:
    """Return the named namespaces, and why some names have none."""
    named: dict[Identity, list[str]] = {}
    broken: dict[str, str] = {}
    try:
        every = _netns.names()
    except OSError as error:
        return named, {_netns.NETNS_DIRECTORY: str(error.strerror)}
    for name in every:
        try:
            named.setdefault(_netns.identity_of(_netns.reference_to(name)), []).append(name)
        except ConntrackError as error:
            # A name that is gone by now is none.
            if os.path.lexists(_netns.path_of(name)):
                broken[name] = error.message
    return named, broken


def _mounted() -> dict[Identity, list[str]]:
    """Return the namespaces that are mounted somewhere else, such as those of containers (proc_pid_mountinfo(5))."""
    mounted: dict[Identity, list[str]] = {}
    for path in sorted(set(_mount_points())):
        if os.path.dirname(path) in (_netns.NETNS_DIRECTORY, f"/var{_netns.NETNS_DIRECTORY}"):
            continue
        try:
            mounted.setdefault(_netns.identity_of(path), []).append(path)
        except ConntrackError:
            # It is hidden below another mount, or not there any more.
            continue
    return mounted


def _mount_points(file: str = _MOUNTS) -> t.Iterator[str]:
    try:
        with open(file, encoding="utf-8", errors="surrogateescape") as mounts:
            lines = [line.split(" ") for line in mounts]
    except OSError:
        return
    for words in lines:
        if len(words) > 4 and _OF_NETWORK.fullmatch(words[3]):
            yield _OCTAL.sub(lambda match: chr(int(match[1], 8)), words[4])


def _unseen(processes: Processes) -> t.Iterator[str]:
    """Yield what could not be looked at, and what to do about it."""
    remedy = BECOME_ROOT if os.geteuid() else "The module lacks CAP_SYS_PTRACE, or a security module does not let it."
    if processes.hidden:
        number = "1 process" if processes.hidden == 1 else f"{processes.hidden:,} processes"
        yield f"The network namespaces of {number} cannot be seen. {remedy}"
    if not processes.lists_all:
        yield f"/proc does not list the processes of others (its mount option hidepid). {remedy}"
    if not sees_the_whole_machine():
        yield "The module runs in a PID namespace of its own, such as a container, and sees only the processes in it."


def is_there(namespace: Namespace) -> bool:
    """Return whether a namespace can still be found."""
    for reference in namespace.references:
        try:
            if _netns.identity_of(reference) == namespace.identity:
                return True
        except UnavailableError:
            continue
        except ConntrackError:
            return True
    return False

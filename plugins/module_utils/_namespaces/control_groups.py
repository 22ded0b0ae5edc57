# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Which container, machine or unit a process belongs to, as its control groups name it (cgroups(7)).

The names are a convention of the programs that make the groups. A user whose own groups systemd leaves to him can make
one with any name below these, so ``user`` says whose they are.
"""

from __future__ import annotations

import re
import typing as t

_ID = r"[0-9a-f]{64}"
"""The number of a container, as the runtimes of the Open Container Initiative make it."""

_RUNTIMES = (
    ("docker", re.compile(rf"docker-({_ID})\.scope")),
    ("podman", re.compile(rf"libpod-(?:payload-)?({_ID})(?:\.scope)?")),
    ("containerd", re.compile(rf"(?:cri-containerd|nerdctl)-({_ID})\.scope")),
    ("cri-o", re.compile(rf"crio-({_ID})(?:\.scope)?")),
    ("lxc", re.compile(r"lxc\.payload\.(.+)")),
    ("machine", re.compile(r"machine-(.+)\.scope")),
    ("machine", re.compile(r"systemd-nspawn@(.+)\.service")),
)
"""By the kind of a container, what its group is called where systemd makes the groups, and with LXC."""

_PARENTS = {"docker": "docker", "lxc": "lxc", "lxc.payload": "lxc"}
"""The groups in which there is one for each container, named as the container is, and their kind."""

_POD = re.compile(r"(?:.*-)?pod([0-9a-f]{8}[-_0-9a-f]{24,28})(?:\.slice)?")
_UNIT = re.compile(r".+\.(?:service|scope|socket|mount|swap)")
_USER = re.compile(r"user-([0-9]{1,10})\.slice")
_ESCAPED = re.compile(r"\\x([0-9a-f]{2})")

KINDS = ("docker", "podman", "containerd", "cri-o", "kubernetes", "lxc", "machine", "unit")


class Owner(t.NamedTuple):
    """The container, machine or unit that a process belongs to.

    ``kind`` is one of KINDS. ``pod`` is the number of the pod of Kubernetes that it is in, ``user`` the number of the
    user whose groups these are. Both are None if there is none.
    """

    kind: str
    name: str
    pod: str | None
    user: int | None


def owner_of(groups: str) -> Owner | None:
    """Return what the text of /proc/PID/cgroup says, of version 1 or 2. None for a process of none of these kinds."""
    paths = [line.split(":", 2)[2] for line in groups.splitlines() if line.count(":") >= 2]
    owners = [owner for owner in map(_owner, paths) if owner]
    # With version 1, each controller has groups of its own, and some of them may not know the container.
    containers = [owner for owner in owners if owner.kind != "unit"]
    return next(iter([*containers, *owners]), None)


def _owner(path: str) -> Owner | None:
    parts = [part for part in path.split("/") if part]
    found = _container(parts) or _unit(parts)
    if found is None:
        return None
    pods = [match[1].replace("_", "-") for match in map(_POD.fullmatch, parts) if match]
    users = [int(match[1]) for match in map(_USER.fullmatch, parts) if match]
    return Owner(*found, pods[-1] if pods else None, users[0] if users else None)


def _container(parts: t.Sequence[str]) -> tuple[str, str] | None:
    """Return kind and name of the innermost container."""
    for position in range(len(parts) - 1, -1, -1):
        part = parts[position]
        for kind, pattern in _RUNTIMES:
            match = pattern.fullmatch(part)
            if match:
                return kind, _unescaped(match[1])
        parent = parts[position - 1] if position else ""
        if parent in _PARENTS:
            return _PARENTS[parent], part
        if _POD.fullmatch(parent) and re.fullmatch(_ID, part):
            return "kubernetes", part
    return None


def _unit(parts: t.Sequence[str]) -> tuple[str, str] | None:
    """Return the innermost unit of systemd. What is in a slice alone belongs to no unit."""
    units = [part for part in parts if _UNIT.fullmatch(part)]
    return ("unit", units[-1]) if units else None


def _unescaped(name: str) -> str:
    """Return a name without the escapes that systemd puts into that of a unit (systemd.unit(5))."""
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), name)

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Programs that listen for the end of connections, of which each can keep deleted entries from being freed.

A listener with reliable delivery (NETLINK_BROADCAST_ERROR, such as conntrackd with NetlinkEventsReliable) that does not
read makes the kernel keep each deleted entry until its event can be delivered (nf_conntrack_ecache.c in net/netfilter).
Such an entry counts against the limit, and no dump lists it.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._files.process_files import (
    process_numbers,
    read_of_process,
)

_NETFILTER = "12"  # NETLINK_NETFILTER of linux/netlink.h
_DESTROY = 1 << 2  # NFNLGRP_CONNTRACK_DESTROY of linux/netfilter/nfnetlink.h is group 3


class Listener(t.NamedTuple):
    """A socket that gets an event for each connection that ends.

    ``process`` and ``pid`` are the name and the number of the process that has it, or None where it cannot be seen.
    ``port_id`` is the socket's netlink address. ``receive_queue_bytes`` is what it has not read yet, ``drops`` the
    number of messages that it lost because its queue was full.
    """

    process: str | None
    pid: int | None
    port_id: int
    receive_queue_bytes: int
    drops: int


class _Socket(t.NamedTuple):
    port_id: int
    receive_queue_bytes: int
    drops: int
    link: str
    """What /proc/PID/fd shows of the socket."""


def listeners(proc: str = "/proc") -> list[Listener] | None:
    """Return the listeners of the network namespace that the process is in, those that lost most first.

    None where the kernel does not tell. ``proc`` is where proc(5) is mounted.
    """
    sockets = _sockets(proc)
    if sockets is None:
        return None
    owners = _owners(sockets, proc)
    found = []
    for one in sockets:
        process, pid = owners.get(one.link, (None, None))
        found.append(Listener(process, pid, one.port_id, one.receive_queue_bytes, one.drops))
    return sorted(found, key=lambda listener: (-listener.drops, listener.port_id))


def _sockets(proc: str) -> list[_Socket] | None:
    """Read the netlink sockets. Their columns are found by name, because there were fewer of them on old kernels."""
    try:
        with open(f"{proc}/net/netlink", encoding="ascii") as file:
            header, *rows = [line.split() for line in file]
        sockets = [dict(zip(header, row)) for row in rows]
        return [_socket(each) for each in sockets if _hears_of_ends(each)]
    except (OSError, ValueError, KeyError):
        return None


def _hears_of_ends(columns: t.Mapping[str, str]) -> bool:
    return columns["Eth"] == _NETFILTER and bool(int(columns["Groups"], 16) & _DESTROY)


def _socket(columns: t.Mapping[str, str]) -> _Socket:
    return _Socket(
        # Old kernels print it as a signed number.
        port_id=int(columns["Pid"]) & 0xFFFFFFFF,
        receive_queue_bytes=int(columns["Rmem"]),
        drops=int(columns["Drops"]),
        link=f"socket:[{columns.get('Inode')}]",
    )


def _owners(sockets: t.Sequence[_Socket], proc: str) -> dict[str, tuple[str, int]]:
    """Return name and number of the process that has each socket, by the socket's link.

    A port id is mostly the number of the process that opened the socket, as its own pid namespace has it. So the other
    processes are looked through only for sockets that this one does not have.
    """
    owners: dict[str, tuple[str, int]] = {}
    wanted = {one.link for one in sockets}
    likely = [one.port_id for one in sockets]
    for pid in itertools.chain(likely, process_numbers(proc)):
        if wanted <= owners.keys():
            break
        held = wanted & _open_files(pid, proc)
        name = _name(pid, proc) if held else None
        if name is not None:
            owners = {**dict.fromkeys(held, (name, pid)), **owners}
    return owners


def _open_files(pid: int, proc: str) -> set[str]:
    directory = f"{proc}/{pid}/fd"
    links = set()
    # A process can end, and close a file, at any time.
    with contextlib.suppress(OSError):
        for name in os.listdir(directory):
            with contextlib.suppress(OSError):
                links.add(os.readlink(f"{directory}/{name}"))
    return links


def _name(pid: int, proc: str) -> str | None:
    """Return the name of a process, at most 15 bytes (comm in proc(5)). Its command line may hold secrets."""
    try:
        return read_of_process(pid, "comm", proc).rstrip("\n")
    except OSError:
        return None

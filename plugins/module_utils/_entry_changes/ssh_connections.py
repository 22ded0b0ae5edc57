# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The SSH connections that the running process depends on, and the entries that belong to them.

sshd gives the shell of a session the variable SSH_CONNECTION (ssh(1)): client address, client port, server address,
server port. sudo and su drop it, but it stays readable in /proc/PID/environ of the processes that started them.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._entry.entry import Entry
from ansible_collections.netops.conntrack.plugins.module_utils._errors import BECOME_ROOT, NotPermittedError
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block
from ansible_collections.netops.conntrack.plugins.module_utils._uapi import TCP

_VARIABLE = b"SSH_CONNECTION="
_SSH_SERVERS = (b"sshd", b"dropbear")
"""How the names of the processes of SSH servers begin."""

_MOST_ANCESTORS = 64
_PORTS = ("source_port", "destination_port", "reply_source_port", "reply_destination_port")
_ENDS = ("protocol", "source", "destination", "reply_source", "reply_destination", *_PORTS)


class Connection(t.NamedTuple):
    """The two ends of a TCP connection, with packed addresses. Of an SSH connection the client is the source."""

    source: bytes
    source_port: int | None
    destination: bytes
    destination_port: int | None

    def turned(self) -> Connection:
        """Return the same connection as the other end sees it."""
        return Connection(self.destination, self.destination_port, self.source, self.source_port)


def management_connections(pid: int | None = None, proc: str = "/proc") -> frozenset[Connection]:
    """Return the SSH connections that the process ``pid`` (this one without it) or one of its ancestors runs in.

    If none of them names one, these are the connections of all SSH sessions: async, run0(1) and systemd-run(1) start
    processes that are no descendants of the session.

    ``proc`` is where proc(5) is mounted. A malformed value is passed over, and so is a process that cannot be read.
    Raises NotPermittedError if the process runs below an SSH server, or below what cannot be seen, and none is found
    because the environment of a process in between may not be read.
    """
    found: set[Connection] = set()
    hidden: list[int] = []
    below_ssh = False
    first = os.getpid() if pid is None else pid
    for ancestor in _line_of_descent(first, proc):
        name = _name(ancestor, proc)
        if name is None and ancestor == first:
            break
        # Where users see only their own processes (hidepid), what is above them is unknown.
        below_ssh = below_ssh or name is None or name.startswith(_SSH_SERVERS)
        try:
            found.update(_connections_in(_read_environment(proc, ancestor)))
        except OSError:
            hidden.append(ancestor)
    if hidden and below_ssh and not found:
        raise NotPermittedError(
            "protect_management: the SSH connection that this run came in on has to be protected, and is not known. "
            f"Only root, or CAP_SYS_PTRACE, may read the environment of process {hidden[0]}, which may name it. "
            f"{BECOME_ROOT}"
        )
    return frozenset(found or _of_all_sessions(proc))


def _of_all_sessions(proc: str) -> t.Iterator[Connection]:
    """Yield the connections of all SSH sessions whose environment may be read."""
    processes = [int(name) for name in _listed(proc) if name.isdecimal()]
    servers = {pid for pid in processes if (_name(pid, proc) or b"").startswith(_SSH_SERVERS)}
    for pid in processes:
        if pid not in servers and _parent(pid, proc) in servers:
            with contextlib.suppress(OSError):
                yield from _connections_in(_read_environment(proc, pid))


def _listed(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except OSError:
        return []


def _connections_in(environment: bytes) -> t.Iterator[Connection]:
    for variable in environment.split(b"\0"):
        if variable.startswith(_VARIABLE):
            with contextlib.suppress(ValueError):
                yield _parse(variable[len(_VARIABLE) :].decode("ascii"))


def without_management(block: Block, connections: t.Collection[Connection]) -> Block:
    """Return the entries of the block that are not those of one of the connections."""
    own = _management_rows(block, connections)
    return block.where(not row for row in own) if any(own) else block


def of_management(block: Block, connections: t.Collection[Connection]) -> Block | None:
    """Return the entries of the block that are those of one of the connections, or None where there are none."""
    own = _management_rows(block, connections)
    return block.where(own) if any(own) else None


def _management_rows(block: Block, connections: t.Collection[Connection]) -> list[bool]:
    """Say of each row whether it is an entry of one of the connections. No rows where surely none is."""
    if not connections or block.layout.constants["protocol"] != TCP:
        return []
    clients = {connection.source_port for connection in connections}
    if all(clients.isdisjoint(block.column(port)) for port in _PORTS):
        return []
    return [is_management(entry, connections) for entry in block.entries(_ENDS)]


def is_management(entry: Entry, connections: t.Collection[Connection]) -> bool:
    """Say whether the entry is that of one of the connections, in any zone.

    With NAT in between only one of the entry's two tuples has the addresses that sshd knows. An entry that was picked
    up in mid-connection may have the server as its originator.
    """
    if entry.protocol != TCP:
        return False
    ends = (
        Connection(entry.source, entry.source_port, entry.destination, entry.destination_port),
        Connection(entry.reply_source, entry.reply_source_port, entry.reply_destination, entry.reply_destination_port),
    )
    return any(end in connections or end.turned() in connections for end in ends)


def _line_of_descent(pid: int, proc: str) -> t.Iterator[int]:
    """Yield ``pid``, its parent and so on, up to the first process that has no parent."""
    for _generation in range(_MOST_ANCESTORS):
        if pid <= 0:
            return
        yield pid
        pid = _parent(pid, proc)


def _parent(pid: int, proc: str) -> int:
    """Return the parent's number, 0 where there is none. The name before it may hold blanks and brackets (proc(5))."""
    fields = _read(proc, pid, "stat").rpartition(b")")[2].split()
    return int(fields[1]) if len(fields) > 1 and fields[1].isdigit() else 0


def _name(pid: int, proc: str) -> bytes | None:
    """Return the name of a process, or None if it cannot be seen."""
    return _read(proc, pid, "stat").rpartition(b")")[0].partition(b"(")[2] or None


def _read_environment(proc: str, pid: int) -> bytes:
    with open(os.path.join(proc, str(pid), "environ"), "rb") as file:
        return file.read()


def _read(proc: str, pid: int, name: str) -> bytes:
    """Return the file's bytes, none if the process is gone or may not be read."""
    try:
        with open(os.path.join(proc, str(pid), name), "rb") as file:
            return file.read()
    except OSError:
        return b""


def _parse(value: str) -> Connection:
    """Return the connection that a value of SSH_CONNECTION means. Raises ValueError for a malformed one."""
    client, client_port, server, server_port = value.split()
    return Connection(_packed(client), _port(client_port), _packed(server), _port(server_port))


def _packed(text: str) -> bytes:
    """Return the address as the kernel's entries have it: without a scope, and IPv4 as IPv4 (RFC 4291, 2.5.5.2)."""
    address = ipaddress.ip_address(text.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).packed


def _port(text: str) -> int:
    port = int(text)
    if not 0 < port <= 0xFFFF:
        raise ValueError(f"{text} is not a port")
    return port

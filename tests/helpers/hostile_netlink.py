# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What may come from the kernel's side of a netlink socket: each function gives these bytes to one reader of ours.

Bytes that a reader refuses with a typed error are fine. What it accepts has to be counted as plainly as possible here.
"""

from __future__ import annotations

import collections
import contextlib
import socket
import struct
import typing as t
from unittest import mock

from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._entry import timeout_policies
from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._expectations import dump as expectations_dump
from ansible_collections.netops.conntrack.plugins.module_utils._expectations import expectation
from ansible_collections.netops.conntrack.plugins.module_utils._expectations import requests as expectation_requests
from ansible_collections.netops.conntrack.plugins.module_utils._expectations.fields import as_dict
from ansible_collections.netops.conntrack.plugins.module_utils._netlink import subsystems, transport
from ansible_collections.netops.conntrack.plugins.module_utils._query.extended import ExtendedLines
from ansible_collections.netops.conntrack.plugins.module_utils._query.fields import ndjson_lines
from ansible_collections.netops.conntrack.plugins.module_utils._table import dump
from ansible_collections.netops.conntrack.plugins.module_utils._table import events as table_events
from ansible_collections.netops.conntrack.plugins.module_utils._table.table import Table
from ansible_collections.netops.conntrack.plugins.module_utils._timeout_policies import cttimeout
from helpers.encoded_expectations import expectation_message, numbered
from helpers.encoded_messages import (
    CT_NEW,
    SEQUENCE,
    assert_columns_are_rows,
    attribute,
    done,
    entry_message,
    message,
    nested,
)

_LENGTH = struct.Struct("!H")
_HEADER = struct.Struct("=IH")
_CONTEXT = Context({"tcp_timeout_established": 432000, "udp_timeout": 30}, 0)
_ERROR, _DONE = 2, 3
_CT_DELETE = 0x102
_TIMES = (0, 5, 10**18, 2**64 - 1)
_NEW_TIMEOUT, _NEW_STATS = 0x800, 0x104


def joined(*datagrams: bytes) -> bytes:
    """Return datagrams as one input: each has its length before it."""
    return b"".join(_LENGTH.pack(len(datagram)) + datagram for datagram in datagrams)


def parted(data: bytes) -> list[bytes]:
    """Return the datagrams of an input. Any bytes are an input."""
    datagrams = []
    while len(data) >= _LENGTH.size:
        end = _LENGTH.size + _LENGTH.unpack_from(data)[0]
        datagrams.append(data[_LENGTH.size : end])
        data = data[end:]
    return datagrams


def kinds_of_messages(datagram: bytes) -> list[int]:
    """Return the type of each message of a datagram. Raises ValueError for what is none."""
    kinds = []
    while datagram:
        if len(datagram) < 16:
            raise ValueError("no header")
        size, kind = _HEADER.unpack_from(datagram)
        if not 16 <= size <= len(datagram):
            raise ValueError("no length")
        kinds.append(kind)
        datagram = datagram[size + 3 & ~3 :]
    return kinds


class FedSocket:
    """A socket on which the kernel has these datagrams to say, and then nothing any more."""

    def __init__(self, datagrams: t.Sequence[bytes]) -> None:
        self._waiting = collections.deque(datagrams)
        self.received: list[bytes] = []

    def __enter__(self) -> FedSocket:
        return self

    def __exit__(self, *_unused: object) -> None:
        pass

    def settimeout(self, _seconds: float) -> None:
        pass

    def send(self, data: bytes) -> int:
        return len(data)

    def recv(self, size: int) -> bytes:
        if not self._waiting:
            raise socket.timeout
        self.received.append(self._waiting.popleft())
        return self.received[-1][:size]

    def recv_into(self, buffer: bytearray | memoryview, _size: int, _flags: int) -> int:
        data = self.recv(1 << 20)
        kept = data[: len(buffer)]
        memoryview(buffer)[: len(kept)] = kept
        return len(data)

    def messages(self) -> list[int]:
        """Return the types of all messages that were received."""
        return [kind for datagram in self.received for kind in kinds_of_messages(datagram)]

    def assert_whole(self) -> None:
        """Assert that what was received ends as a whole dump does."""
        assert self.received
        assert kinds_of_messages(self.received[-1])[-1:] in ([_DONE], [_ERROR])


def entries(data: bytes) -> None:
    """Read a dump of entries: each is counted once, and can be shown in each form."""
    source = FedSocket(parted(data))
    found = list(dump.blocks(transport.datagrams(t.cast(socket.socket, source)), SEQUENCE, chain=8))
    source.assert_whole()
    lines = ExtendedLines(_CONTEXT)
    for block in found:
        assert_columns_are_rows(block)
        assert len(list(lines(block))) == len(list(ndjson_lines(block, _CONTEXT))) == len(block)
    listed = sum(map(len, found))
    if len(source.received) == 1:
        assert listed == len(source.messages()) - 1
    # The copies of an entry, which come in two datagrams, are the only ones that may be missing.
    rows = {row for block in found for row in block.rows}
    assert len(rows) <= listed <= len(source.messages()) - 1


def expectations(data: bytes) -> None:
    """Read a dump of expectations: each that was sent is there, copies once."""
    source = FedSocket(parted(data))
    found = expectations_dump.each_once(transport.datagrams(t.cast(socket.socket, source)))
    source.assert_whole()
    sent = source.messages().count(_uapi.EXPECT_NEW)
    assert len(found) <= sent
    assert bool(found) == bool(sent)
    assert len({one.identity for one in found}) == len(found)
    for one in found:
        as_dict(one)


def statistics(data: bytes) -> None:
    """Read the counters of each processor: as many as there are messages."""
    source = FedSocket(parted(data))
    table = Table.__new__(Table)
    table._socket, table._sequence = t.cast(socket.socket, source), 0
    stats = table.cpu_stats()
    source.assert_whole()
    assert len(stats) == source.messages().count(_uapi.CT_GET_STATS_CPU) == len(source.messages()) - 1


def events(data: bytes) -> None:
    """Listen to events: each entry that was made or has ended is one."""
    source = FedSocket(parted(data))
    listening = table_events.Events.__new__(table_events.Events)
    listening.losses, listening._socket, listening._count = 0, t.cast(socket.socket, source), lambda: None
    counts: collections.Counter[str] = collections.Counter()
    # Without time to wait, it takes what is queued.
    for kind, block in listening.listen(0, 0):
        assert_columns_are_rows(block)
        counts[kind] += len(block)
    kinds = source.messages()
    assert counts["new"] == kinds.count(CT_NEW)
    assert counts["destroyed"] == kinds.count(_CT_DELETE)


def policies(data: bytes) -> None:
    """Read the list of timeout policies: each that was sent is there."""
    source = FedSocket(parted(data))
    with _instead_of_the_kernel(source):
        found = timeout_policies._list_once(0x801, _NEW_TIMEOUT, b"")
        if found:
            source.assert_whole()
            assert len(found) == source.messages().count(_NEW_TIMEOUT)
        for one in found:
            attributes = timeout_policies._attributes(one)
            timeout_policies._policy(attributes, 2, protocol=3, data=4)


def policy(data: bytes) -> None:
    """Look one timeout policy up."""
    source = FedSocket(parted(data))
    with _instead_of_the_kernel(source):
        cttimeout.TimeoutSubsystem().find("any")


def answers(data: bytes) -> None:
    """Read the answers to requests: each request gets its own, however the numbers in them are."""
    source = FedSocket(parted(data))
    targets = [expectation_requests.Target(expectation.decode(numbered(each)), 0) for each in (1, 2, 3)]
    assert len(expectation_requests.look_up(t.cast(socket.socket, source), targets, 1)) == len(targets)


@contextlib.contextmanager
def _instead_of_the_kernel(source: FedSocket) -> t.Iterator[None]:
    with (
        mock.patch.object(transport, "open_socket", return_value=source),
        mock.patch.object(subsystems, "is_there", return_value=True),
    ):
        yield


def error(number: int, sequence: int) -> bytes:
    return message(_ERROR, struct.pack("=i", -number) + bytes(16), flags=0, sequence=sequence)


def _stats_message(cpu: int, *counters: tuple[int, int]) -> bytes:
    values = b"".join(attribute(kind, struct.pack("!I", value)) for kind, value in counters)
    return message(_NEW_STATS, struct.pack("!BBH", 0, 0, cpu) + values)


def _policy_message(name: str) -> bytes:
    timeouts = nested(4, *(attribute(kind, struct.pack("!I", 60 * kind)) for kind in range(1, 9)))
    body = attribute(1, name.encode() + b"\0") + attribute(2, b"\0\2") + attribute(3, b"\6") + timeouts
    return message(_NEW_TIMEOUT, struct.pack("!BBH", 0, 0, 0) + body + attribute(5, struct.pack("!I", 1)))


def seeds() -> dict[str, list[bytes]]:
    """Return inputs for each of the functions, as an honest kernel would send them."""
    one = entry_message({"id": 1, "status": 14, "source_port": 1, "destination_port": 80, "state": 3, "remaining": 9})
    six = entry_message({"source": "2001:db8::7", "protocol": 17, "id": 2, "status": 8, "mark": 5, "remaining": 30})
    full = entry_message(
        {"id": 3, "status": 0, "zone": 7, "helper": "ftp", "labels": bytes(16), "start": 5, "secctx": "system_u"}
        | {f"{of}_{direction}": 9 for of in ("packets", "bytes") for direction in ("original", "reply")}
    )
    expected = expectation_message()
    timed = [entry_message({"start": start, "stop": stop}) for start in _TIMES for stop in _TIMES]
    ended = [each[:4] + struct.pack("=H", _CT_DELETE) + each[6:] for each in (one, full, *timed)]
    counters = [_stats_message(cpu, (2, 3), (9, 1), (11, 4)) for cpu in (0, 1)]
    listed = [_policy_message(name) for name in ("voip", "short")]
    return {
        "entries": [
            joined(done()),
            joined(one + six + full + done()),
            joined(one + six, six + full, done()),
            joined(error(1, SEQUENCE)),
        ],
        "expectations": [joined(expected + numbered(2), numbered(2) + numbered(3), done()), joined(done())],
        "statistics": [joined(b"".join(counters) + done()), joined(*counters, done())],
        "events": [joined(one, ended[0], six + full + b"".join(ended[1:]))],
        "policies": [joined(b"".join(listed), done()), joined(error(22, 1))],
        "policy": [joined(listed[0], error(0, 1)), joined(error(2, 1))],
        "answers": [joined(*(error(2, number) for number in (1, 2, 3))), joined(error(0, 3) * 3)],
    }


READERS: dict[str, t.Callable[[bytes], None]] = {
    "entries": entries,
    "expectations": expectations,
    "statistics": statistics,
    "events": events,
    "policies": policies,
    "policy": policy,
    "answers": answers,
}

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A router with 20,000 new connections a second, whose hash table is resized, while it is read and pruned.

What the kernel says of each entry that a prune deletes is compared with what the prune was told to delete.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import pathlib
import socket
import threading
import time
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._netns import inside
from helpers.deletion_events import Deletions
from helpers.nat_path import Path, listening, nat_path, opened
from helpers.passing_connections import ANSWERED, UNANSWERED, Traffic, passing
from helpers.support import run, run_module

pytestmark = pytest.mark.alone

RATE = 20_000
LEAST_FORGOTTEN = 10_000
"""How many connections have to end while a test runs. How many a second come depends on how busy the machine is."""
STALE, QUIET = 30_000, 5_000
FLOWS = 10
PRUNES, READS = 4, 4
PAUSE = 1.0
"""Seconds between two sizes of the hash table. A read of the whole table takes less, unless the machine is busy."""
BUCKETS = "net.netfilter.nf_conntrack_buckets"
MATCH = {"protocol": "tcp", "state": "ESTABLISHED", "replied": False, "idle": {"min": "1h"}}
_STALE, _QUIET = "10.9.", "10.8."
"""What the sources of the entries begin with that are to be deleted, and of others that are as idle, but answered."""
_IDLE = 7200
_UP_FOR_TEN_DAYS = ("unshare", "--time", "--boottime", "864000")
"""No entry is idle for longer than the machine is up."""
_ENTRY = "-I -p tcp -s {} -d 203.0.113.9 --sport {} --dport 80 -t {} --state ESTABLISHED"


class Flows:
    """Connections between real sockets, on which numbered blocks go there and back until they end."""

    def __init__(self, client: str, server: str) -> None:
        self._listener = listening(server, 80)
        self._ends = threading.Event()
        self.blocks = 0
        self.error: BaseException | None = None
        self._clients = [opened(client, socket.SOCK_STREAM) for _number in range(FLOWS)]
        self._servers = []
        for each in self._clients:
            each.connect(("203.0.113.2", 80))
            self._servers.append(self._listener.accept()[0])
        self._thread = threading.Thread(target=self._carry)
        self._thread.start()

    def _carry(self) -> None:
        try:
            while not self._ends.wait(0.02):
                for client, server in zip(self._clients, self._servers):
                    self._exchange(client, server)
        except BaseException as error:
            self.error = error

    def _exchange(self, client: socket.socket, server: socket.socket) -> None:
        block = self.blocks.to_bytes(8, "big")
        client.sendall(block)
        server.settimeout(30)
        there = server.recv(8)
        server.sendall(there)
        assert (there, client.recv(8)) == (block, block)
        self.blocks += 1

    def end(self) -> None:
        """Raise what went wrong with them, and close them."""
        self._ends.set()
        self._thread.join()
        for each in (*self._clients, *self._servers, self._listener):
            each.close()
        if self.error:
            raise self.error


class Busy(t.NamedTuple):
    """A router with traffic, the flows through it, and the events of its table."""

    path: Path
    traffic: Traffic
    flows: Flows
    deletions: Deletions


def fill(netns: str, prefix: str, number: int, more: str = "") -> None:
    """Make established connections whose last packet came two hours ago."""
    lines = (
        _ENTRY.format(f"{prefix}{at // 10_000}", 1024 + at % 10_000, 432_000 - _IDLE) + f"{more}\n"
        for at in range(number)
    )
    run(["conntrack", "-R", "-"], netns=netns, text="".join(lines))


@pytest.fixture
def busy() -> t.Iterator[Busy]:
    with nat_path() as path, contextlib.ExitStack() as stack:
        run(["sysctl", "-qw", "net.netfilter.nf_conntrack_checksum=0"], netns=path.router)
        # The server gets what is not for it, and throws it away. The client's answers have a way back.
        run(["ip", "route", "add", "198.18.0.0/15", "via", "203.0.113.2"], netns=path.router)
        run(["ip", "route", "add", "10.0.0.0/8", "via", "10.0.0.2"], netns=path.router)
        flows = Flows(path.client, path.server)
        stack.callback(flows.end)
        sides = [
            (stack.enter_context(packet_socket(path.client)), hardware_address(path.router, "inside")),
            (stack.enter_context(packet_socket(path.server)), hardware_address(path.router, "outside")),
        ]
        deletions = Deletions(path.router)
        stack.callback(deletions.end)
        fill(path.router, f"{_STALE}0.", STALE)
        fill(path.router, f"{_QUIET}0.", QUIET, " -u SEEN_REPLY,ASSURED")
        traffic = stack.enter_context(passing(RATE, *sides))
        time.sleep(0.5)
        yield Busy(path, traffic, flows, deletions)


def packet_socket(netns: str) -> socket.socket:
    with inside(netns):
        wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    wire.bind(("peer", 0))
    return wire


def hardware_address(netns: str, link: str) -> str:
    return str(json.loads(run(["ip", "-j", "link", "show", link], netns=netns))[0]["address"])


@contextlib.contextmanager
def resized(pause: float) -> t.Iterator[None]:
    """Give the hash table another size every ``pause`` seconds."""
    before = int(run(["sysctl", "-n", BUCKETS]))
    ends = threading.Event()

    def resize() -> None:
        for size in itertools.cycle((before // 2, before)):
            if ends.wait(pause):
                return
            run(["sysctl", "-qw", f"{BUCKETS}={size}"])

    thread = threading.Thread(target=resize)
    thread.start()
    try:
        yield
    finally:
        ends.set()
        thread.join()
        run(["sysctl", "-qw", f"{BUCKETS}={before}"])


def counted(netns: str, prefix: str) -> int:
    return run(["conntrack", "-L"], netns=netns).count(f" src={prefix}")


@pytest.mark.parametrize("options", [{}, {"max_delete": "90%"}, {"confirm_idle": "1s"}, {"backup": True}])
def test_nothing_but_what_was_to_be_deleted_is(
    busy: Busy, tmp_path: pathlib.Path, options: dict[str, t.Any], record_property: t.Callable[[str, object], None]
) -> None:
    """Prune again and again. Others that come, go, get an answer, or are not idle, stay."""
    args = {"match": MATCH, "protect_management": False, **options, "backup_dir": str(tmp_path / "backups")}
    deleted = 0
    with resized(PAUSE):
        for number in range(PRUNES):
            if number:
                fill(busy.path.router, f"{_STALE}{number}.", STALE)
            deleted += pruned(busy.path.router, args)
    # Without resizes, the table can always be read.
    deleted += pruned(busy.path.router, args)
    carried = end_traffic(busy)
    seen = busy.deletions.end()
    assert len(seen) == deleted == PRUNES * STALE
    assert {(each.source[: len(_STALE)], each.replied) for each in seen} == {(_STALE, False)}
    assert [counted(busy.path.router, prefix) for prefix in (_STALE, _QUIET)] == [0, QUIET]
    assert counted(busy.path.router, ANSWERED) > 0 < counted(busy.path.router, UNANSWERED)
    assert busy.path.invalid() == 0
    record_property("connections a second", carried)


def pruned(netns: str, args: dict[str, t.Any]) -> int:
    """Return how many entries a prune says that it deleted, also where it could not read the table as a whole."""
    result = run_module("conntrack_prune", args, netns=netns, wrapper=_UP_FOR_TEN_DAYS)
    if result.failed:
        assert "as a whole in 5 attempts" in result.msg
        return int(result.data.get("deleted", 0))
    ends = ("deleted", "already_gone", "not_deleted")
    assert sum(result.data[end] for end in ends) == result.data["would_delete"]
    return int(result.data["deleted"])


def end_traffic(busy: Busy) -> float:
    """Return how many connections a second passed. Each flow of the real sockets has carried all of its blocks."""
    busy.flows.end()
    assert busy.flows.blocks > 0
    busy.traffic.end()
    rate = busy.traffic.ended["connections"] / busy.traffic.ended["seconds"]
    print(f"{rate:,.0f} connections a second, {busy.deletions.forgotten:,} forgotten by the kernel")
    assert busy.deletions.forgotten >= LEAST_FORGOTTEN
    return rate


def identity(entry: dict[str, t.Any]) -> tuple[object, ...]:
    """Return what only one entry has. Of 38,000 entries, two have the same id of 32 bits in every sixth table."""
    sides = [
        f"{prefix}{side}{kind}"
        for prefix in ("", "reply_")
        for side in ("source", "destination")
        for kind in ("", "_port")
    ]
    return (entry["id"], *(entry[name] for name in sides))


@pytest.mark.parametrize("pause", [0, 4 * PAUSE])
def test_each_entry_is_read_once_or_the_table_not_at_all(busy: Busy, tmp_path: pathlib.Path, pause: float) -> None:
    """Resized all the time, a table may be impossible to read. A part of it is never taken for the whole."""
    file = tmp_path / "entries"
    args = {"match": "protocol=tcp", "dest": str(file), "format": "ndjson"}
    read = 0
    with resized(pause):
        for _number in range(READS):
            file.unlink(missing_ok=True)
            result = run_module("conntrack_info", args, netns=busy.path.router)
            if result.failed:
                assert "as a whole in 5 attempts" in result.msg
                assert not file.exists()
                continue
            read += 1
            entries = [json.loads(line) for line in file.read_text().splitlines()]
            assert len(entries) == result.data["total"]
            assert len(set(map(identity, entries))) == len(entries)
            sources = [entry["source"][: len(_STALE)] for entry in entries]
            assert (sources.count(_STALE), sources.count(_QUIET)) == (STALE, QUIET)
    assert read or not pause
    end_traffic(busy)

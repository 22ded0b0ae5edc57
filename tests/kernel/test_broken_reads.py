# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A reading of a real table that something breaks: all of it or a typed error, never a wrong count, and nothing left.

tests/kernel/test_reader.py kills the second process. tests/unit/plugins/module_utils/_netlink/test_broken_answers.py
has the answers that no kernel at hand sends.
"""

from __future__ import annotations

import errno
import itertools
import os
import signal
import socket
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._errors import DumpError
from ansible_collections.netops.conntrack.plugins.module_utils._netlink import transport
from ansible_collections.netops.conntrack.plugins.module_utils._netns import inside
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block
from ansible_collections.netops.conntrack.plugins.module_utils._table.table import Table
from helpers.support import left_over, network_namespace, run, run_module

ENTRIES = 12_000
ENTRY = "-I -p udp -s 198.18.{}.1 -d 203.0.113.1 --sport {} --dport 53 -t 5000"

Blocks = t.Iterator[Block]
BOTH = pytest.mark.parametrize("read_ahead", [True, False], ids=["two processes", "one process"])


def fill(netns: str) -> None:
    lines = [ENTRY.format(number % 250, 1 + number) for number in range(ENTRIES)]
    run(["conntrack", "-R", "-"], netns=netns, text="\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def netns() -> t.Iterator[str]:
    with network_namespace("broken") as name:
        fill(name)
        yield name


def count(blocks: Blocks) -> int:
    return sum(map(len, blocks))


def break_reads(monkeypatch: pytest.MonkeyPatch, at: t.Container[int], number: int) -> None:
    """Let the kernel answer with an errno in place of certain datagrams."""
    asked = itertools.count(1)
    receive = transport._receive

    def fails(source: socket.socket, buffer: t.Any) -> int:
        if next(asked) in at:
            raise OSError(number, os.strerror(number))
        return receive(source, buffer)

    monkeypatch.setattr(transport, "_receive", fails)


def test_what_was_lost_once_is_read_again(netns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """ENOBUFS says that datagrams were dropped. Who goes on after it has a part of the table."""
    before = left_over()
    break_reads(monkeypatch, {7}, errno.ENOBUFS)
    with inside(netns), Table(read_ahead=False) as table:
        assert table.read(count) == ENTRIES
    assert left_over() == before


@BOTH
@pytest.mark.parametrize("number", [errno.ENOBUFS, errno.ENOMEM, errno.EBADF], ids=errno.errorcode.get)
def test_what_is_lost_each_time_is_an_error(
    netns: str, monkeypatch: pytest.MonkeyPatch, read_ahead: bool, number: int
) -> None:
    before = left_over()
    break_reads(monkeypatch, range(7, 1_000_000, 7), number)
    with inside(netns), Table(read_ahead=read_ahead) as table, pytest.raises(DumpError):
        table.read(count)
    assert left_over() == before


@BOTH
def test_signals_lose_nothing(netns: str, read_ahead: bool) -> None:
    """Each call of the kernel may end with EINTR then."""
    came = itertools.count()
    before = signal.signal(signal.SIGALRM, lambda *_unused: next(came) and None)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    try:
        with inside(netns), Table(read_ahead=read_ahead) as table:
            found = [table.read(count) for _time in range(3)]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert found == [ENTRIES] * 3
    assert next(came) > 10


def test_a_socket_that_is_closed_in_the_middle_is_an_error(netns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[socket.socket] = []
    open_socket = transport.open_socket

    def noted() -> socket.socket:
        opened.append(open_socket())
        return opened[-1]

    monkeypatch.setattr(transport, "open_socket", noted)

    def closing(blocks: Blocks) -> int:
        found = len(next(blocks))
        opened[-1].close()
        return found + count(blocks)

    with inside(netns), Table(read_ahead=False) as table, pytest.raises(DumpError):
        table.read(closing)


@BOTH
def test_a_namespace_that_is_deleted_meanwhile_is_read_to_its_end(read_ahead: bool) -> None:
    """Whoever is in a namespace keeps it, so all of its entries stay until they are read."""
    with network_namespace("deleted") as name:
        fill(name)

        def deleting(blocks: Blocks) -> int:
            found = len(next(blocks))
            run(["ip", "netns", "delete", name])
            return found + count(blocks)

        with inside(name), Table(read_ahead=read_ahead) as table:
            assert table.read(deleting) == ENTRIES
        # The fixture deletes it at its end.
        run(["ip", "netns", "add", name])


def test_without_memory_it_is_an_error_or_all(netns: str) -> None:
    asked = {"entries": True, "limit": ENTRIES}
    failures = 0
    for mebibytes in (36, 44, 52, 80, 4000):
        try:
            result = run_module("conntrack_info", asked, netns=netns, wrapper=("prlimit", f"--as={mebibytes << 20}"))
        except AssertionError:
            # So little is not enough for Python itself.
            assert not failures
            continue
        if result.failed:
            failures += 1
            assert result.msg.startswith("This process may have no more memory.")
            assert "matched" not in result.data
        else:
            assert result.data["matched"] == len(result.data["entries"]) == ENTRIES
    assert failures
    assert not result.failed

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A second process reads a table that is larger than the ring between both, and never outlives the reading."""

from __future__ import annotations

import contextlib
import itertools
import os
import pathlib
import signal
import subprocess
import sys
import time
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._errors import DumpError, InterruptedDumpError
from ansible_collections.netops.conntrack.plugins.module_utils._netlink import transport
from ansible_collections.netops.conntrack.plugins.module_utils._netns import inside
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block
from ansible_collections.netops.conntrack.plugins.module_utils._table.table import Table
from helpers.kernel_entries import ACCOUNTING
from helpers.support import left_over, module_path, network_namespace, run, wait_until

ENTRIES = 30000
RING = 128
"""So many datagrams are ahead at most."""

ENTRY = (
    "-I -p tcp -s 198.18.0.1 -d 203.0.113.{} --sport {} --dport 80 --state ESTABLISHED -t 5000 -u SEEN_REPLY,ASSURED"
)

Blocks = t.Iterator[Block]


@pytest.fixture(scope="module")
def netns() -> t.Iterator[str]:
    with network_namespace("reader") as name:
        run(["sysctl", "-qw", *ACCOUNTING], netns=name)
        lines = [ENTRY.format(number % 250, 1 + number) for number in range(ENTRIES)]
        run(["conntrack", "-R", "-"], netns=name, text="\n".join(lines) + "\n")
        yield name


@pytest.fixture
def table(netns: str) -> t.Iterator[Table]:
    with inside(netns), Table(read_ahead=True) as opened:
        yield opened


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the list to which the pids of new processes are added."""
    fork = os.fork
    pids: list[int] = []

    def recorded() -> int:
        pid = fork()
        if pid:
            pids.append(pid)
        return pid

    monkeypatch.setattr(os, "fork", recorded)
    return pids


def ports(blocks: Blocks) -> list[int]:
    return sorted(port for block in blocks for port in block.column("source_port"))


def test_both_readers_find_all(netns: str, table: Table, children: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    every = list(range(1, ENTRIES + 1))
    assert table.read(ports) == every
    assert len(children) == 1
    received = itertools.count()
    receive = transport.receive

    def counted(*args: t.Any) -> int:
        next(received)
        return receive(*args)

    monkeypatch.setattr(transport, "receive", counted)
    with inside(netns), Table(read_ahead=False) as other:
        assert other.read(ports) == every
    assert len(children) == 1
    # The ring was used more than twice.
    assert next(received) > 2 * RING


def test_a_slow_consumer_loses_nothing(table: Table) -> None:
    """The ring is full meanwhile, so that a part that is not yet free must not be written to."""

    def slowly(blocks: Blocks) -> list[int]:
        found: list[int] = []
        for block in blocks:
            time.sleep(0.01)
            found += block.column("source_port")
        return sorted(found)

    assert table.read(slowly) == list(range(1, ENTRIES + 1))


def test_nothing_is_left_over(table: Table, children: list[int]) -> None:
    before = left_over()
    assert len(table.read(ports)) == ENTRIES
    assert left_over() == before
    assert table.read(lambda blocks: len(next(blocks))) < ENTRIES
    assert left_over() == before
    assert len(children) == 2


def test_nothing_is_left_over_after_an_error(table: Table, children: list[int]) -> None:
    def failing(blocks: Blocks) -> None:
        next(blocks)
        raise LookupError("in the middle")

    before = left_over()
    with pytest.raises(LookupError) as caught:
        table.read(failing)
    # Not even while the error's traceback still holds on to the generators.
    assert caught.value.__traceback__ is not None
    assert left_over() == before
    assert len(children) == 1


def test_every_attempt_has_a_process_of_its_own(table: Table, children: list[int]) -> None:
    def thrice(blocks: Blocks) -> list[int]:
        first = next(blocks)
        if len(children) < 3:
            raise InterruptedDumpError("in the middle")
        return sorted([*first.column("source_port"), *ports(blocks)])

    before = left_over()
    assert table.read(thrice) == list(range(1, ENTRIES + 1))
    assert len(children) == 3
    assert left_over() == before


def test_a_reader_that_is_killed_is_an_error(table: Table, children: list[int]) -> None:
    def killing(blocks: Blocks) -> int:
        found = len(next(blocks))
        os.kill(children[0], signal.SIGKILL)
        return found + sum(map(len, blocks))

    before = left_over()
    with pytest.raises(DumpError, match="has ended early") as caught:
        table.read(killing)
    # It is not tried again: who kills it once does so again.
    assert caught.type is DumpError
    assert len(children) == 1
    assert left_over() == before


def test_where_there_can_be_no_process(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> t.NoReturn:
        raise BlockingIOError("no more processes")

    before = left_over()
    monkeypatch.setattr(os, "fork", fails)
    assert len(table.read(ports)) == ENTRIES
    assert left_over() == before


WAITING = """
import os, sys, time
from ansible_collections.netops.conntrack.plugins.module_utils._table.table import Table

fork = os.fork
def told():
    pid = fork()
    if pid:
        print(pid, flush=True)
    return pid
os.fork = told

def collect(blocks):
    next(blocks)
    print("reading", flush=True)
    time.sleep(60)

Table(read_ahead=True).read(collect)
"""


def is_running(pid: int) -> bool:
    try:
        state = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_the_reader_ends_when_its_parent_is_killed(netns: str) -> None:
    command = ["ip", "netns", "exec", netns, sys.executable, "-c", WAITING]
    env = {**os.environ, "PYTHONPATH": module_path()}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as parent:
        assert parent.stdout is not None
        reader = int(parent.stdout.readline())
        assert parent.stdout.readline() == "reading\n"
        assert is_running(reader)
        parent.kill()
        parent.wait()
    try:
        wait_until(lambda: not is_running(reader))
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(reader, signal.SIGKILL)


def test_where_nobody_is_told_of_ended_processes(table: Table) -> None:
    """SIGCHLD may be ignored from the start, as some supervisors have it: the kernel then takes ended children away."""
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        assert table.read(ports) == list(range(1, ENTRIES + 1))
    finally:
        signal.signal(signal.SIGCHLD, before)

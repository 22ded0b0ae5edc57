# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading a whole table or nothing, and deleting exactly one entry at a time."""

from __future__ import annotations

import collections
import contextlib
import errno
import itertools
import socket
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils import _netns
from ansible_collections.netops.conntrack.plugins.module_utils._errors import (
    ConntrackError,
    DumpError,
    InterruptedDumpError,
)
from ansible_collections.netops.conntrack.plugins.module_utils._netlink import transport
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.sysctl import Sysctl
from ansible_collections.netops.conntrack.plugins.module_utils._table import dump, requests
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block
from ansible_collections.netops.conntrack.plugins.module_utils._table.layouts import Layout
from ansible_collections.netops.conntrack.plugins.module_utils._table.writable import WritableTable
from helpers.support import network_namespace, run

ENTRY = ["-p", "tcp", "-s", "198.51.100.1", "-d", "203.0.113.9", "--dport", "80", "-t", "900", "--state", "ESTABLISHED"]

Blocks = t.Iterator[Block]


@pytest.fixture
def table() -> t.Iterator[WritableTable]:
    """Yield the table of a namespace with 200 entries; the same tuple twice, in zone 0 and in zone 7."""
    with network_namespace("table") as name:
        lines = "".join(f"-I {' '.join(ENTRY)} --sport {port}\n" for port in range(1000, 1199))
        run(["conntrack", "-R", "-"], netns=name, text=lines + f"-I {' '.join(ENTRY)} --sport 1000 -w 7\n")
        with _netns.inside(name), WritableTable() as opened:
            yield opened


def identities(blocks: Blocks) -> list[bytes]:
    return [block.layout.identity_of(row) for block in blocks for row in block.rows]


def zones(blocks: Blocks) -> list[int]:
    return sorted(entry.zone for block in blocks for entry in block.entries() if entry.source_port == 1000)


def all_of(blocks: Blocks) -> requests.Targets[str]:
    targets = requests.Targets[str]()
    for block in blocks:
        targets.add(block, "all")
    return targets


def those_in_zone_7(blocks: Blocks) -> requests.Targets[str]:
    return all_of(block for block in blocks if "zone" in block.layout.fields)


def rebuilt(block: Block, rows: list[bytes]) -> Block:
    """Return a block with other rows of the same layout."""
    return Block(block.layout, b"".join(rows))


def outcome(**numbers: int) -> collections.Counter[tuple[str, int]]:
    """Return what a delete answers for targets with the tag "all"; numbers by the name of their error."""
    return collections.Counter({("all", getattr(errno, name, 0)): number for name, number in numbers.items()})


def test_every_entry_comes_once(table: WritableTable) -> None:
    found = table.read(identities)
    assert len(found) == len(set(found)) == 200


def test_a_disturbed_dump_is_started_again(table: WritableTable, monkeypatch: pytest.MonkeyPatch) -> None:
    receive = transport.receive
    calls: list[None] = []

    def disturbed(*args: t.Any) -> int:
        calls.append(None)
        if len(calls) == 2:
            raise InterruptedDumpError("disturbed")
        return receive(*args)

    monkeypatch.setattr(transport, "receive", disturbed)
    assert len(table.read(identities)) == 200
    assert len(calls) > 2


def test_a_table_that_cannot_be_read_whole_is_not_reported(
    table: WritableTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = itertools.count()
    with_sizes(monkeypatch, lambda: next(sizes))
    with pytest.raises(DumpError, match="as a whole in 5 attempts"):
        table.read(identities)


def test_a_table_that_got_its_old_size_back_is_not_reported(
    table: WritableTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever looks at the beginning and at the end only sees no resize."""
    monkeypatch.setattr(dump, "_CHUNK_BYTES", 1 << 12)
    monkeypatch.setattr(dump, "_BLOCK_BYTES", 1)
    sizes = iter([1024, 1024, 2048])
    with_sizes(monkeypatch, lambda: next(sizes, 1024))
    parts: list[int] = []

    def counted(blocks: Blocks) -> int:
        parts.append(0)
        for block in blocks:
            parts[-1] += len(block)
        return parts[-1]

    assert table.read(counted) == 200
    assert len(parts) == 2
    assert parts[0] < parts[1] == 200


def with_sizes(monkeypatch: pytest.MonkeyPatch, size: t.Callable[[], int]) -> None:
    """Have the hash table the size that is returned."""
    watched = Sysctl.watched

    def sized(each: Sysctl) -> t.ContextManager[t.Callable[[], int | None]]:
        return contextlib.nullcontext(size) if each.short_name == "buckets" else watched(each)

    monkeypatch.setattr(Sysctl, "watched", sized)


def test_a_delete_takes_one_entry(table: WritableTable) -> None:
    wanted = table.read(those_in_zone_7)
    assert len(wanted) == 1
    assert table.delete(wanted) == outcome(OK=1)
    assert table.read(zones) == [0]
    assert len(table.read(identities)) == 199
    assert table.delete(wanted) == outcome(ENOENT=1)


def test_a_new_connection_in_the_place_of_an_old_one_stays(table: WritableTable) -> None:
    def with_other_ids(blocks: Blocks) -> requests.Targets[str]:
        return all_of(rebuilt(block, [with_other_id(block.layout, row) for row in block.rows]) for block in blocks)

    assert table.delete(table.read(with_other_ids)) == outcome(ENOENT=200)
    assert len(table.read(identities)) == 200
    assert table.delete(table.read(all_of)) == outcome(OK=200)


def with_other_id(layout: Layout, row: bytes) -> bytes:
    """Return the row with the last bit of its id turned."""
    at = layout.fields["id"].end - 1
    return row[:at] + bytes([row[at] ^ 1]) + row[at + 1 :]


def test_more_requests_than_a_batch_are_all_counted(table: WritableTable) -> None:
    def each_twice_in_one_block(blocks: Blocks) -> requests.Targets[str]:
        return all_of(rebuilt(block, [*block.rows[:150], *block.rows[:3], *block.rows[150:]]) for block in blocks)

    targets = table.read(each_twice_in_one_block)
    assert len(targets) == 204
    assert table.delete(targets) == outcome(OK=200, ENOENT=4)
    assert table.read(identities) == []


def test_answers_that_are_lost_are_an_error(table: WritableTable) -> None:
    targets = table.read(all_of)
    assert table.delete(targets) == outcome(OK=200)
    table._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 0)
    with pytest.raises(ConntrackError, match=r"answers to the last requests are missing.* no memory"):
        table.delete(targets)


def test_the_outcome_is_counted_by_tag(table: WritableTable) -> None:
    def by_port(blocks: Blocks) -> requests.Targets[int]:
        targets = requests.Targets[int]()
        for block in blocks:
            for tag in (0, 1):
                targets.add(block.where(port % 2 == tag for port in block.column("source_port")), tag)
        return targets

    # The entry in zone 7 has an even port, and so a block with no odd one.
    def by_port_in_zone_0(blocks: Blocks) -> requests.Targets[int]:
        return by_port(block for block in blocks if "zone" not in block.layout.fields)

    assert table.delete(table.read(by_port_in_zone_0)) == {(0, 0): 100, (1, 0): 99}
    assert table.read(zones) == [7]


def test_a_delete_without_a_tuple_is_never_encoded(table: WritableTable) -> None:
    [block] = table.read(lambda blocks: [block for block in blocks if "zone" not in block.layout.fields])
    layout = block.layout
    for wrong in ((), layout.identity[-2:]):
        layout.identity = wrong
        with pytest.raises(ValueError, match="original tuple"):
            all_of(iter([block]))
    assert len(table.read(identities)) == 200

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading a whole table or nothing, and deleting exactly one entry at a time."""

from __future__ import annotations

import errno
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils import _netns, _table, _wire
from ansible_collections.netops.conntrack.plugins.module_utils._errors import DumpError
from support import network_namespace, run

ENTRY = ["-p", "tcp", "-s", "198.51.100.1", "-d", "203.0.113.9", "--dport", "80", "-t", "900", "--state", "ESTABLISHED"]


@pytest.fixture
def table() -> t.Iterator[_table.Table]:
    """Give the table of a namespace with 200 entries; the same tuple twice, in zone 0 and in zone 7."""
    with network_namespace("table") as name:
        lines = "".join(f"-I {' '.join(ENTRY)} --sport {port}\n" for port in range(1000, 1199))
        run(["conntrack", "-R", "-"], netns=name, text=lines + f"-I {' '.join(ENTRY)} --sport 1000 -w 7\n")
        with _netns.inside(name), _table.Table() as opened:
            yield opened


def targets(entries: t.Iterator[_wire.Entry]) -> list[_table.Target]:
    return [(entry.family, entry.identity) for entry in entries]


def zones(entries: t.Iterator[_wire.Entry]) -> list[int]:
    return sorted(entry.zone for entry in entries if entry.original.source_port == 1000)


def test_every_entry_comes_once(table: _table.Table) -> None:
    found = table.read(targets)
    assert len(found) == len(set(found)) == 200


def test_a_disturbed_dump_is_started_again(table: _table.Table, monkeypatch: pytest.MonkeyPatch) -> None:
    receive = table._receive
    calls: list[None] = []

    def disturbed() -> int:
        calls.append(None)
        if len(calls) == 2:
            raise _table._InterruptedError
        return receive()

    monkeypatch.setattr(table, "_receive", disturbed)
    assert len(table.read(targets)) == 200


def test_a_table_that_cannot_be_read_whole_is_not_reported(
    table: _table.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = iter(range(1000))
    monkeypatch.setattr(_table, "read_settings", lambda: {"buckets": next(sizes)})
    with pytest.raises(DumpError, match="as a whole"):
        table.read(targets)


def test_an_entry_that_comes_again_is_counted_once(table: _table.Table) -> None:
    entries = table.read(list)
    recent = _table._Recent()
    recent.next_datagram()
    assert [recent.is_new(entry) for entry in entries[:3]] == [True, True, True]
    recent.next_datagram()
    assert [recent.is_new(entry) for entry in entries[1:4]] == [False, False, True]


def test_a_delete_takes_one_entry(table: _table.Table) -> None:
    [wanted] = table.read(lambda entries: [e for e in entries if e.zone == 7])
    assert table.delete([(wanted.family, wanted.identity)]) == [0]
    assert table.read(zones) == [0]
    assert len(table.read(targets)) == 199
    assert table.delete([(wanted.family, wanted.identity)]) == [errno.ENOENT]


def test_a_new_connection_in_the_place_of_an_old_one_stays(table: _table.Table) -> None:
    [old, *_rest] = table.read(lambda entries: [entry for entry in entries if entry.zone == 0])
    another_id = old.identity[:-1] + bytes([old.identity[-1] ^ 1])
    outcome = table.delete([(old.family, another_id)])
    assert outcome == [errno.ENOENT]
    assert len(table.read(targets)) == 200


def test_more_deletes_than_a_batch_are_all_counted(table: _table.Table) -> None:
    found = table.read(targets)
    assert table.delete(found[:150] + found[:3] + found[150:]) == [0] * 150 + [errno.ENOENT] * 3 + [0] * 50
    assert table.read(targets) == []


def test_a_delete_without_a_tuple_is_never_encoded(table: _table.Table) -> None:
    _family, identity = table.read(targets)[0]
    for wrong in (b"", identity[-8:]):
        with pytest.raises(ValueError, match="original tuple"):
            _wire.encode_delete(2, wrong, 0, 1)

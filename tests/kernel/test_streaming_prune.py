# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Deleting while the dump still runs, on tables that change meanwhile: exact counts, and nothing else is deleted."""

from __future__ import annotations

import itertools
import os
import pathlib
import subprocess
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.guards import Guards
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.prune import prune
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.prune_plan import (
    PrunePlan,
    parse_limit,
)
from ansible_collections.netops.conntrack.plugins.module_utils._errors import DumpError, InterruptedDumpError
from ansible_collections.netops.conntrack.plugins.module_utils._netlink import transport
from ansible_collections.netops.conntrack.plugins.module_utils._netns import inside
from ansible_collections.netops.conntrack.plugins.module_utils._selector.compiler import compile_selection
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.sysctl import read_settings
from ansible_collections.netops.conntrack.plugins.module_utils._table import dump
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block
from ansible_collections.netops.conntrack.plugins.module_utils._table.writable import WritableTable
from helpers.support import network_namespace, run

STALE, REPLIED, DATAGRAMS = 4000, 1500, 500
TOTAL = STALE + REPLIED + DATAGRAMS

_ENDS = "-s 198.18.0.{{}} -d 203.0.113.1 --sport {} --dport 80 -t 5000"
KINDS = (
    f"-I -p tcp {_ENDS} --state ESTABLISHED\n",
    f"-I -p tcp {_ENDS} --state ESTABLISHED -u SEEN_REPLY,ASSURED\n",
    f"-I -p udp {_ENDS}\n",
)


class Counts(t.NamedTuple):
    """How many entries of each kind there are; only those that are stale are selected."""

    stale: int
    replied: int
    datagrams: int


def commands(counts: Counts, first: int) -> str:
    """Return commands for conntrack -R; each kind has a source of its own, and source ports from ``first`` on."""
    return "".join(
        kind.format(port).format(source)
        for source, (kind, number) in enumerate(zip(KINDS, counts), start=1)
        for port in range(first, first + number)
    )


def insert(counts: Counts, first: int) -> None:
    run(["conntrack", "-R", "-"], text=commands(counts, first))


def left() -> Counts:
    """Count what the tool lists."""
    sources = [line.split("src=198.18.0.")[1][0] for line in run(["conntrack", "-L"]).splitlines()]
    return Counts(*(sources.count(source) for source in "123"))


@pytest.fixture(autouse=True)
def namespace() -> t.Iterator[None]:
    """Be in a namespace with a table that has some of each kind."""
    with network_namespace("streaming") as name, inside(name):
        insert(Counts(STALE, REPLIED, DATAGRAMS), 1)
        yield


@pytest.fixture(params=[False, True], ids=["alone", "read_ahead"])
def table(request: pytest.FixtureRequest) -> t.Iterator[WritableTable]:
    with WritableTable(read_ahead=request.param) as opened:
        yield opened


def pruned(table: WritableTable, limit: str | None = None, whole: bool = True) -> dict[str, t.Any]:
    """Prune, and give the result with its diff; the numbers in it must add up."""
    context = Context.read(read_settings())
    match = {"protocol": "tcp", "state": "ESTABLISHED", "replied": False}
    plan = PrunePlan(
        compile_selection([match], None, context), Guards((), helpers=True), context, sample=3, whole=whole
    )
    result = prune(table, plan, parse_limit(limit), dry_run=False).result(table.count(), with_diff=True)
    assert result["deleted"] + result["already_gone"] + result["not_deleted"] == result["would_delete"]
    assert (result["matched"], result["protected"]) == (result["would_delete"], 0)
    assert (result["undecidable"], result["not_deleted"]) == (0, 0)
    return result


def meanwhile(monkeypatch: pytest.MonkeyPatch, table: WritableTable, action: t.Callable[[], object]) -> None:
    """Have ``action`` done before the first delete, which is in the middle of the dump."""
    delete = table.delete
    actions = [action]

    def delayed(*args: t.Any) -> t.Any:
        while actions:
            actions.pop()()
        return delete(*args)

    monkeypatch.setattr(table, "delete", delayed)


EXPECTED = {
    "changed": True,
    "matched": STALE,
    "protected": 0,
    "would_delete": STALE,
    "undecidable": 0,
    "count_before": TOTAL,
    "deleted": STALE,
    "already_gone": 0,
    "count_after": TOTAL - STALE,
    "kept": [],
    "woken": None,
    "not_deleted": 0,
    "diff": {
        "before": f"{STALE}  ipv4 tcp ESTABLISHED unreplied\n",
        "after": "0  ipv4 tcp ESTABLISHED unreplied\n",
    },
}


def expected(whole: bool) -> dict[str, t.Any]:
    """Return what is expected; where the kernel leaves entries out, nobody knows which of them it would not list."""
    return {**EXPECTED, "not_listed": 0 if whole else None}


def without_sample(result: dict[str, t.Any]) -> dict[str, t.Any]:
    return {name: value for name, value in result.items() if name not in ("lines", "sample")}


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("limit", [None, "100%"])
def test_every_way_gives_the_same(table: WritableTable, limit: str | None, whole: bool) -> None:
    result = pruned(table, limit, whole)
    assert without_sample(result) == expected(whole)
    assert [(entry["source"], entry["replied"]) for entry in result["sample"]] == [("198.18.0.1", False)] * 3
    assert left() == (0, REPLIED, DATAGRAMS)
    again = pruned(table, limit, whole)
    assert (again["changed"], again["matched"], again["count_before"]) == (False, 0, REPLIED + DATAGRAMS)


def test_entries_that_come_meanwhile(table: WritableTable, tmp_path: pathlib.Path) -> None:
    """Those that are selected are deleted if the dump meets them; the others stay."""
    (tmp_path / "more").write_text(commands(Counts(3000, 0, 1000), 10000))
    with (tmp_path / "more").open() as more, subprocess.Popen(["conntrack", "-R", "-"], stdin=more) as inserting:
        result = pruned(table)
        assert inserting.wait(30) == 0
    after = left()
    assert result["already_gone"] == 0
    assert result["deleted"] == STALE + 3000 - after.stale >= STALE
    assert after[1:] == (REPLIED, DATAGRAMS + 1000)


def test_entries_that_come_between_two_parts_of_the_dump(table: WritableTable, monkeypatch: pytest.MonkeyPatch) -> None:
    meanwhile(monkeypatch, table, lambda: insert(Counts(500, 500, 500), 10000))
    result = pruned(table)
    after = left()
    assert (result["deleted"], result["already_gone"]) == (STALE + 500 - after.stale, 0)
    assert after[1:] == (REPLIED + 500, DATAGRAMS + 500)


def test_entries_that_others_delete_meanwhile(table: WritableTable, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those in the datagrams that were already here are gone when it is their turn; the other ones never come."""
    removed = [f"-D -p tcp -s 198.18.0.1 --sport {port}\n" for port in range(1, STALE, 200)]
    meanwhile(monkeypatch, table, lambda: run(["conntrack", "-R", "-"], text="".join(removed)))
    result = pruned(table)
    assert result["deleted"] == STALE - len(removed)
    assert 0 < result["already_gone"] <= len(removed)
    assert left() == (0, REPLIED, DATAGRAMS)


def test_entries_whose_tuples_others_take_meanwhile(table: WritableTable, monkeypatch: pytest.MonkeyPatch) -> None:
    """New connections with the same tuples stay. Others have taken the memory of the old ones, and so their ids."""
    ports = range(1, STALE, 200)
    tuples = [f"-p tcp {_ENDS.format(port).format(1)}" for port in ports]
    gone = [f"-D -p tcp -s 198.18.0.1 --sport {port}\n" for port in ports]
    others = [KINDS[2].format(port).format(9) for port in ports]
    again = [f"-I {each} --state ESTABLISHED\n" for each in tuples]
    meanwhile(monkeypatch, table, lambda: run(["conntrack", "-R", "-"], text="".join([*gone, *others, *again])))
    result = pruned(table)
    assert 0 < result["already_gone"] <= len(again)
    # Those that the dump met after they were made again are new entries that match.
    assert left().stale == result["already_gone"]
    assert result["deleted"] == STALE - result["already_gone"]


def broken_off(monkeypatch: pytest.MonkeyPatch, times: int, after: int = 2000) -> None:
    """Have so many dumps break off once they have given so many entries."""
    whole = dump.blocks
    ahead = iter(range(times))

    def blocks(*args: t.Any, **named: t.Any) -> t.Iterator[Block]:
        breaks = next(ahead, None) is not None
        given = 0
        for block in whole(*args, **named):
            yield block
            given += len(block)
            if breaks and given >= after:
                raise InterruptedDumpError("in the middle")

    monkeypatch.setattr(dump, "blocks", blocks)
    # So that a table of this size has many blocks.
    monkeypatch.setattr(dump, "_CHUNK_BYTES", 1 << 16)
    monkeypatch.setattr(dump, "_BLOCK_BYTES", 1)


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("times", [1, 4])
def test_a_dump_that_breaks_off(table: WritableTable, monkeypatch: pytest.MonkeyPatch, times: int, whole: bool) -> None:
    broken_off(monkeypatch, times, after=1000)
    assert without_sample(pruned(table, whole=whole)) == expected(whole)
    assert left() == (0, REPLIED, DATAGRAMS)


def test_the_sample_is_there_even_if_all_went_in_a_dump_that_broke_off(
    table: WritableTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken_off(monkeypatch, 4, after=TOTAL)
    assert [entry["source"] for entry in pruned(table)["sample"]] == ["198.18.0.1"] * 3


def test_what_others_deleted_in_a_dump_that_broke_off(table: WritableTable, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not in the table that counts, which is that of the last dump and what was deleted before."""
    broken_off(monkeypatch, 1)
    meanwhile(monkeypatch, table, lambda: run(["conntrack", "-D", "-p", "tcp", "-s", "198.18.0.1"]))
    result = pruned(table)
    assert [result[name] for name in ("would_delete", "deleted", "already_gone")] == [0, 0, 0]
    assert result["count_before"] == REPLIED + DATAGRAMS


def test_a_table_that_never_holds_still(table: WritableTable, monkeypatch: pytest.MonkeyPatch) -> None:
    broken_off(monkeypatch, 5, after=500)
    with pytest.raises(DumpError, match="in 5 attempts") as caught:
        pruned(table)
    deleted = STALE - left().stale
    assert 0 < deleted < STALE
    assert caught.value.result == {"changed": True, "deleted": deleted}
    assert f"At least {deleted} entries had been deleted by then" in caught.value.message
    assert left()[1:] == (REPLIED, DATAGRAMS)


Resize = t.Callable[[], None]


@pytest.fixture(params=[0.5, 2], ids=["halved", "doubled"])
def resize(request: pytest.FixtureRequest) -> t.Iterator[Resize]:
    """Yield what changes the size of the hash table, which is one for all namespaces; it is restored at the end.

    The buckets keep their order, so that a dump that goes on at the same number in half as many buckets misses some
    entries, and has some twice in twice as many.
    """
    size = int(read_settings()["buckets"])
    other = int(size * request.param)
    pid = os.getppid()

    def write(buckets: int) -> None:
        run(["nsenter", f"--net=/proc/{pid}/ns/net", "sysctl", "-qw", f"net.netfilter.nf_conntrack_buckets={buckets}"])

    try:
        yield lambda: write(other)
    finally:
        write(size)


@pytest.mark.alone
def test_a_resize_starts_the_dump_again(resize: Resize) -> None:
    found: list[list[bytes]] = []

    def collect(blocks: t.Iterator[Block]) -> list[bytes]:
        found.append([])
        for block in blocks:
            found[-1] += map(block.layout.identity_of, block.rows)
            if len(found) == 1:
                resize()
        return found[-1]

    with WritableTable(read_ahead=False) as table:
        whole = table.read(collect)
    assert len(whole) == len(set(whole)) == TOTAL
    # The first dump was another, without a word from the kernel.
    assert len(found) == 2
    assert len(found[0]) != TOTAL


@pytest.mark.alone
@pytest.mark.parametrize("call", [1, 6, 30])
def test_a_resize_while_entries_are_deleted(resize: Resize, monkeypatch: pytest.MonkeyPatch, call: int) -> None:
    """Those that come twice are deleted once, and counted once; before the first delete, and between two."""
    calls = itertools.count()
    receive = transport.receive

    def disturbed(*args: t.Any) -> int:
        if next(calls) == call:
            resize()
        return receive(*args)

    monkeypatch.setattr(transport, "receive", disturbed)
    with WritableTable(read_ahead=False) as table:
        assert without_sample(pruned(table)) == expected(whole=True)
    assert left() == (0, REPLIED, DATAGRAMS)

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which entries are made and which end while one listens, in a network namespace, against ``conntrack -E``."""

from __future__ import annotations

import collections
import contextlib
import csv
import json
import pathlib
import re
import subprocess
import sys
import time
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._netns import inside
from ansible_collections.netops.conntrack.plugins.module_utils._query import event_query
from ansible_collections.netops.conntrack.plugins.module_utils._query.event_query import run_event_query
from ansible_collections.netops.conntrack.plugins.module_utils._query.query import Query
from ansible_collections.netops.conntrack.plugins.module_utils._selector.compiler import compile_selection
from ansible_collections.netops.conntrack.plugins.module_utils._table.events import Events
from ansible_collections.netops.conntrack.plugins.module_utils._table.table import Table
from helpers.support import (
    PATIENCE,
    ModuleResult,
    assert_refused,
    give_arguments,
    module_path,
    network_namespace,
    run,
    run_module,
    wait_until,
)

Answer = dict[str, t.Any]


@pytest.fixture
def netns() -> t.Iterator[str]:
    with network_namespace("events") as name:
        run(["sysctl", "-q", "-w", "net.netfilter.nf_conntrack_events=1"], netns=name)
        yield name


def entry(verb: str, number: int, *more: str) -> str:
    """Return a command of the tool for the entry with this number."""
    addresses = f"-s 10.0.{number >> 8}.{number & 255} -d 192.0.2.1"
    return " ".join([verb, addresses, f"-p udp --sport {1024 + number} --dport 53", *more])


def make(netns: str, numbers: t.Iterable[int], *more: str) -> None:
    """Make entries, all with one call of the tool."""
    lines = "\n".join(entry("-I", number, "-t", "300", *more) for number in numbers)
    run(["conntrack", "-R", "-"], netns=netns, text=f"{lines}\n")


def delete(netns: str, numbers: t.Iterable[int]) -> None:
    for number in numbers:
        run(["conntrack", *entry("-D", number).split()], netns=netns)


@contextlib.contextmanager
def listening(netns: str, others: int = 0, **options: t.Any) -> t.Iterator[t.Callable[[], ModuleResult]]:
    """Run the module, wait until it listens besides ``others``, and yield what returns its result."""
    command = ["ip", "netns", "exec", netns, sys.executable, "-m"]
    command += ["ansible_collections.netops.conntrack.plugins.modules.conntrack_events"]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": module_path(), "PATH": "/usr/bin:/bin"},
    ) as process:
        try:
            give_arguments(process, options)
            _wait_for_listeners(netns, others + 1, process)

            def result() -> ModuleResult:
                assert process.stdout
                said = process.stdout.read()
                return ModuleResult(process.wait(PATIENCE), json.loads(said))

            yield result
        finally:
            process.kill()


def _wait_for_listeners(netns: str, number: int, process: subprocess.Popen[str]) -> None:
    """Wait until so many in the namespace hear of new entries and of the end of entries (groups 1 and 3)."""

    def are_there() -> bool:
        assert process.poll() is None
        rows = [line.split() for line in run(["cat", "/proc/net/netlink"], netns=netns).splitlines()[1:]]
        return sum(row[1] == "12" and int(row[3], 16) == 0b101 for row in rows) == number

    wait_until(are_there)


def test_what_is_made_and_what_ends(netns: str) -> None:
    make(netns, range(5))
    command = [
        "ip",
        "netns",
        "exec",
        netns,
        "conntrack",
        "-E",
        "-e",
        "NEW,DESTROY",
    ]
    with contextlib.ExitStack() as stack:
        tool = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        stack.callback(tool.kill)
        _wait_for_listeners(netns, 1, tool)
        options: Answer = {"duration": "4s", "limit": 2000, "group_by": ["destination_port"]}
        result = stack.enter_context(listening(netns, others=1, **options))
        make(netns, range(100, 160))
        delete(netns, [0, 100, 101])
        make(netns, [900], "-t", "1")
        done = result()
        tool.terminate()
        shown = tool.stdout.read() if tool.stdout else ""
    assert not done.failed, done.msg
    new, destroyed = done.data["new"], done.data["destroyed"]
    assert (new["total"], new["matched"], shown.count("[NEW]")) == (61, 61, 61)
    assert [done.data[name] for name in ("count_before", "losses", "not_told", "seconds")] == [5, 0, 0, 4]
    # The kernel removes an expired one when it passes by, which can be after the module ended.
    assert 3 <= destroyed["total"] <= shown.count("[DESTROY]") <= 4
    assert 66 - shown.count("[DESTROY]") <= done.data["count_after"] <= 66 - destroyed["total"]
    assert new["groups"][0] | {"packets": 0, "bytes": 0} == {
        "destination_port": 53, "entries": 61, "packets": 0, "bytes": 0, "without_counters": 61
    }  # fmt: skip
    assert new["filled_by"][0]["entries"] == 61
    assert new["filled_by"][0]["match"]["destination_port"] == 53
    # The same entries, field by field, as the tool has them.
    words = {frozenset(_tuple_of(line)) for line in shown.splitlines() if "[NEW]" in line}
    assert {frozenset(_tuple_of(line)) for line in new["lines"]} == words
    assert not done.data.get("warnings")
    assert done.data["changed"] is False


def _tuple_of(line: str) -> t.Iterator[tuple[int, str]]:
    return enumerate(word for word in line.split() if word.startswith(("src=", "dst=", "sport=", "dport=")))


def test_only_what_is_selected(netns: str) -> None:
    with listening(netns, duration="2s", match={"source": "10.0.0.0/29"}, entries=True, explain=0) as result:
        make(netns, range(20), "--mark", "7")
        delete(netns, [3, 9])
        data = result().data
    assert (data["new"]["total"], data["new"]["matched"]) == (20, 8)
    assert (data["destroyed"]["total"], data["destroyed"]["matched"]) == (2, 1)
    assert {each["source"] for each in data["new"]["entries"]} == {f"10.0.0.{number}" for number in range(8)}
    assert data["undecidable"] == 0
    assert {each["mark"] for each in data["new"]["entries"]} == {7}
    assert data["new"]["filled_by"] is None


def test_translations_in_files(netns: str, tmp_path: pathlib.Path) -> None:
    run(["sysctl", "-q", "-w", "net.netfilter.nf_conntrack_timestamp=1"], netns=netns)
    begun, ended = tmp_path / "begun.csv", tmp_path / "ended.ndjson"
    options: Answer = {"duration": "2s", "match": {"nat": "snat"}, "dest": str(begun), "limit": 0}
    with listening(netns, **options, dest_destroyed=str(ended), format="csv") as result:
        for number in range(3):
            make(netns, [number], "-n", f"203.0.113.9:{5000 + number}")
        make(netns, range(10, 15))
        delete(netns, [1, 11])
        data = result().data
    assert (data["changed"], data["dest"], data["dest_destroyed"]) == (True, str(begun), str(ended))
    rows = list(csv.DictReader(begun.open()))
    assert {row["source"] for row in rows} == {"10.0.0.0", "10.0.0.1", "10.0.0.2"}
    assert {row["reply_destination"] for row in rows} == {"203.0.113.9"}
    assert [row["source"] for row in csv.DictReader(ended.open())] == ["10.0.0.1"]
    assert begun.stat().st_mode & 0o777 == 0o600
    checked = run_module("conntrack_events", {**options, "duration": "1s", "format": "csv"}, netns=netns, check=True)
    assert checked.data["changed"] is True
    assert len(list(csv.DictReader(begun.open()))) == len(rows)


@contextlib.contextmanager
def tool_listening(netns: str) -> t.Iterator[t.Callable[[], str]]:
    """Run the tool, wait until it listens, and yield what ends it and returns what it printed."""
    command = ["ip", "netns", "exec", netns, "conntrack", "-E", "-e", "NEW,DESTROY"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as tool:
        try:
            _wait_for_listeners(netns, 1, tool)

            def printed() -> str:
                tool.terminate()
                return tool.stdout.read() if tool.stdout else ""

            yield printed
        finally:
            tool.kill()


def _times_by_source(lines: t.Iterable[str]) -> dict[str, str]:
    return dict(re.findall(r"src=(10[.0-9]+) .*delta-time=(-?\d+)", "\n".join(lines)))


def test_an_entry_that_ended_is_as_old_as_it_was_then(netns: str, tmp_path: pathlib.Path) -> None:
    """Not as old as it was when the module began, which may have been before it was made."""
    run(["sysctl", "-q", "-w", "net.netfilter.nf_conntrack_timestamp=1"], netns=netns)
    make(netns, [0])
    ended = tmp_path / "ended.txt"
    options: Answer = {"duration": "6s", "entries": True, "dest_destroyed": str(ended), "match": {"age": {"min": "2s"}}}
    with tool_listening(netns) as printed, listening(netns, others=1, **options) as result:
        made = time.monotonic()
        make(netns, [1, 2])
        delete(netns, [2])
        time.sleep(3.5)
        delete(netns, [0, 1])
        lived = time.monotonic() - made
        destroyed = result().data["destroyed"]
        shown = [line for line in printed().splitlines() if "[DESTROY]" in line]
    assert (destroyed["total"], destroyed["matched"], destroyed["undecidable"]) == (3, 2, 0)
    theirs = {source: seconds for source, seconds in _times_by_source(shown).items() if source != "10.0.0.2"}
    assert len(theirs) == 2
    assert _times_by_source(destroyed["lines"]) == _times_by_source(ended.read_text().splitlines()) == theirs
    ages = {entry["source"]: entry["age"] for entry in destroyed["entries"]}
    assert 3 <= ages["10.0.0.1"] <= lived
    assert ages["10.0.0.0"] >= 3


def test_what_an_ended_entry_had_left_is_as_the_tool_shows_it(netns: str) -> None:
    with tool_listening(netns) as printed, listening(netns, others=1, duration="2s", entries=True) as result:
        make(netns, [0])
        delete(netns, [0])
        [entry_] = result().data["destroyed"]["entries"]
        [shown] = [line for line in printed().splitlines() if "[DESTROY]" in line]
    found = re.search(r"17 (\d+) src=", shown)
    assert entry_["remaining"] == (int(found[1]) if found else None)


def test_what_is_queued_at_the_end_is_told(netns: str) -> None:
    make(netns, range(2000, 2005))
    with inside(netns), Table() as table, Events({}, table.count) as events:
        make(netns, range(2000))
        delete(netns, [7, 8])
        told: collections.Counter[str] = collections.Counter()
        for kind, block in events.listen(0, 0):
            told[kind] += len(block)
    assert told == {"new": 2000, "destroyed": 2}
    assert (events.losses, events.count_before, events.count_after) == (0, 5, 2003)


def test_the_end_of_older_connections_may_not_be_told(netns: str) -> None:
    """With 2, which is the default, the kernel tells of the end of those only that began while somebody listened."""
    run(["sysctl", "-q", "-w", "net.netfilter.nf_conntrack_events=2"], netns=netns)
    make(netns, range(5))
    with listening(netns, duration="2s") as result:
        make(netns, [100, 101])
        delete(netns, [0, 1, 2, 100])
        done = result()
    assert done.data["destroyed"]["total"] == 1
    assert done.data["not_told"] == 3
    assert "3 entries ended without an event" in str(done.data["warnings"])


def test_losses_are_counted(netns: str) -> None:
    with inside(netns), Events({}) as events:
        events._socket.setsockopt(1, 33, 4096)  # SOL_SOCKET, SO_RCVBUFFORCE
        make(netns, range(2000))
        answers = run_event_query(
            events, 1, compile_selection(None, [], Context({}, 0), "", []), Context({}, 0), Query([], [], 0), {}
        )
    assert events.losses > 0
    assert answers["new"]["total"] < 2000
    account = event_query.account_of(answers, 0, 2000, events.losses)
    assert account["not_told"] is None
    assert "no room for events" in account["warnings"][0]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"duration": "0"}, ("duration", "'0'", "1s to 10m")),
        ({"duration": "1h"}, ("duration", "'1h'", "1s to 10m")),
        ({"limit": -1}, ("limit", "-1")),
        ({"explain": 11}, ("explain", "11")),
        ({"group_by": ["colour"]}, ("group_by[0]", "colour")),
        ({"dest": "begun.csv"}, ("dest: 'begun.csv'", "not absolute")),
        ({"dest_destroyed": "/nowhere/ended.csv"}, ("dest_destroyed: '/nowhere/ended.csv'", "mkdir -p /nowhere")),
    ],
)
def test_refused_before_it_listens(netns: str, options: Answer, words: tuple[str, ...]) -> None:
    begun = time.monotonic()
    assert_refused(run_module("conntrack_events", {"duration": "10m", **options}, netns=netns), *words)
    assert time.monotonic() - begun < 300  # of 600 seconds


def test_a_kernel_that_tells_of_nothing(netns: str) -> None:
    run(["sysctl", "-q", "-w", "net.netfilter.nf_conntrack_events=0"], netns=netns)
    result = run_module("conntrack_events", {"duration": "10m"}, netns=netns)
    assert_refused(result, "net.netfilter.nf_conntrack_events is 0", "Set it to 1 or 2")


def test_an_error_in_a_query_ends_the_listening(netns: str) -> None:
    """The other threads end as well, and the error of the query is that of the module."""
    result = run_module("conntrack_events", {"duration": "1s", "match": {"packets": {"max": 1}}}, netns=netns)
    assert not result.failed
    with listening(netns, duration="2s", match={"packets": {"max": 1}}) as answer:
        make(netns, range(3))
        done = answer()
    assert done.failed
    assert "nf_conntrack_acct" in done.msg

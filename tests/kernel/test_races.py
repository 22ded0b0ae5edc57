# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs that meet each other: two prunes, a prune and a timeout that changes, two confirmations, a disk that is full."""

from __future__ import annotations

import concurrent.futures
import contextlib
import pathlib
import time
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.guards import Guards
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.prune import prune
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.prune_plan import (
    PrunePlan,
    parse_limit,
)
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.update import update
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.update_plan import UpdatePlan, aim_of
from ansible_collections.netops.conntrack.plugins.module_utils._errors import UnavailableError
from ansible_collections.netops.conntrack.plugins.module_utils._netns import inside
from ansible_collections.netops.conntrack.plugins.module_utils._selector.compiler import compile_selection
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.sysctl import read_settings
from ansible_collections.netops.conntrack.plugins.module_utils._table.writable import WritableTable
from helpers.crash_points import Router, State
from helpers.run_records import remove_records
from helpers.support import network_namespace, run, run_module, wait_until

ENTRIES, OTHERS = 6000, 500
WANTED = {"acct": True, "generic_timeout": "2m"}
CONFIRMED = {"state": "confirmed"}
NEW_TIMEOUT = 300


@pytest.fixture
def netns() -> t.Iterator[str]:
    with network_namespace("races") as name:
        yield name
        remove_records(name)


def insert(netns: str, protocol: str, number: int) -> None:
    """Make entries of established connections, or of datagrams, that have ``NEW_TIMEOUT`` seconds left."""
    state = "--state ESTABLISHED -u SEEN_REPLY,ASSURED" if protocol == "tcp" else ""
    line = f"-I -p {protocol} -s 198.18.0.1 -d 203.0.113.1 --sport {{}} --dport 80 -t {NEW_TIMEOUT} {state}\n"
    run(["conntrack", "-R", "-"], netns=netns, text="".join(map(line.format, range(10_001, number + 10_001))))


def count(netns: str, *options: str) -> int:
    return len(run(["conntrack", "-L", *options], netns=netns).splitlines())


# Prunes


@pytest.mark.parametrize("options", [{}, {"max_delete": "100%"}, {"max_delete": ENTRIES}, {"confirm_idle": "1s"}])
def test_of_prunes_at_once_each_counts_what_it_deleted(netns: str, options: dict[str, t.Any]) -> None:
    insert(netns, "tcp", ENTRIES)
    insert(netns, "udp", OTHERS)
    args = {"match": "protocol=tcp", "protect_management": False, **options}
    with concurrent.futures.ThreadPoolExecutor() as pool:
        runs = [pool.submit(run_module, "conntrack_prune", args, netns=netns) for _number in range(3)]
    results = [each.result().data for each in runs]
    assert not any(result.get("failed") for result in results), results
    assert sum(result["deleted"] for result in results) == ENTRIES
    for result in results:
        # With a second look, those that were gone by then are no longer among those to be deleted.
        gone_before = result["deleted"] + result["already_gone"] - result["would_delete"]
        assert result["not_deleted"] == 0
        assert 0 <= gone_before <= (result["already_gone"] if options.get("confirm_idle") else 0)
    assert (count(netns, "-p", "tcp"), count(netns, "-p", "udp")) == (0, OTHERS)


# A prune by idle time, and a timeout that changes while it reads


def lower(netns: str) -> None:
    """Give established connections the timeout with which the entries look as if they had just seen a packet."""
    settings = {"tcp_timeout_established": NEW_TIMEOUT}
    assert run_module("conntrack_settings", {"settings": settings, "persist": False}, netns=netns).data["changed"]


def go_back(netns: str) -> None:
    """Let a change end that was in force when the prune began."""
    assert run_module("conntrack_settings", {"state": "absent", "persist": False}, netns=netns).data["changed"]


def shorten(netns: str) -> None:
    """Give the entries less time, whatever their timeout is."""
    args = {"match": "protocol=tcp", "timeout": {"max": "200s"}}
    assert run_module("conntrack_update", args, netns=netns).data["changed"]


MATCH = {"protocol": "tcp", "idle": {"min": "60s"}}


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize(("limit", "confirm_idle"), [(None, 0), ("100%", 0), (None, 1)])
@pytest.mark.parametrize("meanwhile", [lower, shorten])
def test_timeout_that_changes_while_the_table_is_read_deletes_nothing(
    netns: str,
    meanwhile: t.Callable[[str], None],
    limit: str | None,
    confirm_idle: int,
    whole: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    insert(netns, "tcp", 100)
    with pytest.raises(UnavailableError, match=r"while the table was read.* Run this again") as caught:
        pruned(netns, MATCH, meanwhile, monkeypatch, limit=limit, confirm_idle=confirm_idle, whole=whole)
    assert caught.value.result.get("deleted", 0) == 0
    assert count(netns) == 100


def test_timeout_that_changes_is_nothing_to_other_selectors(netns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    insert(netns, "tcp", 100)
    match = {"protocol": "tcp", "replied": True}
    assert pruned(netns, match, lower, monkeypatch)["deleted"] == 100


def read_late(table: WritableTable, meanwhile: t.Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Have ``meanwhile`` done before the first entry is read."""
    read = table.read

    def late(*args: t.Any) -> t.Any:
        meanwhile()
        return read(*args)

    monkeypatch.setattr(table, "read", late)


@pytest.mark.parametrize("meanwhile", [lower, shorten])
def test_timeout_that_changes_while_the_table_is_read_updates_nothing(
    netns: str, meanwhile: t.Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    insert(netns, "tcp", 100)
    with inside(netns), WritableTable() as table:
        read_late(table, lambda: meanwhile(netns), monkeypatch)
        context = Context.read(read_settings())
        aim = aim_of({"max": 60}, None, context.timeouts, dry_run=False)
        selection = compile_selection(MATCH, None, context)
        plan = UpdatePlan(selection, aim, Guards((), helpers=False), context.timeouts.record)
        with pytest.raises(UnavailableError, match="while the table was read"):
            update(table, plan, dry_run=False)
    left = [int(line.split()[2]) for line in run(["conntrack", "-L"], netns=netns).splitlines()]
    assert len(left) == 100
    assert min(left) > 60


def pruned(
    netns: str,
    match: dict[str, t.Any],
    meanwhile: t.Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    limit: str | None = None,
    **options: t.Any,
) -> dict[str, t.Any]:
    """Prune, with ``meanwhile`` done before the first entry is read; give the result."""
    with inside(netns), WritableTable() as table:
        read_late(table, lambda: meanwhile(netns), monkeypatch)
        context = Context.read(read_settings())
        guards = Guards((), helpers=True)
        selection = compile_selection([match], None, context)
        plan = PrunePlan(selection, guards, context, **{"sample": 0, "whole": True, **options})
        return prune(table, plan, parse_limit(limit), dry_run=False).result(table.count(), with_diff=True)


def test_prune_while_a_change_goes_back_by_itself(netns: str) -> None:
    """Entries that are live under the shorter timeout are never taken for idle ones, at whatever moment it ends."""
    args = {"settings": {"tcp_timeout_established": NEW_TIMEOUT}, "persist": False, "confirm_within": "1s"}
    run_module("conntrack_settings", args, netns=netns)
    insert(netns, "tcp", 100)
    end = time.monotonic() + 2
    prunes = 0
    while time.monotonic() < end or prunes < 3:
        result = run_module("conntrack_prune", {"match": MATCH, "protect_management": False}, netns=netns).data
        assert result.get("deleted", 0) == 0, result
        assert not result.get("failed") or "while the table was read" in result["msg"]
        prunes += 1
    assert int(run(["sysctl", "-n", "net.netfilter.nf_conntrack_tcp_timeout_established"], netns=netns)) == 432000
    assert count(netns) == 100


# Confirmations


@pytest.fixture
def router(tmp_path: pathlib.Path) -> t.Iterator[Router]:
    with network_namespace("races") as name, contextlib.closing(Router(tmp_path / "router", name)) as built:
        yield built


def result_of(router: Router, args: dict[str, t.Any]) -> dict[str, t.Any]:
    result = router.run(args)
    assert result is not None
    return result


def test_of_two_confirmations_at_once_one_keeps_the_change(netns: str) -> None:
    waits = run_module(
        "conntrack_settings", {"settings": WANTED, "persist": False, "confirm_within": "1h"}, netns=netns
    )
    args = {**CONFIRMED, "change": waits.data["confirm"]["change"]}
    with concurrent.futures.ThreadPoolExecutor() as pool:
        runs = [pool.submit(run_module, "conntrack_settings", args, netns=netns) for _number in range(2)]
    assert sorted(each.result().data["changed"] for each in runs) == [False, True]
    assert all(each.result().data["confirm"]["confirmed"] for each in runs)


@pytest.mark.parametrize("early", [0.3, 0.15, 0.1, 0.05, 0.02, 0.0, -0.05])
def test_confirmation_at_the_deadline_keeps_all_or_nothing(router: Router, early: float) -> None:
    first = router.state()
    began = time.monotonic()
    waits = result_of(router, {"settings": WANTED, "confirm_within": "1s"})["confirm"]
    deadline = time.monotonic() + waits["seconds_left"]
    time.sleep(max(0, deadline - early - time.monotonic()))
    result = result_of(router, {**CONFIRMED, "change": waits["change"]})
    time.sleep(max(0, began + 1.6 - time.monotonic()))
    kernel, files = router.state()
    if result.get("failed"):
        assert "No change waits" in result["msg"]
        assert State(kernel, files) == first
    else:
        assert result["confirm"]["confirmed"] is True
        assert (kernel["acct"], kernel["generic_timeout"]) == (1, 120)
        assert files != first.files
    assert (router.left_over(), router.journals) == ([], [])


# A full disk in the place of /run


@pytest.fixture
def full(tmp_path: pathlib.Path) -> t.Iterator[pathlib.Path]:
    """Yield the file that fills the disk which the /run of the fixture ``small_router`` is on."""
    run_directory = tmp_path / "router" / "run"
    run_directory.mkdir(parents=True, mode=0o700)
    run(["mount", "-t", "tmpfs", "-o", "size=128k,mode=0700", "none", str(run_directory)])
    yield run_directory / "full"
    run(["umount", "--lazy", str(run_directory)])


@pytest.fixture
def small_router(full: pathlib.Path, tmp_path: pathlib.Path) -> t.Iterator[Router]:
    del full  # the disk has to be there first
    with network_namespace("races") as name, contextlib.closing(Router(tmp_path / "router", name)) as built:
        yield built


def fill(path: pathlib.Path) -> None:
    """Use every block of the disk."""
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1024))


def test_full_disk_before_a_change_waits_changes_nothing(small_router: Router, full: pathlib.Path) -> None:
    first = small_router.state()
    fill(full)
    result = result_of(small_router, {"settings": WANTED, "confirm_within": "1h"})
    assert result["failed"]
    assert "No space left on device" in result["msg"]
    assert "Nothing was changed" in result["msg"]
    assert (small_router.state(), small_router.left_over(), small_router.waiting) == (first, [], [])


def test_full_disk_before_a_timeout_changes_nothing(small_router: Router, full: pathlib.Path) -> None:
    first = small_router.state()
    fill(full)
    result = result_of(small_router, {"settings": {"generic_timeout": "2m"}})
    assert result["failed"]
    assert "No space left on device" in result["msg"]
    assert (small_router.state(), small_router.left_over()) == (first, [])


def test_full_disk_at_the_confirmation_does_not_keep_it_away(small_router: Router, full: pathlib.Path) -> None:
    waits = result_of(small_router, {"settings": WANTED, "confirm_within": "1h"})["confirm"]
    changed = small_router.state()
    fill(full)
    result = result_of(small_router, {**CONFIRMED, "change": waits["change"]})
    assert result["confirm"]["confirmed"] is True
    assert (small_router.state().kernel, small_router.left_over()) == (changed.kernel, [])
    full.unlink()
    assert result_of(small_router, {**CONFIRMED, "change": waits["change"]})["changed"] is False


def test_full_disk_at_the_deadline_does_not_keep_the_old_values_away(small_router: Router, full: pathlib.Path) -> None:
    first = small_router.state()
    result_of(small_router, {"settings": WANTED, "confirm_within": "1s"})
    fill(full)
    wait_until(lambda: small_router.state() == first)


def test_full_disk_when_the_next_run_takes_the_change_back(small_router: Router, full: pathlib.Path) -> None:
    first = small_router.state()
    result_of(small_router, {"settings": WANTED, "confirm_within": "1h"})
    fill(full)
    result = result_of(small_router, {"settings": {"udp_timeout": 50}})
    assert (result["failed"], result["changed"]) == (True, True)
    assert "A change that waited was rolled back." in result["msg"]
    assert "Nothing else was changed." in result["msg"]
    assert small_router.state().kernel == first.kernel

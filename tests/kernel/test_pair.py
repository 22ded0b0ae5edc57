# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A pair of routers with conntrackd: what a prune on one does to the other, and that it cuts no live connection."""

from __future__ import annotations

import pathlib
import subprocess
import time
import typing as t

import pytest
from helpers.pairs import KEEPALIVED, VIRTUAL, Member, Pair, Script, pair
from helpers.support import PATIENCE, assert_refused, inside, network_namespace, run, run_module, wait_until

NO_EXTERNAL_CACHE = "DisableExternalCache On"
NO_CACHES = f"{NO_EXTERNAL_CACHE}\n    DisableInternalCache On"
PURGES_AT_ONCE = "PurgeTimeout 1"
NO_SCRIPT = Script((), ())
WITHOUT_PURGE = Script(KEEPALIVED.active, ("-n",))
STALE = ("-p", "tcp", "--sport", "4000", "--dport", "443", "--state", "ESTABLISHED", "-t", "5000", "-u", "UNSET")
SELECT = {"match": {"protocol": "tcp", "replied": False}}
ACTIVE = {"active_address": list(VIRTUAL.values())}


def make_stale(member: Member, *addresses: str) -> None:
    """Give a router entries as those of single bare packets."""
    for address in addresses:
        member.conntrack("-I", "-s", address, "-d", "198.51.100.7", *STALE)


def facts_of(member: Member) -> dict[str, t.Any]:
    result = run_module("conntrack_facts", {"gather_subset": "pair"}, netns=member.netns)
    assert not result.failed, result.msg
    found: dict[str, t.Any] = result.data["ansible_facts"]["conntrack"]["pair"]
    return found


def prune(member: Member, **options: t.Any) -> dict[str, t.Any]:
    result = run_module("conntrack_prune", {**SELECT, **options}, netns=member.netns)
    assert not result.failed, result.msg
    return result.data


def entries(member: Member, cache: str) -> int:
    return int(facts_of(member)[f"{cache}_cache"]["entries"])


def test_no_conntrackd() -> None:
    with network_namespace("alone") as netns:
        result = run_module("conntrack_facts", {"gather_subset": "pair"}, netns=netns)
        assert result.data["ansible_facts"]["conntrack"] == {"pair": None}


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["FTFW", "NOTRACK"])
def test_what_is_deleted_on_the_active_member_leaves_the_external_cache_of_the_other(
    tmp_path: pathlib.Path, mode: str
) -> None:
    with pair(tmp_path, mode) as both:
        make_stale(both.first, "10.0.0.1", "10.0.0.2", "10.0.0.3")
        wait_until(lambda: entries(both.second, "external") == 3)
        facts = facts_of(both.first)
        assert facts["config"] == f"{both.first.path}.conf"
        assert facts["internal_cache"] | {"updated": 0} == {
            "enabled": True, "entries": 3, "created": 3, "updated": 0, "destroyed": 0, "failed": 0
        }  # fmt: skip
        assert (facts["external_cache"]["entries"], facts["lost_messages"], facts["problem"]) == (0, 0, None)
        done = prune(both.first, **ACTIVE)
        assert (done["deleted"], done["standby"], done["changed"]) == (3, False, True)
        wait_until(lambda: entries(both.second, "external") == 0)
        assert facts_of(both.second)["external_cache"]["destroyed"] == 3


@pytest.mark.slow
def test_on_the_standby_nothing_is_deleted(tmp_path: pathlib.Path) -> None:
    with pair(tmp_path) as both:
        make_stale(both.second, "10.0.0.1", "10.0.0.2")
        done = prune(both.second, **ACTIVE, max_delete=1, confirm_idle="10m")
        assert (done["standby"], done["changed"], done["deleted"], done["would_delete"]) == (True, False, 0, 2)
        assert both.second.table().count("10.0.0.") == 4
        # Without the addresses, nobody knows that it stands by, and conntrackd keeps the peer's entries to itself.
        done = prune(both.second)
        assert (done["standby"], done["deleted"]) == (None, 2)


@pytest.mark.slow
def test_a_fail_over_while_the_prune_waits_deletes_nothing(tmp_path: pathlib.Path) -> None:
    """Then all connections pass the other member, so that here nobody sees a packet."""
    address = "192.0.2.77/32"
    with pair(tmp_path) as both:
        run(["ip", "address", "add", address, "dev", "lo"], netns=both.first.netns)
        make_stale(both.first, "10.0.0.1")
        args = {**SELECT, "active_address": ["192.0.2.77"], "confirm_idle": "4s"}
        take = ["sh", "-c", f"sleep 2; exec ip address delete {address} dev lo"]
        with subprocess.Popen(inside(both.first.netns, take)):
            refused = run_module("conntrack_prune", args, netns=both.first.netns)
        assert_refused(refused, "stands by now. Nothing was deleted")
        assert "10.0.0.1" in both.first.table()
        run(["ip", "address", "add", address, "dev", "lo"], netns=both.first.netns)
        assert run_module("conntrack_prune", args, netns=both.first.netns).data["deleted"] == 1


def test_on_the_standby_nothing_is_restored(tmp_path: pathlib.Path) -> None:
    with pair(tmp_path) as both:
        make_stale(both.first, "10.0.0.1", "10.0.0.2")
        pruned = prune(both.first, **ACTIVE, backup=True, backup_dir=str(tmp_path / "backups"))
        options = {"src": pruned["backup_file"], **ACTIVE}
        there = run_module("conntrack_restore", options, netns=both.second.netns)
        assert [there.data[name] for name in ("standby", "changed", "restored", "would_restore")] == [True, False, 0, 2]
        assert "10.0.0." not in both.second.table()
        here = run_module("conntrack_restore", options, netns=both.first.netns)
        assert [here.data[name] for name in ("standby", "changed", "restored", "would_restore")] == [False, True, 2, 2]
        wait_until(lambda: entries(both.second, "external") == 2)


@pytest.mark.slow
def test_a_table_that_conntrackd_writes_in_the_mode_of_acknowledgements(tmp_path: pathlib.Path) -> None:
    """There, a delete on the standby does not reach the active member. But nothing says so, and it is refused."""
    with pair(tmp_path, "FTFW", NO_EXTERNAL_CACHE) as both:
        make_stale(both.first, "10.0.0.1", "10.0.0.2")
        wait_until(lambda: "10.0.0.2" in both.second.table())
        assert_refused(run_module("conntrack_prune", SELECT, netns=both.second.netns), "protect_pair")
        assert prune(both.second, protect_pair=False)["deleted"] == 2
        time.sleep(2)
        assert "10.0.0.1" in both.first.table()
        make_stale(both.first, "10.0.0.3")
        wait_until(lambda: "10.0.0.3" in both.second.table())
        assert prune(both.first, **ACTIVE)["deleted"] == 3
        wait_until(lambda: "10.0.0.3" not in both.second.table())


@pytest.mark.slow
def test_what_a_fail_over_does_to_zones_and_to_deleted_entries(tmp_path: pathlib.Path) -> None:
    with pair(tmp_path) as both:
        make_stale(both.first, "10.0.0.1")
        both.first.conntrack("-I", "-s", "10.0.0.2", "-d", "198.51.100.7", "--orig-zone", "5", *STALE)
        wait_until(lambda: entries(both.second, "external") == 2)
        both.fail_over(both.first, both.second)
        assert "zone" in both.first.table()
        assert "10.0.0.2" in both.second.table()
        assert "zone" not in both.second.table()
        # What the former active member still has is not touched.
        assert prune(both.second, **ACTIVE)["deleted"] == 2
        wait_until(lambda: entries(both.first, "external") == 0)
        assert "10.0.0.1" in both.first.table()


@pytest.mark.slow
def test_a_table_that_conntrackd_writes_is_left_alone(tmp_path: pathlib.Path) -> None:
    """Without the guard, a prune of the standby cuts connections of the active member, which the test shows first."""
    with pair(tmp_path, "NOTRACK", NO_CACHES) as both:
        make_stale(both.first, "10.0.0.1")
        wait_until(lambda: "10.0.0.1" in both.second.table())
        assert facts_of(both.second)["external_cache"]["enabled"] is False
        refused = run_module("conntrack_prune", SELECT, netns=both.second.netns)
        assert_refused(refused, "protect_pair", "DisableExternalCache", "active_address")
        assert "10.0.0.1" in both.second.table()
        assert prune(both.second, **ACTIVE)["deleted"] == 0
        assert "10.0.0.1" in both.first.table()
        assert prune(both.second, protect_pair=False)["deleted"] == 1
        wait_until(lambda: "10.0.0.1" not in both.first.table())
        # The active member may prune, which the other one follows.
        make_stale(both.first, "10.0.0.2")
        wait_until(lambda: "10.0.0.2" in both.second.table())
        assert prune(both.first, **ACTIVE)["deleted"] == 1
        wait_until(lambda: "10.0.0.2" not in both.second.table())


def test_what_is_no_address_is_refused() -> None:
    with network_namespace("alone") as netns:
        for wrong in "10.0.0.0/8", "router1", "10.0.0":
            result = run_module("conntrack_prune", {**SELECT, "active_address": [wrong]}, netns=netns)
            assert_refused(result, "active_address", repr(wrong), "is no address")


@pytest.mark.slow
def test_no_connection_is_cut_by_prunes_and_fail_overs(tmp_path: pathlib.Path) -> None:
    with pair(tmp_path) as both:
        _prune_and_fail_over(both, 60, KEEPALIVED)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "script"),
    [
        ("", KEEPALIVED),
        (PURGES_AT_ONCE, KEEPALIVED),
        (f"{NO_EXTERNAL_CACHE}\n    {PURGES_AT_ONCE}", WITHOUT_PURGE),
        (NO_CACHES, NO_SCRIPT),
    ],
    ids=["caches", "caches and purges", "no external cache", "no caches"],
)
def test_no_connection_is_cut_in_the_mode_without_acknowledgements(
    tmp_path: pathlib.Path, options: str, script: Script
) -> None:
    with pair(tmp_path, "NOTRACK", options) as both:
        if options == NO_CACHES:
            _set_liberal(both)
        _prune_and_fail_over(both, 20, script)


def _set_liberal(both: Pair) -> None:
    """Let the routers not check the windows of TCP. What one knows of them is old when it is active again.

    conntrackd sets this for each entry that it writes, but for those that are there already.
    """
    for member in (both.first, both.second):
        run(["sysctl", "-q", "-w", "net.netfilter.nf_conntrack_tcp_be_liberal=1"], netns=member.netns)


def _invalid(member: Member) -> int:
    """Return how many packets the router has taken for invalid."""
    words = member.conntrack("-S").split()
    return sum(int(word.partition("=")[2]) for word in words if word.startswith("invalid="))


@pytest.mark.slow
def test_without_caches_the_window_of_tcp_cuts_connections_that_come_back(tmp_path: pathlib.Path) -> None:
    """Nothing is pruned here. It is what the kernel of the former active member remembers of a connection."""
    with pair(tmp_path, "NOTRACK", NO_CACHES) as both, both.talking(15) as process:
        assert process.stdout
        process.stdout.readline()
        time.sleep(2)
        both.fail_over(both.first, both.second, NO_SCRIPT)
        time.sleep(3)
        assert _invalid(both.second) == 0
        both.fail_over(both.second, both.first, NO_SCRIPT)
        wait_until(lambda: _invalid(both.first) > 0)
        _said, problem = process.communicate(timeout=PATIENCE)
        assert process.returncode == 1
        assert "timed out" in problem


def _prune_and_fail_over(both: Pair, seconds: int, script: Script) -> None:
    """Keep two connections busy for so long, with three prunes and two fail-overs, and expect them to go on."""
    with both.talking(seconds) as one, both.talking(seconds) as other:
        ports = [int(process.stdout.readline()) for process in (one, other) if process.stdout]
        _prune_of_stale_entries(both.first, both.second)
        # Right after a prune, as when the active member dies.
        both.fail_over(both.first, both.second, script)
        assert prune(both.first, **ACTIVE)["standby"] is True
        _prune_of_stale_entries(both.second, both.first)
        both.fail_over(both.second, both.first, script)
        assert prune(both.second, **ACTIVE)["standby"] is True
        _prune_of_stale_entries(both.first, both.second)
        for process, port in zip((one, other), ports):
            said, problem = process.communicate(timeout=seconds + PATIENCE)
            assert process.returncode == 0, problem
            # Answers come all the time, but for the moments of the two fail-overs.
            assert int(said) > 5 * seconds
            assert f"sport={port} dport=7" in both.first.table()


def _prune_of_stale_entries(active: Member, standby: Member) -> None:
    """Make stale entries, let them reach the other member, prune them, and go on at once."""
    time.sleep(5)
    make_stale(active, "10.0.0.1", "10.0.0.2")
    wait_until(lambda: "10.0.0.2" in standby.conntrackd("-e") or "10.0.0.2" in standby.table())
    done = prune(active, **ACTIVE)
    assert done["deleted"] == 2
    assert done["standby"] is False


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["FTFW", "NOTRACK"])
def test_the_purge_of_conntrackd_deletes_the_entries_of_the_peer(tmp_path: pathlib.Path, mode: str) -> None:
    """So the standby has none at the next fail-over, whether anything was pruned or not."""
    with pair(tmp_path, mode, f"{NO_EXTERNAL_CACHE}\n    {PURGES_AT_ONCE}") as both:
        make_stale(both.first, "10.0.0.1")
        wait_until(lambda: "10.0.0.1" in both.second.table())
        both.second.conntrackd("-t")
        wait_until(lambda: "10.0.0.1" not in both.second.table())
        assert "10.0.0.1" in both.first.table()


@pytest.mark.slow
def test_the_flush_of_conntrackd_deletes_the_entries_of_the_peer(tmp_path: pathlib.Path) -> None:
    """So the new active member has none, as its script has just flushed the caches, which are the table."""
    with pair(tmp_path, "NOTRACK", NO_CACHES) as both:
        make_stale(both.first, "10.0.0.1")
        wait_until(lambda: "10.0.0.1" in both.second.table())
        both.second.conntrackd("-f")
        wait_until(lambda: "10.0.0.1" not in both.second.table())
        assert "10.0.0.1" in both.first.table()


def test_a_pair_is_made_of_real_parts(tmp_path: pathlib.Path) -> None:
    """The connection goes through the active member, which translates it."""
    with pair(tmp_path) as both, both.talking(0.5) as process:
        said, problem = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, problem
        assert int(said.split()[1]) > 3
        assert _translated(both) == ["203.0.113.1"]


def _translated(both: Pair) -> list[str]:
    lines = [line for line in both.first.table().splitlines() if "dport=7 " in line]
    return [word.removeprefix("dst=") for line in lines for word in line.split() if word.startswith("dst=")][1::2]

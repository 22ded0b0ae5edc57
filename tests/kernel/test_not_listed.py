# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Entries that the kernel counts and does not list, and the listener that keeps them, in a network namespace."""

from __future__ import annotations

import os
import pathlib
import threading
import time
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._facts.listeners import listeners
from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.check import find
from helpers.deaf_listener import listening_program
from helpers.support import CHECKOUT, network_namespace, read_yaml, run, run_module, wait_until

ENTRIES = 2000
CHECKS = read_yaml(CHECKOUT / "roles" / "conntrack_audit" / "defaults" / "main.yml")["conntrack_audit_checks"]


@pytest.fixture
def netns() -> t.Iterator[str]:
    with network_namespace("unlisted") as name:
        yield name


def commands(verb: str, rest: str = "", protocol: str = "udp") -> str:
    ends = f"-p {protocol} -s 198.18.0.1 -d 203.0.113.1 --dport 53"
    return "".join(f"{verb} {ends} --sport {1000 + number} {rest}\n" for number in range(ENTRIES))


def insert(netns: str, seconds: int = 600, protocol: str = "udp") -> None:
    run(["conntrack", "-R", "-"], netns=netns, text=commands("-I", f"-t {seconds}", protocol))


def count(netns: str) -> int:
    return int(run(["conntrack", "-C"], netns=netns))


def facts(netns: str) -> dict[str, t.Any]:
    result = run_module("conntrack_facts", {"netns": netns, "gather_subset": ["usage", "settings", "stats", "table"]})
    assert not result.failed, result.msg
    gathered: dict[str, t.Any] = result.data["ansible_facts"]["conntrack"]
    return gathered


def finding(gathered: dict[str, t.Any], check_id: str, limit: int) -> tuple[str, t.Any]:
    """Return status and value of a check where the limit of the table, which is the machine's, is ``limit``."""
    usage = {**gathered["usage"], "max": limit, "percent": 100 * gathered["usage"]["count"] / limit}
    found = next(one for one in find({**gathered, "usage": usage}, CHECKS) if one["id"] == check_id)
    return found["status"], found["value"]


def test_a_listener_that_does_not_read_keeps_deleted_entries(netns: str) -> None:
    with listening_program(netns) as deaf:
        insert(netns)
        before = facts(netns)
        assert before["table"]["not_listed"] == 0
        run(["conntrack", "-D", "-p", "udp"], netns=netns)
        gathered = facts(netns)
        kept = count(netns)
        assert (gathered["table"]["entries"], gathered["table"]["not_listed"]) == (0, kept)
        # The few events that fitted into the queue were delivered.
        assert kept > ENTRIES - 50
        name = pathlib.Path(f"/proc/{deaf.pid}/comm").read_text().strip()
        [one] = gathered["usage"]["listeners"]
        assert (one["process"], one["pid"], one["port_id"]) == (name, deaf.pid, deaf.pid)
        assert one["receive_queue_bytes"] > 0
        assert one["drops"] > kept // 2
        value = f"{kept} ({name} {deaf.pid})"
        assert finding(gathered, "table_full_not_listed", kept) == ("finding", value)
        assert finding(gathered, "table_full", kept)[0] == "passed"
        assert finding(gathered, "not_listed", 10 * kept) == ("finding", value)
    wait_until(lambda: count(netns) == 0)
    after = facts(netns)
    assert (after["table"]["not_listed"], after["usage"]["listeners"]) == (0, [])
    assert finding(after, "not_listed", ENTRIES)[0] == finding(after, "table_full_not_listed", ENTRIES)[0] == "passed"


def test_its_entries_go_once_it_reads(netns: str) -> None:
    with listening_program(netns) as deaf:
        insert(netns)
        run(["conntrack", "-D", "-p", "udp"], netns=netns)
        assert facts(netns)["table"]["not_listed"] > ENTRIES - 50
        assert deaf.stdin is not None
        deaf.stdin.write("read\n")
        deaf.stdin.flush()
        wait_until(lambda: count(netns) == 0)
        assert facts(netns)["table"]["not_listed"] == 0


def test_a_listener_without_reliable_delivery_keeps_nothing(netns: str) -> None:
    with listening_program(netns, reliable=0):
        insert(netns)
        run(["conntrack", "-D", "-p", "udp"], netns=netns)
        gathered = facts(netns)
    assert gathered["table"]["not_listed"] == 0
    assert gathered["usage"]["listeners"][0]["drops"] > 0
    assert finding(gathered, "not_listed", ENTRIES)[0] == "passed"


def test_other_events_are_not_listened_to(netns: str) -> None:
    with listening_program(netns, group=1):
        assert facts(netns)["usage"]["listeners"] == []


def test_a_port_id_that_is_another_process(netns: str) -> None:
    """The name is that of the process that has the socket, whatever the port id."""
    with listening_program(netns, port=os.getpid()) as deaf:
        [one] = facts(netns)["usage"]["listeners"]
    assert (one["port_id"], one["pid"]) == (os.getpid(), deaf.pid)


def test_a_listener_of_another_namespace_is_not_shown(netns: str) -> None:
    with network_namespace("unlisted") as other, listening_program(other):
        assert facts(netns)["usage"]["listeners"] == []


# The other entries are those of the whole machine.
@pytest.mark.alone
def test_expired_entries_are_no_alarm(netns: str) -> None:
    """The kernel counts an entry that has expired until it collects it, the later the longer the others last."""
    insert(netns, seconds=400_000)
    for _attempt in range(20):
        insert(netns, seconds=1, protocol="udplite")
        time.sleep(1.2)
        counted = count(netns)
        gathered = facts(netns)
        if counted > ENTRIES + ENTRIES // 2:
            break
    assert counted > ENTRIES + ENTRIES // 2, "the kernel collected expired entries each time"
    assert gathered["table"]["entries"] == ENTRIES
    assert gathered["table"]["not_listed"] < ENTRIES // 2
    assert finding(gathered, "not_listed", ENTRIES)[0] == "passed"
    assert finding(gathered, "table_full_not_listed", ENTRIES)[0] == "passed"


def test_entries_that_come_and_go_are_no_alarm(netns: str) -> None:
    insert(netns)
    churn = commands("-D") + commands("-I", "-t 600")
    ended = threading.Event()

    def come_and_go() -> None:
        while not ended.is_set():
            run(["conntrack", "-R", "-"], netns=netns, text=churn)

    thread = threading.Thread(target=come_and_go)
    thread.start()
    try:
        for _time in range(3):
            gathered = facts(netns)
            assert finding(gathered, "not_listed", ENTRIES)[0] == "passed", gathered["table"]["not_listed"]
    finally:
        ended.set()
        thread.join()


HEADER = "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n"


def proc_with(directory: pathlib.Path, netlink: str) -> str:
    (directory / "net").mkdir()
    (directory / "net" / "netlink").write_text(netlink)
    return str(directory)


@pytest.mark.parametrize("text", ["", "other columns\n1 2\n", HEADER + "0 12 x 4 0 0 0 2 0 1\n"])
def test_sockets_that_cannot_be_read_are_unknown(tmp_path: pathlib.Path, text: str) -> None:
    assert listeners(proc_with(tmp_path, text)) is None


def test_without_the_file_nobody_knows(tmp_path: pathlib.Path) -> None:
    assert listeners(str(tmp_path)) is None


def test_a_process_that_cannot_be_seen_has_no_name(tmp_path: pathlib.Path) -> None:
    # The last one does not listen for the end of connections.
    rows = (
        "0 12 77 00000004 9 0 0 2 3 500\n"
        "0 12 78 0000000d 0 0 0 2 4 501\n"
        "0 12 -4096 00000004 0 0 0 2 1 503\n"
        "0 12 79 00000003 0 0 0 2 4 502\n"
    )
    found = listeners(proc_with(tmp_path, HEADER + rows))
    assert found is not None
    assert [tuple(one) for one in found] == [
        (None, None, 78, 0, 4),
        (None, None, 77, 9, 3),
        (None, None, 4294963200, 0, 1),
    ]

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Why a router loses connections, or what it knows of them, made by real packets, and gone with the printed cure."""

from __future__ import annotations

import contextlib
import json
import pathlib
import re
import threading
import typing as t

from helpers.audited_router import document_of, facts_of, findings_of, for_now, printed_by_shell
from helpers.deaf_listener import listening_program
from helpers.packet_injection import Router, injected_router
from helpers.packets import tcp, udp
from helpers.support import run, wait_until

UDP, TCP = 17, 6
_COMMAND = re.compile("`([^`]+)`")
_SOURCE_NAT = """
table ip nat {{
  chain postrouting {{ type nat hook postrouting priority srcnat; oifname "beyond" udp sport 0-65535 snat to {}; }}
}}
"""
ONE_PORT, MANY_PORTS = "192.0.2.77:4711", "192.0.2.77:1024-65535"


def query(router: Router, clients: range) -> None:
    """Let clients ask one server."""
    for number in clients:
        router.send(f"10.7.{number >> 8}.{number & 255}", "203.0.113.20", UDP, udp((1024 + number, 53)))


@contextlib.contextmanager
def new_clients(router: Router, first: int) -> t.Iterator[None]:
    """Let another client ask every few milliseconds, until the end of the block."""
    is_over = threading.Event()

    def send() -> None:
        number = first
        while not is_over.wait(0.005):
            query(router, range(number, number + 1))
            number += 1

    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield
    finally:
        is_over.set()
        sender.join()


def watched(router: Router, directory: pathlib.Path, first: int) -> t.Any:
    """Return the finding of failed inserts of an audit that watches while new clients ask."""
    with new_clients(router, first):
        facts = facts_of(router.netns, sample="1s")
    return findings_of(document_of(router.netns, directory, facts)).get("insert_failed")


def test_nat_without_a_free_port_is_found_and_is_over_with_more_ports(tmp_path: pathlib.Path) -> None:
    with injected_router("loss") as router:
        run(["nft", "-f", "-"], netns=router.netns, text=_SOURCE_NAT.format(ONE_PORT))
        query(router, range(1))
        assert "insert_failed" not in findings_of(document_of(router.netns, tmp_path))
        query(router, range(1, 101))
        document = document_of(router.netns, tmp_path)
        assert findings_of(document)["insert_failed"]["value"] == 100
        assert watched(router, tmp_path, 1000)["value"] in range(20, 2000)
        run(["nft", "-f", "-"], netns=router.netns, text="flush ruleset ip\n" + _SOURCE_NAT.format(MANY_PORTS))
        assert watched(router, tmp_path, 5000) is None
        # Who does not watch sees all since boot. The advice says how to watch.
        assert findings_of(document_of(router.netns, tmp_path))["insert_failed"]["value"] > 100
        [command] = _COMMAND.findall(document["checks"]["insert_failed"]["advice"])
        report = f"-e conntrack_audit_report_directory={tmp_path} -e conntrack_audit_report_name=report"
        printed_by_shell(f"{command} {report}", router.netns, tmp_path)
        assert "insert_failed" not in findings_of(json.loads((tmp_path / "report.json").read_text()))


def test_a_listener_that_does_not_read_is_found_and_its_entries_go_with_it(tmp_path: pathlib.Path) -> None:
    with injected_router("loss") as router, listening_program(router.netns) as program:
        query(router, range(2000))
        assert "not_listed" not in findings_of(document_of(router.netns, tmp_path))
        router.set(udp_timeout=1)
        query(router, range(2000))
        wait_until(lambda: not run(["conntrack", "-L"], netns=router.netns))
        found = findings_of(document_of(router.netns, tmp_path))["not_listed"]
        kept = int(run(["conntrack", "-C"], netns=router.netns))
        name = pathlib.Path(f"/proc/{program.pid}/comm").read_text().strip()
        assert kept > 1900
        assert found["value"] == f"{kept} ({name} {program.pid})"
        kill, _limit = found["cures"]
        assert f"{kept:,} entries are then gone" in kill
        [command] = _COMMAND.findall(kill)
        printed_by_shell(command, router.netns, tmp_path)
        program.wait()
        wait_until(lambda: int(run(["conntrack", "-C"], netns=router.netns)) == 0)
        assert not findings_of(document_of(router.netns, tmp_path)).keys() & {"not_listed", "table_full_not_listed"}


def test_accounting_that_is_off_is_found_and_its_cure_gives_new_entries_counters(tmp_path: pathlib.Path) -> None:
    with injected_router("loss") as router:
        router.set(acct=0, udp_timeout=600)
        query(router, range(30))
        found = findings_of(document_of(router.netns, tmp_path))["accounting_off"]
        [cure] = found["cures"]
        assert "The 30 entries of now get none" in cure
        [command] = _COMMAND.findall(cure)
        printed_by_shell(for_now(command), router.netns, tmp_path)
        query(router, range(30, 50))
        assert run(["conntrack", "-L"], netns=router.netns).count("packets=1 ") == 20
        assert "accounting_off" not in findings_of(document_of(router.netns, tmp_path))


LOG = "table_full_logged"
"""The kernel's log is that of the machine, so that it may be about another test."""


def test_a_healthy_router_is_silent(tmp_path: pathlib.Path) -> None:
    with injected_router("loss") as router:
        router.set(tcp_timeout_established=54_000, generic_timeout=120, tcp_loose=0)
        for number in range(1500):
            source, ports = f"10.7.{number >> 8}.{number & 255}", (1024 + number, 443)
            router.send(source, "203.0.113.20", TCP, tcp(ports, "S", 1, 0))
            router.send("203.0.113.20", source, TCP, tcp(ports[::-1], "SA", 1, 2))
            router.send(source, "203.0.113.20", TCP, tcp(ports, "A", 2, 2))
        document = document_of(router.netns, tmp_path, facts_of(router.netns, sample="1s"))
        assert document["hosts"]["r1"]["before"]
        about_boot = {"undecided_at_boot", "settings_lost_at_boot", "drift"}
        assert findings_of(document).keys() - {LOG} - about_boot == set()

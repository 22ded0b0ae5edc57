# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Why a table is full, made by real packets: each cause is found with its numbers, and its cures, run as printed, help.

A healthy table has none of them.
"""

from __future__ import annotations

import contextlib
import pathlib
import re
import threading
import time
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.audit_types import Finding
from helpers.audited_router import answer_of, document_of, facts_of, findings_of, for_now, printed_by_shell
from helpers.packet_injection import Router, injected_router
from helpers.packets import echo, tcp, udp
from helpers.support import network_namespace, run

TCP, UDP, ICMP = 6, 17, 1
CAUSES = {
    "bare_ack_pickup",
    "asymmetric_routing",
    "syn_flood",
    "unanswered_service",
    "scan",
    "one_peer",
    "idle_connections",
}
_COMMAND = re.compile("`([^`]+)`")
_HALF_FULL = {"max": 4000, "percent": 50.0, "headroom": 2000}
"""The usage of a table of 2,000 entries with a lower limit. The limit is that of the machine, so no test sets it."""


def paced(numbers: range) -> t.Iterator[int]:
    """Yield the numbers with pauses, so that the router takes all packets also on a busy machine."""
    for place, number in enumerate(numbers):
        if place % 200 == 0:
            time.sleep(0.01)
        yield number


def client(number: int) -> str:
    return f"10.{number % 4}.{number >> 8}.{number & 255}"


def server(number: int) -> str:
    return f"77.85.{number & 255}.{1 + (number >> 8)}"


def connect(router: Router, source: str, destination: str, ports: tuple[int, int], *, is_answered: bool = True) -> None:
    """Open a TCP connection: the test plays both ends."""
    router.send(source, destination, TCP, tcp(ports, "S", 1, 0))
    if is_answered:
        back = (ports[1], ports[0])
        router.send(destination, source, TCP, tcp(back, "SA", 1, 2))
        router.send(source, destination, TCP, tcp(ports, "A", 2, 2))


def bare_acks(router: Router, number: int = 2000, first: int = 0) -> None:
    for at in paced(range(first, first + number)):
        router.send(client(at), server(at), TCP, tcp((1024 + at, 443), "A", 1, 1))


def one_direction(router: Router) -> None:
    bare_acks(router)
    for at in paced(range(2000)):
        router.send(client(at), server(at), TCP, tcp((1024 + at, 443), "A", 2, 1))


def syn_flood(router: Router, number: int = 2000, first: int = 0) -> None:
    for at in paced(range(first, first + number)):
        connect(router, client(at), "203.0.113.7", (1024 + at, 443), is_answered=False)


def half_open(router: Router) -> None:
    """Let a server answer SYNs whose sources do not go on."""
    syn_flood(router)
    for at in paced(range(2000)):
        router.send("203.0.113.7", client(at), TCP, tcp((443, 1024 + at), "SA", 1, 2))


def dns_storm(router: Router, number: int = 2000, first: int = 0) -> None:
    for at in paced(range(first, first + number)):
        router.send(client(at), "203.0.113.54", UDP, udp((1024 + at, 53)))


def dns_storm_of_ipv6(router: Router, number: int = 2000, first: int = 0) -> None:
    for at in paced(range(first, first + number)):
        router.send(f"2001:db8:a::{at:x}", "2001:db8:53::53", UDP, udp((1024 + at, 53)))


def scan(router: Router, number: int = 2000, first: int = 0) -> None:
    for at in paced(range(first, first + number)):
        connect(router, "198.51.100.66", server(at), (40_000, 22), is_answered=False)


def port_scan(router: Router) -> None:
    for at in paced(range(2000)):
        connect(router, "198.51.100.66", "203.0.113.7", (40_000, 1 + at), is_answered=False)


def ping_sweep(router: Router) -> None:
    for at in paced(range(2000)):
        router.send("198.51.100.66", server(at), ICMP, echo(2, 7))


def one_client(router: Router, number: int = 2000, first: int = 0) -> None:
    for at in paced(range(first, first + number)):
        connect(router, "10.7.7.7", server(at % 500), (1024 + at, 443))


def one_server(router: Router) -> None:
    for at in paced(range(2000)):
        connect(router, client(at), "203.0.113.7", (1024 + at, 443))


Traffic = t.Callable[[Router], None]
FOUND: dict[str, tuple[Traffic, str, str]] = {
    "bare ACKs": (
        bare_acks,
        "bare_ack_pickup",
        "100 % of the table, 2,000 entries: tcp ESTABLISHED, unanswered, a single packet, to port 443 of 2,000 "
        "destinations in 77.85.0.0/16, from 2,000 sources in 10.0.0.0/14",
    ),
    "one direction": (
        one_direction,
        "asymmetric_routing",
        "2000 entries with two packets or more and no answer (100.0 %); 100 % of the table, 2,000 entries: tcp "
        "ESTABLISHED, unanswered, to port 443 of 2,000 destinations in 77.85.0.0/16, from 2,000 sources in 10.0.0.0/14",
    ),
    "SYN flood": (
        syn_flood,
        "syn_flood",
        "100 % of the table, 2,000 entries: tcp SYN_SENT, unanswered, to 203.0.113.7 port 443, from 2,000 sources in "
        "10.0.0.0/14",
    ),
    "SYN flood that is answered": (
        half_open,
        "syn_flood",
        "100 % of the table, 2,000 entries: tcp SYN_RECV, answered, to 203.0.113.7 port 443, from 2,000 sources in "
        "10.0.0.0/14",
    ),
    "DNS storm": (
        dns_storm,
        "unanswered_service",
        "100 % of the table, 2,000 entries: udp, unanswered, to 203.0.113.54 port 53, from 2,000 sources in "
        "10.0.0.0/14",
    ),
    "DNS storm over IPv6": (
        dns_storm_of_ipv6,
        "unanswered_service",
        "100 % of the table, 2,000 entries: udp, unanswered, to 2001:db8:53::53 port 53, from 2,000 sources in "
        "2001:db8:a::/64",
    ),
    "scan": (
        scan,
        "scan",
        "100 % of the table, 2,000 entries: tcp SYN_SENT, unanswered, from 198.51.100.66, to port 22 of 2,000 "
        "destinations in 77.85.0.0/16",
    ),
    "port scan": (
        port_scan,
        "scan",
        "100 % of the table, 2,000 entries: tcp SYN_SENT, unanswered, from 198.51.100.66, to 203.0.113.7",
    ),
    "ping sweep": (
        ping_sweep,
        "scan",
        "100 % of the table, 2,000 entries: icmp, unanswered, from 198.51.100.66, to 2,000 destinations in "
        "77.85.0.0/16",
    ),
}
"""Traffic, the only cause that it is, and the evidence for it."""


@pytest.mark.parametrize("name", FOUND)
def test_the_cause_is_found_with_its_numbers_and_its_prune_makes_it_go(name: str, tmp_path: pathlib.Path) -> None:
    send, cause, evidence = FOUND[name]
    with injected_router("causes") as router:
        send(router)
        document = document_of(router.netns, tmp_path)
        found = findings_of(document)
        assert CAUSES & found.keys() == {cause}
        assert found[cause]["value"] == evidence
        prunes = [command for command in commands_of(found[cause]) if "conntrack_prune" in command]
        assert bool(prunes) == ("unanswered" in evidence and cause != "asymmetric_routing")
        for command in prunes:
            answer = answer_of(command, router.netns, tmp_path)
            assert answer["deleted"] == 2000 - (name == "port scan")
            assert any(f"frees {answer['deleted']:,} entries" in cure for cure in found[cause]["cures"])
            assert not CAUSES & findings_of(document_of(router.netns, tmp_path)).keys()


LIMITED: dict[str, tuple[t.Callable[..., None], str, str, int]] = {
    "SYN flood": (syn_flood, "syn_flood", "limit rate over 100/second", 1000),
    "DNS storm, rejected": (dns_storm, "unanswered_service", "reject", 0),
    "DNS storm, untracked": (dns_storm, "unanswered_service", "notrack", 0),
    "DNS storm over IPv6, rejected": (dns_storm_of_ipv6, "unanswered_service", "reject", 0),
    "DNS storm over IPv6, untracked": (dns_storm_of_ipv6, "unanswered_service", "notrack", 0),
    "scan": (scan, "scan", "ct count over 100", 100),
}
"""Traffic, the cause that it is, a cure by a rule, and how many new entries the same traffic makes with it at most."""


@pytest.mark.parametrize("name", LIMITED)
def test_the_rule_of_a_cure_keeps_the_cause_from_filling_the_table_again(name: str, tmp_path: pathlib.Path) -> None:
    send, cause, words, most = LIMITED[name]
    with injected_router("causes") as router:
        send(router)
        found = findings_of(document_of(router.netns, tmp_path))[cause]
        run(["conntrack", "-F"], netns=router.netns)
        [cure] = [cure for cure in found["cures"] if words in cure]
        command, undo = _COMMAND.findall(cure)
        printed_by_shell(command, router.netns, tmp_path)
        send(router, first=3000)
        assert count(router) <= most
        printed_by_shell(undo, router.netns, tmp_path)
        before = count(router)
        send(router, first=6000)
        assert count(router) == before + 2000


def test_a_client_with_most_of_a_table_that_is_half_full_is_found_and_can_be_limited(tmp_path: pathlib.Path) -> None:
    with injected_router("causes") as router:
        one_client(router)
        facts = facts_of(router.netns, usage=_HALF_FULL)
        found = findings_of(document_of(router.netns, tmp_path, facts))
        assert CAUSES & found.keys() == {"one_peer"}
        assert found["one_peer"]["value"] == (
            "100 % of the table, 2,000 entries: tcp ESTABLISHED, answered, from 10.7.7.7, to port 443 of 500 "
            "destinations in 77.85.0.0/16"
        )
        higher, cure = found["one_peer"]["cures"]
        assert '{"at_least": {"max": 8000}' in higher
        assert cure.startswith("On the router, this leaves 10.7.7.7 1,000 connections at a time")
        command, _undo = _COMMAND.findall(cure)
        printed_by_shell(command, router.netns, tmp_path)
        one_client(router, first=4000)
        assert count(router) == 3000


def test_a_server_with_most_of_a_table_that_is_half_full_is_found(tmp_path: pathlib.Path) -> None:
    with injected_router("causes") as router:
        one_server(router)
        assert not CAUSES & findings_of(document_of(router.netns, tmp_path)).keys()
        facts = facts_of(router.netns, usage=_HALF_FULL)
        found = findings_of(document_of(router.netns, tmp_path, facts))
        assert CAUSES & found.keys() == {"one_peer"}
        assert "to 203.0.113.7 port 443, from 2,000 sources" in found["one_peer"]["value"]


@contextlib.contextmanager
def steady_queries(router: Router, rate: int) -> t.Iterator[None]:
    """Send so many unanswered queries in a second, by the clock, until the end of the block."""
    is_over = threading.Event()
    begin = time.monotonic()

    def send() -> None:
        sent = 0
        while not is_over.wait(0.02):
            due = int((time.monotonic() - begin) * rate)
            dns_storm(router, due - sent, sent)
            sent = due

    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield
    finally:
        is_over.set()
        sender.join()


def listed(router: Router) -> int:
    """Return how many entries have not expired. The kernel counts those that have until it comes by."""
    return len(run(["conntrack", "-L"], netns=router.netns).splitlines())


def test_a_shorter_timeout_leaves_as_many_entries_as_was_foretold(tmp_path: pathlib.Path) -> None:
    with injected_router("causes") as router:
        router.set(udp_timeout=16)
        with steady_queries(router, 120):
            time.sleep(20)
            found = findings_of(document_of(router.netns, tmp_path))["unanswered_service"]
            [cure] = [cure for cure in found["cures"] if "udp_timeout" in cure]
            [foretold] = re.findall(r"about ([\d,]+) of [\d,]+ are left", cure)
            [command] = _COMMAND.findall(cure)
            printed_by_shell(command, router.netns, tmp_path)
            # Those that were there have the 16 seconds of before.
            time.sleep(17)
            assert listed(router) == pytest.approx(int(foretold.replace(",", "")), rel=0.1)


def test_no_bare_ack_makes_an_entry_after_the_printed_cure(tmp_path: pathlib.Path) -> None:
    with injected_router("causes") as router:
        router.set(tcp_timeout_unacknowledged=3)
        bare_acks(router)
        document = document_of(router.netns, tmp_path)
        assert "gone after 3 s at the most" in " ".join(findings_of(document)["bare_ack_pickup"]["cures"])
        [command] = _COMMAND.findall(document["checks"]["bare_ack_pickup"]["advice"])
        printed_by_shell(command, router.netns, tmp_path)
        bare_acks(router, first=3000)
        time.sleep(4)
        assert not CAUSES & findings_of(document_of(router.netns, tmp_path)).keys()
        assert count(router) == 0


_UP_FOR_TEN_DAYS = ("unshare", "--time", "--boottime", "864000")
"""Nothing counts as idle for longer than the machine is up (time_namespaces(7))."""


def test_connections_idle_for_an_hour_are_found_and_as_many_are_shortened_as_was_foretold(
    tmp_path: pathlib.Path,
) -> None:
    kinds = {300: 400_000, 900: 40_000, 1000: 427_000, 100: 431_990}
    lines = [
        f"-I -p tcp -t {left} -s {client(at)} --sport {1024 + at} -d {server(at)} --dport {number} "
        "--state ESTABLISHED -u SEEN_REPLY,ASSURED"
        for number, left in kinds.items()
        for at in range(number)
    ]
    with network_namespace("causes") as netns:
        run(["conntrack", "-R", "-"], netns=netns, text="\n".join(lines) + "\n")
        usage = {"max": 4000, "percent": 57.5}
        facts = facts_of(netns, wrapper=_UP_FOR_TEN_DAYS, usage=usage)
        found = findings_of(document_of(netns, tmp_path, facts))
        assert CAUSES & found.keys() == {"idle_connections"}
        value = found["idle_connections"]["value"]
        assert value == "2200 entries (95.65 %), of which 900 were idle for 15 hours or longer"
        in_15_hours, in_6_hours = found["idle_connections"]["cures"]
        assert "shortens about 1,400 entries" in in_15_hours
        assert "shortens about 2,300" in in_6_hours
        [command] = _COMMAND.findall(in_15_hours)
        printed_by_shell(for_now(command), netns, tmp_path)
        remaining = [int(line.split()[2]) for line in run(["conntrack", "-L"], netns=netns).splitlines()]
        assert len([seconds for seconds in remaining if seconds > 53_000]) == 1400
        assert max(remaining) <= 54_000
        facts = facts_of(netns, usage=usage)
        assert not CAUSES & findings_of(document_of(netns, tmp_path, facts)).keys()


def test_a_healthy_table_has_no_cause(tmp_path: pathlib.Path) -> None:
    with injected_router("causes") as router:
        for at in paced(range(1500)):
            connect(router, client(at), server(at % 300), (1024 + at, 443), is_answered=at % 50 > 0)
        for at in paced(range(1500)):
            router.send(client(at), server(at % 300), UDP, udp((1024 + at, 53)))
            if at % 20:
                router.send(server(at % 300), client(at), UDP, udp((53, 1024 + at)))
        for at in paced(range(1000)):
            # Syslog, which nobody answers.
            router.send(client(at), "203.0.113.14", UDP, udp((1024 + at, 514)))
        bare_acks(router, 100, 4000)
        facts = facts_of(router.netns, usage={**_HALF_FULL, "percent": 75.0})
        assert facts["table"]["entries"] == 4100
        assert not CAUSES & findings_of(document_of(router.netns, tmp_path, facts)).keys()


def test_a_share_of_invalid_packets_is_found(tmp_path: pathlib.Path) -> None:
    with injected_router("causes") as router:
        before = facts_of(router.netns)["stats"]["received_packets"]
        for at in paced(range(9_999)):
            # The answer to a SYN that nobody sent.
            router.send(server(at), client(at), TCP, tcp((443, 1024 + at), "SA", 1, 2))
        assert "invalid_packets" not in findings_of(document_of(router.netns, tmp_path))
        router.send("2001:db8:a::1", "2001:db8:b::1", TCP, tcp((443, 1024), "SA", 1, 2))
        facts = facts_of(router.netns)
        assert facts["stats"]["total"]["invalid"] == router.invalid() == 10_000
        received = facts["stats"]["received_packets"]
        assert 10_000 <= received - before < 10_100
        found = findings_of(document_of(router.netns, tmp_path, facts))["invalid_packets"]
        assert found["value"] == f"10000 of {received} packets"


SOURCE_NAT = """
table ip nat {
  chain postrouting { type nat hook postrouting priority srcnat; oifname "beyond" snat to 192.0.2.77; }
}
"""


def query(router: Router, source: str, first: int, last: int) -> None:
    for port in paced(range(first, last + 1)):
        router.send(source, "203.0.113.20", UDP, udp((port, 443)))


def test_half_of_the_ports_of_an_address_of_nat_in_use_are_found(tmp_path: pathlib.Path) -> None:
    with injected_router("causes") as router:
        router.set(udp_timeout=900)
        run(["nft", "-f", "-"], netns=router.netns, text=SOURCE_NAT)
        query(router, "10.7.7.7", 1024, 33_000)
        query(router, "10.7.7.8", 40_000, 40_277)
        pair = {"protocol": "udp", "address": "192.0.2.77", "destination": "203.0.113.20", "destination_port": 443}
        facts = facts_of(router.netns)
        assert facts["table"]["nat_ports"] == [{**pair, "zone": 0, "ports": 32_255}]
        assert not findings_of(document_of(router.netns, tmp_path, facts)).keys() & {"nat_ports", "insert_failed"}
        query(router, "10.7.7.8", 40_278, 40_278)
        found = findings_of(document_of(router.netns, tmp_path))["nat_ports"]
        assert found["value"] == "32256 of 64512 ports of 192.0.2.77 in use to 203.0.113.20 port 443 (udp)"
        [command] = commands_of(found)
        groups = answer_of(command, router.netns, tmp_path)["groups"]
        assert [(group["source"], group["entries"]) for group in groups] == [("10.7.7.7", 31_977), ("10.7.7.8", 279)]
        # NAT has to find other ports for these, and does not find one for some although half of all are free.
        query(router, "10.7.7.8", 2000, 2999)
        assert "insert_failed" in findings_of(document_of(router.netns, tmp_path))


def commands_of(finding: Finding) -> list[str]:
    return [command for cure in finding.get("cures", []) for command in _COMMAND.findall(cure)]


def count(router: Router) -> int:
    return int(run(["conntrack", "-C"], netns=router.netns))

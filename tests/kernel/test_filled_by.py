# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tables as routers have them: the first screen says what fills each, and its commands free what they say.

Each command is given to a shell as it is printed, first with --check.
"""

from __future__ import annotations

import dataclasses
import pathlib
import random
import re
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.plugin_utils._formats.render import first_screen_or_say_why
from helpers.audited_router import answer_of, document_of, facts_of
from helpers.packet_injection import injected_router
from helpers.packets import tcp
from helpers.support import network_namespace, run, run_module

PRUNE = re.compile(r"This frees ([\d,]+) entries:\n((?:  .*\\\n)*  .*\n)")
"""On a first screen, how many entries a command frees, and its lines."""
TCP = 6


def entries(number: int, text: str, seed: int = 0) -> list[str]:
    """Return commands for conntrack -R: ``text`` with a source port, and addresses and a port by chance, in each."""
    chance = random.Random(seed)
    return [
        "-I "
        + text.format(
            sport=1024 + at,
            client=f"10.{chance.randrange(4)}.{chance.randrange(256)}.{chance.randrange(1, 255)}",
            server=f"203.0.{chance.randrange(256)}.{chance.randrange(1, 255)}",
            port=chance.choice((443, 443, 443, 80, 22, 993, 8443)),
            number=at,
        )
        for at in range(number)
    ]


_PORTS = "--sport {sport} --dport"
_UDP = f"-p udp -t 300 -s {{client}} {_PORTS}"
_TCP = f"-p tcp -t 4000 -s {{client}} {_PORTS}"
_ASSURED = "-u SEEN_REPLY,ASSURED"

DNS = f"{_UDP} 53 -d 192.0.2.54"
DNS6 = f"-p udp -t 300 -s 2001:db8:1::{{number:x}} {_PORTS} 53 -d 2001:db8:53::53"
SYN = f"{_TCP} 443 -d 203.0.113.7 --state SYN_SENT"
WEB = f"{_TCP} {{port}} -d {{server}} --state ESTABLISHED {_ASSURED}"
CLOSING = f"{_TCP} {{port}} -d {{server}} --state TIME_WAIT {_ASSURED}"
QUERY = f"{_UDP} 53 -d {{server}} -u SEEN_REPLY"
NTP = f"{_UDP} 123 -d 192.0.2.123"
SCAN = "-p tcp -t 100 -s 198.51.100.66 --sport 40000 --dport {sport} -d {server} --state SYN_SENT"
PING = "-p icmp -t 300 -s 198.51.100.9 -d {server} --icmp-type 8 --icmp-code 0 --icmp-id {number}"
ANSWERED_PING = "-p icmp -t 300 -s {client} -d {server} --icmp-type 8 --icmp-code 0 --icmp-id {number} -u SEEN_REPLY"
HALF_OPEN = f"{_TCP} 443 -d 203.0.113.7 --state SYN_RECV -u SEEN_REPLY"
PING6 = "-p icmpv6 -t 300 -s 2001:db8:9::9 -d 2001:db8:{number:x}::1 --icmpv6-type 128 --icmpv6-code 0 --icmpv6-id 7"
NAT_DNS = f"{DNS} --src-nat 198.51.100.1"
SCATTERED = f"{_UDP} {{sport}} -d {{server}}"
SYN_OF_MANY = f"{_TCP} {{port}} -d {{server}} --state SYN_SENT"
CLIENT = f"-p tcp -t 4000 -s 10.7.7.7 {_PORTS} 6379 -d 203.0.113.20 --src-nat 192.0.2.1 --state ESTABLISHED {_ASSURED}"


@dataclasses.dataclass(frozen=True)
class Case:
    """How a table is made, what the first screen says of it, and how much its commands free."""

    parts: tuple[tuple[int, str], ...]
    line: str
    # Some clients have port 500, 4500 or 3780 by chance, which a prune keeps.
    frees: tuple[int, ...] = ()


CASES = {
    "DNS storm": Case(
        ((9900, DNS), (100, WEB)), "99 % of 10,000 entries: udp, unanswered, to 192.0.2.54 port 53", (9898,)
    ),
    "DNS storm over IPv6": Case(
        ((2000, DNS6), (500, WEB)), "80 % of 2,500 entries: udp, unanswered, to 2001:db8:53::53 port 53", (2000,)
    ),
    "SYN flood": Case(
        ((7000, SYN), (3000, WEB)),
        "70 % of 10,000 entries: tcp SYN_SENT, unanswered, to 203.0.113.7 port 443",
        (7000,),
    ),
    "idle connections": Case(((2900, WEB), (100, QUERY)), "96.7 % of 3,000 entries: tcp ESTABLISHED, answered"),
    "a healthy mix": Case(
        ((900, WEB), (500, CLOSING), (500, QUERY), (60, ANSWERED_PING), (60, SYN), (60, NTP)),
        "nothing stands out; the largest share is",
    ),
    "scan": Case(
        ((3000, SCAN), (1000, WEB)), "75 % of 4,000 entries: tcp SYN_SENT, unanswered, from 198.51.100.66", (3000,)
    ),
    "NTP": Case(((3000, NTP), (1000, WEB)), "75 % of 4,000 entries: udp, unanswered, to 192.0.2.123 port 123", (2999,)),
    "ICMP": Case(((3000, PING), (1000, WEB)), "75 % of 4,000 entries: icmp, unanswered, from 198.51.100.9", (3000,)),
    "two storms": Case(
        ((1800, DNS), (1600, NTP), (600, WEB)),
        "45 % of 4,000 entries: udp, unanswered, to 192.0.2.54 port 53, from 1,796 sources in 10.0.0.0/14; "
        "40 %: udp, unanswered, to 192.0.2.123 port 123, from 1,593 sources in 10.0.0.0/14",
        (1800, 1600),
    ),
    "SYN flood to a server that answers": Case(
        ((3000, HALF_OPEN), (1000, WEB)), "75 % of 4,000 entries: tcp SYN_RECV, answered, to 203.0.113.7 port 443"
    ),
    "ICMP over IPv6": Case(
        ((3000, PING6), (1000, WEB)), "75 % of 4,000 entries: icmpv6, unanswered, from 2001:db8:9::9", (3000,)
    ),
    "a storm behind NAT": Case(
        ((3000, NAT_DNS), (1000, WEB)), "75 % of 4,000 entries: udp, unanswered, to 192.0.2.54 port 53", (2999,)
    ),
    "a storm as a part of unanswered packets": Case(
        ((1000, DNS), (1400, SCATTERED), (1600, WEB)),
        "60 % of 4,000 entries: udp, unanswered, to 1,389 destinations, from 2,390 sources in 10.0.0.0/14 "
        "(41.7 % of them to 192.0.2.54 port 53)",
        (2400,),
    ),
    "no cluster at all": Case(
        tuple((150, each) for each in (WEB, CLOSING, QUERY, ANSWERED_PING, SCATTERED, SYN_OF_MANY)),
        "nothing stands out; the largest share is",
    ),
    "a heavy client": Case(
        ((1600, CLIENT), (1200, WEB), (1200, QUERY)),
        "40 % of 4,000 entries: tcp ESTABLISHED, answered, from 10.7.7.7, to 203.0.113.20 port 6379",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_fills_a_table_is_told_and_can_be_freed(name: str, tmp_path: pathlib.Path) -> None:
    case = CASES[name]
    with network_namespace("fills") as netns:
        run(["sysctl", "-qw", "net.netfilter.nf_conntrack_acct=1"], netns=netns)
        made = [command for seed, part in enumerate(case.parts) for command in entries(*part, seed)]
        run(["conntrack", "-R", "-"], netns=netns, text="\n".join(made) + "\n")
        screen = screen_of(netns, tmp_path)
        assert first_line(screen).startswith(case.line)
        assert_frees(netns, screen, case.frees, tmp_path)


def test_of_an_almost_full_table_of_live_connections_nothing_is_to_be_pruned(tmp_path: pathlib.Path) -> None:
    with network_namespace("fills") as netns:
        run(["conntrack", "-R", "-"], netns=netns, text="\n".join(entries(1950, WEB)) + "\n")
        full = facts_of(netns, usage={"max": 2000, "percent": 97.5, "headroom": 50})
        screen = screen_of(netns, tmp_path, full)
        assert first_line(screen).startswith("100 % of 1,950 entries: tcp ESTABLISHED, answered")
        assert "Do not delete them, because they were answered and may be live." in screen
        assert "The table is 95 % full or more: r1 97.5 %" in screen
        assert_frees(netns, screen, (), tmp_path)
        assert "conntrack_prune" not in screen


def test_bare_acks_are_told_and_can_be_freed(tmp_path: pathlib.Path) -> None:
    with injected_router("fills") as through:
        for at in range(2000):
            source, destination = f"10.{at % 4}.{at >> 8}.{at & 255}", f"77.85.{at & 255}.{1 + (at >> 8)}"
            through.send(source, destination, TCP, tcp((1024 + at, 443), "A", 1, 1))
        screen = screen_of(through.netns, tmp_path)
        assert first_line(screen) == (
            "100 % of 2,000 entries: tcp ESTABLISHED, unanswered, a single packet, to port 443 of 2,000 destinations "
            "in 77.85.0.0/16, from 2,000 sources in 10.0.0.0/14"
        )
        assert_frees(through.netns, screen, (2000,), tmp_path)


def test_live_connections_whose_answers_take_another_way_are_not_to_be_pruned(tmp_path: pathlib.Path) -> None:
    with injected_router("fills") as through:
        for at in range(1000):
            for number in (1, 2):
                source, destination = f"10.{at % 4}.{at >> 8}.{at & 255}", f"77.85.{at & 255}.{1 + (at >> 8)}"
                through.send(source, destination, TCP, tcp((1024 + at, 443), "A", number, 1))
        screen = screen_of(through.netns, tmp_path)
        assert first_line(screen) == (
            "100 % of 1,000 entries: tcp ESTABLISHED, unanswered, to port 443 of 1,000 destinations in 77.85.0.0/16, "
            "from 1,000 sources in 10.0.0.0/14"
        )
        assert "asymmetric routing" in screen
        assert_frees(through.netns, screen, (), tmp_path)


def test_each_selector_counts_the_same_when_it_is_pasted() -> None:
    with network_namespace("fills") as netns:
        made = [*entries(3000, DNS), *entries(2000, SYN, 2), *entries(1000, WEB, 3), *entries(1000, CLIENT, 4)]
        run(["conntrack", "-R", "-"], netns=netns, text="\n".join(made) + "\n")
        clusters = facts_of(netns)["table"]["filled_by"]
        assert len(clusters) == 4
        for cluster in clusters:
            counted = run_module("conntrack_info", {"match": [cluster["match"]], "limit": 0}, netns=netns)
            assert counted.data["matched"] == cluster["entries"]


def screen_of(netns: str, directory: pathlib.Path, facts: dict[str, t.Any] | None = None) -> str:
    """Return what a terminal shows of the router at first, with commands that find it in an inventory."""
    screen = first_screen_or_say_why(document_of(netns, directory, facts))
    assert len(screen.splitlines()) <= 40
    return screen


def first_line(screen: str) -> str:
    """Return what the first screen says of the table of the router, in one line."""
    section = screen.split("What fills the tables\n---------------------\n\n")[1].split("\n\n")[0]
    [text] = re.findall(r"^r1 +(.*(?:\n +(?=[^A-Z\s]).*)*)", section, re.MULTILINE)
    return " ".join(text.split())


def assert_frees(netns: str, screen: str, frees: tuple[int, ...], home: pathlib.Path) -> None:
    """Give each prune of a screen to a shell as it is printed, first with --check, and assert that it frees so much."""
    printed = PRUNE.findall(screen)
    assert tuple(int(number.replace(",", "")) for number, _command in printed) == frees
    assert screen.count("conntrack_prune") == len(frees)
    for (_number, command), number in zip(printed, frees):
        before = count_of(netns)
        for more, done in ((" --check", 0), ("", number)):
            answer = answer_of(command.rstrip("\n") + more, netns, home)
            assert (answer["would_delete"], answer.get("deleted") or 0) == (number, done)
            assert before - count_of(netns) == done


def count_of(netns: str) -> int:
    return int(run(["conntrack", "-C"], netns=netns))

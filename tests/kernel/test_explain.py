# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What fills a table, on tables as routers have them: the right clusters, and each counted as conntrack(8) lists it."""

from __future__ import annotations

import dataclasses
import ipaddress
import itertools
import random
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.cluster_words import described_with_peers
from helpers.conntrack_xml import entries_of
from helpers.packet_injection import injected_router
from helpers.packets import tcp
from helpers.support import assert_refused, network_namespace, run, run_module

TCP = 6
Match = dict[str, t.Any]
Lines = list[str]
_ASSURED = "-u SEEN_REPLY,ASSURED"
_CHANCE = random.Random(15)


def address(network: str) -> str:
    """Return an address of a network by chance."""
    parsed = ipaddress.ip_network(network)
    return str(parsed[_CHANCE.randrange(1, parsed.num_addresses - 1)])


def lines(
    number: int, kind: str, source: str, destination: str, port: t.Callable[[], int] | int, more: str = ""
) -> Lines:
    """Return commands for conntrack -R: ``number`` entries between addresses of two networks."""
    return [
        f"-I -p {kind} -t 4000 -s {address(source) if '/' in source else source} --sport {1024 + at} "
        f"-d {address(destination) if '/' in destination else destination} "
        f"--dport {port() if callable(port) else port} {more}"
        for at in range(number)
    ]


def service() -> int:
    return _CHANCE.choice((443, 443, 443, 443, 80, 80, 22, 993, 8443, 5222))


def any_port() -> int:
    return _CHANCE.randrange(1, 60_000)


def web(number: int, source: str = "10.0.0.0/8", more: str = "") -> Lines:
    return lines(number, f"tcp --state ESTABLISHED {_ASSURED}", source, "203.0.0.0/16", service, more)


def dns_storm() -> Lines:
    clients = [address("10.0.0.0/8") for _number in range(1284)]
    storm = [
        f"-I -p udp -t 300 -s {clients[at % 1284]} --sport {1024 + at} -d 192.0.2.54 --dport 53" for at in range(4600)
    ]
    return storm + web(400)


def cgn() -> Lines:
    crowd = f"tcp --state ESTABLISHED {_ASSURED}"
    lines_of_crowd = lines(2000, crowd, "100.64.0.0/10", "203.0.113.20", 443, "--src-nat 192.0.2.1")
    others = [line for number in (2, 3, 4) for line in web(650, "100.64.0.0/10", f"--src-nat 192.0.2.{number}")]
    return lines_of_crowd + others


def healthy() -> Lines:
    return [
        *web(1800),
        *lines(900, f"tcp --state TIME_WAIT {_ASSURED}", "10.0.0.0/8", "203.0.0.0/16", service),
        *lines(900, "udp -u SEEN_REPLY", "10.0.0.0/8", "203.0.0.0/16", 53),
        *lines(300, f"udp {_ASSURED}", "10.0.0.0/8", "203.0.0.0/16", 443),
        *lines(100, "udp", "10.0.0.0/8", "203.0.0.0/16", 123),
        *lines(100, "tcp --state SYN_SENT", "10.0.0.0/8", "203.0.0.0/16", service),
    ]


def ipv6() -> Lines:
    return [
        *lines(1500, "udp", "2001:db8:1::/48", "2001:db8:53::53", 53),
        *lines(1500, "tcp --state SYN_SENT", "2001:db8:66::/48", "2a00::/16", any_port),
        *lines(400, "tcp --state SYN_SENT", "2001:db8:1::/48", "2a00::/16", service),
        *lines(600, f"tcp --state ESTABLISHED {_ASSURED}", "2001:db8:1::/48", "2a00::/16", service),
    ]


def vrfs() -> Lines:
    """Return the same networks in two VRFs. One has a storm."""
    storm = lines(2000, "udp", "10.0.0.0/8", "192.0.2.54", 53, "-w 20")
    return storm + web(1000, more="-w 10") + web(1000, more="-w 20")


def noise_with_a_speck() -> Lines:
    """Return 0.5 % with much in common among entries that share nothing but their protocols."""
    speck = lines(25, "udp", "198.51.100.66", "192.0.2.54", 53)
    kinds = (f"tcp --state ESTABLISHED {_ASSURED}", "tcp --state SYN_SENT", "udp", "udp -u SEEN_REPLY")
    noise = [line for kind in kinds for line in lines(1244, kind, "32.0.0.0/3", "64.0.0.0/2", any_port)]
    return speck + noise


@dataclasses.dataclass(frozen=True)
class Case:
    """How a table is made, which clusters it has, the first one first, and how that is said."""

    make: t.Callable[[], Lines]
    clusters: tuple[Match, ...]
    said: str = ""


DNS: Match = {"protocol": "udp", "replied": False, "destination": "192.0.2.54", "destination_port": 53}
SYN: Match = {"protocol": "tcp", "state": "SYN_SENT", "replied": False}
LIVE: Match = {"protocol": "tcp", "state": "ESTABLISHED", "replied": True}
CASES = {
    "DNS storm": Case(dns_storm, (DNS,), "udp, unanswered, to 192.0.2.54 port 53, from 1,284 sources in 10.0.0.0/8"),
    "SYN flood": Case(
        lambda: lines(3500, "tcp --state SYN_SENT", "32.0.0.0/3", "203.0.113.7", 443) + web(1500),
        ({**SYN, "destination": "203.0.113.7", "destination_port": 443}, LIVE),
        "tcp SYN_SENT, unanswered, to 203.0.113.7 port 443, from 3,500 sources",
    ),
    "scan": Case(
        lambda: lines(3000, "tcp --state SYN_SENT", "198.51.100.66", "10.9.0.0/16", any_port) + web(2000),
        ({**SYN, "source": "198.51.100.66"}, LIVE),
        "tcp SYN_SENT, unanswered, from 198.51.100.66, to ",
    ),
    "idle connections": Case(
        lambda: web(4750) + lines(250, "udp -u SEEN_REPLY", "10.0.0.0/8", "203.0.0.0/16", 53), (LIVE,)
    ),
    "CGN with few ports": Case(
        cgn,
        ({**LIVE, "destination": "203.0.113.20", "destination_port": 443, "reply_destination": "192.0.2.1"},),
        "tcp ESTABLISHED, answered, to 203.0.113.20 port 443, from ",
    ),
    "one greedy client": Case(
        lambda: (
            lines(2000, f"tcp --state TIME_WAIT {_ASSURED}", "10.7.7.7", "10.8.0.20", 6379)
            + web(1500)
            + lines(1500, "udp -u SEEN_REPLY", "10.0.0.0/8", "203.0.0.0/16", 53)
        ),
        (
            {
                **LIVE,
                "state": "TIME_WAIT",
                "source": "10.7.7.7",
                "destination": "10.8.0.20",
                "destination_port": 6379,
            },
        ),
        "tcp TIME_WAIT, answered, from 10.7.7.7, to 10.8.0.20 port 6379",
    ),
    "a healthy mix": Case(healthy, ()),
    "IPv6": Case(
        ipv6,
        (
            {"protocol": "udp", "replied": False, "destination": "2001:db8:53::53", "destination_port": 53},
            SYN,
            {**SYN, "source": "2001:db8:66::/48"},
        ),
        "udp, unanswered, to 2001:db8:53::53 port 53, from 1,500 sources in 2001:db8:1::/48",
    ),
    "VRFs": Case(
        vrfs,
        ({**DNS, "zone": 20}, LIVE),
        "udp, unanswered, zone 20, to 192.0.2.54 port 53, from 2,000 sources in 10.0.0.0/8",
    ),
    "a cluster of 0.5 % in noise": Case(noise_with_a_speck, ()),
}


@pytest.mark.parametrize("name", CASES)
def test_the_clusters_of_a_table(name: str) -> None:
    case = CASES[name]
    with network_namespace("explain") as netns:
        run(["conntrack", "-R", "-"], netns=netns, text="\n".join(case.make()) + "\n")
        table = explained(netns)
        found = table["filled_by"]
        matches = [cluster["match"] for cluster in found]
        assert matches[:1] == list(case.clusters[:1]) or not case.clusters
        assert all(match in matches for match in case.clusters)
        assert_counted(table, netns)
        if case.said:
            assert described_with_peers(found[0]).startswith(case.said)


def test_bare_acks_of_the_founding_story() -> None:
    with injected_router("explain") as through:
        for at in range(3600):
            source, destination = f"10.{at % 4}.{at >> 8}.{at & 255}", f"77.85.{at & 255}.{1 + (at >> 8)}"
            through.send(source, destination, TCP, tcp((1024 + at, 443 + at % 50), "A", 1, 1))
        run(["conntrack", "-R", "-"], netns=through.netns, text="\n".join(web(400)) + "\n")
        table = explained(through.netns)
        first = table["filled_by"][0]
        assert first["match"] == {
            "protocol": "tcp",
            "state": "ESTABLISHED",
            "replied": False,
            "packets_original": {"min": 1, "max": 1},
        }
        assert (first["entries"], first["percent"], first["destination_network"]) == (3600, 90.0, "77.85.0.0/16")
        assert_counted(table, through.netns)


def test_a_healthy_table_is_told_by_protocol_and_service() -> None:
    with network_namespace("explain") as netns:
        run(["conntrack", "-R", "-"], netns=netns, text="\n".join(healthy()) + "\n")
        for cluster in explained(netns)["filled_by"]:
            assert set(cluster["match"]) <= {"protocol", "state", "replied", "destination_port"}


def test_as_many_clusters_are_found_as_are_asked_for() -> None:
    storms = [lines(400, "udp", "10.0.0.0/8", f"192.0.2.{number}", 53) for number in range(1, 11)]
    with network_namespace("explain") as netns:
        run(["conntrack", "-R", "-"], netns=netns, text="\n".join(itertools.chain.from_iterable(storms)) + "\n")
        for asked in (1, 2, 10):
            table = explained(netns, asked)
            assert len(table["filled_by"]) <= asked
            assert_counted(table, netns, is_enough=asked == 10)
        none = facts(netns, explain=0)["table"]
        assert none["entries"] == 4000
        assert not {"filled_by", "explained_percent"} & set(none)


def test_the_option_is_about_the_table_and_has_bounds() -> None:
    with network_namespace("explain") as netns:
        assert set(facts(netns, explain=3)) == {"usage", "table"}
        assert facts(netns, explain=3)["table"]["filled_by"] == []
        for wrong in (-1, 11):
            result = run_module("conntrack_facts", {"explain": wrong}, netns=netns)
            assert_refused(result, "explain", str(wrong), "Give 1 to 10")


def facts(netns: str, **options: t.Any) -> dict[str, t.Any]:
    result = run_module("conntrack_facts", options, netns=netns)
    assert not result.failed, result.msg
    found: dict[str, t.Any] = result.data["ansible_facts"]["conntrack"]
    return found


def explained(netns: str, most: int = 5) -> dict[str, t.Any]:
    table: dict[str, t.Any] = facts(netns, explain=most)["table"]
    assert len(table["filled_by"]) <= most
    return table


def assert_counted(table: dict[str, t.Any], netns: str, *, is_enough: bool = True) -> None:
    """Assert that each number is the one of conntrack(8), and that the clusters hold enough of what they can hold."""
    listed = [entry for family in ("ipv4", "ipv6") for entry in listed_entries(netns, family)]
    assert len(listed) == table["entries"]
    explained_rows = set()
    for cluster in table["filled_by"]:
        rows = [row for row, entry in enumerate(listed) if is_in(entry, cluster["match"])]
        members = [listed[row] for row in rows]
        explained_rows.update(rows)
        assert cluster["entries"] == len(members) >= 0.05 * len(listed)
        assert cluster["percent"] == round(100 * len(members) / len(listed), 2)
        for peer in ("source", "destination"):
            assert_peers(cluster, peer, {entry[peer] for entry in members})
    assert table["explained_percent"] == round(100 * len(explained_rows) / len(listed), 2)
    if is_enough:
        assert len(explained_rows) >= 0.9 * explainable(listed)


def assert_peers(cluster: dict[str, t.Any], peer: str, addresses: set[str]) -> None:
    assert cluster[f"{peer}s"] == min(len(addresses), 4096)
    assert cluster[f"more_{peer}s"] == (len(addresses) > 4096)
    assert cluster[f"{peer}_network"] == smallest_network({ipaddress.ip_address(each) for each in addresses})


def smallest_network(addresses: set[ipaddress.IPv4Address | ipaddress.IPv6Address]) -> str | None:
    """Return the smallest network with all of the addresses, by trying one length after the other."""
    [first, *_others] = addresses
    lengths = (128, 64, 56, 48, 32) if first.version == 6 else range(32, 7, -1)
    for length in lengths:
        network = ipaddress.ip_network(f"{first}/{length}", strict=False)
        if all(each in network for each in addresses):
            return str(network).removesuffix(f"/{network.max_prefixlen}")
    return None


def explainable(listed: list[dict[str, t.Any]]) -> int:
    """Return how many entries have a protocol and an answer, or none, that a twentieth of the table has."""
    kinds = [(entry["protocol_number"], entry["replied"]) for entry in listed]
    return sum(kinds.count(kind) for kind in set(kinds) if kinds.count(kind) >= 0.05 * len(listed))


def listed_entries(netns: str, family: str) -> list[dict[str, t.Any]]:
    text = run(["conntrack", "-L", "-f", family, "-o", "xml"], netns=netns)
    return entries_of(text) if text.strip() else []


_NUMBERS = {"tcp": 6, "udp": 17, "icmp": 1}


def is_in(entry: dict[str, t.Any], match: Match) -> bool:
    """Return whether a listed entry has all that a cluster's selector says. It is written for these tables only."""
    for key, wanted in match.items():
        if key == "protocol":
            holds = entry["protocol_number"] == _NUMBERS[wanted]
        elif key == "packets_original":
            holds = entry[key] == 1
        elif isinstance(wanted, str) and "/" in wanted:
            holds = ipaddress.ip_address(entry[key]) in ipaddress.ip_network(wanted)
        else:
            holds = entry[key] == wanted
        if not holds:
            return False
    return True

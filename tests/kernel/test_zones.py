# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Zones of one direction and of both, made by rules and real packets through a router with NAT; conntrack(8) judges."""

from __future__ import annotations

import collections
import csv
import json
import pathlib
import re
import typing as t

import pytest
from helpers.support import network_namespace, run, run_module, wait_until

# By destination port: which zone a packet gets. Ports from 5300 on are translated.
RULES = """
table inet zones {
  chain prerouting {
    type filter hook prerouting priority raw;
    udp dport { 101, 102, 5301 } ct original zone set 110
    udp dport { 103, 5303 } ct reply zone set 110
    udp dport 104 ct reply zone set 120
    udp dport { 105, 5305 } ct zone set 110
    udp dport 106 ct zone set 130
  }
}
table ip nat {
  chain prerouting {
    type nat hook prerouting priority dstnat;
    udp dport 5300-5399 dnat to 203.0.113.2
  }
  chain postrouting {
    type nat hook postrouting priority srcnat;
    udp dport 5300-5399 masquerade
  }
}
"""
SILENT = "table inet silent { chain input { type filter hook input priority 0; meta l4proto udp drop; }; }"
PORTS = (100, 101, 102, 103, 104, 105, 106, 5300, 5301, 5303, 5305)
ORIGINAL = {"110": {101, 102, 5301}}
REPLY = {"110": {103, 5303}, "120": {104}}
BOTH = {"110": {105, 5305}, "130": {106}}
NO_ZONE = {100, 5300}
SEND = """
import socket, sys
for family, address in ((socket.AF_INET, "203.0.113.2"), (socket.AF_INET6, "2001:db8:2::2")):
    sender = socket.socket(family, socket.SOCK_DGRAM)
    for port in map(int, sys.argv[1:]):
        sender.sendto(b"question", (address, port))
"""
FAMILIES = 2


def link(one: str, other: str, number: int) -> None:
    """Put a pair of interfaces between two namespaces, of which the second one has the first addresses."""
    name = f"z{number}"
    run(["ip", "link", "add", name, "netns", one, "type", "veth", "peer", "name", name, "netns", other])
    four, six = ("198.51.100", "2001:db8:1:") if number == 1 else ("203.0.113", "2001:db8:2:")
    for netns, host in ((one, 2), (other, 1)):
        run(["ip", "addr", "add", f"{four}.{host}/24", "dev", name], netns=netns)
        run(["ip", "addr", "add", f"{six}:{host}/64", "dev", name, "nodad"], netns=netns)
        run(["ip", "link", "set", name, "up"], netns=netns)
    run(["ip", "route", "add", "default", "via", f"{four}.1"], netns=one)
    run(["ip", "-6", "route", "add", "default", "via", f"{six}:1"], netns=one)


class Router(t.NamedTuple):
    """The namespace of the router, and that of its client."""

    netns: str
    client: str

    def send(self) -> None:
        """Let the client send a packet to each port, over both families, into an empty table."""
        run(["conntrack", "-F"], netns=self.netns)
        run(["python3", "-c", SEND, *map(str, PORTS)], netns=self.client)
        wait_until(lambda: len(self.listed()) >= FAMILIES * len(PORTS), self.listed)

    def listed(self, *selected: str) -> list[str]:
        return run(["conntrack", "-L", "-o", "id", *selected], netns=self.netns).splitlines()


@pytest.fixture(scope="module")
def built() -> t.Iterator[Router]:
    with network_namespace("zr") as netns, network_namespace("zc") as client, network_namespace("zs") as server:
        link(client, netns, 1)
        link(server, netns, 2)
        run(["sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"], netns=netns)
        run(["nft", "-f", "-"], netns=netns, text=RULES)
        # The server answers nothing, not even that the port is closed.
        run(["nft", "-f", "-"], netns=server, text=SILENT)
        yield Router(netns, client)


@pytest.fixture
def router(built: Router) -> Router:
    built.send()
    return built


def ids(lines: t.Iterable[str]) -> set[int]:
    return {int(re.findall(r"id=(\d+)", line)[0]) for line in lines}


def info(router: Router, **args: t.Any) -> dict[str, t.Any]:
    result = run_module("conntrack_info", {"netns": router.netns, "entries": True, "limit": 1000, **args})
    assert not result.failed, result.msg
    return result.data


def table(router: Router) -> dict[str, t.Any]:
    selectors = {zone: {"match": [{"zone": int(zone)}]} for zone in ("0", "110", "120", "130", "140")}
    args = {"netns": router.netns, "gather_subset": ["table", "selectors"], "selectors": selectors, "top": 10}
    gathered: dict[str, t.Any] = run_module("conntrack_facts", args).data["ansible_facts"]["conntrack"]
    return gathered


def expected(*kinds: dict[str, set[int]]) -> dict[str, int]:
    """Return the number of entries by zone, of each port and family."""
    counts: collections.Counter[str] = collections.Counter()
    for kind in kinds:
        counts.update({zone: FAMILIES * len(ports) for zone, ports in kind.items()})
    return dict(counts)


def test_facts_count_what_the_selector_selects(router: Router) -> None:
    gathered = table(router)
    counted = gathered["table"]
    assert counted["zones"] == expected(ORIGINAL, REPLY, BOTH, {"0": NO_ZONE})
    assert counted["zones_original"] == expected(ORIGINAL)
    assert counted["zones_reply"] == expected(REPLY)
    assert (counted["zones_distinct"], counted["zones_original_distinct"], counted["zones_reply_distinct"]) == (4, 1, 2)
    selected = {zone: selector["entries"] for zone, selector in gathered["selectors"].items()}
    assert selected == {**counted["zones"], "140": 0}


@pytest.mark.parametrize("zone", [110, 120, 130])
def test_the_selector_selects_what_the_tool_lists(router: Router, zone: int) -> None:
    by_option = {
        field: ids(router.listed(option, str(zone)))
        for field, option in (("zone_original", "--orig-zone"), ("zone_reply", "--reply-zone"), ("zone", "--zone"))
    }
    entries = info(router, match=[{"zone": zone}])["entries"]
    assert {entry["id"] for entry in entries} == set().union(*by_option.values())
    assert {entry["zone"] for entry in entries} == {zone}
    for field in ("zone_original", "zone_reply"):
        assert {entry["id"] for entry in entries if entry[field] == zone} == by_option[field]
        assert {entry[field] for entry in entries} <= {zone, None}


def test_groups_sorting_and_lines(router: Router) -> None:
    groups = info(router, group_by=["zone"])["groups"]
    assert {str(group["zone"]): group["entries"] for group in groups} == table(router)["table"]["zones"]
    fields = ["zone", "zone_original", "zone_reply"]
    groups = info(router, group_by=fields)["groups"]
    assert {tuple(group[field] for field in fields): group["entries"] for group in groups} == {
        (0, None, None): 4,
        (110, None, None): 4,
        (130, None, None): 2,
        (110, 110, None): 6,
        (110, None, 110): 4,
        (120, None, 120): 2,
    }
    result = info(router, sort_by=["-zone", "zone_reply", "family"], lines=True, entries=True)
    found = [(entry["zone"], entry["zone_reply"]) for entry in result["entries"]]
    assert found[:6] == [(130, None)] * 2 + [(120, 120)] * 2 + [(110, 110)] * 2
    words = [re.findall(r"zone(?:-orig|-reply)?=\d+", line) for line in result["lines"]]
    assert words[:6] == [["zone=130"]] * 2 + [["zone-reply=120"]] * 2 + [["zone-reply=110"]] * 2
    assert [line for line in result["lines"] if "zone-orig=110 [UNREPLIED]" in line]


@pytest.mark.parametrize("form", ["csv", "ndjson", "extended"])
def test_files_show_them(router: Router, form: str, tmp_path: pathlib.Path) -> None:
    dest = tmp_path / "table"
    info(router, dest=str(dest), format=form)
    text = dest.read_text()
    if form == "extended":
        found = collections.Counter(re.findall(r"(zone(?:-orig|-reply)?=110)", text))
        assert found == {"zone-orig=110": 6, "zone-reply=110": 4, "zone=110": 4}
        return
    rows = list(csv.DictReader(text.splitlines())) if form == "csv" else list(map(json.loads, text.splitlines()))
    of_one = [(row["zone_original"], row["zone_reply"]) for row in rows if str(row["zone"]) == "110"]
    counts = collections.Counter(tuple(str(zone or "") for zone in pair) for pair in of_one)
    assert counts == {("110", ""): 6, ("", "110"): 4, ("", ""): 4}


@pytest.mark.parametrize("zone", [110, 120, 130, 0])
def test_prune_deletes_exactly_those(router: Router, zone: int) -> None:
    before = router.listed()
    wanted = {entry["id"] for entry in info(router, match=[{"zone": zone}])["entries"]}
    result = run_module("conntrack_prune", {"netns": router.netns, "match": [{"zone": zone}]}).data
    assert (result["deleted"], result["already_gone"]) == (len(wanted), 0)
    assert ids(router.listed()) == ids(before) - wanted != set()


def same_tuple(*zones: str) -> str:
    ends = "-p udp -s 198.18.0.1 -d 203.0.113.9 --sport 9 --dport 9 -t 600"
    return "".join(f"-I {ends} {zone}\n" for zone in zones)


@pytest.mark.parametrize("victim", [0, 1, 2])
def test_the_same_tuple_in_another_kind_of_zone_stays(built: Router, victim: int) -> None:
    """Three entries with the same addresses and ports, of which one is to go."""
    run(["conntrack", "-F"], netns=built.netns)
    run(["conntrack", "-R", "-"], netns=built.netns, text=same_tuple("--orig-zone 5", "--zone 6", "--reply-zone 7"))
    words = ["zone-orig=5", "zone=6", "zone-reply=7"]
    assert len(built.listed()) == len(words)
    result = run_module("conntrack_prune", {"netns": built.netns, "match": [{"zone": 5 + victim}]}).data
    assert result["deleted"] == 1
    left = " ".join(built.listed())
    assert [word in left for word in words] == [number != victim for number in range(3)]

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a router lives by stays, whatever is selected. The packets are real, and conntrack(8) is the judge."""

from __future__ import annotations

import collections
import pathlib
import re
import time
import typing as t

import pytest
from helpers.expecting import Request, expecting, send
from helpers.packet_injection import Router, injected_router
from helpers.packets import echo, plain, tcp, udp
from helpers.pairs import pair
from helpers.support import ModuleResult, assert_refused, run, run_module, wait_until

TCP, UDP, ICMP, ICMPV6 = 6, 17, 1, 58
FAMILIES = ("ipv4", "ipv6")
EVERYTHING = "family=ipv4,ipv6"
HOSTS = {4: ("198.51.100.2", "203.0.113.9"), 6: ("2001:db8:51::2", "2001:db8:7::9")}
PROTECTED_HOST = {4: "203.0.113.77", 6: "2001:db8:7::77"}
PROTECT = ["203.0.113.64/26", "2001:db8:7::77"]

TRANSLATION = """
table inet nat {
  chain prerouting {
    type nat hook prerouting priority dstnat
    tcp dport 1179 redirect to :179
    udp dport 1500 redirect to :4500
  }
}
"""

Packet = tuple[int, bytes]


def _tcp(*ports: int) -> Packet:
    # A bare ACK is picked up in mid-connection, from either side.
    return TCP, tcp((ports[0], ports[1]), "A", 1, 1)


def _udp(*ports: int) -> Packet:
    return UDP, udp((ports[0], ports[1]))


def packets_of(family: int) -> dict[str, list[Packet]]:
    """Return packets by the name of what protects their entries, "" for those that nothing protects."""
    packets = {
        "bgp": [_tcp(40000, 179), _tcp(179, 40001), _tcp(40002, 1179)],
        "ike": [_udp(500, 500), _udp(500, 40003), _udp(40004, 4500), _udp(4500, 40005), _udp(40006, 1500)],
        "conntrackd": [_udp(40007, 3780), _udp(3780, 40008)],
        "esp": [(50, plain())],
        "ah": [(51, plain())],
        "ospf": [(89, plain())],
        "vrrp": [(112, plain())],
        "": [
            *(_tcp(41000, port) for port in (22, 80, 178, 180, 500, 3780)),
            *(_udp(41001, port) for port in (53, 179, 499, 501, 4499, 4501, 3779)),
            (253, plain()),
            (ICMP if family == 4 else ICMPV6, echo(2 if family == 4 else 10, 7)),
        ],
    }
    if family == 6:
        # The kernel steps over the header of AH, so that the entry is of the protocol inside.
        del packets["ah"]
    return packets


class Filled(t.NamedTuple):
    """A router with entries of both families, and how many are there by the name of what protects them."""

    router: Router
    counts: dict[str, int]

    def prune(self, match: t.Any = EVERYTHING, **options: t.Any) -> ModuleResult:
        check = options.pop("check", False)
        args = {"match": match, "protect": PROTECT, **options}
        return run_module("conntrack_prune", args, netns=self.router.netns, check=check)

    def table(self, *options: str) -> collections.Counter[str]:
        """Return how many entries conntrack(8) lists by what protects them.

        A listing can lack entries and have others twice while somebody changes the size of the table. So there are
        several.
        """
        lines: dict[str, str] = {}
        for family in 3 * FAMILIES:
            listed = run(["conntrack", "-L", "-f", family, "-o", "id", *options], netns=self.router.netns)
            lines.update((line.rpartition(" id=")[2], line) for line in listed.splitlines())
        return collections.Counter(map(name_of, lines.values()))


def name_of(line: str) -> str:
    """Return what protects the entry that is listed in this line."""
    if any(f" dst={host} " in line for host in PROTECTED_HOST.values()):
        return "address"
    number = int(line.split()[1])
    ports = set(map(int, re.findall(r"[sd]port=(\d+)", line)))
    by_number = {50: "esp", 51: "ah", 89: "ospf", 112: "vrrp"}
    names = [
        by_number.get(number, ""),
        "bgp" if number == TCP and 179 in ports else "",
        "ike" if number == UDP and ports & {500, 4500} else "",
        "conntrackd" if number == UDP and 3780 in ports else "",
    ]
    return "".join(names)


@pytest.fixture
def filled() -> t.Iterator[Filled]:
    with injected_router("protect") as router:
        run(["nft", "-f", "-"], netns=router.netns, text=TRANSLATION)
        # Nothing ends by itself while a slow machine looks.
        router.set(udp_timeout=600, icmp_timeout=600, icmpv6_timeout=600)
        counts: collections.Counter[str] = collections.Counter()
        for family, (source, destination) in HOSTS.items():
            for name, packets in packets_of(family).items():
                for protocol, payload in packets:
                    router.send(source, destination, protocol, payload)
                counts[name] += len(packets)
            router.send(source, PROTECTED_HOST[family], *_udp(42000, 53))
            router.send(source, PROTECTED_HOST[family], *_tcp(42000, 443))
            counts["address"] += 2
        made = Filled(router, dict(counts))
        wait_until(lambda: made.table() == counts, lambda: (made.table(), counts))
        yield made


def kept(result: ModuleResult) -> dict[str, int]:
    for each in result.data["kept"]:
        assert each["option"] == f"unprotect: [{each['reason']}]"
    return {each["reason"]: each["entries"] for each in result.data["kept"]}


@pytest.mark.parametrize(
    "options",
    [{}, {"max_delete": "95%"}, {"confirm_idle": "1s"}, {"backup": True}],
    ids=["at once", "with a limit", "with a second look", "with a backup"],
)
def test_what_a_router_lives_by_stays(filled: Filled, options: dict[str, t.Any], tmp_path: pathlib.Path) -> None:
    backup = {"backup_dir": str(tmp_path)} if "backup" in options else {}
    result = filled.prune(**options, **backup)
    protected = {name: count for name, count in filled.counts.items() if name}
    assert kept(result) == protected
    assert result.data["protected"] == sum(protected.values())
    assert result.data["deleted"] == filled.counts[""]
    assert filled.table() == protected


@pytest.mark.parametrize("name", ["bgp", "ike", "conntrackd", "esp", "ah", "ospf", "vrrp", "address"])
def test_each_protection_is_turned_off_by_its_name(filled: Filled, name: str) -> None:
    result = filled.prune(unprotect=[name])
    protected = {each: count for each, count in filled.counts.items() if each not in ("", name)}
    assert kept(result) == protected
    assert result.data["deleted"] == filled.counts[""] + filled.counts[name]
    assert filled.table() == protected


def test_check_mode_foretells_the_counts(filled: Filled) -> None:
    foretold = filled.prune(check=True)
    done = filled.prune()
    assert foretold.data["would_delete"] == done.data["deleted"] == filled.counts[""]
    assert kept(foretold) == kept(done)


def test_who_selects_nothing_else_is_told_how_to_delete_it(filled: Filled) -> None:
    """A selection that the kernel filters itself is guarded as well."""
    match = {"protocol": "udp", "source": HOSTS[4][0], "source_port": 500}
    result = filled.prune([match])
    assert (result.data["matched"], result.data["deleted"], kept(result)) == (2, 0, {"ike": 2})
    [warning] = result.data["warnings"]
    assert "2 by ike" in str(warning)
    assert "unprotect: [ike]" in str(warning)
    result = filled.prune([match], unprotect=["ike"])
    assert (result.data["deleted"], result.data["kept"], result.data.get("warnings")) == (2, [], None)


def test_an_update_does_not_shorten_what_a_router_lives_by(filled: Filled) -> None:
    def update(**options: t.Any) -> ModuleResult:
        args = {"match": EVERYTHING, "protect": PROTECT, **options}
        return run_module("conntrack_update", args, netns=filled.router.netns)

    result = update(timeout={"max": 2}, mark="7")
    protected = {name: count for name, count in filled.counts.items() if name}
    assert result.data["protected_by"] == protected
    assert result.data["protected"] == sum(protected.values())
    # A mark ends no connection.
    assert result.data["updated"] == sum(filled.counts.values())
    time.sleep(3.5)
    assert filled.table() == protected
    assert filled.table("-m", "7") == protected
    result = update(timeout={"max": 1}, unprotect=["bgp", "esp"])
    assert result.data["updated"] == filled.counts["bgp"] + filled.counts["esp"]
    time.sleep(2.5)
    assert filled.table() == {name: count for name, count in protected.items() if name not in ("bgp", "esp")}


def test_a_connection_because_of_which_another_is_expected_stays() -> None:
    """A rule expects it, without a helper. The kernel forgets it with the entry of its master."""
    with expecting() as netns:
        send(netns, Request(port=7777, source_port=45000), Request(port=7778, source_port=45001))

        def prune(*unprotect: str) -> ModuleResult:
            return run_module("conntrack_prune", {"match": "protocol=udp", "unprotect": [*unprotect]}, netns=netns)

        result = prune()
        assert (result.data["deleted"], kept(result)) == (1, {"expectation": 1})
        assert "dport=9999" in run(["conntrack", "-L", "expect"], netns=netns)
        result = prune("expectation")
        assert (result.data["deleted"], result.data["kept"]) == (1, [])
        assert run(["conntrack", "-L", "expect"], netns=netns) == ""


def test_a_helper_is_turned_off_by_name_as_well() -> None:
    with expecting() as netns:
        send(netns, Request())

        def changed(module: str, **options: t.Any) -> ModuleResult:
            return run_module(module, {"match": "protocol=udp", **options}, netns=netns)

        result = changed("conntrack_update", timeout={"max": 60})
        assert (result.data["updated"], result.data["protected_by"]) == (0, {"helper": 1})
        result = changed("conntrack_update", timeout={"max": 60}, unprotect=["helper"])
        assert (result.data["updated"], result.data["protected_by"]) == (1, {})
        assert changed("conntrack_prune").data["deleted"] == 0
        assert changed("conntrack_prune", unprotect=["helper"]).data["deleted"] == 1


@pytest.mark.parametrize("port", [3999, 3780])
def test_the_port_of_the_conntrackd_that_runs(tmp_path: pathlib.Path, port: int) -> None:
    with pair(tmp_path, port=port) as both:
        netns = both.first.netns
        wait_until(lambda: f"dport={port}" in run(["conntrack", "-L", "-p", "udp"], netns=netns))
        synced = f"-p udp -s 198.18.0.{{}} -d 203.0.113.1 --sport 40000 --dport {port} -t 1000"
        run(["conntrack", "-R", "-"], netns=netns, text="".join(f"-I {synced.format(one)}\n" for one in range(1, 201)))
        told = run_module("conntrack_info", {"match": "protocol=udp", "explain": 1}, netns=netns)
        assert [group["prunable"] for group in told.data["filled_by"]] == [0]
        gathered = run_module("conntrack_facts", {"gather_subset": ["table"], "explain": 1}, netns=netns)
        found = gathered.data["ansible_facts"]["conntrack"]["table"]["filled_by"]
        assert [group["prunable"] for group in found] == [0]
        result = run_module("conntrack_prune", {"match": "protocol=udp"}, netns=netns)
        assert list(kept(result)) == ["conntrackd"]
        assert f"dport={port}" in run(["conntrack", "-L", "-p", "udp"], netns=netns)
        result = run_module("conntrack_prune", {"match": "protocol=udp", "unprotect": ["conntrackd"]}, netns=netns)
        assert result.data["deleted"] >= 1
        assert result.data["kept"] == []


def test_a_configuration_of_conntrackd_that_cannot_be_read(tmp_path: pathlib.Path) -> None:
    with pair(tmp_path, port=3999) as both:
        netns = both.first.netns
        pathlib.Path(f"{both.first.path}.conf").rename(f"{both.first.path}.gone")
        lines = "".join(
            f"-I -p udp -s 198.18.0.{one} -d 203.0.113.1 --sport 4 --dport 53 -t 1000\n" for one in range(1, 201)
        )
        run(["conntrack", "-R", "-"], netns=netns, text=lines)
        told = run_module("conntrack_info", {"match": "protocol=udp", "explain": 1}, netns=netns)
        assert [group["prunable"] for group in told.data["filled_by"]] == [None]
        args = {"match": "protocol=udp", "protect_pair": False}
        result = run_module("conntrack_prune", args, netns=netns)
        assert_refused(result, "conntrackd runs as process", "cannot be read", "unprotect: [conntrackd]")
        assert not run_module("conntrack_prune", {**args, "unprotect": ["conntrackd"]}, netns=netns).failed


@pytest.mark.parametrize("module", ["conntrack_prune", "conntrack_update"])
def test_a_bad_address_or_name_is_refused(module: str, filled: Filled) -> None:
    args = {"match": EVERYTHING, **({"timeout": {"max": 1}} if module == "conntrack_update" else {})}
    for options, words in (
        ({"protect": ["203.0.113.300"]}, ("protect", "203.0.113.300")),
        ({"unprotect": ["bpg"]}, ("unprotect", "bpg", "bgp")),
    ):
        result = run_module(module, {**args, **options}, netns=filled.router.netns)
        assert_refused(result, *words)
    assert filled.table() == filled.counts

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Selectors as people write them, on real entries; conntrack(8) is the judge of what they select."""

from __future__ import annotations

import ipaddress
import pathlib
import re
import socket
import sys
import typing as t

import pytest
from helpers.kernel_entries import ACCOUNTING, LASTING, fill, shown
from helpers.support import ModuleResult, assert_refused, network_namespace, run, run_ansible, run_module

CLOSING = ("FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE")
HANDSHAKES = 7
ENTRIES = 40


@pytest.fixture(scope="module")
def kinds() -> t.Iterator[str]:
    """A namespace with entries of every kind, which nothing changes."""
    with network_namespace("language") as netns:
        run(["sysctl", "-qw", *ACCOUNTING, *LASTING], netns=netns)
        fill(netns)
        run(["conntrack", "-I", *["-p", "50", "-s", "198.18.0.1", "-d", "198.18.0.2", "-t", "1000"]], netns=netns)
        yield netns


def selected(netns: str, match: t.Any, **options: t.Any) -> set[int]:
    """Return the ids of the entries that the module selects."""
    result = run_module("conntrack_info", {"match": match, "entries": True, "limit": 1000, **options}, netns=netns)
    assert not result.failed, result.msg
    assert result.data["matched"] == len(result.data["entries"])
    return {entry["id"] for entry in result.data["entries"]}


def listed(netns: str, *options: str) -> set[int]:
    """Return the ids of the entries that the tool lists with any of the options."""
    texts = [shown(netns, "extended,id", *words.split()) for words in options]
    return {int(line.rpartition(" id=")[2].split()[0]) for text in texts for line in text.splitlines()}


@pytest.mark.parametrize(
    ("match", "options"),
    [
        ("protocol=tcp", ["-p tcp"]),
        ("protocol=esp", ["-p 50"]),
        ({"protocol": "ipv6-icmp"}, ["-p icmpv6"]),
        ("protocol=icmp,gre", ["-p icmp", "-p gre"]),
        ("source_key=1 destination_key=0x2ab", ["-p gre --srckey 1 --dstkey 0x2ab"]),
        ("reply_source_key=0x2ab", ["-p gre --reply-key-src 0x2ab"]),
        ("reply_destination_key=1", ["-p gre --reply-key-dst 1"]),
        ("icmp_type=13", ["-p icmp --icmp-type 13"]),
        ({"protocol": "icmp", "reply_icmp_id": 77}, ["-p icmp --icmp-id 77"]),
        ("zone_original=7", ["--orig-zone 7"]),
        ("zone_reply=8", ["--reply-zone 8"]),
        ("zone=7,8", ["--orig-zone 7", "--reply-zone 8"]),
        ({"protocol": "tcp", "destination_port": "2,3"}, ["-p tcp --dport 2", "-p tcp --dport 3"]),
        ('protocol=udp source_port="0:5"', ["-p udp --sport 1"]),
        ({"source": "::ffff:198.18.0.1"}, ["-s 198.18.0.1"]),
        ("source=::ffff:198.18.0.0/111", ["-s 198.18.0.0/15"]),
        ("protocol=udp nat=snat", ["-p udp --src-nat"]),
        ("mark=0x10", ["-m 16"]),
        (
            ["protocol=tcp state=SYN_SENT", {"protocol": "udp", "nat": "dnat"}],
            ["-p tcp --state SYN_SENT", "-p udp --dst-nat"],
        ),
    ],
)
def test_what_a_selector_selects(kinds: str, match: t.Any, options: list[str]) -> None:
    expected = listed(kinds, *options)
    assert selected(kinds, match) == expected != set()


@pytest.mark.parametrize(("key", "ends"), [("source_list", 1), ("address_list", 4)])
def test_what_is_in_a_file_of_addresses(kinds: str, tmp_path: pathlib.Path, key: str, ends: int) -> None:
    networks = [ipaddress.ip_network(text) for text in ("198.18.0.0/31", "203.0.113.7", "2001:db8::/127")]
    file = tmp_path / "list.txt"
    others = (f"10.{number >> 16}.{number >> 8 & 0xFF}.{number & 0xFF} # another" for number in range(0, 200_000, 2))
    file.write_text("\n".join([*map(str, networks), *others]), encoding="utf-8")

    def is_in(line: str) -> bool:
        addresses = [ipaddress.ip_address(text) for text in re.findall(r" (?:src|dst)=(\S+)", line)[:ends]]
        return any(address in network for address in addresses for network in networks)

    lines = shown(kinds, "extended,id").splitlines()
    expected = {int(line.rpartition(" id=")[2].split()[0]) for line in lines if is_in(line)}
    assert selected(kinds, f"{key}={file}") == expected
    assert 0 < len(expected) < len(lines)
    options = {"gather_subset": ["selectors"], "selectors": {"blocked": {"match": {key: str(file)}}}}
    facts = run_module("conntrack_facts", options, netns=kinds)
    assert facts.data["ansible_facts"]["conntrack"]["selectors"]["blocked"]["entries"] == len(expected)
    file.write_text("198.18.0.1\n198.18.0.256\n", encoding="utf-8")
    refused = run_module("conntrack_prune", {"match": {key: str(file)}}, netns=kinds)
    assert refused.failed
    assert "no address or network: '198.18.0.256' in line 2" in refused.msg


def test_an_entry_by_its_id(kinds: str) -> None:
    every = listed(kinds, "")
    one = sorted(every)[len(every) // 2]
    assert selected(kinds, f"id={one}") == {one}
    assert selected(kinds, {"family": ["ipv4", "ipv6"]}, exclude=f"id={one}") == every - {one}


def test_all_but_some(kinds: str) -> None:
    assert selected(kinds, "family=ipv4,ipv6", exclude={"protocol": "tcp"}) == listed(kinds, "") - listed(
        kinds, "-p tcp"
    )


@pytest.fixture
def netns() -> t.Iterator[str]:
    with network_namespace("words") as name:
        run(["sysctl", "-qw", "net.netfilter.nf_conntrack_acct=1"], netns=name)
        yield name


@pytest.fixture
def healthy(netns: str) -> str:
    """A namespace with some half-open connections beside many established ones."""
    ends = "-s 198.18.0.1 -d 203.0.113.1 --dport 443"
    entries = [f"-p tcp {ends} --sport {port} --state ESTABLISHED -u SEEN_REPLY,ASSURED" for port in range(ENTRIES)]
    entries += [f"-p tcp {ends} --sport {port} --state SYN_SENT" for port in range(1000, 1000 + HANDSHAKES)]
    entries += [f"-p udp {ends} --sport {port}" for port in range(ENTRIES)]
    run(["conntrack", "-R", "-"], netns=netns, text="".join(f"-I {entry} -t 1000\n" for entry in entries))
    return netns


def count(netns: str) -> int:
    return int(run(["conntrack", "-C"], netns=netns))


def prune(netns: str, **args: t.Any) -> ModuleResult:
    return run_module("conntrack_prune", args, netns=netns)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ({"match": [{"nat": None}]}, ["match[0].nat: None is null", "never a value"]),
        ({"match": [{"state": None}]}, ["match[0].state: None is null"]),
        ({"match": [{"protocol": "tcp", "packets": {"min": None}}]}, ["match[0].packets.min: None is null"]),
        ({"match": [{"nat": ["snat", None]}]}, ["match[0].nat: ['snat', None] is null or has a null in it"]),
        ({"match": [None]}, ["match[0]: None is null"]),
        ({"match": [{"nat": ""}]}, ["match[0].nat: '' is an empty text"]),
        ({"match": ""}, ["match: '' is empty and would select every entry"]),
        ({"match": {}}, ["match: {} is empty and would select every entry"]),
        ({"match": []}, ["match: [] selects nothing"]),
        ({"match": "[]"}, ["match: '[]' selects nothing"]),
        ({"match": " [ ] ", "exclude": "[]"}, ["match: ' [ ] ' selects nothing"]),
        ({"select": [","]}, ["select: [','] is not a list of names"]),
        ({"select": "half_open", "match": "[{}]"}, ["match[0]: {} is empty and would select every entry"]),
        ({}, ["match: None selects nothing. Give match or select."]),
        ({"match": None}, ["match: None selects nothing"]),
        ({"match": None, "exclude": [{"zone": 1}]}, ["match: None selects nothing"]),
        ({"match": "protocol=tcp", "exclude": None}, ["exclude: None is null"]),
        ({"match": "protocol=tcp", "select": None}, ["select"]),
        ({"match": "protocol=tcp,state=SYN_SENT"}, ["is not one selector", 'match="protocol=tcp state=SYN_SENT"']),
        ({"match": ["protocol=tcp,state=SYN_SENT"]}, ["match[0]: ", 'match="protocol=tcp state=SYN_SENT"']),
        ({"match": "protocol=icmp destination_port=443"}, ["contradicts itself", "destination_port is of tcp, udp"]),
        ({"match": [{"dport": 443}]}, ["match[0]: 'dport' is not a selector key. Did you mean 'destination_port'?"]),
        ({"select": ["half-open"]}, ["select: 'half-open' is not the name of a selector. Did you mean 'half_open'?"]),
    ],
)
def test_what_is_refused_deletes_nothing(healthy: str, args: dict[str, t.Any], words: list[str]) -> None:
    result = prune(healthy, **args)
    assert result.failed
    assert not result.data.get("changed")
    for word in words:
        assert word in result.msg
    assert count(healthy) == 2 * ENTRIES + HANDSHAKES


@pytest.mark.parametrize("match", [[], "[]", "[ ]"])
@pytest.mark.parametrize(
    ("module", "more"),
    [
        ("conntrack_info", {}),
        ("conntrack_update", {"mark": "1"}),
        ("conntrack_update", {"timeout": {"max": "1s"}}),
        ("conntrack_prune", {}),
        ("conntrack_expect_prune", {}),
    ],
)
def test_a_match_without_a_selector_is_no_selection(
    healthy: str, module: str, more: dict[str, t.Any], match: list[str] | str
) -> None:
    result = run_module(module, {"match": match, **more}, netns=healthy)
    assert_refused(result, f"match: {match!r} selects nothing")
    assert count(healthy) == 2 * ENTRIES + HANDSHAKES
    assert "mark=1" not in run(["conntrack", "-L"], netns=healthy)


@pytest.mark.parametrize("module", ["conntrack_info", "conntrack_update", "conntrack_prune"])
def test_exclude_alone_is_no_selection(healthy: str, module: str) -> None:
    more = {"timeout": "settings"} if module == "conntrack_update" else {}
    result = run_module(module, {"exclude": [{"protocol": "udp"}], **more}, netns=healthy)
    assert result.failed
    assert 'match="family=ipv4,ipv6"' in result.msg
    assert count(healthy) == 2 * ENTRIES + HANDSHAKES


@pytest.mark.parametrize(
    "args",
    [
        {"match": "protocol=tcp state=SYN_SENT"},
        {"match": {"protocol": "tcp", "state": "SYN_SENT"}},
        {"match": ["protocol=tcp state=SYN_SENT,SYN_RECV"]},
        {"match": '[{"protocol": "tcp", "state": ["SYN_SENT"]}]'},
        {"match": "{'protocol': 'tcp', 'state': 'SYN_SENT'}"},
        {"select": ["half_open"]},
        {"select": "half_open", "match": []},
        {"select": "half_open,stale dns"},
        {"match": "family=ipv4,ipv6", "exclude": ["protocol=udp", {"state": "ESTABLISHED"}]},
    ],
)
def test_every_notation_deletes_the_same(healthy: str, args: dict[str, t.Any]) -> None:
    result = prune(healthy, **args)
    assert not result.failed, result.msg
    assert (result.data["deleted"], count(healthy)) == (HANDSHAKES, 2 * ENTRIES)
    assert run(["conntrack", "-L", "-p", "tcp", "--state", "SYN_SENT"], netns=healthy) == ""


@pytest.fixture
def ad_hoc(healthy: str, tmp_path: pathlib.Path) -> t.Callable[[str], tuple[int, str]]:
    """Run the module ad hoc, as an operator types it, and return the exit code and what is printed."""
    inventory = tmp_path / "hosts"
    inventory.write_text(f"router ansible_connection=local ansible_python_interpreter={sys.executable}\n", "utf-8")

    def call(arguments: str) -> tuple[int, str]:
        module = "netops.conntrack.conntrack_prune"
        command = ["ansible", "router", "-m", module, "-a", f"netns={healthy} {arguments}"]
        done = run_ansible(command, inventory, tmp_path)
        return done.returncode, done.stdout + done.stderr

    return call


def test_ad_hoc_with_a_comma_deletes_nothing_and_says_how_to_write_it(
    healthy: str, ad_hoc: t.Callable[[str], tuple[int, str]]
) -> None:
    for arguments in ("match=protocol=tcp,state=SYN_SENT", "match='protocol=tcp, state=SYN_SENT'"):
        code, printed = ad_hoc(arguments)
        assert code == 2
        assert r"match=\"protocol=tcp state=SYN_SENT\"" in printed
    code, printed = ad_hoc("match=protocol=tcp state=SYN_SENT")
    assert code == 2
    assert "Unsupported parameters" in printed
    assert count(healthy) == 2 * ENTRIES + HANDSHAKES


@pytest.mark.parametrize("arguments", ['match="protocol=tcp state=SYN_SENT"', "select=stale,half_open"])
def test_ad_hoc_deletes_those(healthy: str, ad_hoc: t.Callable[[str], tuple[int, str]], arguments: str) -> None:
    code, printed = ad_hoc(arguments)
    assert code == 0, printed
    assert f'"deleted": {HANDSHAKES},' in printed
    assert count(healthy) == 2 * ENTRIES


# Entries that kept what they were made with


@pytest.mark.parametrize(("switch", "selector"), [("acct", "packets.max=99"), ("timestamp", "age.max=1d")])
def test_entries_from_before_a_switch_was_turned_off(netns: str, switch: str, selector: str) -> None:
    sysctl = f"net.netfilter.nf_conntrack_{switch}"
    entry = "-p udp -s 198.18.0.1 -d 203.0.113.1 --dport 443 -t 1000 --sport"
    run(["sysctl", "-qw", f"{sysctl}=1"], netns=netns)
    run(["conntrack", "-I", *entry.split(), "1"], netns=netns)
    run(["sysctl", "-qw", f"{sysctl}=0"], netns=netns)
    assert "warnings" not in run_module("conntrack_info", {"match": selector}, netns=netns).data
    run(["conntrack", "-I", *entry.split(), "2"], netns=netns)
    info = run_module("conntrack_info", {"match": selector}, netns=netns)
    assert (info.data["matched"], info.data["undecidable"]) == (1, 1)
    assert f"1 entries cannot be decided. {sysctl} is 0" in str(info.data["warnings"])
    result = prune(netns, match=selector)
    assert (result.data["deleted"], result.data["undecidable"], len(result.data["warnings"])) == (1, 1, 1)
    again = prune(netns, match=selector)
    assert again.failed
    assert again.data["unavailable"] == sysctl
    assert count(netns) == 1
    update = run_module("conntrack_update", {"match": selector, "mark": "5"}, netns=netns)
    assert (update.failed, update.data["unavailable"]) == (True, sysctl)


# Selectors that have a name, on real packets

_SEND = """
import socket, struct, sys

def packet(family, source, destination, port, options, payload):
    words = 5 + len(options) // 4
    tcp = struct.pack("!HHIIBBHHH", port, 80, 1, 1, words << 4, 0x10, 8192, 0, 0) + options + payload
    pack = lambda address: socket.inet_pton(family, address)
    if family == socket.AF_INET:
        return struct.pack("!BBHHHBBH", 0x45, 0, 0, 0, 0, 64, 6, 0) + pack(source) + pack(destination) + tcp
    return struct.pack("!IHBB", 6 << 28, len(tcp), 6, 64) + pack(source) + pack(destination) + tcp

TIMESTAMPS = bytes.fromhex("0101080a") + bytes(8)
SACK = bytes.fromhex("0101050a") + bytes(8)
KINDS = [(b"", b""), (b"", b"x"), (TIMESTAMPS, b""), (TIMESTAMPS + SACK, b""), (TIMESTAMPS, b"x" * 100)]
four = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
six = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW)
ENDS4 = (socket.AF_INET, "198.18.0.1", "203.0.113.1")
ENDS6 = (socket.AF_INET6, "2001:db8::1", "2001:db8:1::1")
for number, (options, payload) in enumerate(KINDS):
    four.sendto(packet(*ENDS4, 1000 + number, options, payload), ("203.0.113.1", 0))
    six.sendto(packet(*ENDS6, 1000 + number, options, payload), ("2001:db8:1::1", 0))
for _packet in range(2):
    four.sendto(packet(*ENDS4, 2000, b"", b""), ("203.0.113.1", 0))
"""
LONE_ACKS, WITH_DATA = 4, 1


def test_stale_and_one_way_are_those_of_real_packets(netns: str) -> None:
    """A bare ACK with any options, over both families; neither data, nor a second packet, nor zeroed counters."""
    run(["ip", "link", "add", "out", "type", "veth", "peer", "name", "far"], netns=netns)
    for end in ("out", "far"):
        run(["ip", "link", "set", end, "up"], netns=netns)
    for address in ("203.0.113.1", "2001:db8:1::1"):
        run(["ip", "route", "add", address, "dev", "out"], netns=netns)
        run(["ip", "neigh", "add", address, "lladdr", "02:00:00:00:00:01", "dev", "out"], netns=netns)
    run([sys.executable, "-c", _SEND], netns=netns)
    lines = "".join(run(["conntrack", "-L", "-f", family], netns=netns) for family in ("ipv4", "ipv6")).splitlines()
    assert len(lines) == 2 * (LONE_ACKS + WITH_DATA) + 1
    stale = {int(line.split("sport=")[1].split()[0]) for line in lines if "packets=1 bytes=" in line} - {1004}
    found = run_module("conntrack_info", {"select": "stale", "entries": True}, netns=netns).data
    assert found["matched"] == 2 * LONE_ACKS
    assert {entry["source_port"] for entry in found["entries"]} == stale
    one_way = run_module("conntrack_info", {"select": "one_way", "entries": True}, netns=netns).data
    assert [entry["source_port"] for entry in one_way["entries"]] == [2000]
    run(["conntrack", "-L", "-z"], netns=netns)
    assert run_module("conntrack_info", {"select": "stale,one_way"}, netns=netns).data["matched"] == 0


def test_names_are_those_of_the_listing(kinds: str) -> None:
    half_open = listed(kinds, "-p tcp --state SYN_SENT", "-p tcp --state SYN_RECV")
    assert selected(kinds, None, select="half_open") == half_open != set()
    closing = listed(kinds, *(f"-p tcp --state {state}" for state in CLOSING))
    assert selected(kinds, None, select=["closing"]) == closing != set()
    unanswered = listed(kinds, "-u UNREPLIED") - listed(kinds, "-p tcp")
    assert selected(kinds, None, select=["unanswered"]) == unanswered != set()
    assert selected(kinds, "mark=16", select=["closing"]) == closing | listed(kinds, "-m 16")


def test_protocols_of_this_host() -> None:
    """Whatever /etc/protocols has a name for, apart from the pseudo protocol, has this name in a selector."""
    from ansible_collections.netops.conntrack.plugins.module_utils._selector.values import protocol_number

    text = pathlib.Path("/etc/protocols").read_text(encoding="utf-8")
    lines = [line.split("#")[0].split() for line in text.splitlines()]
    names = {name: int(words[1]) for words in lines if len(words) > 1 for name in (words[0], *words[2:])}
    known = {name: number for name, number in names.items() if number < 256 and name.lower() != "ip"}
    assert len(known) > 20
    assert {name: protocol_number(name, "protocol") for name in known} == known
    assert all(socket.getprotobyname(name) == number for name, number in known.items())

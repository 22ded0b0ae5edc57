# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module against the kernel, in network namespaces of their own; conntrack(8) is the judge."""

from __future__ import annotations

import collections
import contextlib
import errno
import re
import socket
import struct
import sys
import time
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeout_record import read_record
from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeouts import Timeouts
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.guards import Guards
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.update import update
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.update_plan import UpdatePlan, aim_of
from ansible_collections.netops.conntrack.plugins.module_utils._netns import inside
from ansible_collections.netops.conntrack.plugins.module_utils._selector.compiler import compile_selection
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.sysctl import read_settings
from ansible_collections.netops.conntrack.plugins.module_utils._table import requests
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block
from ansible_collections.netops.conntrack.plugins.module_utils._table.writable import WritableTable
from helpers.support import SYSTEM_PYTHON, ModuleResult, network_namespace, run, run_module

IDLE, CAP, FIXED = 10_000, 54_000, 7
LONG = 431_999
PASSING = 30
"""So many seconds may pass while a test runs."""

REPLIED = "-u SEEN_REPLY,ASSURED"
TCP = "-p tcp -s 198.18.0.1 -d 203.0.113.1 --sport {} --dport 443 --state ESTABLISHED"
SSH = "198.51.100.9 40000 198.51.100.1 22"
SSH_ENTRY = f"-p tcp -s 198.51.100.9 -d 198.51.100.1 --sport 40000 --dport 22 --state ESTABLISHED {REPLIED}"
UNPRIVILEGED = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all")
COUNTS = ("matched", "protected", "would_update", "updated", "unchanged", "already_gone", "fixed_timeout")


class Line(t.NamedTuple):
    """What the tool shows of an entry."""

    seconds: int
    mark: int
    zone: int
    source: str
    port: int


def insert(*entries: str, netns: str | None = None, seconds: int = LONG) -> None:
    """Make entries, each given as conntrack(8) options."""
    text = "".join(f"-I {entry}{'' if ' -t ' in entry else f' -t {seconds}'}\n" for entry in entries)
    run(["conntrack", "-R", "-"], netns=netns, text=text)


def listed(netns: str | None = None, *selected: str) -> list[Line]:
    """Return the table as conntrack(8) lists it; ``selected`` are its options."""
    return [
        Line(
            seconds=int(text.split()[4]),
            mark=int(_found(r"mark=(\d+)", text)),
            zone=int(_found(r"zone=(\d+)", text)),
            source=_found(r"src=(\S+)", text),
            port=int(_found(r"sport=(\d+)", text)),
        )
        for text in _listing(netns, *selected)
    ]


def _listing(netns: str | None, *selected: str) -> list[str]:
    tool = ["conntrack", "-L", "-o", "extended", *selected]
    whole = [run([*tool, "-f", family], netns=netns) for family in ("ipv4", "ipv6")]
    return "".join(whole).splitlines()


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    return match.group(1) if match else "0"


def seconds_left(netns: str | None = None) -> dict[str, int]:
    """Return the seconds that each entry has left, by source, of which each has its own."""
    return {line.source: line.seconds for line in listed(netns)}


def ids(netns: str | None = None) -> set[str]:
    return set(re.findall(r" id=(\d+)", run(["conntrack", "-L", "-o", "id"], netns=netns)))


ALL = [{"family": ["ipv4", "ipv6"]}]


def sysctl(netns: str, **values: int) -> None:
    run(
        ["sysctl", "-qw", *(f"net.netfilter.nf_conntrack_{name}={value}" for name, value in values.items())],
        netns=netns,
    )


def lower(netns: str, **values: t.Any) -> None:
    """Set sysctls with the collection's own module, which keeps a record of what it lowered."""
    result = run_module("conntrack_settings", {"settings": values, "persist": False}, netns=netns)
    assert not result.failed, result.msg


def shorten(netns: str, **options: t.Any) -> ModuleResult:
    """Run the module; ``check``, ``diff`` and the like go to run_module, all others are the module's options."""
    ways = {name: options.pop(name) for name in ("check", "diff", "env", "python", "wrapper") if name in options}
    return run_module("conntrack_update", options, netns=netns, **ways)


def counts(result: ModuleResult) -> dict[str, int]:
    """Return the numbers that are not 0."""
    assert not result.failed, result.msg
    numbers = {name: result.data[name] for name in (*COUNTS, "without_timeout", "undecidable")} | result.data["kept"]
    return {name: number for name, number in numbers.items() if number}


@pytest.fixture
def netns() -> t.Iterator[str]:
    with network_namespace("update") as name:
        yield name


@pytest.mark.parametrize("python", [sys.executable, SYSTEM_PYTHON])
def test_no_idle_entry_keeps_more_than_the_new_timeout(netns: str, python: str) -> None:
    insert(
        *(f"{TCP.format(port)} {REPLIED}" for port in range(1001, IDLE + 1001)),
        *(f"{TCP.format(port)} {REPLIED},FIXED_TIMEOUT" for port in range(20_001, 20_001 + FIXED)),
        netns=netns,
    )
    lower(netns, tcp_timeout_established=CAP)
    assert {line.seconds > CAP for line in listed(netns)} == {True}

    predicted = shorten(netns, timeout="settings", python=python, check=True, diff=True)
    assert counts(predicted) == {"matched": IDLE + FIXED, "would_update": IDLE, "fixed_timeout": FIXED}
    assert {line.seconds > CAP for line in listed(netns)} == {True}

    result = shorten(netns, timeout="settings", python=python, diff=True)
    assert counts(result) == {**counts(predicted), "updated": IDLE}
    assert (result.data["changed"], predicted.data["changed"]) == (True, True)
    assert (
        result.data["diff"]
        == predicted.data["diff"]
        == {
            "before": f"{IDLE + FIXED}  ipv4 tcp ESTABLISHED: more than {CAP} s left\n",
            "after": f"{FIXED}  ipv4 tcp ESTABLISHED: more than {CAP} s left\n",
        }
    )
    assert collections.Counter(line.seconds > CAP for line in listed(netns)) == {False: IDLE, True: FIXED}
    assert [line.seconds > CAP for line in listed(netns, "-u", "FIXED_TIMEOUT")] == [True] * FIXED
    assert {line.seconds >= CAP - PASSING for line in listed(netns)} == {True}

    again = shorten(netns, timeout="settings", python=python, diff=True)
    assert counts(again) == {"matched": IDLE + FIXED, "unchanged": IDLE, "fixed_timeout": FIXED}
    assert (again.data["changed"], again.data["diff"]) == (False, {"before": "", "after": ""})


PORTS = "--sport 1 --dport 2"
TAGS = f"{PORTS} --orig-vtag 1 --reply-vtag 2"
TCP_STATES = ("SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE")
SCTP_STATES = ("CLOSED", "COOKIE_WAIT", "COOKIE_ECHOED", "ESTABLISHED", "SHUTDOWN_SENT", "SHUTDOWN_ACK_SENT")
KINDS = [
    *((f"tcp {PORTS} --state {state}", f"tcp_timeout_{state.lower()}") for state in TCP_STATES),
    (f"tcp {PORTS} --state ESTABLISHED -u ASSURED,SEEN_REPLY", "tcp_timeout_established"),
    (f"tcp {PORTS} --state NONE", None),
    *((f"sctp {TAGS} --state {state}", f"sctp_timeout_{state.lower()}") for state in SCTP_STATES),
    (f"udp {PORTS}", "udp_timeout"),
    (f"udp {PORTS} -u SEEN_REPLY", "udp_timeout_stream"),
    (f"udp {PORTS} {REPLIED}", "udp_timeout_stream"),
    (f"udplite {PORTS} -u SEEN_REPLY", "udp_timeout_stream"),
    ("gre --srckey 1 --dstkey 2", "gre_timeout"),
    ("gre --srckey 1 --dstkey 2 -u SEEN_REPLY", "gre_timeout_stream"),
    ("99", "generic_timeout"),
    ("47 --srckey 9 --dstkey 2", "gre_timeout"),
]
"""Entries as ``conntrack -I -p`` makes them, and the sysctl with the timeout of each; None: there is none."""

ECHO = "--{0}-type {1} --{0}-code 0 --{0}-id 7"
ENTRIES = [
    *((f"198.18.1.{number}", "203.0.113.1", *kind) for number, kind in enumerate(KINDS, start=1)),
    *((f"2001:db8::1:{number}", "2001:db8::2", *kind) for number, kind in enumerate(KINDS, start=1)),
    ("198.18.9.1", "203.0.113.1", f"icmp {ECHO.format('icmp', 8)}", "icmp_timeout"),
    ("2001:db8::9", "2001:db8::2", f"icmpv6 {ECHO.format('icmpv6', 128)}", "icmpv6_timeout"),
]
"""The same of both families, each with source and destination of its own, and what one of them has alone."""


def test_each_protocol_and_state_has_its_own_cap(netns: str) -> None:
    for source, destination, kind, _name in ENTRIES:
        # The tool wants the addresses before the type of ICMP.
        protocol, *options = kind.split(" ", 1)
        insert(" ".join(["-p", protocol, "-s", source, "-d", destination, *options]), netns=netns)
    wanted = {source: name for source, _destination, _kind, name in ENTRIES}
    # Each sysctl has a value of its own, so that none is taken for another.
    caps = {name: 1000 * number for number, name in enumerate(sorted(set(filter(None, wanted.values()))), start=1)}
    sysctl(netns, **dict.fromkeys(caps, LONG + 1000))
    lower(netns, **caps, tcp_timeout_unacknowledged=60, tcp_timeout_max_retrans=60)
    result = shorten(netns, timeout="settings")
    unknown = sum(name is None for name in wanted.values())
    updates = len(wanted) - unknown
    assert counts(result) == {
        "matched": len(wanted),
        "would_update": updates,
        "updated": updates,
        "undecidable": unknown,
    }
    left = seconds_left(netns)
    expected = {source: LONG if name is None else caps[name] for source, name in wanted.items()}
    assert left.keys() == expected.keys()
    assert {
        source: expected[source] - value
        for source, value in left.items()
        if not 0 <= expected[source] - value <= PASSING
    } == {}
    assert shorten(netns, timeout="settings").data["changed"] is False


def test_values_instead_of_the_sysctls_foretell_what_they_would_do(netns: str) -> None:
    insert(f"{TCP.format(1)} -t 431999", f"{TCP.format(2)} -t 53000", netns=netns)
    wanted = {"settings": {"tcp_timeout_established": "15h", "acct": True}}
    assert counts(shorten(netns, timeout=wanted, check=True)) == {"matched": 2, "would_update": 1, "unchanged": 1}
    assert shorten(netns, timeout="settings", check=True).data["would_update"] == 0
    lower(netns, tcp_timeout_established=CAP)
    assert counts(shorten(netns, timeout="settings"))["updated"] == 1


@pytest.mark.parametrize(("cap", "seconds"), [("15h", CAP), (CAP, CAP), ("90s", 90), ("431998", 431_998)])
def test_a_cap_only_lowers(netns: str, cap: t.Any, seconds: int) -> None:
    insert(
        f"{TCP.format(1)} -t {seconds + 3000}", f"{TCP.format(2)} -t 80", f"{TCP.format(3)} -t {seconds}", netns=netns
    )
    result = shorten(netns, match=ALL, timeout={"max": cap})
    assert counts(result) == {"matched": 3, "would_update": 1, "updated": 1, "unchanged": 2}
    left = {line.port: line.seconds for line in listed(netns)}
    assert seconds - PASSING <= left[1] <= seconds
    assert 80 - PASSING <= left[2] <= 80
    assert shorten(netns, match=ALL, timeout={"max": cap}).data["changed"] is False


def test_a_sysctl_of_0_does_not_end_entries_at_once(netns: str) -> None:
    insert(TCP.format(1), netns=netns)
    sysctl(netns, tcp_timeout_established=0)
    with inside(netns), WritableTable() as table:
        aim = aim_of("settings", None, Timeouts.read(read_settings()), dry_run=False)
        [entry] = table.read(lambda blocks: [entry for block in blocks for entry in block.entries()])
        assert aim.cap(entry) == 1


def test_match_and_exclude(netns: str) -> None:
    insert(*(TCP.format(port) for port in range(1, 11)), netns=netns)
    match, exclude = [{"source_port": "1-6"}], [{"source_port": 3}]
    result = shorten(netns, timeout={"max": 900}, match=match, exclude=exclude)
    assert counts(result) == {"matched": 5, "would_update": 5, "updated": 5}
    assert {line.port for line in listed(netns) if line.seconds <= 900} == {1, 2, 4, 5, 6}


@pytest.mark.parametrize("zone", [0, 7, 8])
def test_the_same_tuple_in_another_zone_stays(netns: str, zone: int) -> None:
    entry = TCP.format(1)
    insert(entry, f"{entry} -w 7", f"{entry} -w 8", netns=netns)
    assert counts(shorten(netns, match=[{"zone": zone}], timeout={"max": 900}, mark="9"))["updated"] == 1
    assert {(line.zone, line.seconds <= 900, line.mark) for line in listed(netns)} == {
        (each, each == zone, 9 if each == zone else 0) for each in (0, 7, 8)
    }


@pytest.mark.parametrize("option", ["--orig-zone 7", "--reply-zone 7"])
def test_a_zone_of_one_direction(netns: str, option: str) -> None:
    insert(f"{TCP.format(1)} {option}", f"{TCP.format(2)}", netns=netns)
    assert counts(shorten(netns, match=ALL, timeout={"max": 900})) == {"matched": 2, "would_update": 2, "updated": 2}
    assert {line.seconds <= 900 for line in listed(netns)} == {True}


def test_addresses_that_are_translated(netns: str) -> None:
    insert(f"{TCP.format(1)} -n 192.0.2.9", f"{TCP.format(2)} -g 192.0.2.9", netns=netns)
    assert counts(shorten(netns, timeout={"max": 900}, mark=1, match=[{"protocol": "tcp"}]))["updated"] == 2
    assert {(line.seconds <= 900, line.mark) for line in listed(netns)} == {(True, 1)}


@pytest.mark.parametrize(
    ("before", "mark", "after"),
    [
        (0, "0x10", 0x10),
        (0xFF00, "0x10", 0x10),
        (0xFF00, "0x10/0xff", 0xFF10),
        (0xFFFF, "0x10/0xff", 0xFF10),
        (0xFFFFFFFF, "0/0xf0", 0xFFFFFF0F),
        (0xFFFFFFFF, "0", 0),
        (0, "0xffffffff", 0xFFFFFFFF),
        (1, 16, 16),
    ],
)
def test_marks(netns: str, before: int, mark: t.Any, after: int) -> None:
    insert(f"{TCP.format(1)} -m {before}", f"{TCP.format(2)} -m {after}", f"{TCP.format(3)} -m {before}", netns=netns)
    options = {"match": [{"source_port": "1-2"}], "mark": mark}
    predicted = shorten(netns, **options, check=True, diff=True)
    assert [line.mark for line in sorted(listed(netns), key=lambda line: line.port)] == [before, after, before]
    result = shorten(netns, **options, diff=True)
    assert counts(result) == {"matched": 2, "would_update": 1, "updated": 1, "unchanged": 1}
    assert counts(predicted) == {"matched": 2, "would_update": 1, "unchanged": 1}
    marks = [line.mark for line in sorted(listed(netns), key=lambda line: line.port)]
    assert marks == [after, after, before]
    assert {line.seconds > LONG - PASSING for line in listed(netns)} == {True}
    assert result.data["diff"] == predicted.data["diff"]
    assert re.search("^1  ipv4 tcp ESTABLISHED unreplied: mark other than 0x", result.data["diff"]["before"])
    again = shorten(netns, **options)
    assert (again.data["changed"], counts(again)) == (False, {"matched": 2, "unchanged": 2})


def test_the_mark_of_an_entry_with_a_fixed_timeout(netns: str) -> None:
    insert(
        f"{TCP.format(1)} -u FIXED_TIMEOUT", TCP.format(2), f"{TCP.format(3)} -u FIXED_TIMEOUT -m 5 -t 800", netns=netns
    )
    result = shorten(netns, match=[{"protocol": "tcp"}], timeout={"max": 900}, mark="5", diff=True)
    assert counts(result) == {"matched": 3, "would_update": 2, "updated": 2, "fixed_timeout": 1, "unchanged": 1}
    assert {(line.port, line.mark, line.seconds > 900) for line in listed(netns)} == {
        (1, 5, True),
        (2, 5, False),
        (3, 5, False),
    }
    assert result.data["diff"]["after"] == (
        "0  ipv4 tcp ESTABLISHED unreplied: mark other than 0x5/0xffffffff\n"
        "1  ipv4 tcp ESTABLISHED unreplied: more than 900 s left\n"
    )


@pytest.mark.parametrize(("protect", "mark"), [(True, 0), (False, 5)])
def test_the_management_connection(netns: str, protect: bool, mark: int) -> None:
    insert(SSH_ENTRY, SSH_ENTRY.replace("40000", "40001"), netns=netns)
    options = {"match": [{"protocol": "tcp"}], "mark": "5", "protect_management": protect}
    result = shorten(netns, **options, env={"SSH_CONNECTION": SSH})
    stays = {"protected": 1} if protect else {}
    assert counts(result) == {"matched": 2, **stays, "would_update": 2 - len(stays), "updated": 2 - len(stays)}
    assert {line.port: line.mark for line in listed(netns)} == {40000: mark, 40001: 5}


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ({}, ["timeout", "mark"]),
        ({"timeout": "setting"}, ["timeout", "setting"]),
        ({"timeout": "15h"}, ["timeout", "15h", "{max: 15h}"]),
        ({"timeout": {}}, ["timeout"]),
        ({"timeout": {"min": 5}}, ["timeout", "min"]),
        ({"timeout": {"max": 5, "min": 1}}, ["timeout", "min"]),
        ({"timeout": {"max": "15h"}}, ["timeout", "every connection that is idle for so long", "Give match"]),
        ({"timeout": {"settings": {"udp_timeot": 5}}}, ["timeout.settings", "udp_timeot", "no connection-tracking"]),
        ({"timeout": {"settings": "now"}}, ["timeout", "{settings: {...}}"]),
        (
            {"timeout": {"settings": {"nf_conntrack_udp_timeout": 9}}},
            ["timeout.settings.udp_timeout: 9", "which is 30", "conntrack_settings first", "--check"],
        ),
        ({"timeout": {"settings": {"udp_timeout": -1}}}, ["timeout.settings.udp_timeout", "-1", "90s"]),
        ({"timeout": {"max": 0}}, ["timeout.max", "0", "conntrack_prune"]),
        ({"timeout": {"max": "0d"}}, ["timeout.max", "0d"]),
        ({"timeout": {"max": "-1"}}, ["timeout.max", "-1"]),
        ({"timeout": {"max": "soon"}}, ["timeout.max", "soon"]),
        ({"timeout": {"max": True}}, ["timeout.max", "True"]),
        ({"mark": "5"}, ["mark", "match"]),
        ({"mark": "5", "exclude": [{"zone": 1}]}, ["mark", "match"]),
        ({"mark": "0x100/0xff", "match": [{"family": "ipv4"}]}, ["mark", "0x100/0xff"]),
        ({"mark": "0/0", "match": [{"family": "ipv4"}]}, ["mark", "0/0"]),
        ({"mark": "0x100000000", "match": [{"family": "ipv4"}]}, ["mark", "0x100000000"]),
        ({"mark": "red", "match": [{"family": "ipv4"}]}, ["mark", "red"]),
        ({"timeout": {"max": 9}, "match": []}, ["match"]),
        ({"timeout": {"max": 9}, "match": [{}]}, ["match[0]"]),
        ({"timeout": {"max": 9}, "match": [{"protcol": "tcp"}]}, ["protcol"]),
        ({"timeout": {"max": 9}, "match": ALL, "exclude": [{"sate": "NONE"}]}, ["sate"]),
        ({"timeout": {"max": 9}, "match": ALL, "netns": "update-nowhere"}, ["netns", "update-nowhere"]),
    ],
)
def test_a_bad_option_changes_nothing(netns: str, args: dict[str, t.Any], words: list[str]) -> None:
    insert(TCP.format(1), netns=netns)
    result = run_module("conntrack_update", args, netns=netns)
    assert result.failed
    assert not result.data.get("changed")
    for word in words:
        assert word in result.msg
    assert [(line.seconds > LONG - PASSING, line.mark) for line in listed(netns)] == [(True, 0)]


def test_without_root(netns: str) -> None:
    insert(TCP.format(1), netns=netns)
    result = shorten(netns, match=ALL, timeout={"max": 9}, wrapper=UNPRIVILEGED)
    assert result.failed
    assert "become" in result.msg


def test_a_namespace_by_name(netns: str) -> None:
    insert(TCP.format(1), netns=netns)
    result = run_module("conntrack_update", {"timeout": {"max": 900}, "match": ALL, "netns": netns})
    assert result.data["updated"] == 1
    assert [line.seconds <= 900 for line in listed(netns)] == [True]


# Which entries a lower timeout has a claim on

DEFAULT_TUNE = {"tcp_timeout_established": CAP, "generic_timeout": 120}
UNDER_ATTACK = {"udp_timeout": 10, "udp_timeout_stream": 60, "tcp_timeout_established": 7440, "generic_timeout": 30}
PHONE, DNS, WEB = 5060, 5353, 8443
RULES = """
table inet own {
  ct timeout phones { protocol udp; l3proto ip; policy = { unreplied: 60, replied: 3600 }; }
  ct timeout phones6 { protocol udp; l3proto ip6; policy = { unreplied: 60, replied: 3600 }; }
  ct timeout web { protocol tcp; l3proto ip; policy = { established: 100000 }; }
  chain early {
    type filter hook output priority -150;
    udp dport 5060 ip version 4 ct timeout set "phones"
    udp dport 5060 ip6 version 6 ct timeout set "phones6"
    tcp dport 8443 ct timeout set "web"
  }
}
"""
"""Rules that give phones an hour, over both families, and one kind of TCP connections more than a day."""


def exchange(address: str, port: int) -> None:
    """Have three datagrams answered, so that the entry is a stream of UDP."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as server, socket.socket(family, socket.SOCK_DGRAM) as client:
        server.bind((address, port))
        client.connect((address, port))
        for each in range(3):
            # An entry becomes a stream when it is two seconds old (udp_packet() in nf_conntrack_proto_udp.c).
            time.sleep(1.1 if each else 0)
            client.send(b"REGISTER")
            server.sendto(*server.recvfrom(99))
            client.recv(99)


@contextlib.contextmanager
def connected(address: str, port: int) -> t.Iterator[None]:
    """Have a TCP connection open that has carried a byte."""
    with socket.create_server((address, port)) as server, socket.create_connection((address, port)) as client:
        end, _address = server.accept()
        with end:
            client.send(b"x")
            assert end.recv(1) == b"x"
            yield


def left_on(netns: str, port: int) -> list[int]:
    """Return the seconds that the entries to the port have left."""
    lines = [text for text in _listing(netns) if f" dport={port} " in text.split("src=", 2)[1]]
    return sorted(int(text.split()[4]) for text in lines)


@pytest.mark.parametrize(
    ("settings", "reason"), [(DEFAULT_TUNE, "not_lowered"), (UNDER_ATTACK, "rule"), ({"udp_timeout": 5}, "rule")]
)
def test_what_a_rule_gave_more_time_stays(netns: str, settings: dict[str, int], reason: str) -> None:
    run(["nft", "-f", "-"], netns=netns, text=RULES)
    with inside(netns):
        for address in ("127.0.0.1", "::1"):
            exchange(address, PHONE)
    assert [seconds > 3500 for seconds in left_on(netns, PHONE)] == [True, True]

    predicted = shorten(netns, timeout={"settings": settings}, check=True)
    lower(netns, **settings)
    result = shorten(netns, timeout={"settings": settings})

    assert result.data["kept"] == predicted.data["kept"] == {**NOTHING_KEPT, reason: 2}
    assert result.data["updated"] == predicted.data["would_update"] == 0
    assert [seconds > 3500 for seconds in left_on(netns, PHONE)] == [True, True]


def test_a_rule_in_a_table_of_one_family_says_nothing_of_the_other(netns: str) -> None:
    """An entry with two minutes left may be that of a phone that was silent for 58."""
    policy = "ct timeout phones { protocol udp; policy = { unreplied: 60, replied: 3600 }; }"
    run(["nft", "-f", "-"], netns=netns, text=f"table ip own {{ {policy}; }}")
    with inside(netns):
        for address in ("127.0.0.1", "::1"):
            exchange(address, DNS)
    lower(netns, **UNDER_ATTACK)
    result = shorten(netns, timeout={"settings": UNDER_ATTACK})
    assert counts(result) == {"matched": 2, "would_update": 1, "updated": 1, "rule": 1}
    left = {line.source: line.seconds for line in listed(netns)}
    assert left["127.0.0.1"] > 60 >= left["::1"]


NOTHING_KEPT = {"not_lowered": 0, "rule": 0, "helper": 0, "longer_than_before": 0}


def test_what_a_policy_of_tcp_can_explain_stays(netns: str) -> None:
    run(["nft", "-f", "-"], netns=netns, text=RULES)
    insert(f"{TCP.format(1)} -t 90000", f"{TCP.format(2)} -t 200000", netns=netns)
    insert("-p tcp -s 2001:db8::1 -d 2001:db8::2 --sport 3 --dport 4 --state ESTABLISHED -t 90000", netns=netns)
    insert("-p udp -s 198.18.0.9 -d 203.0.113.1 --sport 5 --dport 6 -t 90000", netns=netns)
    with inside(netns), connected("127.0.0.1", WEB):
        lower(netns, **DEFAULT_TUNE)
        result = shorten(netns, timeout={"settings": DEFAULT_TUNE})
        assert [seconds > 99000 for seconds in left_on(netns, WEB)] == [True]
    # The kernel gives entries of IPv6 the timeouts of an object for IPv4, too, if a rule of the table has it so.
    assert counts(result) == {"matched": 5, "would_update": 1, "updated": 1, "rule": 3, "not_lowered": 1}
    left = {line.port: line.seconds for line in listed(netns)}
    assert left[2] <= CAP
    assert left[1] > 89000
    assert left[3] > 89000
    assert left[5] > 89000


STATIC = [
    ("udp --sport 1 --dport 2 -u ASSURED,SEEN_REPLY", "not_lowered", "longer_than_before"),
    ("udp --sport 1 --dport 3", "not_lowered", "longer_than_before"),
    ("gre --srckey 1 --dstkey 2 -u SEEN_REPLY", "not_lowered", "not_lowered"),
    ("sctp --sport 1 --dport 2 --orig-vtag 1 --reply-vtag 2 --state ESTABLISHED", "not_lowered", "not_lowered"),
    ("tcp --sport 1 --dport 2 --state CLOSE_WAIT", "not_lowered", "not_lowered"),
    ("99", "longer_than_before", "longer_than_before"),
]
"""Entries of a program, and why each keeps its five days under the default tune and under attack."""


@pytest.mark.parametrize(("settings", "at"), [(DEFAULT_TUNE, 0), (UNDER_ATTACK, 1)])
def test_what_a_program_gave_more_time_stays(netns: str, settings: dict[str, int], at: int) -> None:
    reasons: collections.Counter[str] = collections.Counter()
    for family in ("-s 198.18.0.1 -d 203.0.113.1", "-s 2001:db8::1 -d 2001:db8::2"):
        for kind, *kept in STATIC:
            protocol, _blank, options = kind.partition(" ")
            insert(f"-p {protocol} {family} {options} -t 432000", netns=netns)
            reasons[kept[at]] += 1
    predicted = shorten(netns, timeout={"settings": settings}, check=True)
    lower(netns, **settings)
    assert counts(shorten(netns, timeout={"settings": settings})) == {"matched": 12, **reasons} == counts(predicted)
    assert {line.seconds > LONG - PASSING for line in listed(netns)} == {True}


def test_only_what_was_there_before_the_change_is_shortened(netns: str) -> None:
    insert(f"{TCP.format(1)} -t 432000", netns=netns)
    lower(netns, tcp_timeout_established=CAP)
    time.sleep(4)
    insert(f"{TCP.format(2)} -t 432000", netns=netns)
    result = shorten(netns, timeout="settings")
    assert counts(result) == {"matched": 2, "would_update": 1, "updated": 1, "longer_than_before": 1}
    assert {line.port for line in listed(netns) if line.seconds > CAP} == {2}


def test_two_changes_in_a_row_are_one(netns: str) -> None:
    insert(f"{TCP.format(1)} -t 432000", f"{TCP.format(2)} -t 80000", netns=netns)
    lower(netns, tcp_timeout_established=86400)
    foretold = shorten(netns, timeout={"settings": DEFAULT_TUNE}, check=True)
    lower(netns, tcp_timeout_established=CAP)
    assert shorten(netns, timeout="settings").data["updated"] == foretold.data["would_update"] == 2


def test_a_change_that_was_interrupted_is_made_good_later(netns: str) -> None:
    insert(TCP.format(1), netns=netns)
    lower(netns, tcp_timeout_established=CAP)
    lower(netns, tcp_timeout_established=CAP)
    assert counts(shorten(netns, timeout={"settings": {"tcp_timeout_established": CAP}}))["updated"] == 1


@pytest.mark.parametrize("value", [CAP + 1, CAP - 1])
def test_what_somebody_else_set_since_then_is_no_claim(netns: str, value: int) -> None:
    insert(TCP.format(1), netns=netns)
    lower(netns, tcp_timeout_established=CAP)
    sysctl(netns, tcp_timeout_established=value)
    assert counts(shorten(netns, timeout="settings")) == {"matched": 1, "not_lowered": 1}


def test_a_time_of_your_own_is_on_record(netns: str) -> None:
    insert(TCP.format(1), TCP.format(2), netns=netns)
    shorten(netns, timeout={"max": 900}, match=ALL, check=True)
    with inside(netns):
        assert read_record().shortenings == ()
    shorten(netns, timeout={"max": 900}, match=ALL)
    shorten(netns, timeout={"max": 900}, match=ALL)
    with inside(netns):
        [one] = read_record().shortenings
    assert one.most == 900
    assert one.done is not None
    assert 0 <= one.done - one.begun < PASSING


def test_without_a_lowering_nothing_is_taken_and_the_user_is_told(netns: str) -> None:
    insert(TCP.format(1), TCP.format(2), f"{TCP.format(3)} -t 800", netns=netns)
    sysctl(netns, tcp_timeout_established=CAP)
    for check in (True, False):
        result = shorten(netns, timeout="settings", check=check)
        assert (result.data["changed"], counts(result)) == (False, {"matched": 3, "unchanged": 1, "not_lowered": 2})
        warning = str(result.data["warnings"])
        assert "2 entries have more time left than the sysctls say" in warning
        assert "timeout: {max: 15h}" in warning
    assert {line.seconds > CAP for line in listed(netns)} == {True, False}
    chosen = shorten(netns, timeout={"max": CAP}, match=[{"protocol": "tcp"}])
    assert (counts(chosen)["updated"], "warnings" in chosen.data) == (2, False)
    assert "warnings" not in shorten(netns, timeout="settings").data


# The rehearsal of a prune and an update


def test_what_a_prune_would_delete_is_left_out_of_the_rehearsal(netns: str) -> None:
    insert(*(f"{TCP.format(port)} {REPLIED}" for port in range(1, 11)), netns=netns)
    insert(*(TCP.format(port) for port in range(11, 31)), SSH_ENTRY.replace(REPLIED, ""), netns=netns)
    selection = {"match": [{"replied": False}], "exclude": [{"source_port": "11-15"}]}
    env = {"SSH_CONNECTION": SSH}
    settings = {"settings": DEFAULT_TUNE}
    predicted = shorten(netns, timeout=settings, assume_deleted=selection, check=True, diff=True, env=env)
    assert counts(predicted) == {"matched": 16, "protected": 1, "would_update": 15}
    assert run_module("conntrack_prune", selection, netns=netns, env=env).data["deleted"] == 15
    lower(netns, **DEFAULT_TUNE)
    result = shorten(netns, timeout=settings, diff=True, env=env)
    assert counts(result) == {**counts(predicted), "updated": 15}
    assert result.data["diff"] == predicted.data["diff"]


def test_entries_with_a_helper_are_no_prey_of_the_prune(netns: str) -> None:
    run(["nft", "-f", "-"], netns=netns, text=FTP)
    with inside(netns), connected("127.0.0.1", 2121), connected("127.0.0.1", WEB):
        for match, deleted in (([{"protocol": "tcp"}], 1), ([{"protocol": "tcp", "helper": "ftp"}], 1)):
            rehearsed = shorten(netns, timeout={"settings": DEFAULT_TUNE}, assume_deleted={"match": match}, check=True)
            planned = run_module("conntrack_prune", {"match": match}, netns=netns, check=True)
            assert planned.data["would_delete"] == deleted
            assert rehearsed.data["matched"] == 2 - deleted


FTP = """
table inet helped {
  ct helper ftp { type "ftp" protocol tcp; }
  chain in { type filter hook output priority 0; tcp dport 2121 ct helper set "ftp"; }
}
"""


@pytest.mark.parametrize(
    ("args", "check", "words"),
    [
        ({"match": [{"protocol": "tcp"}]}, False, ["assume_deleted", "--check"]),
        ({"exclude": [{"protocol": "tcp"}]}, True, ["assume_deleted", "match"]),
        ({"match": [{"protcol": "tcp"}]}, True, ["assume_deleted.match[0]", "protcol"]),
    ],
)
def test_a_prune_that_cannot_be_assumed(netns: str, args: dict[str, t.Any], check: bool, words: list[str]) -> None:
    result = shorten(netns, timeout="settings", assume_deleted=args, check=check)
    assert result.failed
    for word in words:
        assert word in result.msg


# What happens between the reading and the update

Meanwhile = t.Callable[[t.Callable[[], object], t.Any, t.Optional[str]], dict[str, t.Any]]


@pytest.fixture
def updated_meanwhile(netns: str, monkeypatch: pytest.MonkeyPatch) -> t.Iterator[Meanwhile]:
    """Be in the namespace, and give what updates every entry and has something done before the first is looked up."""
    with inside(netns), WritableTable() as table:

        def run_it(action: t.Callable[[], object], timeout: t.Any, mark: str | None) -> dict[str, t.Any]:
            context = Context.read(read_settings())
            aim = aim_of(timeout, mark, context.timeouts, dry_run=False)
            guards = Guards((), helpers=False)
            plan = UpdatePlan(compile_selection(None, None, context), aim, guards, context.timeouts.record)
            look_up = table.look_up

            def delayed(*args: t.Any) -> t.Any:
                action()
                return look_up(*args)

            monkeypatch.setattr(table, "look_up", delayed)
            result = update(table, plan, dry_run=False).result(with_diff=False)
            ends = ("updated", "already_gone", "not_updated")
            assert sum(result[name] for name in ends) <= result["would_update"]
            flat = {**result.pop("kept"), **result}
            return {name: value for name, value in flat.items() if value}

        yield run_it


def replace(entry: str) -> None:
    """Delete an entry and make another in its place. Entries in between take the memory of which the id is made."""
    before = ids()
    run(["conntrack", "-D", *entry.split()[:10]])
    insert(*(TCP.format(port) for port in range(50_000, 50_064)), seconds=80)
    insert(entry, seconds=LONG)
    run(["conntrack", "-D", "-s", "198.18.0.1", "-p", "tcp", "--sport", "50000"])
    assert len(ids() - before) == 64


def test_what_takes_the_place_of_an_entry_keeps_its_timeout(updated_meanwhile: Meanwhile) -> None:
    insert(*(TCP.format(port) for port in range(1, 101)))
    result = updated_meanwhile(lambda: replace(TCP.format(50)), {"max": 900}, "5/0xff")
    assert result == {"changed": True, "matched": 100, "would_update": 100, "updated": 99, "already_gone": 1}
    assert [(line.port, line.mark) for line in listed() if line.seconds > 900] == [(50, 0)]


def test_what_is_gone_is_not_made_again(updated_meanwhile: Meanwhile) -> None:
    insert(*(TCP.format(port) for port in range(1, 101)))
    gone = ["conntrack", "-D", "-p", "tcp", "--sport", "50"]
    result = updated_meanwhile(lambda: run(gone), {"max": 900}, None)
    assert (result["updated"], result["already_gone"]) == (99, 1)
    assert sorted(line.port for line in listed()) == [port for port in range(1, 101) if port != 50]


def test_all_are_gone(updated_meanwhile: Meanwhile) -> None:
    insert(*(TCP.format(port) for port in range(1, 101)))
    result = updated_meanwhile(lambda: run(["conntrack", "-F"]), {"max": 900}, None)
    assert result == {"matched": 100, "would_update": 100, "already_gone": 100}
    assert listed() == []


def test_an_entry_that_came_to_another_state_gets_the_cap_of_that(netns: str, updated_meanwhile: Meanwhile) -> None:
    sysctl(netns, tcp_timeout_time_wait=LONG + 9, tcp_timeout_fin_wait=LONG + 9)
    lower(netns, tcp_timeout_established=CAP, tcp_timeout_time_wait=100)
    insert(*(TCP.format(port) for port in range(1, 5)))
    one = ["conntrack", "-U", "-p", "tcp", "-s", "198.18.0.1", "-d", "203.0.113.1", "--dport", "443", "--sport"]

    def change() -> None:
        run([*one, "1", "--state", "TIME_WAIT"])
        run([*one, "2", "--state", "FIN_WAIT"])
        run([*one, "3", "-t", "800"])

    result = updated_meanwhile(change, "settings", None)
    assert result == {"changed": True, "matched": 4, "would_update": 4, "updated": 2, "unchanged": 2}
    left = {line.port: line.seconds for line in listed()}
    assert [left[port] > limit - PASSING for port, limit in ((1, 100), (2, LONG), (3, 800), (4, CAP))] == [True] * 4
    assert [left[port] <= limit for port, limit in ((1, 100), (2, LONG), (3, 800), (4, CAP))] == [True] * 4


# What the kernel does


def targets(blocks: t.Iterator[Block]) -> requests.Targets[str]:
    found = requests.Targets[str]()
    for block in blocks:
        found.add(block, "all")
    return found


def with_timeout(seconds: int) -> requests.Request:
    """Return an update with any timeout."""
    return requests.Request(0x100, struct.pack("=HH", 8, 7) + struct.pack("!I", seconds))


def test_a_timeout_of_0_ends_an_entry(netns: str) -> None:
    with inside(netns), WritableTable() as table:
        insert(TCP.format(1))
        assert table.update(table.read(targets), with_timeout(0)) == {("all", 0): 1}
        assert listed() == []
    with pytest.raises(ValueError, match="end the entry"):
        requests.update(0, None)


def test_a_fixed_timeout_is_refused(netns: str) -> None:
    with inside(netns), WritableTable() as table:
        insert(f"{TCP.format(1)} -u FIXED_TIMEOUT")
        assert table.update(table.read(targets), requests.update(900, (5, 5))) == {
            ("all", errno.EPERM): 1,
            ("all", 0): 0,
        }
        assert [(line.mark, line.seconds > 900) for line in listed()] == [(0, True)]


def test_an_update_never_makes_an_entry(netns: str) -> None:
    with inside(netns), WritableTable() as table:
        insert(TCP.format(1))
        found = table.read(targets)
        run(["conntrack", "-F"])
        assert table.update(found, requests.update(900, None)) == {("all", errno.ENOENT): 1, ("all", 0): 0}
        assert listed() == []


def test_an_update_changes_nothing_else(netns: str) -> None:
    entry = (
        f"-p tcp -s 198.18.0.1 -d 203.0.113.1 --sport 1 --dport 2 --state CLOSE_WAIT {REPLIED} -n 192.0.2.1 -w 3 -m 9"
    )
    insert(entry, "-p udp -s 2001:db8::1 -d 2001:db8::2 --sport 1 --dport 2", netns=netns)

    def shown() -> list[str]:
        return [re.sub(r"^(\S+ +\d+ +\S+ +\d+ )\d+ ", r"\1", line) for line in _listing(netns)]

    before = shown()
    assert counts(shorten(netns, match=ALL, timeout={"max": 900}))["updated"] == 2
    assert shown() == before
    assert {line.seconds <= 900 for line in listed(netns)} == {True}

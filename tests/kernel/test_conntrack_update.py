# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module against the kernel, in network namespaces of their own; conntrack(8) is the judge."""

from __future__ import annotations

import collections
import errno
import re
import struct
import sys
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils import _requests
from ansible_collections.netops.conntrack.plugins.module_utils._netns import inside
from ansible_collections.netops.conntrack.plugins.module_utils._selector import compile_selection
from ansible_collections.netops.conntrack.plugins.module_utils._selector_keys import Context
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl import read_settings
from ansible_collections.netops.conntrack.plugins.module_utils._update import Aim, Plan, update
from ansible_collections.netops.conntrack.plugins.module_utils._wire import Block
from ansible_collections.netops.conntrack.plugins.module_utils._writable import WritableTable
from support import SYSTEM_PYTHON, ModuleResult, network_namespace, run, run_module

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
    """Give the table as conntrack(8) lists it; ``selected`` are its options."""
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
    """Give the seconds that each entry has left, by source, of which each has its own."""
    return {line.source: line.seconds for line in listed(netns)}


def ids(netns: str | None = None) -> set[str]:
    return set(re.findall(r" id=(\d+)", run(["conntrack", "-L", "-o", "id"], netns=netns)))


ALL = [{"family": ["ipv4", "ipv6"]}]


def sysctl(netns: str, **values: int) -> None:
    run(
        ["sysctl", "-qw", *(f"net.netfilter.nf_conntrack_{name}={value}" for name, value in values.items())],
        netns=netns,
    )


def recap(netns: str, **options: t.Any) -> ModuleResult:
    """Run the module; ``check``, ``diff`` and the like go to run_module, all others are the module's options."""
    ways = {name: options.pop(name) for name in ("check", "diff", "env", "python", "wrapper") if name in options}
    return run_module("conntrack_update", options, netns=netns, **ways)


def counts(result: ModuleResult) -> dict[str, int]:
    """Give the numbers that are not 0."""
    assert not result.failed, result.msg
    return {name: result.data[name] for name in (*COUNTS, "without_timeout", "undecidable") if result.data[name]}


@pytest.fixture
def netns() -> t.Iterator[str]:
    with network_namespace("update") as name:
        yield name


@pytest.mark.parametrize("python", [sys.executable, SYSTEM_PYTHON])
def test_no_idle_entry_keeps_more_than_the_new_timeout(netns: str, python: str) -> None:
    insert(
        *(f"{TCP.format(port)} {REPLIED}" for port in range(1, IDLE + 1)),
        *(f"{TCP.format(port)} {REPLIED},FIXED_TIMEOUT" for port in range(20_001, 20_001 + FIXED)),
        netns=netns,
    )
    sysctl(netns, tcp_timeout_established=CAP)
    assert {line.seconds > CAP for line in listed(netns)} == {True}

    predicted = recap(netns, timeout="settings", python=python, check=True, diff=True)
    assert counts(predicted) == {"matched": IDLE + FIXED, "would_update": IDLE, "fixed_timeout": FIXED}
    assert {line.seconds > CAP for line in listed(netns)} == {True}

    result = recap(netns, timeout="settings", python=python, diff=True)
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

    again = recap(netns, timeout="settings", python=python, diff=True)
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
    sysctl(netns, **caps)
    sysctl(netns, tcp_timeout_unacknowledged=60, tcp_timeout_max_retrans=60)
    result = recap(netns, timeout="settings")
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
    assert recap(netns, timeout="settings").data["changed"] is False


def test_values_instead_of_the_sysctls_foretell_what_they_would_do(netns: str) -> None:
    insert(f"{TCP.format(1)} -t 431999", f"{TCP.format(2)} -t 53000", netns=netns)
    wanted = {"settings": {"tcp_timeout_established": "15h", "acct": True}}
    assert counts(recap(netns, timeout=wanted, check=True)) == {"matched": 2, "would_update": 1, "unchanged": 1}
    assert recap(netns, timeout="settings", check=True).data["would_update"] == 0
    sysctl(netns, tcp_timeout_established=CAP)
    assert counts(recap(netns, timeout="settings"))["updated"] == 1


@pytest.mark.parametrize(("cap", "seconds"), [("15h", CAP), (CAP, CAP), ("90s", 90), ("431998", 431_998)])
def test_a_cap_only_lowers(netns: str, cap: t.Any, seconds: int) -> None:
    insert(
        f"{TCP.format(1)} -t {seconds + 3000}", f"{TCP.format(2)} -t 80", f"{TCP.format(3)} -t {seconds}", netns=netns
    )
    result = recap(netns, match=ALL, timeout={"max": cap})
    assert counts(result) == {"matched": 3, "would_update": 1, "updated": 1, "unchanged": 2}
    left = {line.port: line.seconds for line in listed(netns)}
    assert seconds - PASSING <= left[1] <= seconds
    assert 80 - PASSING <= left[2] <= 80
    assert recap(netns, match=ALL, timeout={"max": cap}).data["changed"] is False


def test_a_sysctl_of_0_does_not_end_entries_at_once(netns: str) -> None:
    insert(TCP.format(1), netns=netns)
    sysctl(netns, tcp_timeout_established=0)
    assert counts(recap(netns, timeout="settings", check=True))["would_update"] == 1
    with inside(netns), WritableTable() as table:
        aim = Aim("settings", None, read_settings())
        [entry] = table.read(lambda blocks: [entry for block in blocks for entry in block.entries()])
        assert aim.cap(entry) == 1


def test_match_and_exclude(netns: str) -> None:
    insert(*(TCP.format(port) for port in range(1, 11)), netns=netns)
    match, exclude = [{"source_port": "1-6"}], [{"source_port": 3}]
    result = recap(netns, timeout={"max": 900}, match=match, exclude=exclude)
    assert counts(result) == {"matched": 5, "would_update": 5, "updated": 5}
    assert {line.port for line in listed(netns) if line.seconds <= 900} == {1, 2, 4, 5, 6}


@pytest.mark.parametrize("zone", [0, 7, 8])
def test_the_same_tuple_in_another_zone_stays(netns: str, zone: int) -> None:
    entry = TCP.format(1)
    insert(entry, f"{entry} -w 7", f"{entry} -w 8", netns=netns)
    assert counts(recap(netns, match=[{"zone": zone}], timeout={"max": 900}, mark="9"))["updated"] == 1
    assert {(line.zone, line.seconds <= 900, line.mark) for line in listed(netns)} == {
        (each, each == zone, 9 if each == zone else 0) for each in (0, 7, 8)
    }


@pytest.mark.parametrize("option", ["--orig-zone 7", "--reply-zone 7"])
def test_a_zone_of_one_direction(netns: str, option: str) -> None:
    insert(f"{TCP.format(1)} {option}", f"{TCP.format(2)}", netns=netns)
    assert counts(recap(netns, match=ALL, timeout={"max": 900})) == {"matched": 2, "would_update": 2, "updated": 2}
    assert {line.seconds <= 900 for line in listed(netns)} == {True}


def test_addresses_that_are_translated(netns: str) -> None:
    insert(f"{TCP.format(1)} -n 192.0.2.9", f"{TCP.format(2)} -g 192.0.2.9", netns=netns)
    assert counts(recap(netns, timeout={"max": 900}, mark=1, match=[{"protocol": "tcp"}]))["updated"] == 2
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
    predicted = recap(netns, **options, check=True, diff=True)
    assert [line.mark for line in sorted(listed(netns), key=lambda line: line.port)] == [before, after, before]
    result = recap(netns, **options, diff=True)
    assert counts(result) == {"matched": 2, "would_update": 1, "updated": 1, "unchanged": 1}
    assert counts(predicted) == {"matched": 2, "would_update": 1, "unchanged": 1}
    marks = [line.mark for line in sorted(listed(netns), key=lambda line: line.port)]
    assert marks == [after, after, before]
    assert {line.seconds > LONG - PASSING for line in listed(netns)} == {True}
    assert result.data["diff"] == predicted.data["diff"]
    assert re.search("^1  ipv4 tcp ESTABLISHED unreplied: mark other than 0x", result.data["diff"]["before"])
    again = recap(netns, **options)
    assert (again.data["changed"], counts(again)) == (False, {"matched": 2, "unchanged": 2})


def test_the_mark_of_an_entry_with_a_fixed_timeout(netns: str) -> None:
    insert(
        f"{TCP.format(1)} -u FIXED_TIMEOUT", TCP.format(2), f"{TCP.format(3)} -u FIXED_TIMEOUT -m 5 -t 800", netns=netns
    )
    result = recap(netns, match=[{"protocol": "tcp"}], timeout={"max": 900}, mark="5", diff=True)
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
    result = recap(netns, **options, env={"SSH_CONNECTION": SSH})
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
    result = recap(netns, match=ALL, timeout={"max": 9}, wrapper=UNPRIVILEGED)
    assert result.failed
    assert "become" in result.msg


def test_a_namespace_by_name(netns: str) -> None:
    insert(TCP.format(1), netns=netns)
    result = run_module("conntrack_update", {"timeout": {"max": 900}, "match": ALL, "netns": netns})
    assert result.data["updated"] == 1
    assert [line.seconds <= 900 for line in listed(netns)] == [True]


# What happens between the reading and the update

Mark = tuple[int, int]
Meanwhile = t.Callable[[t.Callable[[], object], int | str, Mark | None], dict[str, t.Any]]


@pytest.fixture
def updated_meanwhile(netns: str, monkeypatch: pytest.MonkeyPatch) -> t.Iterator[Meanwhile]:
    """Be in the namespace, and give what updates every entry and has something done before the first is looked up."""
    with inside(netns), WritableTable() as table:

        def run_it(
            action: t.Callable[[], object], timeout: int | str, mark: tuple[int, int] | None
        ) -> dict[str, t.Any]:
            context = Context.read(read_settings())
            plan = Plan(compile_selection(None, None, context), Aim(timeout, mark, context.settings), ())
            look_up = table.look_up

            def delayed(*args: t.Any) -> t.Any:
                action()
                return look_up(*args)

            monkeypatch.setattr(table, "look_up", delayed)
            result = update(table, plan, dry_run=False).result(with_diff=False)
            ends = ("updated", "already_gone", "failed")
            assert sum(result[name] for name in ends) <= result["would_update"]
            return {name: value for name, value in result.items() if value}

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
    result = updated_meanwhile(lambda: replace(TCP.format(50)), 900, (5, 0xFF))
    assert result == {"changed": True, "matched": 100, "would_update": 100, "updated": 99, "already_gone": 1}
    assert [(line.port, line.mark) for line in listed() if line.seconds > 900] == [(50, 0)]


def test_what_is_gone_is_not_made_again(updated_meanwhile: Meanwhile) -> None:
    insert(*(TCP.format(port) for port in range(1, 101)))
    gone = ["conntrack", "-D", "-p", "tcp", "--sport", "50"]
    result = updated_meanwhile(lambda: run(gone), 900, None)
    assert (result["updated"], result["already_gone"]) == (99, 1)
    assert sorted(line.port for line in listed()) == [port for port in range(1, 101) if port != 50]


def test_all_are_gone(updated_meanwhile: Meanwhile) -> None:
    insert(*(TCP.format(port) for port in range(1, 101)))
    result = updated_meanwhile(lambda: run(["conntrack", "-F"]), 900, None)
    assert result == {"matched": 100, "would_update": 100, "already_gone": 100}
    assert listed() == []


def test_an_entry_that_came_to_another_state_gets_the_cap_of_that(netns: str, updated_meanwhile: Meanwhile) -> None:
    sysctl(netns, tcp_timeout_established=CAP, tcp_timeout_time_wait=100, tcp_timeout_fin_wait=LONG + 9)
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


def targets(blocks: t.Iterator[Block]) -> _requests.Targets[str]:
    found = _requests.Targets[str]()
    for block in blocks:
        found.add(block, "all")
    return found


def with_timeout(seconds: int) -> _requests.Request:
    """Give an update with any timeout."""
    return _requests.Request(0x100, struct.pack("=HH", 8, 7) + struct.pack("!I", seconds))


def test_a_timeout_of_0_ends_an_entry(netns: str) -> None:
    with inside(netns), WritableTable() as table:
        insert(TCP.format(1))
        assert table.update(table.read(targets), with_timeout(0)) == {("all", 0): 1}
        assert listed() == []
    with pytest.raises(ValueError, match="end the entry"):
        _requests.update(0, None)


def test_a_fixed_timeout_is_refused(netns: str) -> None:
    with inside(netns), WritableTable() as table:
        insert(f"{TCP.format(1)} -u FIXED_TIMEOUT")
        assert table.update(table.read(targets), _requests.update(900, (5, 5))) == {
            ("all", errno.EPERM): 1,
            ("all", 0): 0,
        }
        assert [(line.mark, line.seconds > 900) for line in listed()] == [(0, True)]


def test_an_update_never_makes_an_entry(netns: str) -> None:
    with inside(netns), WritableTable() as table:
        insert(TCP.format(1))
        found = table.read(targets)
        run(["conntrack", "-F"])
        assert table.update(found, _requests.update(900, None)) == {("all", errno.ENOENT): 1, ("all", 0): 0}
        assert listed() == []


def test_an_update_changes_nothing_else(netns: str) -> None:
    entry = (
        f"-p tcp -s 198.18.0.1 -d 203.0.113.1 --sport 1 --dport 2 --state CLOSE_WAIT {REPLIED} -n 192.0.2.1 -w 3 -m 9"
    )
    insert(entry, "-p udp -s 2001:db8::1 -d 2001:db8::2 --sport 1 --dport 2", netns=netns)

    def shown() -> list[str]:
        return [re.sub(r"^(\S+ +\d+ +\S+ +\d+ )\d+ ", r"\1", line) for line in _listing(netns)]

    before = shown()
    assert counts(recap(netns, match=ALL, timeout={"max": 900}))["updated"] == 2
    assert shown() == before
    assert {line.seconds <= 900 for line in listed(netns)} == {True}

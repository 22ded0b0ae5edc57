# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Entries that are described, made in the kernel, against conntrack(8): once, and never over one that is there."""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.module_utils._listing.entry_lines import line_of, line_of_json
from helpers.kernel_entries import LASTING, fill, settable
from helpers.support import ModuleResult, assert_refused, network_namespace, run, run_module

SIP = {
    "protocol": "udp",
    "source": "10.0.0.5",
    "source_port": 5060,
    "destination": "203.0.113.9",
    "destination_port": 5060,
    "remaining": "1h",
}
COUNTS = ("wanted", "existing", "would_create", "created", "refused", "changed")


@pytest.fixture
def netns() -> t.Iterator[str]:
    with network_namespace("create") as name:
        yield name


def create(netns: str, *entries: t.Any, check: bool = False) -> ModuleResult:
    return run_module("conntrack_create", {"entries": list(entries)}, netns=netns, check=check, diff=True)


def counts(result: ModuleResult) -> tuple[t.Any, ...]:
    assert not result.failed, result.msg
    return tuple(result.data[name] for name in COUNTS)


def test_made_once(netns: str) -> None:
    assert counts(create(netns, SIP, check=True)) == (1, 0, 1, 0, 0, True)
    assert settable(netns) == []
    first = create(netns, SIP)
    assert counts(first) == (1, 0, 1, 1, 0, True)
    assert first.data["diff"]["after"] == "1  ipv4 udp unreplied\n"
    assert counts(create(netns, SIP)) == (1, 1, 0, 0, 0, False)
    assert "sport=5060 dport=5060 [UNREPLIED] src=203.0.113.9 dst=10.0.0.5" in settable(netns)[0]
    # Its reply is the tuple of another one, and it has one of its own.
    other = {**SIP, "source": "10.0.0.6"}
    assert counts(create(netns, SIP, other)) == (2, 1, 1, 1, 0, True)


@pytest.mark.parametrize(
    ("entry", "command"),
    [
        (
            {**SIP, "reply_destination": "198.51.100.1", "replied": True, "assured": True, "mark": 7},
            "-s 10.0.0.5 -d 203.0.113.9 -p udp --sport 5060 --dport 5060 -n 198.51.100.1 -u SEEN_REPLY,ASSURED -m 7",
        ),
        (
            {**SIP, "protocol": 17, "reply_source": "10.9.9.9", "reply_source_port": 5070, "zone": 4},
            "-s 10.0.0.5 -d 203.0.113.9 -p udp --sport 5060 --dport 5060 -g 10.9.9.9:5070 -w 4",
        ),
        (
            {**SIP, "protocol": "tcp", "state": "ESTABLISHED", "status": ["SEEN_REPLY", "ASSURED"], "zone_original": 9},
            "-s 10.0.0.5 -d 203.0.113.9 -p tcp --sport 5060 --dport 5060 --state ESTABLISHED -u SEEN_REPLY,ASSURED"
            " --orig-zone 9",
        ),
        (
            {
                "protocol": "icmpv6",
                "source": "2001:db8::1",
                "destination": "2001:db8::2",
                "remaining": 90,
                "icmp_type": 128,
                "icmp_code": 0,
                "icmp_id": 77,
            },
            "-s 2001:db8::1 -d 2001:db8::2 -p icmpv6 --icmpv6-type 128 --icmpv6-code 0 --icmpv6-id 77",
        ),
        (
            {
                "protocol": "gre",
                "source": "10.0.0.1",
                "destination": "10.0.0.2",
                "remaining": "5m",
                "source_key": 3,
                "destination_key": 4,
            },
            "-s 10.0.0.1 -d 10.0.0.2 -p gre --srckey 3 --dstkey 4",
        ),
        (
            {"protocol": "50", "source": "10.0.0.1", "destination": "10.0.0.2", "remaining": 90},
            "-s 10.0.0.1 -d 10.0.0.2 -p 50",
        ),
    ],
    ids=["snat", "dnat", "tcp", "icmpv6", "gre", "esp"],
)
def test_as_the_tool_makes_it(netns: str, entry: dict[str, t.Any], command: str) -> None:
    run(["conntrack", "-I", *command.split(), "-t", "3600"], netns=netns)
    [wanted] = settable(netns)
    assert create(netns, entry).data["existing"] == 1
    run(["conntrack", "-F"], netns=netns)
    assert counts(create(netns, entry)) == (1, 0, 1, 1, 0, True)
    assert settable(netns) == [wanted]


def test_what_one_router_returns_another_one_makes(tmp_path: pathlib.Path) -> None:
    with network_namespace("old") as old, network_namespace("new") as new:
        for netns in old, new:
            run(["sysctl", "-qw", *LASTING], netns=netns)
        fill(old)
        fill(new)
        run(["conntrack", "-F"], netns=new)
        options = {"entries": True, "limit": 1000, "dest": str(tmp_path / "table.ndjson"), "format": "ndjson"}
        found = run_module("conntrack_info", options, netns=old)
        before = settable(old)
        done = create(new, *found.data["entries"])
        assert counts(done)[:1] + counts(done)[3:] == (len(before), len(before), 0, True)
        assert settable(new) == before
        # The same from the file, with a reader of its own.
        run(["conntrack", "-F"], netns=new)
        restored = run_module("conntrack_restore", {"src": str(tmp_path / "table.ndjson")}, netns=new)
        assert not restored.failed, restored.msg
        assert restored.data["restored"] == len(before)
        assert settable(new) == before
        read = run_module("conntrack_info", {"src": str(tmp_path / "table.ndjson"), "limit": 1000, "entries": True})
        assert (read.data["total"], read.data["not_understood"]) == (len(before), 0)
        assert {_told(each) for each in read.data["entries"]} == {_told(each) for each in found.data["entries"]}


def _told(entry: dict[str, t.Any]) -> str:
    """Return what both the table and a file tell of an entry."""
    names = ("protocol", "source", "destination", "source_port", "reply_destination", "reply_source", "mark", "zone")
    return json.dumps([entry[name] for name in (*names, "state", "replied", "assured", "labels", "helper")])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"prtocol": "tcp"}, ("entries[0].prtocol: 'tcp' is no field of an entry", "Did you mean protocol?")),
        ({"protocol": None}, ("entries[0].protocol: None is missing",)),
        ({"protocol": "tpc"}, ("entries[0].protocol: 'tpc'",)),
        ({"protocol": "tcp"}, ("entries[0].state: None is missing", "ESTABLISHED")),
        ({"protocol": "tcp", "state": "OPEN"}, ("entries[0].state: 'OPEN' is no state", "ESTABLISHED")),
        ({"source": "10.0.0.0/8"}, ("entries[0].source: '10.0.0.0/8' is no address",)),
        ({"destination": "2001:db8::1"}, ("entries[0].destination: '2001:db8::1' is not of ipv4",)),
        ({"destination": None}, ("entries[0].destination: None is missing",)),
        ({"source_port": 65536}, ("entries[0].source_port: 65536",)),
        ({"destination_port": None}, ("entries[0].destination_port: None is missing",)),
        ({"remaining": None}, ("entries[0].remaining: None is missing", "such as 1h")),
        ({"remaining": 0}, ("entries[0].remaining: 0 is out of range",)),
        ({"remaining": "soon"}, ("entries[0].remaining: 'soon'",)),
        ({"status": ["LIVE"]}, ("entries[0].status: 'LIVE' is no bit of the status", "SEEN_REPLY")),
        ({"mark": "0x1ffffffff"}, ("entries[0].mark",)),
        ({"zone": 70000}, ("entries[0].zone: 70000",)),
        ({"labels": [128]}, ("entries[0].labels: 128",)),
        ({"helper": "a b"}, ("entries[0].helper: 'a b' is no name of a helper",)),
        ({"helper": "ftp\n-A"}, ("entries[0].helper",)),
        ({"protocol": "icmp"}, ("entries[0].icmp_type: None is missing",)),
    ],
    ids=str,
)
def test_a_mistake_in_one_is_found_before_any_is_made(
    netns: str, change: dict[str, t.Any], words: tuple[str, ...]
) -> None:
    assert_refused(create(netns, {**SIP, **change}, {**SIP, "source": "10.0.0.9"}), *words)
    later = create(netns, {**SIP, "source": "10.0.0.9"}, {**SIP, **change})
    assert_refused(later, words[0].replace("[0]", "[1]"))
    assert settable(netns) == []


def test_what_is_no_entry() -> None:
    wrong: t.Any
    for wrong in None, [], "tcp", 7:
        with pytest.raises(OptionError, match="is no entry"):
            line_of(wrong, "entries[0]")
    for text in b"{", b'{"protocol": "tcp"}', b"[1]", b"\xff", b"", b"[" * 99999:
        assert line_of_json(text) == text


def test_what_the_kernel_refuses(netns: str) -> None:
    result = create(netns, {**SIP, "helper": "no-such-helper"}, {**SIP, "source": "10.0.0.9"})
    assert result.failed
    assert (result.data["created"], result.data["refused"], result.data["changed"]) == (1, 1, True)
    assert sum(result.data["failures"].values()) == 1
    assert len(settable(netns)) == 1

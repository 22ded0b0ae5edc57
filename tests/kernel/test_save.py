# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The format save, next to what ``conntrack -L -o save`` prints, and what ``conntrack -R`` makes of it."""

from __future__ import annotations

import ipaddress
import pathlib
import re
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._query.save import SaveLines
from helpers.encoded_messages import blocks_of
from helpers.kernel_entries import ACCOUNTING, LASTING, MADE, fill, read_beside, shown
from helpers.support import network_namespace, run, run_module

NO_CONTEXT = Context({}, 0)
_UNTRACKED = {"protocol": "dccp"}
"""Whose line the tool prints and does not take, where the kernel has no tracker for it."""


@pytest.fixture(scope="module", params=["accounting", "plain"])
def filled(request: pytest.FixtureRequest) -> t.Iterator[str]:
    with network_namespace("save") as netns:
        run(["sysctl", "-qw", *LASTING], netns=netns)
        if request.param == "accounting":
            run(["sysctl", "-qw", *ACCOUNTING], netns=netns)
        fill(netns)
        yield netns


def as_the_tool(line: str) -> str:
    """Return a line without what the tool does not print."""
    return re.sub(r" -m \d+$", "", line.rpartition("\n")[2])


def test_lines_are_those_of_the_tool(filled: str) -> None:
    blocks, context, text = read_beside(filled, "save")
    lines_of = SaveLines(context)
    lines = [line for block in blocks for line in lines_of(block)]
    assert "-u EXPECTED,SEEN_REPLY" in text
    assert sorted(map(as_the_tool, lines)) == sorted(text.replace("EXPECTED,", "").splitlines())
    assert len(lines) > len(MADE) + 20


@pytest.mark.parametrize(
    "word",
    [
        *(f"-p {name} " for name in ("tcp", "udp", "udplite", "icmp", "icmpv6", "sctp", "gre")),
        "-p 99",
        "-u UNSET",
        "-u SEEN_REPLY,ASSURED",
        "-u FIXED_TIMEOUT",
        "-w 5",
        "--orig-zone 9",
        "--reply-zone 8",
        "-n 203.0.113.1",
        "-g 203.0.113.1",
        "-n 127.0.0.100",
        "--reply-vtag 2",
        "--reply-key-src 683",
        "--icmpv6-id 77",
        "--icmp-type 13",
        "SHUTDOWN_ACK_SENT",
    ],
)
def test_the_comparison_covers(filled: str, word: str) -> None:
    assert word in shown(filled, "save")


def without_times(listed: str) -> list[str]:
    return sorted(re.sub(r"^(\S+ +\d+ \S+ +\d+) \d+| use=\d+| helper=\S+", r"\1", line) for line in listed.splitlines())


def saved(netns: str, path: pathlib.Path, **args: t.Any) -> list[str]:
    """Return the lines of the file that conntrack_info writes."""
    assert not run_module("conntrack_info", {"dest": str(path), "format": "save", **args}, netns=netns).failed
    return path.read_text().splitlines()


def test_the_tool_makes_the_same_table_of_a_file(filled: str, tmp_path: pathlib.Path) -> None:
    lines = saved(filled, tmp_path / "table", match=[{"family": "ipv4,ipv6"}], exclude=[_UNTRACKED])
    with network_namespace("restored") as other:
        run(["conntrack", "-R", str(tmp_path / "table")], netns=other)
        restored = shown(other, "extended")
    before = [line for line in shown(filled, "extended").splitlines() if not line.startswith("ipv4     2 dccp")]
    counters = r" (packets|bytes|delta-time)=\d+"
    assert without_times(restored) == without_times(re.sub(counters, "", "\n".join(before)))
    assert lines[-1] == f"# complete {len(before)}"


def test_a_file_says_when_it_was_written(filled: str, tmp_path: pathlib.Path) -> None:
    lines = saved(filled, tmp_path / "table", match=[{"protocol": "icmp"}])
    pattern = r"# netops.conntrack backup 1 at=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ seconds=\d+ boot=[0-9a-f-]{36}"
    assert re.fullmatch(pattern, lines[0])
    assert lines[-1] == f"# complete {len(lines) - 2}" != "# complete 0"


def test_an_empty_file_is_whole(filled: str, tmp_path: pathlib.Path) -> None:
    lines = saved(filled, tmp_path / "table", match=[{"source": "192.0.2.77"}])
    assert lines[1:] == ["# complete 0"]


def line_of(fields: dict[str, t.Any], context: Context = NO_CONTEXT) -> str:
    [block] = blocks_of(fields)
    [line] = SaveLines(context)(block)
    return line


TCP = {"protocol": _uapi.TCP, "source_port": 1, "destination_port": 2}
TUPLES = "-s 198.18.0.1 -d 203.0.113.1 -r 203.0.113.1 -q 198.18.0.1 -p tcp --sport 1 --dport 2"


@pytest.mark.parametrize(
    ("fields", "comment"),
    [
        ({"labels": bytes(16)}, ""),
        ({"labels": (1 << 37).to_bytes(16, "little")}, "# labels=0x2000000000\n"),
        ({"helper": "ftp-2121"}, "# helper=ftp-2121\n"),
        ({"helper": "a b\nA \x7f"}, "# helper=a?b?A??\n"),
        ({"labels": b"\x20" + bytes(15), "helper": "sip"}, "# labels=0x20 helper=sip\n"),
    ],
)
def test_what_the_tool_cannot_take_is_a_comment_before(fields: dict[str, t.Any], comment: str) -> None:
    line = line_of({**TCP, "status": _uapi.SEEN_REPLY, "remaining": 7, **fields})
    assert line.startswith(f"{comment}-A -t 7 -u SEEN_REPLY {TUPLES}")


@pytest.mark.parametrize(("reply_id", "comment"), [(5, ""), (7, "# reply-icmp-id=7\n")])
def test_a_translated_id_of_icmp_is_in_the_comment(reply_id: int, comment: str) -> None:
    numbers = {"icmp_type": 8, "icmp_code": 0, "icmp_id": 5, "reply_icmp_id": reply_id}
    line = line_of({"protocol": _uapi.ICMP, "status": _uapi.SEEN_REPLY, "remaining": 7, **numbers})
    assert line.startswith(f"{comment}-A -t 7 -u SEEN_REPLY ")
    assert line.endswith(" -p icmp --icmp-type 8 --icmp-code 0 --icmp-id 5")


@pytest.mark.parametrize(
    ("fields", "head"),
    [
        (TCP, "-A -t 432000 -u SEEN_REPLY,ASSURED"),
        ({**TCP, "protocol": _uapi.UDP}, "-A -t 120 -u SEEN_REPLY,ASSURED"),
        ({**TCP, "status": _uapi.SEEN_REPLY}, "-A -u SEEN_REPLY"),
    ],
)
def test_an_offloaded_entry_gets_what_it_gets_later(fields: dict[str, t.Any], head: str) -> None:
    context = Context({"tcp_timeout_established": 432000, "udp_timeout_stream": 120, "udp_timeout": 30}, 0)
    line = line_of({"status": _uapi.OFFLOAD | _uapi.SEEN_REPLY | _uapi.ASSURED, **fields}, context)
    assert line.startswith(f"{head} -s 198.18.0.1 ")
    assert line.endswith(" --state ESTABLISHED") == ("432000" in head)


def test_a_role_of_dccp_has_the_tools_name() -> None:
    fields = {**TCP, "protocol": _uapi.DCCP, "state": 1, "status": 0, "remaining": 7, "mark": 3}
    assert line_of({**fields, "dccp_role": 1}).endswith("--state REQUEST --role server -m 3")
    assert line_of({**fields, "dccp_role": 9}).endswith("--state REQUEST -m 3")


def test_rows_of_a_block_differ_in_everything() -> None:
    """Both translated and not, and with other states: what is the same in all rows must not be taken from one."""
    done = _uapi.SRC_NAT_DONE | _uapi.DST_NAT_DONE
    rows = [
        {"status": done, "reply_destination": "192.0.2.1", "state": 3, "mark": 1},
        {"status": done, "reply_source": "192.0.2.2", "state": 1, "mark": 0},
        {"status": 0, "reply_source": "192.0.2.3", "reply_source_port": 99, "state": 2, "mark": 0},
    ]
    [block] = blocks_of(*({**TCP, "remaining": number, **row} for number, row in enumerate(rows)))
    ends = "-p tcp --sport 1 --dport 2 --reply-port-src {} --reply-port-dst 1 --state"
    two = ends.format(2)
    assert SaveLines(NO_CONTEXT)(block) == [
        f"-A -t 0 -u UNSET -s 198.18.0.1 -d 203.0.113.1 -r 203.0.113.1 -n 192.0.2.1 {two} ESTABLISHED -m 1",
        f"-A -t 1 -u UNSET -s 198.18.0.1 -d 203.0.113.1 -g 192.0.2.2 -q 198.18.0.1 {two} SYN_SENT",
        f"-A -t 2 -u UNSET -s 198.18.0.1 -d 203.0.113.1 -r 192.0.2.3 -q 198.18.0.1 {ends.format(99)} SYN_RECV",
    ]


MANY = 1000
ADDRESSES: dict[str, t.Callable[[int], str]] = {
    "one": lambda _number: "10.0.0.1",
    "few": lambda number: f"10.0.{number % 7}.1",
    "many": lambda number: f"10.{number // 250}.{number % 250}.1",
    "same at first": lambda number: f"10.0.{max(0, number - 500) // 250}.{max(0, number - 500) % 250}",
    "same at last": lambda number: f"10.0.{min(number, 500) // 250}.{min(number, 500) % 250}",
    "one of IPv6": lambda _number: "2001:db8::1",
    "many of IPv6": lambda number: f"2001:db8::{number:x}:1",
}


@pytest.mark.parametrize("source", ADDRESSES)
@pytest.mark.parametrize("ports", [1, MANY])
def test_many_rows_are_as_one_by_one(source: str, ports: int) -> None:
    """What is the same in all rows, few and many different values are made texts in different ways."""
    rows = [
        {**TCP, "source": ADDRESSES[source](number), "source_port": number % ports, "remaining": number, "status": 0}
        for number in range(MANY)
    ]
    [block] = blocks_of(*rows)
    lines_of = SaveLines(NO_CONTEXT)
    lines = lines_of(block)
    assert lines == [line for row in rows for one in blocks_of(row) for line in lines_of(one)]
    assert [line.split()[2] for line in lines] == [str(row["remaining"]) for row in rows]
    assert [line.split(" -s ")[1].split()[0] for line in lines] == [_shown(row["source"]) for row in rows]
    assert [line.split(" --sport ")[1].split()[0] for line in lines] == [str(row["source_port"]) for row in rows]


def _shown(address: t.Any) -> str:
    return str(ipaddress.ip_address(address))


def test_rows_that_are_all_the_same_are_a_line_each() -> None:
    """Also without a timeout, so that no part of the lines differs."""
    [block] = blocks_of(*({**TCP, "protocol": _uapi.UDP, "status": 0, "id": number} for number in range(3)))
    line = f"-A -u UNSET {TUPLES.replace('tcp', 'udp')} --reply-port-src 2 --reply-port-dst 1"
    assert SaveLines(NO_CONTEXT)(block) == [line] * 3
    assert SaveLines(NO_CONTEXT)(block.where([False] * 3)) == []

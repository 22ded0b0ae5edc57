# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module against the kernel, in a network namespace; conntrack(8) is the judge."""

from __future__ import annotations

import csv
import json
import pathlib
import re
import stat
import time
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._query.export import exporting
from ansible_collections.netops.conntrack.plugins.module_utils._query.query import Query, run_query
from ansible_collections.netops.conntrack.plugins.module_utils._selector.compiler import compile_selection
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block
from helpers.encoded_messages import Fields, blocks_of
from helpers.kernel_entries import ACCOUNTING, MADE, fill
from helpers.support import PATIENCE, SYSTEM_PYTHON, ModuleResult, network_namespace, run, run_module

TCP, UDP, SIX = 120, 30, 7
LINES = [
    *(
        f"-I -p tcp -s 198.18.{number % 3}.{number} -d 203.0.113.1 --sport {1000 + number} --dport 443 "
        f"-t {5000 + number} --state {'ESTABLISHED' if number % 2 else 'SYN_SENT'} -m {number}"
        for number in range(TCP)
    ),
    *(f"-I -p udp -s 198.18.9.{number} -d 203.0.113.2 --sport 53 --dport 53 -t 900" for number in range(UDP)),
    *(f"-I -p udp -s 2001:db8::{number:x} -d 2001:db8::ff --sport 53 --dport 53 -t 900" for number in range(SIX)),
]
TOTAL = TCP + UDP + SIX


def info(netns: str, args: dict[str, t.Any] | None = None, **options: t.Any) -> ModuleResult:
    """Run the module, with 100 entries as dicts unless ``args`` say something else."""
    return run_module("conntrack_info", {"entries": True, "limit": 100, **(args or {})}, netns=netns, **options)


@pytest.fixture(scope="module")
def netns() -> t.Iterator[str]:
    with network_namespace("info") as name:
        # The first entries have no counters, the others have.
        run(["conntrack", "-R", "-"], netns=name, text="\n".join(LINES[:TCP]) + "\n")
        run(["sysctl", "-qw", "net.netfilter.nf_conntrack_acct=1"], netns=name)
        run(["conntrack", "-R", "-"], netns=name, text="\n".join(LINES[TCP:]) + "\n")
        yield name


def test_the_whole_table(netns: str) -> None:
    result = info(netns).data
    assert (result["total"], result["matched"], result["undecidable"]) == (TOTAL, TOTAL, 0)
    assert (result["changed"], result["dest"], result["groups"], result["groups_distinct"]) == (False, None, [], 0)
    assert len(result["entries"]) == 100
    shown = run(["conntrack", "-L", "-o", "extended,id"], netns=netns).splitlines()
    returned = {entry["id"] for entry in result["entries"]}
    assert len(returned) == 100
    assert returned < {int(line.split("id=")[1]) for line in shown}


@pytest.mark.parametrize("python", [SYSTEM_PYTHON])
def test_with_the_systems_own_python_from_outside(netns: str, python: str) -> None:
    result = run_module("conntrack_info", {"netns": netns, "match": [{"protocol": "udp"}]}, python=python)
    assert result.data["matched"] == UDP + SIX


@pytest.mark.parametrize(
    ("args", "judge"),
    [
        ({"match": [{"protocol": "tcp", "state": "ESTABLISHED"}]}, "-p tcp --state ESTABLISHED"),
        ({"match": [{"source": "198.18.1.0/24"}]}, "-s 198.18.1.0/24"),
        ({"match": [{"family": "ipv6"}]}, "-f ipv6"),
        ({"match": [{"mark": "0x5/0x7"}]}, "-m 0x5/0x7"),
        ({"match": [{"protocol": "udp", "family": "ipv4", "source_port": 53}]}, "-f ipv4 -p udp --sport 53"),
    ],
)
def test_filters_select_what_the_tool_selects(netns: str, args: dict[str, t.Any], judge: str) -> None:
    shown = run(["conntrack", "-L", "-o", "id,extended", *judge.split()], netns=netns).splitlines()
    result = info(netns, args).data
    assert 0 < result["matched"] == len(shown) < TOTAL
    assert sorted(entry["id"] for entry in result["entries"]) == sorted(int(line.split("id=")[1]) for line in shown)


def test_exclude_and_undecidable(netns: str) -> None:
    result = info(netns, {"match": [{"packets": {"min": 0}}], "exclude": [{"family": "ipv6"}]}).data
    assert (result["matched"], result["undecidable"], result["total"]) == (UDP, TCP, TOTAL)


def test_groups(netns: str) -> None:
    result = info(netns, {"group_by": ["protocol", "family", "state"], "limit": 3}).data
    tcp = {"protocol": "tcp", "family": "ipv4", "entries": 60, "packets": None, "bytes": None, "without_counters": 60}
    udp = {"protocol": "udp", "family": "ipv4", "state": None, "entries": UDP, "packets": 0, "bytes": 0}
    first, second, third = result["groups"]
    assert sorted([first, second], key=lambda group: str(group["state"])) == [
        {**tcp, "state": "ESTABLISHED"},
        {**tcp, "state": "SYN_SENT"},
    ]
    assert third == {**udp, "without_counters": 0}
    assert result["groups_distinct"] == 4
    assert result["matched"] == TOTAL


def test_groups_by_a_list(netns: str) -> None:
    [group] = info(netns, {"group_by": ["nat", "labels"]}).data["groups"]
    assert (group["nat"], group["labels"], group["entries"]) == ([], [], TOTAL)


@pytest.mark.parametrize(
    ("args", "returned"),
    [
        ({}, {"lines"}),
        ({"sort_by": ["source"]}, {"lines"}),
        ({"entries": True}, {"entries"}),
        ({"group_by": ["protocol"]}, {"groups"}),
        ({"lines": True}, {"lines"}),
        ({"group_by": ["protocol"], "entries": True}, {"groups", "entries"}),
        ({"group_by": ["protocol"], "lines": True}, {"groups", "lines"}),
        ({"group_by": ["protocol"], "lines": True, "entries": True}, {"groups", "lines", "entries"}),
        ({"lines": False}, set()),
    ],
)
def test_what_is_returned(netns: str, args: dict[str, t.Any], returned: set[str]) -> None:
    result = run_module("conntrack_info", {**args, "limit": 2}, netns=netns).data
    assert {name: len(result[name]) for name in ("groups", "lines", "entries")} == {
        name: 2 if name in returned else 0 for name in ("groups", "lines", "entries")
    }
    assert (result["total"], result["matched"]) == (TOTAL, TOTAL)


@pytest.mark.parametrize("args", [{}, {"match": "protocol=udp"}, {"match": "source=198.18.1.7 protocol=tcp"}])
def test_what_one_types_without_options_fits_a_screen(netns: str, args: dict[str, t.Any]) -> None:
    result = run_module("conntrack_info", args, netns=netns).data
    assert len(json.dumps(result, indent=4).splitlines()) < 50
    assert len(result["lines"]) == min(result["matched"], 10) > 0
    # The fields of the line are aligned, so only the addresses are compared.
    listed = run(["conntrack", "-L"], netns=netns) + run(["conntrack", "-L", "-f", "ipv6"], netns=netns)
    known = {addresses(line) for line in listed.splitlines()}
    assert {addresses(line) for line in result["lines"]} <= known


def addresses(line: str) -> str:
    return " ".join(re.findall("(?:src|dst|sport|dport)=[^ ]+", line))


def networks(netns: str, name: str) -> dict[str | None, int]:
    """Return the number of entries for each network of a grouping by ``name``."""
    groups = info(netns, {"group_by": [name]}).data["groups"]
    counts = {group[name]: group["entries"] for group in groups}
    assert len(counts) == len(groups)
    return counts


FORTY = TCP // 3


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        (
            "source/24",
            {
                "198.18.0.0/24": FORTY,
                "198.18.1.0/24": FORTY,
                "198.18.2.0/24": FORTY,
                "198.18.9.0/24": UDP,
                None: SIX,
            },
        ),
        ("source/23", {"198.18.0.0/23": 2 * FORTY, "198.18.2.0/23": FORTY, "198.18.8.0/23": UDP, None: SIX}),
        ("source/0", {"0.0.0.0/0": TCP + UDP, None: SIX}),
        ("destination/32", {"203.0.113.1/32": TCP, "203.0.113.2/32": UDP, None: SIX}),
        ("source/64", {None: TCP + UDP, "2001:db8::/64": SIX}),
        (
            "source/127",
            {None: TCP + UDP, "2001:db8::/127": 2, "2001:db8::2/127": 2, "2001:db8::4/127": 2, "2001:db8::6/127": 1},
        ),
        ("reply_source/128", {None: TCP + UDP, "2001:db8::ff/128": SIX}),
        ("reply_destination/16/32", {"198.18.0.0/16": TCP + UDP, "2001:db8::/32": SIX}),
        ("source/0/0", {"0.0.0.0/0": TCP + UDP, "::/0": SIX}),
        ("destination/8/128", {"203.0.0.0/8": TCP + UDP, "2001:db8::ff/128": SIX}),
    ],
)
def test_groups_by_network(netns: str, name: str, wanted: dict[str | None, int]) -> None:
    assert networks(netns, name) == wanted


def test_a_network_beside_another_field(netns: str) -> None:
    groups = info(netns, {"group_by": ["family", "source/16"]}).data["groups"]
    assert [(group["family"], group["source/16"], group["entries"]) for group in groups] == [
        ("ipv4", "198.18.0.0/16", TCP + UDP),
        ("ipv6", None, SIX),
    ]


_REMAINING = re.compile(r"^(\S+ +\d+) (\d+) ")


def remaining_by_line(lines: t.Iterable[str]) -> dict[str, int]:
    """Return the remaining seconds of each line by the rest of it."""
    found = {_REMAINING.sub(r"\1 T ", line): _REMAINING.match(line) for line in lines}
    return {rest: int(match[2]) for rest, match in found.items() if match}


def listed_between(lines: t.Sequence[str], before: str, after: str) -> bool:
    """Return whether these are the lines of the two listings, with remaining seconds that are between theirs."""
    most, least = remaining_by_line(before.splitlines()), remaining_by_line(after.splitlines())
    found = remaining_by_line(lines)
    same = found.keys() == most.keys() == least.keys()
    return same and all(least[rest] <= seconds <= most[rest] for rest, seconds in found.items())


@pytest.mark.parametrize("accounting", [False, True])
def test_lines_are_those_of_the_tool(accounting: bool) -> None:
    """Byte for byte, of every kind of entry, once no packet comes between the listings."""
    with network_namespace("lines") as netns:
        if accounting:
            run(["sysctl", "-qw", *ACCOUNTING], netns=netns)
        fill(netns)
        deadline = time.monotonic() + PATIENCE
        while True:
            before = run(["conntrack", "-L"], netns=netns)
            result = info(netns, {"lines": True, "limit": 1000}).data
            after = run(["conntrack", "-L"], netns=netns)
            if listed_between(result["lines"], before, after) or time.monotonic() > deadline:
                break
    assert listed_between(result["lines"], before, after)
    assert len(result["lines"]) == result["matched"] == len(before.splitlines()) > len(MADE) + 20
    assert all(word in before for word in ("zone=5", "zone-orig=9", "zone-reply=8", "mark=4660", "helper=ftp", "gre "))


def test_lines_are_sorted_as_entries(netns: str) -> None:
    args = {"sort_by": ["-mark"], "limit": 3, "lines": True, "entries": True}
    result = info(netns, args).data
    marks = [TCP - 1, TCP - 2, TCP - 3]
    assert [entry["mark"] for entry in result["entries"]] == marks
    assert [int(re.findall(r"mark=(\d+)", line)[0]) for line in result["lines"]] == marks


@pytest.mark.parametrize(
    ("sort_by", "field", "wanted"),
    [
        (["mark", "remaining"], "mark", [0, 0, 0]),
        (["-mark"], "mark", [TCP - 1, TCP - 2, TCP - 3]),
        (["protocol", "-source"], "source", ["198.18.2.119", "198.18.2.116", "198.18.2.113"]),
        (["-state", "source"], "source", ["198.18.0.0", "198.18.0.6", "198.18.0.12"]),
        (["-protocol", "source"], "source", ["198.18.9.0", "198.18.9.1", "198.18.9.2"]),
        (["packets", "family", "source"], "source", ["198.18.9.0", "198.18.9.1", "198.18.9.2"]),
        (["-packets", "family", "source"], "source", ["198.18.9.0", "198.18.9.1", "198.18.9.2"]),
        (["-source"], "source", ["2001:db8::6", "2001:db8::5", "2001:db8::4"]),
    ],
)
def test_sorting(netns: str, sort_by: list[str], field: str, wanted: list[t.Any]) -> None:
    result = info(netns, {"sort_by": sort_by, "limit": 3}).data
    assert [entry[field] for entry in result["entries"]] == wanted
    assert result["matched"] == TOTAL


def test_unknown_values_come_last(netns: str) -> None:
    for sort_by in ("packets", "-packets"):
        entries = info(netns, {"sort_by": [sort_by], "limit": TOTAL}).data["entries"]
        assert [entry["packets"] for entry in entries] == [0] * (UDP + SIX) + [None] * TCP


@pytest.mark.parametrize("sort_by", [[], ["id"]])
def test_limit_zero_still_counts(netns: str, sort_by: list[str]) -> None:
    args = {"limit": 0, "group_by": ["protocol"], "sort_by": sort_by, "entries": True, "lines": True}
    result = info(netns, args).data
    assert result["lines"] == []
    assert (result["entries"], result["groups"], result["groups_distinct"], result["matched"]) == ([], [], 2, TOTAL)


def without_timeouts(lines: t.Sequence[str]) -> list[str]:
    return sorted(re.sub(r"^(\S+ +\d+ \S+ +\d+) \d+", r"\1 T", line) for line in lines)


def test_dest_as_the_tool_writes_it(netns: str, tmp_path: pathlib.Path) -> None:
    dest = tmp_path / "table"
    result = info(netns, {"dest": str(dest), "limit": 1}).data
    assert (result["changed"], result["dest"], len(result["entries"])) == (True, str(dest), 1)
    shown = run(["conntrack", "-L", "-o", "extended"], netns=netns).splitlines()
    assert without_timeouts(dest.read_text().splitlines()) == without_timeouts(shown)
    assert stat.S_IMODE(dest.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [dest]


def test_dest_as_ndjson(netns: str, tmp_path: pathlib.Path) -> None:
    dest = tmp_path / "table"
    result = info(netns, {"dest": str(dest), "format": "ndjson", "match": [{"family": "ipv6"}]}).data
    entries = [json.loads(line) for line in dest.read_text().splitlines()]
    assert entries == result["entries"]
    assert len(entries) == SIX


def test_dest_as_csv(netns: str, tmp_path: pathlib.Path) -> None:
    dest = tmp_path / "table"
    result = info(netns, {"dest": str(dest), "format": "csv", "match": [{"family": "ipv6"}]}).data
    with dest.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["source"] for row in rows] == [entry["source"] for entry in result["entries"]]
    assert (rows[0]["protocol"], rows[0]["state"], rows[0]["packets"], rows[0]["replied"]) == ("udp", "", "0", "False")
    assert rows[0]["status"].split() == result["entries"][0]["status"] != []


def test_check_mode_writes_nothing_and_tells_the_same(netns: str, tmp_path: pathlib.Path) -> None:
    args = {"dest": str(tmp_path / "table"), "match": [{"protocol": "udp"}]}
    checked = info(netns, args, check=True).data
    assert list(tmp_path.iterdir()) == []
    assert (checked["changed"], checked["matched"], checked["dest"]) == (True, UDP + SIX, args["dest"])


def test_a_link_is_followed(netns: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "file")
    assert not info(netns, {"dest": str(tmp_path / "link")}).failed
    assert (tmp_path / "link").is_symlink()
    assert len((tmp_path / "file").read_text().splitlines()) == TOTAL


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"group_by": ["protocl"]}, "group_by[0]: 'protocl' .* Did you mean 'protocol'"),
        ({"group_by": ["bytes"]}, "group_by[0]: 'bytes' "),
        ({"group_by": ["source/32/33", "source/33/129"]}, "group_by[1]: 'source/33/129' .* source/24/64"),
        ({"group_by": ["source/129"]}, "group_by[0]: 'source/129' has a prefix that is too long"),
        ({"group_by": ["source/"]}, "group_by[0]: 'source/' has no length of a prefix. Give source/N"),
        ({"group_by": ["source/255.255.255.0"]}, "has no length of a prefix"),
        ({"group_by": ["source_port/24"]}, "group_by[0]: 'source_port/24' is not a field"),
        ({"sort_by": ["source/24"]}, "sort_by[0]: 'source/24' is not a field"),
        ({"sort_by": ["source", "-byte"]}, "sort_by[1]: '-byte' .* Did you mean 'bytes'"),
        ({"sort_by": ["--bytes"]}, "sort_by[0]: '--bytes' "),
        ({"sort_by": ["zzzzzz"]}, "The fields are family, "),
        ({"limit": -1}, "limit: -1 is below 0"),
        ({"dest": "table"}, "dest: 'table' is not absolute"),
        ({"dest": "/"}, "dest: '/' is a directory"),
        ({"dest": "/no/such/table"}, "mkdir -p /no/such"),
        ({"dest": "/proc/table"}, "dest: '/proc/table' could not be written"),
        ({"match": []}, "match: "),
        ({"match": [{"nonsense": 1}]}, "nonsense"),
        ({"match": [{"age": {"min": "1h"}}]}, "net.netfilter.nf_conntrack_timestamp"),
        ({"format": "yaml"}, "format"),
        ({"netns": "no-such-namespace"}, "no-such-namespace"),
    ],
)
def test_refused(netns: str, args: dict[str, t.Any], message: str) -> None:
    result = info(netns, args)
    assert result.failed
    assert re.search(message.replace("[", r"\["), result.msg), result.msg


def test_a_full_disk_leaves_dest_as_it_was(netns: str, tmp_path: pathlib.Path) -> None:
    disk, after = tmp_path / "disk", tmp_path / "after"
    disk.mkdir()
    script = f"""
      mount -t tmpfs -o size=8k none {disk}
      echo before > {disk}/table
      "$@"
      (cd {disk} && ls -A && cat table) > {after}
    """
    result = info(netns, {"dest": f"{disk}/table"}, wrapper=["unshare", "-m", "sh", "-c", script, "sh"])
    assert result.failed
    assert "No space left on device" in result.msg
    assert after.read_text() == "table\nbefore\n"


def test_without_root(netns: str) -> None:
    result = info(netns, wrapper=["setpriv", "--reuid=65534", "--clear-groups"], python=SYSTEM_PYTHON)
    assert "become: true" in result.msg


class TwoDumps:
    """A table whose first dump breaks off after two entries."""

    def __init__(self, entries: t.Sequence[Fields]) -> None:
        self._entries = entries

    def read(self, collect: t.Callable[[t.Iterator[Block]], t.Any], *_conditions: t.Any, **_fields: t.Any) -> t.Any:
        def broken() -> t.Iterator[Block]:
            yield from blocks_of(*self._entries[:2])
            raise InterruptedError

        with pytest.raises(InterruptedError):
            collect(broken())
        return collect(iter(blocks_of(*self._entries)))


def test_a_dump_that_starts_again_counts_and_writes_nothing_twice(tmp_path: pathlib.Path) -> None:
    entries = [{"protocol": 17, "status": 0, "source": f"198.18.0.{number}"} for number in range(5)]
    context = Context({}, 0)
    query = Query(["protocol"], ["-source"], 2)
    dest = tmp_path / "table"
    with exporting(str(dest), "csv", context) as export:
        table: t.Any = TwoDumps(entries)
        result = run_query(table, compile_selection(None, [], context), context, query, export)
    assert (result["total"], result["groups"][0]["entries"]) == (5, 5)
    assert [entry["source"] for entry in result["entries"]] == ["198.18.0.4", "198.18.0.3"]
    assert len(dest.read_text().splitlines()) == 6

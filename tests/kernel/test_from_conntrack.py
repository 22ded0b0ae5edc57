# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The page docs/from-conntrack.md: what stands under a command of the router does the same as that command."""

from __future__ import annotations

import collections
import contextlib
import json
import pathlib
import re
import shlex
import typing as t

import pytest
from ansible.parsing.splitter import parse_kv
from helpers.expecting import Request, announce_ftp, expecting, send
from helpers.run_records import remove_records
from helpers.support import CHECKOUT, network_namespace, run, run_module

PAGE = (CHECKOUT / "docs" / "from-conntrack.md").read_text(encoding="utf-8")
PAIRS = re.findall(r"^# (.*)\n\$ (ansible .*)$", PAGE, re.MULTILINE)

ENTRIES = [
    *(f"-I -p udp -s 10.0.0.5 -d 192.0.2.{n} --sport {5000 + n} --dport 53 -t 900" for n in range(1, 13)),
    *(f"-I -p udp -s 10.0.0.6 -d 192.0.2.{n} --sport {5000 + n} --dport 53 -t 900 -u SEEN_REPLY" for n in range(1, 5)),
    *(
        f"-I -p tcp -s 10.0.0.5 -d 203.0.113.{n} --sport {4000 + n} --dport 443 -t 9000 --state ESTABLISHED "
        f"-u SEEN_REPLY,ASSURED -m {0x110 if n % 2 else 0}"
        for n in range(1, 10)
    ),
    *(
        f"-I -p tcp -s 10.0.0.9 -d 203.0.113.9 --sport {4000 + n} --dport 80 -t 90 --state SYN_SENT"
        for n in range(1, 8)
    ),
    *(f"-I -p udp -s 2001:db8::{n} -d 2001:db8::53 --sport 5000 --dport 53 -t 900" for n in range(1, 4)),
    *(f"-I -p tcp -s 10.0.7.{n} -d 203.0.113.7 --sport 1 --dport 22 -t 900 --state SYN_RECV -w 7" for n in range(1, 4)),
    "-I -p tcp -s 10.0.8.1 -d 203.0.113.7 --sport 1 --dport 22 -t 900 --state SYN_RECV -n 198.51.100.1",
]


class Command(t.NamedTuple):
    """A command of the controller on the page: a module and its arguments."""

    module: str
    args: dict[str, t.Any]

    @classmethod
    def from_line(cls, line: str) -> Command:
        """Return the command of a line, with the arguments as ``ansible -a`` reads them."""
        words = shlex.split(line)
        text = words[words.index("-a") + 1] if "-a" in words else ""
        args = json.loads(text) if text.startswith("{") else parse_kv(text)
        return cls(words[words.index("-m") + 1].rpartition(".")[2], args)

    def result(self, netns: str, **more: t.Any) -> dict[str, t.Any]:
        done = run_module(self.module, {**self.args, **more}, netns=netns)
        assert not done.failed, (self, done.msg)
        return done.data

    def facts(self, netns: str) -> dict[str, t.Any]:
        gathered: dict[str, t.Any] = self.result(netns)["ansible_facts"]["conntrack"]
        return gathered


COMMANDS = {tool: Command.from_line(line) for tool, line in PAIRS}


@contextlib.contextmanager
def filled() -> t.Iterator[str]:
    """Make a namespace with the entries in its table."""
    with network_namespace("fromtool") as name:
        run(["conntrack", "-R", "-"], netns=name, text="\n".join(ENTRIES) + "\n")
        yield name


def tools(beginning: str) -> list[str]:
    """Return the commands of the router on the page that begin so."""
    return [tool for tool in COMMANDS if tool.startswith(beginning)]


@pytest.fixture
def netns() -> t.Iterator[str]:
    with filled() as name:
        yield name
        remove_records(name)


@pytest.fixture(scope="module")
def unchanged() -> t.Iterator[str]:
    with filled() as name:
        yield name


def shell(command: str, netns: str) -> str:
    return run(["sh", "-c", command], netns=netns)


def listed(output: str) -> list[str]:
    """Return what identifies each entry of a listing, sorted, with its mark."""
    keys = r"(?:src|dst|sport|dport|zone|mark)=\S+"
    lines = (" ".join(re.findall(keys, line)) for line in output.splitlines())
    return sorted(line for line in lines if line)


def test_the_page_has_every_command_that_operators_know() -> None:
    known = ["conntrack -L", "conntrack -D", "conntrack -F", "conntrack -C", "conntrack -S", "conntrack -U"]
    known += ["conntrack -E", "conntrack -G", "conntrack -I", "conntrack -R"]
    known += ["conntrack -L expect", "conntrack -C expect", "conntrack -F expect"]
    known += ["sysctl -w", "sysctl -a", "dmesg", "rm /etc/sysctl.d"]
    assert [command for command in known if not tools(command)] == []
    assert "hashsize" in PAGE
    for without in ("-E expect", "-L dying", "-L -z"):
        assert f"`conntrack {without}`" in PAGE
    assert len(PAIRS) == PAGE.count("\n$ ") == PAGE.count("\n# ") - 1  # the title


def test_count(unchanged: str) -> None:
    assert COMMANDS["conntrack -C"].facts(unchanged)["usage"]["count"] == int(shell("conntrack -C", unchanged))


def test_statistics(unchanged: str) -> None:
    sums: collections.Counter[str] = collections.Counter()
    for name, value in re.findall(r"(\w+)=(\d+)", re.sub(r"cpu=\d+", "", shell("conntrack -S", unchanged))):
        sums[name] += int(value)
    total = COMMANDS["conntrack -S"].facts(unchanged)["stats"]["total"]
    same = {"insert", "insert_failed", "drop", "early_drop", "error", "search_restart"} & set(sums)
    assert len(same) > 3
    assert {name: total[name] for name in same} == {name: sums[name] for name in same}


@pytest.mark.parametrize("tool", [tool for tool in tools("conntrack -L") if not re.search("awk|>|expect", tool)])
def test_look(unchanged: str, tool: str) -> None:
    expected = listed(shell(tool.replace("conntrack -L", "conntrack -L -o extended"), unchanged))
    result = COMMANDS[tool].result(unchanged)
    assert result["matched"] == len(expected) > 0
    assert len(result["lines"]) == min(len(expected), 10)
    every = COMMANDS[tool].result(unchanged, limit=1000)
    assert listed("\n".join(every["lines"])) == expected


def test_get(unchanged: str) -> None:
    [tool] = tools("conntrack -G")
    result = COMMANDS[tool].result(unchanged)
    assert listed("\n".join(result["lines"])) == listed(shell(tool, unchanged)) != []
    assert result["matched"] == 1


def test_make(netns: str) -> None:
    [tool] = tools("conntrack -I")
    with filled() as other:
        shell(tool, other)
        assert COMMANDS[tool].result(netns)["created"] == 1
        assert listed(shell("conntrack -L -o extended", netns)) == listed(shell("conntrack -L -o extended", other))
        # The second time, the tool fails.
        assert COMMANDS[tool].result(netns)["existing"] == 1
        with pytest.raises(AssertionError, match="Such conntrack exists"):
            shell(tool, other)


def test_make_from_a_file(netns: str, tmp_path: pathlib.Path) -> None:
    [tool] = tools("conntrack -R")
    file = tmp_path / "table.save"
    shell(f"conntrack -L -o save > {file}; conntrack -F", netns)
    with network_namespace("fromtool") as other:
        shell(tool.replace("/root/table.save", str(file)), other)
        made = COMMANDS[tool].result(netns, src=str(file))["restored"]
        entries = listed(shell("conntrack -L -o extended", netns))
        assert entries == listed(shell("conntrack -L -o extended", other))
        assert len(entries) == made > 20


def test_groups(unchanged: str) -> None:
    [tool] = [tool for tool in tools("conntrack -L") if "awk" in tool]
    counted = [line.split() for line in shell(tool, unchanged).splitlines()]
    groups = COMMANDS[tool].result(unchanged)["groups"]
    assert [[str(group["entries"]), group["protocol"]] for group in groups] == counted
    assert COMMANDS[tool].result(unchanged)["lines"] == []


def test_what_helpers_expect() -> None:
    listing, counting, grouping = tools("conntrack -L expect")
    with expecting() as name:
        # The tool lists IPv4 only.
        send(name, Request(), Request(port=7000))
        announce_ftp(name, 3000)
        ports = sorted(re.findall(r" dport=(\d+) mask-src", shell(listing, name)))
        result = COMMANDS[listing].result(name)
        assert sorted(str(one["expected"]["destination_port"]) for one in result["expectations"]) == ports
        assert COMMANDS[counting].result(name)["matched"] == int(shell(counting, name)) == 2
        groups = COMMANDS[grouping].result(name)["groups"]
        counted = [line.split() for line in shell(grouping, name).splitlines()]
        assert [[str(group["expectations"]), f"helper={group['helper']}"] for group in groups] == counted
        [count] = tools("conntrack -C expect")
        assert COMMANDS[count].facts(name)["expectations"]["count"] == int(shell(count, name))
        [limit] = tools("sysctl net.netfilter.nf_conntrack_expect_max")
        facts = COMMANDS[limit].facts(name)["expectations"]
        assert (facts["count"], str(facts["max"])) == (3, shell(limit, name).split()[-1])
        [flush] = tools("conntrack -F expect")
        assert COMMANDS[flush].result(name)["deleted"] == 3
        assert shell(listing, name) == ""


def test_file(unchanged: str, tmp_path: pathlib.Path) -> None:
    [tool] = tools("conntrack -L -o extended >")
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    shell(tool.replace("/var/tmp/table", str(theirs)), unchanged)
    COMMANDS[tool].result(unchanged, dest=str(ours))
    assert listed(ours.read_text(encoding="utf-8")) == listed(theirs.read_text(encoding="utf-8"))


def test_file_of_xml(unchanged: str, tmp_path: pathlib.Path) -> None:
    [tool] = tools("conntrack -L -o xml >")
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    shell(tool.replace("/var/tmp/table", str(theirs)), unchanged)
    COMMANDS[tool].result(unchanged, dest=str(ours))
    texts = (path.read_text(encoding="utf-8") for path in (ours, theirs))
    own, other = (sorted(re.sub(r"<timeout>\d+", "", text).splitlines()) for text in texts)
    assert own == other
    assert len(own) > len(ENTRIES)


@pytest.mark.parametrize("tool", [*tools("conntrack -D"), "conntrack -F", *tools("conntrack -U")])
def test_change_of_entries(netns: str, tool: str) -> None:
    with filled() as other:
        before = shell("conntrack -L -o extended", netns)
        shell(tool, other)
        result = COMMANDS[tool].result(netns)
        assert result["changed"]
        after = shell("conntrack -L -o extended", netns)
        assert listed(after) == listed(shell("conntrack -L -o extended", other))
        if "-t 60" in tool:
            assert remaining(after) == remaining(shell("conntrack -L -o extended", other))
        else:
            assert listed(after) != listed(before)


def remaining(listing: str) -> list[bool]:
    """Return whether each UDP entry of the source has at most a minute left."""
    return [int(line.split()[4]) <= 60 for line in listing.splitlines() if " udp " in line and "src=10.0.0.5 " in line]


def test_settings(unchanged: str) -> None:
    shown = dict(re.findall(r"nf_conntrack_(\w+) = (-?\d+)", shell("sysctl -a --pattern nf_conntrack", unchanged)))
    settings = COMMANDS["sysctl -a --pattern nf_conntrack"].facts(unchanged)["settings"]
    common = (set(shown) & set(settings)) - {"count"}
    assert len(common) > 20
    assert {name: settings[name] for name in common} == {name: int(shown[name]) for name in common}


def test_set_and_restore(netns: str) -> None:
    read = "sysctl -n net.netfilter.nf_conntrack_udp_timeout"
    [tool] = [tool for tool in tools("sysctl -w") if tool.endswith("udp_timeout=20")]
    COMMANDS[tool].result(netns)
    ours = shell(read, netns)
    shell("sysctl -w net.netfilter.nf_conntrack_udp_timeout=30", netns)
    shell(tool, netns)
    assert ours == shell(read, netns) == "20\n"


def test_timeout_policies(netns: str) -> None:
    [make], [remove] = tools("nfct add"), tools("nfct delete")
    with network_namespace("fromtool") as other:
        for tool in (make, remove):
            shell(tool, other)
            assert COMMANDS[tool].result(netns)["changed"] is True
            assert shell("nfct list timeout", netns) == shell("nfct list timeout", other)
            assert ("sip" in shell("nfct list timeout", netns)) == (tool == make)


def test_settings_of_the_machine_are_refused_in_a_namespace(netns: str) -> None:
    [tool] = [tool for tool in COMMANDS if "hashsize" in tool]
    command = COMMANDS[tool]
    refused = run_module(command.module, {**command.args, "persist": False}, netns=netns)
    assert refused.failed
    assert "for the whole machine" in refused.msg

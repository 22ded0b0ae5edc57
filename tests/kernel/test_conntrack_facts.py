# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module against the kernel, in network namespaces of their own; conntrack(8) and sysctl(8) are the judges."""

from __future__ import annotations

import collections
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils import _netns
from ansible_collections.netops.conntrack.plugins.module_utils._facts import gather as gathering
from ansible_collections.netops.conntrack.plugins.module_utils._facts import named_counts
from ansible_collections.netops.conntrack.plugins.module_utils._facts.gather import gather
from ansible_collections.netops.conntrack.plugins.module_utils._netns import inside
from ansible_collections.netops.conntrack.plugins.module_utils._selector.named_selectors import NAMED
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block
from ansible_collections.netops.conntrack.plugins.module_utils._table.kernel_filter import Condition
from ansible_collections.netops.conntrack.plugins.module_utils._table.table import Table
from helpers.support import SYSTEM_PYTHON, ModuleResult, module_path, network_namespace, run, run_module

PREFIX = "net.netfilter.nf_conntrack_"
UNPRIVILEGED = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all")
STALE = {
    "protocol": "tcp",
    "state": "ESTABLISHED",
    "replied": False,
    "packets_original": {"max": 1},
    "bytes_original": {"max": 40},
}
# Far from the bounds of the histograms, so that a second more or less changes nothing.
TIMEOUTS = {
    "icmp_timeout": 50,
    "icmpv6_timeout": 50,
    "udp_timeout": 50,
    "udp_timeout_stream": 150,
    "generic_timeout": 500,
    "tcp_timeout_established": 1045,  # no more above the entries' 1000 seconds than any machine has been up
}

RAW_PACKETS = (
    (socket.AF_INET, 99, "127.0.0.1", b"payload"),
    (socket.AF_INET, socket.IPPROTO_ICMP, "127.0.0.1", bytes.fromhex("0800f7ff00000000")),
    (socket.AF_INET6, socket.IPPROTO_ICMPV6, "::1", bytes.fromhex("8000000000000000")),
)
"""Two echo requests among them; the kernel fills in the checksum of ICMPv6 only (ipv6(7))."""


class Line:
    """One entry as conntrack(8) lists it."""

    def __init__(self, family: str, text: str) -> None:
        name, number, remaining, state = text.split()[:4]
        self.family = family
        self.text = text
        self.protocol = number if name == "unknown" else name
        self.remaining = int(remaining)
        self.state = state if state.isupper() else None

    def all(self, key: str) -> list[str]:
        return re.findall(rf"\b{key}=(\S+)", self.text)

    def one(self, key: str, default: str = "0") -> str:
        return (self.all(key) or [default])[0]


def listed(netns: str) -> list[Line]:
    return [
        Line(family, text)
        for family in ("ipv4", "ipv6")
        for text in run(["conntrack", "-L", "-f", family], netns=netns).splitlines()
    ]


def sysctl(netns: str | None, name: str) -> int:
    return int(run(["sysctl", "-n", PREFIX + name], netns=netns))


def turn(netns: str, **settings: int) -> None:
    for name, value in settings.items():
        run(["sysctl", "-qw", f"{PREFIX}{name}={value}"], netns=netns)


def insert(netns: str, *entries: str) -> None:
    """Make entries, each given as conntrack(8) options; they stay for 1000 seconds."""
    run(["conntrack", "-R", "-"], netns=netns, text="".join(f"-I {entry} -t 1000\n" for entry in entries))


def send_over_loopback(netns: str) -> None:
    """Make entries of real packets: a UDP exchange, pings of both families, and a protocol that has no ports."""
    with inside(netns):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
            server.settimeout(5)
            server.bind(("127.0.0.1", 5353))
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                client.sendto(b"question", ("127.0.0.1", 5353))
                server.sendto(b"the answer", server.recvfrom(100)[1])
        for family, protocol, address, packet in RAW_PACKETS:
            with socket.socket(family, socket.SOCK_RAW, protocol) as raw:
                raw.sendto(packet, (address, 0))


def fill(netns: str) -> None:
    send_over_loopback(netns)
    four = "-s 198.18.0.{} -d 203.0.113.1 --sport {} --dport 443"
    six = "-s 2001:db8::{} -d 2001:db8::ffff --sport {} --dport 443"
    insert(
        netns,
        *(f"-p tcp {four.format(1, port)} --state ESTABLISHED -u SEEN_REPLY,ASSURED" for port in range(2000, 2012)),
        *(f"-p tcp {four.format(2, port)} --state ESTABLISHED --mark 0x10" for port in range(3000, 3006)),
        *(f"-p tcp {four.format(3, port)} --state SYN_SENT --mark 0x20" for port in range(4000, 4003)),
        *(f"-p tcp {four.format(2, port)} --state ESTABLISHED -w 7" for port in range(3000, 3004)),
        *(f"-p tcp {four.format(2, port)} --state ESTABLISHED -w 8" for port in range(3000, 3002)),
        *(f"-p tcp {six.format(5, port)} --state TIME_WAIT -u SEEN_REPLY" for port in range(5000, 5008)),
        *(f"-p udp {four.format(4, port)} -u SEEN_REPLY" for port in range(6000, 6005)),
        f"-p tcp {four.format(9, 9)} --state ESTABLISHED -g 198.51.100.1",
    )


def facts(args: dict[str, t.Any], **options: t.Any) -> dict[str, t.Any]:
    """Run the module, which must succeed without a change, and give its facts, all unless ``args`` say which."""
    result = run_module("conntrack_facts", {"gather_subset": ["all"], **args}, **options)
    assert not result.failed, result.msg
    assert not result.data.get("changed")
    assert set(result.data) - {"changed", "invocation"} == {"ansible_facts"}
    assert set(result.data["ansible_facts"]) == {"conntrack"}
    gathered: dict[str, t.Any] = result.data["ansible_facts"]["conntrack"]
    return gathered


def assert_refused(result: ModuleResult, *words: str) -> None:
    assert result.failed
    assert result.rc == 1
    assert "ansible_facts" not in result.data
    for word in words:
        assert word in result.msg


@pytest.fixture
def netns() -> t.Iterator[str]:
    with network_namespace("facts", tracking=False) as name:
        yield name


@pytest.fixture(scope="module")
def filled() -> t.Iterator[str]:
    """One namespace for all the tests, none of which changes it."""
    with network_namespace("facts") as name:
        turn(name, acct=1, **TIMEOUTS)
        fill(name)
        yield name


def counted(values: t.Iterable[str | None]) -> dict[str, int]:
    return dict(collections.Counter(value for value in values if value is not None))


@pytest.mark.parametrize("python", [sys.executable, SYSTEM_PYTHON])
@pytest.mark.parametrize("check", [False, True])
def test_kinds_of_entries(filled: str, python: str, check: bool) -> None:
    lines = listed(filled)
    table = facts({"gather_subset": ["table"]}, netns=filled, python=python, check=check)["table"]
    assert table["entries"] == len(lines) == sysctl(filled, "count")
    assert table["families"] == counted(line.family for line in lines)
    assert table["protocols"] == counted(line.protocol for line in lines)
    assert set(table["protocols"]) == {"tcp", "udp", "icmp", "icmpv6", "99"}
    assert table["states"] == {"tcp": counted(line.state for line in lines)}
    assert len(table["states"]["tcp"]) == 3
    unreplied = sum("[UNREPLIED]" in line.text for line in lines)
    assured = sum("[ASSURED]" in line.text for line in lines)
    assert 0 < assured < unreplied < len(lines)
    assert (table["status"]["assured"], table["status"]["unreplied"]) == (assured, unreplied)
    assert table["evictable"] == len(lines) - assured
    assert table["status"]["dnat"] == len(run(["conntrack", "-L", "-g"], netns=filled).splitlines())
    assert table["status"]["snat"] == len(run(["conntrack", "-L", "-n"], netns=filled).splitlines())


def test_amounts_zones_and_marks(filled: str) -> None:
    lines = listed(filled)
    table = facts({"gather_subset": ["table"], "top": 50}, netns=filled)["table"]
    assert table["zones"] == counted(line.one("zone") for line in lines)
    assert table["marks"] == counted(hex(int(line.one("mark"))) for line in lines)
    assert (table["zones_distinct"], table["marks_distinct"]) == (3, 3)
    for key in ("packets", "bytes"):
        original, reply = (sum(int(line.all(key)[way]) for line in lines) for way in (0, 1))
        assert original > reply > 0
        assert table[key] == {"original": original, "reply": reply, "unknown": 0}


def test_ten_selectors_and_the_summary_take_one_reading(filled: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read, readings = Table._blocks, []

    def counted_read(table: Table, conditions: t.Sequence[Condition], *clock: t.Any) -> t.Generator[Block, None, None]:
        readings.append(conditions)
        return read(table, conditions, *clock)

    monkeypatch.setattr(Table, "_blocks", counted_read)
    selectors = {f"port{port}": {"match": [{"source_port": port}]} for port in range(2000, 2010)}
    gathered = gather(["table", "selectors"], 10, selectors, filled)
    assert readings == [()]
    assert gathered["table"]["entries"] == len(listed(filled))
    assert [one["entries"] for one in gathered["selectors"].values()] == [1] * 10


def test_top_talkers(filled: str) -> None:
    lines = listed(filled)
    table = facts({"gather_subset": ["table"], "top": 50}, netns=filled)["table"]
    keys = {"source": "src", "destination": "dst", "source_port": "sport", "destination_port": "dport"}
    for name, key in keys.items():
        expected = counted(line.one(key) for line in lines if line.all(key))
        assert {str(one["value"]): one["entries"] for one in table["top"][name]} == expected
        for one in table["top"][name]:
            assert one["percent"] == round(100 * one["entries"] / len(lines), 2)
    # Two sources have equally many entries: the smaller address comes first.
    assert [one["value"] for one in table["top"]["source"][:2]] == ["198.18.0.1", "198.18.0.2"]
    least = facts({"gather_subset": ["table"], "top": 1}, netns=filled)["table"]
    assert [least["top"][name][0]["value"] for name in ("source", "destination_port")] == ["198.18.0.1", 443]
    assert {len(named) for named in least["top"].values()} == {1}
    assert (set(least["zones"]), least["zones_distinct"]) == ({"0"}, 3)


def test_histograms(filled: str) -> None:
    lines = listed(filled)
    table = facts({"gather_subset": ["table"]}, netns=filled)["table"]
    assert table["remaining"]["unknown"] == 0
    for part in table["remaining"]["histogram"]:
        end = part["below"] or sys.maxsize
        assert part["entries"] == sum(part["from"] <= line.remaining < end for line in lines)
    idle = {part["from"]: part["entries"] for part in table["idle"]["histogram"] if part["entries"]}
    established = sum(line.state == "ESTABLISHED" for line in lines)
    loopback = sum(line.remaining < 600 for line in lines)
    assert idle == {0: loopback, 30: established}
    assert table["idle"]["unknown"] == len(lines) - established - loopback


@pytest.mark.parametrize("python", [sys.executable, SYSTEM_PYTHON])
def test_selectors(filled: str, python: str) -> None:
    lines = listed(filled)
    selectors = {
        "stale": {"match": [STALE]},
        "not_marked": {"match": [STALE], "exclude": [{"mark": "0x10/0xf0"}]},
        "either": {"match": [{"zone": 7}, {"protocol": ["icmp", 99]}], "exclude": []},
        "old": {"match": [{"protocol": "tcp", "idle": {"min": "40s"}}]},
        "none": {"match": [{"source": "192.0.2.0/24"}]},
    }
    stale = [line for line in lines if line.state == "ESTABLISHED" and "[UNREPLIED]" in line.text]
    expected = {
        "stale": len(stale),
        "not_marked": sum(line.one("mark") != "16" for line in stale),
        "either": sum(line.one("zone") == "7" or line.protocol in ("icmp", "99") for line in lines),
        "old": sum(line.state == "ESTABLISHED" for line in lines),
        "none": 0,
    }
    gathered = facts({"selectors": selectors}, netns=filled, python=python)
    assert set(gathered) == {"usage", "settings", "stats", "boot", "table", "selectors", "expectations"}
    undecidable = {"old": sum(line.state in ("SYN_SENT", "TIME_WAIT") for line in lines)}
    for name, entries in expected.items():
        protocols = gathered["selectors"][name].pop("protocols")
        assert sum(protocols.values()) == entries
        assert gathered["selectors"][name] == {
            "entries": entries,
            "percent": round(100 * entries / len(lines), 2),
            "undecidable": undecidable.get(name, 0),
            "unavailable": None,
        }
    assert set(facts({"gather_subset": ["selectors"], "selectors": selectors}, netns=filled)) == {"selectors"}


def test_selectors_that_need_a_switch_that_is_off(netns: str) -> None:
    turn(netns, acct=0, timestamp=0)
    insert(netns, "-p udp -s 198.18.0.1 -d 203.0.113.1 --sport 1 --dport 53")
    selectors = {
        "small": {"match": [{"packets": {"max": 1}}]},
        "young": {"match": [{"protocol": "udp"}], "exclude": [{"age": {"max": 60}}]},
        "udp": {"match": [{"protocol": "udp"}]},
    }
    gathered = facts({"gather_subset": ["selectors"], "selectors": selectors}, netns=netns)["selectors"]
    for name, switch in (("small", "acct"), ("young", "timestamp")):
        assert [gathered[name][key] for key in ("entries", "percent", "protocols")] == [None] * 3
        assert gathered[name]["undecidable"] == 1
        assert f"{PREFIX}{switch} is 0" in gathered[name]["unavailable"]
        assert f"sysctl -w {PREFIX}{switch}=1" in gathered[name]["unavailable"]
    assert gathered["udp"] == {
        "entries": 1,
        "percent": 100.0,
        "protocols": {"udp": 1},
        "undecidable": 0,
        "unavailable": None,
    }


def test_without_accounting_amounts_are_unknown(netns: str) -> None:
    turn(netns, acct=0)
    insert(netns, "-p udp -s 198.18.0.1 -d 203.0.113.1 --sport 1 --dport 53")
    table = facts({"gather_subset": ["table"]}, netns=netns)["table"]
    assert table["packets"] == table["bytes"] == {"original": 0, "reply": 0, "unknown": 1}


def test_age(netns: str) -> None:
    turn(netns, timestamp=1)
    insert(netns, "-p udp -s 198.18.0.1 -d 203.0.113.1 --sport 1 --dport 53")
    selectors = {"young": {"match": [{"age": {"max": "5m"}}]}, "old": {"match": [{"age": {"min": "5m"}}]}}
    gathered = facts({"gather_subset": ["selectors"], "selectors": selectors}, netns=netns)["selectors"]
    assert {name: one["entries"] for name, one in gathered.items()} == {"young": 1, "old": 0}


def test_usage(filled: str) -> None:
    usage = facts({"gather_subset": ["usage"]}, netns=filled)["usage"]
    count = int(run(["conntrack", "-C"], netns=filled))
    limit, buckets = sysctl(filled, "max"), sysctl(filled, "buckets")
    memory, entry_bytes = usage.pop("memory_bytes"), usage.pop("entry_bytes")
    assert usage == {
        "count": count,
        "max": limit,
        "percent": round(100 * count / limit, 2) if limit else None,
        "headroom": limit - count if limit else None,
        "buckets": buckets,
        "load_factor": round(2 * count / buckets, 3),
        "memory_total_bytes": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        "listeners": [],
    }
    assert entry_bytes in range(200, 400)
    assert memory == count * entry_bytes + 8 * buckets


def test_the_limit_of_the_machine_holds_for_a_namespace(filled: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on kernels with a limit for each namespace. It is read before one is entered."""
    for module in (gathering, named_counts):
        monkeypatch.setattr(module, "read_machine_limit", lambda: 7)
    found = gather(["usage", "namespaces"], 10, None, filled, forecast={"generic_timeout": 60}, sample="1s")
    for usage in (found["usage"], found["forecast"]["now"], found["forecast"]["then"]):
        assert (usage["max"], usage["headroom"]) == (7, 0)
    assert found["rates"]["full_in_seconds"] == 0
    named = found["namespaces"][filled]
    assert named["percent"] == round(100 * named["count"] / 7, 2) > 100


@pytest.mark.parametrize(
    ("hidden", "known"), [("count", {"max", "buckets"}), ("max", {"count", "buckets", "load_factor", "memory_bytes"})]
)
def test_what_the_kernel_does_not_say_is_not_zero(filled: str, hidden: str, known: set[str]) -> None:
    path = f"/proc/sys/net/netfilter/nf_conntrack_{hidden}"
    wrapper = ("unshare", "-m", "sh", "-c", f'mount --bind /dev/null {path} && exec "$@"', "sh")
    asked = {"gather_subset": ["usage", "table"], "forecast": {"generic_timeout": 60}}
    found = facts(asked, netns=filled, wrapper=wrapper)
    usage, forecast = found["usage"], found["forecast"]
    figures = ("count", "max", "percent", "headroom", "buckets", "load_factor", "memory_bytes")
    assert {name for name in figures if usage[name] is not None} == known
    for moment in ("now", "then"):
        assert {name for name, value in forecast[moment].items() if value is not None} == known - {"memory_bytes"}
    assert (found["table"]["not_listed"] is None) is (hidden == "count")


def test_settings(filled: str) -> None:
    settings = facts({"gather_subset": ["settings"]}, netns=filled)["settings"]
    printed = run(["sysctl", "-a", "--pattern", r"^net\.netfilter\.nf_conntrack_"], netns=filled)
    expected = dict(line.removeprefix(PREFIX).split(" = ") for line in printed.splitlines())
    del expected["count"]
    assert {name: str(value) for name, value in settings.items() if "flowtable" not in name} == expected
    assert settings["generic_timeout"] == 500


def test_statistics(filled: str) -> None:
    stats = facts({"gather_subset": ["stats"]}, netns=filled)["stats"]
    printed = run(["conntrack", "-S"], netns=filled).replace("chaintoolong", "chain_toolong")
    expected = [{name: int(value) for name, value in re.findall(r"(\w+)=(\d+)", line)} for line in printed.splitlines()]
    assert len(stats["per_cpu"]) == len(expected)
    for mine, theirs in zip(stats["per_cpu"], expected):
        assert {name: mine[name] for name in theirs} == theirs
    for name, value in stats["total"].items():
        assert value == sum(cpu[name] for cpu in stats["per_cpu"])
    assert stats["total"]["insert"] > 0


def test_lines_of_the_kernel_log() -> None:
    before = facts({"gather_subset": ["stats"]})["stats"]["table_full"]
    assert before["unreadable"] is None
    pathlib.Path("/dev/kmsg").write_text("<4>nf_conntrack: nf_conntrack: table full, dropping packet\n")
    after = facts({"gather_subset": ["stats"]})["stats"]["table_full"]
    assert after["messages"] == before["messages"] + 1
    assert 0 <= after["last_seconds_ago"] < 30


def test_kernel_log_that_cannot_be_read(filled: str) -> None:
    hidden = ("sh", "-ec", 'mount --bind /proc/self/mem /dev/kmsg; exec "$@"', "sh")
    table_full = facts({"gather_subset": ["stats"]}, netns=filled, wrapper=hidden)["stats"]["table_full"]
    assert (table_full["messages"], table_full["last_seconds_ago"]) == (None, None)
    assert table_full["unreadable"].startswith("/dev/kmsg: ")


def test_what_is_gathered_without_selectors(filled: str) -> None:
    gathered = facts({}, netns=filled)
    without_selectors = {"usage", "settings", "stats", "boot", "table", "expectations"}
    assert set(gathered) == {*without_selectors, "selectors"}
    assert list(gathered["selectors"]) == list(NAMED)
    lines = listed(filled)
    half_open = gathered["selectors"]["half_open"]
    assert half_open["entries"] == sum(line.state in ("SYN_SENT", "SYN_RECV") for line in lines) > 0
    unanswered = [line for line in lines if line.protocol != "tcp" and "[UNREPLIED]" in line.text]
    assert gathered["selectors"]["unanswered"]["protocols"] == collections.Counter(line.protocol for line in unanswered)
    assert set(facts({"selectors": {}}, netns=filled)) == without_selectors


def test_named_selectors_beside_own_ones(filled: str) -> None:
    own = {
        "mine": {"select": "half_open", "match": "protocol=udp"},
        "not_udp": {"select": ["unanswered"], "exclude": "protocol=udp"},
    }
    gathered = facts({"gather_subset": ["selectors"], "selectors": own}, netns=filled)["selectors"]
    lines = listed(filled)
    mine = [line for line in lines if line.state in ("SYN_SENT", "SYN_RECV") or line.protocol == "udp"]
    not_udp = [line for line in lines if line.protocol not in ("tcp", "udp") and "[UNREPLIED]" in line.text]
    assert [gathered["mine"]["entries"], gathered["not_udp"]["entries"]] == [len(mine), len(not_udp)]
    assert 0 < len(not_udp) < len(mine)


DROPIN = f"""# ours
{PREFIX}generic_timeout = 500
{PREFIX}udp_timeout = 30
{PREFIX}udp_timeout = 49
{PREFIX}icmp_timeout = fifty
"""
PUT_IN_PLACE = 'mount --bind "$1" /etc/sysctl.d; shift'
APPLY = "/usr/lib/systemd/systemd-sysctl --prefix=/net/netfilter || :"
"""It fails for the value that is no number, and goes on."""


def boot_facts(netns: str, dropins: pathlib.Path, before: str = ":") -> dict[str, t.Any]:
    """Return the facts on the boot where ``dropins`` is /etc/sysctl.d, after the command ``before`` was run there."""
    wrapper = ("sh", "-ec", f'{PUT_IN_PLACE}; {before}; exec "$@"', "sh", str(dropins))
    gathered: dict[str, t.Any] = facts({"gather_subset": ["boot"]}, netns=netns, wrapper=wrapper)["boot"]
    return gathered


def test_drift_is_gone_once_the_files_are_applied(netns: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "50-ours.conf").write_text(DROPIN)
    turn(netns, generic_timeout=500, udp_timeout=50, icmp_timeout=51)
    boot = boot_facts(netns, tmp_path)
    file = "/etc/sysctl.d/50-ours.conf"
    assert boot["settings"]["udp_timeout"] == {
        "runtime": 50,
        "boot": 49,
        "file": file,
        "line": 4,
        "drift": True,
        "owners": [],
        "overridden": [{"value": 30, "file": file, "line": 3}],
    }
    assert {short: setting["drift"] for short, setting in boot["settings"].items()} == {
        "generic_timeout": False,
        "icmp_timeout": None,
        "udp_timeout": True,
    }
    assert (boot["drift"], boot["invalid"], boot["overridden"]) == (["udp_timeout"], ["icmp_timeout"], ["udp_timeout"])
    assert boot_facts(netns, tmp_path, APPLY)["drift"] == []
    assert sysctl(netns, "udp_timeout") == 49


def test_a_service_that_writes_what_a_file_sets(netns: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.conf").write_text(f"{PREFIX}tcp_timeout_established = 54000\n")
    program = tmp_path / "kube-proxy"
    shutil.copy("/bin/sleep", program)
    with subprocess.Popen([program, "60"]) as process:
        try:
            boot = boot_facts(netns, tmp_path)
        finally:
            process.kill()
    assert boot["contested"] == ["tcp_timeout_established"]
    assert f"process {process.pid}" in [owner["evidence"] for owner in boot["owners"]]
    assert boot_facts(netns, tmp_path)["contested"] == []


def test_the_boot_is_the_machines_own(filled: str, netns: str, tmp_path: pathlib.Path) -> None:
    turn(netns, generic_timeout=499)
    (tmp_path / "a.conf").write_text(f"{PREFIX}generic_timeout = 500\n")
    wrapper = ("sh", "-ec", f'{PUT_IN_PLACE}; exec "$@"', "sh", str(tmp_path))
    gathered = facts({"gather_subset": ["boot", "settings"], "netns": netns}, netns=filled, wrapper=wrapper)
    assert gathered["settings"]["generic_timeout"] == 499
    assert gathered["boot"]["settings"]["generic_timeout"]["runtime"] == 500


def test_empty_table(netns: str) -> None:
    gathered = facts({}, netns=netns)
    assert gathered["table"]["entries"] == gathered["usage"]["count"] == 0
    assert gathered["usage"]["load_factor"] == 0.0


def test_netns_by_name_and_by_path(filled: str, netns: str) -> None:
    turn(netns, generic_timeout=123)
    insert(netns, "-p udp -s 198.18.0.1 -d 203.0.113.1 --sport 1 --dport 53")
    for where in (netns, f"/run/netns/{netns}"):
        gathered = facts({"netns": where}, netns=filled)
        assert gathered["usage"]["count"] == gathered["table"]["entries"] == 1
        assert gathered["settings"]["generic_timeout"] == 123


def test_a_namespace_that_goes_while_they_are_read_is_left_out(filled: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_netns, "names", lambda: ["facts-deleted", filled])
    assert list(gather(["namespaces"], 0, {}, None)["namespaces"]) == [filled]


def test_namespaces(filled: str, netns: str) -> None:
    gathered = facts({"gather_subset": ["namespaces"]}, netns=netns)
    assert set(gathered) == {"namespaces"}
    count, limit = sysctl(filled, "count"), sysctl(filled, "max")
    share = round(100 * count / limit, 2) if limit else None
    assert gathered["namespaces"][filled] == {"count": count, "percent": share, "unavailable": None}
    assert gathered["namespaces"][netns]["count"] == 0


def test_netns_that_is_not_there(filled: str) -> None:
    result = run_module("conntrack_facts", {"netns": "not-there"}, netns=filled)
    assert_refused(result, "netns: ", "'not-there' cannot be opened", "ip netns list", filled)


@pytest.mark.parametrize(
    ("selector", "words"),
    [
        ({"match": [{"protocl": "tcp"}]}, ["selectors.bad.match[0]: 'protocl' ", "Did you mean 'protocol'?"]),
        ({"match": [], "exclude": []}, ["selectors.bad.match: [] selects nothing"]),
        ({"match": [{"zone": 0}], "exclude": [{}]}, ["selectors.bad.exclude[0]: {} is empty"]),
        ({"match": {"zon": 0}}, ["selectors.bad.match: 'zon' is not a selector key"]),
        (
            {"match": "zone=0,mark=5"},
            ["selectors.bad.match: 'zone=0,mark=5' is not one selector", 'match="zone=0 mark=5"'],
        ),
        ({"exclude": []}, ["selectors.bad: {'exclude': []} selects nothing", "{match: [...]}"]),
        ({"exclude": [{"zone": 0}]}, ["selectors.bad.exclude: [{'zone': 0}] alone is no selection."]),
        ({"match": [{"zone": 0}], "exclude": None}, ["selectors.bad.exclude: None is null"]),
        ({"match": None}, ["selectors.bad.match: None is null"]),
        ({"select": None}, ["selectors.bad.select: None is null"]),
        ({"select": []}, ["selectors.bad: {'select': []} selects nothing"]),
        ({"select": ["stael"]}, ["selectors.bad.select: 'stael' is not the name of a selector. Did you mean 'stale'?"]),
        ({}, ["selectors.bad: {} is not a selection"]),
        ({"match": [{"zone": 0}], "exlude": []}, ["selectors.bad: ", "is not a selection"]),
        ("zone", ["selectors.bad: 'zone' is not a selection"]),
    ],
)
def test_bad_selector_is_an_error_before_anything(filled: str, selector: object, words: list[str]) -> None:
    # The namespace is not there either: the selector is looked at first, also where it would not be counted.
    args = {"selectors": {"good": {"match": [{"zone": 0}]}, "bad": selector}, "netns": "not-there"}
    for subset in ({}, {"gather_subset": ["usage"]}):
        assert_refused(run_module("conntrack_facts", {**args, **subset}, netns=filled), *words)


def test_a_negative_top(filled: str) -> None:
    assert_refused(run_module("conntrack_facts", {"top": -1}, netns=filled), "top: -1 is negative", "0 names none")


def test_not_root(filled: str) -> None:
    args = {"gather_subset": "table"}
    result = run_module("conntrack_facts", args, netns=filled, python=SYSTEM_PYTHON, wrapper=UNPRIVILEGED)
    assert_refused(result, "needs root (CAP_NET_ADMIN)", "become: true")


def test_pyroute2_is_needed_for_netns_only(filled: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['pyroute2'] = None\n")
    without = {"PYTHONPATH": f"{tmp_path}:{module_path()}"}
    assert facts({"gather_subset": ["table"]}, netns=filled, env=without)["table"]["entries"] > 0
    result = run_module("conntrack_facts", {"netns": filled}, netns=filled, env=without)
    assert_refused(result, filled, "pyroute2 >= 0.5.14", sys.executable, "python3-pyroute2")


def test_without_nf_conntrack(filled: str) -> None:
    absent = ("sh", "-ec", 'mount -t tmpfs tmpfs /proc/sys/net/netfilter; exec "$@"', "sh")
    result = run_module("conntrack_facts", {}, netns=filled, wrapper=absent)
    assert_refused(result, "nf_conntrack is not there", "modprobe nf_conntrack")


def test_facts_without_options_fit_a_screen_and_do_not_read_the_table(filled: str) -> None:
    result = run_module("conntrack_facts", {}, netns=filled)
    facts_of_usage = result.data["ansible_facts"]["conntrack"]
    assert list(facts_of_usage) == ["usage"]
    assert facts_of_usage["usage"]["count"] == int(run(["conntrack", "-C"], netns=filled))
    del result.data["invocation"]
    assert len(json.dumps(result.data, indent=4).splitlines()) < 50


def test_an_option_about_a_subset_gathers_it(filled: str) -> None:
    options = {"top": 3, "selectors": {"udp": {"match": "protocol=udp"}}}
    gathered = run_module("conntrack_facts", options, netns=filled).data["ansible_facts"]["conntrack"]
    assert set(gathered) == {"usage", "table", "selectors"}
    assert set(gathered["selectors"]) == {"udp"}


@pytest.mark.parametrize(
    ("options", "not_needed"),
    [
        ({}, "_boot _boot_files _expectations _listing _namespaces _pair _query _selector _settings _facts.summary"),
        (
            {"gather_subset": ["all"]},
            "_entry.timeout_effects _entry_changes.rehearsal _facts.forecast _facts.namespaces _facts.rates _listing "
            "_namespaces _selector.hints _expectations.selection",
        ),
    ],
)
def test_only_what_a_call_asks_for_is_imported(
    filled: str, tmp_path: pathlib.Path, options: dict[str, t.Any], not_needed: str
) -> None:
    """A router compiles anew at each call what is imported."""
    imported = tmp_path / "imported"
    (tmp_path / "sitecustomize.py").write_text(
        "import atexit, pathlib, sys\n"
        f"atexit.register(lambda: pathlib.Path({str(imported)!r}).write_text(' '.join(sys.modules)))\n"
    )
    result = run_module("conntrack_facts", options, netns=filled, env={"PYTHONPATH": f"{tmp_path}:{module_path()}"})
    assert not result.failed
    utils = _netns.__name__.rpartition(".")[0]
    names = {name[len(utils) + 1 :] for name in imported.read_text().split() if name.startswith(f"{utils}.")}
    assert "_facts.gather" in names
    assert not names & set(not_needed.split())

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""conntrack_facts on a real table, beside what conntrack(8) and sysctl(8) say of it."""

from __future__ import annotations

import collections
import pathlib
import re
import sys
import typing as t

import pytest
from support import COLLECTIONS, SYSTEM_PYTHON, network_namespace, run, run_module

TCP = ["-p", "tcp", "--dport", "80", "-t", "1000"]
STALE = {"match": [{"protocol": "tcp", "state": "ESTABLISHED", "replied": False, "packets_original": {"max": 1}}]}


@pytest.fixture(scope="module")
def netns() -> t.Iterator[str]:
    with network_namespace("facts") as name:
        run(["sh", "-c", "echo 1 > /proc/sys/net/netfilter/nf_conntrack_acct"], netns=name)
        for number in range(20):
            source = ["-s", f"198.51.100.{number % 4}", "-d", "203.0.113.9", "--sport", str(2000 + number)]
            state = ["--state", "ESTABLISHED", *(["-u", "SEEN_REPLY,ASSURED"] if number < 5 else [])]
            run(["conntrack", "-I", *TCP, *source, *state, "-m", str(number % 3)], netns=name)
        six = ["-s", "2001:db8::1", "-d", "2001:db8::2", "--sport", "53", "--dport", "53", "-t", "25", "-w", "7"]
        run(["conntrack", "-I", "-p", "udp", *six], netns=name)
        yield name


def facts(netns: str, **options: t.Any) -> dict[str, t.Any]:
    result = run_module("conntrack_facts", options, netns=netns)
    assert result.rc == 0, result.data
    assert set(result.data) - {"invocation", "changed"} == {"ansible_facts"}
    assert set(result.data["ansible_facts"]) == {"conntrack"}
    return t.cast("dict[str, t.Any]", result.data["ansible_facts"]["conntrack"])


def listing(netns: str) -> list[str]:
    return run(["conntrack", "-L", "-o", "extended"], netns=netns).splitlines()


def test_the_table_is_what_conntrack_lists(netns: str) -> None:
    lines, table = listing(netns), facts(netns)["table"]
    assert table["entries"] == len(lines) == 21
    assert table["families"] == {
        "ipv4": sum(line.startswith("ipv4") for line in lines),
        "ipv6": sum(line.startswith("ipv6") for line in lines),
    }
    assert table["protocols"] == dict(collections.Counter(line.split()[2] for line in lines))
    assert table["states"] == {"tcp": {"ESTABLISHED": sum("ESTABLISHED" in line for line in lines)}}
    assert table["status"]["assured"] == sum("[ASSURED]" in line for line in lines) == 5
    assert table["status"]["unreplied"] == sum("[UNREPLIED]" in line for line in lines) == 16
    assert table["evictable"] == 16
    assert table["zones"] == {"0": 20, "7": 1}
    marks = collections.Counter(hex(int(mark)) for line in lines for mark in re.findall(r"mark=(\d+)", line))
    assert table["marks"] == dict(marks)
    assert table["packets"] == {"original": 0, "reply": 0, "unknown": 0}


def test_top_talkers_are_the_largest_and_limited(netns: str) -> None:
    table = facts(netns, top=3)["table"]
    assert table["top"]["destination_port"][0] == {"value": 80, "entries": 20, "percent": 95.24}
    assert [talker["entries"] for talker in table["top"]["source"]] == [5, 5, 5]
    assert table["top"]["destination"][0]["value"] == "203.0.113.9"


def test_histograms_hold_every_entry(netns: str) -> None:
    table = facts(netns)["table"]
    for name in ("remaining", "idle"):
        ranges = table[name]["histogram"]
        assert sum(part["entries"] for part in ranges) + table[name]["unknown"] == 21
        assert [part["below"] for part in ranges[:-1]] == [part["from"] for part in ranges[1:]]
        assert ranges[-1]["below"] is None
    tcp = [part for part in table["remaining"]["histogram"] if part["from"] == 600]
    assert tcp[0]["entries"] == 20


def test_usage_and_settings_are_those_of_sysctl(netns: str) -> None:
    found = facts(netns, gather_subset=["usage", "settings"])
    assert set(found) == {"usage", "settings"}
    for name, value in found["settings"].items():
        full = name if name.startswith("flowtable") else f"conntrack_{name}"
        assert str(value) == run(["sysctl", "-n", f"net.netfilter.nf_{full}"], netns=netns).strip()
    usage = found["usage"]
    assert usage["count"] == int(run(["conntrack", "-C"], netns=netns))
    assert usage["headroom"] == usage["max"] - usage["count"]
    assert usage["memory_bytes"] >= 8 * usage["buckets"] + 256 * usage["count"]


def test_statistics_are_those_of_conntrack(netns: str) -> None:
    stats = facts(netns, gather_subset=["stats"])["stats"]
    lines = run(["conntrack", "-S"], netns=netns).splitlines()
    assert len(stats["per_cpu"]) == len(lines)
    for name in ("drop", "early_drop", "insert_failed"):
        theirs = [int(re.search(rf"\b{name}=(\d+)", line).group(1)) for line in lines]  # type: ignore[union-attr]
        assert [cpu[name] for cpu in stats["per_cpu"]] == theirs
        assert stats["total"][name] == sum(theirs)


def test_a_full_table_in_the_kernel_log_is_counted(netns: str) -> None:
    before = facts(netns, gather_subset=["stats"])["stats"]["table_full"]
    with open("/dev/kmsg", "w", encoding="ascii") as log:
        log.write("<4>nf_conntrack: nf_conntrack: table full, dropping packet\n")
    after = facts(netns, gather_subset=["stats"])["stats"]["table_full"]
    assert after["messages"] == before["messages"] + 1
    assert after["last_seconds_ago"] < 60
    assert after["unreadable"] is None


def test_selectors_are_counted_by_name(netns: str) -> None:
    found = facts(netns, selectors={"stale": STALE, "six": {"match": [{"family": "ipv6"}]}})["selectors"]
    assert found["stale"] == {"entries": 15, "percent": 71.43, "undecidable": 0, "unavailable": None}
    assert found["six"]["entries"] == 1


def test_a_selector_that_needs_accounting_is_unknown_without_it() -> None:
    with network_namespace("facts") as name:
        run(
            ["conntrack", "-I", *TCP, "-s", "1.1.1.1", "-d", "2.2.2.2", "--sport", "1", "--state", "ESTABLISHED"],
            netns=name,
        )
        stale = facts(name, gather_subset=["selectors"], selectors={"stale": STALE})["selectors"]["stale"]
    assert (stale["entries"], stale["percent"], stale["undecidable"]) == (None, None, 1)
    assert "net.netfilter.nf_conntrack_acct" in stale["unavailable"]


@pytest.mark.parametrize("python", [sys.executable, SYSTEM_PYTHON])
def test_a_namespace_by_name_and_by_path(netns: str, python: str) -> None:
    for given in (netns, f"/run/netns/{netns}"):
        result = run_module("conntrack_facts", {"netns": given, "gather_subset": ["table"]}, python=python)
        assert result.data["ansible_facts"]["conntrack"]["table"]["entries"] == 21


def test_all_namespaces(netns: str) -> None:
    result = run_module("conntrack_facts", {"gather_subset": ["namespaces"]})
    assert result.data["ansible_facts"]["conntrack"]["namespaces"][netns]["count"] == 21


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"netns": "not-there"}, ["not-there", "ip netns list"]),
        ({"selectors": {"a": {"match": [{"nonsense": 1}]}}}, ["selectors.a.match[0]", "nonsense"]),
        ({"selectors": {"a": {"match": []}}}, ["selectors.a.match", "selects nothing"]),
        ({"selectors": {"a": {"exclude": []}}}, ["selectors.a", "match"]),
        ({"selectors": {"a": {"match": [{"source": "10.0.0.1/8"}]}}}, ["10.0.0.1/8", "10.0.0.0/8"]),
    ],
)
def test_a_bad_option_names_its_remedy(netns: str, options: dict[str, t.Any], words: list[str]) -> None:
    result = run_module("conntrack_facts", options, netns=netns)
    assert result.failed
    for word in words:
        assert word in result.msg


def test_not_root(netns: str) -> None:
    user = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    result = run_module("conntrack_facts", {}, netns=netns, python=SYSTEM_PYTHON, wrapper=user)
    assert result.failed
    assert "become: true" in result.msg


def test_without_pyroute2(netns: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\n\nsys.modules['pyroute2'] = None\n")
    result = run_module("conntrack_facts", {}, netns=netns, env={"PYTHONPATH": f"{tmp_path}:{COLLECTIONS}"})
    assert result.failed
    assert "python3-pyroute2" in result.msg


def test_without_nf_conntrack(netns: str, tmp_path: pathlib.Path) -> None:
    hide = f"mount --bind {tmp_path} /proc/sys/net/netfilter; mount --bind /dev/null /proc/sys/net/nf_conntrack_max"
    hidden = ("unshare", "--mount", "sh", "-c", f'{hide}; exec "$@"', "sh")
    result = run_module("conntrack_facts", {}, netns=netns, wrapper=hidden)
    assert result.failed
    assert "modprobe nf_conntrack" in result.msg

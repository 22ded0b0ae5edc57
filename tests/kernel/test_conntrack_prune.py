# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module against the kernel, in network namespaces of their own; conntrack(8) is the judge."""

from __future__ import annotations

import json
import pathlib
import re
import sys
import time
import typing as t

import pytest
from helpers.deaf_listener import deaf_listener
from helpers.support import (
    CHECKOUT,
    COLLECTIONS,
    SYSTEM_PYTHON,
    ModuleResult,
    assert_refused,
    network_namespace,
    run,
    run_module,
)

STALE_SENDER = CHECKOUT / "tools" / "lab" / "stale.py"
STALE = 120
STORY = {
    "protocol": "tcp",
    "state": "ESTABLISHED",
    "replied": False,
    "packets_original": {"max": 1},
    "bytes_original": {"max": 40},
}
UNPRIVILEGED = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all")
SSH = "198.51.100.9 40000 198.51.100.1 22"
SSH_ENTRY = "-p tcp -s 198.51.100.9 -d 198.51.100.1 --sport 40000 --dport 22 --state ESTABLISHED -u SEEN_REPLY,ASSURED"
OTHER_SSH_ENTRY = SSH_ENTRY.replace("40000", "40001")

FTP_HELPER = """
table ip helpers {
  ct helper ftp { type "ftp" protocol tcp; }
  chain output { type filter hook output priority 0; meta l4proto tcp ct helper set "ftp"; }
}
"""

Lines = frozenset[str]


def insert(netns: str, *entries: str) -> None:
    """Make entries, each given as conntrack(8) options; they stay for 1000 seconds."""
    run(["conntrack", "-R", "-"], netns=netns, text="".join(f"-I {entry} -t 1000\n" for entry in entries))


def table(netns: str) -> Lines:
    """Return the table as conntrack(8) lists it, one line an entry, without the time that passes."""
    listed = "".join(run(["conntrack", "-L", "-f", family, "-o", "id"], netns=netns) for family in ("ipv4", "ipv6"))
    return frozenset(re.sub(r"^(\S+ +\d+) \d+ ", r"\1 ", line) for line in listed.splitlines())


def story_lines(lines: Lines) -> Lines:
    """Pick the founding story's entries with the means of grep(1)."""
    wanted = re.compile(r"^tcp .*ESTABLISHED .*packets=[01] bytes=([0-9]|[1-3][0-9]|40) \[UNREPLIED\]")
    return frozenset(line for line in lines if wanted.search(line))


def prune(netns: str, *match: dict[str, t.Any], **options: t.Any) -> ModuleResult:
    """Run the module; ``args`` are further options of the module, all others go to run_module."""
    args = {"entries": True, **options.pop("args", {})}
    return run_module("conntrack_prune", {"match": list(match), **args}, netns=netns, **options)


def kept_ports(kept: dict[str, t.Any]) -> tuple[str, str, int, list[int]]:
    """Return what the result says of entries that stay for a reason, with the source ports of its sample."""
    ports = sorted(entry["source_port"] for entry in kept["sample"])
    return kept["reason"], kept["option"], kept["entries"], ports


@pytest.fixture
def netns() -> t.Iterator[str]:
    with network_namespace("prune") as name:
        run(["sysctl", "-qw", "net.netfilter.nf_conntrack_acct=1"], netns=name)
        yield name


def _lead_nowhere(netns: str) -> None:
    """Return the namespace a default route on which packets leave and nobody takes them in."""
    run(["ip", "link", "add", "out", "type", "veth", "peer", "name", "far"], netns=netns)
    run(["ip", "link", "set", "out", "up"], netns=netns)
    run(["ip", "link", "set", "far", "up"], netns=netns)
    run(["ip", "neigh", "add", "192.0.2.1", "lladdr", "02:00:00:00:00:01", "dev", "out"], netns=netns)
    run(["ip", "route", "add", "default", "via", "192.0.2.1", "dev", "out", "onlink"], netns=netns)


@pytest.fixture
def story(netns: str) -> str:
    """A namespace with stale entries of real packets, and with entries that differ from them in one thing each."""
    _lead_nowhere(netns)
    run([sys.executable, str(STALE_SENDER), "0", str(STALE), "bare4"], netns=netns)
    ends = "-s 198.18.0.1 -d 203.0.113.1 --sport {} --dport 443"
    six = "-s 2001:db8::1 -d 2001:db8::2 --sport {} --dport 443"
    insert(
        netns,
        *(f"-p tcp {ends.format(port)} --state ESTABLISHED -u SEEN_REPLY,ASSURED" for port in range(2000, 2060)),
        *(f"-p tcp {ends.format(port)} --state SYN_SENT" for port in range(3000, 3020)),
        *(f"-p udp {ends.format(port)}" for port in range(4000, 4060)),
        *(f"-p tcp {six.format(port)} --state ESTABLISHED -u SEEN_REPLY,ASSURED" for port in range(5000, 5020)),
        *(f"-p tcp {six.format(port)} --state ESTABLISHED" for port in range(6000, 6020)),
    )
    return netns


@pytest.mark.parametrize("python", [sys.executable, SYSTEM_PYTHON])
def test_exactly_the_storys_entries_go(story: str, python: str) -> None:
    before = table(story)
    stale = story_lines(before)
    assert len(stale) == STALE + 20
    assert sum("packets=1 bytes=40 [UNREPLIED]" in line for line in stale) == STALE
    first = prune(story, STORY, python=python, diff=True)
    assert first.data["changed"] is True
    assert table(story) == before - stale
    assert {name: first.data[name] for name in ("matched", "protected", "would_delete", "deleted")} == {
        "matched": len(stale),
        "protected": 0,
        "would_delete": len(stale),
        "deleted": len(stale),
    }
    assert (first.data["already_gone"], first.data["undecidable"]) == (0, 0)
    assert first.data["count_before"] == len(before)
    assert first.data["count_after"] == len(before) - len(stale)
    assert len(first.data["sample"]) == 5
    assert first.data["diff"] == {
        "before": f"{STALE}  ipv4 tcp ESTABLISHED unreplied\n20  ipv6 tcp ESTABLISHED unreplied\n",
        "after": "0  ipv4 tcp ESTABLISHED unreplied\n0  ipv6 tcp ESTABLISHED unreplied\n",
    }

    again = prune(story, STORY, python=python)
    assert again.data["changed"] is False
    assert (again.data["matched"], again.data["deleted"], again.data["sample"]) == (0, 0, [])
    assert "diff" not in again.data


@pytest.mark.parametrize("check", [True, False])
def test_the_answer_fits_a_screen(story: str, check: bool) -> None:
    listed = {line.rpartition(" id=")[0] for line in story_lines(table(story))}
    answer = run_module("conntrack_prune", {"match": [STORY], "sample": 3}, netns=story, check=check).data
    assert answer["sample"] == []
    lines = {re.sub(r"^(\S+ +\d+) \d+ ", r"\1 ", line) for line in answer["lines"]}
    assert len(lines) == 3
    assert lines <= listed
    assert len(json.dumps(answer, indent=4).splitlines()) < 60


def test_check_mode_predicts_and_changes_nothing(story: str) -> None:
    before = table(story)
    match = {**STORY, "source_port": "0-65535", "family": "ipv6"}
    predicted = prune(story, match, check=True, diff=True, args={"sample": 2})
    assert table(story) == before
    assert predicted.data["changed"] is True
    assert (predicted.data["deleted"], predicted.data["would_delete"]) == (0, 20)
    assert predicted.data["count_after"] == predicted.data["count_before"] == len(before)
    real = prune(story, match, diff=True, args={"sample": 2})
    assert real.data["deleted"] == 20
    assert real.data["diff"] == predicted.data["diff"]
    assert [sorted(entry) for entry in predicted.data["sample"]] == [sorted(entry) for entry in real.data["sample"]]
    assert {entry["family"] for entry in predicted.data["sample"]} == {"ipv6"}
    assert prune(story, match, check=True).data["changed"] is False


def test_the_diff_counts_those_of_a_group_that_stay(story: str) -> None:
    result = prune(story, {"protocol": "udp", "source_port": "4000-4009"}, diff=True)
    assert result.data["diff"] == {"before": "60  ipv4 udp unreplied\n", "after": "50  ipv4 udp unreplied\n"}


def test_exclude(story: str) -> None:
    before = table(story)
    prune(story, {"protocol": "udp"}, args={"exclude": [{"source_port": "4001-4999"}]})
    (deleted,) = before - table(story)
    assert "sport=4000 " in deleted


def test_the_same_tuple_in_another_zone_stays(netns: str) -> None:
    entry = "-p udp -s 198.18.0.1 -d 203.0.113.1 --sport 53 --dport 53"
    insert(netns, entry, f"{entry} -w 7", f"{entry} -w 8")
    prune(netns, {"zone": 7})
    assert sorted(re.findall(r"zone=(\d+)", " ".join(table(netns)))) == ["8"]
    prune(netns, {"zone": 0})
    (left,) = table(netns)
    assert "zone=8" in left


def test_a_namespace_by_name(netns: str) -> None:
    insert(netns, SSH_ENTRY)
    result = run_module("conntrack_prune", {"match": [{"protocol": "tcp"}], "netns": netns})
    assert (result.data["deleted"], result.data["count_after"]) == (1, 0)
    assert table(netns) == frozenset()


@pytest.mark.parametrize(
    ("limit", "allowed"), [(0, False), (139, False), (140, True), ("140", True), ("46%", False), ("46.7%", True)]
)
def test_max_delete(story: str, limit: t.Any, allowed: bool) -> None:
    before = table(story)
    assert (len(before), len(story_lines(before))) == (300, 140)
    result = prune(story, STORY, args={"max_delete": limit})
    if allowed:
        assert result.data["deleted"] == 140
        return
    assert_refused(result, "max_delete", str(limit), "140", "300")
    assert table(story) == before
    counts = ("matched", "protected", "would_delete", "undecidable", "count_before", "deleted")
    assert [result.data[name] for name in counts] == [140, 0, 140, 0, 300, 0]
    assert len(result.data["sample"]) == 5


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ({}, ["match"]),
        ({"match": []}, ["match"]),
        ({"match": [{}]}, ["match[0]"]),
        ({"match": [{"protcol": "tcp"}]}, ["protcol"]),
        ({"match": [{"source": "198.18.0.0/33"}]}, ["source", "198.18.0.0/33"]),
        ({"match": [{"family": "ipv4"}], "exclude": [{"sate": "ESTABLISHED"}]}, ["sate"]),
        ({"match": [{"family": "ipv4"}], "max_delete": "101%"}, ["max_delete", "101%"]),
        ({"match": [{"family": "ipv4"}], "max_delete": "-1"}, ["max_delete", "-1"]),
        ({"match": [{"family": "ipv4"}], "max_delete": "many"}, ["max_delete", "many"]),
        ({"match": [{"family": "ipv4"}], "max_delete": True}, ["max_delete", "True"]),
        ({"match": [{"family": "ipv4"}], "max_delete": None}, ["max_delete", "null"]),
        ({"match": [{"family": "ipv4"}], "sample": -1}, ["sample", "-1"]),
        ({"match": [{"family": "ipv4"}], "netns": "prune-nowhere"}, ["netns", "prune-nowhere"]),
    ],
)
def test_a_bad_option_deletes_nothing(netns: str, args: dict[str, t.Any], words: list[str]) -> None:
    insert(netns, SSH_ENTRY)
    before = table(netns)
    assert_refused(run_module("conntrack_prune", args, netns=netns), *words)
    assert table(netns) == before


@pytest.mark.parametrize(
    ("switch", "selector"), [("acct", {"packets": {"max": 1}}), ("timestamp", {"age": {"min": 0}})]
)
def test_a_switch_that_is_off_is_named(netns: str, switch: str, selector: dict[str, t.Any]) -> None:
    sysctl = f"net.netfilter.nf_conntrack_{switch}"
    run(["sysctl", "-qw", f"{sysctl}=0"], netns=netns)
    insert(netns, SSH_ENTRY)
    before = table(netns)
    result = prune(netns, selector)
    assert_refused(result, sysctl)
    assert result.data["unavailable"] == sysctl
    assert table(netns) == before


def test_entries_without_counters_are_undecidable(netns: str) -> None:
    run(["sysctl", "-qw", "net.netfilter.nf_conntrack_acct=0"], netns=netns)
    insert(netns, SSH_ENTRY)
    run(["sysctl", "-qw", "net.netfilter.nf_conntrack_acct=1"], netns=netns)
    insert(netns, OTHER_SSH_ENTRY)
    result = prune(netns, {"packets": {"max": 1}})
    assert (result.data["matched"], result.data["undecidable"], result.data["deleted"]) == (1, 1, 1)
    (left,) = table(netns)
    assert "sport=40000 " in left


SUDO = ("sh", "-c", 'env -i PATH="$PATH" PYTHONPATH="$PYTHONPATH" "$@"; exit $?', "sh")
"""Like sudo, a process in between that drops the environment, and waits."""


@pytest.mark.parametrize("wrapper", [(), SUDO])
@pytest.mark.parametrize("zone", ["", " -w 7"])
def test_the_management_connection_stays(netns: str, wrapper: tuple[str, ...], zone: str) -> None:
    insert(netns, SSH_ENTRY + zone, OTHER_SSH_ENTRY + zone)
    result = prune(netns, {"protocol": "tcp"}, env={"SSH_CONNECTION": SSH}, wrapper=wrapper)
    assert [result.data[name] for name in ("matched", "protected", "would_delete", "deleted")] == [2, 1, 1, 1]
    assert [kept_ports(each) for each in result.data["kept"]] == [
        ("management", "protect_management: false", 1, [40000])
    ]
    (left,) = table(netns)
    assert "sport=40000 " in left


def test_the_management_connection_goes_if_it_may(netns: str) -> None:
    insert(netns, SSH_ENTRY)
    args = {"protect_management": False}
    result = prune(netns, {"protocol": "tcp"}, env={"SSH_CONNECTION": SSH}, args=args)
    assert (result.data["protected"], result.data["deleted"]) == (0, 1)
    assert table(netns) == frozenset()


@pytest.mark.parametrize(
    ("selector", "args"), [({"helper": "ftp"}, {}), ({}, {"protect_helpers": False})], ids=["key", "option"]
)
def test_entries_with_a_helper_stay_unless_asked_for(
    netns: str, selector: dict[str, t.Any], args: dict[str, t.Any]
) -> None:
    _lead_nowhere(netns)
    run(["nft", "-f", "-"], netns=netns, text=FTP_HELPER)
    run([sys.executable, str(STALE_SENDER), "0", "3", "bare4"], netns=netns)
    insert(netns, SSH_ENTRY)
    result = prune(netns, {"protocol": "tcp"})
    assert [result.data[name] for name in ("matched", "protected", "deleted")] == [4, 3, 1]
    assert ["helper=ftp" in line for line in table(netns)] == [True] * 3
    ports = sorted(int(port) for line in table(netns) for port in re.findall(r" sport=(\d+)", line)[:1])
    assert [kept_ports(each) for each in result.data["kept"]] == [("helper", "protect_helpers: false", 3, ports)]
    result = prune(netns, {"protocol": "tcp", **selector}, args=args)
    assert [result.data[name] for name in ("matched", "protected", "kept", "deleted")] == [3, 0, [], 3]
    assert table(netns) == frozenset()


@pytest.mark.parametrize("limit", ["1000", "100%"])
@pytest.mark.parametrize("confirm_idle", ["0", "1s"])
def test_entries_that_the_kernel_cannot_free_are_told(netns: str, limit: str, confirm_idle: str) -> None:
    entries = [f"-p udp -s 198.18.0.1 -d 203.0.113.1 --sport {port} --dport 53" for port in range(1001, 2001)]
    args = {"max_delete": limit, "confirm_idle": confirm_idle}
    with deaf_listener(netns):
        insert(netns, *entries)
        first = prune(netns, {"protocol": "udp"}, args=args)
        listed, counted = len(table(netns)), int(run(["conntrack", "-C"], netns=netns))
        assert [first.data[name] for name in ("deleted", "count_before")] == [1000, 1000]
        assert listed == 0
        assert first.data["not_listed"] == first.data["count_after"] == counted > 900
        [warning] = first.data["warnings"]
        for words in ("1000 entries were deleted", f"{counted} entries", "conntrackd", "conntrack -L dying"):
            assert words in str(warning)
        insert(netns, *entries[:200])
        again = prune(netns, {"protocol": "udp", "source_port": "1001-1010"}, args=args, check=True)
        assert again.data["not_listed"] == counted
        assert "warnings" not in again.data
    for _attempt in range(100):
        if run(["conntrack", "-C"], netns=netns).strip() == "200":
            break
        time.sleep(0.2)
    last = prune(netns, {"protocol": "udp"}, args=args)
    assert [last.data[name] for name in ("deleted", "not_listed", "count_after")] == [200, 0, 0]
    assert "warnings" not in last.data


def test_without_root(netns: str) -> None:
    insert(netns, SSH_ENTRY)
    assert_refused(prune(netns, {"protocol": "tcp"}, wrapper=UNPRIVILEGED), "root", "become")
    assert len(table(netns)) == 1


def test_pyroute2_is_needed_for_netns_only(netns: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\n\nsys.modules['pyroute2'] = None\n")
    without = {"PYTHONPATH": f"{tmp_path}:{COLLECTIONS}"}
    assert not prune(netns, {"protocol": "tcp"}, env=without).failed
    result = prune(netns, {"protocol": "tcp"}, args={"netns": netns}, env=without)
    assert_refused(result, "pyroute2", "python3-pyroute2")


def test_without_any_tracking() -> None:
    with network_namespace("prune", tracking=False) as name:
        result = prune(name, {"protocol": "tcp"})
    assert [result.data[key] for key in ("changed", "count_before", "count_after")] == [False, 0, 0]

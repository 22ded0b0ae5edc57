# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A rehearsal and the run after it give the same counts, whatever is selected; conntrack(8) is the judge."""

from __future__ import annotations

import dataclasses
import os
import re
import signal
import time
import typing as t

import pytest
import yaml
from helpers.support import run
from processes import inside
from topology import QUIET_CONNECTIONS, STALE_DESTINATIONS, Router

Make = t.Callable[[str, int], t.Any]

DAYS_5, HOURS_15 = 432_000, 54_000
SOON = 1000
"""Entries with less time left than this may end by themselves in between, and are not made."""

REPLIED = "-u SEEN_REPLY,ASSURED"
PHONES = 40
"""Entries of UDP that a program gave an hour."""


@dataclasses.dataclass(frozen=True)
class Line:
    """What the tool lists of an entry."""

    identity: str
    family: str
    protocol: str
    state: str
    remaining: int
    text: str

    @property
    def unreplied(self) -> bool:
        return "[UNREPLIED]" in self.text

    def number(self, key: str) -> int:
        found = re.search(rf" {key}=(\d+)", self.text)
        return int(found.group(1)) if found else 0

    @property
    def addresses(self) -> list[str]:
        """Source and destination, then those of the reply."""
        return re.findall(r"(?:src|dst)=(\S+)", self.text)

    @property
    def translated(self) -> tuple[bool, bool]:
        """Whether the source and the destination are other ones after the router."""
        source, destination, reply_source, reply_destination = self.addresses
        return reply_destination != source, reply_source != destination


def listed(router: Router) -> dict[str, Line]:
    """Return the table of the router without connections to port 22, by identity, which ends with a number."""
    tool = ["conntrack", "-L", "-o", "extended,id"]
    text = "".join(run([*tool, "-f", family], netns=router.namespace) for family in ("ipv4", "ipv6"))
    return {line.identity: line for line in map(_line, text.splitlines()) if not re.search(r"[sd]port=22 ", line.text)}


def _line(text: str) -> Line:
    words = text.split()
    state = words[5] if words[2] in ("tcp", "sctp") else ""
    identity = re.findall(r" id=(\d+)", text)[-1]
    return Line(identity, words[0], words[2], state, int(words[4]), text)


@dataclasses.dataclass(frozen=True)
class Case:
    """What one router prunes, and how the judge tells the same entries."""

    variables: dict[str, t.Any]
    selects: t.Callable[[Line], bool]


def is_tcp(line: Line) -> bool:
    return line.protocol == "tcp"


QUIET = 400_000
"""What the idle entries have left of their five days."""

IDLE = min((DAYS_5 - QUIET) // 2, int(time.clock_gettime(time.CLOCK_BOOTTIME)) // 2)
"""No entry is held to be idle for longer than the machine is up, and none of the lab becomes so old in a test."""


def is_idle(line: Line) -> bool:
    """These have hours less than their timeout, and no timestamp that would tell a younger age."""
    return is_tcp(line) and line.state == "ESTABLISHED" and line.number("dport") == 1001


CASES = (
    Case({}, lambda line: " packets=1 " in line.text and line.unreplied and is_tcp(line)),
    Case({"conntrack_prune_match": [{"protocol": "tcp", "idle": {"min": IDLE}}]}, is_idle),
    Case({"conntrack_prune_match": [{"remaining": {"min": "3d"}}]}, lambda line: line.remaining >= 3 * 86400),
    Case(
        {"conntrack_prune_match": [{"remaining": {"min": "1h", "max": "1d"}}]},
        lambda line: 3600 <= line.remaining <= 86400,
    ),
    Case({"conntrack_prune_match": [{"nat": "snat"}]}, lambda line: line.translated[0]),
    Case({"conntrack_prune_match": [{"nat": "dnat"}]}, lambda line: line.translated[1]),
    Case({"conntrack_prune_match": [{"zone": 7}]}, lambda line: line.number("zone") == 7),
    Case({"conntrack_prune_match": [{"mark": "0x10/0x10"}]}, lambda line: bool(line.number("mark") & 0x10)),
    Case(
        {"conntrack_prune_match": [{"family": "ipv6"}, {"replied": False}]},
        lambda line: line.family == "ipv6" or line.unreplied,
    ),
    Case(
        {
            "conntrack_prune_match": [{"protocol": ["tcp", "udp"], "source": "198.18.5.0/24"}],
            "conntrack_prune_exclude": [{"zone": 7}, {"idle": {"min": IDLE}}],
        },
        lambda line: line.addresses[0].startswith("198.18.5.") and line.number("zone") != 7 and not is_idle(line),
    ),
)


def tcp(source: str, options: str, remaining: int, number: int) -> list[str]:
    """Return so many entries of TCP, as options of conntrack(8)."""
    target = "2001:db8:9::9" if ":" in source else "192.0.2.9"
    entry = f"-I -p tcp -s {source} -d {target} --sport {{}} --state ESTABLISHED {options} -t {remaining}"
    return [entry.format(port) for port in range(2000, 2000 + number)]


MADE = [
    *tcp("198.18.5.1", f"--dport 1001 {REPLIED}", QUIET, 30),
    *tcp("198.18.5.2", f"--dport 1002 {REPLIED}", DAYS_5, 21),
    *tcp("198.18.5.3", f"--dport 1003 {REPLIED} -w 7", DAYS_5, 22),
    *tcp("198.18.5.4", f"--dport 1004 {REPLIED} -m 17", DAYS_5, 23),
    *tcp("198.18.5.5", f"--dport 1005 {REPLIED} -n 203.0.113.1", DAYS_5, 24),
    *tcp("198.18.5.6", f"--dport 1006 {REPLIED} -g 203.0.113.2", DAYS_5, 25),
    *tcp("2001:db8:9::1", f"--dport 1007 {REPLIED}", DAYS_5, 26),
    *(
        f"-I -p udp -s 198.18.6.1 -d 192.0.2.9 --sport {port} --dport 5060 {REPLIED} -t 5000"
        for port in range(2000, 2000 + PHONES)
    ),
]


@pytest.fixture
def fleet(make_fleet: Make) -> t.Any:
    """Build ten routers with the same tables and one case each, on which nothing goes on by itself."""
    fleet = make_fleet("nctest", len(CASES))
    variables = {}
    for router, case in zip(fleet.routers, CASES):
        # Each packet of a live flow would give its entry the whole timeout again.
        for process in inside([router.client]):
            os.kill(process.pid, signal.SIGSTOP)
        for protocol in ("udp", "icmp"):
            run(["sh", "-c", f"conntrack -D -p {protocol}; true"], netns=router.namespace)
        for protocol in ("udp", "icmpv6"):
            run(["sh", "-c", f"conntrack -D -f ipv6 -p {protocol}; true"], netns=router.namespace)
        # Idle times are never longer than the age of an entry, as far as that is known.
        run(["sysctl", "-qw", "net.netfilter.nf_conntrack_timestamp=0"], netns=router.namespace)
        run(["conntrack", "-R", "-"], netns=router.namespace, text="".join(f"{line}\n" for line in MADE))
        variables[router.name] = case.variables
    directory = fleet.built.inventory.parent / "host_vars"
    directory.mkdir(exist_ok=True)
    for name, each in variables.items():
        (directory / f"{name}.yml").write_text(yaml.safe_dump(each), encoding="utf-8")
    return fleet


def test_a_table_that_nobody_can_decide_on_is_not_cured(make_fleet: Make) -> None:
    """Entries that were made while accounting was off have no counters, and get none when it is turned on."""
    fleet = make_fleet("nctest", 1)
    router = fleet.routers[0].namespace
    run(["sysctl", "-qw", "net.netfilter.nf_conntrack_acct=0"], netns=router)
    for family, destination in zip(("ipv4", "ipv6"), STALE_DESTINATIONS.values()):
        run(["conntrack", "-D", "-f", family, "-p", "tcp", "--orig-dst", destination], netns=router)
    lines = [line.replace(f" {REPLIED}", "") for line in tcp("198.18.5.2", f"--dport 1002 {REPLIED}", DAYS_5, 400)]
    run(["conntrack", "-R", "-"], netns=router, text="".join(f"{line}\n" for line in lines))

    rehearsal = fleet.play("site", "--check")
    real = fleet.play("site")

    for outcome in (rehearsal, real):
        assert outcome.rc == 0, outcome.output
        host = outcome.report["hosts"]["router1"]
        assert "net.netfilter.nf_conntrack_acct is 0" in host["prune"]["unavailable"]
        last = host["after"] or host["before"]
        assert (last["selectors"]["stale"]["entries"], last["selectors"]["stale"]["undecidable"]) == (None, 400)
        assert [finding["status"] for finding in last["findings"] if finding["id"] == "stale_unknown"] == ["finding"]
    words = "it on, for entries that are made from then on."
    assert f"This run would turn {words}" in " ".join(rehearsal.page.split())
    assert f"This run turned {words}" in " ".join(real.page.split())
    assert run(["sysctl", "-n", "net.netfilter.nf_conntrack_acct"], netns=router) == "1\n"
    assert len(listed(fleet.routers[0])) >= 400
    foretold, done = (
        outcome.report["hosts"]["router1"]["settings"]["shortened"][key]
        for outcome, key in ((rehearsal, "would_update"), (real, "updated"))
    )
    assert 400 + QUIET_CONNECTIONS <= done <= foretold


def counts(report: dict[str, t.Any], deleted: str, shortened: str) -> dict[str, tuple[int, int, t.Any]]:
    """Return what a report counts on each router: entries deleted and shortened, and why others keep their time."""
    found = {}
    for name, host in report["hosts"].items():
        account = host["settings"]["shortened"]
        found[name] = (host["prune"][deleted], account[shortened], account["kept"])
    return found


def test_ten_selectors_are_rehearsed_as_they_are_run(fleet: t.Any) -> None:
    before = {router.name: listed(router) for router in fleet.routers}

    rehearsal = fleet.play("site", "--check", "--extra-vars", "batch=100%")
    assert rehearsal.rc == 0, rehearsal.output
    assert {router.name: set(listed(router)) for router in fleet.routers} == {
        name: set(table) for name, table in before.items()
    }
    real = fleet.play("site", "--extra-vars", "batch=100%")
    assert real.rc == 0, real.output
    after = {router.name: listed(router) for router in fleet.routers}

    predicted = counts(rehearsal.report, "would_delete", "would_update")
    assert counts(real.report, "deleted", "updated") == predicted
    for router, case in zip(fleet.routers, CASES):
        table, left = before[router.name], after[router.name]
        assert all(line.remaining > SOON for line in table.values())
        selected = {identity for identity, line in table.items() if case.selects(line)}
        shortened = {
            identity
            for identity in table.keys() & left.keys()
            if left[identity].remaining <= HOURS_15 < table[identity].remaining
        }
        kept = {
            "not_lowered": sum(line.protocol == "udp" for line in left.values()),
            "rule": 0,
            "helper": 0,
            "longer_than_before": 0,
        }
        assert table.keys() - left.keys() == selected, case
        assert selected
        assert predicted[router.name] == (len(selected), len(shortened), kept)
        assert all(line.remaining <= HOURS_15 for line in left.values() if is_tcp(line))
        assert all(line.remaining > 3600 for line in left.values() if line.protocol == "udp")

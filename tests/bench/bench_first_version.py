# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Measures conntrack_facts and conntrack_prune on a table of 100,000 entries, nine of ten stale, beside `conntrack -L`.

Needs root. The stale entries come from real bare ACKs through a router of the lab, the others from `conntrack -R`. Each
run is a whole process, as on a router. Exit status 1: a bar is missed, or a count is not the one of `conntrack -L`.
"""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
import typing as t

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS), str(TESTS / "lab")]

# ruff: noqa: E402  (they are found through the line above)
import lab
from support import ModuleResult, run, run_module

ENTRIES = 100_000
STALE = 90_000
RUNS = 5
SECONDS_BAR = 6.0
MEGABYTES_BAR = 150.0
STORY = {
    "protocol": "tcp",
    "state": "ESTABLISHED",
    "replied": False,
    "packets_original": {"max": 1},
    "bytes_original": {"max": 40},
}
GREPS = ("ESTABLISHED", "UNREPLIED", "packets=1 bytes=40 ")
"""What a line of `conntrack -L` has if the entry is stale: the greps of the founding story."""


class NotAsClaimedError(Exception):
    """A bar is missed or a count is wrong; the message says which."""


@dataclasses.dataclass(frozen=True)
class Cost:
    """What one process took: seconds from start to end, those on a processor among them, and its peak of memory.

    The memory is what is resident, in megabytes (10**6 bytes). On a busy machine ``seconds`` are far more.
    """

    seconds: float
    cpu_seconds: float
    megabytes: float


@dataclasses.dataclass(frozen=True)
class Bench:
    """A filled table in the namespace ``netns``, and the file in which a measured process leaves its cost."""

    netns: str
    note: pathlib.Path

    @property
    def wrapper(self) -> list[str]:
        """The command that runs another one and measures it."""
        return [sys.executable, str(pathlib.Path(__file__).resolve()), "--measure", str(self.note)]

    def list_table(self) -> Cost:
        """Run `conntrack -L`, its output to nowhere, and give its cost."""
        run([*self.wrapper, "sh", "-c", "exec conntrack -L >/dev/null 2>&1"], netns=self.netns)
        return self._cost()

    def module(self, name: str, args: dict[str, t.Any], *, check: bool = False) -> tuple[ModuleResult, Cost]:
        """Run the module ``name``, give its result and its cost. Raises NotAsClaimedError when it fails."""
        result = run_module(name, args, netns=self.netns, wrapper=self.wrapper, check=check)
        if result.failed:
            raise NotAsClaimedError(f"{name} failed: {result.msg}")
        return result, self._cost()

    def count(self) -> tuple[int, int]:
        """Give the number of entries and of stale ones, by `conntrack -L` and the story's greps."""
        lines = [
            line
            for family in ("ipv4", "ipv6")
            for line in run(["conntrack", "-L", "-f", family], netns=self.netns).splitlines()
        ]
        return len(lines), sum(all(word in line for word in GREPS) for line in lines)

    def _cost(self) -> Cost:
        return Cost(**json.loads(self.note.read_text(encoding="utf-8")))


def measure(note: pathlib.Path, command: list[str]) -> int:
    """Run ``command``, write its cost to ``note``, and give its exit status."""
    started = time.monotonic()
    child = subprocess.Popen(command)
    _pid, status, usage = os.wait4(child.pid, 0)
    seconds = time.monotonic() - started
    cost = Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6)
    note.write_text(json.dumps(dataclasses.asdict(cost)), encoding="utf-8")
    return os.waitstatus_to_exitcode(status)


def other_entries(count: int) -> str:
    """Give ``count`` entries that are not stale in the format of `conntrack -R`: ASSURED TCP, and UDP in turn."""
    tcp = "-p tcp --state ESTABLISHED -u SEEN_REPLY,ASSURED -t 43200"
    udp = "-p udp -u SEEN_REPLY -t 600"
    return "".join(
        f"-A {(tcp, udp)[index % 2]} -s 198.51.100.2 -d 203.0.113.{130 + index // 20_000} -r 203.0.113."
        f"{130 + index // 20_000} -q 198.51.100.2 --sport {20_000 + index % 20_000} --dport 443 --reply-port-src 443 "
        f"--reply-port-dst {20_000 + index % 20_000}\n"
        for index in range(count)
    )


def fill(bench: Bench) -> None:
    """Add entries until there are ENTRIES. Raises NotAsClaimedError when the table does not come out as it should."""
    present, _stale = bench.count()
    run(["conntrack", "-R", "-"], netns=bench.netns, text=other_entries(ENTRIES - present))
    total, stale = bench.count()
    if stale != STALE or abs(total - ENTRIES) > ENTRIES // 100:
        raise NotAsClaimedError(
            f"The table has {total} entries, {stale} of them stale, not {ENTRIES} and {STALE}. "
            "Is net.netfilter.nf_conntrack_max large enough?"
        )


def compare(bench: Bench) -> dict[str, list[Cost]]:
    """Run the three in turn, RUNS times, and give their costs; check every count on the way."""
    costs: dict[str, list[Cost]] = {"conntrack -L": [], "conntrack_facts": [], "conntrack_prune --check": []}
    for _run in range(RUNS):
        most, stale = bench.count()
        costs["conntrack -L"].append(bench.list_table())
        facts, cost = bench.module("conntrack_facts", {"selectors": {"stale": {"match": [STORY]}}})
        costs["conntrack_facts"].append(cost)
        foretold, cost = bench.module("conntrack_prune", {"match": [STORY]}, check=True)
        costs["conntrack_prune --check"].append(cost)
        least, _stale = bench.count()
        measured = facts.data["ansible_facts"]["conntrack"]
        require("stale entries by conntrack_facts", measured["selectors"]["stale"]["entries"], stale)
        require("deletions that conntrack_prune foretells", foretold.data["would_delete"], stale)
        if not least <= measured["table"]["entries"] <= most:
            raise NotAsClaimedError(f"entries: {measured['table']['entries']}, not {least} to {most}")
    return costs


def prune(bench: Bench, directory: pathlib.Path) -> Cost:
    """Delete the stale entries and give what it cost; check that they and no others are gone, and rerun."""
    total, stale = bench.count()
    result, cost = bench.module("conntrack_prune", {"match": [STORY]})
    require("deleted entries", result.data["deleted"], stale)
    left, left_stale = bench.count()
    require("stale entries after the prune", left_stale, 0)
    if abs(total - stale - left) > ENTRIES // 1000:
        raise NotAsClaimedError(f"entries after the prune: {left}, not {total - stale}")
    again, _cost = bench.module("conntrack_prune", {"match": [STORY]})
    require("a second prune changed", again.data["changed"], False)
    require("live flows carry data", lab.all_ok(lab.flows(directory)), True)
    return cost


def require(what: str, found: t.Any, wanted: t.Any) -> None:
    """Raise NotAsClaimedError unless ``found`` is ``wanted``."""
    if found != wanted:
        raise NotAsClaimedError(f"{what}: {found}, not {wanted}")


def report(costs: dict[str, list[Cost]]) -> list[str]:
    """Print a line for each command, with the median of its seconds and its peak of memory; give the bars missed."""
    print(f"{ENTRIES} entries, {STALE} of them stale; the medians of {RUNS} runs in turn, and the peaks of memory")
    print(f"{'':26}{'seconds':>9}{'on a CPU':>10}{'x conntrack -L':>16}{'MB':>6}")
    judge = statistics.median(cost.seconds for cost in costs["conntrack -L"])
    missed = []
    for name, each in costs.items():
        seconds = statistics.median(cost.seconds for cost in each)
        cpu_seconds = statistics.median(cost.cpu_seconds for cost in each)
        megabytes = max(cost.megabytes for cost in each)
        print(f"{name:26}{seconds:9.2f}{cpu_seconds:10.2f}{seconds / judge:16.1f}{megabytes:6.0f}")
        if seconds >= SECONDS_BAR or megabytes >= MEGABYTES_BAR:
            missed.append(name)
    print(f"{'the bars':26}{SECONDS_BAR:9.2f}{'':26}{MEGABYTES_BAR:6.0f}")
    return missed


def main() -> None:
    """Build, fill, compare, prune and report; the lab is taken down in any case."""
    if sys.argv[1:2] == ["--measure"]:
        sys.exit(measure(pathlib.Path(sys.argv[2]), sys.argv[3:]))
    with tempfile.TemporaryDirectory(prefix="conntrack-bench-") as name:
        directory = pathlib.Path(name)
        try:
            built = lab.up(directory, prefix="ncbench", routers=1, stale=STALE)
            bench = Bench(built.routers[0].namespace, directory / "cost.json")
            fill(bench)
            costs = compare(bench)
            costs["conntrack_prune, for real"] = [prune(bench, directory)]
        except NotAsClaimedError as error:
            sys.exit(f"bench: {error}")
        finally:
            lab.down(directory, "ncbench")
    missed = report(costs)
    if missed:
        sys.exit(f"bench: a bar is missed by {', '.join(missed)}")


if __name__ == "__main__":
    main()

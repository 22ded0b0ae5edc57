# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Measures the playbook audit over a fleet, beside one task of ansible.builtin.ping, and beside doing it by hand.

Needs root; builds a lab of its own unless it is given one, which takes two minutes. Every side is a whole process of
ansible-playbook over SSH, with pipelining and open connections; the sides take turns. Prints the figures and
writes them as JSON. Exit status 1: a router was not done, or the bar is missed.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import datetime
import json
import pathlib
import sys
import tempfile
import typing as t

TOOLS = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TOOLS), str(TOOLS.parent / "tests"), str(TOOLS / "lab")]

# ruff: noqa: E402  (they are found through the lines above)
import lab
import record
from bench import machine
from bench.contests import progress
from bench.errors import BenchError
from bench.fleet import Fleet, entries_of, idle_load
from bench.fleet_report import report, verdict
from bench.fleet_results import AUDIT, BY_HAND, PING, REPORT, Contest, Memory, Results
from processes import LabError

WORK = TOOLS.parent / ".work" / "bench"
PREFIX = "ncfleet"
SIDES = (PING, AUDIT, REPORT, BY_HAND)
STALE = 200
GROWING_HOSTS, GROWING_FORKS = (10, 25, 50), (5, 10, 25, 50)
MANY, MANY_FORKS = 1_000, 50
"""So many names for the routers of the lab, each of which is audited under all of its names."""
ONE_BY_ONE = (1, 10)
"""So many routers with a single fork: how long one router keeps it busy."""

_IDLE_SECONDS = 5.0


def main() -> None:
    """Measure the fleet, and print and write the figures."""
    options = _options()
    try:
        with _lab(options) as used, tempfile.TemporaryDirectory(prefix="ncfleet") as home:
            results = measure(used, pathlib.Path(home), options)
    except (BenchError, LabError) as error:
        sys.exit(f"bench: {error}")
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(dataclasses.asdict(results), indent=1) + "\n", encoding="utf-8")
    print(report(results))
    progress(f"figures written to {options.json}")
    figure = verdict(results)
    if not figure.met:
        sys.exit(
            f"bench: audit of {results.contest.hosts} routers: {figure.value:.1f} s, the bar is {figure.limit:.1f}"
        )


def measure(used: record.Lab, home: pathlib.Path, options: argparse.Namespace) -> Results:
    """Measure the contest, and with ``growth`` also other numbers of routers and of forks. Raises BenchError."""
    fleet, size = Fleet(used, home), len(used.routers)
    if options.growth and size < max(GROWING_HOSTS):
        raise BenchError(f"--growth: the lab has {size} routers. Give one with {max(GROWING_HOSTS)} or more.")
    plan = growing(size, options.forks) if options.growth else []
    fleet.warm_up(sorted({size, *(hosts for hosts, _forks, _sides in plan)}, reverse=True), options.forks)
    idle = idle_load(_IDLE_SECONDS)
    progress(f"{idle:.2f} processors are busy with nothing measured")
    results = Results(
        measured=datetime.date.today().isoformat(),
        machine={key: value for key, value in machine.describe().items() if key not in ("buckets", "conntrack")},
        entries=entries_of(used.routers[0]),
        idle=idle,
        contest=hold(fleet, size, options.forks, SIDES, options.rounds),
        growth=[hold(fleet, hosts, forks, sides, options.rounds) for hosts, forks, sides in plan],
        memory=[],
        connection_megabytes=None,
    )
    if not options.growth:
        return results
    many = Fleet(used, home / "many", -(-MANY // size))
    return dataclasses.replace(
        results,
        growth=[*results.growth, hold(many, MANY, MANY_FORKS, (AUDIT, REPORT), 1)],
        memory=[_memory(fleet, forks) for forks in GROWING_FORKS],
        connection_megabytes=fleet.connection_memory(),
    )


def hold(fleet: Fleet, hosts: int, forks: int, sides: t.Sequence[str], rounds: int) -> Contest:
    """Let the sides take turns, the other way round in every second round. Raises BenchError."""
    contest = Contest(hosts, forks, {side: [] for side in sides})
    for number in range(rounds):
        for side in sides[:: -1 if number % 2 else 1]:
            cost = fleet.cost(side, hosts, forks)
            contest.sides[side].append(cost)
            progress(f"{hosts} routers, {forks} forks, {side}: {cost.seconds:.2f} s, {cost.processor:.2f} s of CPU")
    return contest


def growing(size: int, forks: int) -> list[tuple[int, int, tuple[str, ...]]]:
    """Return what to measure besides ``size`` routers with so many ``forks``: routers, forks and sides."""
    grid = [
        (hosts, each, (PING, AUDIT, REPORT) if each == GROWING_FORKS[0] else (PING, AUDIT))
        for hosts in GROWING_HOSTS
        for each in GROWING_FORKS
        if each <= hosts and (hosts, each) != (size, forks)
    ]
    return grid + [(hosts, 1, (AUDIT,)) for hosts in ONE_BY_ONE]


def _memory(fleet: Fleet, forks: int) -> Memory:
    memory = Memory(fleet.size, forks, fleet.memory(fleet.size, forks))
    progress(f"{memory.hosts} routers, {memory.forks} forks: {memory.megabytes:.0f} MB")
    return memory


@contextlib.contextmanager
def _lab(options: argparse.Namespace) -> t.Iterator[record.Lab]:
    """Yield the lab of the inventory, or one that is built and taken down again. Raises LabError."""
    if options.inventory:
        yield record.load(options.inventory.parent)
        return
    with tempfile.TemporaryDirectory(prefix="ncfleet") as place:
        directory = pathlib.Path(place) / "lab"
        built = lab.up(directory, prefix=PREFIX, routers=options.routers, stale=STALE)
        try:
            yield built
        finally:
            lab.down(directory)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--routers", type=int, default=50, help="of the lab that is built")
    parser.add_argument("--inventory", type=pathlib.Path, help="that of a lab which is standing, to use instead")
    parser.add_argument("--forks", type=int, default=25, help="of ansible-playbook")
    parser.add_argument("--rounds", type=int, default=3, help="how often each side runs")
    parser.add_argument("--growth", action="store_true", help="also fewer routers, and other forks")
    parser.add_argument("--json", type=pathlib.Path, default=WORK / "fleet.json", help="where the figures go")
    return parser.parse_args()


if __name__ == "__main__":
    main()

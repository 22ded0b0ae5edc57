# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Measures conntrack_settings with 25 settings beside a loop of ansible.posix.sysctl over the same ones, over SSH.

Needs root, and the package in tools/requirements-bench.txt, which it fetches; takes some minutes. Both write a file of
their own in the router's /etc/sysctl.d. The loop has the options by default: it loads its file (`sysctl -p`) after each
change, and does not set what the file has already. Prints the figures and writes them as JSON. Exit status 1: a setting
is not what was wanted, a second run changed something, or the bar is missed.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import pathlib
import statistics
import sys
import tempfile
import typing as t

TOOLS = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TOOLS), str(TOOLS.parent / "tests"), str(TOOLS / "lab")]

# ruff: noqa: E402  (they are found through the lines above)
import access
import lab
from bench import machine, posix
from bench.contests import progress
from bench.controller import Controller
from bench.errors import BenchError
from bench.report import markdown_table, seconds
from helpers.support import run
from topology import Router

WORK = TOOLS.parent / ".work" / "bench"
PREFIX = "net.netfilter.nf_conntrack_"
RUNS = 5
TIMES_FASTER = 12.0
"""The bar: what the loop takes, as a multiple of the one call, from the first task to the end of the play."""

WANTED = {
    "acct": 1,
    "checksum": 0,
    "events": 1,
    "frag6_timeout": 61,
    "generic_timeout": 120,
    "gre_timeout": 23,
    "gre_timeout_stream": 24,
    "icmp_timeout": 20,
    "icmpv6_timeout": 21,
    "log_invalid": 255,
    "tcp_be_liberal": 1,
    "tcp_ignore_invalid_rst": 1,
    "tcp_loose": 0,
    "tcp_max_retrans": 4,
    "tcp_timeout_close": 32,
    "tcp_timeout_close_wait": 28,
    "tcp_timeout_established": 54000,
    "tcp_timeout_fin_wait": 27,
    "tcp_timeout_last_ack": 29,
    "tcp_timeout_syn_recv": 26,
    "tcp_timeout_syn_sent": 25,
    "tcp_timeout_time_wait": 31,
    "timestamp": 1,
    "udp_timeout": 22,
    "udp_timeout_stream": 180,
}
ONE_CALL, LOOP = "conntrack_settings", "ansible.posix.sysctl"
TASKS: dict[str, dict[str, t.Any]] = {
    ONE_CALL: {"netops.conntrack.conntrack_settings": {"settings": WANTED}},
    LOOP: {
        "ansible.posix.sysctl": {
            "name": f"{PREFIX}{{{{ item.key }}}}",
            "value": "{{ item.value }}",
            "sysctl_file": "/etc/sysctl.d/90-posix.conf",
        },
        "loop": [{"key": short, "value": value} for short, value in WANTED.items()],
        "loop_control": {"label": "{{ item.key }}"},
    },
}

_LINES = (
    ("first_tasks", "first run, changed", f"{TIMES_FASTER:g}"),
    ("second_tasks", "second run, changed=false", ""),
    ("first_process", "first run, all of ansible-playbook", ""),
    ("second_process", "second run, all of ansible-playbook", ""),
)


@dataclasses.dataclass(frozen=True)
class Side:
    """The seconds of one side, round by round: ``tasks`` from the first task to the end, ``process`` all of Ansible."""

    first_tasks: list[float] = dataclasses.field(default_factory=list)
    first_process: list[float] = dataclasses.field(default_factory=list)
    second_tasks: list[float] = dataclasses.field(default_factory=list)
    second_process: list[float] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class Results:
    """All that was measured, with what, and on which day."""

    measured: str
    machine: dict[str, str | int]
    settings: int
    sides: dict[str, Side]


def main() -> None:
    """Measure both sides on a router of the lab, and print and write the figures."""
    options = _options()
    try:
        results = measure(options.runs)
    except BenchError as error:
        sys.exit(f"bench: {error}")
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(dataclasses.asdict(results), indent=1) + "\n", encoding="utf-8")
    print(report(results))
    progress(f"figures written to {options.json}")
    faster = times_faster(results)
    if faster < TIMES_FASTER:
        sys.exit(f"bench: {len(WANTED)} settings in one call: {faster:.1f} times faster, the bar is {TIMES_FASTER:g}")


def measure(runs: int) -> Results:
    """Let both sides run in turn on a router of a lab: as it is at first, and once more. Raises BenchError."""
    found, version = posix.collections(WORK)
    sides = {name: Side() for name in TASKS}
    with tempfile.TemporaryDirectory(prefix="ncbench") as home:
        built = lab.up(pathlib.Path(home) / "lab", prefix="ncset", routers=1, stale=0)
        try:
            (router,) = built.routers
            controller = Controller(built.inventory, pathlib.Path(home), found)
            controller.play({"ansible.builtin.ping": {}})  # opens the connection
            before = _kernel(router)
            for number in range(runs):
                for name in list(TASKS)[:: -1 if number % 2 else 1]:
                    _round(controller, router, name, sides[name])
                    _reset(router, before)
        finally:
            lab.down(pathlib.Path(home) / "lab")
    about = {key: value for key, value in machine.describe().items() if key not in ("buckets", "conntrack")}
    return Results(datetime.date.today().isoformat(), {**about, LOOP: version}, len(WANTED), sides)


def _round(controller: Controller, router: Router, name: str, side: Side) -> None:
    for changes, tasks, process in (
        (1, side.first_tasks, side.first_process),
        (0, side.second_tasks, side.second_process),
    ):
        done = controller.play(TASKS[name])
        if done.changed != changes:
            raise BenchError(f"{name}: {done.changed} tasks changed something, and not {changes}")
        wrong = {short: held for short, held in _kernel(router).items() if held != WANTED[short]}
        if wrong:
            raise BenchError(f"{name}: not what was wanted: {wrong}")
        tasks.append(done.task_seconds)
        process.append(done.seconds)
        progress(f"{name}: {done.task_seconds:.2f} s of {done.seconds:.2f} s, changed={done.changed}")


def _kernel(router: Router) -> dict[str, int]:
    listing = run(["sysctl", "-n", *(PREFIX + short for short in WANTED)], netns=router.namespace)
    return dict(zip(WANTED, map(int, listing.split()), strict=True))


def _reset(router: Router, before: dict[str, int]) -> None:
    """Give the router its first settings again, and an empty /etc/sysctl.d."""
    pairs = [f"{PREFIX}{short}={value}" for short, value in before.items()]
    run(["sysctl", "-w", *pairs], netns=router.namespace)
    for path in (access.ETC_NETNS / router.namespace).glob("*.d/*"):
        path.unlink()


def times_faster(results: Results, what: str = "first_tasks") -> float:
    """Return the median of the rounds: the loop's seconds as a multiple of the one call's, by default first runs."""
    pairs = zip(_seconds_of(results, LOOP, what), _seconds_of(results, ONE_CALL, what), strict=True)
    return statistics.median(loop / one for loop, one in pairs)


def _seconds_of(results: Results, name: str, what: str) -> list[float]:
    found: list[float] = getattr(results.sides[name], what)
    return found


def report(results: Results) -> str:
    """Return the figures as Markdown."""
    about = ", ".join(f"{key} {value}" for key, value in results.machine.items())
    header = (f"{results.settings} settings over SSH", f"{ONE_CALL} s", f"loop of {LOOP} s", "times faster", "bar")
    lines = [
        (
            title,
            *(seconds(statistics.median(_seconds_of(results, name, what))) for name in (ONE_CALL, LOOP)),
            f"{times_faster(results, what):.1f}",
            wanted,
        )
        for what, title, wanted in _LINES
    ]
    return f"Measured {results.measured}: {about}.\n\n{markdown_table(header, lines, header[:1])}\n"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--runs", type=int, default=RUNS, help="how often each side runs")
    parser.add_argument("--json", type=pathlib.Path, default=WORK / "settings.json", help="where the figures go")
    return parser.parse_args()


if __name__ == "__main__":
    main()

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Measures the table engine beside the C tools, on tables of up to a million entries: time, memory, growth.

Needs root in the first network namespace, and 2 GB of memory; takes less than half an hour. Prints the figures and
writes them as JSON. Exit status 1: a count is not the judge's, or a bar is missed.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import pathlib
import signal
import sys
import types
import typing as t

TOOLS = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TOOLS), str(TOOLS.parent / "tests")]

# ruff: noqa: E402  (they are found through the line above)
from bench import contests, machine
from bench.contests import progress
from bench.errors import BenchError
from bench.report import missed, report
from bench.results import Results

SIZES = (10_000, 100_000, 1_000_000)
RUNS = 5
ON_EACH_SIZE = {"mix": ("summary",), "uniform": ("summary",)}
ON_THE_LARGEST = {"mix": ("export",), "uniform": ("prune-stale",), "tcp": ("prune-tcp",)}
"""By kind of table: the contests that take place on it."""
STORY_DELETES = {5_000: 200, 20_000: 200, 100_000: 50}
"""By entries: how many single deletes of the story's method are measured, each of which takes as long as a dump."""
WORKS = ("summary", "export", "prune-stale", "prune-tcp", "story", "modules")
DEFAULT_JSON = TOOLS.parent / ".work" / "bench" / "engine.json"

_PATIENCE_SECONDS = 2 * 3600
_ROOM = 1.1  # above 95 % of its limit the kernel takes entries that are not assured out of a table


def main() -> None:
    """Measure what was asked for, and print and write the figures."""
    options = _options()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM):
        signal.signal(number, _end)
    signal.alarm(_PATIENCE_SECONDS)
    results = Results(datetime.date.today().isoformat(), machine.describe(), [], [], [])
    failures = []
    try:
        with machine.limits(int(_ROOM * max(*options.sizes, *STORY_DELETES))), machine.tracking_namespace():
            measure(results, options.works, sorted(options.sizes), options.runs)
    except BenchError as error:
        failures.append(str(error))
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(dataclasses.asdict(results), indent=1) + "\n", encoding="utf-8")
    print(report(results))
    progress(f"figures written to {options.json}")
    failures += missed(results)
    if failures:
        sys.exit("\n".join(f"bench: {failure}" for failure in failures))


def measure(results: Results, works: t.Collection[str], sizes: t.Sequence[int], runs: int) -> None:
    """Do the ``works`` and add to ``results`` what they took, one by one. Raises BenchError."""
    for kind, size, here in plan(works, sizes):
        table = contests.filled(kind, size)
        results.contests.extend(contests.hold(work, table, runs) for work in here)
    if "story" in works:
        results.stories.extend(contests.story(size, deletes, runs) for size, deletes in STORY_DELETES.items())
    if "modules" in works:
        results.modules.extend(contests.modules(runs))


def plan(works: t.Collection[str], sizes: t.Sequence[int]) -> list[tuple[str, int, list[str]]]:
    """Return the tables in the order in which they are filled, and which of ``works`` are done on each."""
    found = []
    for kind, on_the_largest in ON_THE_LARGEST.items():
        for size in sizes:
            here = (*ON_EACH_SIZE.get(kind, ()), *(on_the_largest if size == max(sizes) else ()))
            found.append((kind, size, [work for work in here if work in works]))
    return [table for table in found if table[2]]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), help="entries of the tables")
    parser.add_argument("--works", nargs="+", choices=WORKS, default=list(WORKS), help="what to measure")
    parser.add_argument("--runs", type=int, default=RUNS, help="how often each side runs")
    parser.add_argument("--json", type=pathlib.Path, default=DEFAULT_JSON, help="where the figures go")
    return parser.parse_args()


def _end(number: int, _frame: types.FrameType | None) -> t.NoReturn:
    """Leave by an exception, so that everything is restored."""
    sys.exit(f"bench: ended by {signal.Signals(number).name}")


if __name__ == "__main__":
    main()

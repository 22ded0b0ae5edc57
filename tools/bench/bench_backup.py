# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Measures what a backup adds to a prune: the same table is pruned with and without it, in turns.

Needs root in the first network namespace, and room for the backup (200 bytes an entry). Exit status 1: a count is not
what it should be, or a bar is missed.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import typing as t

TOOLS = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TOOLS), str(TOOLS.parent / "tests")]

# ruff: noqa: E402  (they are found through the line above)
from bench import contests, machine
from bench.contestants import parse_engine_run
from helpers.support import run as run_command

WORKS = {"prune-stale": "uniform", "prune-tcp": "tcp"}
"""What is deleted, and the table that it is deleted from."""

MODES = {"one process": "no", "overlap": "yes"}
MOST_TIMES = 1.3
"""How much longer a prune with a backup may take."""

_ENGINE = TOOLS / "bench" / "engine.py"
_ROOM = 1.1

Run = dict[str, t.Any]


@dataclasses.dataclass(frozen=True)
class Contest:
    """A prune of a table, in one mode, by the interpreter of the router."""

    work: str
    table: contests.Table
    mode: str
    python: str

    def run(self, backup: bool) -> Run:
        """Prune the table, with or without a backup, and return what the engine says. Raises SystemExit."""
        self.table.refill()
        wanted = self.table.judged.stale if self.work == "prune-stale" else self.table.judged.protocols["tcp"]
        with tempfile.TemporaryDirectory(prefix="conntrack-bench-") as directory:
            options = ["--backup", directory] if backup else []
            command = [self.python, str(_ENGINE), self.work, "--overlap", MODES[self.mode], *options]
            line = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
            lines = [int(_lines(path)) for path in pathlib.Path(directory).iterdir()]
        result: Run = json.loads(line)
        if result["counts"]["deleted"] != wanted or lines != [wanted + 2] * backup:
            raise SystemExit(f"{self.work}: {result['counts']}, backup of {lines} lines, {wanted} were stale")
        return {**result, "megabytes": parse_engine_run(line).megabytes}


def _lines(path: pathlib.Path) -> str:
    return run_command(["wc", "-l", str(path)]).split()[0]


def main() -> None:
    """Measure each prune in each mode, and print the medians of the pairs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--works", nargs="+", choices=WORKS, default=list(WORKS))
    parser.add_argument("--python", default=sys.executable, help="the interpreter of the router")
    options = parser.parse_args()
    met = []
    with machine.limits(int(_ROOM * options.entries)), machine.tracking_namespace():
        for work in options.works:
            table = contests.filled(WORKS[work], options.entries)
            met += [measure(Contest(work, table, mode, options.python), options.runs) for mode in MODES]
    sys.exit(not all(met))


def measure(contest: Contest, runs: int) -> bool:
    """Measure the contest, print a line of JSON, and return whether the bar is met."""
    pairs = [(contest.run(backup=False), contest.run(backup=True)) for _number in range(runs)]
    times: dict[str, float] = {
        name: round(statistics.median(backed[name] / plain[name] for plain, backed in pairs), 3)
        for name in ("seconds", "processor_seconds")
    }
    figures = {
        "work": contest.work,
        "entries": contest.table.size,
        "mode": contest.mode,
        **{
            f"{name}_{with_or_without}": round(statistics.median(run[name] for run in side), 3)
            for name in ("seconds", "megabytes")
            for with_or_without, side in zip(("without", "with"), zip(*pairs, strict=True), strict=True)
        },
        "times": times,
    }
    print(json.dumps(figures), flush=True)
    return times["seconds"] <= MOST_TIMES


if __name__ == "__main__":
    main()

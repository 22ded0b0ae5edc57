# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Measures what it costs to look for what fills a table: the summary with and without it, in turns.

Needs root in the first network namespace. Exit status 1: a table has other entries than it should have, or a bar is
missed. Processor time is the one to look at on a machine that does other things as well.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import typing as t

TOOLS = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TOOLS), str(TOOLS.parent / "tests")]

# ruff: noqa: E402  (they are found through the line above)
from bench import machine, tables

KINDS = ("mix", "uniform", "different")
MOST_TIMES = 1.15
"""How much longer a summary with explain may take."""

MOST_MEGABYTES = 64
"""How much memory it may take above the start."""

_ENGINE = TOOLS / "bench" / "engine.py"
_ROOM = 1.1

Run = dict[str, t.Any]


def main() -> None:
    """Measure each kind of table, and print the medians of the pairs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--explain", type=int, default=5)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--python", default=sys.executable, help="the interpreter of the router")
    options = parser.parse_args()
    met = []
    with machine.limits(int(_ROOM * options.entries)), machine.tracking_namespace():
        for kind in options.kinds:
            tables.fill(kind, options.entries)
            met.append(measure(kind, options))
    sys.exit(not all(met))


def measure(kind: str, options: argparse.Namespace) -> bool:
    """Measure the present table, print a line of JSON, and return whether the bars are met."""
    pairs = [(_run(0, options), _run(options.explain, options)) for _number in range(options.runs)]
    times: dict[str, float] = {
        name: round(statistics.median(explained[name] / plain[name] for plain, explained in pairs), 3)
        for name in ("processor_seconds", "seconds")
    }
    megabytes: dict[str, int] = {
        name: round(statistics.median(run["rss_peak"] - run["rss_start"] for run in runs))
        for name, runs in zip(("without", "with"), zip(*pairs, strict=True), strict=True)
    }
    figures = {
        "kind": kind,
        "entries": options.entries,
        "processor_seconds_without": round(
            statistics.median(plain["processor_seconds"] for plain, _explained in pairs), 3
        ),
        "times": times,
        "megabytes": megabytes,
    }
    print(json.dumps(figures), flush=True)
    return times["processor_seconds"] <= MOST_TIMES and megabytes["with"] <= MOST_MEGABYTES


def _run(explain: int, options: argparse.Namespace) -> Run:
    command = [options.python, str(_ENGINE), "summary", "--explain", str(explain)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    result: Run = json.loads(done.stdout)
    if result["counts"]["entries"] != options.entries:
        raise SystemExit(f"{result['counts']['entries']} entries were counted, not {options.entries}")
    return result


if __name__ == "__main__":
    main()

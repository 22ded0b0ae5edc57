# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Measures how long the report on a large synthetic fleet takes to render, in each format, and in how much memory.

Each format has a process of its own, which reads the document from a file and holds it. Prints the figures and writes
them as JSON. Exit status 1: HTML misses its bars.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

TOOLS = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TOOLS), str(TOOLS.parent / "tests"), str(TOOLS.parent / ".collections")]

# ruff: noqa: E402  (they are found through the line above)
from ansible_collections.netops.conntrack.plugins.plugin_utils._formats.render import render
from bench.contests import progress
from bench.report import markdown_table, seconds
from helpers.documents import fleet_document

WORK = TOOLS.parent / ".work" / "bench"
HOSTS, RUNS = 2_000, 3
STYLES = ("html", "json", "markdown", "text", "csv", "prometheus", "junit")
MIB = 1 << 20

MOST_SECONDS, MOST_MEBIBYTES = 20.0, 500.0
"""The bars, for HTML: the median time, and the peak of the process that has the document in memory."""

_TIMEOUT = 600
_HEADER = ("format", "seconds", "bar", "peak MiB", "bar", "file MiB", "KiB a router")


@dataclasses.dataclass(frozen=True)
class Cost:
    """What a format costs: the seconds of each run, the largest resident set, and the size of the file."""

    style: str
    seconds: list[float]
    peak_bytes: int
    file_bytes: int

    @property
    def median(self) -> float:
        """Return the median of the runs' seconds."""
        return statistics.median(self.seconds)

    @property
    def peak_mebibytes(self) -> float:
        """Return the largest resident set in MiB."""
        return self.peak_bytes / MIB


def main() -> None:
    """Measure each format in a process of its own, or one format in this process."""
    options = _options()
    if options.style:
        print(json.dumps(dataclasses.asdict(render_alone(options.style, options.document, options.runs))))
        return
    costs = measure(options.hosts, options.runs)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    figures = {"hosts": options.hosts, "costs": [dataclasses.asdict(cost) for cost in costs]}
    options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    print(report(options.hosts, costs))
    progress(f"figures written to {options.json}")
    page = costs[0]
    if page.median > MOST_SECONDS or page.peak_mebibytes > MOST_MEBIBYTES:
        sys.exit(f"bench: HTML took {page.median:.1f} s and {page.peak_mebibytes:.0f} MiB")


def measure(hosts: int, runs: int) -> list[Cost]:
    """Return the cost of each format, HTML first. Raises CalledProcessError and TimeoutExpired."""
    with tempfile.TemporaryDirectory(prefix="ncreport") as place:
        document = pathlib.Path(place) / "fleet.json"
        document.write_text(json.dumps(fleet_document(hosts, hostile=True)), encoding="utf-8")
        progress(f"a document of {hosts:,} routers: {document.stat().st_size / MIB:.1f} MiB of JSON")
        return [_in_a_process(style, document, runs) for style in STYLES]


def render_alone(style: str, document: pathlib.Path, runs: int) -> Cost:
    """Render the document in this process, which must have done nothing else, and give what that took."""
    fleet = json.loads(document.read_text(encoding="utf-8"))
    taken, size = [], 0
    for _run in range(runs):
        started = time.perf_counter()
        size = len(render(fleet, style).encode())
        taken.append(time.perf_counter() - started)
    return Cost(style, taken, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, size)


def report(hosts: int, costs: list[Cost]) -> str:
    """Return the figures as a table in Markdown."""
    lines = [
        (
            cost.style,
            seconds(cost.median),
            f"{MOST_SECONDS:g}" if cost.style == "html" else "",
            f"{cost.peak_mebibytes:.0f}",
            f"{MOST_MEBIBYTES:g}" if cost.style == "html" else "",
            f"{cost.file_bytes / MIB:.1f}",
            f"{cost.file_bytes / 1024 / hosts:.1f}",
        )
        for cost in costs
    ]
    return f"A report of {hosts:,} routers, before and after:\n\n{markdown_table(_HEADER, lines, _HEADER[:1])}\n"


def _in_a_process(style: str, document: pathlib.Path, runs: int) -> Cost:
    command = [sys.executable, __file__, "--style", style, "--document", str(document), "--runs", str(runs)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=_TIMEOUT, check=True)
    cost = Cost(**json.loads(done.stdout))
    progress(f"{style}: {cost.median:.2f} s, {cost.peak_mebibytes:.0f} MiB")
    return cost


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--hosts", type=int, default=HOSTS, help="routers of the synthetic fleet")
    parser.add_argument("--runs", type=int, default=RUNS, help="how often each format is rendered")
    parser.add_argument("--json", type=pathlib.Path, default=WORK / "report.json", help="where the figures go")
    parser.add_argument("--style", choices=STYLES, help="render only this, in this process; used by the script itself")
    parser.add_argument("--document", type=pathlib.Path, help="the document for --style")
    return parser.parse_args()


if __name__ == "__main__":
    main()

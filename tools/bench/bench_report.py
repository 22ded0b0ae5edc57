# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Measures what the report on large synthetic fleets takes to write, in each format: processor time, and memory.

Each format has a process of its own, which reads the document from a file, holds it, and writes the file of the report.
The largest fleet is 2,000 routers again and again, under other names. Prints the figures and writes them as JSON.
Exit status 1: HTML misses its bars.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import pathlib
import subprocess
import sys
import tempfile
import time
import typing as t

TOOLS = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TOOLS), str(TOOLS.parent / "tests"), str(TOOLS.parent / ".collections")]

# ruff: noqa: E402  (they are found through the line above)
from ansible_collections.netops.conntrack.plugins.plugin_utils._formats.render import parts_or_say_why
from ansible_collections.netops.conntrack.plugins.plugin_utils._formats.report_files import write_file
from bench.contests import progress
from bench.report import markdown_table, seconds

WORK = TOOLS.parent / ".work" / "bench"
FLEETS, RUNS = (2_000, 10_000), 3
DRAWN = 2_000
"""Routers that differ. To draw 10,000 takes longer than to measure them."""

STYLES = ("html", "json", "markdown", "text", "csv", "prometheus", "junit")
MIB = 1 << 20


class Bars(t.NamedTuple):
    """The most seconds, and the most MiB of the process that has the document in memory."""

    seconds: float
    mebibytes: float


BARS = {2_000: Bars(5.0, 250.0), 10_000: Bars(30.0, 1024.0)}
"""By routers, those of HTML."""

_TIMEOUT = 1200
_HEADER = ("format", "CPU s", "bar", "seconds", "peak MiB", "bar", "file MiB", "KiB a router")


@dataclasses.dataclass(frozen=True)
class Cost:
    """What a format costs: the seconds of each run, of processor and clock, the largest resident set, and the file."""

    hosts: int
    style: str
    processor: list[float]
    seconds: list[float]
    peak_bytes: int
    file_bytes: int

    @property
    def peak_mebibytes(self) -> float:
        """Return the largest resident set in MiB."""
        return self.peak_bytes / MIB

    @property
    def bars(self) -> Bars | None:
        """Return the bars that it has to reach, if there are any."""
        return BARS.get(self.hosts) if self.style == "html" else None

    @property
    def met(self) -> bool:
        """Return whether it reaches its bars. The least processor time counts: no other program can lower it."""
        bars = self.bars
        return not bars or (min(self.processor) <= bars.seconds and self.peak_mebibytes <= bars.mebibytes)


def main() -> None:
    """Measure each format in a process of its own, or one format in this process."""
    options = _options()
    if options.style:
        [hosts] = options.hosts
        print(json.dumps(dataclasses.asdict(write_alone(hosts, options.style, options.document, options.runs))))
        return
    costs = measure(options.hosts, options.runs)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps([dataclasses.asdict(cost) for cost in costs], indent=1) + "\n", encoding="utf-8")
    for hosts in options.hosts:
        print(report(hosts, [cost for cost in costs if cost.hosts == hosts]))
    progress(f"figures written to {options.json}")
    missed = [f"{cost.hosts:,} routers" for cost in costs if not cost.met]
    if missed:
        sys.exit(f"bench: HTML misses its bars for {', '.join(missed)}")


def measure(fleets: t.Sequence[int], runs: int) -> list[Cost]:
    """Return the cost of each format for fleets of so many routers. Raises CalledProcessError and TimeoutExpired."""
    # The processes that are measured need none of it.
    from helpers.documents import fleet_document, under_other_names

    drawn = fleet_document(min(DRAWN, max(fleets)), hostile=True)
    costs = []
    with tempfile.TemporaryDirectory(prefix="ncreport") as place:
        document = pathlib.Path(place) / "fleet.json"
        for hosts in fleets:
            fleet = drawn if hosts == len(drawn["hosts"]) else under_other_names(drawn, hosts)
            document.write_text(json.dumps(fleet), encoding="utf-8")
            progress(f"a document of {hosts:,} routers: {document.stat().st_size / MIB:.1f} MiB of JSON")
            costs += [_in_a_process(hosts, style, document, runs) for style in STYLES]
    return costs


def write_alone(hosts: int, style: str, document: pathlib.Path, runs: int) -> Cost:
    """Write the report in this process, which must have done nothing else, and return what that took."""
    fleet = json.loads(document.read_text(encoding="utf-8"))
    # What reading took is no part of it. Linux counts the peak anew from here (proc_pid_clear_refs(5)).
    pathlib.Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    file = document.with_name(f"report.{style}")
    processor, taken = [], []
    for _run in range(runs):
        started, began = time.perf_counter(), time.process_time()
        write_file(str(file), parts_or_say_why(fleet, style), 0o600)
        processor.append(time.process_time() - began)
        taken.append(time.perf_counter() - started)
    return Cost(hosts, style, processor, taken, _peak_bytes(), file.stat().st_size)


def _peak_bytes() -> int:
    status = pathlib.Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    [kibibytes] = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(kibibytes) * 1024


def report(hosts: int, costs: list[Cost]) -> str:
    """Return the figures as a table in Markdown."""
    lines = [
        (
            cost.style,
            seconds(min(cost.processor)),
            f"{cost.bars.seconds:g}" if cost.bars else "",
            seconds(min(cost.seconds)),
            f"{cost.peak_mebibytes:.0f}",
            f"{cost.bars.mebibytes:g}" if cost.bars else "",
            f"{cost.file_bytes / MIB:.1f}",
            f"{cost.file_bytes / 1024 / hosts:.1f}",
        )
        for cost in costs
    ]
    return f"A report of {hosts:,} routers, before and after:\n\n{markdown_table(_HEADER, lines, _HEADER[:1])}\n"


def _in_a_process(hosts: int, style: str, document: pathlib.Path, runs: int) -> Cost:
    options = ["--hosts", str(hosts), "--style", style, "--document", str(document), "--runs", str(runs)]
    command = [sys.executable, __file__, *options]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=_TIMEOUT, check=True)
    cost = Cost(**json.loads(done.stdout))
    progress(f"{hosts:,} routers, {style}: {min(cost.processor):.2f} s, {cost.peak_mebibytes:.0f} MiB")
    return cost


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--hosts", type=int, nargs="+", default=FLEETS, help="routers of the synthetic fleets")
    parser.add_argument("--runs", type=int, default=RUNS, help="how often each format is written")
    parser.add_argument("--json", type=pathlib.Path, default=WORK / "report.json", help="where the figures go")
    parser.add_argument("--style", choices=STYLES, help="write only this, in this process; used by the script itself")
    parser.add_argument("--document", type=pathlib.Path, help="the document for --style")
    return parser.parse_args()


if __name__ == "__main__":
    main()

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The contests: the engine and the C tool in turn on the same table, and both have to come to the same counts.

All of them work in the present network namespace, and fill its table themselves.
"""

from __future__ import annotations

import dataclasses
import pathlib
import sys
import tempfile
import time
import typing as t

from bench import machine, tables
from bench.contestants import EngineRun, run_command, run_engine
from bench.errors import BenchError
from bench.judge import Census, census, census_of_table, differences
from bench.results import ONE_PROCESS, OVERLAP, Contest, ModuleRuns, Runs, Story
from bench.story import STORY
from bench.wrapped import wrap, wrapped_run

MODULE_SIZE = 100_000
"""The size of the table on which the modules run as whole processes."""

_STARTED = time.monotonic()


@dataclasses.dataclass(frozen=True)
class Table:
    """A table as it was filled, and what the judge counted in it."""

    kind: str
    size: int
    judged: Census

    def refill(self) -> None:
        """Fill it anew with the same entries, unless nothing is missing."""
        if machine.setting("nf_conntrack_count") != self.size:
            tables.fill(self.kind, self.size)


class Contestants(t.NamedTuple):
    """The two sides of a contest: each call is one run, checked, and gives what it took."""

    command: t.Callable[[], float]
    engine: t.Callable[[str], EngineRun]


def progress(text: str) -> None:
    """Say on standard error how far the benchmark is, and since how many seconds it runs."""
    print(f"[{time.monotonic() - _STARTED:5.0f} s] {text}", file=sys.stderr, flush=True)


def filled(kind: str, size: int) -> Table:
    """Fill the table, and let the judge count it."""
    started = time.monotonic()
    tables.fill(kind, size)
    progress(f"{kind} table of {size:,} entries filled in {time.monotonic() - started:.1f} s")
    return Table(kind, size, census_of_table())


def hold(work: str, table: Table, runs: int) -> Contest:
    """Hold the contest of ``work`` on ``table``. Raises BenchError."""
    if work == "summary":
        return _summary(table, runs)
    if work == "export":
        return _export(table, runs)
    wanted = table.judged.stale if work == "prune-stale" else table.judged.protocols["tcp"]
    return _prune(work, table, wanted, runs)


def story(size: int, deletes: int, runs: int) -> Story:
    """Delete ``deletes`` entries with a `conntrack -D` each, and all the stale ones with the engine.

    Raises BenchError.
    """
    table = filled("uniform", size)
    destination = ["--dst", tables.STALE_DESTINATION, "--dport", str(tables.STALE_PORT)]
    command_seconds = 0.0
    for index in range(deletes):
        source = ["--src", tables.stale_source(index), "--sport", str(tables.STALE_SOURCE_PORT)]
        seconds, deleted = run_command(["-D", "-p", "tcp", *source, *destination])
        _require("entries that one conntrack -D deletes", deleted, 1)
        command_seconds += seconds
    engine_seconds = []
    for _run in range(runs):
        table.refill()
        run = run_engine(["prune-stale"], ONE_PROCESS)
        _require_deleted("prune-stale", run, table.judged.stale)
        engine_seconds.append(run.seconds)
    took = f"{deletes} x conntrack -D {command_seconds:.2f} s, engine {engine_seconds[-1]:.3f} s"
    progress(f"story, {size:,} entries: {took}")
    return Story(size, table.judged.stale, deletes, command_seconds, engine_seconds)


def modules(runs: int) -> list[ModuleRuns]:
    """Run the modules in Ansible's wrapper on an empty table and on one of MODULE_SIZE. Raises BenchError."""
    with tempfile.TemporaryDirectory(prefix="conntrack-bench-") as directory:
        facts = wrap(
            "conntrack_facts", {"gather_subset": ["all"], "selectors": {"stale": {"match": [STORY]}}}, directory
        )
        prune = wrap("conntrack_prune", {"match": [STORY], "_ansible_check_mode": True}, directory)
        found = []
        for size in (0, MODULE_SIZE):
            table = filled("uniform", size)
            found.append(_module("conntrack_facts", facts, _stale_in_facts, table, runs))
            found.append(_module("conntrack_prune --check", prune, _stale_in_prune, table, runs))
    return found


def _summary(table: Table, runs: int) -> Contest:
    def command() -> float:
        seconds, shown = run_command(["-L"])
        _require("entries that conntrack -L shows", shown, table.size)
        return seconds

    def engine(mode: str) -> EngineRun:
        run = run_engine(["summary"], mode)
        wrong = differences(table.judged, run.counts)
        if wrong:
            raise BenchError(f"summary of {table.kind}, {mode}: {'; '.join(wrong)}")
        return run

    return _contest("summary", table, "conntrack -L >/dev/null", Contestants(command, engine), runs)


def _prune(work: str, table: Table, wanted: int, runs: int) -> Contest:
    def command() -> float:
        table.refill()
        seconds, deleted = run_command(["-D", "-p", "tcp"])
        _require("entries that conntrack -D deletes", deleted, table.judged.protocols["tcp"])
        _require("entries after conntrack -D", machine.setting("nf_conntrack_count"), table.size - deleted)
        return seconds

    def engine(mode: str) -> EngineRun:
        table.refill()
        run = run_engine([work], mode)
        _require_deleted(f"{work}, {mode}", run, wanted)
        left = census_of_table()
        _require(f"entries after {work}, {mode}", left.entries, table.size - wanted)
        _require(f"stale entries after {work}, {mode}", left.stale, 0)
        return run

    return _contest(work, table, "conntrack -D -p tcp >/dev/null", Contestants(command, engine), runs)


def _export(table: Table, runs: int) -> Contest:
    with tempfile.TemporaryDirectory(prefix="conntrack-bench-") as name:
        path = pathlib.Path(name, "entries")

        def command() -> float:
            seconds, shown = run_command(["-L", "-o", "extended"], path)
            _require("entries that conntrack -L -o extended shows", shown, table.size)
            return seconds

        def engine(mode: str) -> EngineRun:
            path.unlink()
            run = run_engine(["export", str(path)], mode)
            _require(f"entries that export matches, {mode}", run.counts["matched"], table.size)
            with open(path, "rb") as lines:
                _require(f"what export wrote, {mode}", census(lines), table.judged)
            return run

        return _contest("export", table, "conntrack -L -o extended >file", Contestants(command, engine), runs)


def _contest(work: str, table: Table, command: str, sides: Contestants, runs: int) -> Contest:
    command_seconds: list[float] = []
    engine_runs: dict[str, list[EngineRun]] = {ONE_PROCESS: [], OVERLAP: []}
    for number in range(1, runs + 1):
        command_seconds.append(sides.command())
        took = [f"conntrack {command_seconds[-1]:.3f} s"]
        for mode, done in engine_runs.items():
            done.append(sides.engine(mode))
            took.append(f"{mode} {done[-1].seconds:.3f} s")
        progress(f"{work}, {table.kind}, {table.size:,} entries, run {number} of {runs}: {', '.join(took)}")
    engine = {
        mode: Runs(
            seconds=[run.seconds for run in done],
            start_up_seconds=[run.start_up_seconds for run in done],
            megabytes=[run.megabytes for run in done],
        )
        for mode, done in engine_runs.items()
    }
    return Contest(work, table.size, table.kind, command, command_seconds, engine)


def _module(
    name: str, path: pathlib.Path, stale_in: t.Callable[[dict[str, t.Any]], int], table: Table, runs: int
) -> ModuleRuns:
    seconds = []
    for _run in range(runs):
        took, result = wrapped_run(path)
        _require(f"stale entries by {name}", stale_in(result), table.judged.stale)
        seconds.append(took)
    progress(f"{name}, {table.size:,} entries: {', '.join(f'{each:.2f} s' for each in seconds)}")
    return ModuleRuns(name, table.size, seconds)


def _stale_in_facts(result: dict[str, t.Any]) -> int:
    stale: int = result["ansible_facts"]["conntrack"]["selectors"]["stale"]["entries"]
    return stale


def _stale_in_prune(result: dict[str, t.Any]) -> int:
    stale: int = result["would_delete"]
    return stale


def _require_deleted(what: str, run: EngineRun, wanted: int) -> None:
    counts = {"matched": wanted, "deleted": wanted, "already_gone": 0, "not_deleted": 0}
    _require(f"counts of {what}", {name: run.counts[name] for name in counts}, counts)


def _require(what: str, found: object, wanted: object) -> None:
    if found != wanted:
        raise BenchError(f"{what}: {found}, not {wanted}")

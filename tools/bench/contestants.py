# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One run of each contestant: a child process in the present network namespace, and what it took."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import re
import subprocess
import sys
import time
import typing as t

from bench.errors import BenchError
from bench.results import OVERLAP

_ENGINE = pathlib.Path(__file__).resolve().parent / "engine.py"
_REPORTED = re.compile(r"(\d+) flow entries have been (?:shown|deleted)")


@dataclasses.dataclass(frozen=True)
class EngineRun:
    """What one run of the engine took (see results.Runs), and what it counted."""

    seconds: float
    start_up_seconds: float
    megabytes: float
    counts: dict[str, t.Any]


def run_command(arguments: t.Sequence[str], output: pathlib.Path | None = None) -> tuple[float, int]:
    """Run `conntrack` with ``arguments``, its output to nowhere or to the file ``output``.

    Gives the seconds of the whole process and how many entries it says it showed or deleted. Raises BenchError.
    """
    with open(output or "/dev/null", "wb") as stream:
        started = time.perf_counter()
        done = subprocess.run(["conntrack", *arguments], stdout=stream, stderr=subprocess.PIPE, text=True, check=False)
        seconds = time.perf_counter() - started
    reported = _REPORTED.search(done.stderr)
    if done.returncode != 0 or reported is None:
        raise BenchError(f"conntrack {' '.join(arguments)}: rc {done.returncode}, {done.stderr.strip()}")
    return seconds, int(reported.group(1))


def run_engine(work: t.Sequence[str], mode: str) -> EngineRun:
    """Run the engine's ``work`` in ``mode``. Raises BenchError when it fails."""
    command = [sys.executable, str(_ENGINE), *work, "--overlap", "yes" if mode == OVERLAP else "no"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchError(f"engine.py {' '.join(work)}, {mode}: rc {done.returncode}\n{done.stdout}{done.stderr}")
    return parse_engine_run(done.stdout)


def parse_engine_run(line: str) -> EngineRun:
    """Return what the engine says of itself in one line of JSON; the reading process's growth counts as its own.

    A reading process is a copy of the one that counts, so it starts with the memory that this one has at its start.
    """
    data = json.loads(line)
    start, peak, reader = (float(data[f"rss_{name}"]) for name in ("start", "peak", "reader"))
    return EngineRun(
        seconds=data["seconds"],
        start_up_seconds=data["start_up_seconds"],
        megabytes=peak - start + max(0.0, reader - start),
        counts=data["counts"],
    )

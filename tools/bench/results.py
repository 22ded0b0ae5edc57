# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the benchmark measures, as plain data that goes to JSON and back; everything else is worked out from it."""

from __future__ import annotations

import dataclasses
import typing as t

ONE_PROCESS, OVERLAP = "one process", "overlap"
"""How the engine reads: in the process that counts, or in a second one."""


@dataclasses.dataclass(frozen=True)
class Runs:
    """The engine's runs in one contest: seconds of work, those from its process's start to it, and its memory.

    ``megabytes`` (10**6 bytes) are the peak of what is resident above what was at the engine's start.
    """

    seconds: list[float]
    start_up_seconds: list[float]
    megabytes: list[float]


@dataclasses.dataclass(frozen=True)
class Contest:
    """One work on a table of ``size`` entries of ``kind``: run number i of ``command`` and of the engine are a pair."""

    work: str
    size: int
    kind: str
    command: str
    command_seconds: list[float]
    engine: dict[str, Runs]

    @property
    def key(self) -> tuple[str, int, str]:
        """What tells one contest from another."""
        return self.work, self.size, self.kind


@dataclasses.dataclass(frozen=True)
class Story:
    """The founding story's method on a table of ``size`` entries, ``stale`` of which are to go.

    ``command_seconds`` are what ``deletes`` single `conntrack -D` took together, ``engine_seconds`` what each run of
    the engine took for all the stale ones.
    """

    size: int
    stale: int
    deletes: int
    command_seconds: float
    engine_seconds: list[float]


@dataclasses.dataclass(frozen=True)
class ModuleRuns:
    """A module in Ansible's wrapper, on a table of ``size`` entries: the seconds of the whole process, run by run."""

    module: str
    size: int
    seconds: list[float]


@dataclasses.dataclass(frozen=True)
class Results:
    """All that one run of the benchmark measured, on what, and on which day."""

    measured: str
    machine: dict[str, str | int]
    contests: list[Contest]
    stories: list[Story]
    modules: list[ModuleRuns]


def from_json(data: dict[str, t.Any]) -> Results:
    """Return the results that `dataclasses.asdict` made ``data`` of. Raises KeyError or TypeError for anything else."""
    contests = [
        Contest(**{**contest, "engine": {mode: Runs(**runs) for mode, runs in contest["engine"].items()}})
        for contest in data["contests"]
    ]
    return Results(
        measured=data["measured"],
        machine=data["machine"],
        contests=contests,
        stories=[Story(**story) for story in data["stories"]],
        modules=[ModuleRuns(**module) for module in data["modules"]],
    )

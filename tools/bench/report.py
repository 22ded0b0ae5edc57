# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the measurements say: medians, ratios, growth, the bars that they have to reach, and all of it as tables."""

from __future__ import annotations

import dataclasses
import statistics
import typing as t

from bench.results import ONE_PROCESS, OVERLAP, Contest, Results, Runs, Story

_MILLION = 1_000_000
RATIO_BARS = {
    ("summary", 10_000, "mix"): {ONE_PROCESS: 1.5, OVERLAP: 1.5},
    ("summary", 10_000, "uniform"): {ONE_PROCESS: 1.5, OVERLAP: 1.5},
    ("summary", _MILLION, "mix"): {ONE_PROCESS: 0.85, OVERLAP: 0.50},
    ("summary", _MILLION, "uniform"): {ONE_PROCESS: 0.72, OVERLAP: 0.48},
    ("prune-tcp", _MILLION, "tcp"): {ONE_PROCESS: 0.50, OVERLAP: 0.33},
    ("prune-stale", _MILLION, "uniform"): {ONE_PROCESS: 0.50, OVERLAP: 0.32},
    ("export", _MILLION, "mix"): {ONE_PROCESS: 1.10, OVERLAP: 0.80},
}
"""By work, entries and table: so many times the time of the C tool the engine may take."""
MEMORY_BARS = {
    ("summary", _MILLION, "mix"): 64.0,
    ("summary", _MILLION, "uniform"): 64.0,
    ("prune-tcp", _MILLION, "tcp"): 40.0,
    ("prune-stale", _MILLION, "uniform"): 40.0,
}
"""By work, entries and table: the megabytes above the start that the engine may need."""
GROWTH_SIZES = (100_000, _MILLION)
GROWTH_TIME_BARS = {"uniform": 11.0, "mix": 11.0}
GROWTH_MEMORY_BARS = {"mix": 1.5}
"""By table: how many times a summary's time and memory may grow between the two GROWTH_SIZES."""
STORY_BARS = {20_000: 500.0}
"""By entries: how many times faster than the story's own method the engine has to be."""


@dataclasses.dataclass(frozen=True)
class Figure:
    """A measured value and its bar, if there is one; the value is to be at most the bar, or else at least."""

    value: float
    limit: float | None
    at_most: bool = True

    @property
    def met(self) -> bool:
        """Whether the bar is reached; without a bar it is."""
        return self.limit is None or (self.value <= self.limit if self.at_most else self.value >= self.limit)


@dataclasses.dataclass(frozen=True)
class Row:
    """One contest in one mode: median seconds, the ratio of the pairs with its spread, and the peak of memory."""

    contest: Contest
    mode: str
    command_seconds: float
    engine_seconds: float
    ratio: Figure
    spread: tuple[float, float]
    megabytes: Figure

    @property
    def name(self) -> str:
        """What the row measures, in words."""
        return f"{self.contest.work} of {self.contest.size:,} ({self.contest.kind}), {self.mode}"


@dataclasses.dataclass(frozen=True)
class Growth:
    """How many times more a summary in one process takes of the larger one of GROWTH_SIZES than of the smaller."""

    kind: str
    command_time: float
    time: Figure
    memory: Figure

    @property
    def name(self) -> str:
        """What grows, in words."""
        return f"summary ({self.kind}), {GROWTH_SIZES[0]:,} to {GROWTH_SIZES[1]:,}"


@dataclasses.dataclass(frozen=True)
class StoryRow:
    """The story's method: seconds of one `conntrack -D`, those of the job extrapolated from it, and the engine's."""

    story: Story
    delete_seconds: float
    job_seconds: float
    engine_seconds: float
    times_faster: Figure

    @property
    def name(self) -> str:
        """What the row measures, in words."""
        return f"a conntrack -D for each stale entry of {self.story.size:,}"


def ratios(contest: Contest, mode: str) -> list[float]:
    """Return for each run of the engine its time as a multiple of the C tool's in the same round."""
    pairs = zip(contest.engine[mode].seconds, contest.command_seconds, strict=True)
    return [engine / command for engine, command in pairs]


def rows(results: Results) -> list[Row]:
    """Return the figures of every contest in every mode, those of one work together."""
    works = list(dict.fromkeys(contest.work for contest in results.contests))
    ordered = sorted(results.contests, key=lambda contest: works.index(contest.work))
    return [_row(contest, mode, runs) for contest in ordered for mode, runs in contest.engine.items()]


def growths(results: Results) -> list[Growth]:
    """Return the growth of every table of which both GROWTH_SIZES were summarised."""
    contests = {contest.key: contest for contest in results.contests}
    found = []
    for kind in ("uniform", "mix"):
        small, large = (contests.get(("summary", size, kind)) for size in GROWTH_SIZES)
        if small is None or large is None:
            continue
        before, after = small.engine[ONE_PROCESS], large.engine[ONE_PROCESS]
        found.append(
            Growth(
                kind=kind,
                command_time=_median_ratio(large.command_seconds, small.command_seconds),
                time=Figure(_median_ratio(after.seconds, before.seconds), GROWTH_TIME_BARS.get(kind)),
                memory=Figure(max(after.megabytes) / max(before.megabytes), GROWTH_MEMORY_BARS.get(kind)),
            )
        )
    return found


def story_rows(results: Results) -> list[StoryRow]:
    """Return the figures of the story's method, whose whole job is worked out from the deletes that were measured."""
    found = []
    for story in results.stories:
        delete_seconds = story.command_seconds / story.deletes
        job_seconds, engine_seconds = delete_seconds * story.stale, statistics.median(story.engine_seconds)
        times_faster = Figure(job_seconds / engine_seconds, STORY_BARS.get(story.size), at_most=False)
        found.append(StoryRow(story, delete_seconds, job_seconds, engine_seconds, times_faster))
    return found


def missed(results: Results) -> list[str]:
    """Return in words every bar that is not reached."""
    figures: list[tuple[str, Figure]] = []
    for row in rows(results):
        figures += [(f"{row.name}: times the C tool's time", row.ratio), (f"{row.name}: MB", row.megabytes)]
    for growth in growths(results):
        figures += [(f"{growth.name}: growth of time", growth.time)]
        figures += [(f"{growth.name}: growth of memory", growth.memory)]
    figures += [(f"{row.name}: times faster", row.times_faster) for row in story_rows(results)]
    return [f"{name}: {figure.value:.4g}, the bar is {figure.limit:g}" for name, figure in figures if not figure.met]


def report(results: Results) -> str:
    """Return all figures as Markdown: the machine, the contests, the growth, the story's method, the start-up."""
    machine = ", ".join(f"{key} {value}" for key, value in results.machine.items())
    tables = (
        _table(_CONTEST_COLUMNS, rows(results)),
        _table(_GROWTH_COLUMNS, growths(results)),
        _table(_STORY_COLUMNS, story_rows(results)),
        _table(_START_UP_COLUMNS, _start_ups(results)),
    )
    return "\n\n".join([f"Measured {results.measured}: {machine}.", *filter(None, tables)]) + "\n"


def markdown_table(header: t.Sequence[str], lines: t.Sequence[t.Sequence[str]], left: t.Collection[str]) -> str:
    """Return a Markdown table that is readable as it is; the columns whose title is in ``left`` stand on the left."""
    columns = [_column(title, cells, title in left) for title, *cells in zip(header, *lines, strict=True)]
    return "\n".join(f"| {' | '.join(line)} |" for line in zip(*columns, strict=True))


def seconds(value: float) -> str:
    """Return ``value`` with three significant digits, or whole from a hundred on."""
    return f"{value:,.0f}" if value >= 99.95 else f"{value:#.3g}"


def _row(contest: Contest, mode: str, runs: Runs) -> Row:
    each = ratios(contest, mode)
    return Row(
        contest=contest,
        mode=mode,
        command_seconds=statistics.median(contest.command_seconds),
        engine_seconds=statistics.median(runs.seconds),
        ratio=Figure(statistics.median(each), RATIO_BARS.get(contest.key, {}).get(mode)),
        spread=(min(each), max(each)),
        megabytes=Figure(max(runs.megabytes), MEMORY_BARS.get(contest.key)),
    )


def _median_ratio(after: t.Sequence[float], before: t.Sequence[float]) -> float:
    return statistics.median(after) / statistics.median(before)


def _column(title: str, cells: t.Sequence[str], is_left: bool) -> list[str]:
    width = max(map(len, (title, *cells)))
    rule = "-" * width if is_left else "-" * (width - 1) + ":"
    pad = str.ljust if is_left else str.rjust
    return [pad(title, width), rule, *(pad(cell, width) for cell in cells)]


def _start_ups(results: Results) -> list[tuple[str, str, float]]:
    """Return what starts, the entries of its table, and the median of its seconds."""
    found = [
        (f"{module.module}, whole process", f"{module.size:,}", statistics.median(module.seconds))
        for module in results.modules
    ]
    for mode in (ONE_PROCESS, OVERLAP):
        each = [took for contest in results.contests for took in contest.engine[mode].start_up_seconds]
        if each:
            found.append((f"engine before its work, {mode}", "", statistics.median(each)))
    return found


def _table(columns: t.Mapping[str, t.Callable[[t.Any], str]], lines: t.Sequence[t.Any]) -> str:
    cells = [[show(line) for show in columns.values()] for line in lines]
    return markdown_table(list(columns), cells, _ON_THE_LEFT) if cells else ""


def _bar(figure: Figure) -> str:
    return "" if figure.limit is None else f"{figure.limit:g}"


def _verdict(*figures: Figure) -> str:
    if all(figure.limit is None for figure in figures):
        return ""
    return "met" if all(figure.met for figure in figures) else "MISSED"


_ON_THE_LEFT = ("work", "table", "engine", "growth of", "start-up", "verdict")
_CONTEST_COLUMNS: dict[str, t.Callable[[Row], str]] = {
    "work": lambda row: row.contest.work,
    "entries": lambda row: f"{row.contest.size:,}",
    "table": lambda row: row.contest.kind,
    "C tool s": lambda row: seconds(row.command_seconds),
    "engine": lambda row: row.mode,
    "engine s": lambda row: seconds(row.engine_seconds),
    "ratio": lambda row: f"{row.ratio.value:.2f}",
    "least to most": lambda row: f"{row.spread[0]:.2f} to {row.spread[1]:.2f}",
    "bar": lambda row: _bar(row.ratio),
    "MB": lambda row: f"{row.megabytes.value:.0f}",
    "MB bar": lambda row: _bar(row.megabytes),
    "verdict": lambda row: _verdict(row.ratio, row.megabytes),
}
_GROWTH_COLUMNS: dict[str, t.Callable[[Growth], str]] = {
    "growth of": lambda growth: growth.name,
    "C tool's time": lambda growth: f"{growth.command_time:.1f} x",
    "engine's time": lambda growth: f"{growth.time.value:.1f} x",
    "bar": lambda growth: _bar(growth.time),
    "engine's memory": lambda growth: f"{growth.memory.value:.2f} x",
    "memory bar": lambda growth: _bar(growth.memory),
    "verdict": lambda growth: _verdict(growth.time, growth.memory),
}
_STORY_COLUMNS: dict[str, t.Callable[[StoryRow], str]] = {
    "entries": lambda row: f"{row.story.size:,}",
    "stale": lambda row: f"{row.story.stale:,}",
    "deletes run": lambda row: f"{row.story.deletes}",
    "s for one": lambda row: seconds(row.delete_seconds),
    "s for all stale, extrapolated": lambda row: seconds(row.job_seconds),
    "engine s for all stale": lambda row: seconds(row.engine_seconds),
    "times faster": lambda row: f"{row.times_faster.value:,.0f}",
    "bar": lambda row: _bar(row.times_faster),
    "verdict": lambda row: _verdict(row.times_faster),
}
_START_UP_COLUMNS: dict[str, t.Callable[[tuple[str, str, float]], str]] = {
    "start-up": lambda found: found[0],
    "entries": lambda found: found[1],
    "s": lambda found: seconds(found[2]),
}

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the measurements of the fleet say: the bar, the cost of one more router, and what that makes of thousands."""

from __future__ import annotations

import dataclasses
import statistics
import typing as t

from bench.fleet_results import AUDIT, PING, REPORT, Contest, Cost, Results
from bench.report import Figure, markdown_table, seconds

TIMES = 1.8
"""An audit may take so many times what one task of ansible.builtin.ping takes, and a report's time on top."""
FORECASTS = ((1_000, 25, 2), (1_000, 50, 4), (10_000, 50, 4), (10_000, 100, 8), (2_000, 50, 4))
"""Routers, forks, and processors of the controller, for which a run is forecast; the last one is a slice of a fifth."""

PERSIST_SECONDS = 60
"""How long a connection stays open that nobody uses: Ansible's own ControlPersist (ssh_args of its connection ssh)."""

Measure = t.Callable[[Cost], float]


@dataclasses.dataclass(frozen=True)
class Line:
    """A straight line, the best through the points: ``base``, and ``each`` for one more."""

    base: float
    each: float

    @classmethod
    def through(cls, points: t.Collection[tuple[float, float]]) -> Line:
        """Return the line through the points (least squares); StatisticsError where they do not make one."""
        found = statistics.linear_regression(*zip(*points, strict=True))
        return cls(found.intercept, found.slope)


@dataclasses.dataclass(frozen=True)
class Rates:
    """What an audit costs, by router: a base, and for each router more of it.

    Processor seconds of the ``controller`` with all its processes, of its ``main`` process alone, and of a ``router``
    with its sshd; bytes ``sent`` and ``received``; megabytes of the main process (``results``), and
    of all processes by ``forks`` instead of by router. ``turn`` are the seconds on the clock that a router keeps one
    fork busy, ``report`` those of a report. ``connection`` are the megabytes of an open connection. What the main
    process takes while it waits is left out as far as the most forks keep it from waiting.
    """

    controller: Line
    main: Line
    router: Line
    sent: Line
    received: Line
    results: Line
    forks: Line
    turn: Line
    report: Line
    connection: float


@dataclasses.dataclass(frozen=True)
class Forecast:
    """A run on more routers than were measured: its seconds, what they are for, the controller's work and memory.

    ``sent`` are the bytes to all the routers.
    """

    hosts: int
    forks: int
    cores: int
    seconds: float
    bound: str
    processor: float
    megabytes: float
    sent: float


def median_of(contest: Contest, side: str, measure: Measure) -> float:
    """Return the median of a side's rounds."""
    return statistics.median(map(measure, contest.sides[side]))


def verdict(results: Results) -> Figure:
    """Return the seconds of an audit beside its bar."""
    audit, ping, report = (median_of(results.contest, side, _clock) for side in (AUDIT, PING, REPORT))
    return Figure(audit, TIMES * ping + report)


def times_ping(contest: Contest, side: str = AUDIT) -> float:
    """Return the seconds of a side as a multiple of ping's, with nothing taken off."""
    return median_of(contest, side, _clock) / median_of(contest, PING, _clock)


def rates(results: Results) -> Rates | None:
    """Return what a router costs; None where no growth was measured."""
    if not results.growth or results.connection_megabytes is None:
        return None
    contests = [results.contest, *results.growth]

    def line(measure: Measure, side: str = AUDIT, forks: int | None = None) -> Line:
        chosen = [contest for contest in contests if side in contest.sides and forks in (None, contest.forks)]
        return Line.through([(contest.hosts, measure(cost)) for contest in chosen for cost in contest.sides[side]])

    return Rates(
        controller=line(lambda cost: cost.processor),
        main=line(lambda cost: cost.main_processor, forks=max(contest.forks for contest in contests)),
        router=line(lambda cost: cost.routers),
        sent=line(lambda cost: cost.sent),
        received=line(lambda cost: cost.received),
        results=line(lambda cost: cost.megabytes),
        forks=Line.through([(memory.forks, memory.megabytes) for memory in results.memory]),
        turn=line(lambda cost: cost.task_seconds, forks=1),
        report=line(_clock, side=REPORT),
        connection=results.connection_megabytes,
    )


def forecast(found: Rates, hosts: int, forks: int, cores: int) -> Forecast:
    """Return what an audit of ``hosts`` takes on a controller with so many ``cores``, routers on machines of their own.

    The slowest of three decides: the forks, the processors that they share, and the main process, which there is once.
    The report comes after it, in one process.
    """
    work = found.controller.each - found.report.each
    ways = {
        "forks": found.turn.each / forks,
        "processors": work / cores,
        "main process": found.main.each,
    }
    bound = max(ways, key=lambda way: ways[way])
    connections = min(hosts, PERSIST_SECONDS / ways[bound])
    return Forecast(
        hosts=hosts,
        forks=forks,
        cores=cores,
        seconds=found.report.base + hosts * (ways[bound] + found.report.each),
        bound=bound,
        processor=found.controller.base + hosts * found.controller.each,
        megabytes=found.forks.base
        + forks * found.forks.each
        + hosts * found.results.each
        + connections * found.connection,
        sent=hosts * found.sent.each,
    )


def most_forks(found: Rates) -> float:
    """Return the number of forks that the main process can keep busy; more of them wait for it."""
    return found.turn.each / found.main.each


def report(results: Results) -> str:
    """Return all figures as Markdown: the machine, the contest, its bar; and with growth what comes of it."""
    about = ", ".join(f"{key} {value}" for key, value in results.machine.items())
    contest = results.contest
    first = (
        f"Measured {results.measured}: {about}. Before it, {results.idle:.2f} processors were busy.\n\n"
        f"{contest.hosts} routers with {results.entries} entries each, {contest.forks} forks, "
        f"medians of {len(contest.sides[AUDIT])} rounds:"
    )
    found = rates(results)
    parts = [first, _contest_table(results), _verdict_text(results)]
    if found:
        parts += [
            "Fewer routers, other forks; MB is the memory of all processes at once, without that of open connections:",
            _growth_table(results),
            "What that makes of one more router:",
            _rates_table(found),
            f"The main process keeps {most_forks(found):.0f} forks busy. Extrapolated from that, for a controller "
            "that does not share its processors with the routers:",
            _forecast_table(found),
        ]
    return "\n\n".join(parts) + "\n"


def _clock(cost: Cost) -> float:
    return cost.seconds


def _verdict_text(results: Results) -> str:
    figure, contest = verdict(results), results.contest
    return (
        f"The bar for the audit is {TIMES:g} times ping and one report: {TIMES:g} x "
        f"{seconds(median_of(contest, PING, _clock))} + {seconds(median_of(contest, REPORT, _clock))} = "
        f"{seconds(figure.limit or 0)} s. {'Met' if figure.met else 'MISSED'} with {seconds(figure.value)} s, which is "
        f"{times_ping(contest):.2f} times ping with nothing taken off."
    )


def _contest_table(results: Results) -> str:
    contest = results.contest
    header = (
        "what",
        "s",
        "least to most",
        "times ping",
        "tasks alone, s",
        "controller, CPU s",
        "routers, CPU s",
        "MB",
        "KB sent to each",
        "KB received",
    )
    lines = []
    for side, costs in contest.sides.items():
        clock = [cost.seconds for cost in costs]

        def middle(measure: Measure, name: str = side) -> float:
            return median_of(contest, name, measure)

        lines.append(
            (
                side,
                seconds(middle(_clock)),
                f"{seconds(min(clock))} to {seconds(max(clock))}",
                f"{times_ping(contest, side):.2f}",
                seconds(middle(lambda cost: cost.task_seconds)),
                seconds(middle(lambda cost: cost.processor)),
                seconds(middle(lambda cost: cost.routers)),
                f"{middle(lambda cost: cost.megabytes):.0f}",
                f"{middle(lambda cost: cost.sent) / contest.hosts / 1e3:.1f}",
                f"{middle(lambda cost: cost.received) / contest.hosts / 1e3:.1f}",
            )
        )
    return markdown_table(header, lines, ["what"])


def _growth_table(results: Results) -> str:
    header = ("routers", "forks", "ping s", "audit s", "times ping", "audit, controller CPU s", "each", "MB")
    contests = sorted(
        (results.contest, *results.growth),
        key=lambda contest: (contest.hosts, contest.forks),
    )
    memory = {(each.hosts, each.forks): f"{each.megabytes:.0f}" for each in results.memory}
    lines = [
        (
            f"{contest.hosts:,}",
            f"{contest.forks}",
            seconds(median_of(contest, PING, _clock)) if PING in contest.sides else "",
            seconds(median_of(contest, AUDIT, _clock)),
            f"{times_ping(contest):.2f}" if PING in contest.sides else "",
            seconds(median_of(contest, AUDIT, lambda cost: cost.processor)),
            seconds(median_of(contest, AUDIT, lambda cost: cost.processor) / contest.hosts),
            memory.get((contest.hosts, contest.forks), ""),
        )
        for contest in contests
    ]
    return markdown_table(header, lines, ())


def _rates_table(found: Rates) -> str:
    lines = (
        ("controller, CPU s", seconds(found.controller.base), seconds(found.controller.each), "router"),
        ("of which the main process alone, CPU s", seconds(found.main.base), seconds(found.main.each), "router"),
        ("router, CPU s", "", seconds(found.router.each), "router"),
        ("a fork is busy, s", "", seconds(found.turn.each), "router"),
        ("report, s", seconds(found.report.base), f"{found.report.each:.4f}", "router"),
        ("sent over SSH, KB", "", f"{found.sent.each / 1e3:.1f}", "router"),
        ("received over SSH, KB", "", f"{found.received.each / 1e3:.1f}", "router"),
        ("results in the main process, MB", f"{found.results.base:.0f}", f"{found.results.each:.3f}", "router"),
        ("an open connection, MB", "", f"{found.connection:.2f}", "router"),
        ("processes, MB", f"{found.forks.base:.0f}", f"{found.forks.each:.1f}", "fork"),
    )
    return markdown_table(("cost of an audit", "once", "and for each", ""), lines, ("cost of an audit", ""))


def _forecast_table(found: Rates) -> str:
    header = (
        "routers",
        "forks",
        "cores",
        "time",
        "bound by",
        "controller, CPU s",
        "memory, MB",
        "sent, MB",
    )
    lines = [
        (
            f"{each.hosts:,}",
            f"{each.forks}",
            f"{each.cores}",
            _minutes(each.seconds),
            each.bound,
            f"{each.processor:,.0f}",
            f"{each.megabytes:,.0f}",
            f"{each.sent / 1e6:,.0f}",
        )
        for each in (forecast(found, *wanted) for wanted in FORECASTS)
    ]
    return markdown_table(header, lines, ["bound by"])


def _minutes(value: float) -> str:
    """Return seconds for people, up to two minutes as they are."""
    return f"{value:.0f} s" if value < 120 else f"{value / 60:.0f} min"

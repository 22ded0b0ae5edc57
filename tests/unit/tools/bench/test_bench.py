# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the benchmark makes of its measurements: counts, ratios, verdicts, tables, the chart and the page."""

from __future__ import annotations

import collections
import dataclasses
import json
import typing as t
from xml.etree import ElementTree

import pytest
from bench import bench_engine, chart, judge, page, report, tables
from bench.contestants import parse_engine_run
from bench.errors import BenchError
from bench.results import ONE_PROCESS, OVERLAP, Contest, ModuleRuns, Results, Runs, Story, from_json

MILLION = 1_000_000
SVG = "{http://www.w3.org/2000/svg}"


def runs(*seconds: float, megabytes: t.Sequence[float] = (10.0,)) -> Runs:
    return Runs(list(seconds), [0.1] * len(seconds), list(megabytes))


def contest(
    work: str = "summary",
    size: int = MILLION,
    kind: str = "mix",
    command: t.Sequence[float] = (4.0,),
    one: Runs | None = None,
    overlap: Runs | None = None,
) -> Contest:
    engine = {ONE_PROCESS: one or runs(2.0), OVERLAP: overlap or runs(1.0)}
    return Contest(work, size, kind, "conntrack ...", list(command), engine)


def results(*contests: Contest, stories: t.Sequence[Story] = (), modules: t.Sequence[ModuleRuns] = ()) -> Results:
    return Results("2026-01-01", {"cores": 2, "kernel": "6.1"}, list(contests), list(stories), list(modules))


EVERYTHING = results(
    contest(size=100_000, command=[0.4]),
    contest(),
    contest("export", command=[5.0]),
    contest(kind="uniform"),
    stories=[Story(20_000, 18_000, 200, 20.0, [0.1, 0.2, 0.3])],
    modules=[ModuleRuns("conntrack_facts", 0, [0.3, 0.5, 0.4])],
)


def test_results_come_back_from_json() -> None:
    assert from_json(json.loads(json.dumps(dataclasses.asdict(EVERYTHING)))) == EVERYTHING


# The ratio


def test_ratio_is_the_median_of_pairs_and_not_the_ratio_of_medians() -> None:
    row = report.rows(results(contest(command=[1.0, 2.0, 4.0], one=runs(3.0, 1.0, 2.0), overlap=runs(1, 1, 1))))[0]
    assert (row.ratio.value, row.spread) == (0.5, (0.5, 3.0))
    assert (row.command_seconds, row.engine_seconds) == (2.0, 2.0)


def test_a_run_without_its_pair_is_an_error() -> None:
    with pytest.raises(ValueError, match="zip"):
        report.ratios(contest(command=[1.0, 2.0], one=runs(1.0)), ONE_PROCESS)


def test_works_stand_together_whatever_the_order_in_which_they_were_measured() -> None:
    assert [(row.contest.work, row.contest.kind) for row in report.rows(EVERYTHING)][::2] == [
        ("summary", "mix"), ("summary", "mix"), ("summary", "uniform"), ("export", "mix")
    ]  # fmt: skip


# The bars


@pytest.mark.parametrize(
    ("work", "size", "kind", "one", "overlap"),
    [
        ("summary", MILLION, "mix", 0.85, 0.50),
        ("summary", MILLION, "uniform", 0.72, 0.48),
        ("summary", 10_000, "mix", 1.5, 1.5),
        ("summary", 10_000, "uniform", 1.5, 1.5),
        ("prune-tcp", MILLION, "tcp", 0.50, 0.33),
        ("prune-stale", MILLION, "uniform", 0.50, 0.32),
        ("export", MILLION, "mix", 1.10, 0.80),
    ],
)
def test_time_bar(work: str, size: int, kind: str, one: float, overlap: float) -> None:
    just = results(contest(work, size, kind, [1.0], runs(one), runs(overlap)))
    above = results(contest(work, size, kind, [1.0], runs(one + 0.01), runs(overlap + 0.01)))
    assert report.missed(just) == []
    assert len(report.missed(above)) == 2
    assert report.report(above).count("MISSED") == 2


@pytest.mark.parametrize(
    ("work", "kind", "limit"),
    [("summary", "mix", 64), ("summary", "uniform", 64), ("prune-tcp", "tcp", 40), ("prune-stale", "uniform", 40)],
)
def test_memory_bar_is_for_the_worst_run(work: str, kind: str, limit: float) -> None:
    fast = runs(0.1, 0.1)

    def missed(megabytes: float) -> list[str]:
        one = runs(0.1, 0.1, megabytes=(1.0, megabytes))
        return report.missed(results(contest(work, MILLION, kind, [1.0, 1.0], one, fast)))

    assert missed(limit) == []
    assert missed(limit + 1) == [f"{work} of 1,000,000 ({kind}), one process: MB: {limit + 1}, the bar is {limit}"]


def test_other_sizes_have_no_bar() -> None:
    measured = results(contest(size=50_000, command=[1.0], one=runs(9.0), overlap=runs(9.0)))
    assert report.missed(measured) == []
    assert "met" not in report.report(measured)


@pytest.mark.parametrize(
    ("kind", "seconds", "megabytes", "missed"),
    [
        ("mix", 11.0, 15.0, []),
        ("mix", 11.1, 15.0, ["summary (mix), 100,000 to 1,000,000: growth of time: 11.1, the bar is 11"]),
        ("mix", 11.0, 16.0, ["summary (mix), 100,000 to 1,000,000: growth of memory: 1.6, the bar is 1.5"]),
        ("uniform", 11.0, 60.0, []),
    ],
)
def test_growth(kind: str, seconds: float, megabytes: float, missed: list[str]) -> None:
    small = contest("summary", 100_000, kind, [2.0], runs(1.0))
    large = contest("summary", MILLION, kind, [20.0], runs(seconds, megabytes=[megabytes]))
    measured = results(small, large)
    (growth,) = report.growths(measured)
    assert (growth.command_time, growth.time.value, growth.memory.value) == (10.0, seconds, megabytes / 10)
    assert report.missed(measured) == missed


@pytest.mark.parametrize(("command_seconds", "missed"), [(1.0, 0), (0.99, 1)])
def test_the_story_is_extrapolated_from_one_delete(command_seconds: float, missed: int) -> None:
    measured = results(stories=[Story(20_000, 18_000, 200, command_seconds, [0.1, 0.18, 0.9])])
    (row,) = report.story_rows(measured)
    assert row.delete_seconds == command_seconds / 200
    assert row.job_seconds == pytest.approx(command_seconds * 90)
    assert row.times_faster.value == pytest.approx(command_seconds * 500)
    assert len(report.missed(measured)) == missed


# The tables


def test_markdown_table_is_readable_as_it_is() -> None:
    lines = [("summary", "10"), ("export", "1,000")]
    assert report.markdown_table(("work", "entries"), lines, ["work"]).splitlines() == [
        "| work    | entries |",
        "| ------- | ------: |",
        "| summary |      10 |",
        "| export  |   1,000 |",
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.08123, "0.0812"), (0.5, "0.500"), (4.9, "4.90"), (99.94, "99.9"), (99.96, "100"), (1734.6, "1,735")],
)
def test_seconds(value: float, text: str) -> None:
    assert report.seconds(value) == text


def test_report_has_every_figure_and_the_machine() -> None:
    text = report.report(EVERYTHING)
    assert text.startswith("Measured 2026-01-01: cores 2, kernel 6.1.\n")
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    assert [
        "summary",
        "1,000,000",
        "mix",
        "4.00",
        OVERLAP,
        "1.00",
        "0.25",
        "0.25 to 0.25",
        "0.5",
        "10",
        "64",
        "met",
    ] in cells
    assert ["summary (mix), 100,000 to 1,000,000", "10.0 x", "1.0 x", "11", "1.00 x", "1.5", "met"] in cells
    assert ["20,000", "18,000", "200", "0.100", "1,800", "0.200", "9,000", "500", "met"] in cells
    assert ["conntrack_facts, whole process", "0", "0.400"] in cells
    assert ["engine before its work, one process", "", "0.100"] in cells


# The chart and the page


@pytest.mark.parametrize(
    ("most", "marks"),
    [
        (1.0, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (5.2, [0, 1, 2, 3, 4, 5, 6]),
        (6.0, [0, 1, 2, 3, 4, 5, 6]),
        (9.8, [0, 2, 4, 6, 8, 10]),
        (31.0, [0, 10, 20, 30, 40]),
        (0.275, [0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3]),
    ],
)
def test_ticks(most: float, marks: list[float]) -> None:
    assert chart.ticks(most) == pytest.approx(marks)


def test_bars_are_as_long_as_the_seconds() -> None:
    drawn = ElementTree.fromstring(chart.draw(results(contest(command=[4.0], one=runs(2.0), overlap=runs(1.0)))))
    bars = {
        rect.get("class"): float(rect.get("width", 0))
        for rect in drawn.iter(f"{SVG}rect")
        if rect.get("height") == "15"
    }
    assert bars["tool"] == pytest.approx(4 * bars["overlap"], abs=0.2)
    assert bars["one"] == pytest.approx(2 * bars["overlap"], abs=0.2)
    labels = [text.text for text in drawn.iter(f"{SVG}text")]
    assert {"4.00 s", "2.00 s, 0.50 x", "1.00 s, 0.25 x"} <= set(labels)


def test_chart_shows_the_largest_tables_only() -> None:
    assert [(group.work, group.kind) for group in chart.groups(EVERYTHING)] == [
        ("summary", "mix"), ("summary", "uniform"), ("export", "mix")
    ]  # fmt: skip


def test_chart_is_for_light_and_dark_and_for_those_who_do_not_see_it() -> None:
    drawn = chart.draw(EVERYTHING)
    assert "prefers-color-scheme: dark" in drawn
    description = ElementTree.fromstring(drawn).findtext(f"{SVG}desc")
    assert description == chart.alternative(EVERYTHING)
    assert "export (mix): C tool 5.00 s, engine, one process 2.00 s, 0.40 x" in description


def test_page_keeps_what_stands_around_the_figures() -> None:
    before = f"before\n{page.BEGIN}\nold\n{page.END}\nafter\n"
    made = page.with_figures(before, EVERYTHING)
    assert made.startswith("before\n")
    assert made.endswith("\nafter\n")
    assert "old" not in made
    assert chart.alternative(EVERYTHING) in made
    assert report.report(EVERYTHING) in made
    assert page.with_figures(made, EVERYTHING) == made


def test_page_and_chart_in_docs_are_made_from_the_data() -> None:
    measured = from_json(json.loads(page.DATA.read_text(encoding="utf-8")))
    text = page.PAGE.read_text(encoding="utf-8")
    assert page.with_figures(text, measured) == text
    assert page.CHART.read_text(encoding="utf-8") == chart.draw(measured)


# The judge

LISTING = b"""\
tcp      6 431999 ESTABLISHED src=10.0.0.1 dst=203.0.113.200 sport=40000 dport=80 packets=1 bytes=40 [UNREPLIED] src=203.0.113.200 dst=10.0.0.1 sport=80 dport=40000 packets=0 bytes=0 mark=0 use=1
tcp      6 431999 ESTABLISHED src=10.0.0.2 dst=203.0.113.200 sport=40000 dport=80 packets=1 bytes=41 [UNREPLIED] src=203.0.113.200 dst=10.0.0.2 sport=80 dport=40000 packets=0 bytes=0 mark=0 use=1
ipv6     10 tcp      6 4319 TIME_WAIT src=2001:db8::1 dst=2001:db8:5::1 sport=1000 dport=443 packets=3 bytes=300 src=2001:db8:5::1 dst=2001:db8::1 sport=443 dport=1000 packets=2 bytes=2000 [ASSURED] mark=0 use=1
udp      17 4319 src=198.18.0.2 dst=198.19.0.1 sport=1003 dport=53 packets=0 bytes=0 [UNREPLIED] src=198.19.0.1 dst=198.18.0.2 sport=53 dport=1003 packets=0 bytes=0 mark=0 use=1
icmp     1 43199 src=198.18.0.2 dst=198.19.0.1 type=8 code=0 id=78 packets=1 bytes=84 src=198.19.0.1 dst=198.18.0.2 type=0 code=0 id=78 packets=1 bytes=84 mark=0 use=1
"""  # noqa: E501
JUDGED = judge.Census(
    entries=5,
    protocols={"tcp": 3, "udp": 1, "icmp": 1},
    states={"tcp": {"ESTABLISHED": 2, "TIME_WAIT": 1}},
    assured=1,
    unreplied=3,
    stale=1,
    packets={"original": 6, "reply": 3},
    bytes={"original": 465, "reply": 2084},
)
COUNTS: dict[str, t.Any] = {
    "entries": 5,
    "protocols": {"icmp": 1, "tcp": 3, "udp": 1},
    "states": {"tcp": {"TIME_WAIT": 1, "ESTABLISHED": 2}},
    "status": {"assured": 1, "unreplied": 3, "snat": 0},
    "packets": {"original": 6, "reply": 3, "unknown": 0},
    "bytes": {"original": 465, "reply": 2084, "unknown": 0},
}


def test_census() -> None:
    assert judge.census(LISTING.splitlines()) == JUDGED


@pytest.mark.parametrize(
    "line", [b"", b"conntrack v1.4.7", LISTING.splitlines()[3].replace(b"packets=0 bytes=0 ", b"")]
)
def test_census_takes_nothing_but_entries_with_counters(line: bytes) -> None:
    with pytest.raises(BenchError, match="not an entry with counters"):
        judge.census([line])


def test_equal_counts_do_not_differ() -> None:
    assert judge.differences(JUDGED, COUNTS) == []


@pytest.mark.parametrize(
    ("name", "wrong", "named"),
    [
        ("entries", 6, "entries"),
        ("protocols", {"tcp": 4, "icmp": 1}, "protocols"),
        ("states", {"tcp": {"ESTABLISHED": 3}}, "states"),
        ("status", {"assured": 2, "unreplied": 3}, "assured"),
        ("status", {"assured": 1, "unreplied": 2}, "unreplied"),
        ("packets", {"original": 6, "reply": 3, "unknown": 1}, "packets"),
        ("bytes", {"original": 466, "reply": 2084, "unknown": 0}, "bytes"),
    ],
)
def test_each_wrong_count_is_named(name: str, wrong: t.Any, named: str) -> None:
    (difference,) = judge.differences(JUDGED, {**COUNTS, name: wrong})
    assert difference.startswith(f"{named}: ")


# What is put into the tables, and who runs


def test_mix_is_as_documented() -> None:
    recipes = tables.mix_recipes()
    counted = collections.Counter("ipv6" if recipe.ipv6 else recipe.protocol for recipe in recipes)
    assert counted == {"tcp": 700, "udp": 200, "icmp": 50, "ipv6": 50}
    assert recipes == tables.mix_recipes()


def test_no_two_entries_of_the_mix_are_alike() -> None:
    flows = [tables.mix_flow(index, "tcp") for index in range(0, MILLION, 7)]
    assert len({(flow.client, flow.client_port) for flow in flows}) == len(flows)
    assert all(1_024 <= flow.client_port < 65_536 for flow in flows)
    assert len({flow.client for flow in flows}) == 3_989


@pytest.mark.parametrize(
    ("recipe", "line"),
    [
        (
            tables.Recipe(1, "tcp", "--state ESTABLISHED -m 16"),
            "-A -p tcp --state ESTABLISHED -m 16 -t 60 -s 198.18.0.3 -d 198.19.0.1 --sport 5000 --dport 443\n",
        ),
        (
            tables.Recipe(1, "udp", "-u ASSURED", ipv6=True),
            "-A -p udp -u ASSURED -t 60 -s 2001:db8:c::3 -d 2001:db8:5::1 --sport 5000 --dport 443\n",
        ),
        (
            tables.Recipe(1, "icmp", "-u SEEN_REPLY"),
            "-A -p icmp -u SEEN_REPLY -t 60 -s 198.18.0.3 -d 198.19.0.1 --icmp-type 8 --icmp-code 0 --icmp-id 5000\n",
        ),
    ],
)
def test_mix_line(recipe: tables.Recipe, line: str) -> None:
    assert tables.mix_line(recipe, tables.Flow(2, 0, 5_000, 443, 60)) == line


@pytest.mark.parametrize(("protocol", "header"), [("tcp", 40), ("udp", 28)])
def test_packets_go_both_ways(protocol: str, header: int) -> None:
    flow = tables.mix_flow(1_001, protocol)
    request, *_more, answer = tables.mix_packets(1_001, protocol, flow)
    assert (request[12:16], request[16:20]) == (answer[16:20], answer[12:16])
    assert (request[20:22], request[22:24]) == (answer[22:24], answer[20:22])
    assert len(request) == header + 1_001 * 37 % 400


def test_bare_ack_has_forty_bytes() -> None:
    assert len(tables.tcp_packet(1, 2, 3, 4, 0)) == 40


def test_peak_of_memory_is_above_the_start_and_of_both_processes() -> None:
    told = {
        "seconds": 2.0,
        "start_up_seconds": 0.1,
        "rss_start": 15.0,
        "rss_peak": 40.0,
        "rss_reader": 18.0,
        "counts": {},
    }
    assert parse_engine_run(json.dumps(told)).megabytes == 28.0
    assert parse_engine_run(json.dumps({**told, "rss_reader": 0})).megabytes == 25.0


def test_all_works_are_planned_and_only_the_summary_for_every_size() -> None:
    assert bench_engine.plan(bench_engine.WORKS, [10, 20]) == [
        ("mix", 10, ["summary"]),
        ("mix", 20, ["summary", "export"]),
        ("uniform", 10, ["summary"]),
        ("uniform", 20, ["summary", "prune-stale"]),
        ("tcp", 20, ["prune-tcp"]),
    ]
    assert bench_engine.plan(["export"], [10, 20]) == [("mix", 20, ["export"])]

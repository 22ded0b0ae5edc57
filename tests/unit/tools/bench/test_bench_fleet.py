# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the benchmark of the fleet runs, and what it makes of its measurements."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import ipaddress
import json
import os
import pathlib
import subprocess
import sys
import time
import typing as t

import pytest
from bench import bench_fleet, fleet, fleet_page, proc
from bench.controller import Controller
from bench.errors import BenchError
from bench.fleet import BY_HAND_TASKS, Fleet
from bench.fleet_report import FORECASTS, Line, forecast, most_forks, rates, report, times_ping, verdict
from bench.fleet_results import AUDIT, BY_HAND, PING, REPORT, Contest, Cost, Memory, Results, from_json
from bench.page import framed
from helpers.support import read_yaml, wait_until
from record import Lab
from topology import Router


def cost(seconds: float, hosts: int = 50) -> Cost:
    """Return what so many hosts cost by rates that are known; a router takes 0.2 s of its own processor."""
    return Cost(
        seconds=seconds,
        task_seconds=1 + 0.5 * hosts,
        processor=2 + 0.1 * hosts,
        main_processor=1 + 0.02 * hosts,
        routers=0.2 * hosts,
        megabytes=60 + 0.05 * hosts,
        sent=1000 * hosts,
        received=3000 * hosts,
    )


def contest(
    ping: t.Sequence[float] = (10.0,), audit: t.Sequence[float] = (18.0,), hosts: int = 50, forks: int = 25
) -> Contest:
    sides = {PING: ping, AUDIT: audit, REPORT: [2 + 0.01 * hosts], BY_HAND: [40.0]}
    return Contest(hosts, forks, {side: [cost(each, hosts) for each in seconds] for side, seconds in sides.items()})


def results(*growth: Contest, of: Contest | None = None) -> Results:
    grown = [Memory(50, forks, 100.0 + 10 * forks) for forks in (5, 50) if growth]
    return Results("2026-01-01", {"cores": 2}, 440, 0.25, of or contest(), list(growth), grown, 1.5 if growth else None)


def lab_of(routers: int, directory: pathlib.Path) -> Lab:
    block = ipaddress.IPv4Address("198.18.0.0")
    return Lab(directory, "unit", block, [Router("unit", number, block) for number in range(1, routers + 1)])


GROWN = results(
    contest(hosts=10, forks=25), contest(hosts=10, forks=5), contest(hosts=1, forks=1), contest(hosts=10, forks=1)
)


@pytest.mark.parametrize("measured", [results(), GROWN])
def test_results_come_back_from_json(measured: Results) -> None:
    assert from_json(json.loads(json.dumps(dataclasses.asdict(measured)))) == measured


# The bar


@pytest.mark.parametrize(
    ("ping", "audit", "met"),
    [
        ([10.0], [20.5], True),  # 1.8 x 10 + 2.5
        ([10.0], [20.51], False),
        ([10.0, 10.0, 99.0], [99.0, 20.5, 20.5], True),  # medians
        ([1.0, 10.0, 1.0], [20.5], False),
    ],
)
def test_bar_is_a_multiple_of_ping_and_one_report(ping: list[float], audit: list[float], met: bool) -> None:
    figure = verdict(results(of=contest(ping, audit)))
    assert figure.met is met
    assert f"{'Met' if met else 'MISSED'} with" in report(results(of=contest(ping, audit)))


def test_multiple_of_ping_takes_nothing_off() -> None:
    assert times_ping(contest([10.0], [17.0])) == 1.7


@pytest.mark.parametrize(("audit", "status"), [(20.0, None), (21.0, "audit of 50 routers: 21.0 s, the bar is 20.5")])
def test_exit_status_tells_of_the_bar(
    audit: float, status: str | None, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = tmp_path / "new" / "fleet.json"
    monkeypatch.setattr(sys, "argv", ["bench_fleet.py", "--json", str(figures)])
    monkeypatch.setattr(bench_fleet, "_lab", lambda _options: contextlib.nullcontext(lab_of(3, tmp_path)))
    monkeypatch.setattr(bench_fleet, "measure", lambda *_arguments: results(of=contest([10.0], [audit])))
    with pytest.raises(SystemExit, match=status) if status else contextlib.nullcontext():
        bench_fleet.main()
    assert from_json(json.loads(figures.read_text())).contest.sides[AUDIT][0].seconds == audit


# What one more router costs, and a thousand


def test_line_goes_through_the_points() -> None:
    assert Line.through([(1, 5.0), (2, 7.0), (3, 9.0)]) == Line(3.0, 2.0)


def test_rates_are_those_of_one_more_router() -> None:
    found = rates(GROWN)
    assert found is not None
    each = {
        "controller": 0.1,
        "main": 0.02,
        "router": 0.2,
        "sent": 1000,
        "received": 3000,
        "results": 0.05,
        "turn": 0.5,
        "report": 0.01,
        "forks": 10,
    }
    assert {name: getattr(found, name).each for name in each} == pytest.approx(each)
    assert (found.controller.base, found.forks.base, found.report.base) == pytest.approx((2, 100, 2))


def test_without_growth_there_are_no_rates() -> None:
    assert rates(results()) is None


@pytest.mark.parametrize(
    ("forks", "cores", "bound", "seconds"),
    [
        (5, 64, "forks", 2 + 1000 * (0.5 / 5 + 0.01)),
        (100, 2, "processors", 2 + 1000 * (0.09 / 2 + 0.01)),
        (100, 64, "main process", 2 + 1000 * (0.02 + 0.01)),
    ],
)
def test_the_slowest_decides_how_long_a_run_takes(forks: int, cores: int, bound: str, seconds: float) -> None:
    found = rates(GROWN)
    assert found is not None
    told = forecast(found, 1000, forks, cores)
    assert told.bound == bound
    assert told.seconds == pytest.approx(seconds)
    assert told.processor == pytest.approx(2 + 1000 * 0.1)
    assert told.sent == pytest.approx(1000 * 1000)


@pytest.mark.parametrize(
    ("hosts", "connections"),
    [(100, 100), (10_000, 60 / 0.05)],  # with 10 forks, 20 routers a second, each connection for 60 seconds
)
def test_connections_that_nobody_uses_are_closed(hosts: int, connections: float) -> None:
    found = rates(GROWN)
    assert found is not None
    told = forecast(found, hosts, 10, 64)
    assert told.megabytes == pytest.approx(100 + 10 * 10 + hosts * 0.05 + connections * 1.5)


def test_main_process_keeps_so_many_forks_busy() -> None:
    found = rates(GROWN)
    assert found is not None
    assert most_forks(found) == pytest.approx(0.5 / 0.02)
    assert "keeps 25 forks busy" in report(GROWN)


def test_report_has_every_figure() -> None:
    text = report(GROWN)
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| ")]
    assert text.startswith("Measured 2026-01-01: cores 2. Before it, 0.25 processors were busy.")
    assert ["audit", "18.0", "18.0 to 18.0", "1.80", "26.0", "7.00", "10.0", "62", "1.0", "3.0"] in rows
    assert [row[0] for row in rows][1:6:1] == ["-------", PING, AUDIT, REPORT, BY_HAND]
    assert ["10", "5", "10.0", "18.0", "1.80", "3.00", "0.300", ""] in rows
    assert [row[0] for row in rows[-len(FORECASTS) :]] == [f"{hosts:,}" for hosts, _forks, _cores in FORECASTS]


def test_report_without_growth_ends_with_the_bar() -> None:
    assert report(results()).rstrip().endswith("1.80 times ping with nothing taken off.")


def test_page_has_the_figures_of_the_data() -> None:
    measured = from_json(json.loads(fleet_page.DATA.read_text(encoding="utf-8")))
    text = fleet_page.PAGE.read_text(encoding="utf-8")
    assert framed(text, report(measured)) == text


# What is run


def test_growth_has_what_the_contest_lacks() -> None:
    plan = bench_fleet.growing(50, 25)
    cells = [(hosts, forks) for hosts, forks, _sides in plan]
    assert cells == [(10, 5), (10, 10), (25, 5), (25, 10), (25, 25), (50, 5), (50, 10), (50, 50), (1, 1), (10, 1)]
    assert [hosts for hosts, _forks, sides in plan if REPORT in sides] == [10, 25, 50]


def test_growth_needs_the_routers(tmp_path: pathlib.Path) -> None:
    with pytest.raises(BenchError, match="the lab has 3 routers"):
        bench_fleet.measure(lab_of(3, tmp_path), tmp_path, argparse.Namespace(growth=True))


def test_router_can_have_many_names(played: list[Played], tmp_path: pathlib.Path) -> None:
    used = Fleet(lab_of(2, tmp_path), tmp_path / "many", copies=3)
    assert list(used.routers) == ["router1", "router2", "router1-1", "router2-1", "router1-2", "router2-2"]
    hosts = read_yaml(tmp_path / "many" / "inventory.yml")["routers"]["hosts"]
    assert {name: host["ansible_host"] for name, host in hosts.items()} == {
        name: router.address for name, router in used.routers.items()
    }
    used.cost(PING, 3, 5)
    assert played[-1].given("--limit") == "router1,router2,router1-1"


def test_sides_take_turns(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def note(_fleet: Fleet, side: str, hosts: int, _forks: int) -> Cost:
        asked.append(side)
        return cost(1.0, hosts)

    monkeypatch.setattr(Fleet, "cost", note)
    held = bench_fleet.hold(Fleet(lab_of(3, tmp_path), tmp_path), 3, 2, (PING, AUDIT), 3)
    assert asked == [PING, AUDIT, AUDIT, PING, PING, AUDIT]
    assert {side: len(costs) for side, costs in held.sides.items()} == {PING: 3, AUDIT: 3}


class Played(t.NamedTuple):
    """What ansible-playbook was called with, and the playbook that it would have read."""

    command: list[str]
    environment: dict[str, str]

    def given(self, option: str) -> str | None:
        return self.command[self.command.index(option) + 1] if option in self.command else None


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> list[Played]:
    """Have nothing run, and note what would have been."""
    told = {"seconds": 2.0, "main_processor": 0.5, "megabytes": 60.0, "changed": 0, "bad": 0}
    calls: list[Played] = []

    def run(command: list[str], **options: t.Any) -> object:
        calls.append(Played(command, options["env"]))
        return subprocess.CompletedProcess(command, 0, f"\nbench_seconds: {json.dumps(told)}\n", "")

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(fleet, "_traffic", lambda _routers: (0, 0))
    monkeypatch.setattr(fleet, "_daemons", lambda _routers: [])
    return calls


def test_every_side_is_one_ansible_playbook_on_the_same_routers(played: list[Played], tmp_path: pathlib.Path) -> None:
    used = Fleet(lab_of(3, tmp_path), tmp_path)
    for side in (PING, BY_HAND):
        assert used.cost(side, 2, 7).seconds >= 0
        assert (played[-1].given("--limit"), played[-1].given("--forks")) == ("router1,router2", "7")
        assert played[-1].given("-i") == str(tmp_path / "inventory.yml")
    (play,) = json.loads((tmp_path / "play.yml").read_text())
    assert (play["gather_facts"], play["tasks"]) == (False, list(BY_HAND_TASKS))


@pytest.mark.parametrize(("done", "wrong"), [(2, None), (1, "1 of 2 routers were done, and not 2")])
def test_audit_counts_only_if_every_router_was_done(
    played: list[Played], tmp_path: pathlib.Path, done: int, wrong: str | None
) -> None:
    (tmp_path / "audit-2.json").write_text(json.dumps({"totals": {"hosts": 2, "done": done}}))
    with pytest.raises(BenchError, match=wrong) if wrong else contextlib.nullcontext():
        Fleet(lab_of(3, tmp_path), tmp_path).cost(AUDIT, 2, 7)
    assert "netops.conntrack.audit" in played[-1].command
    assert json.loads(str(played[-1].given("--extra-vars"))) == {
        "conntrack_audit_report_directory": str(tmp_path),
        "conntrack_audit_report_name": "audit-2",
    }


def test_report_merges_what_the_audit_wrote(played: list[Played], tmp_path: pathlib.Path) -> None:
    (tmp_path / "report-2.json").write_text(json.dumps({"totals": {"hosts": 2, "done": 2}}))
    Fleet(lab_of(3, tmp_path), tmp_path).cost(REPORT, 2, 7)
    assert "netops.conntrack.report" in played[-1].command
    assert played[-1].given("--limit") is None  # which would leave localhost out
    slices = json.loads(str(played[-1].given("--extra-vars")))["conntrack_audit_slices"]
    assert slices == [str(tmp_path / "audit-2.json")]


def test_controller_has_no_settings_of_who_runs_it(
    played: list[Played], tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANSIBLE_FORKS", "99")
    monkeypatch.setenv("PYTHONUNBUFFERED", "1")
    Controller(tmp_path / "inventory.yml", tmp_path).play({"ansible.builtin.ping": {}})
    environment = played[-1].environment
    assert environment["HOME"] == str(tmp_path)
    assert not {"ANSIBLE_FORKS", "PYTHONUNBUFFERED"} & environment.keys()
    assert "pipelining = True" in pathlib.Path(environment["ANSIBLE_CONFIG"]).read_text()


@pytest.mark.parametrize(
    ("rc", "bad", "message"),
    [(2, 0, "rc 2"), (0, 1, "rc 0"), (4, 1, 'fatal: [router1]: UNREACHABLE! => {"msg": "no"}')],
)
def test_host_that_failed_is_an_error(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, rc: int, bad: int, message: str
) -> None:
    output = f'{message}\nbench_seconds: {{"bad": {bad}}}\n'

    def run(command: list[str], **_options: t.Any) -> object:
        return subprocess.CompletedProcess(command, rc, output, "")

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(BenchError) as raised:
        Controller(tmp_path / "inventory.yml", tmp_path).play({"ansible.builtin.ping": {}})
    assert message in str(raised.value)


# The memory of processes


@pytest.fixture
def family() -> t.Iterator[tuple[int, int]]:
    """Yield a process and its child, both of which run a shell."""
    command = ["sh", "-c", "sh -c 'echo $$; read line'; true"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield process.pid, int(process.stdout.readline())
        process.stdin.close()


def test_memory_is_that_of_all_processes_below(family: tuple[int, int]) -> None:
    assert set(family) <= set(proc.below(os.getpid()))
    assert os.getpid() not in proc.below(os.getpid())
    assert 0 < proc.megabytes(family) < 50
    with proc.tree_megabytes(os.getpid(), 0.01) as samples:
        wait_until(lambda: len(samples) >= 3)
    assert min(samples) > 0


def test_process_that_has_ended_has_neither_memory_nor_work() -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    assert proc.megabytes([process.pid]) == 0
    assert proc.used([process.pid]) == {}


def test_work_of_children_counts_once_they_have_ended() -> None:
    before = proc.used([os.getpid()])
    subprocess.run([sys.executable, "-c", "sum(range(10_000_000))"], check=True)
    assert 0.05 < proc.since(before, [os.getpid()]) < 20


def test_open_connections_are_found_by_their_sockets(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    used = Fleet(lab_of(1, tmp_path), tmp_path)
    with pytest.raises(BenchError, match="no connection is open"):
        used.connection_memory()
    monkeypatch.setattr(fleet, "titled", {"ssh: /run/unit-ssh/": [os.getpid()]}.__getitem__)
    assert used.connection_memory() == pytest.approx(proc.megabytes([os.getpid()]), rel=0.2)


def test_processes_are_found_by_their_command_line(family: tuple[int, int]) -> None:
    assert set(family) <= set(proc.titled("sh"))
    assert not proc.titled("no such command")


def test_processor_of_this_machine_goes_forward() -> None:
    before, processor = fleet.busy_seconds(), time.process_time()
    while time.process_time() - processor < 0.2:
        pass
    assert fleet.busy_seconds() - before >= 0.1
    assert fleet.idle_load(0.05) >= 0

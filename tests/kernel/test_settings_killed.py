# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module is killed between any two writes: no half of anything is ever seen, and the next run ends as it should."""

from __future__ import annotations

import concurrent.futures
import contextlib
import itertools
import json
import pathlib
import time
import typing as t

import pytest
from helpers.crash_points import Router, State
from helpers.support import network_namespace, run, wait_until

ROUTERS = 2
"""So many share the points among them; more are not faster on two cores."""
TOLERANCE = 5.0
PREFIX = "net.netfilter.nf_conntrack_"
FIRST = {"settings": {"acct": True, "generic_timeout": "2m", "tcp_loose": False}}
SECOND = {"settings": {"acct": False, "generic_timeout": "3m", "udp_timeout": "40s"}}
EXCLUSIVE = {"settings": {"acct": False, "udp_timeout": "40s"}, "exclusive": True}
ABSENT = {"state": "absent"}
SOME_ABSENT = {"state": "absent", "settings": {"generic_timeout": "", "acct": ""}}
CONFIRMED = {"state": "confirmed"}


def waiting(args: dict[str, t.Any], within: str = "1h") -> dict[str, t.Any]:
    return {**args, "confirm_within": within}


class Scenario(t.NamedTuple):
    """Runs ``before``, then the one that is killed at each of its ``points``, then the run that makes it good."""

    before: tuple[dict[str, t.Any], ...]
    killed: dict[str, t.Any]
    then: dict[str, t.Any]
    points: int
    """So many there are at least: fewer, and the test does not see what is written."""


SCENARIOS = {
    "first": Scenario((), FIRST, FIRST, 50),
    "second": Scenario((FIRST,), SECOND, SECOND, 35),
    "absent": Scenario((FIRST, SECOND), ABSENT, ABSENT, 40),
    "some absent": Scenario((FIRST, SECOND), SOME_ABSENT, SOME_ABSENT, 30),
    "exclusive": Scenario((FIRST,), EXCLUSIVE, EXCLUSIVE, 40),
    "exclusive, waiting": Scenario((FIRST,), waiting(EXCLUSIVE), EXCLUSIVE, 30),
    "exclusive, confirmed": Scenario((FIRST, waiting(EXCLUSIVE)), CONFIRMED, EXCLUSIVE, 18),
    "waiting": Scenario((), waiting(FIRST), FIRST, 40),
    "absent, waiting": Scenario((FIRST,), waiting(ABSENT), ABSENT, 30),
    "confirmed": Scenario((waiting(FIRST),), CONFIRMED, FIRST, 18),
    "rolled back": Scenario((waiting(FIRST),), SECOND, SECOND, 60),
}


@pytest.fixture
def routers(tmp_path: pathlib.Path) -> t.Iterator[list[Router]]:
    """Routers whose operators have a drop-in, and so on, of the module's names: all of its files are needed."""
    built = []
    with contextlib.ExitStack() as stack:
        for number in range(ROUTERS):
            netns = stack.enter_context(network_namespace("killed"))
            router = stack.enter_context(contextlib.closing(Router(tmp_path / f"router{number}", netns)))
            router.write("sysctl.d/90-netops-conntrack.conf", f"# mine\n{limits()}{PREFIX}generic_timeout=500\n")
            router.write("modprobe.d/90-netops-conntrack.conf", "options nf_conntrack hashsize=1024\n")
            built.append(router)
        yield built


def limits() -> str:
    """Return the lines of a drop-in that set the limits that the machine has."""
    return run(["sysctl", f"{PREFIX}buckets", f"{PREFIX}max"])


def finished(router: Router, args: dict[str, t.Any]) -> dict[str, t.Any]:
    """Run the module to its end, and give its result."""
    result = router.run(args)
    assert result is not None
    assert not result.get("failed"), result["msg"]
    return result


def end_of(router: Router, scenario: Scenario) -> State:
    """Return how it ends where nothing is killed. From there, ``state: absent`` restores the first state."""
    first = router.state()
    for args in (*scenario.before, scenario.then):
        finished(router, args)
    end = router.state()
    finished(router, ABSENT)
    assert router.state() == first
    return end


def assert_whole(seen: State, *states: State) -> None:
    """What is seen are values and texts of these states, each as a whole."""
    for short, value in seen.kernel.items():
        assert value in {state.kernel[short] for state in states}, short
    for name in {name for state in (seen, *states) for name in state.files}:
        texts = {state.files.get(name) for state in states}
        # While some settings are restored and others set for the first time, the record has both.
        assert seen.files.get(name) in texts or (name.endswith(".before") and is_union(seen.files[name], texts)), name


def is_union(text: str, texts: set[str | None]) -> bool:
    """Whether a record has the settings of all these records."""
    settings = [json.loads(each or '{"settings": {}}')["settings"] for each in (text, *texts)]
    return bool(settings[0] == {short: before for each in settings[1:] for short, before in each.items()})


@pytest.mark.parametrize("name", SCENARIOS)
def test_killed_at_every_point(routers: list[Router], name: str) -> None:
    with concurrent.futures.ThreadPoolExecutor() as pool:
        points = list(pool.map(kill_at_each, routers, [SCENARIOS[name]] * ROUTERS, range(1, ROUTERS + 1)))
    assert min(points) > SCENARIOS[name].points


def kill_at_each(router: Router, scenario: Scenario, first_point: int) -> int:
    """Kill it at each point from the first one on, the other routers' ones left out; give the one that is none."""
    first, end = router.state(), end_of(router, scenario)
    for args in scenario.before:
        finished(router, args)
    last = start = router.snapshot()
    for point in itertools.count(first_point, ROUTERS):
        if router.run(scenario.killed, kill_at=point) is not None:
            return point
        found = router.snapshot()
        if found not in (start, last):
            seen, waits = router.state(found), bool(router.journals)
            assert_whole(seen, first, router.state(start), end)
            assert finished(router, scenario.then)["changed"] is (waits or seen != end), point
            # The record is one of the files: it is right, whatever was killed.
            assert (router.state(), router.left_over(), router.journals) == (end, [], []), point
        if found != start:
            router.restore(start)
        last = found
    raise AssertionError


@pytest.mark.parametrize("args", [FIRST, ABSENT])
def test_killed_while_it_waits_goes_back_by_itself(routers: list[Router], args: dict[str, t.Any]) -> None:
    with concurrent.futures.ThreadPoolExecutor() as pool:
        waited = list(pool.map(kill_and_wait, routers, [waiting(args, "1s")] * ROUTERS, range(1, ROUTERS + 1)))
    assert sum(waited) > 1


def kill_and_wait(router: Router, args: dict[str, t.Any], first_point: int) -> int:
    """Kill it at each point, as above; give how often there was something that had to be rolled back."""
    finished(router, SECOND)
    start, waited = router.state(), 0
    for point in itertools.count(first_point, ROUTERS):
        began = time.monotonic()
        if router.run(args, kill_at=point) is not None:
            return waited
        waited += router.state().kernel != start.kernel
        seconds = began + 1 + TOLERANCE - time.monotonic()
        wait_until(lambda: router.state() == start, f"point {point}", seconds=seconds)
        assert_rolled_back(router)
    raise AssertionError


def assert_rolled_back(router: Router) -> None:
    """What was rolled back waits no longer, and nothing of it lies beside the files once a run has come to its end."""
    finished(router, SECOND)
    assert (router.left_over(), router.journals) == ([], [])

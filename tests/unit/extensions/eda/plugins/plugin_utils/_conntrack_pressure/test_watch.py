# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When a router is under pressure, when it no longer is, and when nobody knows."""

from __future__ import annotations

import typing as t

import pytest
from _conntrack_pressure.options import from_arguments
from _conntrack_pressure.readings import Reading
from _conntrack_pressure.watch import Watch

LIMIT = 1000


class Router:
    """A router that is polled every 10 seconds."""

    def __init__(self, **options: t.Any) -> None:
        given = {"routers": {"r1": "http://r1/"}, "interval": 10, "window": 100, **options}
        self.watch = Watch("r1", from_arguments(given).thresholds, "prune")
        self.now = 0.0

    def polled(self, entries: int, *, limit: int = LIMIT, at: float | None = None, **counters: t.Any) -> t.Any:
        self.now += 10
        reading = Reading(at=self.now if at is None else at, entries=entries, limit=limit, **counters)
        return self._told(self.watch.answered(reading, self.now))

    def silent(self) -> t.Any:
        self.now += 10
        return self._told(self.watch.failed("no answer", self.now))

    def _told(self, event: dict[str, t.Any] | None) -> t.Any:
        return event and event["conntrack"]


def test_an_event_names_its_router_so_that_a_playbook_is_limited_to_it() -> None:
    watch = Router().watch
    event = watch.answered(Reading(at=1, entries=900, limit=LIMIT), 1)
    assert event == {
        "conntrack": {
            "router": "r1",
            "status": "pressure",
            "again": False,
            "relief": "prune",
            "entries": 900,
            "limit": LIMIT,
            "percent": 90,
            "growth_per_second": None,
            "full_in_seconds": None,
            "drops": None,
            "evictions": None,
            "insert_failures": None,
            "reasons": ["full"],
        },
        "meta": {"hosts": "r1"},
    }


def test_nothing_is_said_of_a_healthy_router() -> None:
    router = Router()
    assert [router.polled(entries) for entries in (0, 100, 849)] == [None] * 3


def test_it_raises_above_and_clears_below() -> None:
    router = Router(full_within=0)
    told = [router.polled(entries) for entries in (849, 850, 900, 849, 700, 699, 849, 850)]
    assert [event and event["status"] for event in told] == [
        None,
        "pressure",
        None,
        None,
        None,
        "normal",
        None,
        "pressure",
    ]


def test_it_comes_again_while_nothing_got_better() -> None:
    router = Router(remind_after=30, full_within=0)
    told = [router.polled(entries) for entries in (900, 900, 900, 800, 800, 800, 800)]
    assert [event and (event["again"], event["reasons"]) for event in told] == [
        (False, ["full"]),
        None,
        None,
        (True, ["not_cleared"]),
        None,
        None,
        (True, ["not_cleared"]),
    ]


def test_without_a_reminder_it_comes_once() -> None:
    router = Router(remind_after=0)
    assert router.polled(900)
    assert [router.polled(900) for _turn in range(1000)] == [None] * 1000


def test_a_table_that_fills_within_the_time() -> None:
    router = Router(full_within=300)
    # 2 more each second. From half of the window on, the growth is known.
    told = [router.polled(400 + 20 * number) for number in range(6)]
    assert told[:5] == [None] * 5
    assert told[5]["reasons"] == ["full_soon"]
    assert told[5]["growth_per_second"] == 2
    assert told[5]["full_in_seconds"] == 250


def test_growth_that_slows_down_clears_only_when_there_is_twice_the_time() -> None:
    router = Router(full_within=300)
    for number in range(6):
        router.polled(400 + 20 * number)
    # The window forgets the fast growth bit by bit.
    told = [router.polled(500) for _turn in range(12)]
    cleared = [event for event in told if event]
    assert [event["status"] for event in cleared] == ["normal"]
    assert cleared[0]["full_in_seconds"] is None or cleared[0]["full_in_seconds"] > 600


@pytest.mark.parametrize("options", [{"full_within": 0}, {"growth_from_percent": 60}])
def test_growth_that_does_not_count(options: dict[str, t.Any]) -> None:
    router = Router(**options)
    assert [router.polled(400 + 20 * number) for number in range(10)] == [None] * 10


def test_a_table_without_a_limit_is_never_full() -> None:
    router = Router()
    assert [router.polled(10**6 * number, limit=0) for number in range(20)] == [None] * 20


@pytest.mark.parametrize(("counter", "reason"), [("drops", "drops"), ("evictions", "evictions")])
def test_a_counter_that_rises_is_pressure_until_a_window_later(counter: str, reason: str) -> None:
    router = Router()
    assert router.polled(10, **{counter: 7}) is None  # since the boot, whenever that was
    told = router.polled(10, **{counter: 9})
    assert (told["status"], told["reasons"], told[counter]) == ("pressure", [reason], 2)
    told = [router.polled(10, **{counter: 9}) for _turn in range(10)]
    assert [event and event["status"] for event in told] == [*[None] * 9, "normal"]


@pytest.mark.parametrize("counter", ["drops", "evictions"])
def test_a_table_that_was_never_full_is_not_held_by_how_full_it_is(counter: str) -> None:
    router = Router()
    router.polled(750, **{counter: 7})
    assert router.polled(750, **{counter: 9})["reasons"] == [counter]
    told = [router.polled(750, **{counter: 9}) for _turn in range(30)]
    assert [event and event["status"] for event in told] == [*[None] * 9, "normal", *[None] * 20]


def test_growth_that_ended_clears_a_table_that_was_never_full() -> None:
    router = Router(full_within=300)
    told = [router.polled(650 + 20 * number) for number in range(6)]
    assert told[-1]["reasons"] == ["full_soon"]
    told = [router.polled(750) for _turn in range(30)]
    assert [event["status"] for event in told if event] == ["normal"]


@pytest.mark.parametrize("entries", [[750, 860], [860, 750]])
def test_a_table_that_was_full_besides_is_held_until_it_is_no_longer(entries: list[int]) -> None:
    router = Router(full_within=0, window=20)
    router.polled(750, drops=7)
    assert router.polled(entries[0], drops=9)["status"] == "pressure"
    router.polled(entries[1], drops=10)
    told = [router.polled(750, drops=10) for _turn in range(20)]
    assert told == [None] * 20
    assert router.polled(699, drops=10)["status"] == "normal"
    # What comes next is not held by what was full before.
    assert router.polled(750, drops=11)["reasons"] == ["drops"]
    told = [router.polled(750, drops=11) for _turn in range(20)]
    assert [event["status"] for event in told if event] == ["normal"]


@pytest.mark.parametrize("counter", ["drops", "evictions"])
def test_a_counter_that_does_not_count(counter: str) -> None:
    router = Router(**{counter: False})
    assert [router.polled(10, **{counter: number}) for number in range(5)] == [None] * 5


def test_failed_inserts_are_told_and_no_pressure() -> None:
    router = Router()
    router.polled(10, insert_failures=1)
    assert router.polled(900, insert_failures=4)["insert_failures"] == 3


def test_a_counter_that_began_anew() -> None:
    router = Router()
    router.polled(10, drops=7)
    assert router.polled(10, drops=0) is None
    assert router.polled(10, drops=2)["drops"] == 2


def test_a_counter_that_is_not_told_for_a_while() -> None:
    router = Router()
    assert [router.polled(10, drops=drops) for drops in (1, None, 9)] == [None] * 3


def test_no_answer_is_unknown_after_some_polls_and_never_empty() -> None:
    router = Router(unknown_after=3)
    told = [router.silent() for _turn in range(4)]
    assert told[:2] == [None, None]
    assert told[2] == {
        "router": "r1",
        "status": "unknown",
        "again": False,
        "relief": "prune",
        "reason": "no answer",
        "failures": 3,
    }
    assert told[3] is None
    assert router.polled(10)["status"] == "normal"


def test_the_reason_is_one_line_of_visible_characters() -> None:
    event = Router(unknown_after=1).watch.failed("bad\n\x1b[2J\u202e answer " + "x" * 1000, 1)
    assert event
    assert event["conntrack"]["reason"].startswith("bad [2J answer xx")
    assert len(event["conntrack"]["reason"]) == 300


def test_an_answer_in_between_begins_the_count_anew() -> None:
    router = Router(unknown_after=2)
    for _turn in range(5):
        assert router.silent() is None
        assert router.polled(10) is None


def test_pressure_before_and_after_a_silence() -> None:
    router = Router(unknown_after=1, full_within=0)
    assert router.polled(900)["status"] == "pressure"
    assert router.silent()["status"] == "unknown"
    assert router.polled(800)["status"] == "pressure"  # above what would clear it
    assert router.silent()["status"] == "unknown"
    assert router.polled(100)["status"] == "normal"


def test_unknown_comes_again_too() -> None:
    router = Router(unknown_after=1, remind_after=20)
    assert [bool(router.silent()) for _turn in range(5)] == [True, False, True, False, True]


def test_a_report_that_is_read_again_is_no_second_look() -> None:
    router = Router(full_within=300)
    told = [router.polled(500, at=1000, drops=1) for _turn in range(20)]
    assert told == [None] * 20
    # The next report, a minute later: 120 more are 2 a second.
    assert router.polled(620, at=1060, drops=1)["growth_per_second"] == 2


def test_a_clock_that_was_set_back_measures_no_growth() -> None:
    router = Router(full_within=300)
    router.polled(400, at=5000)
    assert router.polled(500, at=1000, drops=5) is None
    assert router.polled(500, at=1010, drops=5) is None

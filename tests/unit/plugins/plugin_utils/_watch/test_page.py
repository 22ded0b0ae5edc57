# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The page that repeats."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.plugin_utils._watch.exchange import BEGUN, State
from ansible_collections.netops.conntrack.plugins.plugin_utils._watch.look import Look, Mover, Rates
from ansible_collections.netops.conntrack.plugins.plugin_utils._watch.page import Watch, page
from helpers.support import CHECKOUT

NOW, TIME = 1000.0, "2026-11-29T06:30:05Z"
WATCH = Watch(5, None, "`ansible-playbook netops.conntrack.explain -i inventory.yml --limit router1`")
RATES: Rates = {
    "change": 1203.96,
    "new": 29310.0,
    "gone": 28106.04,
    "drop": 12.44,
    "early_drop": 3.14,
    "insert_failed": 0.0,
    "invalid": 0.01,
}
GROWING: Mover = {"what": "to 192.0.2.54", "entries": 843_745, "change": 6020, "at_least": False}
SHRINKING: Mover = {"what": "from 10.0.0.5", "entries": 0, "change": -17, "at_least": True}


def look(**changes: t.Any) -> Look:
    whole: Look = {
        "entries": 917_115,
        "max": 917_504,
        "percent": 99.958,
        "filled_by": "92 % of 917,115 entries: udp, unanswered",
        "seconds": 5.0,
        "rates": RATES,
        "movers": [GROWING, SHRINKING],
    }
    return t.cast("Look", {**whole, **changes})


def state(looked: Look | None, **changes: t.Any) -> State:
    return t.cast("State", {**BEGUN, "looks": 12, "look": looked, "at": NOW - 3, **changes})


def cells(lines: list[str], first: str) -> list[str]:
    """Return the cells of the first line that begins with this word."""
    line = next(line for line in lines if line.split("  ")[0] == first)
    return [cell.strip() for cell in line.split("  ") if cell.strip()]


def test_the_whole_page() -> None:
    assert page({"router1": state(look())}, WATCH, NOW, TIME) == [
        "Look 12 at 1 router, one every 5s, 2026-11-29T06:30:05Z",
        "=======================================================",
        "router   entries  max      % full  change/s  new/s   gone/s  dropped/s  evicted/s  not inserted/s  invalid/s",
        "router1  917,115  917,504  >99.9   +1,204    29,310  28,106  12         3.1        0               <0.1",
        "",
        "What fills the tables",
        "---------------------",
        "router1  92 % of 917,115 entries: udp, unanswered",
        "",
        "What moved most between the last two looks",
        "------------------------------------------",
        "router1  +6,020, now 843,745: to 192.0.2.54",
        "         -17 or more, now 0: from 10.0.0.5",
        "",
        "Ctrl-C ends this. Nothing is changed.",
        "what helps    ansible-playbook netops.conntrack.explain -i inventory.yml --limit router1",
    ]


def test_the_page_of_the_documentation() -> None:
    moved: list[Mover] = [
        {"what": "udp, unanswered, to 192.0.2.54 port 53", "entries": 843_745, "change": 6020, "at_least": False},
        {"what": "from 10.0.0.5", "entries": 57, "change": 57, "at_least": True},
    ]
    storm = "udp, unanswered, to 192.0.2.54 port 53, from 1,284 sources in 10.0.0.0/8"
    full = look(filled_by=f"92 % of 917,115 entries: {storm}", movers=moved)
    calm_rates: Rates = {**RATES, "change": -0.4, "new": None, "gone": None, "drop": 0, "early_drop": 0, "invalid": 0}
    calm_mover: Mover = {"what": "tcp ESTABLISHED, answered", "entries": 1204, "change": -2, "at_least": False}
    calm = look(
        entries=2241,
        max=262_144,
        percent=0.86,
        filled_by="nothing stands out",
        rates=calm_rates,
        movers=[calm_mover],
    )
    explain = "`ansible-playbook netops.conntrack.explain -i inventory.yml -b --limit router1,router2`"
    lines = page({"router1": state(full), "router2": state(calm)}, WATCH._replace(explain=explain), NOW, TIME)
    documented = (CHECKOUT / "docs" / "playbooks.md").read_text(encoding="utf-8")
    assert "```text\n" + "\n".join(lines) + "\n```\n" in documented


def test_what_is_unknown_is_not_zero() -> None:
    unknown = dict.fromkeys(RATES)
    lines = page({"router1": state(look(rates={**unknown, "change": 0.0}))}, WATCH, NOW, TIME)
    assert cells(lines, "router1")[4:] == ["0", *"??????"]


@pytest.mark.parametrize(
    ("change", "shown"), [(0.0, "0"), (0.01, "+<0.1"), (-0.01, "-<0.1"), (-2.04, "-2"), (-2.5, "-2.5"), (9.96, "+10")]
)
def test_a_rate(change: float, shown: str) -> None:
    lines = page({"router1": state(look(rates={**RATES, "change": change}))}, WATCH, NOW, TIME)
    assert cells(lines, "router1")[4] == shown


def test_a_table_without_a_limit() -> None:
    lines = page({"router1": state(look(max=0, percent=None))}, WATCH, NOW, TIME)
    assert cells(lines, "router1")[:4] == ["router1", "917,115", "no limit", "+1,204"]


def test_what_is_not_known_is_told_apart_from_no_limit() -> None:
    rates = {**RATES, "change": None}
    lines = page({"router1": state(look(entries=None, max=None, percent=None, rates=rates))}, WATCH, NOW, TIME)
    assert cells(lines, "router1")[:5] == ["router1", "?", "?", "?", "?"]


def test_the_first_look() -> None:
    lines = page({"router1": state(look(seconds=None, rates=None, movers=[]))}, WATCH, NOW, TIME)
    assert cells(lines, "router1")[4:] == list("???????")
    assert "Rates, and what moves most, are known from the second look on." in lines


def test_nothing_moved() -> None:
    assert "Nothing moved between the last two looks." in page({"a": state(look(movers=[]))}, WATCH, NOW, TIME)


def test_a_router_that_stopped_to_answer_has_no_figures() -> None:
    late = state(look(), at=NOW - 15, problem="Unreachable: timed out")
    lines = page({"router1": late, "router2": state(look())}, WATCH, NOW, TIME)
    assert cells(lines, "router1") == ["router1", *"??????????"]
    assert "router1  No answer since 15s ago. Unreachable: timed out" in lines
    assert "router1  92 % of 917,115 entries: udp, unanswered" not in lines


def test_routers_that_never_answered() -> None:
    states = {"router1": None, "router2": BEGUN, "router3": state(None, at=None, problem="No route to host")}
    lines = page(states, WATCH, NOW, TIME)
    assert "router1  It was not looked at yet." in lines
    assert "router2  It was not looked at yet." in lines
    assert "router3  No route to host" in lines
    assert not any("What fills" in line or "What helps" in line for line in lines)


def test_the_number_of_rounds() -> None:
    lines = page({"a": state(look())}, WATCH._replace(rounds=20, interval=60), NOW, TIME)
    assert lines[0].startswith("Look 12 of 20 at 1 router, one every 1m, ")
    assert not any("Ctrl-C" in line for line in lines)


@pytest.mark.parametrize(("width", "height"), [(60, 30), (80, 24), (110, 30), (200, 60)])
def test_it_fits_the_terminal(width: int, height: int) -> None:
    mover: Mover = {**GROWING, "what": "tcp, unanswered, to 2001:db8:ffff:ffff:ffff:ffff:ffff:ffff port 443"}
    one = state(look(movers=[mover] * 10, filled_by="92 % of 917,115 entries: tcp, unanswered; " * 10))
    lines = page({f"router{number}": one for number in range(3)}, WATCH, NOW, TIME, width, height)
    assert len(lines) < height
    assert all(len(line) <= width for line in lines)
    assert sum("+6,020" in line for line in lines) >= 3


def test_nothing_that_a_router_sent_steers_the_terminal() -> None:
    evil = "\x1b[2Jevil\n"
    hostile = state(look(filled_by=evil, movers=[{**GROWING, "what": evil}]))
    failed = state(None, problem=evil)
    lines = page({f"one{evil}": hostile, "two": failed}, WATCH, NOW, TIME)
    assert not any("\x1b" in line or "\n" in line for line in lines)
    assert sum("evil" in line for line in lines) == 4

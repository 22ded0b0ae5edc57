# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.plugin_utils._rollout.gates import (
    change,
    health,
    stop_reasons,
    stopped,
)
from helpers.support import CHECKOUT, read_yaml
from hypothesis import given
from hypothesis import strategies as st

WRAP = 1 << 32
HALF = 1 << 31
DEFAULTS = read_yaml(CHECKOUT / "roles" / "conntrack_audit" / "defaults" / "main.yml")
GATES = DEFAULTS["conntrack_audit_gates"]


def stats(*drops: int, **others: int) -> dict[str, t.Any]:
    """Return the facts of a router whose processors dropped so many, the first of which has counted ``others``."""
    per_cpu = [{"cpu": cpu, "drop": drop, **dict.fromkeys(others, 0)} for cpu, drop in enumerate(drops)]
    per_cpu[0] |= others
    return {"total": {"drop": sum(drops), **others}, "per_cpu": per_cpu, "table_full": {"messages": 0}}


def without_cpus(given: dict[str, t.Any]) -> dict[str, t.Any]:
    return {"total": given["total"]}


@pytest.mark.parametrize(
    ("before", "after", "growth"),
    [
        pytest.param(stats(5, 7), stats(5, 7), 0, id="nothing"),
        pytest.param(stats(5, 7), stats(6, 17), 11, id="on two processors"),
        pytest.param(stats(WRAP - 3, 7), stats(2, 8), 6, id="one wrapped"),
        pytest.param(stats(WRAP - 1, WRAP - 2), stats(0, 0), 3, id="both wrapped"),
        pytest.param(stats(HALF), stats(HALF - 1), WRAP - 1, id="as far as a wrap is taken for one"),
        pytest.param(stats(HALF - 1), stats(0), None, id="back from the lower half: a reboot"),
        pytest.param(stats(WRAP - 1), stats(HALF), None, id="back within the upper half: a reboot"),
        pytest.param(stats(50, 7), stats(2, 80), None, id="back on one of two"),
        pytest.param(stats(5, 7), stats(20), 8, id="another number of processors: the sums"),
        pytest.param(stats(5, 7), stats(11), None, id="another number of processors: the sum went back"),
        pytest.param(without_cpus(stats(5, 7)), without_cpus(stats(20)), 8, id="sums alone"),
        pytest.param(without_cpus(stats(WRAP - 1)), without_cpus(stats(1)), None, id="a sum is no single counter"),
        pytest.param(stats(5, searched=9), stats(6), None, id="another kernel: other counters"),
        pytest.param(stats(5, early_drop=9), stats(6, early_drop=1), None, id="another counter began anew"),
        pytest.param({"total": {}, "per_cpu": []}, stats(6), None, id="counters of which there were none"),
    ],
)
def test_how_much_a_counter_grew(before: dict[str, t.Any], after: dict[str, t.Any], growth: int | None) -> None:
    assert change(before, after)["drop"] == growth


@pytest.mark.parametrize(("before", "after"), [(None, None), (stats(1), None), (None, stats(1)), ({}, stats(1))])
def test_what_was_not_measured_has_not_grown_by_0(before: t.Any, after: t.Any) -> None:
    assert change(before, after) == {}


@given(st.lists(st.tuples(st.integers(0, WRAP - 1), st.integers(0, HALF - 1)), min_size=1, max_size=8))
def test_any_growth_below_half_the_range_is_found_again(counters: list[tuple[int, int]]) -> None:
    before = stats(*[start for start, _growth in counters])
    after = stats(*[(start + growth) % WRAP for start, growth in counters])
    assert change(before, after) == {"drop": sum(growth for _start, growth in counters)}


@given(st.data())
def test_a_growth_is_never_negative(data: st.DataObject) -> None:
    counters = st.lists(st.integers(0, WRAP - 1), min_size=1, max_size=3)
    before, after = (
        stats(*data.draw(counters), early_drop=data.draw(st.integers(0, WRAP - 1))) for _moment in range(2)
    )
    growths = change(before, after)
    assert growths.keys() == {"drop", "early_drop"}
    assert all(growth is None or growth >= 0 for growth in growths.values())


def facts(percent: float | None = 10.0, limit: int = 1000, **counters: int) -> dict[str, t.Any]:
    counted = {"early_drop": 0, "insert_failed": 0, "drop": 0} | counters
    return {"usage": {"percent": percent, "max": limit}, "stats": stats(counted.pop("drop"), **counted)}


HEALTHY: dict[str, t.Any] = {
    "before": facts(),
    "reference": facts(),
    "after": facts(),
    "new_connection": True,
    "failure": None,
}
FAILURE = {"step": "Set a profile", "message": "EPERM", "unreachable": False}


@pytest.mark.parametrize(
    ("changes", "found", "unknown"),
    [
        pytest.param({}, {}, set(), id="healthy"),
        pytest.param({"failure": FAILURE}, {"steps": "Set a profile"}, set(), id="a step failed"),
        pytest.param({"new_connection": False}, {"new_connections": None}, set(), id="no new connection"),
        pytest.param({"new_connection": None}, {}, {"new_connections"}, id="no connection was tried"),
        pytest.param({"after": facts(95.0)}, {"usage": 95.0}, set(), id="full"),
        pytest.param({"after": facts(94.99)}, {}, set(), id="not quite full"),
        pytest.param({"after": facts(None, 0)}, {}, set(), id="no limit"),
        pytest.param({"after": facts(None)}, {}, {"usage"}, id="an unknown share"),
        pytest.param({"after": facts(drop=3)}, {"drops": 3}, set(), id="drops"),
        pytest.param({"after": facts(early_drop=2)}, {"drops": 2}, set(), id="early drops"),
        pytest.param({"after": facts(early_drop=2, drop=3)}, {"drops": 5}, set(), id="both"),
        pytest.param({"reference": facts(drop=3), "after": facts(drop=3)}, {}, set(), id="drops before the change"),
        pytest.param({"after": facts(insert_failed=11)}, {"insert_failures": 11}, set(), id="insert failures"),
        pytest.param({"after": facts(insert_failed=10)}, {}, set(), id="a few insert failures"),
        pytest.param({"reference": facts(drop=9)}, {}, {"drops", "insert_failures"}, id="rebooted"),
        pytest.param({"reference": None}, {}, {"drops", "insert_failures"}, id="nothing to compare with"),
        pytest.param(
            {"after": None, "new_connection": None},
            {"facts": None},
            {"new_connections", "usage", "drops", "insert_failures"},
            id="facts are no longer gathered",
        ),
    ],
)
def test_the_gates_of_the_role(changes: dict[str, t.Any], found: dict[str, t.Any], unknown: set[str]) -> None:
    gates = health(GATES, **(HEALTHY | changes))
    assert {gate["id"]: gate["value"] for gate in gates if gate["status"] == "finding"} == found
    assert {gate["id"] for gate in gates if gate["status"] == "unknown"} == unknown
    assert sorted(gate["id"] for gate in gates) == sorted(["facts", "steps", *(gate["id"] for gate in GATES)])


def test_two_gates_are_there_whatever_the_list() -> None:
    gates = health([], failure=FAILURE, error="no answer")
    assert {gate["id"]: (gate["status"], gate["value"]) for gate in gates} == {
        "facts": ("finding", "no answer"),
        "steps": ("finding", "Set a profile"),
    }


def own(gates: list[dict[str, t.Any]]) -> dict[str, t.Any]:
    return next(gate for gate in gates if gate["id"] == "own")


def gate(when: str, **changes: str) -> dict[str, str]:
    return {"id": "own", "title": "Own", "when": when, "severity": "high", "advice": "Look."} | changes


@pytest.mark.parametrize(
    ("when", "status", "reason"),
    [
        ("before.usage.percent < after.usage.percent", "finding", None),
        ("reference.usage.max != after.usage.max", "passed", None),
        ("change.clash_resolve > `0`", "unknown", "not known: change.clash_resolve"),
        ("before == `null`", "passed", None),
    ],
)
def test_a_gate_sees_all_three_moments(when: str, status: str, reason: str | None) -> None:
    result = own(health([gate(when)], facts(1.0), facts(2.0), facts(3.0)))
    assert (result["status"], result["reason"]) == (status, reason)


@pytest.mark.parametrize("empty", [None, {}])
def test_what_is_empty_is_not_known(empty: dict[str, t.Any] | None) -> None:
    when = "before == `null` && reference == `null` && after == `null` && failure == `null`"
    result = own(health([gate(when)], empty, empty, empty, None, empty))
    assert result["status"] == "finding"


def test_a_gate_that_is_not_sound_is_named() -> None:
    with pytest.raises(OptionError, match=r"^check own, when: 'change >' is not a JMESPath"):
        health([gate("change >")])


def result(gate_id: str, severity: str, status: str = "finding") -> dict[str, t.Any]:
    texts = {"title": f"Title of {gate_id}", "advice": "Look.", "reason": None}
    return {"id": gate_id, "status": status, "value": 1, "severity": severity, **texts}


RESULTS = {
    "r2": [result("usage", "critical"), result("drops", "high")],
    "r1": [result("drops", "high"), result("inserts", "high"), result("usage", "critical", "passed")],
    "r0": [result("usage", "critical", "unknown")],
}


def test_why_a_roll_out_stops_worst_first() -> None:
    reasons = stop_reasons(RESULTS)
    assert [(reason["host"], reason["id"]) for reason in reasons] == [
        ("r2", "usage"),
        ("r1", "drops"),
        ("r1", "inserts"),
        ("r2", "drops"),
    ]
    assert reasons[0] == {"host": "r2", "id": "usage", "title": "Title of usage", "value": 1, "reason": None}


def test_a_roll_out_stops_at_the_batch_of_these_routers() -> None:
    assert stopped(RESULTS, [["r3"], ["r0", "r1", "r2"], ["r4"]]) == {"batch": 2, "gates": stop_reasons(RESULTS)}


def test_a_router_whose_gates_were_not_evaluated_stops_it() -> None:
    (reason,) = stop_reasons({"r0": RESULTS["r0"], "r1": []})
    assert (reason["host"], reason["id"], reason["title"]) == ("r1", "gates", "The gates could not be evaluated")


@pytest.mark.parametrize("results", [{}, {"r0": RESULTS["r0"]}])
def test_what_is_unknown_does_not_stop_it(results: dict[str, t.Any]) -> None:
    assert stop_reasons(results) == []
    assert stopped(results, [["r0"], ["r1"]]) is None

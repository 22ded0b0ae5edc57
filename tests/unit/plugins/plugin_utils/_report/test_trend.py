# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.trend import compare, trend, with_trend
from helpers import documents
from helpers.old_reports import as_version_1
from hypothesis import given
from hypothesis import strategies as st

TOPS = ("source", "destination", "source_port", "destination_port")


def audit(count: int | None = 10, percent: float | None = 1.0, **changes: t.Any) -> dict[str, t.Any]:
    empty: dict[str, t.Any] = {"selectors": {}, "findings": [], "table": None, "stats": None, "drift": None}
    return {"usage": {"count": count, "percent": percent}} | empty | changes


def table(**top: list[t.Any]) -> dict[str, t.Any]:
    largest = {name: [{"value": value, "entries": 1} for value in top.get(name, [])] for name in TOPS}
    return {"entries": 5, "top": largest}


def findings(**statuses: str) -> list[dict[str, t.Any]]:
    return [{"id": check, "status": status, "value": 1, "reason": None} for check, status in statuses.items()]


def stale(entries: int | None) -> dict[str, t.Any]:
    return {"stale": {"entries": entries, "percent": None, "undecidable": 0, "unavailable": None}}


@pytest.mark.parametrize(
    ("now", "then", "part", "expected"),
    [
        pytest.param(audit(7), audit(5), "entries", {"before": 5, "now": 7}, id="entries"),
        pytest.param(audit(percent=None), audit(), "percent", {"before": 1.0, "now": None}, id="an unknown share"),
        pytest.param(
            audit(selectors=stale(0)), audit(), "selectors", {"stale": {"before": None, "now": 0}}, id="a new selector"
        ),
        pytest.param(
            audit(),
            audit(selectors=stale(9)),
            "selectors",
            {"stale": {"before": 9, "now": None}},
            id="one that is gone",
        ),
        pytest.param(
            audit(table=table(source=["a", "b", "c"], source_port=[1, 2])),
            audit(table=table(source=["c", "a"], destination=["z"], source_port=[2])),
            "new_top",
            {"source": ["b"], "destination": [], "source_port": [1], "destination_port": []},
            id="talkers that are new, the largest first",
        ),
        pytest.param(audit(table=table(source=["a"])), audit(), "new_top", None, id="no table then"),
        pytest.param(audit(), audit(table=table(source=["a"])), "new_top", None, id="no table now"),
        pytest.param(
            audit(drift=["max", "acct"]),
            audit(drift=["max", "buckets"]),
            "drift",
            {"new": ["acct"], "gone": ["buckets"]},
            id="drift",
        ),
        pytest.param(audit(drift=["max"]), audit(drift=[]), "drift", {"new": ["max"], "gone": []}, id="first drift"),
        pytest.param(audit(drift=["max"]), audit(), "drift", None, id="drift that was not known"),
        pytest.param(audit(), audit(drift=["max"]), "drift", None, id="drift that is not known"),
        pytest.param(
            audit(findings=findings(full="finding", long="passed", log="finding", acct="unknown", own="finding")),
            audit(findings=findings(full="passed", long="finding", log="unknown", acct="finding", old="finding")),
            "findings",
            {"new": ["full"], "gone": ["long"]},
            id="only what is known of both times",
        ),
    ],
)
def test_trend(now: dict[str, t.Any], then: dict[str, t.Any], part: str, expected: t.Any) -> None:
    given_trend = trend(now, then)
    assert given_trend
    assert given_trend[part] == expected


@pytest.mark.parametrize(("now", "then"), [(audit(), None), (None, audit()), (None, None)])
def test_without_both_audits_there_is_no_trend(now: t.Any, then: t.Any) -> None:
    assert trend(now, then) is None


AUDITS = st.builds(
    audit,
    count=st.none() | st.integers(0, 9),
    drift=st.none() | st.lists(st.sampled_from(["max", "acct", "buckets"]), unique=True),
    findings=st.dictionaries(st.sampled_from("abc"), st.sampled_from(["finding", "unknown", "passed"])).map(
        lambda statuses: findings(**statuses)
    ),
    table=st.none() | st.builds(table, source=st.lists(st.sampled_from("xyz"), unique=True)),
)


@given(AUDITS, AUDITS)
def test_looking_back_what_is_new_was_gone(now: dict[str, t.Any], then: dict[str, t.Any]) -> None:
    forth, back = trend(now, then), trend(now=then, then=now)
    assert forth
    assert back
    for part in ("drift", "findings"):
        assert back[part] == (forth[part] and {"new": forth[part]["gone"], "gone": forth[part]["new"]})
    assert back["entries"] == {"before": forth["entries"]["now"], "now": forth["entries"]["before"]}


@given(AUDITS)
def test_nothing_is_new_since_the_same_audit(same: dict[str, t.Any]) -> None:
    since = trend(same, same)
    assert since
    assert since["findings"] == {"new": [], "gone": []}
    assert since["drift"] in (None, {"new": [], "gone": []})
    assert since["new_top"] in (None, {name: [] for name in TOPS})


@pytest.fixture(scope="module")
def fleet() -> documents.Document:
    return documents.fleet_document(20)


def test_the_last_audits_are_compared_router_by_router(fleet: documents.Document) -> None:
    baseline = copy.deepcopy(fleet)
    done = next(host for host, report in fleet["hosts"].items() if report["before"] and report["after"])
    baseline["hosts"][done]["before"]["usage"]["count"] = 123_456_789
    baseline["hosts"][done]["after"]["usage"]["count"] = 41
    trends = compare(fleet, baseline)
    assert trends.keys() == fleet["hosts"].keys()
    since = trends[done]
    assert since
    assert since["entries"] == {"before": 41, "now": fleet["hosts"][done]["after"]["usage"]["count"]}


def test_a_router_that_was_not_measured_at_both_times_has_no_trend(fleet: documents.Document) -> None:
    baseline = copy.deepcopy(fleet)
    measured = [host for host, report in fleet["hosts"].items() if report["before"]]
    del baseline["hosts"][measured[0]]
    baseline["hosts"][measured[1]] |= {"before": None, "after": None}
    trends = compare(fleet, baseline)
    without = {host for host, since in trends.items() if since is None}
    assert without == (fleet["hosts"].keys() - measured) | set(measured[:2])


def test_a_baseline_of_the_first_version_has_no_tables_and_no_drift(fleet: documents.Document) -> None:
    trends = [since for since in compare(fleet, as_version_1(fleet)).values() if since]
    assert trends
    for since in trends:
        assert since["new_top"] is None
        assert since["drift"] is None
        assert since["entries"]["now"] is not None
        assert since["entries"]["before"] == since["entries"]["now"]


def test_a_baseline_that_is_no_report_is_refused(fleet: documents.Document) -> None:
    with pytest.raises(OptionError, match=r"^conntrack_audit_baseline: 'a list' is no report\. Give a \.json file"):
        compare(fleet, [fleet])


def test_a_document_with_its_trend() -> None:
    fleet = documents.fleet_document(3)
    baseline = {**fleet, "time": "2026-01-01T00:00:00Z"}
    document = with_trend(fleet, baseline)
    assert document["baseline"] == {"time": "2026-01-01T00:00:00Z"}
    assert {host: report["trend"] for host, report in document["hosts"].items()} == compare(fleet, baseline)
    assert any(report["trend"] for report in document["hosts"].values())

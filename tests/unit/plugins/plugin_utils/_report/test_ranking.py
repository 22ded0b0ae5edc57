# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy
import random

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._selector.named_selectors import NAMED
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document_types import VERDICTS
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.ranking import (
    batch_numbers,
    explanations,
    overview_of,
    protocols_of,
    selected,
    selector_counts,
    selector_names,
    worst_checks_first,
    worst_first,
)
from helpers.documents import Document, fleet_document


def host(verdict: str, before: float | None = None, after: float | None = None) -> Document:
    percents = {"before": before, "after": after}
    audits = {
        phase: None if percent is None else {"usage": {"percent": percent}} for phase, percent in percents.items()
    }
    return {"verdict": verdict, **audits}


def names(hosts: dict[str, Document]) -> list[str]:
    document: Document = {"hosts": hosts}
    return [name for name, _host in worst_first(document)]


def test_by_verdict_whatever_the_table_holds() -> None:
    hosts = {verdict: host(verdict, before=number) for number, verdict in enumerate(VERDICTS, 1)}
    shuffled = random.Random(1).sample(sorted(hosts), len(hosts))
    assert names({verdict: hosts[verdict] for verdict in shuffled}) == list(VERDICTS)


@pytest.mark.parametrize(
    ("hosts", "order"),
    [
        ({"a": host("high", 10.0), "b": host("high", 90.0)}, ["b", "a"]),
        ({"a": host("high", 90.0, 5.0), "b": host("high", 10.0, 20.0)}, ["b", "a"]),
        ({"a": host("failed"), "b": host("failed", 1.0)}, ["b", "a"]),
        ({"b": host("done"), "a": host("done")}, ["a", "b"]),
        ({"b": host("low", 7.0), "a": host("low", 7.0)}, ["a", "b"]),
        ({"a": {**host("low"), "before": {"usage": {"percent": None}}}, "b": host("low", 0.0)}, ["b", "a"]),
        ({}, []),
    ],
)
def test_then_by_how_full_it_is_now_then_by_name(hosts: dict[str, Document], order: list[str]) -> None:
    assert names(hosts) == order


def test_a_fleet_is_ordered_and_left_as_it_is() -> None:
    document = fleet_document(60)
    untouched = copy.deepcopy(document)
    ordered = worst_first(document)
    assert dict(ordered) == document["hosts"] == untouched["hosts"]
    assert [VERDICTS.index(each["verdict"]) for _name, each in ordered] == sorted(
        VERDICTS.index(each["verdict"]) for each in document["hosts"].values()
    )


def test_checks_by_severity_then_by_id() -> None:
    severities = {"b": "info", "a": "info", "z": "critical", "m": "high"}
    document: Document = {"checks": {check_id: {"severity": severity} for check_id, severity in severities.items()}}
    assert [check_id for check_id, _check in worst_checks_first(document)] == ["z", "m", "a", "b"]


@pytest.mark.parametrize(
    ("rollout", "numbers"),
    [
        (None, {}),
        ({"batches": [], "stopped": None}, {}),
        ({"batches": [["c"], ["a", "b"]], "stopped": None}, {"c": 1, "a": 2, "b": 2}),
    ],
)
def test_numbers_of_batches(rollout: Document, numbers: dict[str, int]) -> None:
    document: Document = {"rollout": rollout}
    assert batch_numbers(document) == numbers


def counted(*names: str) -> Document:
    return {"before": {"selectors": {name: {"entries": len(name)} for name in names}}, "after": None}


def test_selectors_what_the_prune_deletes_first_then_what_is_stale() -> None:
    hosts = {"a": counted("unanswered", "stale", "mine"), "b": counted("prune"), "c": counted(), "d": host("failed")}
    document: Document = {"hosts": hosts}
    assert selector_names(document) == ["prune", "stale", "mine", "unanswered"]


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        ([*NAMED], ["stale"]),
        ([*NAMED, "prune"], ["prune"]),
        ([*NAMED, "voice", "backup"], ["stale", "backup", "voice"]),
        (["idle_hour", "idle_day"], ["idle_day"]),
        (["voice", "backup"], ["backup", "voice"]),
        ([], []),
    ],
)
def test_an_overview_has_the_main_selector_and_those_that_are_not_the_collections(
    names: list[str], shown: list[str]
) -> None:
    assert overview_of(names) == shown


def test_what_is_stale_stands_for_a_prune_that_was_not_counted_by_itself() -> None:
    none: Document = {"selectors": {}}
    only_stale: Document = {"selectors": {"stale": {"entries": 5}}}
    five: Document = {"entries": 5}
    both: Document = {"selectors": {"stale": five, "prune": {"entries": 0}}}
    assert selector_counts(only_stale, "prune") == selector_counts(both, "stale") == five
    assert selected(both, "prune") == 0
    assert selector_counts(only_stale, "unanswered") is None
    assert selector_counts(none, "prune") is None


@pytest.mark.parametrize(
    ("counts", "shown"),
    [
        ({}, []),
        ({"protocols": None}, []),
        ({"protocols": {}}, []),
        ({"protocols": {"tcp": 9}}, []),
        ({"protocols": {"udp": 9}}, [("udp", 9)]),
        (
            {"protocols": {"gre": 1, "icmp": 3, "tcp": None, "udp": 3}},
            [("icmp", 3), ("udp", 3), ("gre", 1), ("tcp", None)],
        ),
    ],
)
def test_protocols_are_shown_where_not_all_are_tcp(counts: Document, shown: list[tuple[str, int | None]]) -> None:
    assert protocols_of(counts) == shown


def test_the_same_explanation_is_told_once_for_all_its_routers() -> None:
    same: Document = {"filled_by": "90 % of 1,000 entries: udp, unanswered", "prunes": [], "advice": []}
    other: Document = {**same, "advice": ["Run it."]}
    hosts = {
        name: {"verdict": "passed", "before": {"usage": {"percent": 1.0}, "explanation": explanation}, "after": None}
        for name, explanation in {"r1": same, "r2": other, "r3": same, "r4": None}.items()
    }
    document: Document = {"hosts": hosts}
    assert explanations(document) == [(same, ["r1", "r3"]), (other, ["r2"])]

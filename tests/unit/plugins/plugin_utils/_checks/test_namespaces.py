# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The namespaces of a router in the report, and the checks of the role on them, which are data."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.check import find
from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.namespaces import accounts_of
from helpers.support import CHECKOUT, read_yaml

DEFAULTS = read_yaml(CHECKOUT / "roles" / "conntrack_audit" / "defaults" / "main.yml")
CHECKS = DEFAULTS["conntrack_audit_namespace_checks"]

Facts = dict[str, t.Any]

ACROSS = {
    "namespaces": 3,
    "left_out": 0,
    "hidden_processes": 0,
    "count": 500,
    "buckets": 1024,
    "load_factor": 0.98,
    "complete": True,
    "unavailable": None,
}


def namespace(title: str, percent: float | None, own: bool = False, **more: t.Any) -> Facts:
    count = None if percent is None else int(10 * percent)
    common = {"title": title, "own": own, "count": count, "max": 1000, "percent": percent, "unavailable": None}
    return {"name": title, **common, **more}


def facts_with(*namespaces: Facts, limit: int = 1000, load_factor: float = 1.0, **across: t.Any) -> Facts:
    return {
        "usage": {"max": limit, "percent": 1.0, "load_factor": load_factor},
        "namespaces": {each["name"]: each for each in namespaces},
        "across_namespaces": {**ACROSS, **across},
    }


def found(check_id: str, facts: Facts) -> tuple[str, t.Any, str | None]:
    [finding] = [finding for finding in find(facts, CHECKS) if finding["id"] == check_id]
    return finding["status"], finding["value"], finding["reason"]


UNSEEN: Facts = {"complete": None, "unavailable": "3 processes cannot be seen."}


@pytest.mark.parametrize(
    ("facts", "status", "value"),
    [
        (facts_with(namespace("blue", 79.9)), "passed", ""),
        (facts_with(namespace("blue", 80)), "finding", "blue 80 %"),
        (
            facts_with(namespace("blue", 80.5), namespace("red", 1), namespace("pid:7 (nginx, docker 3f4e)", 99.1)),
            "finding",
            "blue 80.5 %, pid:7 (nginx, docker 3f4e) 99.1 %",
        ),
        # Its own table has checks of its own.
        (facts_with(namespace("pid:1 (init)", 99, own=True)), "passed", ""),
        (facts_with(), "passed", ""),
        (facts_with(namespace("blue", 10), **UNSEEN), "unknown", ""),
        (facts_with(namespace("blue", 90), **UNSEEN), "finding", "blue 90 %"),
        (facts_with(namespace("blue", None), **UNSEEN), "unknown", ""),
        (facts_with(namespace("blue", None), limit=0), "passed", ""),
    ],
)
def test_a_namespace_near_the_limit(facts: Facts, status: str, value: str) -> None:
    assert found("namespace_nearly_full", facts)[:2] == (status, value)


def test_why_it_is_unknown() -> None:
    reason = found("namespace_nearly_full", facts_with(namespace("blue", 10), **UNSEEN))[2]
    assert reason == "not known: across_namespaces.complete (3 processes cannot be seen.)"


@pytest.mark.parametrize(
    ("load_factor", "own", "status"),
    [(4.0, 1.0, "passed"), (4.1, 1.0, "finding"), (5.0, 4.5, "passed"), (None, 1.0, "unknown")],
)
def test_a_hash_table_that_is_too_small_for_all(load_factor: float | None, own: float, status: str) -> None:
    facts = facts_with(load_factor=own) | {"across_namespaces": {**ACROSS, "load_factor": load_factor}}
    assert found("shared_hash_table", facts)[0] == status


def test_a_router_that_lacks_the_library() -> None:
    why = "entering the network namespace 'blue' needs the Python library pyroute2 >= 0.5.14"
    own = namespace("pid:1 (init)", 1, own=True)
    red = namespace("red", None, unavailable="needs root")
    lacking = facts_with(own, namespace("blue", None, unavailable=why), red)
    assert found("namespaces_without_pyroute2", lacking)[:2] == ("finding", 1)
    assert found("namespaces_without_pyroute2", facts_with(own, red))[0] == "passed"


def test_accounts_of_namespaces() -> None:
    match = {"protocol": "udp", "replied": False, "destination": "192.0.2.54", "destination_port": 53}
    cluster = {"match": match, "entries": 920, "percent": 92.0, "prunable": 920}
    table = {"entries": 1000, "filled_by": [cluster]}
    facts = {
        **facts_with(
            namespace("own", 1, own=True),
            namespace("blue", 100, table=table),
            namespace("red", None, unavailable="it cannot be entered"),
        ),
        "table": {"entries": 50, "filled_by": []},
    }
    accounts = accounts_of(facts)
    assert accounts is not None
    assert list(accounts) == ["own", "blue", "red"]
    assert accounts["own"]["filled_by"] == "nothing stands out"
    assert str(accounts["blue"]["filled_by"]).startswith("92 % of 1,000 entries: udp, unanswered")
    assert accounts["red"] == {
        "title": "red",
        "own": False,
        "count": None,
        "max": 1000,
        "percent": None,
        "filled_by": None,
        "unavailable": "it cannot be entered",
    }


def test_without_them_there_are_no_accounts() -> None:
    assert accounts_of({"namespaces": {"blue": {"count": 1, "percent": 0.0}}}) is None
    assert accounts_of({}) is None

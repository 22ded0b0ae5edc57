# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document import failing, roll_up
from helpers.documents import Document

TIME = "2026-05-01T03:00:00Z"


def finding(check_id: str, status: str = "finding", severity: str = "high") -> dict[str, t.Any]:
    texts = {"title": f"Title of {check_id}", "severity": severity, "advice": f"Advice of {check_id}"}
    return {"id": check_id, "status": status, "value": 1, "reason": None, **texts}


def audit(*findings: dict[str, t.Any]) -> dict[str, t.Any]:
    return {"usage": {"count": 5}, "selectors": {}, "findings": list(findings)}


def setting(
    before: int | None, after: int, boot_before: int | None = None, boot: int | None = None
) -> dict[str, t.Any]:
    runtime = {"name": "net.x", "wanted": after, "runtime_before": before, "runtime_after": after}
    return {**runtime, "boot_before": boot_before, "boot": boot, "boot_file": None}


def tune(**settings: dict[str, t.Any]) -> dict[str, t.Any]:
    return {
        "profile": "expire_dead_connections",
        "left_out": ["dccp_loose"],
        "settings": settings,
        "why": dict.fromkeys(settings, "Because."),
    }


def shortened(would_update: int, updated: int, fixed_timeout: int) -> dict[str, int]:
    return {"would_update": would_update, "updated": updated, "fixed_timeout": fixed_timeout}


def failure(unreachable: bool) -> dict[str, t.Any]:
    return {"step": "Measure", "message": "no answer", "unreachable": unreachable}


HIGH, LOW = finding("full"), finding("generic", severity="low")
PASSED, UNKNOWN = finding("full", "passed"), finding("log", "unknown", "critical")


@pytest.mark.parametrize(
    ("record", "verdict"),
    [
        ({}, "done"),
        ({"prune": {"would_delete": 0, "deleted": 0, "already_gone": 0}}, "done"),
        ({"before": audit()}, "passed"),
        ({"before": audit(PASSED)}, "passed"),
        ({"before": audit(PASSED, UNKNOWN)}, "unknown"),
        ({"before": audit(LOW, UNKNOWN)}, "low"),
        ({"before": audit(LOW, HIGH)}, "high"),
        ({"before": audit(HIGH), "after": audit(PASSED)}, "passed"),
        ({"before": audit(PASSED), "after": audit(LOW)}, "low"),
        ({"before": audit(PASSED), "failure": failure(False)}, "failed"),
        ({"failure": failure(True)}, "unreachable"),
        ({"no_conntrack": "nf_conntrack is not there"}, "no_conntrack"),
    ],
)
def test_verdict_of_one_router(record: dict[str, t.Any], verdict: str) -> None:
    assert roll_up({"r1": record}, ["r1"], TIME)["hosts"]["r1"]["verdict"] == verdict


@pytest.mark.parametrize(
    ("record", "verdict"),
    [
        ({}, "not_started"),
        ({"before": audit()}, "not_started"),
        ({"prune": {"would_delete": 0, "deleted": 0, "already_gone": 0}}, "done"),
        ({"failure": failure(False)}, "failed"),
        ({"no_conntrack": "nf_conntrack is not there"}, "no_conntrack"),
    ],
)
def test_verdict_of_one_router_of_a_batch(record: dict[str, t.Any], verdict: str) -> None:
    document = roll_up({"r1": record}, ["r1"], TIME, rollout={"batches": [["r1"]], "stopped": None})
    assert document["hosts"]["r1"]["verdict"] == verdict
    assert ("r1" in failing(document)) == (verdict in ("not_started", "failed"))


def test_a_router_without_a_record_has_failed() -> None:
    document: Document = roll_up({"r1": {}}, ["r2", "r1"], TIME)
    assert (document["failed"], document["totals"]["done"]) == (["r2"], 1)
    assert "stopped by an error" in document["hosts"]["r2"]["failure"]["message"]


def test_a_router_that_tracks_nothing_is_neither_done_nor_a_failure() -> None:
    document: Document = roll_up(
        {"r1": {"no_conntrack": "nf_conntrack is not there"}, "r2": {"before": audit()}}, ["r1", "r2"], TIME
    )
    assert (document["no_conntrack"], document["failed"]) == (["r1"], [])
    assert (document["totals"]["no_conntrack"], document["totals"]["done"]) == (1, 1)
    assert document["hosts"]["r1"]["no_conntrack"] == "nf_conntrack is not there"
    assert document["hosts"]["r2"]["no_conntrack"] is None
    assert failing(document, "low") == {}


def test_totals_of_a_fleet() -> None:
    records = {
        "r1": {
            "before": audit(HIGH, LOW),
            "tune": tune(acct=setting(0, 1), tcp_loose=setting(1, 1)) | {"shortened": shortened(41, 40, 1)},
            "prune": {"would_delete": 10, "deleted": 9, "already_gone": 1},
            "after": audit(PASSED, LOW),
        },
        "r2": {
            "before": audit(HIGH),
            "tune": tune(acct=setting(0, 1)) | {"shortened": shortened(5, 5, 2)},
            "prune": {"would_delete": 5, "deleted": 5, "already_gone": 0},
        },
        "r3": {"failure": failure(True)},
        "r4": {"before": audit(HIGH, UNKNOWN), "failure": failure(False)},
    }
    document: Document = roll_up(records, ["r4", "r3", "r2", "r1"], TIME)
    assert document["totals"] == {
        "hosts": 4,
        "done": 2,
        "unreachable": 1,
        "failed": 1,
        "not_started": 0,
        "no_conntrack": 0,
        "findings_before": 4,
        "findings_after": 1,
        "settings_changed": 2,
        "would_shorten": 46,
        "shortened": 45,
        "fixed_timeout": 3,
        "would_delete": 15,
        "deleted": 14,
    }
    assert (document["unreachable"], document["failed"]) == (["r3"], ["r4"])
    assert list(document["hosts"]) == ["r1", "r2", "r3", "r4"]
    assert document["checks"] == {
        check_id: {"title": f"Title of {check_id}", "severity": severity, "advice": f"Advice of {check_id}"}
        for check_id, severity in (("full", "high"), ("generic", "low"), ("log", "critical"))
    }


def test_an_empty_fleet() -> None:
    document: Document = roll_up({}, [], TIME, True)
    assert document["totals"] == {
        "hosts": 0,
        "done": 0,
        "unreachable": 0,
        "failed": 0,
        "not_started": 0,
        "no_conntrack": 0,
        "findings_before": None,
        "findings_after": None,
        "settings_changed": 0,
        "would_shorten": 0,
        "shortened": 0,
        "fixed_timeout": 0,
        "would_delete": 0,
        "deleted": 0,
    }
    assert (document["schema_version"], document["time"], document["check_mode"]) == (3, TIME, True)
    assert (document["hosts"], document["checks"]) == ({}, {})


@pytest.mark.parametrize(
    ("one", "changed"),
    [
        (setting(0, 1), True),
        (setting(1, 1), False),
        (setting(None, 1), True),
        (setting(1, 1, None, 1), True),
        (setting(1, 1, 0, 1), True),
        (setting(1, 1, 1, 1), False),
    ],
)
def test_a_setting_counts_when_it_changed_now_or_at_boot(one: dict[str, t.Any], changed: bool) -> None:
    settings: Document = roll_up({"r1": {"tune": tune(acct=one)}}, ["r1"], TIME)["hosts"]["r1"]["settings"]
    assert (settings["profile"], settings["left_out"]) == ("expire_dead_connections", ["dccp_loose"])
    expected = {
        "before": one["runtime_before"],
        "after": one["runtime_after"],
        "boot_before": one["boot_before"],
        "boot_after": one["boot"],
        "why": "Because.",
    }
    assert settings["changes"] == ({"acct": expected} if changed else {})


SIZING = {
    **dict.fromkeys(("max", "buckets", "max_before", "buckets_before"), 5),
    **dict.fromkeys(("per_entry_bytes", "memory_bytes", "memory_total_bytes", "memory_percent"), 5),
    "above_share": False,
    "limited_by": "peak",
    "why": "Because.",
}


@pytest.mark.parametrize(
    ("extra", "sizing", "shortened", "confirmed"),
    [
        ({}, None, None, None),
        ({"sizing": {}, "shortened": {}, "confirmed": None}, None, None, None),
        ({"sizing": SIZING, "shortened": shortened(2, 2, 0), "confirmed": True}, SIZING, 2, True),
        ({"sizing": SIZING, "left_out": ["buckets"], "confirmed": False}, SIZING, None, False),
        ({"sizing": SIZING, "left_out": ["buckets", "max"]}, None, None, None),
    ],
)
def test_what_a_tune_may_add(
    extra: dict[str, t.Any], sizing: dict[str, t.Any] | None, shortened: int | None, confirmed: bool | None
) -> None:
    settings: Document = roll_up({"r1": {"tune": tune() | extra}}, ["r1"], TIME)["hosts"]["r1"]["settings"]
    assert (settings["sizing"], (settings["shortened"] or {}).get("updated")) == (sizing, shortened)
    assert settings["confirmed"] is confirmed


def test_what_is_not_known_of_a_prune_is_null() -> None:
    prune = {"matched": 12, "would_delete": 10, "deleted": 7, "not_deleted": 2, "already_gone": 1}
    report: Document = roll_up({"r1": {"prune": prune}}, ["r1"], TIME)["hosts"]["r1"]["prune"]
    unknown = ("protected", "kept", "woken", "matches_now", "undecidable", "not_listed", "unavailable")
    assert report == {**prune, **dict.fromkeys(unknown)}


@pytest.mark.parametrize(("counts", "expected"), [([], 0), ([3, 4], 7), ([None], None), ([3, None], 3), ([0, None], 0)])
def test_the_sum_of_deletions_is_of_those_known(counts: list[int | None], expected: int | None) -> None:
    records = {f"r{number}": {"prune": {"deleted": count}} for number, count in enumerate(counts)}
    assert roll_up(records, list(records), TIME)["totals"]["deleted"] == expected


def test_findings_are_kept_without_the_texts_that_all_routers_share() -> None:
    before: Document = roll_up({"r1": {"before": audit(HIGH)}}, ["r1"], TIME)["hosts"]["r1"]["before"]
    assert before["findings"] == [{"id": "full", "status": "finding", "value": 1, "reason": None}]
    assert before["usage"]["count"] == 5


def test_what_is_not_known_of_an_audit_is_null() -> None:
    before: Document = roll_up({"r1": {"before": audit()}}, ["r1"], TIME)["hosts"]["r1"]["before"]
    assert (before["usage"]["percent"], before["table"], before["stats"], before["drift"]) == (None, None, None, None)


def test_a_check_has_the_worst_severity_that_a_router_gives_it() -> None:
    mild, bad = finding("full", severity="info"), finding("full", severity="critical")
    for first, second in ((mild, bad), (bad, mild)):
        document: Document = roll_up({"a": {"before": audit(first)}, "b": {"before": audit(second)}}, ["a", "b"], TIME)
        assert document["checks"]["full"]["severity"] == "critical"
        assert "b" in failing(document, "high") or "a" in failing(document, "high")

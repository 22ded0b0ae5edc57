# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What all writers ask of a document is the same as what stands in it."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.plugin_utils._report import view
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.ranking import worst_first
from helpers.documents import Document, fleet_document


@pytest.fixture(scope="module")
def fleet() -> Document:
    return fleet_document(40)


@pytest.mark.parametrize(
    ("before", "after", "audits", "last"),
    [(None, None, [], None), ("b", None, ["b"], "b"), ("b", "a", ["b", "a"], "a"), (None, "a", ["a"], "a")],
)
def test_before_and_now(before: Document, after: Document, audits: Document, last: Document) -> None:
    host: Document = {"before": before, "after": after}
    assert view.audits_of(host) == audits
    assert view.last_audit(host) == last
    assert view.course(host, lambda audit: [audit]) == [[audit] for audit in audits]


def test_figures_of_an_audit(fleet: Document) -> None:
    audit: Document = next(host["before"] for host in fleet["hosts"].values() if host["before"])
    usage = audit["usage"]
    assert (view.entries_of(audit), view.limit_of(audit)) == (usage["count"], usage["max"])
    assert view.percent_of(audit) == usage["percent"]
    assert view.count_drift(audit) == len(audit["drift"])
    without_drift: Document = {**audit, "drift": None}
    assert view.count_drift(without_drift) is None
    found = [finding["id"] for finding in audit["findings"] if finding["status"] == "finding"]
    assert view.count_findings(audit) == len(found)
    assert list(view.with_status(audit, "finding")) == found
    assert view.with_status(None, "finding") == {}


def test_the_findings_of_now_are_those_of_the_last_audit(fleet: Document) -> None:
    by_check = view.findings_by_check(fleet)
    count = 0
    for check_id, routers in by_check.items():
        for name, phases in routers.items():
            host = fleet["hosts"][name]
            last: Document = view.last_audit(host)
            now: Document = view.finding_now(host, phases)
            assert now in last["findings"]
            assert now["id"] == check_id
            count += 1
    assert count == sum(len(last["findings"]) for host in fleet["hosts"].values() if (last := view.last_audit(host)))


@pytest.mark.parametrize("check_mode", [False, True])
def test_what_was_done_or_would_be(check_mode: bool) -> None:
    document = fleet_document(20, check_mode=check_mode)
    totals = document["totals"]
    prunes = [host["prune"] for _name, host in worst_first(document) if host["prune"]]
    assert view.total_deleted(document) == totals["would_delete" if check_mode else "deleted"]
    assert view.total_shortened(document) == totals["would_shorten" if check_mode else "shortened"]
    forecasts = [forecast for host in document["hosts"].values() if (forecast := view.forecast_of(host))]
    gone = sum(forecast["gone"] or 0 for forecast in forecasts)
    assert view.total_foretold(document) == (sum(each["entries"] or 0 for each in forecasts), gone, 54_000)
    counts = [view.deleted_of(prune, check_mode) for prune in prunes]
    assert sum(filter(None, counts)) == view.total_deleted(document)
    assert view.has_after(document) is not check_mode


@pytest.mark.parametrize(
    ("before", "now", "limit", "since", "expected"),
    [
        (500, 600, 1000, "2026-04-30T03:00:00Z", 4 * 86_400),
        (500, 501, 1000, "2026-04-30T03:00:00Z", None),
        (600, 500, 1000, "2026-04-30T03:00:00Z", None),
        (500, 500, 1000, "2026-04-30T03:00:00Z", None),
        (500, 1000, 1000, "2026-04-30T03:00:00Z", None),
        (500, 600, 0, "2026-04-30T03:00:00Z", None),
        (None, 600, 1000, "2026-04-30T03:00:00Z", None),
        (500, 600, 1000, "2026-05-01T03:00:00Z", None),
        (500, 600, 1000, "2026-05-02T03:00:00Z", None),
        (500, 600, 1000, "yesterday", None),
    ],
)
def test_when_a_table_is_full_that_goes_on_filling(
    before: int | None, now: int, limit: int, since: str, expected: int | None
) -> None:
    document: t.Any = {"time": "2026-05-01T03:00:00Z", "baseline": {"time": since}}
    trend = {"entries": {"before": before, "now": now}}
    host: t.Any = {"trend": trend, "before": {"usage": {"max": limit}}, "after": None}
    assert view.full_in_seconds(document, host) == expected
    host_without: t.Any = {**host, "trend": None}
    document_without: t.Any = {**document, "baseline": None}
    assert view.full_in_seconds(document, host_without) is None
    assert view.full_in_seconds(document_without, host) is None


def test_a_roll_out_and_its_stop(fleet: Document) -> None:
    assert view.batches_of(fleet) == fleet["rollout"]["batches"]
    assert view.stop_of(fleet) == fleet["rollout"]["stopped"]
    assert view.stopping_gates(fleet) == fleet["rollout"]["stopped"]["gates"]
    without: Document = {**fleet, "rollout": None}
    assert (view.batches_of(without), view.stop_of(without), view.stopping_gates(without)) == ([], None, [])


@pytest.mark.parametrize(
    ("change", "check_mode", "words"),
    [
        ((0, 1), False, "This run turned it on, for entries that are made from then on."),
        ((0, 1), True, "This run would turn it on, for entries that are made from then on."),
        ((0, 0), False, ""),
    ],
)
def test_a_reason_not_to_prune_says_whether_the_run_changes_that(
    change: tuple[int, int], check_mode: bool, words: str
) -> None:
    reason = "net.netfilter.nf_conntrack_acct is 0."
    before, after = change
    host: Document = {
        "prune": {"unavailable": reason},
        "settings": {"changes": {"acct": {"before": before, "after": after}}},
    }
    assert view.why_not_pruned(host, check_mode) == " ".join(filter(None, [reason, words]))
    without_prune: Document = {**host, "prune": None}
    assert view.why_not_pruned(without_prune, check_mode) is None


def test_explanations_that_say_the_same_have_one_key() -> None:
    one: Document = {"filled_by": "udp", "prunes": [{"command": "x", "frees": 5}], "advice": ["Run it."]}
    others: list[Document] = [
        {**one, "filled_by": "tcp"},
        {**one, "prunes": []},
        {**one, "prunes": [{"command": "x", "frees": 6}]},
        {**one, "advice": []},
    ]
    same: Document = {**one}
    assert view.key_of(same) == view.key_of(one)
    assert view.key_of(one) not in {view.key_of(other) for other in others}

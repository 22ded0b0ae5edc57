# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document import assemble
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.merge import merge
from helpers import documents
from helpers.old_reports import as_version_1
from hypothesis import given, settings
from hypothesis import strategies as st

FLEET = documents.fleet_document(24, hostile=True)


def an_audit() -> documents.Document:
    return documents.fleet_document(24, 2, after=False, hostile=True)


def part_of(fleet: documents.Document, hosts: t.Collection[str]) -> documents.Document:
    """Return the report that a run over these ``hosts`` alone would have written."""
    reports = {host: report for host, report in fleet["hosts"].items() if host in hosts}
    audits = [audit for report in reports.values() for audit in (report["before"], report["after"]) if audit]
    used = {finding["id"] for audit in audits for finding in audit["findings"]}
    checks = {check_id: check for check_id, check in fleet["checks"].items() if check_id in used}
    part = assemble(reports, checks, fleet["time"], fleet["check_mode"])
    return part | {"baseline": fleet["baseline"]}


@pytest.mark.slow
@settings(deadline=None)
@given(st.booleans().map(lambda after: FLEET if after else an_audit()), st.data())
def test_a_fleet_in_any_slices_is_the_whole_fleet_again(fleet: documents.Document, data: st.DataObject) -> None:
    hosts = list(fleet["hosts"])
    numbers = data.draw(st.lists(st.integers(0, 3), min_size=len(hosts), max_size=len(hosts)))
    slices = [{host for host, number in zip(hosts, numbers, strict=True) if number == wanted} for wanted in range(4)]
    given_parts = [part_of(fleet, part) for part in slices]
    untouched = copy.deepcopy(given_parts)
    assert merge(given_parts) == fleet | {"rollout": None}
    assert given_parts == untouched


def test_one_report_stays_as_it_is() -> None:
    for fleet in FLEET, an_audit():
        assert merge([fleet]) == fleet


def slices(**changes: t.Any) -> list[documents.Document]:
    """Return two reports with one router each, the second one changed."""
    hosts = list(FLEET["hosts"])
    return [part_of(FLEET, hosts[:1]), part_of(FLEET, hosts[1:2]) | changes]


def test_the_time_is_the_last_one() -> None:
    early, late = slices(time="2026-05-02T01:00:00Z")
    assert merge([late, early])["time"] == merge([early, late])["time"] == "2026-05-02T01:00:00Z"


@pytest.mark.parametrize(
    ("baseline", "expected"),
    [(FLEET["baseline"], FLEET["baseline"]), (None, None), ({"time": "2026-01-01T00:00:00Z"}, None)],
)
def test_the_baseline_is_that_of_all_or_none(baseline: t.Any, expected: t.Any) -> None:
    assert FLEET["baseline"]
    assert merge(slices(baseline=baseline))["baseline"] == expected


def rollout(*batches: str, stopped: int | None = None) -> dict[str, t.Any]:
    gates = [{"host": batches[-1][0], "id": "usage", "title": "Full", "value": 99, "reason": None}]
    given_batches = [list(batch) for batch in batches]
    return {"batches": given_batches, "stopped": stopped and {"batch": stopped, "gates": gates}}


@pytest.mark.parametrize(
    ("rollouts", "batches", "stopped"),
    [
        pytest.param([None, None], None, None, id="none"),
        pytest.param([rollout("a", "bc"), None], ["a", "bc"], None, id="of one"),
        pytest.param([rollout("a", "bc"), rollout("de")], ["a", "bc", "de"], None, id="behind one another"),
        pytest.param([rollout("a"), rollout("b", "c", stopped=2)], ["a", "b", "c"], 3, id="counted in all batches"),
        pytest.param([rollout("a", stopped=1), rollout("b", stopped=1)], ["a", "b"], 1, id="the first that stopped"),
    ],
)
def test_roll_outs(rollouts: list[t.Any], batches: t.Any, stopped: int | None) -> None:
    first, second = slices(rollout=rollouts[1])
    merged = merge([first | {"rollout": rollouts[0]}, second])["rollout"]
    expected = batches and [list(batch) for batch in batches]
    assert (merged and merged["batches"]) == expected
    assert (merged and merged["stopped"] and merged["stopped"]["batch"]) == stopped


def test_a_report_of_the_first_version_beside_one_of_now() -> None:
    old, new = slices()
    merged: documents.Document = merge([as_version_1(old), new])
    (host,) = old["hosts"]
    assert merged["schema_version"] == 3
    assert merged["totals"]["hosts"] == 2
    assert merged["hosts"][host]["health"] is merged["hosts"][host]["trend"] is None
    assert merged["hosts"][host].keys() == old["hosts"][host].keys()


@pytest.mark.parametrize(
    ("reports", "message"),
    [
        ([], r"^conntrack_audit_slices: \[\] names no report\. Give the \.json files"),
        ([FLEET, None], r"^conntrack_audit_slices\[1\]: 'null' is no report"),
        (slices(schema_version=4), r"^conntrack_audit_slices\[1\], schema_version: 4 is later than 3"),
        (slices(check_mode=True), r"^conntrack_audit_slices: \['2026-05-01T03:00:00Z'\] were made with --check, and"),
        ([slices()[0], slices()[0]], r"^conntrack_audit_slices: .* is in two of the reports\. Give each router"),
    ],
)
def test_what_cannot_be_merged_is_refused(reports: list[t.Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        merge(reports)

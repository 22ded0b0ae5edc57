# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy
import json
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.plugin_utils._formats.render import render
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document import roll_up
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.merge import merge
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.trend import trend
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.upgrade import read_back
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.view import last_audit
from helpers import documents
from helpers.old_reports import as_version_1, as_version_2, with_old_names, without_later_keys

FLEET = documents.fleet_document(24, hostile=True)
FIRST_HOST = next(iter(FLEET["hosts"]))


def test_what_was_written_as_json_is_read_back() -> None:
    assert read_back(json.loads(json.dumps(FLEET)), "slices") == FLEET


def test_old_names_are_read_as_those_of_today() -> None:
    old = with_old_names(FLEET)
    assert "not_begun" in {report["verdict"] for report in old["hosts"].values()}
    assert not {"not_started", "shortened"} & {*old, *old["totals"]}
    assert read_back(old, "slices") == FLEET


@pytest.mark.parametrize("part", ["totals", "hosts", "settings"])
def test_old_names_in_what_is_malformed_are_left_to_the_check(part: str) -> None:
    old: t.Any = with_old_names(FLEET)
    place = old["hosts"][FIRST_HOST] if part == "settings" else old
    place[part] = ["recap"]
    with pytest.raises(OptionError, match=rf"{part}' is not as in a report: it should be an object, and is a list"):
        read_back(old, "slices")


def test_what_the_first_version_lacks_is_null() -> None:
    earlier = as_version_1(FLEET)
    untouched = copy.deepcopy(earlier)
    document: documents.Document = read_back(earlier, "slices")
    assert earlier == untouched
    assert document.keys() == FLEET.keys()
    assert (document["schema_version"], document["baseline"], document["not_started"]) == (3, None, [])
    for host, report in document["hosts"].items():
        assert report.keys() == FLEET["hosts"][host].keys()
        assert report["health"] is report["trend"] is None
        for audit in filter(None, (report["before"], report["after"])):
            assert audit["table"] is audit["stats"] is audit["drift"] is None
            assert audit["usage"]
        if report["settings"]:
            assert report["settings"]["shortened"] is report["settings"]["sizing"] is None


@pytest.mark.parametrize("check_mode", [False, True])
def test_what_the_second_version_said_otherwise_is_read_as_today(check_mode: bool) -> None:
    fleet = documents.fleet_document(24, check_mode=check_mode)
    later = {"kept": None, "woken": None, "not_listed": None}
    expected = copy.deepcopy(fleet)
    for report in expected["hosts"].values():
        report["prune"] = report["prune"] and {**report["prune"], **later}
        if report["settings"] and report["settings"]["shortened"]:
            report["settings"]["shortened"]["kept"] = None
    assert any((report["prune"] or {}).get("unavailable") for report in fleet["hosts"].values())
    assert read_back(as_version_2(fleet), "slices") == expected


@pytest.mark.parametrize(("failed", "not_updated"), [(0, 0), (3, 3), (False, 0), (True, None)])
def test_a_count_of_which_ansible_made_true_or_false_is_none_or_unknown(
    failed: int | bool, not_updated: int | None
) -> None:
    earlier = as_version_2(FLEET)
    recaps = [report["settings"]["recap"] for report in earlier["hosts"].values() if report["settings"]]
    assert any(recaps)
    for recap in filter(None, recaps):
        recap["failed"] = failed
    read = read_back(earlier, "slices")
    shortened = [report["settings"]["shortened"] for report in read["hosts"].values() if report["settings"]]
    found = [account["not_updated"] for account in shortened if account]
    assert found == [not_updated] * len(found)
    assert found


def test_clusters_without_their_sources_are_read_as_they_are() -> None:
    fleet = documents.fleet_document(3, after=False)
    tables = [host["before"]["table"] for host in fleet["hosts"].values() if host["before"]]
    for table in tables:
        del table["explained_percent"]
        table["filled_by"] = [
            {key: cluster[key] for key in ("match", "entries", "percent", "prunable")} for cluster in table["filled_by"]
        ]
    assert any(table["filled_by"] for table in tables)
    assert read_back(copy.deepcopy(fleet), "slices") == fleet


@pytest.mark.parametrize(("text", "sentences"), [("Run `it`. It helps.", ["Run `it`. It helps."]), (None, [])])
def test_an_advice_in_one_text_is_one_sentence(text: str | None, sentences: list[str]) -> None:
    fleet = documents.fleet_document(1, after=False)
    (given,) = fleet["hosts"].values()
    expected = copy.deepcopy(fleet)
    given["before"]["explanation"] = {"filled_by": "90 % udp", "advice": text}
    (host,) = expected["hosts"].values()
    host["before"]["explanation"] = {"filled_by": "90 % udp", "prunes": [], "advice": sentences}
    assert read_back(fleet, "slices") == expected


def test_a_fleet_of_which_no_prune_was_decided_has_no_sum_of_zero() -> None:
    prunes: dict[str, dict[str, t.Any]] = {"r1": {"prune": {"unavailable": "acct is off"}}, "r2": {"before": None}}
    document = roll_up(prunes, ["r1", "r2"], "2026-05-01T03:00:00Z", check_mode=True)
    assert (document["totals"]["would_delete"], document["totals"]["deleted"]) == (None, None)
    assert read_back(as_version_2(document), "slices") == document
    text = render(document, "text")
    assert "? entries would be deleted" in text
    assert " 0 entries" not in text


@pytest.mark.parametrize("style", ["text", "markdown"])
def test_a_report_of_the_first_version_can_be_shown(style: str) -> None:
    assert "Connection tracking of 24 routers" in render(read_back(as_version_1(FLEET), "slices"), style)


@pytest.mark.parametrize("style", ["json", "html", "markdown", "text", "csv", "prometheus", "junit"])
def test_a_report_without_the_keys_that_came_later_is_shown_and_merged(style: str) -> None:
    earlier = without_later_keys(FLEET)
    assert earlier != FLEET
    assert "not_listed_entries" not in render(merge([earlier]), style)
    assert FIRST_HOST in earlier["hosts"]


def test_a_report_without_the_keys_that_came_later_is_a_baseline() -> None:
    earlier = read_back(without_later_keys(FLEET), "baseline")
    compared = 0
    for name, report in FLEET["hosts"].items():
        now, then = last_audit(report), last_audit(earlier["hosts"][name])
        if now and then:
            assert trend(now, then) == trend(now, now)
            compared += 1
    assert compared > 20


def host(**changes: t.Any) -> dict[str, t.Any]:
    return {"hosts": {FIRST_HOST: FLEET["hosts"][FIRST_HOST] | changes}}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (None, r": 'null' is no report"),
        ([FLEET], r": 'a list' is no report"),
        ("report.json", r": 'text' is no report"),
        ({}, r", schema_version: None is no version"),
        (FLEET | {"schema_version": "2"}, r", schema_version: '2' is no version"),
        (FLEET | {"schema_version": True}, r", schema_version: True is no version"),
        (FLEET | {"schema_version": 0}, r", schema_version: 0 is no version"),
        (FLEET | {"schema_version": 4}, r", schema_version: 4 is later than 3, .* Update the collection"),
        (
            {"schema_version": 3},
            r": 'the document' is not .*: it lacks time, .*, checks, hosts\.",
        ),
        (FLEET | {"time": None}, r": 'time' is not as in a report: it should be a text, and is null\."),
        (FLEET | {"hosts": []}, r": 'hosts' is not as in a report: it should be an object, and is a list\."),
        (FLEET | {"hosts": {"r1": None}}, r": 'hosts, r1' is not as in a report: it should be an object, and is null"),
        (FLEET | {"hosts": {"r1": {"verdict": "done"}}}, r": 'hosts, r1' is not .*: it lacks before, settings, prune"),
        (
            FLEET | host(before=[1]),
            r": 'hosts, .*, before' is not as in a report: it should be an object, and is a list",
        ),
        (FLEET | {"checks": {}}, r": 'hosts, .*, findings' is not as in a report: it has a check that is not among"),
    ],
)
def test_what_is_no_report_is_refused_by_the_name_of_the_option(document: t.Any, message: str) -> None:
    with pytest.raises(OptionError, match=f"^baseline{message}"):
        read_back(document, "baseline")

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t
from xml.etree import ElementTree

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.module_utils._printable import visible
from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.check import SEVERITIES
from ansible_collections.netops.conntrack.plugins.plugin_utils._formats.junit import as_junit
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.ranking import worst_first
from helpers.documents import Document, kinds_of_fleets

FLEETS = kinds_of_fleets()

CHILDREN = {
    "testsuites": {"testsuite"},
    "testsuite": {"properties", "testcase", "system-out", "system-err"},
    "testcase": {"skipped", "error", "failure", "system-out", "system-err"},
}
NEEDED = {"testsuite": {"name", "tests", "failures", "errors"}, "testcase": {"name"}}
ALLOWED = {
    "testsuites": {"name", "time", "tests", "failures", "errors"},
    "testsuite": NEEDED["testsuite"] | {"time", "skipped", "timestamp", "hostname", "id", "package", "file", "url"},
    "testcase": {"name", "classname", "time", "group"},
    **{end: {"type", "message"} for end in ("skipped", "error", "failure")},
}
"""What may stand in which element, and what has to: the schema junit-10.xsd, by which Jenkins judges."""

CHECKS = {"worst": "critical", "bad": "high", "dull": "info"}


def written(document: Document, fail_on: str = "") -> ElementTree.Element:
    text = as_junit(document, fail_on)
    assert text.startswith('<?xml version="1.0" encoding="utf-8"?>\n')
    assert text.endswith(("</testsuites>\n", " />\n"))
    return ElementTree.fromstring(text.encode("utf-8"))


def test_what_helps_on_a_router_stands_with_its_finding() -> None:
    document = check(worst="finding", dull="finding")
    for finding in document["hosts"]["r1"]["before"]["findings"]:
        finding["cures"] = [f"For {finding['id']} reboot.", "It frees 5."]
    root = written(document, "high")
    assert [element.text for element in root.iter("failure")] == [
        "Title of worst: 97.5\nMend worst.\nFor worst reboot.\nIt frees 5."
    ]
    [output] = root.iter("system-out")
    assert str(output.text).endswith("Mend dull.\nFor dull reboot.\nIt frees 5.")


def check(**statuses: str) -> Document:
    """Return a document with one router, r1, whose audit has these checks."""
    findings = [
        {"id": name, "status": status, "value": 97.5, "reason": "acct is off" if status == "unknown" else None}
        for name, status in statuses.items()
    ]
    checks = {
        name: {"title": f"Title of {name}", "severity": severity, "advice": f"Mend {name}."}
        for name, severity in CHECKS.items()
    }
    audit = {"usage": {"percent": 1.0}, "findings": findings}
    host: dict[str, t.Any] = dict.fromkeys(("after", "failure", "health", "no_conntrack")) | {
        "before": audit,
        "verdict": "high",
    }
    return {"time": "2026-05-01T03:00:00Z", "rollout": None, "checks": checks, "hosts": {"r1": host}}


def case(document: Document, name: str, fail_on: str = "") -> tuple[str, dict[str, str], str]:
    """Return how the case ended (nothing for passed), the attributes and the text of that."""
    ends = list(written(document, fail_on).findall(f"testsuite/testcase[@name='{name}']/*"))
    assert len(ends) <= 1
    return (ends[0].tag, ends[0].attrib, ends[0].text or "") if ends else ("", {}, "")


@pytest.mark.parametrize("fail_on", ["", "high"])
@pytest.mark.parametrize("fleet", FLEETS)
def test_the_structure_is_that_of_the_schema(fleet: str, fail_on: str) -> None:
    for element in written(FLEETS[fleet], fail_on).iter():
        assert {child.tag for child in element} <= CHILDREN.get(element.tag, set())
        assert NEEDED.get(element.tag, set()) <= set(element.attrib) <= ALLOWED.get(element.tag, set())


@pytest.mark.parametrize("fail_on", ["", "high"])
@pytest.mark.parametrize("fleet", FLEETS)
def test_the_counts_are_right(fleet: str, fail_on: str) -> None:
    root = written(FLEETS[fleet], fail_on)
    elements = {"tests": "testcase", "failures": "failure", "errors": "error", "skipped": "skipped"}
    for counted in [root, *root]:
        for attribute in set(elements) & set(counted.attrib):
            assert int(counted.attrib[attribute]) == len(list(counted.iter(elements[attribute])))
    assert [suite.attrib["skipped"] for suite in root if "skipped" not in suite.attrib] == []


@pytest.mark.parametrize("fleet", FLEETS)
def test_a_suite_for_each_router_the_worst_first(fleet: str) -> None:
    root = written(FLEETS[fleet])
    names = [visible(name) for name, _host in worst_first(FLEETS[fleet])]
    assert [suite.attrib["name"] for suite in root] == names
    assert [{each.attrib["classname"] for each in suite} for suite in root] == [{name} for name in names]
    assert [suite[0].attrib["name"] for suite in root] == ["run"] * len(names)


def test_no_two_cases_have_one_name() -> None:
    cases = [
        (each.attrib["classname"], each.attrib["name"]) for each in written(FLEETS["hostile names"]).iter("testcase")
    ]
    assert len(cases) == len(set(cases)) > 500


def test_a_finding_is_a_failure_with_what_was_seen_and_what_to_do() -> None:
    assert case(check(bad="finding"), "bad") == (
        "failure",
        {"type": "high", "message": "Title of bad: 97.5"},
        "Title of bad: 97.5\nMend bad.",
    )


def test_a_value_that_is_a_list_is_shown_as_one() -> None:
    document = check(bad="finding")
    document["hosts"]["r1"]["before"]["findings"][0]["value"] = ["max", 5]
    assert case(document, "bad")[1]["message"] == "Title of bad: max, 5"


def test_no_value_is_not_shown() -> None:
    document = check(bad="finding")
    document["hosts"]["r1"]["before"]["findings"][0]["value"] = None
    assert case(document, "bad")[1]["message"] == "Title of bad"


def test_unknown_is_skipped_and_says_why() -> None:
    message = "Title of worst: 97.5: acct is off"
    assert case(check(worst="unknown"), "worst") == ("skipped", {"type": "unknown", "message": message}, message)


def test_passed_is_an_empty_case() -> None:
    assert case(check(bad="passed"), "bad") == ("", {}, "")


@pytest.mark.parametrize(
    ("fail_on", "failures"),
    [
        ("", ["worst", "bad", "dull"]),
        ("critical", ["worst"]),
        ("high", ["worst", "bad"]),
        ("low", ["worst", "bad"]),
        ("info", ["worst", "bad", "dull"]),
    ],
)
def test_findings_below_the_severity_pass_with_a_note(fail_on: str, failures: list[str]) -> None:
    document = check(**dict.fromkeys(CHECKS, "finding"))
    ends = {name: case(document, name, fail_on) for name in CHECKS}
    assert [name for name, end in ends.items() if end[0] == "failure"] == failures
    for name in set(CHECKS) - set(failures):
        assert ends[name] == ("system-out", {}, f"{CHECKS[name]}\nTitle of {name}: 97.5\nMend {name}.")


@pytest.mark.parametrize("fail_on", ["worse", "HIGH", "passed"])
def test_another_severity_is_refused(fail_on: str) -> None:
    with pytest.raises(
        OptionError, match=rf"^fail_on: '{fail_on}' is no severity. Give one of {', '.join(SEVERITIES)}"
    ):
        as_junit(check(), fail_on)


@pytest.mark.parametrize("verdict", ["unreachable", "failed"])
def test_a_router_that_was_not_done_is_an_error_whatever_fails(verdict: str) -> None:
    document = check(bad="passed")
    failure = {"step": "Set all", "message": "max: <no>\x00\n", "unreachable": verdict == "unreachable"}
    document["hosts"]["r1"] |= {"verdict": verdict, "failure": failure}
    text = r"Set all: max: <no>\x00\n"
    assert case(document, "run", "critical") == ("error", {"type": verdict, "message": text}, text)
    assert case(document, "bad") == ("", {}, "")


def test_a_router_whose_turn_did_not_come_is_skipped() -> None:
    document = check()
    document["hosts"]["r1"]["verdict"] = "not_started"
    assert case(document, "run")[0] == "skipped"


def test_a_router_that_tracks_nothing_is_skipped_and_says_why() -> None:
    document = check()
    document["hosts"]["r1"] |= {"verdict": "no_conntrack", "no_conntrack": "nf_conntrack is not there"}
    outcome, attributes, text = case(document, "run")
    assert (outcome, attributes["type"], text) == ("skipped", "no_conntrack", "nf_conntrack is not there")


def test_gates_are_cases_of_their_own() -> None:
    document = check(bad="passed")
    answers = {"drops": ("finding", 12, None), "usage": ("passed", 1, None), "steps": ("unknown", None, "no answer")}
    document["hosts"]["r1"]["health"] = [
        {"id": name, "status": status, "value": value, "reason": reason}
        for name, (status, value, reason) in answers.items()
    ]
    gate = {"host": "r1", "id": "drops", "title": "Packets were dropped", "value": 12, "reason": None}
    document["rollout"] = {"batches": [["r1"]], "stopped": {"batch": 1, "gates": [gate]}}
    dropped = "Packets were dropped: 12"
    assert case(document, "gate drops", "critical") == ("failure", {"type": "gate", "message": dropped}, dropped)
    assert case(document, "gate usage") == ("", {}, "")
    assert case(document, "gate steps")[:2] == ("skipped", {"type": "unknown", "message": "steps: no answer"})


def test_the_last_audit_counts() -> None:
    document = check(bad="finding")
    document["hosts"]["r1"]["after"] = check(bad="passed")["hosts"]["r1"]["before"]
    assert case(document, "bad")[0] == ""


@pytest.mark.parametrize(
    "text", ["\x00\x08\x1b", "\ud800", "\ufffe\uffff", "\r\n\t", "]]>", "&lt;<b a='\"'>", "東京 🛰"]
)
def test_hostile_text_is_shown_everywhere_and_breaks_nothing(text: str) -> None:
    document = check(bad="finding", worst="unknown")
    audit = document["hosts"].pop("r1")["before"]
    for finding in audit["findings"]:
        finding["value"] = text
    failure = {"step": text, "message": text, "unreachable": False}
    host = dict.fromkeys(("after", "health")) | {"before": audit, "verdict": "failed", "failure": failure}
    root = written({**document, "hosts": {f"r{text}": host}})
    shown = visible(text)
    assert root[0].attrib["name"] == root[0].attrib["hostname"] == f"r{shown}"
    assert [end.attrib["message"] for end in root.findall("testsuite/testcase/*")] == [
        f"{shown}: {shown}",
        f"Title of bad: {shown}",
        f"Title of worst: {shown}: acct is off",
    ]

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.check import find

FACTS = {
    "usage": {"percent": 91.5, "max": 0},
    "selectors": {
        "stale": {"entries": None, "percent": None, "unavailable": "turn on net.netfilter.nf_conntrack_acct"}
    },
    "stats": {"table_full": {"messages": None, "unreadable": "/dev/kmsg: Operation not permitted"}},
}


def check(**changes: t.Any) -> dict[str, t.Any]:
    base = {"id": "full", "title": "Full", "when": "usage.percent > `90`", "severity": "high", "advice": "Prune."}
    return base | changes


@pytest.mark.parametrize(
    ("when", "status", "reason"),
    [
        ("usage.percent > `90`", "finding", None),
        ("usage.percent > `95`", "passed", None),
        ("usage.max == `0`", "finding", None),
        ("usage.max", "finding", None),
        ("`[]`", "passed", None),
        ("settings.acct == `0`", "unknown", "not known: settings.acct"),
        (
            "selectors.stale.percent > `10`",
            "unknown",
            "not known: selectors.stale.percent (turn on net.netfilter.nf_conntrack_acct)",
        ),
        (
            "stats.table_full.messages > `0`",
            "unknown",
            "not known: stats.table_full.messages (/dev/kmsg: Operation not permitted)",
        ),
        (
            "selectors.stale.entries > `100` && selectors.stale.percent > `10`",
            "unknown",
            "not known: selectors.stale.entries, selectors.stale.percent (turn on net.netfilter.nf_conntrack_acct)",
        ),
        ("percent(usage.percent, usage.max) > `1`", "unknown", "the expression has no value on these facts"),
    ],
)
def test_status_and_reason(when: str, status: str, reason: str | None) -> None:
    (finding,) = find(FACTS, [check(when=when)])
    assert (finding["status"], finding["reason"]) == (status, reason)


def test_a_finding_carries_all_that_a_report_needs() -> None:
    assert find(FACTS, [check(value="usage.percent")]) == [
        {
            "id": "full",
            "title": "Full",
            "severity": "high",
            "advice": "Prune.",
            "status": "finding",
            "value": 91.5,
            "reason": None,
        }
    ]


def test_the_value_is_null_where_none_is_asked_for_or_known() -> None:
    findings = find(FACTS, [check(), check(id="other", value="settings.acct")])
    assert [finding["value"] for finding in findings] == [None, None]


def test_worst_first() -> None:
    checks = [
        check(id="passed", severity="critical", when="`false`"),
        check(id="unknown", severity="critical", when="missing"),
        check(id="low", severity="low"),
        check(id="critical", severity="critical"),
        check(id="medium_b", severity="medium"),
        check(id="medium_a", severity="medium"),
        check(id="info", severity="info"),
    ]
    found = [finding["id"] for finding in find(FACTS, checks)]
    assert found == ["critical", "medium_a", "medium_b", "low", "info", "unknown", "passed"]


@pytest.mark.parametrize(
    ("checks", "message"),
    [
        (["text"], r"^checks\[0\]: 'text' is not a check"),
        ([check(), {"id": "half", "when": "a"}], r"^check half: .* lacks title, severity, advice"),
        ([{"title": "nameless"}], r"^check 0: .* lacks id, when"),
        ([check(title=["x"])], r"^check full, title: \['x'\] is no text\. Give it as a text, in quotes\."),
        ([check(when=5)], r"^check full, when: 5 is no text"),
        ([check(level=3)], r"^check full: 'level' is no key of a check. The keys are advice, cures, id"),
        ([check(severity="severe")], r"^check full, severity: 'severe' is unknown. Give one of critical, high"),
        ([check(when="usage.percent >")], r"^check full, when: 'usage.percent >' is not a JMESPath"),
        ([check(value="a b")], r"^check full, value: 'a b' is not a JMESPath"),
        ([check(when="nope(usage)")], r"^check full, when: .*Unknown function: nope"),
        ([check(), check(when="`true`")], r"^checks: 'full' is the id of 2 checks"),
        ([check(cures={})], r"^check full, cures: \{\} is no list"),
        ([check(cures=["x"])], r"^check full, cures\[0\]: 'x' is no cure"),
        ([check(when="`false`", cures=[{"text": "x", "figures": "nope()"}])], r"full, cures\[0\], figures: .*nope"),
    ],
)
def test_an_unsound_check_is_named(checks: list[t.Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        find(FACTS, checks)


STORM = {"entries": 3, "match": {"protocol": "udp", "replied": False}}


def test_value_and_figures_see_what_was_found() -> None:
    facts = {"table": {"filled_by": [STORM, {**STORM, "entries": 1}]}}
    storm = check(
        when="table.filled_by[?entries > `2`]",
        value="length(found)",
        cures=[{"text": "free $entries", "figures": "found[].{entries: entries}"}],
    )
    [finding] = find(facts, [storm])
    assert (finding["status"], finding["value"], finding["cures"]) == ("finding", 1, ["free 3"])
    [finding] = find({"table": {"filled_by": []}}, [storm])
    assert (finding["status"], finding["value"]) == ("passed", 0)
    [finding] = find({}, [storm])
    assert (finding["status"], finding["value"], finding["reason"]) == ("unknown", None, "not known: table.filled_by")


@pytest.mark.parametrize("when", ["`false`", "missing"])
def test_what_is_not_found_has_no_cure(when: str) -> None:
    [finding] = find(FACTS, [check(when=when, cures=[{"text": "Reboot.", "figures": "usage"}])])
    assert "cures" not in finding


def test_no_checks_find_nothing() -> None:
    assert find(FACTS, []) == []


def test_a_unit_stands_in_the_finding_of_a_check_that_has_one() -> None:
    check = {"id": "full", "title": "Full", "when": "usage.percent > `90`", "severity": "high", "advice": "Prune."}
    [finding] = find({"usage": {"percent": 97}}, [{**check, "unit": "%"}])
    assert finding["unit"] == "%"
    assert "unit" not in find({"usage": {"percent": 97}}, [check])[0]
    with pytest.raises(OptionError, match="check full, unit: 5 is no text"):
        find({}, [{**check, "unit": 5}])

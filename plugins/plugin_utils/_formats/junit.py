# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""The fleet's document as JUnit XML, for the test reports of GitHub, GitLab and Jenkins."""

from __future__ import annotations

import collections
import typing as t
from xml.etree import ElementTree

from ansible_collections.netops.conntrack.plugins.module_utils._printable import visible
from ansible_collections.netops.conntrack.plugins.plugin_utils._bounds import listed
from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.check import SEVERITIES, Severity
from ansible_collections.netops.conntrack.plugins.plugin_utils._display import plain_text
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.audit_types import Anything, Finding
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document import severities_from
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document_types import Check, Document, Host
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.ranking import worst_first
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.view import last_audit, stopping_gates

_DECLARATION = '<?xml version="1.0" encoding="utf-8"?>\n'
_INDENT = "\n  "
"""What stands before each suite."""

_COUNTED = {"failures": "failure", "errors": "error", "skipped": "skipped"}
"""Attributes of a suite, and the elements of its cases that they count."""


class _Case(t.NamedTuple):
    """A test case: its name, the element that says how it ended (none for passed), the type and the lines of that."""

    name: str
    outcome: str = ""
    type: str = ""
    lines: tuple[str, ...] = ()


def as_junit(document: Document, fail_on: str = "") -> str:
    """Return what ``junit_parts`` yields, as one text."""
    return "".join(junit_parts(document, fail_on))


def junit_parts(document: Document, fail_on: str = "") -> t.Iterator[str]:
    """Yield the fleet's ``document`` (see roll_up) as JUnit XML: a suite for each router, the worst first.

    A router has a case ``run``, which is an error if it was not done and skipped if its turn did not come or it tracks
    no connections. It has one for each check of its last audit, a failure if it is a finding and skipped if it is
    unknown, and one for each gate of a roll-out. With ``fail_on`` (a severity) a finding of a lesser one passes, and
    stands in the output of its case.

    Raises OptionError for any other severity.
    """
    failing = severities_from(fail_on) if fail_on else SEVERITIES
    suites = _Suites(document, failing)
    yield f'{_DECLARATION}<testsuites name="netops.conntrack" {suites.totals()}'
    if not suites.routers:
        yield " />\n"
        return
    yield ">"
    for name, host in suites.routers:
        suite = _suite(name, document["time"], suites.cases_of(host))
        ElementTree.indent(suite, level=1)
        yield f"{_INDENT}{ElementTree.tostring(suite, encoding='unicode')}"
    yield "\n</testsuites>\n"


class _Suites:
    """The routers with their cases, which are made anew each time: all together are larger than the document."""

    def __init__(self, document: Document, failing: tuple[Severity, ...]) -> None:
        self.routers = worst_first(document)
        self._checks = document["checks"]
        self._titles = _gate_titles(document)
        self._failing = failing

    def cases_of(self, host: Host) -> list[_Case]:
        """Return the cases of a router."""
        return [_run(host), *_checks(host, self._checks, self._failing), *_gates(host, self._titles)]

    def totals(self) -> str:
        """Return the attributes that count the cases of all routers, which stand before the first of them."""
        outcomes: collections.Counter[str] = collections.Counter()
        for _name, host in self.routers:
            outcomes.update(case.outcome for case in self.cases_of(host))
        tests, failures, errors = outcomes.total(), outcomes["failure"], outcomes["error"]
        return f'tests="{tests}" failures="{failures}" errors="{errors}"'


def _gate_titles(document: Document) -> dict[str, str]:
    return {gate["id"]: gate["title"] for gate in stopping_gates(document)}


def _run(host: Host) -> _Case:
    if host["failure"]:
        return _Case("run", "error", host["verdict"], (f"{host['failure']['step']}: {host['failure']['message']}",))
    if host["no_conntrack"]:
        return _Case("run", "skipped", "no_conntrack", (host["no_conntrack"],))
    if host["verdict"] == "not_started":
        return _Case("run", "skipped", "not_started", ("The roll-out was stopped before its turn.",))
    return _Case("run")


def _checks(host: Host, checks: dict[str, Check], failing: tuple[Severity, ...]) -> t.Iterator[_Case]:
    audit = last_audit(host)
    for finding in audit["findings"] if audit else []:
        check = checks[finding["id"]]
        case = _judged(finding["id"], check["title"], check["severity"], finding)
        if case.outcome != "failure":
            yield case
            continue
        what_helps = (check["advice"], *finding.get("cures", []))
        if check["severity"] in failing:
            yield case._replace(lines=(*case.lines, *what_helps))
        else:
            yield case._replace(outcome="system-out", lines=(check["severity"], *case.lines, *what_helps))


def _gates(host: Host, titles: dict[str, str]) -> t.Iterator[_Case]:
    for gate in host["health"] or []:
        yield _judged(f"gate {gate['id']}", titles.get(gate["id"], gate["id"]), "gate", gate)


def _judged(name: str, title: str, kind: str, finding: Finding) -> _Case:
    if finding["status"] == "passed":
        return _Case(name)
    parts = [title, finding["value"], finding["reason"]]
    line = ": ".join(_shown(part) for part in parts if part is not None)
    if finding["status"] == "unknown":
        return _Case(name, "skipped", "unknown", (line,))
    return _Case(name, "failure", kind, (line,))


def _shown(value: Anything) -> str:
    return listed(map(plain_text, value)) if isinstance(value, list) else plain_text(value)


def _suite(router: str, time: str, cases: list[_Case]) -> ElementTree.Element:
    name = visible(router)
    suite = ElementTree.Element("testsuite", name=name, hostname=name, timestamp=visible(time), tests=str(len(cases)))
    suite.extend(_element(name, case) for case in cases)
    for attribute, outcome in _COUNTED.items():
        suite.set(attribute, str(len(suite.findall(f"testcase/{outcome}"))))
    return suite


def _element(router: str, case: _Case) -> ElementTree.Element:
    element = ElementTree.Element("testcase", classname=router, name=visible(case.name))
    if case.outcome:
        lines = [*map(visible, case.lines)]
        # GitLab shows the text only, Jenkins the message first.
        attributes = {} if case.outcome == "system-out" else {"type": case.type, "message": lines[0]}
        ElementTree.SubElement(element, case.outcome, attributes).text = "\n".join(lines)
    return element

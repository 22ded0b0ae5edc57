# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whatever a router answers: there is a report, and what it says of the other routers is the same.

Give it more time with BORDER_SECONDS=30, and repeat its choices with the BORDER_SEED that it prints.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import time
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.action.conntrack_audit import audit_of
from ansible_collections.netops.conntrack.plugins.module_utils._errors import AnswerError, ConntrackError
from ansible_collections.netops.conntrack.plugins.plugin_utils._callback.figures import summary
from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.check import parse
from ansible_collections.netops.conntrack.plugins.plugin_utils._formats.render import ENDINGS, render
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document import roll_up
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.records import VARIABLES, record
from ansible_collections.netops.conntrack.plugins.plugin_utils._router.answer import Expected
from helpers.documents import full_record
from helpers.forged_answers import lies, random_lies
from helpers.support import CHECKOUT, read_yaml

TIME = "2026-05-01T03:00:00Z"
SECONDS = float(os.environ.get("BORDER_SECONDS", "5"))
SEED = int(os.environ.get("BORDER_SEED", random.randrange(2**32) if "BORDER_SECONDS" in os.environ else 1))

_DEFAULTS = read_yaml(CHECKOUT / "roles" / "conntrack_audit" / "defaults" / "main.yml")
CHECKS = parse(_DEFAULTS["conntrack_audit_checks"])
FACTS = json.loads((CHECKOUT / "tests" / "unit" / "roles" / "facts" / "sick.json").read_text())
ANSWER = {"changed": False, "ansible_facts": {"conntrack": FACTS}}
GOOD = full_record("good")
EVIL = full_record("evil")
FAILURES: tuple[dict[str, t.Any], ...] = (
    {"failed": True, "changed": False, "msg": "no", "rc": 1, "no_conntrack": True, "exception": "Traceback"},
    {"failed": True, "msg": "no", "warnings": ["a", {"event": {"msg": "b"}}], "deprecations": [{"msg": "c"}]},
)

OF_THE_CONTROLLER = ("id", "title", "severity", "advice", "unit")
"""What a record has from the controller's own checks, and never from a router."""

Document = t.Any
"""A document, or what is on record of a router: also a wrong one."""


def report_with(evil: Document) -> Document:
    """Return the document about an honest router and one with this record."""
    return roll_up({"good": GOOD, "evil": evil}, ["evil", "good"], TIME)


def of_the_honest(document: Document, style: str) -> t.Any:
    """Return what a format says of the honest router alone, as far as that can be told apart."""
    written = render(document, style)
    assert "good" in written
    if style == "json":
        return json.loads(written)["hosts"]["good"]
    if style in ("csv", "prometheus"):
        marks = {"csv": "good,", "prometheus": 'host="good"'}
        return [line for line in written.splitlines() if marks[style] in line]
    return None


TRUTH = report_with(EVIL)
EXPECTED = {style: of_the_honest(TRUTH, style) for style in ENDINGS}


def assert_unharmed(evil: Document, styles: t.Iterable[str] = ENDINGS) -> None:
    """Assert that nothing changes for the honest router, whatever is on record of the other one."""
    document = report_with(evil)
    assert document["hosts"]["good"] == TRUTH["hosts"]["good"]
    assert set(document["checks"]) <= set(TRUTH["checks"])
    assert all(document["checks"][name] == TRUTH["checks"][name] for name in document["checks"])
    summary(document)
    for style in styles:
        assert of_the_honest(document, style) == EXPECTED[style]


def record_of(lie: t.Any) -> Document:
    """Return what the roles leave of an answer of conntrack_facts: the audit of it, or the failure."""
    try:
        answer = Expected("conntrack_facts", {"gather_subset": "all"}).accepted(lie)
        if answer.get("failed"):
            return record({"conntrack_audit_before": answer})
        facts = answer["ansible_facts"]["conntrack"]
        return record({"conntrack_audit_before": {"audit": audit_of(facts, CHECKS, None)}})
    except ConntrackError as error:
        message = error.message
    assert len(message) < 10_000
    assert message.isprintable()
    return record({"conntrack_audit_before": {"failed": True, "msg": message}})


def in_time(values: t.Iterable[t.Any]) -> t.Iterator[t.Any]:
    """Yield values as long as there is time, one at the least."""
    print(f"BORDER_SEED={SEED}")
    until = time.monotonic() + SECONDS / 4
    for number, value in enumerate(values):
        if number and time.monotonic() > until:
            return
        yield value


def shuffled(values: t.Iterable[t.Any]) -> list[t.Any]:
    """Return the values in an order of their own, as not all of them are tried in a short time."""
    every = list(values)
    random.Random(SEED).shuffle(every)
    return every


def test_an_answer_raises_nothing_but_a_typed_error_with_any_odd_value_in_any_place() -> None:
    refused = []
    for lie in itertools.chain(lies(ANSWER), *map(lies, FAILURES)):
        try:
            Expected("conntrack_facts", {"gather_subset": "all"}).accepted(lie)
        except AnswerError as error:
            refused.append(error.message)
    assert len(refused) > 4000
    assert max(map(len, refused)) < 500
    assert all(message.startswith("Its facts are malformed (") for message in refused)


def test_the_truth_is_not_refused() -> None:
    assert "failure" not in record_of(ANSWER)
    assert report_with(record_of(ANSWER))["hosts"]["evil"]["failure"] is None


def test_no_answer_harms_the_report_of_others() -> None:
    for lie in in_time(shuffled(itertools.chain(lies(ANSWER), *map(lies, FAILURES)))):
        assert_unharmed(record_of(lie))


def test_no_random_answer_harms_the_report_of_others() -> None:
    for lie in in_time(random_lies(ANSWER, SEED)):
        assert_unharmed(record_of(lie))


def test_no_record_harms_the_report_of_others() -> None:
    for lie in in_time(shuffled(lies(EVIL, OF_THE_CONTROLLER))):
        assert_unharmed(lie)


def test_no_random_record_harms_the_report_of_others() -> None:
    for lie in in_time(random_lies(EVIL, SEED, OF_THE_CONTROLLER)):
        assert_unharmed(lie)


@pytest.mark.parametrize("name", VARIABLES)
def test_a_variable_of_a_router_can_be_anything(name: str) -> None:
    for lie in lies({"audit": {}, "msg": "", "failed": True, "no_conntrack": True}):
        assert_unharmed(record({name: lie}), ["json"])


@pytest.mark.parametrize("name", VARIABLES)
def test_a_fact_is_never_taken_for_the_result_of_a_task(name: str) -> None:
    phish = {"audit": {**EVIL["before"], "findings": [{**EVIL["before"]["findings"][0], "advice": "PHISH"}]}}
    evil: Document = record({"ansible_facts": {name: phish}, name: phish})
    assert evil["failure"]["message"].startswith(f"Its facts are malformed (ansible_facts.{name}:")
    assert "PHISH" not in json.dumps(report_with(evil))

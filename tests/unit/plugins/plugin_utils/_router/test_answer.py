# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import difflib
import time
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._errors import AnswerError
from ansible_collections.netops.conntrack.plugins.plugin_utils._router.answer import Expected, harmless

UPDATE = Expected("conntrack_update", {})
FAILED = {"failed": True, "msg": "no"}


@pytest.mark.parametrize(
    "stdout",
    [
        '{"failed": true, "msg": "no"}',
        '\n  {"failed": true, "msg": "no"}\n\n',
        'Welcome to router1\nLast login: never\n{"failed": true, "msg": "no"}\nConnection closed\n',
        '{"failed": true,\n"msg": "no"\n}',
        '{"failed": true, "msg": "no"}\r\n',
    ],
)
def test_an_answer_is_found_among_lines_of_others(stdout: str) -> None:
    assert UPDATE.read(stdout) == FAILED


@pytest.mark.parametrize(
    "stdout", ["", "nothing", "[1]", "{", "}", "}\n{", '{"a": 1} x', '{"a": 1}\n{"b": 2}', '{"a": ' + "9" * 5000 + "}"]
)
def test_what_is_no_answer_cannot_become_one_when_it_is_shown(stdout: str) -> None:
    assert UPDATE.read(stdout) is None
    assert UPDATE.read(harmless(stdout)) is None


def test_what_is_shown_of_no_answer_is_short_and_has_no_control_characters() -> None:
    shown = harmless("\x1b[2J\u2028{}\n" * 10**6)
    assert len(shown) < 10_000
    assert shown.startswith("\\x1b[2J\\u2028{}\n")
    assert shown.replace("\n", "").isprintable()


@pytest.mark.parametrize("depth", [100, 900, 100_000])
def test_an_answer_can_be_of_any_depth(depth: int) -> None:
    deep = '{"failed": true, "msg": ' + "[" * depth + "]" * depth + "}"
    with pytest.raises(AnswerError, match="Its result is malformed"):
        UPDATE.read(deep)


def test_only_who_asks_for_many_entries_gets_many_bytes() -> None:
    every = {"gather_subset": "all"}
    few = Expected("conntrack_facts", every).most_bytes
    assert few < 10 << 20
    assert Expected("conntrack_info", {"limit": 100_000}).most_bytes > 500 << 20
    odd_values: tuple[t.Any, ...] = ("many", None, [], {})
    for odd in odd_values:
        assert Expected("conntrack_facts", {**every, "top": odd}).most_bytes == few
    assert Expected("conntrack_facts", {**every, "top": -5}).most_bytes <= few
    # Only who asks for the namespaces of a router gets the tables of many.
    assert few < Expected("conntrack_facts", {**every, "namespaces": "all"}).most_bytes < few + (20 << 20)
    assert Expected("conntrack_info", {"namespaces": "all"}).most_bytes == Expected("conntrack_info", {}).most_bytes


def test_messages_of_every_ansible_core_become_texts() -> None:
    """From ansible-core 2.19 on they are summaries of events."""
    event = {"__ansible_type": "Event", "msg": "old\x07", "formatted_traceback": None}
    answer = {
        **FAILED,
        "warnings": ["new", {"__ansible_type": "WarningSummary", "event": event}],
        "deprecations": [{"msg": "a", "version": "3.0.0"}, {"__ansible_type": "DeprecationSummary", "event": event}],
        "exception": {"__ansible_type": "ErrorSummary", "event": event},
    }
    assert UPDATE.accepted(answer) == {
        **FAILED,
        "warnings": ["new", "old\\x07"],
        "deprecations": [{"msg": "a", "version": "3.0.0"}, {"msg": "old\\x07"}],
        "exception": None,
    }
    assert UPDATE.accepted({**FAILED, "exception": "Traceback\n  x\x1b"})["exception"] == "Traceback\n  x\\x1b"


def test_a_diff_is_short_enough_to_be_compared() -> None:
    lines = [f"line {number % 97}\n" for number in range(20_000)]
    diff = UPDATE.accepted({**FAILED, "diff": {"before": "".join(lines), "after": "".join(reversed(lines))}})["diff"]
    assert diff["before"].endswith("line 29\n(19000 more lines)\n")
    began = time.process_time()
    list(difflib.unified_diff(diff["before"].splitlines(), diff["after"].splitlines()))
    assert time.process_time() - began < 5


def test_options_that_are_too_many_to_be_shown_are_no_fault() -> None:
    kept = UPDATE.accepted({**FAILED, "invocation": {"module_args": {"match": [{"source": "10.0.0.1"}] * 20_000}}})
    assert kept == {**FAILED, "invocation": {}}


def test_a_module_that_was_only_started_has_the_answer_of_ansible() -> None:
    started = {"failed": 0, "started": 1, "finished": 0, "ansible_job_id": "j1.2", "results_file": "/root/j1.2"}
    kept = {**started, "_ansible_suppress_tmpdir_delete": True}
    expected = Expected("conntrack_prune", {}, in_background=True)
    assert expected.accepted({**kept, "add_host": {}, "ansible_facts": {}}) == kept

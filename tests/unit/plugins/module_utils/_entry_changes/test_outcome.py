# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import collections
import errno
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.outcome import (
    Group,
    count_of,
    counting_outcomes,
    diff_of,
    raise_on_failures,
    successes,
)
from ansible_collections.netops.conntrack.plugins.module_utils._errors import ConntrackError
from ansible_collections.netops.conntrack.plugins.module_utils._interrupt import Interrupted, noted
from helpers.encoded_messages import Fields, entry_of

SEEN_REPLY = 1 << 1


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"protocol": 6, "state": 3, "status": 0}, "ipv4 tcp ESTABLISHED unreplied"),
        ({"protocol": 6, "state": 3, "status": SEEN_REPLY}, "ipv4 tcp ESTABLISHED"),
        ({"protocol": 17, "status": None}, "ipv4 udp"),
    ],
)
def test_what_an_entry_is_counted_as(fields: Fields, words: str) -> None:
    assert str(Group.from_entry(entry_of(fields))) == words


def test_a_diff_has_only_what_became_less() -> None:
    before = {"a": 10, "b": 3, "c": 5}
    assert diff_of(before, {"a": 4, "b": 3, "c": 0}) == {"before": "10  a\n3  b\n", "after": "6  a\n0  b\n"}


def test_numbers_of_outcomes() -> None:
    outcomes = collections.Counter({("a", 0): 4, ("b", 0): 1, ("a", errno.ENOENT): 2, ("b", errno.EBUSY): 1})
    assert count_of(outcomes, 0) == 5
    assert count_of(outcomes, errno.ENOENT, errno.EBUSY) == 3
    assert successes(outcomes) == {"a": 4, "b": 1}


def count_and_raise(error: BaseException, done: str, number: int, selected: int | None = None) -> None:
    with counting_outcomes(done, selected) as outcomes:
        outcomes["a", 0] += number
        outcomes["a", errno.ENOENT] += 1
        raise error


def test_an_error_is_told_the_number_already_done() -> None:
    with pytest.raises(ConntrackError) as caught:
        count_and_raise(ConntrackError("No answer."), "deleted", 3)
    assert caught.value.message == "No answer. At least 3 entries had been deleted by then."
    assert caught.value.result == {"changed": True, "deleted": 3}


@pytest.mark.parametrize(("selected", "words"), [(None, "1,200 selected"), (5000, "1,200 of 5,000 selected")])
def test_a_signal_is_told_the_number_already_done(selected: int | None, words: str) -> None:
    with pytest.raises(Interrupted) as caught:
        count_and_raise(Interrupted("SIGTERM"), "updated", 1200, selected)
    assert caught.value.account.startswith(f"{words} entries were updated by then. They keep what they were given.")
    assert caught.value.result == {"changed": True, "updated": 1200}


def test_what_was_done_is_noted_for_a_signal_that_comes_later() -> None:
    with counting_outcomes("updated", 3) as outcomes:
        outcomes["a", 0] += 2
        outcomes["a", errno.ENOENT] += 1
    account, result = noted()
    assert account.startswith("2 of 3 selected entries were updated by then.")
    assert result == {"changed": True, "updated": 2}


def test_errnos_that_are_expected_are_no_failures() -> None:
    outcomes: collections.Counter[tuple[t.Any, int]] = collections.Counter({("a", 0): 1, ("a", errno.ENOENT): 2})
    raise_on_failures({"deleted": 1}, outcomes, {0, errno.ENOENT}, "deleted")
    with pytest.raises(ConntrackError, match="The kernel refused 2 of 3 requests: 2 times") as caught:
        raise_on_failures({"deleted": 1}, outcomes, {0}, "deleted")
    assert caught.value.result["failures"] == {"No such file or directory": 2}

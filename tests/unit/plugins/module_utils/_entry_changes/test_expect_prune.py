# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a prune of expectations tells where the kernel refuses, or does not answer; the kernel is made up."""

from __future__ import annotations

import errno
import socket
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes import expect_prune
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.expect_prune import (
    ExpectSurvey,
    prune_expectations,
)
from ansible_collections.netops.conntrack.plugins.module_utils._errors import ConntrackError
from ansible_collections.netops.conntrack.plugins.module_utils._expectations.expectation import decode
from ansible_collections.netops.conntrack.plugins.module_utils._expectations.selection import compile_match
from ansible_collections.netops.conntrack.plugins.module_utils._netlink import transport
from helpers.encoded_expectations import expectation_message, numbered

NUMBER = 150
ALL = "family=ipv4,ipv6"


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> dict[int, int | Exception]:
    """Return the kernel's answers by id, which a test may change. The others are 0."""
    changed: dict[int, int | Exception] = {}

    def delete(_source: t.Any, targets: t.Sequence[t.Any], _first: int) -> list[int]:
        numbers = []
        for target in targets:
            answer = changed.get(target.expectation.id, 0)
            if isinstance(answer, Exception):
                raise answer
            numbers.append(answer)
        return numbers

    monkeypatch.setattr(transport, "open_socket", lambda: socket.socketpair()[0])
    monkeypatch.setattr(expect_prune, "delete", delete)
    return changed


def survey() -> ExpectSurvey:
    listed = [decode(numbered(number)).in_zone(0) for number in range(NUMBER)]
    return ExpectSurvey.of([*listed, decode(expectation_message())], compile_match(ALL))


def test_what_the_kernel_refuses_is_counted_and_an_error(answers: dict[int, int | Exception]) -> None:
    answers.update({3: errno.EBUSY, 100: errno.EBUSY, 101: errno.ENOENT})
    with pytest.raises(ConntrackError) as caught:
        prune_expectations(survey(), 1, dry_run=False, with_diff=True)
    result = caught.value.result
    assert "refused 2 of 150 requests: 2 times 'Device or resource busy'. 147 expectations" in caught.value.message
    assert result["failures"] == {"Device or resource busy": 2}
    assert (result["deleted"], result["already_gone"], result["not_deleted"], result["without_zone"]) == (147, 1, 2, 1)
    assert result["deleted"] + result["already_gone"] + result["not_deleted"] + 1 == result["matched"] == NUMBER + 1
    assert result["diff"] == {"before": "151  ftp ipv4 tcp\n", "after": "4  ftp ipv4 tcp\n"}


def test_what_was_deleted_before_the_answers_stopped_is_told(answers: dict[int, int | Exception]) -> None:
    answers[70] = ConntrackError("No answer.")
    with pytest.raises(ConntrackError) as caught:
        prune_expectations(survey(), 1, dry_run=False, with_diff=False)
    # The first batch was answered.
    assert caught.value.message == "No answer. At least 64 expectations had been deleted by then."
    assert caught.value.result == {"changed": True, "deleted": 64}


def test_a_rehearsal_deletes_nothing(answers: dict[int, int | Exception]) -> None:
    answers.update(dict.fromkeys(range(NUMBER), ConntrackError("It was asked.")))
    result = prune_expectations(survey(), 2, dry_run=True, with_diff=True)
    assert (result["changed"], result["would_delete"], result["deleted"]) == (True, NUMBER, 0)
    assert [one["id"] for one in result["sample"]] == [0, 1]
    assert result["diff"] == {"before": "151  ftp ipv4 tcp\n", "after": "1  ftp ipv4 tcp\n"}

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the kernel cannot be made to do at will: deletes that it refuses, and counts that are not those of the dump."""

from __future__ import annotations

import collections
import errno
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.guards import Guards
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.outcome import Group
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.prune import PruneOutcome, prune
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.prune_plan import (
    PrunePlan,
    parse_limit,
)
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.prune_survey import PruneSurvey
from ansible_collections.netops.conntrack.plugins.module_utils._errors import (
    ConntrackError,
    DumpError,
    RefusedError,
)
from ansible_collections.netops.conntrack.plugins.module_utils._selector.compiler import compile_selection
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block
from ansible_collections.netops.conntrack.plugins.module_utils._uapi import UDP
from helpers.encoded_messages import blocks_of

UDP_GROUP = Group("ipv4", "udp", "", "")


def survey_of(targets: int) -> PruneSurvey:
    """Return what is found in ten entries, of which so many are to be deleted."""
    context = Context({}, 0)
    selection = compile_selection([{"source_port": f"1-{targets}"}], None, context)
    found = PruneSurvey(PrunePlan(selection, Guards((), helpers=True), context, sample=1, whole=True), None, {})
    for block in blocks_of(*({"protocol": UDP, "source_port": port} for port in range(1, 11))):
        assert [(verdict.group, len(part)) for verdict, part in found.sort_out(block)] == [(UDP_GROUP, targets)]
    return found


def errors_of(numbers: list[int]) -> collections.Counter[tuple[Group, int]]:
    return collections.Counter((UDP_GROUP, number) for number in numbers)


def test_a_reading_that_fails_after_the_deletes_does_not_hide_them() -> None:
    class Stuck(Stub):
        def delete(self, targets: t.Any, outcome: collections.Counter[tuple[Group, int]]) -> None:
            outcome[UDP_GROUP, 0] += 100

        def read(self, collect: t.Any, conditions: t.Sequence[t.Any] = (), _clock: object = None) -> t.Any:
            if self.read_already:
                raise DumpError("not whole")
            self.read_already = True
            return super().read(collect, conditions)

        read_already = False

    outcome = prune(t.cast(t.Any, Stuck(100)), plan_of({"protocol": "udp"}), parse_limit("100%"), dry_run=False)
    assert outcome.result(100, with_diff=False)["deleted"] == 100
    assert list(outcome.warnings()) == []


def test_entries_that_are_gone_already_do_no_harm() -> None:
    result = PruneOutcome(survey_of(3), errors_of([0, errno.ENOENT, 0])).result(7, True)
    assert [result[name] for name in ("changed", "deleted", "already_gone", "not_deleted")] == [True, 2, 1, 0]
    assert result["diff"] == {"before": "10  ipv4 udp\n", "after": "8  ipv4 udp\n"}
    assert PruneOutcome(survey_of(1), errors_of([errno.ENOENT])).result(9, False)["changed"] is False


@pytest.mark.parametrize(("errors", "changed"), [([0, errno.EBUSY, errno.EBUSY], True), ([errno.EPERM], False)])
def test_deletes_that_the_kernel_refuses(errors: list[int], changed: bool) -> None:
    with pytest.raises(ConntrackError, match="refused") as caught:
        PruneOutcome(survey_of(len(errors)), errors_of(errors)).result(9, False)
    result = caught.value.result
    assert result["changed"] is changed
    assert result["deleted"] == errors.count(0)
    assert sum(result["failures"].values()) == result["not_deleted"] == len(errors) - errors.count(0)
    for reason in result["failures"]:
        assert reason in caught.value.message


class Stub:
    """A table of ten UDP entries, of which the kernel counts fewer, and whose deletes get no answer after the first."""

    def __init__(self, counted: int | None) -> None:
        self.counted = counted
        self.conditions: t.Sequence[t.Any] = ()

    def count(self) -> int | None:
        return self.counted

    def read(
        self, collect: t.Callable[[t.Iterator[Block]], t.Any], conditions: t.Sequence[t.Any], _clock: object = None
    ) -> t.Any:
        self.conditions = conditions
        return collect(iter(blocks_of(*({"protocol": UDP, "source_port": port, "id": port} for port in range(1, 11)))))

    def delete(self, _targets: t.Any, outcome: collections.Counter[tuple[Group, int]]) -> None:
        outcome[UDP_GROUP, 0] += 1
        raise ConntrackError("No answer.")


def plan_of(selector: dict[str, t.Any], sample: int = 0) -> PrunePlan:
    context = Context({}, 0)
    return PrunePlan(
        compile_selection([selector], None, context), Guards((), helpers=True), context, sample=sample, whole=False
    )


@pytest.mark.parametrize("given", [None, 100, "100%"])
def test_what_was_deleted_before_an_error_is_told(given: t.Any) -> None:
    with pytest.raises(ConntrackError) as caught:
        prune(t.cast(t.Any, Stub(10)), plan_of({"protocol": "udp"}), parse_limit(given), dry_run=False)
    assert caught.value.message == "No answer. At least 1 entries had been deleted by then."
    assert caught.value.result == {"changed": True, "deleted": 1}


@pytest.mark.parametrize("given", [None, "100%"])
def test_connections_that_are_made_meanwhile_are_not_more_than_all(given: t.Any) -> None:
    outcome = prune(t.cast(t.Any, Stub(8)), plan_of({"family": "ipv4"}), parse_limit(given), dry_run=True)
    assert outcome.result(None, with_diff=False)["count_before"] == 10


def test_a_limit_is_of_the_kernels_count_where_it_leaves_entries_out() -> None:
    stub = Stub(1000)
    outcome = prune(t.cast(t.Any, stub), plan_of({"family": "ipv4"}), parse_limit("1%"), dry_run=True)
    assert len(stub.conditions) == 1
    assert outcome.result(None, with_diff=False)["count_before"] == 1000
    with pytest.raises(RefusedError, match="allows 9 of the table's 999 entries"):
        prune(t.cast(t.Any, Stub(999)), plan_of({"family": "ipv4"}), parse_limit("1%"), dry_run=True)


def test_without_the_kernels_count_nothing_is_left_out() -> None:
    stub = Stub(None)
    prune(t.cast(t.Any, stub), plan_of({"family": "ipv4"}), parse_limit(None), dry_run=True)
    assert stub.conditions == ()


@pytest.mark.parametrize("sample", [3, 10, 20])
def test_an_entry_that_was_not_deleted_is_shown_once_though_the_table_is_read_again(sample: int) -> None:
    class Disturbed(Stub):
        def read(self, collect: t.Any, conditions: t.Sequence[t.Any] = (), _clock: object = None) -> t.Any:
            super().read(collect, conditions)
            return super().read(collect, conditions)

        def delete(self, targets: t.Any, outcome: collections.Counter[tuple[Group, int]]) -> None:
            outcome[UDP_GROUP, errno.EBUSY] += len(targets)

    plan = plan_of({"protocol": "udp"}, sample)
    outcome = prune(t.cast(t.Any, Disturbed(10)), plan, parse_limit(None), dry_run=False)
    lines = outcome.found.counts()["lines"]
    assert len(lines) == len(set(lines)) == min(sample, 10)

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A prune step by step: what is asked, backed up, awaited and deleted, in which order, and what is told of it."""

from __future__ import annotations

import errno
import itertools
import time
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.backup import Backup
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.guards import Guards
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.protections import protections_of
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.prune import (
    PruneOutcome,
    count_only,
    prune,
)
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.prune_plan import PrunePlan, parse_limit
from ansible_collections.netops.conntrack.plugins.module_utils._errors import (
    ConntrackError,
    RefusedError,
    UnavailableError,
)
from ansible_collections.netops.conntrack.plugins.module_utils._selector.compiler import compile_selection
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block
from ansible_collections.netops.conntrack.plugins.module_utils._uapi import SEEN_REPLY
from helpers.table_in_memory import TableInMemory

UDP = 17
EVERY_WAY = [(None, 0, False), ("100%", 0, False), (5, 0, False), (None, 30, False), (None, 0, True), (5, 30, True)]
"""max_delete, confirm_idle and whether there is a backup: a prune at once, one that reads first, and a second look."""


def entry(number: int, **fields: t.Any) -> dict[str, t.Any]:
    return {"id": number, "protocol": UDP, "source_port": number, "status": 0, "remaining": 100, **fields}


def table_of(number: int) -> TableInMemory:
    """Return a table of so many entries, with the numbers from 1 on as ids and source ports."""
    return TableInMemory(*map(entry, range(1, number + 1)))


def plan_of(
    ports: str = "1-3", guards: Guards | None = None, match: t.Any = None, exclude: t.Any = None, **options: t.Any
) -> PrunePlan:
    context = Context({}, 0)
    selection = compile_selection(match or {"source_port": ports}, exclude, context)
    options = {"sample": 9, "whole": True, **options}
    return PrunePlan(selection, guards or Guards((), helpers=True), context, **options)


class Recorded:
    """A backup that records what is done to it, next to what the table has at that moment."""

    def __init__(self, table: TableInMemory) -> None:
        self.table = table
        self.written: list[int] = []
        self.deleted_before: list[int] | None = None
        self.is_needed = False

    def restart(self) -> None:
        self.written.clear()

    def write(self, block: Block) -> None:
        self.written += [t.cast(int, one.id) for one in block.entries()]

    def complete(self) -> None:
        self.deleted_before = list(self.table.deleted)


def pruned(table: TableInMemory, plan: PrunePlan, limit: t.Any = None, **options: t.Any) -> PruneOutcome:
    return prune(t.cast(t.Any, table), plan, parse_limit(limit), **{"dry_run": False, **options})


@pytest.fixture(autouse=True)
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return for how long the prune has slept. It takes no time."""
    found: list[float] = []
    monkeypatch.setattr(time, "sleep", found.append)
    return found


@pytest.mark.parametrize(("limit", "confirm_idle", "with_backup"), EVERY_WAY)
def test_what_is_selected_is_deleted(limit: t.Any, confirm_idle: int, with_backup: bool, slept: list[float]) -> None:
    table = table_of(6)
    backup = Recorded(table) if with_backup else None
    outcome = pruned(table, plan_of(confirm_idle=confirm_idle), limit, backup=t.cast(Backup, backup))
    assert sorted(table.deleted) == [1, 2, 3]
    assert slept == [confirm_idle] * bool(confirm_idle)
    result = outcome.result(table.count(), with_diff=True)
    counts = (
        "changed",
        "matched",
        "would_delete",
        "deleted",
        "already_gone",
        "not_deleted",
        "protected",
        "undecidable",
    )
    assert [result[name] for name in counts] == [True, 3, 3, 3, 0, 0, 0, 0]
    assert (result["count_before"], result["count_after"], result["not_listed"]) == (6, 3, 0)
    assert result["woken"] == (0 if confirm_idle else None)
    assert len(result["lines"]) == len(result["sample"]) == 3
    assert result["diff"] == {"before": "6  ipv4 udp unreplied\n", "after": "3  ipv4 udp unreplied\n"}
    assert list(outcome.warnings()) == []
    if backup:
        assert (backup.written, backup.deleted_before, backup.is_needed) == ([1, 2, 3], [], True)


@pytest.mark.parametrize(("limit", "confirm_idle", "with_backup"), EVERY_WAY)
def test_in_check_mode_nothing_is(limit: t.Any, confirm_idle: int, with_backup: bool) -> None:
    table = table_of(6)
    backup = Recorded(table) if with_backup else None
    outcome = pruned(table, plan_of(confirm_idle=confirm_idle), limit, dry_run=True, backup=t.cast(Backup, backup))
    assert table.deleted == []
    result = outcome.result(None, with_diff=True)
    assert (result["changed"], result["would_delete"], result["deleted"]) == (True, 3, 0)
    assert result["diff"]["after"] == "3  ipv4 udp unreplied\n"
    nothing = pruned(table, plan_of("9"), limit, dry_run=True).result(None, with_diff=False)
    assert (nothing["changed"], nothing["would_delete"]) == (False, 0)
    assert "diff" not in nothing


@pytest.mark.parametrize(("limit", "confirm_idle", "with_backup"), EVERY_WAY)
def test_without_targets_nothing_is_awaited_or_kept(
    limit: t.Any, confirm_idle: int, with_backup: bool, slept: list[float]
) -> None:
    table = table_of(6)
    backup = Recorded(table) if with_backup else None
    outcome = pruned(table, plan_of("9", confirm_idle=confirm_idle), limit, backup=t.cast(Backup, backup))
    assert outcome.result(6, with_diff=False)["changed"] is False
    assert slept == table.deleted == []
    if backup:
        assert (backup.deleted_before, backup.is_needed) == (None, False)


@pytest.mark.parametrize("confirm_idle", [0, 30])
@pytest.mark.parametrize(("ports", "is_needed"), [("9", False), ("1", True), ("1-3", True)])
def test_a_backup_stays_from_right_before_the_first_delete_on(ports: str, is_needed: bool, confirm_idle: int) -> None:
    """Whatever ends the prune from then on, what was deleted is in the file."""
    seen: list[bool] = []

    class Watched(TableInMemory):
        def delete(self, targets: t.Any, outcomes: t.Any) -> None:
            seen.append(backup.is_needed)
            super().delete(targets, outcomes)

        def looks(self, targets: t.Any, outcomes: t.Any) -> t.Iterator[t.Any]:
            seen.append(backup.is_needed)
            return super().looks(targets, outcomes)

    table = Watched(*map(entry, range(1, 7)))
    backup = Recorded(table)
    pruned(table, plan_of(ports, confirm_idle=confirm_idle), backup=t.cast(Backup, backup))
    assert set(seen) == {is_needed}
    assert backup.is_needed is is_needed


@pytest.mark.parametrize("confirm_idle", [0, 30])
@pytest.mark.parametrize("limit", [2, "30%", 0])
def test_more_than_the_limit_is_refused_before_the_first_delete(limit: t.Any, confirm_idle: int) -> None:
    table = table_of(6)
    with pytest.raises(RefusedError):
        pruned(table, plan_of(confirm_idle=confirm_idle), limit)
    backup = Recorded(table)
    with pytest.raises(RefusedError) as caught:
        pruned(table, plan_of(confirm_idle=confirm_idle), limit, backup=t.cast(Backup, backup))
    assert (caught.value.result["would_delete"], caught.value.result["deleted"]) == (3, 0)
    assert table.deleted == []
    assert (backup.deleted_before, backup.is_needed) == (None, False)


@pytest.mark.parametrize(("limit", "confirm_idle", "with_backup"), EVERY_WAY)
def test_a_timeout_that_was_changed_meanwhile_deletes_nothing(
    limit: t.Any, confirm_idle: int, with_backup: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_plan: PrunePlan) -> None:
        raise UnavailableError("A timeout was changed.")

    monkeypatch.setattr(PrunePlan, "refuse_changed_timeouts", refuse)
    table = table_of(6)
    backup = t.cast(Backup, Recorded(table) if with_backup else None)
    with pytest.raises(UnavailableError, match="A timeout was changed"):
        pruned(table, plan_of(confirm_idle=confirm_idle), limit, backup=backup)
    assert table.deleted == []


def test_who_saw_a_packet_before_the_second_look_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    table = table_of(6)

    def meanwhile(_seconds: float) -> None:
        table.entries[1]["remaining"] = 200
        del table.entries[2]

    monkeypatch.setattr(time, "sleep", meanwhile)
    result = pruned(table, plan_of("1-4", confirm_idle=30)).result(table.count(), with_diff=True)
    assert sorted(table.deleted) == [3, 4]
    counts = ("matched", "woken", "would_delete", "deleted", "already_gone", "not_deleted")
    assert [result[name] for name in counts] == [4, 1, 2, 2, 1, 0]
    assert [one["source_port"] for one in result["sample"]] == [3, 4]
    assert len(result["lines"]) == 2


class Replied(TableInMemory):
    """A table of which the first entry gets an answer, and the second one ends, before the first delete."""

    def __init__(self, *entries: t.Any) -> None:
        super().__init__(*entries)
        self.changes: list[t.Callable[[], object]] = [
            lambda: self.entries[1].update(status=SEEN_REPLY),
            lambda: self.entries.pop(2),
        ]

    def looks(self, targets: t.Any, outcomes: t.Any) -> t.Iterator[t.Any]:
        while self.changes:
            self.changes.pop()()
        return super().looks(targets, outcomes)

    def delete(self, targets: t.Any, outcomes: t.Any) -> None:
        if len(targets):
            while self.changes:
                self.changes.pop()()
        super().delete(targets, outcomes)


@pytest.mark.parametrize(("limit", "confirm_idle", "with_backup"), EVERY_WAY)
def test_what_does_not_match_any_more_stays(limit: t.Any, confirm_idle: int, with_backup: bool) -> None:
    """The kernel compares tuple, zone and id before it deletes, and nothing else."""
    table = Replied(*map(entry, range(1, 5)))
    backup = Recorded(table) if with_backup else None
    plan = plan_of(match={"replied": False}, confirm_idle=confirm_idle)
    result = pruned(table, plan, limit, backup=t.cast(Backup, backup)).result(table.count(), with_diff=True)
    assert sorted(table.deleted) == [3, 4]
    counts = ("changed", "matched", "woken", "deleted", "already_gone", "not_deleted", "protected")
    assert [result[name] for name in counts] == [True, 4, 1, 2, 1, 0, 0]
    assert sum(result[name] for name in ("protected", "woken", "deleted", "already_gone")) == result["matched"]
    assert result["diff"]["after"] == "2  ipv4 udp unreplied\n"


@pytest.mark.parametrize(("limit", "with_backup"), [(None, False), ("40%", False), (None, True)])
def test_what_stays_the_same_is_not_looked_up(limit: t.Any, with_backup: bool) -> None:
    class Unasked(TableInMemory):
        def looks(self, targets: t.Any, outcomes: t.Any) -> t.Iterator[t.Any]:
            raise AssertionError

    table = Unasked(*map(entry, range(1, 11)))
    pruned(table, plan_of(), limit, backup=t.cast(Backup, Recorded(table) if with_backup else None))
    assert sorted(table.deleted) == [1, 2, 3]


@pytest.mark.parametrize(("limit", "confirm_idle", "with_backup"), EVERY_WAY[2:])
def test_what_is_required_is_asked_right_before_the_first_delete(
    limit: t.Any, confirm_idle: int, with_backup: bool, slept: list[float]
) -> None:
    """A fail-over may come while the prune waits."""
    table = table_of(6)
    asked: list[tuple[list[int], list[float]]] = []

    def refuse() -> None:
        asked.append((list(table.deleted), list(slept)))
        raise RefusedError("It stands by.")

    pruned(table, plan_of(confirm_idle=confirm_idle), limit, dry_run=True, require_ready=refuse)
    assert asked == []
    slept.clear()
    backup = Recorded(table) if with_backup else None
    options = {"backup": t.cast(Backup, backup), "require_ready": refuse}
    with pytest.raises(RefusedError, match="It stands by"):
        pruned(table, plan_of(confirm_idle=confirm_idle), limit, **options)
    assert asked == [([], [confirm_idle] * bool(confirm_idle))]
    assert table.deleted == []
    assert backup is None or not backup.is_needed


@pytest.mark.parametrize(("limit", "confirm_idle", "with_backup"), EVERY_WAY)
def test_a_mark_that_is_set_meanwhile_counts(limit: t.Any, confirm_idle: int, with_backup: bool) -> None:
    """It says to leave the entry alone, and no packet set it."""
    table = Replied(*(entry(number, mark=0) for number in range(1, 5)))
    table.changes = [lambda: table.entries[1].update(mark=9)]
    backup = Recorded(table) if with_backup else None
    plan = plan_of(match={"protocol": "udp"}, exclude={"mark": 9}, confirm_idle=confirm_idle)
    result = pruned(table, plan, limit, backup=t.cast(Backup, backup)).result(table.count(), with_diff=False)
    assert (sorted(table.deleted), result["woken"]) == ([2, 3, 4], 1)


def test_of_a_check_with_a_second_look_the_numbers_are_those_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    table = table_of(6)
    monkeypatch.setattr(time, "sleep", lambda _seconds: table.entries[1].update(remaining=200))
    result = pruned(table, plan_of("1-4", confirm_idle=30), dry_run=True).result(None, with_diff=False)
    assert (result["woken"], result["would_delete"], result["deleted"], table.deleted) == (1, 3, 0, [])


def test_a_look_that_the_kernel_refuses_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    table = table_of(6)
    monkeypatch.setattr(time, "sleep", lambda _seconds: table.refused.update({2: errno.EPERM}))
    outcome = pruned(table, plan_of(confirm_idle=30))
    with pytest.raises(ConntrackError, match="refused 1 of 3") as caught:
        outcome.result(None, with_diff=False)
    assert (caught.value.result["deleted"], caught.value.result["not_deleted"]) == (2, 1)
    assert sorted(table.deleted) == [1, 3]


def test_a_table_that_is_read_again_has_lost_what_was_deleted() -> None:
    """The failed deletes of the first reading are tried again, and count once."""

    class Disturbed(TableInMemory):
        def read(self, collect: t.Any, conditions: t.Any = (), clock: t.Any = None) -> t.Any:
            self.refused = {2: errno.EBUSY, 3: errno.ENOENT}
            super().read(collect)
            self.refused = {}
            return super().read(collect)

    table = Disturbed(*map(entry, range(1, 7)))
    result = pruned(table, plan_of()).result(table.count(), with_diff=False)
    assert sorted(table.deleted) == [1, 2, 3]
    counts = ("matched", "deleted", "already_gone", "not_deleted", "count_before", "not_listed")
    assert [result[name] for name in counts] == [3, 3, 0, 0, 6, 0]


@pytest.mark.parametrize("confirm_idle", [0, 30])
def test_a_backup_of_nothing_that_was_deleted_does_not_stay(confirm_idle: int) -> None:
    """All that was selected has ended in between."""

    class Ended(TableInMemory):
        def delete(self, targets: t.Any, outcomes: t.Any) -> None:
            self.refused = dict.fromkeys(self.entries, errno.ENOENT)
            super().delete(targets, outcomes)

    table = Ended(*map(entry, range(1, 7)))
    backup = Recorded(table)
    result = pruned(table, plan_of(confirm_idle=confirm_idle), backup=t.cast(Backup, backup)).result(6, with_diff=False)
    assert (result["already_gone"], result["deleted"], result["changed"]) == (3, 0, False)
    assert (backup.deleted_before, backup.is_needed) == ([], False)


def test_a_table_that_is_read_again_is_backed_up_once() -> None:
    class Disturbed(TableInMemory):
        def read(self, collect: t.Any, conditions: t.Any = (), clock: t.Any = None) -> t.Any:
            super().read(collect)
            return super().read(collect)

    table = Disturbed(*map(entry, range(1, 7)))
    backup = Recorded(table)
    pruned(table, plan_of(), backup=t.cast(Backup, backup))
    assert (backup.written, table.deleted) == ([1, 2, 3], [1, 2, 3])


def test_what_the_kernel_counts_and_does_not_list_is_told() -> None:
    table = table_of(6)
    table.unlisted = 2
    for limit in (None, 5):
        assert pruned(table, plan_of("1-1"), limit).result(None, with_diff=False)["not_listed"] == 2
        table.entries[1] = entry(1)


def test_an_entry_that_ends_before_the_reading_is_not_one_that_stays() -> None:
    class Ending(TableInMemory):
        def read(self, collect: t.Any, conditions: t.Any = (), clock: t.Any = None) -> t.Any:
            self.entries.pop(6, None)
            return super().read(collect, conditions, clock)

    table = Ending(*map(entry, range(1, 7)))
    table.unlisted = 2
    assert pruned(table, plan_of("1-1"), 5).result(None, with_diff=False)["not_listed"] == 2


@pytest.mark.parametrize("confirm_idle", [0, 30])
@pytest.mark.parametrize("limit", [None, 1000])
@pytest.mark.parametrize(
    ("targets", "stuck", "is_told"),
    [(64, 64, True), (64, 33, True), (64, 32, False), (63, 63, False), (200, 101, True), (200, 99, False)],
)
def test_entries_that_the_kernel_does_not_free_are_told(
    targets: int, stuck: int, is_told: bool, limit: t.Any, confirm_idle: int
) -> None:
    """Half of those that were deleted, if they are not few."""
    table = table_of(210)
    table.stuck = stuck
    outcome = pruned(table, plan_of(f"1-{targets}", confirm_idle=confirm_idle), limit)
    result = outcome.result(None, with_diff=False)
    assert result["deleted"] == targets
    warnings = list(outcome.warnings())
    assert len(warnings) == is_told
    if is_told:
        assert f"{targets} entries were deleted, but the kernel's count hardly fell" in warnings[0]
        assert f"It counts {stuck} entries that it does not list" in warnings[0]
        assert result["not_listed"] == stuck
    assert table.readings == 1 + is_told


@pytest.mark.parametrize("limit", [None, 1000])
@pytest.mark.parametrize("missing", [{1}, {1, 2, 3, 4}])
def test_without_the_kernels_count_nothing_is_said_of_it(missing: set[int], limit: t.Any) -> None:
    """``missing`` are the times at which it cannot be read."""
    asked = itertools.count(1)

    class Uncounted(TableInMemory):
        def count(self) -> t.Any:
            return None if next(asked) in missing else super().count()

    table = Uncounted(*map(entry, range(1, 211)))
    outcome = pruned(table, plan_of("1-100"), limit)
    result = outcome.result(None, with_diff=False)
    assert (result["deleted"], result["not_listed"], table.readings, list(outcome.warnings())) == (100, None, 1, [])


@pytest.mark.parametrize(("limit", "deleted_by_then"), [(None, [[], [1, 2]]), (5, [[], []])])
def test_without_a_limit_each_part_is_pruned_once_it_is_read(limit: t.Any, deleted_by_then: list[list[int]]) -> None:
    """So the names of millions of entries need no memory."""
    seen: list[list[int]] = []

    class InParts(TableInMemory):
        def read(self, collect: t.Any, conditions: t.Any = (), clock: t.Any = None) -> t.Any:
            def noting(blocks: t.Iterator[Block]) -> t.Iterator[Block]:
                for block in blocks:
                    seen.append(list(self.deleted))
                    yield block

            return super().read(lambda blocks: collect(noting(blocks)), conditions, clock)

    table = InParts(entry(1), entry(2), entry(3, protocol=6))
    pruned(table, plan_of(), limit)
    assert seen == deleted_by_then
    assert sorted(table.deleted) == [1, 2, 3]


@pytest.mark.parametrize(("stuck", "is_told"), [(0, False), (49, False), (50, True)])
def test_new_connections_are_not_entries_that_stay(stuck: int, is_told: bool) -> None:
    """As many come as were deleted. They are listed, so the kernel freed the others."""

    class Busy(TableInMemory):
        def delete(self, targets: t.Any, outcomes: t.Any) -> None:
            super().delete(targets, outcomes)
            self.entries.update({number: entry(number) for number in range(1000, 1100)})

    table = Busy(*map(entry, range(1, 211)))
    table.stuck = stuck
    outcome = pruned(table, plan_of("1-100"), 1000)
    assert (len(list(outcome.warnings())), table.readings) == (is_told, 2)
    assert outcome.result(None, with_diff=False)["not_listed"] == stuck


def test_a_count_changes_nothing_and_waits_for_nothing(slept: list[float]) -> None:
    table = table_of(6)
    result = count_only(t.cast(t.Any, table), plan_of(confirm_idle=30))
    assert (result["changed"], result["would_delete"], result["deleted"], result["count_after"]) == (False, 3, 0, 6)
    assert "diff" not in result
    assert table.deleted == slept == []


def test_what_is_all_protected_is_told_with_its_remedy() -> None:
    table = TableInMemory(*(entry(number, destination_port=500) for number in range(1, 7)))
    guards = Guards((), helpers=True, protections=protections_of(()))
    outcome = pruned(table, plan_of(guards=guards))
    result = outcome.result(None, with_diff=False)
    assert (result["matched"], result["protected"], result["would_delete"], table.deleted) == (3, 3, 0, [])
    [warning] = outcome.warnings()
    assert "protected: 3 by ike. To delete them anyway, give unprotect: [ike]." in warning
    table.entries[2]["destination_port"] = 53
    some = pruned(table, plan_of(guards=guards))
    assert (list(some.warnings()), table.deleted) == ([], [2])


def test_what_stays_because_of_its_helper_has_an_option_of_its_own() -> None:
    table = TableInMemory(*(entry(number, helper="sip") for number in range(1, 7)))
    outcome = pruned(table, plan_of())
    assert (list(outcome.warnings()), table.deleted) == ([], [])
    [kept] = outcome.result(None, with_diff=False)["kept"]
    assert (kept["reason"], kept["option"], kept["entries"]) == ("helper", "protect_helpers: false", 3)


@pytest.mark.parametrize(("size", "with_entries", "expected"), [(2, True, 2), (2, False, 0), (0, True, 0)])
def test_some_of_the_entries_are_shown(size: int, with_entries: bool, expected: int) -> None:
    table = TableInMemory(*(entry(number, protocol=UDP if number % 2 else 6) for number in range(1, 7)))
    result = pruned(table, plan_of("1-6", sample=size, entries=with_entries)).result(None, with_diff=False)
    assert (len(result["lines"]), len(result["sample"])) == (size, expected)
    # As conntrack -L prints them, which begins with the protocol.
    assert all(line.startswith(("udp ", "tcp ")) and "[UNREPLIED]" in line for line in result["lines"])


def test_an_empty_table() -> None:
    result = pruned(TableInMemory(), plan_of()).result(0, with_diff=False)
    assert (result["changed"], result["count_before"], result["not_listed"]) == (False, 0, 0)

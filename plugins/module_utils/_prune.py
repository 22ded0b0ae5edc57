# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Deleting the selected entries: which they are, the guards that some of them have, and what became of each."""

from __future__ import annotations

import collections
import dataclasses
import errno
import fractions
import itertools
import re
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._account import (
    GROUP_NEEDS,
    Group,
    count_of,
    lines,
    part_of,
    telling_what_was,
    without_failures,
)
from ansible_collections.netops.conntrack.plugins.module_utils._entry import Entry
from ansible_collections.netops.conntrack.plugins.module_utils._errors import (
    OptionError,
    RefusedError,
)
from ansible_collections.netops.conntrack.plugins.module_utils._formats import as_dict
from ansible_collections.netops.conntrack.plugins.module_utils._kernel_filter import Condition
from ansible_collections.netops.conntrack.plugins.module_utils._management import Connection, without_management
from ansible_collections.netops.conntrack.plugins.module_utils._memo import Memo
from ansible_collections.netops.conntrack.plugins.module_utils._requests import Targets
from ansible_collections.netops.conntrack.plugins.module_utils._selector import Selection
from ansible_collections.netops.conntrack.plugins.module_utils._selector_keys import Answer, Context
from ansible_collections.netops.conntrack.plugins.module_utils._units import parse_number
from ansible_collections.netops.conntrack.plugins.module_utils._wire import Block
from ansible_collections.netops.conntrack.plugins.module_utils._writable import Errors, WritableTable

_PERCENT = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*%", re.ASCII)
_MOST_ENTRIES = 0xFFFFFFFF
_GONE = (0, errno.ENOENT)


@dataclasses.dataclass(frozen=True)
class Limit:
    """How many entries may be deleted at most: a number, or a share of the table in percent."""

    given: t.Any
    number: int | None = None
    percent: fractions.Fraction | None = None

    def of(self, total: int) -> int:
        """Give the limit as a number for a table of ``total`` entries, rounded down."""
        if self.percent is not None:
            return int(self.percent * total / 100)
        return total if self.number is None else self.number


def parse_limit(value: t.Any) -> Limit:
    """Read the option max_delete: a whole number, a share such as "40%", or None for no limit. Raises OptionError."""
    if value is None:
        return Limit(value)
    share = _PERCENT.fullmatch(str(value).strip())
    if share is None:
        return Limit(value, number=parse_number(value, "max_delete", _MOST_ENTRIES))
    percent = fractions.Fraction(share.group(1))
    if percent > 100:
        raise OptionError("max_delete", value, "is more than the whole table", 'Give a share from "0%" to "100%".')
    return Limit(value, percent=percent)


class _Verdict:
    """The group that an entry is in, and whether it is selected. There is one object for all that have both equal."""

    def __init__(self, group: Group, decision: Answer) -> None:
        self.group = group
        self.decision = decision


@dataclasses.dataclass(frozen=True)
class Guards:
    """Which of the selected entries stay all the same: those of ``connections``, and those with a helper."""

    connections: t.Collection[Connection]
    helpers: bool

    def unprotected(self, block: Block) -> Block:
        """Give the entries that do not stay. Deleting one with a helper would delete what the helper expects, too."""
        if self.helpers and "helper" in block.layout.fields:
            return block.where(())
        return without_management(block, self.connections)


@dataclasses.dataclass(frozen=True)
class Plan:
    """What to delete, with the ``context`` that the selection was compiled for; ``sample`` of them are described.

    ``whole`` says that the numbers of all groups are wanted, and not only of the entries that are selected.
    """

    selection: Selection
    guards: Guards
    context: Context
    sample: int
    whole: bool

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """What the kernel may be asked for instead of the whole table."""
        return () if self.whole else self.selection.conditions


class Survey:
    """What one reading of the table finds: the entries of each group, and how many of them are to be deleted.

    ``total`` is the number of entries in the table, if it is known before. ``done`` are entries that are deleted
    already, because of a reading before this one that was disturbed; ``sample`` describes some of these, and gets more.
    """

    def __init__(
        self, plan: Plan, total: int | None, done: t.Mapping[Group, int], sample: list[dict[str, t.Any]]
    ) -> None:
        self._plan = plan
        self._total = total
        self._verdicts: dict[tuple[Group, Answer], _Verdict] = {}
        self._judge = Memo(GROUP_NEEDS | plan.selection.needs, self._verdict, plan.selection.steps)
        self._sample = sample
        self._matched = sum(done.values())
        self._undecidable = 0
        self.groups = collections.Counter(done)
        self.targets = collections.Counter(done)

    def _verdict(self, entry: Entry) -> _Verdict:
        key = Group.of(entry), self._plan.selection.decide(entry)
        return self._verdicts.setdefault(key, _Verdict(*key))

    def sort_out(self, block: Block) -> t.Iterator[tuple[Group, Block]]:
        """Count the entries of the block, and give those to be deleted, by group."""
        verdicts = self._judge(block)
        for verdict, count in collections.Counter(verdicts).items():
            self.groups[verdict.group] += count
            if verdict.decision is None:
                self._undecidable += count
            elif verdict.decision:
                self._matched += count
                targets = self._plan.guards.unprotected(part_of(block, verdicts, verdict))
                if len(targets):
                    self.targets[verdict.group] += len(targets)
                    self._note(targets)
                    yield verdict.group, targets

    def _note(self, targets: Block) -> None:
        entries = itertools.islice(targets.entries(), self._plan.sample - len(self._sample))
        self._sample += [as_dict(entry, self._plan.context) for entry in entries]

    @property
    def total(self) -> int:
        """The number of entries in the table."""
        return max(sum(self.groups.values()), self._total or 0)

    @property
    def would_delete(self) -> int:
        """The number of entries to be deleted."""
        return sum(self.targets.values())

    def counts(self) -> dict[str, t.Any]:
        """Give what the result says about the table before the first delete."""
        return {
            "matched": self._matched,
            "protected": self._matched - self.would_delete,
            "would_delete": self.would_delete,
            "undecidable": self._undecidable,
            "count_before": self.total,
            "sample": self._sample,
        }


def prune(table: WritableTable, plan: Plan, limit: Limit, dry_run: bool) -> Outcome:
    """Delete what the plan selects, unless it is a dry run.

    With a limit, the whole table is read before the first delete, for which the names of the targets are kept (see
    Targets); without one, each part of the table is pruned once it is read. Raises RefusedError if more would be
    deleted than the limit allows, and what the table's ``read`` and ``delete`` raise, with the number of those deleted.
    """
    total = table.count() if plan.conditions else None
    # The kernel's own count has to stand in for what it leaves out.
    conditions = () if total is None else plan.conditions
    if limit.given is None and not dry_run:
        return _prune_at_once(table, plan, total, conditions)

    def collect(blocks: t.Iterator[Block]) -> tuple[Survey, Targets[Group]]:
        found, targets = Survey(plan, total, {}, []), Targets[Group]()
        for block in blocks:
            for group, selected in found.sort_out(block):
                if not dry_run:
                    targets.add(selected, group)
        return found, targets

    found, targets = table.read(collect, conditions)
    enforce(limit, found)
    if dry_run:
        return Outcome(found, None)
    with telling_what_was("deleted") as errors:
        table.delete(targets, errors)
    return Outcome(found, errors)


def _settle(errors: Errors[Group]) -> collections.Counter[Group]:
    """Forget what was not deleted: it comes again, or it is no more in the table. Give the number deleted by group."""
    done: collections.Counter[Group] = collections.Counter()
    for (group, number), count in list(errors.items()):
        if number == 0:
            done[group] += count
        else:
            del errors[group, number]
    return done


def _prune_at_once(table: WritableTable, plan: Plan, total: int | None, conditions: t.Sequence[Condition]) -> Outcome:
    sample: list[dict[str, t.Any]] = []
    with telling_what_was("deleted") as errors:

        def collect(blocks: t.Iterator[Block]) -> Survey:
            found = Survey(plan, total, _settle(errors), sample)
            for block in blocks:
                targets = Targets[Group]()
                for group, selected in found.sort_out(block):
                    targets.add(selected, group)
                table.delete(targets, errors)
            return found

        return Outcome(table.read(collect, conditions), errors)


def enforce(limit: Limit, found: Survey) -> None:
    """Raise RefusedError if more entries would be deleted than ``limit`` allows."""
    if limit.given is None:
        return
    allowed, wanted = limit.of(found.total), found.would_delete
    if wanted > allowed:
        raise RefusedError(
            f"max_delete: {limit.given!r} allows {allowed} of the table's {found.total} entries to be deleted, "
            f"but {wanted} would be. Nothing was deleted. Look at some of them in the result's sample, "
            "then narrow match or raise max_delete.",
            **found.counts(),
            deleted=0,
        )


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What was found, and what became of the targets; None instead means that nothing was tried, as in check mode."""

    found: Survey
    errors: Errors[Group] | None

    def result(self, count_after: int | None, with_diff: bool) -> dict[str, t.Any]:
        """Give the module's result. Raises ConntrackError, with all counts, if the kernel refused a delete."""
        errors: Errors[Group] = collections.Counter() if self.errors is None else self.errors
        deleted = count_of(errors, 0)
        result = {
            "changed": bool(self.found.would_delete if self.errors is None else deleted),
            **self.found.counts(),
            "deleted": deleted,
            "already_gone": count_of(errors, errno.ENOENT),
            "count_after": count_after,
            **({"diff": self.diff()} if with_diff else {}),
        }
        without_failures(result, errors, _GONE, "deleted")
        return {**result, "failed": 0}

    def diff(self) -> dict[str, str]:
        """Give the groups that change, with their numbers before and after; those predicted, if nothing was tried."""
        deleted = self.found.targets
        if self.errors is not None:
            deleted = collections.Counter(
                {group: count for (group, number), count in self.errors.items() if not number}
            )
        before = {group: self.found.groups[group] for group, count in deleted.items() if count}
        return {
            "before": lines(before),
            "after": lines({group: number - deleted[group] for group, number in before.items()}),
        }

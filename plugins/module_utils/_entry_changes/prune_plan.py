# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Which entries are to be deleted: the guards that keep some of them, and the survey of a whole table."""

from __future__ import annotations

import collections
import dataclasses
import errno
import fractions
import itertools
import re
import time
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._entry.entry import Entry
from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeout_record import refuse_changed
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.outcome import (
    GROUP_FIELDS,
    Group,
    part_of,
)
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.second_look import (
    StateAndStatus,
    obstacle,
    quiet,
)
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.ssh_connections import (
    Connection,
    management_connections,
    of_management,
    without_management,
)
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError, RefusedError
from ansible_collections.netops.conntrack.plugins.module_utils._query.extended import ExtendedLines
from ansible_collections.netops.conntrack.plugins.module_utils._query.fields import as_dict
from ansible_collections.netops.conntrack.plugins.module_utils._selector.compiler import Selection
from ansible_collections.netops.conntrack.plugins.module_utils._selector.key import Answer
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block
from ansible_collections.netops.conntrack.plugins.module_utils._table.kernel_filter import Condition
from ansible_collections.netops.conntrack.plugins.module_utils._table.memo import Memo
from ansible_collections.netops.conntrack.plugins.module_utils._table.requests import Targets
from ansible_collections.netops.conntrack.plugins.module_utils._table.writable import Errors, WritableTable
from ansible_collections.netops.conntrack.plugins.module_utils._units import parse_duration, parse_number

_PERCENT = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*%", re.ASCII)
_MOST_ENTRIES = 0xFFFFFFFF
_LONGEST_WAIT = 600
_NO_CONFIRMATION = "confirm_idle: 0"
_OPTIONS = {
    "management": "protect_management: false",
    "helper": "protect_helpers: false",
    "offloaded": _NO_CONFIRMATION,
    "fixed_timeout": _NO_CONFIRMATION,
}
"""Why selected entries stay, and the option that would take them."""


@dataclasses.dataclass(frozen=True)
class Limit:
    """How many entries may be deleted at most: a number, or a share of the table in percent."""

    given: t.Any
    number: int | None = None
    percent: fractions.Fraction | None = None

    def of(self, total: int) -> int:
        """Return the limit as a number for a table of ``total`` entries, rounded down."""
        if self.percent is not None:
            return int(self.percent * total / 100)
        return total if self.number is None else self.number


def parse_limit(value: t.Any) -> Limit:
    """Read the option max_delete: a whole number, a share such as "40%". None and "100%" are no limit.

    Raises OptionError.
    """
    if value is None:
        return Limit(value)
    share = _PERCENT.fullmatch(str(value).strip())
    if share is None:
        return Limit(value, number=_parse_most(value))
    percent = fractions.Fraction(share.group(1))
    if percent > 100:
        raise OptionError("max_delete", value, "is more than the whole table", 'Give a share from "0%" to "100%".')
    return Limit(None) if percent == 100 else Limit(value, percent=percent)


def _parse_most(value: t.Any) -> int:
    try:
        return parse_number(value, "max_delete", _MOST_ENTRIES)
    except OptionError:
        remedy = f'Give a number of entries from 0 to {_MOST_ENTRIES}, or a share of the table such as "10%".'
        raise OptionError("max_delete", value, "is neither a number nor a share", remedy) from None


def parse_confirm_idle(value: t.Any) -> int:
    """Return the option confirm_idle in seconds. Raises OptionError."""
    seconds = parse_duration(value, "confirm_idle")
    if seconds > _LONGEST_WAIT:
        raise OptionError("confirm_idle", value, "is longer than 10 minutes", "Give 0 to 10m, such as 30s.")
    return seconds


@dataclasses.dataclass(frozen=True, eq=False)
class Verdict:
    """The group that an entry is in, and whether it is selected. There is one object for all that have all equal.

    ``first_look`` is what a second look compares; None where there is none.
    """

    group: Group
    decision: Answer
    first_look: StateAndStatus | None


@dataclasses.dataclass(frozen=True)
class Guards:
    """Which of the selected entries stay anyway: those of ``connections``, and with ``helpers`` those with a helper."""

    connections: t.Collection[Connection]
    helpers: bool

    def divide(self, block: Block, first_look: StateAndStatus | None) -> t.Iterator[tuple[str, Block]]:
        """Yield the entries by the reason why they stay, with "" for the reason of those that do not.

        With a ``first_look``, those stay as well of which a second look could tell nothing.
        """
        own = of_management(block, self.connections)
        if own is not None:
            yield "management", own
        others = without_management(block, self.connections)
        if len(others):
            yield self._reason(others, first_look), others

    def _reason(self, block: Block, first_look: StateAndStatus | None) -> str:
        # Deleting an entry with a helper would delete what the helper expects, too.
        if self.helpers and "helper" in block.layout.fields:
            return "helper"
        return obstacle(block.layout, first_look.status) if first_look else ""


class Sample:
    """Some entries, at most ``size``: their lines, as conntrack(8) prints them, and where wanted their dicts."""

    def __init__(self, size: int, with_entries: bool) -> None:
        self._size = size
        self._with_entries = with_entries
        self.lines: list[str] = []
        self.entries: list[dict[str, t.Any]] = []

    def add(self, block: Block, context: Context) -> None:
        """Add entries of the block, as long as there is room."""
        room = self._size - len(self.lines)
        if not room:
            return
        lines_of = ExtendedLines(context, short=True)
        self.lines += itertools.islice(lines_of(block), room)
        if self._with_entries:
            self.entries += [as_dict(entry, context) for entry in itertools.islice(block.entries(), room)]

    def clear(self) -> None:
        """Forget the entries."""
        self.lines.clear()
        self.entries.clear()


@dataclasses.dataclass(frozen=True)
class Plan:
    """What to delete, with the ``context`` that the selection was compiled for.

    ``sample`` of the entries are shown, as lines, and as dicts where ``entries`` says so.
    ``whole`` says that the numbers of all groups are wanted, and not only of the entries that are selected.
    ``confirm_idle`` is the number of seconds after which they are looked at a second time; 0 is for no second look.
    """

    selection: Selection
    guards: Guards
    context: Context
    sample: int
    whole: bool
    confirm_idle: int = 0
    entries: bool = True

    def new_sample(self) -> Sample:
        """Return a sample that has no entry yet."""
        return Sample(self.sample, self.entries)

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """What the kernel may be asked for instead of the whole table."""
        return () if self.whole else self.selection.conditions

    def refuse_changed_timeouts(self) -> None:
        """Raise UnavailableError if idle times that were read are wrong, because a timeout was changed since the start.

        A shorter timeout makes an entry that just saw a packet look as if it had been idle for long.
        """
        if "idle" in self.selection.keys:
            refuse_changed(self.context.timeouts.record)


GUARD_OPTIONS: dict[str, t.Any] = {
    "protect_management": {"type": "bool", "default": True},
    "protect_helpers": {"type": "bool", "default": True},
    "confirm_idle": {"type": "str", "default": "0"},
    "confirm_idle_when": {"type": "str", "choices": ["always", "idle"], "default": "always"},
}
"""The options that let selected entries stay."""


def plan_of(
    params: t.Mapping[str, t.Any],
    selection: Selection,
    context: Context,
    sample: int = 0,
    whole: bool = False,
    entries: bool = True,
) -> Plan:
    """Return the plan of a prune of the selection with the GUARD_OPTIONS in ``params``. Raises OptionError."""
    confirm_idle = parse_confirm_idle(params["confirm_idle"])
    if params["confirm_idle_when"] == "idle" and "idle" not in selection.keys:
        confirm_idle = 0
    connections = management_connections() if params["protect_management"] else frozenset()
    guards = Guards(connections, helpers=params["protect_helpers"] and "helper" not in selection.common_keys)
    return Plan(selection, guards, context, sample, whole, confirm_idle, entries)


class Survey:
    """What one reading of the table finds: the entries of each group, and how many of them are to be deleted.

    ``total`` is the number of entries in the table, if it is known before. ``done`` are entries that are deleted
    already, because of a reading before this one that was disturbed; ``sample`` has some of these, and gets more.
    ``not_listed`` are entries that the kernel counts and no reading shows, ``woken`` those that saw a packet before the
    second look, and ``gone`` those that were not there any more; None is unknown.
    """

    def __init__(
        self, plan: Plan, total: int | None, done: t.Mapping[Group, int], sample: Sample | None = None
    ) -> None:
        self._plan = plan
        self._total = total
        self._verdicts: dict[tuple[t.Any, ...], Verdict] = {}
        self._judge = Memo(GROUP_FIELDS | plan.selection.fields, self._verdict, plan.selection.breakpoints)
        self._sample = sample or plan.new_sample()
        self._matched = sum(done.values())
        self._undecidable = 0
        self._kept: collections.Counter[str] = collections.Counter()
        self._kept_samples = {reason: plan.new_sample() for reason in _OPTIONS}
        self.groups = collections.Counter(done)
        self.targets = collections.Counter(done)
        self.not_listed: int | None = None
        self.woken: int | None = None
        self.gone = 0

    def _verdict(self, entry: Entry) -> Verdict:
        first_look = StateAndStatus(entry.state, entry.status) if self._plan.confirm_idle else None
        key = Group.of(entry), self._plan.selection.decide(entry), first_look
        return self._verdicts.setdefault(key, Verdict(*key))

    def sort_out(self, block: Block) -> t.Iterator[tuple[Verdict, Block]]:
        """Count the entries of the block, and give those to be deleted, by verdict."""
        verdicts = self._judge(block)
        for verdict, count in collections.Counter(verdicts).items():
            self.groups[verdict.group] += count
            if verdict.decision is None:
                self._undecidable += count
            elif verdict.decision:
                self._matched += count
                yield from self._unprotected(part_of(block, verdicts, verdict), verdict)

    def _unprotected(self, selected: Block, verdict: Verdict) -> t.Iterator[tuple[Verdict, Block]]:
        """Count the entries that stay, and give the others."""
        for reason, part in self._plan.guards.divide(selected, verdict.first_look):
            if reason:
                self._kept[reason] += len(part)
                self._kept_samples[reason].add(part, self._plan.context)
            else:
                self.targets[verdict.group] += len(part)
                self._sample.add(part, self._plan.context)
                yield verdict, part

    def look_again(
        self, table: WritableTable, targets: Targets[Verdict], looked: Errors[Verdict]
    ) -> t.Iterator[Targets[Group]]:
        """Yield the targets that saw no packet since they were read, batch by batch. Count those, and the others.

        Entries that could not be looked up are added to ``looked``. They remain among the targets, without those that
        are gone.
        """
        context = dataclasses.replace(self._plan.context, now=time.time_ns())
        self._sample.clear()
        self.woken = 0
        for look in table.looks(targets, looked):
            group, first_look = look.tag.group, look.tag.first_look
            if look.notes is None or first_look is None:
                raise ValueError("nothing was noted of these entries")
            batch = Targets[Group]()
            for found in look.found:
                block = quiet(found, first_look, look.notes, look.moment)
                woken = len(found.places) - len(block)
                self.woken += woken
                self.targets[group] -= woken
                if len(block):
                    self._sample.add(block, context)
                    batch.add(block, group)
            yield batch
        for (verdict, number), count in looked.items():
            if number == errno.ENOENT:
                self.gone += count
                self.targets[verdict.group] -= count

    @property
    def listed(self) -> int:
        """The number of entries that were read, or were deleted before this reading."""
        return sum(self.groups.values())

    @property
    def total(self) -> int:
        """The number of entries in the table."""
        return max(self.listed, self._total or 0)

    @property
    def would_delete(self) -> int:
        """The number of entries to be deleted."""
        return sum(self.targets.values())

    def counts(self) -> dict[str, t.Any]:
        """Return what the result says about the table before the first delete."""
        return {
            "matched": self._matched,
            "protected": sum(self._kept.values()),
            "kept": self._kept_entries(),
            "woken": self.woken,
            "would_delete": self.would_delete,
            "undecidable": self._undecidable,
            "count_before": self.total,
            "not_listed": self.not_listed,
            "lines": self._sample.lines,
            "sample": self._sample.entries,
        }

    def _kept_entries(self) -> list[dict[str, t.Any]]:
        return [
            {
                "reason": reason,
                "option": option,
                "entries": self._kept[reason],
                "sample": self._kept_samples[reason].entries,
            }
            for reason, option in _OPTIONS.items()
            if self._kept[reason]
        ]


def enforce(limit: Limit, found: Survey) -> None:
    """Raise RefusedError if more entries would be deleted than ``limit`` allows."""
    if limit.given is None:
        return
    allowed, wanted = limit.of(found.total), found.would_delete
    if wanted > allowed:
        raise RefusedError(
            f"max_delete: {limit.given!r} allows {allowed} of the table's {found.total} entries to be deleted, "
            f"but {wanted} would be. Nothing was deleted. Look at some of them in the result's lines, "
            "then narrow match or raise max_delete.",
            **found.counts(),
            deleted=0,
        )

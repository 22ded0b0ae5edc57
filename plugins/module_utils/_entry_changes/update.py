# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Shortening what the selected entries have left, and setting their mark: which need it, and what became of each.

The kernel finds the entry to update by its original tuple and zone and does not compare the id. So the whole table is
read first, and right before a batch of updates its entries are looked up: what has another id by now is left alone, and
of the others only those are updated that still need it, by what they are now. Between this and the update there is
well below a millisecond. An entry that a packet went over, or that was replaced in that moment, has less time left
than the sysctls gave it until its next packet, or gets the mark.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import errno
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._entry.entry import Entry
from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeout_claims import (
    CLAIM_FIELDS,
    NOTHING_CLAIMED,
    REASONS,
    Claims,
    lowered_bounds,
)
from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeout_record import shortening
from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeouts import Timeouts, longest_timeout
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.outcome import (
    GROUP_FIELDS,
    Group,
    count_of,
    lines,
    part_of,
    telling_what_was,
    without_failures,
)
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.rehearsal import Pruned
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.ssh_connections import (
    Connection,
    without_management,
)
from ansible_collections.netops.conntrack.plugins.module_utils._errors import (
    OptionError,
    UnavailableError,
)
from ansible_collections.netops.conntrack.plugins.module_utils._selector.compiler import Selection
from ansible_collections.netops.conntrack.plugins.module_utils._selector.key import Answer, Breakpoints
from ansible_collections.netops.conntrack.plugins.module_utils._selector.values import mark_and_mask
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.sysctl import short_of
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.values import parse_value
from ansible_collections.netops.conntrack.plugins.module_utils._table import requests
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block
from ansible_collections.netops.conntrack.plugins.module_utils._table.memo import Memo
from ansible_collections.netops.conntrack.plugins.module_utils._table.requests import Targets
from ansible_collections.netops.conntrack.plugins.module_utils._table.table import not_listed
from ansible_collections.netops.conntrack.plugins.module_utils._table.writable import Errors, WritableTable
from ansible_collections.netops.conntrack.plugins.module_utils._uapi import FIXED_TIMEOUT
from ansible_collections.netops.conntrack.plugins.module_utils._units import parse_duration

SETTINGS = "settings"
"""The timeout that the sysctls give an entry."""

_GONE = (errno.ENOENT, errno.ETIME)
"""The kernel answers ETIME for an entry that is just being removed (__nf_ct_change_timeout(), nf_conntrack_core.c)."""

_FIXED = (errno.EPERM,)

Mark = tuple[int, int]
"""Value and mask."""


def parse_timeout(value: t.Any) -> int | str | None:
    """Read the option timeout: ``settings``, or {max: DURATION}, which is given in seconds. Raises OptionError.

    For {settings: {...}}, whose values ``wanted_timeouts`` returns, it is ``settings`` as well.
    """
    if value is None or value == SETTINGS:
        return t.cast(t.Optional[str], value)
    if isinstance(value, dict) and set(value) == {SETTINGS} and isinstance(value[SETTINGS], dict):
        return SETTINGS
    if not isinstance(value, dict) or set(value) != {"max"}:
        raise OptionError("timeout", value, "is not a timeout", "Give settings, {settings: {...}}, or {max: 15h}.")
    most = parse_duration(value["max"], "timeout.max")
    if most < 1:
        raise OptionError("timeout.max", value["max"], "would end the entries", "Use netops.conntrack.conntrack_prune.")
    return most


def wanted_timeouts(value: t.Any, present: t.Mapping[str, int]) -> dict[str, int]:
    """Return the timeouts that entries are to have, by short name, as the option timeout names them.

    For ``settings`` these are the ``present`` values of the sysctls, for {settings: {...}} those that it gives. Raises
    OptionError for a value that cannot be used, and for a name that the sysctls do not have.
    """
    if value == SETTINGS:
        return dict(present)
    if not isinstance(value, dict):
        return {}
    wanted = {}
    for name, given in value.get(SETTINGS, {}).items():
        short = short_of(name) or name
        if short not in present:
            remedy = "ansible_facts['conntrack'].settings lists those that it has."
            raise OptionError("timeout.settings", name, "is no connection-tracking setting of this kernel", remedy)
        wanted[short] = parse_value(short, given, f"timeout.{SETTINGS}.{name}")
    return wanted


def parse_mark(value: t.Any) -> Mark | None:
    """Read the option mark: a number, also with a mask. Raises OptionError."""
    if value is None:
        return None
    mark, mask = mark_and_mask(value, "mark")
    if mask == 0:
        raise OptionError("mark", value, "changes no bit", "Give a mask that is not 0, such as 0x10/0xff.")
    return mark, mask


class Change(t.NamedTuple):
    """What an entry lacks, or is to be sent: the seconds that it may have left at most, and a mark; None: nothing."""

    timeout: int | None
    mark: Mark | None

    def __bool__(self) -> bool:
        return self != _NOTHING

    def descriptions(self) -> t.Iterator[str]:
        """Say what entries are like that lack it."""
        if self.timeout is not None:
            yield f"more than {self.timeout} s left"
        if self.mark is not None:
            yield "mark other than {:#x}/{:#x}".format(*self.mark)


_NOTHING = Change(None, None)


@dataclasses.dataclass(frozen=True)
class Aim:
    """What the entries are to have: at most so many seconds left (SETTINGS: as the sysctls say), and a mark.

    ``settings`` are the sysctls with the timeouts that are wanted. ``claims`` decide which entries these shorten.
    """

    timeout: int | str | None
    mark: Mark | None
    settings: t.Mapping[str, int]
    claims: Claims = NOTHING_CLAIMED

    @property
    def fields(self) -> frozenset[str]:
        """The fields of an entry that ``cap``, ``claims`` and ``lacking_mark`` read."""
        return (CLAIM_FIELDS if self.timeout is not None else frozenset()) | ({"mark"} if self.mark else frozenset())

    def caps(self) -> set[int]:
        """Return every number that ``cap`` may give."""
        if isinstance(self.timeout, int):
            return {self.timeout}
        return {max(1, value) for name, value in self.settings.items() if "timeout" in name}

    def obstacle(self, entry: Entry, cap: int) -> str:
        """Return what an entry that keeps more than ``cap`` is counted as. "" means that it does not keep it."""
        if (entry.status or 0) & FIXED_TIMEOUT:
            return "fixed_timeout"
        return "" if isinstance(self.timeout, int) else self.claims.reason_to_keep(entry, self.settings, cap)

    def cap(self, entry: Entry) -> int | None:
        """Return the most seconds that the entry may have left; None where no sysctl tells."""
        if isinstance(self.timeout, int):
            return self.timeout
        longest = longest_timeout(entry, self.settings)
        # The kernel takes -1, too, which is no time that can be waited for.
        return None if longest is None or longest < 0 else max(1, longest)

    def lacking_mark(self, entry: Entry) -> Mark | None:
        """Return the mark if the entry does not have it. Raises UnavailableError where its mark is not known."""
        if self.mark is None:
            return None
        if entry.mark is None:
            raise UnavailableError(
                "mark: the kernel does not show the mark of an entry, so that none can be set safely. It has no marks "
                "(CONFIG_NF_CONNTRACK_MARK), or is one of the versions around 6.1 that hide a mark of 0: update it."
            )
        value, mask = self.mark
        return None if entry.mark & mask == value else self.mark


def aim_of(timeout: t.Any, mark: t.Any, timeouts: Timeouts, dry_run: bool) -> Aim:
    """Return what the options ``timeout`` and ``mark`` aim at on a router of which ``timeouts`` are known.

    Raises OptionError, also for timeouts that are not the present ones unless it is a dry run.
    """
    most, number, present = parse_timeout(timeout), parse_mark(mark), timeouts.settings
    if most != SETTINGS:
        return Aim(most, number, present)
    wanted = wanted_timeouts(timeout, present)
    for name in () if dry_run else sorted(wanted):
        if "timeout" in name and wanted[name] != present[name]:
            problem = f"is not what the kernel has now, which is {present[name]}"
            remedy = "Set it with netops.conntrack.conntrack_settings first, or give --check to see what it would do."
            raise OptionError(f"timeout.{SETTINGS}.{name}", wanted[name], problem, remedy)
    claims = Claims(lowered_bounds(wanted, present, timeouts.record), timeouts.policies)
    return Aim(most, number, {**present, **wanted}, claims)


@dataclasses.dataclass(frozen=True)
class Plan:
    """Which entries get what; those of ``connections`` stay as they are.

    With ``pruned``, the entries that it leaves out are taken for deleted.
    """

    selection: Selection
    aim: Aim
    connections: t.Collection[Connection]
    pruned: Pruned | None = None

    @property
    def fields(self) -> frozenset[str]:
        """The fields of an entry that decide."""
        return GROUP_FIELDS | self.selection.fields | self.aim.fields

    @property
    def breakpoints(self) -> Breakpoints:
        """As Selection.breakpoints, for what is decided here."""
        breakpoints = dict(self.selection.breakpoints)
        if "remaining" in breakpoints or "remaining" not in self.selection.fields:
            breakpoints["remaining"] = {
                *breakpoints.get("remaining", ()),
                *(cap + 1 for cap in self.aim.caps()),
                *self.aim.claims.breakpoints,
            }
        return breakpoints


@dataclasses.dataclass(frozen=True, eq=False)
class Verdict:
    """What holds for entries: their group, whether they are selected, what they lack, and why they stay in spite of it.

    ``obstacle`` is what the result counts them as whose timeout stays, or is not known; "" where there is none.
    There is one object for all that have everything equal.
    """

    group: Group
    decision: Answer
    lacking: Change = _NOTHING
    obstacle: str = ""

    @property
    def change(self) -> Change:
        """What is to be sent."""
        return self.lacking._replace(timeout=None) if self.obstacle else self.lacking

    def is_fine(self) -> bool:
        """Say whether the entries are selected and lack nothing, as far as that is known."""
        return bool(self.decision) and not self.lacking and not self.obstacle


class Judge:
    """Gives the verdict on each row of a block."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._verdicts: dict[tuple[t.Any, ...], Verdict] = {}
        self._memo = Memo(plan.fields, self._verdict, plan.breakpoints)

    def __call__(self, block: Block) -> list[Verdict]:
        """Return the verdict on each entry of a block."""
        return self._memo(block)

    def _verdict(self, entry: Entry) -> Verdict:
        decision = self._plan.selection.decide(entry)
        key = Group.of(entry), decision, *(self._lacking(entry) if decision else ())
        return self._verdicts.setdefault(key, Verdict(*key))

    def _lacking(self, entry: Entry) -> tuple[Change, str]:
        """Return what the entry lacks, and what it is counted as whose timeout cannot be lowered."""
        aim = self._plan.aim
        mark = aim.lacking_mark(entry)
        if aim.timeout is None:
            return Change(None, mark), ""
        if entry.remaining is None:
            return Change(None, mark), "without_timeout"
        cap = aim.cap(entry)
        if cap is None:
            return Change(None, mark), "undecidable"
        if entry.remaining <= cap:
            return Change(None, mark), ""
        return Change(cap, mark), aim.obstacle(entry, cap)


class Survey:
    """What one reading of the table finds: the entries by verdict, and how many of them are to be updated.

    ``listed`` is the number of entries that were read, ``not_listed`` of those that the kernel counts beyond them, None
    where that is not known.
    """

    def __init__(self, judge: Judge, connections: t.Collection[Connection]) -> None:
        self.listed = 0
        self.not_listed: int | None = None
        self._judge = judge
        self._connections = connections
        self.verdicts: collections.Counter[Verdict] = collections.Counter()
        self.targets: collections.Counter[Verdict] = collections.Counter()

    def sort_out(self, block: Block) -> t.Iterator[tuple[Verdict, Block]]:
        """Count the entries of the block, and give those to be updated, by verdict."""
        verdicts = self._judge(block)
        for verdict, count in collections.Counter(verdicts).items():
            self.verdicts[verdict] += count
            if verdict.change:
                targets = without_management(part_of(block, verdicts, verdict), self._connections)
                if len(targets):
                    self.targets[verdict] += len(targets)
                    yield verdict, targets

    @property
    def shortens(self) -> bool:
        """Whether any entry is to be given less time."""
        return any(verdict.change.timeout is not None for verdict in self.targets)

    def count(self, test: t.Callable[[Verdict], t.Any]) -> int:
        """Return the number of entries whose verdict passes the test."""
        return sum(count for verdict, count in self.verdicts.items() if test(verdict))

    @property
    def would_update(self) -> int:
        """The number of entries to be updated."""
        return sum(self.targets.values())


def update(table: WritableTable, plan: Plan, dry_run: bool) -> Outcome:
    """Bring the selected entries to what the plan aims at, unless it is a dry run.

    The whole table is read before the first update, for which the names of the targets are kept (see Targets). Raises
    what the table's ``read``, ``look_up`` and ``update`` raise, with the number of those updated, what
    ``shortening`` raises, and UnavailableError where a mark is to be set and the kernel shows none.
    """
    judge = Judge(plan)

    def collect(blocks: t.Iterator[Block]) -> tuple[Survey, Targets[Verdict]]:
        found, targets = Survey(judge, plan.connections), Targets[Verdict]()
        for block in blocks:
            found.listed += len(block)
            for verdict, selected in found.sort_out(plan.pruned(block) if plan.pruned else block):
                if not dry_run:
                    targets.add(selected, verdict)
        return found, targets

    conditions = plan.selection.conditions
    before = table.count()
    found, targets = table.read(collect, conditions)
    # A kernel that leaves entries out of the dump does not list what it counts.
    found.not_listed = None if conditions else not_listed(before, table.count(), found.listed)
    settled: collections.Counter[str] = collections.Counter()
    if dry_run:
        return Outcome(found, None, settled)
    with _on_record(plan.aim, found), telling_what_was("updated", len(targets)) as errors:
        for verdict, blocks in table.look_up(targets, errors):
            for block in blocks:
                verdicts = judge(block)
                for now in set(verdicts):
                    part = part_of(block, verdicts, now)
                    if now.change:
                        _send(table, part, verdict, now.change, errors)
                    else:
                        settled[now.obstacle or "unchanged"] += len(part)
    return Outcome(found, errors, settled)


@contextlib.contextmanager
def _on_record(aim: Aim, found: Survey) -> t.Iterator[None]:
    """Record a time that no sysctl gives before entries get it, or they would look idle for longer than they are."""
    if not isinstance(aim.timeout, int) or not found.shortens:
        yield
        return
    with shortening(aim.timeout):
        yield


def _send(table: WritableTable, block: Block, verdict: Verdict, change: Change, errors: Errors[Verdict]) -> None:
    targets = Targets[Verdict]()
    targets.add(block, verdict)
    table.update(targets, requests.update(*change), errors)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What was found, and what became of the targets; None instead means that nothing was tried, as in check mode.

    ``settled`` are targets that needed no update any more once they were looked up, by what the result counts them as.
    """

    found: Survey
    errors: Errors[Verdict] | None
    settled: collections.Counter[str]

    def result(self, with_diff: bool) -> dict[str, t.Any]:
        """Return the module's result. Raises ConntrackError, with all counts, if the kernel refused an update."""
        found, settled = self.found, self.settled
        errors: Errors[Verdict] = collections.Counter() if self.errors is None else self.errors
        updated = count_of(errors, 0)

        def left(obstacle: str) -> int:
            return found.count(lambda verdict: verdict.obstacle == obstacle) + settled[obstacle]

        result = {
            "changed": bool(found.would_update if self.errors is None else updated),
            "matched": found.count(lambda verdict: verdict.decision),
            "protected": found.count(lambda verdict: verdict.change) - found.would_update,
            "would_update": found.would_update,
            "updated": updated,
            "unchanged": found.count(Verdict.is_fine) + settled["unchanged"],
            "already_gone": count_of(errors, *_GONE),
            "fixed_timeout": left("fixed_timeout") + count_of(errors, *_FIXED),
            "without_timeout": left("without_timeout"),
            "not_listed": found.not_listed,
            "kept": {reason: left(reason) for reason in REASONS},
            "undecidable": left("undecidable") + found.count(lambda verdict: verdict.decision is None),
            **({"diff": self.diff()} if with_diff else {}),
        }
        without_failures(result, errors, (0, *_GONE, *_FIXED), "updated")
        return {**result, "not_updated": 0}

    def diff(self) -> dict[str, str]:
        """Return what entries of each group lack, with their numbers before and after, as far as it changes.

        The numbers are those predicted, if nothing was tried.
        """
        updated = self.found.targets
        if self.errors is not None:
            updated = collections.Counter(
                {verdict: count for (verdict, number), count in self.errors.items() if not number}
            )
        before = _by_kind(self.found.verdicts, lambda verdict: verdict.lacking)
        fewer = _by_kind(updated, lambda verdict: verdict.change)
        return {
            "before": lines({kind: before[kind] for kind in fewer}),
            "after": lines({kind: before[kind] - number for kind, number in fewer.items()}),
        }


def _by_kind(verdicts: t.Mapping[Verdict, int], change_of: t.Callable[[Verdict], Change]) -> collections.Counter[str]:
    """Return the numbers of entries by group and what is changed of them."""
    kinds: collections.Counter[str] = collections.Counter()
    for verdict, count in verdicts.items():
        for description in change_of(verdict).descriptions():
            kinds[f"{verdict.group}: {description}"] += count
    return +kinds

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""One question to the table, answered in one dump: counts, groups, some of the entries, and all of them in a file."""

from __future__ import annotations

import collections
import dataclasses
import heapq
import itertools
import operator
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._entry.entry import Entry
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.module_utils._query.export import Export
from ansible_collections.netops.conntrack.plugins.module_utils._query.extended import ExtendedLines
from ansible_collections.netops.conntrack.plugins.module_utils._query.fields import ALL_FIELDS, as_dict
from ansible_collections.netops.conntrack.plugins.module_utils._query.grouping import (
    ADDRESSES,
    check_field,
    group_reader,
)
from ansible_collections.netops.conntrack.plugins.module_utils._query.output import PLAIN, Output
from ansible_collections.netops.conntrack.plugins.module_utils._selector.compiler import Selection
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block
from ansible_collections.netops.conntrack.plugins.module_utils._table.kernel_filter import Condition
from ansible_collections.netops.conntrack.plugins.module_utils._table.layouts import Layout
from ansible_collections.netops.conntrack.plugins.module_utils._table.memo import Memo


@dataclasses.dataclass(frozen=True)
class Query:
    """What to return of the selected entries.

    That is groups by fields or by networks, and ``limit`` entries, sorted or as they come: as dicts where ``entries``
    is true, and as lines of text where ``lines`` is. There are at most ``limit`` groups, too. ``output`` is what the
    lines show in addition.
    """

    group_by: t.Sequence[str]
    sort_by: t.Sequence[str]
    limit: int
    entries: bool = True
    lines: bool = False
    output: Output = PLAIN

    @property
    def group_fields(self) -> frozenset[str]:
        """The fields of Entry that the groups are made of."""
        readers = [group_reader(name, "group_by") for name in self.group_by]
        return frozenset(field for reader in readers for field in reader.fields)

    def check(self) -> None:
        """Raise OptionError for a field that cannot be grouped or sorted by, and for a negative limit."""
        for at, name in enumerate(self.group_by):
            group_reader(name, f"group_by[{at}]")
        for at, name in enumerate(self.sort_by):
            check_field(f"sort_by[{at}]", name, name.removeprefix("-"), list(ALL_FIELDS))
        if self.limit < 0:
            raise OptionError("limit", self.limit, "is below 0", "Give how many entries to return; 0 returns none.")


_MOST_GROUPS = 1 << 17
"""So many groups are counted exactly, in about 60 MB."""

_COUNTERS = ("packets_original", "packets_reply", "bytes_original", "bytes_reply")


@dataclasses.dataclass(eq=False)
class CountedGroup:
    """What the entries with the same values have in common. ``packets`` and ``byte_count`` are of those with counters.

    At most ``missed`` entries of the group came before it was kept (see _Groups).
    """

    values: tuple[t.Any, ...]
    missed: int
    entries: int = 0
    packets: int = 0
    byte_count: int = 0
    without_counters: int = 0

    def add(
        self, packets: int | None, reply_packets: int | None, byte_count: int | None, reply_byte_count: int | None
    ) -> None:
        """Count an entry with these counters, which are those of _COUNTERS."""
        self.entries += 1
        if packets is None or reply_packets is None or byte_count is None or reply_byte_count is None:
            self.without_counters += 1
        else:
            self.packets += packets + reply_packets
            self.byte_count += byte_count + reply_byte_count

    def add_several(
        self, entries: int, packets: int, reply_packets: int, byte_count: int, reply_byte_count: int
    ) -> None:
        """Count so many entries, all of which have counters, with the sums of these."""
        self.entries += entries
        self.packets += packets + reply_packets
        self.byte_count += byte_count + reply_byte_count

    def as_dict(self, names: t.Sequence[str]) -> dict[str, t.Any]:
        """Return the fields and the counts. Packets and bytes are None where none of the entries has counters."""
        has_counters = self.entries > self.without_counters
        values = map(_as_in_json, self.values)
        return {
            **dict(zip(names, values)),
            "entries": self.entries,
            "packets": self.packets if has_counters else None,
            "bytes": self.byte_count if has_counters else None,
            "without_counters": self.without_counters,
        }


class _Groups:
    """The groups of entries by their values. At most ``_MOST_GROUPS`` are kept.

    When there are more, the smallest are left out, by the method of Misra and Gries (see _facts.value_counts): the
    weight of each group is lowered by the same number, and those that reach 0 are gone. The weight is what was counted
    since, so that a group which was never left out is exact.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._groups: dict[tuple[t.Any, ...], CountedGroup] = {}
        self.uncertainty = 0
        """By how much the number of a group may be too small, and the most entries of one that was left out."""

    def with_values(self, values: tuple[t.Any, ...]) -> CountedGroup:
        """Return the group with these values."""
        group = self._groups.get(values)
        if group is None:
            group = self._groups[values] = CountedGroup(values, self.uncertainty)
        return group

    def leave_out(self) -> bool:
        """Keep only half of the groups where there are too many, and return whether there were."""
        if len(self._groups) <= self._most:
            return False
        weights = {values: group.entries + group.missed for values, group in self._groups.items()}
        number_left = self._most // 2
        largest_left_out = sorted(weights.values())[-number_left - 1]
        self._groups = {values: group for values, group in self._groups.items() if weights[values] > largest_left_out}
        self.uncertainty = largest_left_out
        return True

    @property
    def distinct(self) -> int | None:
        """How many groups there are, or None where some were left out."""
        return None if self.uncertainty else len(self._groups)

    def largest(self, number: int) -> list[CountedGroup]:
        """Return the groups with most entries."""
        return heapq.nlargest(number, self._groups.values(), key=lambda group: group.entries)


class _Taken(t.NamedTuple):
    """An entry that is returned: its values, and its message with the layout, of which its line is made."""

    entry: Entry
    layout: Layout
    row: bytes


def _taken_of(block: Block) -> t.Iterator[_Taken]:
    for entry, row in zip(block.entries(), block.rows):
        yield _Taken(entry, block.layout, row)


class _Pass:
    """One pass over the entries of a dump, with its counts. A dump that starts again takes a new one."""

    def __init__(
        self, selection: Selection, context: Context, query: Query, export: Export | None, observer: Observer | None
    ) -> None:
        self._observer = observer
        self._context = context
        self._query = query
        self._export = export
        self._decide = Memo(selection.fields, selection.decide, selection.breakpoints)
        self._group_readers = [group_reader(name, "group_by") for name in query.group_by]
        # To forget groups that are kept anyway would only take time.
        self._group_of = Memo(query.group_fields, self._group, most=_MOST_GROUPS)
        self._groups = _Groups(_MOST_GROUPS)
        self._total = 0
        self._matched = 0
        self._undecidable = 0

    def run(self, blocks: t.Iterator[Block]) -> dict[str, t.Any]:
        """Read the blocks and return the result of the module."""
        if self._export:
            self._export.restart()
        selected = self._selected(blocks)
        taken = self._take(selected) if self._query.entries or self._query.lines else []
        # What is not returned is counted all the same.
        collections.deque(selected, maxlen=0)
        largest = self._groups.largest(self._query.limit)
        return {
            "total": self._total,
            "matched": self._matched,
            "undecidable": self._undecidable,
            "entries": [as_dict(one.entry, self._context) for one in taken] if self._query.entries else [],
            "lines": self._lines_of(taken) if self._query.lines else [],
            "groups": [group.as_dict(self._query.group_by) for group in largest],
            "groups_distinct": self._groups.distinct,
            "groups_uncertainty": self._groups.uncertainty,
            "filled_by": None,
            "explained_percent": None,
            **(self._observer.result() if self._observer else {}),
        }

    def _lines_of(self, taken: t.Iterable[_Taken]) -> list[str]:
        lines_of = ExtendedLines(self._context, short=True, output=self._query.output)
        return [line for one in taken for line in lines_of(Block(one.layout, one.row))]

    def _selected(self, blocks: t.Iterator[Block]) -> t.Iterator[Block]:
        for block in blocks:
            decisions = self._decide(block)
            matched = decisions.count(True)
            self._total += len(block)
            self._matched += matched
            self._undecidable += decisions.count(None)
            if matched:
                chosen = block if matched == len(block) else block.where(decisions)
                self._note(chosen)
                yield chosen

    def _note(self, block: Block) -> None:
        if self._query.group_by:
            self._add_to_groups(block)
            if self._groups.leave_out():
                self._group_of.forget()
        if self._export:
            self._export.write(block)
        if self._observer:
            self._observer.add(block)

    def _add_to_groups(self, block: Block) -> None:
        groups = self._group_of(block)
        columns = [block.column(name) for name in _COUNTERS]
        first = groups[0]
        has_counters = all(name in block.layout.fields for name in _COUNTERS)
        if has_counters and groups.count(first) == len(groups):
            # Entries that are read together are of one group often, and sums take a tenth of the time then.
            first.add_several(len(groups), *map(sum, columns))
        elif has_counters:
            _add_each(groups, columns)
        else:
            for group, amounts in zip(groups, zip(*columns)):
                group.add(*amounts)

    def _group(self, entry: Entry) -> CountedGroup:
        values = tuple(_hashable(reader.read(entry, self._context)) for reader in self._group_readers)
        return self._groups.with_values(values)

    def _take(self, selected: t.Iterator[Block]) -> list[_Taken]:
        """Return the entries to return. Of those that are not, none is kept."""
        entries = itertools.chain.from_iterable(map(_taken_of, selected))
        if not self._query.sort_by:
            return list(itertools.islice(entries, self._query.limit))
        return heapq.nsmallest(self._query.limit, entries, key=self._rank)

    def _rank(self, taken: _Taken) -> list[tuple[bool, t.Any]]:
        entry = taken.entry
        ranks = []
        for field in self._query.sort_by:
            name = field.removeprefix("-")
            # As text, 9.0.0.0 would come after 10.0.0.0.
            value = _order(entry, name) if name in ADDRESSES else ALL_FIELDS[name].read(entry, self._context)
            descending = field.startswith("-") and value is not None
            ranks.append((value is None, _Descending(value) if descending else value))
        return ranks


def _order(entry: Entry, address: str) -> tuple[int, bytes]:
    return entry.family, getattr(entry, address)


class _Descending:
    """A value that comes before the smaller ones."""

    __slots__ = ("value",)

    def __init__(self, value: t.Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Descending) and bool(self.value == other.value)

    def __lt__(self, other: _Descending) -> bool:
        return bool(other.value < self.value)


def _add_each(groups: t.Iterable[CountedGroup], columns: t.Sequence[t.Iterable[int]]) -> None:
    """Count an entry of each of the groups. The ``columns`` are those of _COUNTERS."""
    packets, reply_packets, byte_count, reply_byte_count = columns
    both_packets = map(operator.add, packets, reply_packets)
    # A call for each of them would take three times as long.
    for group, packet_sum, byte_sum in zip(groups, both_packets, map(operator.add, byte_count, reply_byte_count)):
        group.entries += 1
        group.packets += packet_sum
        group.byte_count += byte_sum


def _hashable(value: t.Any) -> t.Any:
    return tuple(value) if isinstance(value, list) else value


def _as_in_json(value: t.Any) -> t.Any:
    """Undo ``_hashable``."""
    return list(value) if isinstance(value, tuple) else value


class Observer(t.Protocol):
    """What looks at the selected entries besides, block by block. It reads the ``fields`` of Entry."""

    fields: t.ClassVar[frozenset[str]]

    def add(self, block: Block) -> None:
        """Look at the entries of a block."""

    def result(self) -> dict[str, t.Any]:
        """Return what was seen, by the keys of the result."""


class Source(t.Protocol):
    """What can be asked: the table, or a file with its entries."""

    def count(self) -> int | None:
        """Return the number of entries as the kernel counts them, or None if nobody does."""

    def read(
        self,
        collect: t.Callable[[t.Iterator[Block]], dict[str, t.Any]],
        conditions: t.Sequence[Condition] = (),
        *,
        fields: t.Iterable[str] | None = None,
    ) -> dict[str, t.Any]:
        """Return what ``collect`` makes of the entries, of which it reads the ``fields`` only. None stands for all."""


def _fields_read(selection: Selection, query: Query, observer: Observer | None) -> frozenset[str]:
    """Return the fields of Entry that are read to count, group and observe."""
    counters = _COUNTERS if query.group_by else ()
    return selection.fields.union(query.group_fields, counters, observer.fields if observer else ())


def run_query(
    table: Source,
    selection: Selection,
    context: Context,
    query: Query,
    export: Export | None = None,
    observe: t.Callable[[], Observer] | None = None,
) -> dict[str, t.Any]:
    """Read the table once. Return the numbers, groups and entries that ``query`` asks for, as the module returns them.

    ``observe`` makes what finds out what fills the selected part, anew for each dump.

    Where the kernel is asked for a part of the table only, the total is the kernel's count.
    Besides those that are returned, no entries are kept in memory. The groups are.
    """
    total = table.count() if selection.conditions else None
    # The kernel's own count has to stand in for what it leaves out.
    conditions = () if total is None else selection.conditions

    def collect(blocks: t.Iterator[Block]) -> dict[str, t.Any]:
        return _Pass(selection, context, query, export, observe() if observe else None).run(blocks)

    returns_entries = query.entries or query.lines or export is not None
    fields = None if returns_entries else _fields_read(selection, query, observe() if observe else None)
    result = table.read(collect, conditions, fields=fields)
    counted = result if total is None else {**result, "total": max(total, result["total"])}
    return selection.checked(counted, context.settings)

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""How many entries there are of each kind: those that differ in nothing that a timeout depends on.

Millions of entries have few states and bits, and their times are counted in bins. Between two of the times at which
anything changes that is ever asked about an entry, there is one bin. So what is asked is asked once for each kind.
"""

from __future__ import annotations

import bisect
import collections
import itertools
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._entry.entry import Entry
from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeouts import (
    Timeouts,
    age_changes,
    idle_changes,
)
from ansible_collections.netops.conntrack.plugins.module_utils._facts.histogram import HISTOGRAM_BOUNDS
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block
from ansible_collections.netops.conntrack.plugins.module_utils._table.layouts import Layout

if t.TYPE_CHECKING:
    from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeout_effects import NewTimeouts

_KIND_FIELDS = ("state", "status", "remaining", "start", "helper")
"""What entries of one layout are counted by, as far as it has these: bins of times, and the values of the others."""

_Kind = tuple[t.Any, ...]
"""The values of these fields that a layout has."""

_SEVERAL = -1
_MOST_LOOKED_UP = 1 << 21
"""Up to so many seconds, 24 days, the bin of a remaining time is looked up in a table, of a byte a second."""
_MOST_BINS = 0xFF


class _RemainingBins:
    """The bins of remaining times. To look one up costs a third of a bisection."""

    def __init__(self, changes: t.Iterable[int]) -> None:
        self.breakpoints = sorted(change for change in {0, *changes} if change >= 0)
        # Of bytes, because a larger table does not fit into the cache of a processor beside the rest.
        bins = bytearray()
        ranges = zip(self.breakpoints, self.breakpoints[1:])
        for number, (start, end) in enumerate(ranges, 1):
            if end > _MOST_LOOKED_UP or number > _MOST_BINS:
                break
            bins += bytes([number]) * (end - start)
        self._bins = bytes(bins)

    def column(self, block: Block) -> list[int]:
        """Return the bin of every row of a block whose entries have a remaining time."""
        try:
            return list(map(self._bins.__getitem__, block.numbers("remaining")))
        except IndexError:
            return list(block.bins("remaining", self.breakpoints))


class _StartBins(dict[int, int]):
    """The bins of starting times, which are nanoseconds in 64 bits, by their upper halves, where these tell.

    There are few different upper halves, in units of 4.3 seconds, and to look one up costs a third of a bisection.
    """

    def __init__(self, breakpoints: t.Iterable[int]) -> None:
        super().__init__()
        self.breakpoints = sorted({0, *(max(0, number) for number in breakpoints)})
        # A unit with a breakpoint in it is in several bins.
        self.update((number >> 32, _SEVERAL) for number in self.breakpoints)

    def __missing__(self, unit: int) -> int:
        number = self[unit] = self._bin(unit << 32)
        return number

    def column(self, block: Block) -> list[int]:
        """Return the bin of every row of a block whose entries have a starting time."""
        units = block.upper_halves("start")
        bins = list(map(self.__getitem__, units))
        if _SEVERAL in bins:
            rest = block.lower_halves("start")
            for row, number in enumerate(bins):
                if number is _SEVERAL:
                    bins[row] = self._bin(units[row] << 32 | rest[row])
        return bins

    def _bin(self, start: int) -> int:
        return bisect.bisect_right(self.breakpoints, start)


class DescribedKind(t.NamedTuple):
    """An entry of a kind, for how many it stands, and the longest time that one of them has left.

    ``latest`` is None where it was not looked for, and where they have no remaining time.
    """

    entry: Entry
    entries: int
    latest: int | None


class KindCounts:
    """How many entries there are of each kind, counted block by block.

    All entries of a kind are in the same range of the histograms of remaining and idle times. With ``new``, these
    timeouts also have the same effect on all of them, and the longest remaining time of each kind is noted.
    """

    def __init__(self, timeouts: Timeouts, new: NewTimeouts | None = None) -> None:
        changes = {*HISTOGRAM_BOUNDS, *idle_changes(HISTOGRAM_BOUNDS, timeouts)}
        ages = {*HISTOGRAM_BOUNDS}
        if new is not None:
            changes |= new.remaining_changes()
            ages |= new.age_bounds()
        self._remaining = _RemainingBins(changes)
        self._starts = _StartBins(age_changes(ages, timeouts))
        self._counts: dict[Layout, collections.Counter[_Kind]] = collections.defaultdict(collections.Counter)
        self._with_latest = new is not None
        self._latest: dict[Layout, dict[_Kind, int]] = collections.defaultdict(dict)

    @property
    def entries(self) -> int:
        """The number of all entries."""
        return sum(sum(counts.values()) for counts in self._counts.values())

    def add(self, block: Block) -> None:
        """Count the entries of a block."""
        columns = [self._column(block, name) for name in _KIND_FIELDS if name in block.layout.fields]
        if self._with_latest and "remaining" in block.layout.fields:
            kinds = list(zip(*columns))
            self._counts[block.layout].update(kinds)
            self._note_latest(block, kinds)
        else:
            self._counts[block.layout].update(_kinds(columns, len(block)))

    def _column(self, block: Block, name: str) -> t.Sequence[t.Any]:
        if name == "remaining":
            return self._remaining.column(block)
        if name == "start":
            return self._starts.column(block)
        column = block.column(name)
        return column if isinstance(column, t.Sequence) else list(column)

    def _note_latest(self, block: Block, kinds: t.Iterable[_Kind]) -> None:
        latest = self._latest[block.layout]
        for kind, seconds in zip(kinds, block.numbers("remaining")):
            if seconds > latest.get(kind, -1):
                latest[kind] = seconds

    def described(self) -> t.Iterator[DescribedKind]:
        """Yield each kind."""
        for layout, counts in self._counts.items():
            names = [name for name in _KIND_FIELDS if name in layout.fields]
            latest = self._latest[layout] if self._with_latest else {}
            for kind, count in counts.items():
                fields = dict(zip(names, kind))
                if "remaining" in fields:
                    fields["remaining"] = self._remaining.breakpoints[fields["remaining"] - 1]
                if "start" in fields:
                    fields["start"] = self._starts.breakpoints[fields["start"] - 1]
                yield DescribedKind(Entry(**{**layout.constants, **fields}), count, latest.get(kind))


def _kinds(columns: t.Sequence[t.Sequence[t.Any]], rows: int) -> t.Mapping[_Kind, int] | t.Iterable[_Kind]:
    """Return the kind of each row, by the values of these columns, or how many rows there are of each kind."""
    # To count tuples takes longest, and in many blocks no more than one column has several values.
    several = list(itertools.islice((at for at, column in enumerate(columns) if not _is_constant(column)), 2))
    if len(several) > 1:
        return zip(*columns)
    kind = [column[0] for column in columns]
    if not several:
        return {tuple(kind): rows}
    [at] = several
    counts = collections.Counter(columns[at])
    return {(*kind[:at], value, *kind[at + 1 :]): count for value, count in counts.items()}


def _is_constant(column: t.Sequence[t.Any]) -> bool:
    """Return whether a column has the same value everywhere. Most that have not begin and end with different ones."""
    return column[0] == column[-1] and column.count(column[0]) == len(column)

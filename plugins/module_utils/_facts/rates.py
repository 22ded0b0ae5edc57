# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""How fast a table fills: two looks at it, some seconds apart.

The kernel gives each entry an id, a hash of 32 bits with a secret key, which stays the same as long as the entry lives.
What has an id that was not there before is new. An entry that came and went between the two looks is not seen.
Of each entry of each look, four bytes are kept. They are compared in parts, so that few of them are a set at a time.

The kernel counts expired entries until it frees them, which it does with those that it meets in a dump. So its count is
taken after each dump, and what the table grows by is told by what is listed.
"""

from __future__ import annotations

import array
import collections
import itertools
import time
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._errors import UnavailableError
from ansible_collections.netops.conntrack.plugins.module_utils._facts.filled_by import FilledBy
from ansible_collections.netops.conntrack.plugins.module_utils._facts.tallies import by_name
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block
from ansible_collections.netops.conntrack.plugins.module_utils._table.table import Table

_YEAR = 365 * 86_400
_COUNTERS = ("drop", "early_drop", "insert_failed", "invalid")
_COUNTER_END = 1 << 32
"""The counters have 32 bits, and wrap."""

_PART = 1 << 17
"""About so many ids are compared at once, in a set of 12 MB."""

_LEAST_SLOTS, _MOST_SLOTS = 1 << 20, 1 << 25
_SLOTS_PER_ID = 8

Ids = dict[int, "array.array[int]"]
"""The ids of a look by protocol."""


class _Look(t.NamedTuple):
    """What one look saw, when it began, and how many entries the kernel counted when it was over."""

    begun: float
    counted: int | None
    counters: t.Mapping[int, t.Mapping[str, int]]
    ids: Ids


class Rates:
    """The two looks at a table. The first one is taken now.

    ``seconds`` are to be between them. ``explain`` is in how many groups it is said at most what is new.
    """

    def __init__(self, table: Table, seconds: int, explain: int) -> None:
        self._table = table
        self._seconds = seconds
        self._explain = explain
        self._first, _nothing_new = self._look(None)

    def result(self, limit: int | None) -> dict[str, t.Any]:
        """Wait for the time of the second look, take it, and return the rates.

        A ``limit`` of 0 is none, and None is an unknown one.
        """
        time.sleep(max(0.0, self._first.begun + self._seconds - time.monotonic()))
        second, added = self._look(_Seen(self._first.ids))
        kept = kept_ids(self._first.ids, second.ids)
        return _rates(self._first, second, kept, limit, added.result())

    def _look(self, seen: _Seen | None) -> tuple[_Look, FilledBy]:
        """Read the table, and find out what those entries are like that were not ``seen`` before."""

        def collect(blocks: t.Iterator[Block]) -> tuple[_Look, FilledBy]:
            ids: Ids = collections.defaultdict(lambda: array.array("I"))
            added = FilledBy(self._explain)
            begun, counters = time.monotonic(), self._counters()
            for block in blocks:
                ids[block.layout.constants["protocol"]].extend(block.numbers("id"))
                if seen is not None:
                    seen.pass_new(block, added)
            return _Look(begun, self._table.count(), counters, ids), added

        return self._table.read(collect)

    def _counters(self) -> dict[int, dict[str, int]]:
        """Return the kernel's counters by processor. There are none where it does not tell them."""
        try:
            return dict(self._table.cpu_stats())
        except UnavailableError:
            return {}


def kept_ids(before: Ids, after: Ids) -> dict[int, int]:
    """Return by protocol how many ids are in both looks."""
    return {protocol: _in_both(before[protocol], after[protocol]) for protocol in before.keys() & after.keys()}


def _in_both(before: array.array[int], after: array.array[int]) -> int:
    """Return how many ids are in both, part by part, so that few are a set at a time."""
    parts = min(256, len(before) // _PART + 1)
    return sum(
        sum(map(set(_part(before, part, parts)).__contains__, _part(after, part, parts))) for part in range(parts)
    )


def _part(ids: array.array[int], number: int, parts: int) -> t.Iterable[int]:
    """Return a part of the ids, by the remainder of their lowest byte, which are compared without looking at them."""
    if parts == 1:
        return ids
    selected = bytes(byte % parts == number for byte in range(256))
    one_byte_each = ids.tobytes()[:: ids.itemsize]
    return itertools.compress(ids, one_byte_each.translate(selected))


class _Seen:
    """Knows most of the entries that are new, and holds none for new that is not.

    Ids that share the slot of another one are taken for seen. That is chance, so those that it knows are a fair sample.
    """

    def __init__(self, ids: Ids) -> None:
        wanted = _SLOTS_PER_ID * sum(map(len, ids.values()))
        slots = min(max(1 << wanted.bit_length(), _LEAST_SLOTS), _MOST_SLOTS)
        self._mask = slots - 1
        self._slots = bytearray(slots)
        for number in itertools.chain.from_iterable(ids.values()):
            self._slots[number & self._mask] = 1

    def pass_new(self, block: Block, added: FilledBy) -> None:
        """Pass on the entries of a block that are known to be new."""
        slots, mask = self._slots, self._mask
        new = [not slots[number & mask] for number in block.numbers("id")]
        if any(new):
            added.add(block.where(new))


def _rates(
    first: _Look, second: _Look, kept: t.Mapping[int, int], limit: int | None, added: t.Mapping[str, t.Any]
) -> dict[str, t.Any]:
    seconds = second.begun - first.begun
    new, gone = (_others(look.ids, kept) for look in (second, first))
    new_total, gone_total = sum(new.values()), sum(gone.values())
    growth = new_total - gone_total
    return {
        "seconds": round(seconds, 1),
        "count_before": first.counted,
        "count_after": second.counted,
        "new": new_total,
        "gone": gone_total,
        "new_per_second": _per_second(new_total, seconds),
        "gone_per_second": _per_second(gone_total, seconds),
        "growth_per_second": _per_second(growth, seconds),
        "full_in_seconds": _full_in(second.counted, growth, seconds, limit),
        "new_protocols": by_name(new),
        "gone_protocols": by_name(gone),
        **_described(added, new_total, seconds),
        "counters": _counted_between(first.counters, second.counters),
    }


def _others(ids: Ids, kept: t.Mapping[int, int]) -> dict[int, int]:
    """Return how many entries of a look are not in the other one, by protocol, as far as there are any."""
    others = {protocol: len(of_protocol) - kept.get(protocol, 0) for protocol, of_protocol in ids.items()}
    # Two ids can be the same by chance.
    return {protocol: number for protocol, number in others.items() if number > 0}


def _described(added: t.Mapping[str, t.Any], new: int, seconds: float) -> dict[str, t.Any]:
    """Return what is new, in groups. Their numbers are those of the sample, so that only shares are told."""
    groups = []
    for group in added.get("filled_by", []):
        shown = {name: value for name, value in group.items() if name not in ("entries", "prunable")}
        groups.append({**shown, "per_second": _per_second(new * group["percent"] / 100, seconds)})
    return {"new_filled_by": groups}


def _per_second(number: float, seconds: float) -> float:
    return round(number / seconds, 2)


def _full_in(count: int | None, growth: int, seconds: float, limit: int | None) -> int | None:
    """Return after how many seconds the limit is reached if it goes on like this.

    None: not within a year, or count or limit are unknown.
    """
    if count is None or not limit:
        return None
    if count >= limit:
        return 0
    if growth <= 0:
        return None
    left = int((limit - count) * seconds / growth)
    return left if left <= _YEAR else None


def _counted_between(
    first: t.Mapping[int, t.Mapping[str, int]], second: t.Mapping[int, t.Mapping[str, int]]
) -> dict[str, int]:
    """Return by how much the kernel's counters of losses grew, as far as this kernel has them."""
    grown: collections.Counter[str] = collections.Counter()
    for cpu in first.keys() & second.keys():
        for name in _COUNTERS:
            if name in first[cpu] and name in second[cpu]:
                grown[name] += (second[cpu][name] - first[cpu][name]) % _COUNTER_END
    return dict(grown)

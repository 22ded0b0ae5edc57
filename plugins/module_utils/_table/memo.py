# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Functions of an entry, applied to whole blocks."""

from __future__ import annotations

import dataclasses
import itertools
import secrets
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._entry.entry import Entry
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block
from ansible_collections.netops.conntrack.plugins.module_utils._table.layouts import Layout

_MOST_REMEMBERED = 1 << 13
"""So many results are remembered if nothing else is said, of all layouts together."""

_MOST_EXACT = 64
"""With more results than this for one layout, keys are binned."""

_SECRET = secrets.randbits(60)
"""What every key begins with. Python hashes tuples of numbers without a secret, and senders choose such numbers."""

Result = t.TypeVar("Result")
Key = tuple[t.Any, ...]


class Memo(t.Generic[Result]):
    """A function of an entry that is called once for each combination of the values that it reads.

    ``fields`` are the fields that the function reads. It gets an entry that has only these. To read another one is an
    AttributeError, never a wrong answer.

    Entries by the million have few combinations of state, status, packets and the like. So the memo begins exact: each
    combination of values is a key with a result of its own. Addresses and times have too many values for that.
    ``breakpoints`` has, for such a field, all numbers at which the result may change when the field's number grows.
    Between two of them is a bin, in which the result is the same. Once a layout has many keys, the memo becomes binned
    for it: the key has the bin of such a field in place of its value.

    At most about ``most`` results are remembered.
    """

    def __init__(
        self,
        fields: t.Iterable[str],
        function: t.Callable[[Entry], Result],
        breakpoints: t.Mapping[str, t.Iterable[int]] | None = None,
        most: int | None = None,
    ) -> None:
        self._fields = tuple(sorted(fields))
        self._function = function
        self._breakpoints = {field: sorted(numbers) for field, numbers in (breakpoints or {}).items()}
        self._by_layout: dict[Layout, _Results[Result]] = {}
        self._most = _MOST_REMEMBERED if most is None else most
        self._remembered = 0

    def forget(self) -> None:
        """Forget all results, so that the function is asked again."""
        for results in self._by_layout.values():
            results.by_key.clear()
        self._remembered = 0

    def __call__(self, block: Block) -> list[Result]:
        """Return the function's results for the rows of a block, in their order."""
        if not len(block):
            return []
        results = self._by_layout.get(block.layout)
        if results is None:
            results = self._by_layout[block.layout] = self._exact(block.layout)
        if not results.fields:
            return [self._result_of(block, 0)] * len(block)
        if len(block) > 1 and block.is_uniform(results.fields):
            # So are the lines of a file that are decoded together, in what their letters tell.
            return self(Block(block.layout, block.data[: block.layout.size])) * len(block)
        keys = results.keys(block)
        # Unlike a set of all remembered keys, this takes no longer the more are remembered.
        new = set(keys).difference(results.by_key)
        if new and self._should_be_binned(results, len(new)):
            results = self._by_layout[block.layout] = self._binned(results)
            keys = results.keys(block)
            new = set(keys)
        if new:
            self._learn(results, keys, block)
        return list(map(results.by_key.__getitem__, keys))

    def _exact(self, layout: Layout) -> _Results[Result]:
        """Return the first state of a layout: without results, each value is a part of the key."""
        varying = tuple(field for field in self._fields if field in layout.fields)
        return _Results(varying, {}, {})

    def _binned(self, exact: _Results[Result]) -> _Results[Result]:
        """Return the second state of a layout: without results, fields that have breakpoints are binned."""
        self._remembered -= len(exact.by_key)
        return _Results(exact.fields, self._breakpoints_of(exact), {})

    def _should_be_binned(self, results: _Results[Result], new: int) -> bool:
        if results.breakpoints or not self._breakpoints_of(results):
            return False
        return len(results.by_key) + new > _MOST_EXACT

    def _breakpoints_of(self, results: _Results[Result]) -> dict[str, list[int]]:
        return {field: self._breakpoints[field] for field in results.fields if field in self._breakpoints}

    def _learn(self, results: _Results[Result], keys: list[Key], block: Block) -> None:
        """Ask the function for one row of each new key."""
        if self._remembered > self._most:
            self.forget()
        by_key = results.by_key
        before = len(by_key)
        row_of_key = dict(zip(keys, range(len(keys))))
        for key, row in row_of_key.items():
            if key not in by_key:
                by_key[key] = self._result_of(block, row)
        self._remembered += len(by_key) - before

    def _result_of(self, block: Block, number: int) -> Result:
        """Return what the function says of the row of this number."""
        size = block.layout.size
        row = block.data[number * size : (number + 1) * size]
        return self._function(block.layout.entry(row, self._fields))


@dataclasses.dataclass(frozen=True)
class _Results(t.Generic[Result]):
    """The results for entries of one layout, by key.

    A key has a part for each of the ``fields``, those that vary in the layout. It is the bin of a field that has
    ``breakpoints`` here, and the value of any other. In the exact state, no field has breakpoints.
    """

    fields: tuple[str, ...]
    breakpoints: t.Mapping[str, list[int]]
    by_key: dict[Key, Result]

    def keys(self, block: Block) -> list[Key]:
        """Return the key of each row."""
        columns = [self._column(block, field) for field in self.fields]
        return list(zip(itertools.repeat(_SECRET), *columns))

    def _column(self, block: Block, field: str) -> t.Iterable[t.Any]:
        if field in self.breakpoints:
            return block.bins(field, self.breakpoints[field])
        return block.column(field)

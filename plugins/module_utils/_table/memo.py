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
from ansible_collections.netops.conntrack.plugins.module_utils._table.layouts import Block, Layout

_MOST_REMEMBERED = 1 << 13
"""So many results are remembered at most, of all layouts together."""

_MANY = 64

_SECRET = secrets.randbits(60)
"""What every key begins with. Python hashes tuples of numbers without a secret, and senders choose such numbers."""

Result = t.TypeVar("Result")


class Memo(t.Generic[Result]):
    """A function of an entry that is called once for each combination of the fields that it reads, ``needs``.

    Entries by the million have few combinations of state, status, packets and the like. Where a field has many values,
    as addresses and times have, only their place among the ``steps`` counts, if there are any for the field: all the
    numbers at which the result may change when the field's number grows. The function gets an entry that has only the
    fields in ``needs``: to read another one is an AttributeError, never a wrong answer.
    """

    def __init__(
        self,
        needs: t.Iterable[str],
        function: t.Callable[[Entry], Result],
        steps: t.Mapping[str, t.Iterable[int]] | None = None,
    ) -> None:
        self._needs = tuple(sorted(needs))
        self._function = function
        self._steps = {field: sorted(numbers) for field, numbers in (steps or {}).items()}
        self._plans: dict[Layout, _Plan[Result]] = {}
        self._remembered = 0

    def forget(self) -> None:
        """Forget all results, so that the function is asked again."""
        for plan in self._plans.values():
            plan.known.clear()
        self._remembered = 0

    def __call__(self, block: Block) -> list[Result]:
        """Return the function's results for the rows of a block, in their order."""
        if not len(block):
            return []
        plan = self._plans.get(block.layout)
        if plan is None:
            varying = [field for field in self._needs if field in block.layout.fields]
            plan = self._plans[block.layout] = _Plan(dict.fromkeys(varying), {})
        if not plan.fields:
            return [self._of(block, 0)] * len(block)
        keys = plan.keys(block)
        new = set(keys) - plan.known.keys()
        if new:
            stepped = {field: self._steps.get(field) for field in plan.fields}
            if len(plan.known) + len(new) > _MANY and plan.fields != stepped:
                self._remembered -= len(plan.known)
                self._plans[block.layout] = _Plan(stepped, {})
                return self(block)
            self._learn(plan.known, keys, block)
        return list(map(plan.known.__getitem__, keys))

    def _learn(self, known: dict[tuple[t.Any, ...], Result], keys: list[tuple[t.Any, ...]], block: Block) -> None:
        if self._remembered > _MOST_REMEMBERED:
            self.forget()
        before = len(known)
        for key, row in dict(zip(keys, range(len(keys)))).items():
            if key not in known:
                known[key] = self._of(block, row)
        self._remembered += len(known) - before

    def _of(self, block: Block, row: int) -> Result:
        size = block.layout.size
        return self._function(block.layout.entry(block.data[row * size : (row + 1) * size], self._needs))


@dataclasses.dataclass(frozen=True)
class _Plan(t.Generic[Result]):
    """How the entries of one layout are told apart (fields that vary, with their steps or None), and what is known."""

    fields: dict[str, list[int] | None]
    known: dict[tuple[t.Any, ...], Result]

    def keys(self, block: Block) -> list[tuple[t.Any, ...]]:
        """Return what tells the block's rows apart."""
        columns = (_column(block, field, steps) for field, steps in self.fields.items())
        return list(zip(itertools.repeat(_SECRET), *columns))


def _column(block: Block, field: str, steps: list[int] | None) -> t.Iterable[t.Any]:
    return block.column(field) if steps is None else block.places(field, steps)

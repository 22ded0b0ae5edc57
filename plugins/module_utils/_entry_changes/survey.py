# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""What prune and update have in common when they read the table: a verdict on each entry, and the targets.

The way of a change is the same for both. The table is read, each entry gets a verdict, a survey counts the verdicts and
says which entries are targets, the targets are changed, and the outcomes are counted (_entry_changes.outcome). What
differs is in prune_survey and update_survey: what a verdict is made of, and which entries are targets. The order of
reading and changing is in prune and update.
"""

from __future__ import annotations

import collections
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._entry.entry import Entry
from ansible_collections.netops.conntrack.plugins.module_utils._netlink.clock import Clock
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block
from ansible_collections.netops.conntrack.plugins.module_utils._table.kernel_filter import Condition
from ansible_collections.netops.conntrack.plugins.module_utils._table.memo import Memo
from ansible_collections.netops.conntrack.plugins.module_utils._table.requests import Tag, Targets
from ansible_collections.netops.conntrack.plugins.module_utils._table.table import Table

Verdict = t.TypeVar("Verdict", bound=t.Hashable)


class Judged(t.Generic[Verdict]):
    """A block with the verdict on each of its rows, and how many rows have which verdict."""

    def __init__(self, block: Block, verdicts: list[Verdict]) -> None:
        self.verdicts = verdicts
        self.counts = collections.Counter(verdicts)
        self._block = block

    def rows_with_verdict(self, verdict: Verdict) -> Block:
        """Return the rows that have this very verdict."""
        if self.counts[verdict] == len(self.verdicts):
            return self._block
        return self._block.where(each is verdict for each in self.verdicts)


class Judge(t.Generic[Verdict]):
    """Gives the verdict on each row of a block.

    ``parts_of`` says of an entry what its verdict is made of, and ``make`` makes a verdict of that. There is one object
    for all entries of which all parts are equal, so that verdicts are counted and compared by identity.
    """

    def __init__(
        self,
        fields: t.Iterable[str],
        parts_of: t.Callable[[Entry], tuple[t.Any, ...]],
        make: t.Callable[..., Verdict],
        breakpoints: t.Mapping[str, t.Iterable[int]],
    ) -> None:
        self._parts_of = parts_of
        self._make = make
        self._verdicts: dict[tuple[t.Any, ...], Verdict] = {}
        self._memo = Memo(fields, self._verdict, breakpoints)

    def __call__(self, block: Block) -> Judged[Verdict]:
        """Return the block with its verdicts."""
        return Judged(block, self._memo(block))

    def _verdict(self, entry: Entry) -> Verdict:
        parts = self._parts_of(entry)
        if parts not in self._verdicts:
            self._verdicts[parts] = self._make(*parts)
        return self._verdicts[parts]


def by_verdict(verdict: Verdict) -> Verdict:
    """Return the verdict, as the tag of targets that are kept by it."""
    return verdict


class Survey(t.Protocol):
    """What one reading of the table finds."""

    def sort_out(self, block: Block) -> t.Iterator[tuple[t.Any, Block]]:
        """Count the entries of the block, and yield the targets among them by verdict."""


Found = t.TypeVar("Found", bound=Survey)


class Writer(t.Protocol):
    """What takes the targets as they are read."""

    def restart(self) -> None:
        """Drop what it has, because the table is read from its start."""

    def write(self, block: Block) -> None:
        """Take some targets."""


def survey_table(
    table: Table,
    conditions: t.Sequence[Condition],
    new_survey: t.Callable[[], Found],
    tag_of: t.Callable[[t.Any], Tag],
    *,
    keep_targets: bool = True,
    noting: t.Sequence[str] = (),
    clock: Clock | None = None,
    writer: Writer | None = None,
) -> tuple[Found, Targets[Tag]]:
    """Read the whole table. Return what was found, and the targets by the tag of their verdict.

    Without ``keep_targets`` there are none, because nothing will be changed. With a ``clock``, the fields in ``noting``
    are noted of each target, with the time at which it was read. A ``writer`` gets all targets. Raises what the table's
    ``read`` and the writer raise.
    """

    def collect(blocks: t.Iterator[Block]) -> tuple[Found, Targets[Tag]]:
        found, targets = new_survey(), Targets[Tag](noting)
        if writer:
            writer.restart()
        for block in blocks:
            moment = None if clock is None else clock.moment()
            for verdict, rows in found.sort_out(block):
                if writer:
                    writer.write(rows)
                if keep_targets:
                    targets.add(rows, tag_of(verdict), moment)
        return found, targets

    return table.read(collect, conditions, clock)

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A table whose entries change at the moment that a test wants, between two looks or two requests.

Deletes and looks are those that would be sent, with the ids that are in them.
"""

from __future__ import annotations

import errno
import struct
import time
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._netlink.clock import Moment
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block
from ansible_collections.netops.conntrack.plugins.module_utils._table.requests import (
    DELETE,
    LOOK_UP,
    Batch,
    Targets,
)
from ansible_collections.netops.conntrack.plugins.module_utils._table.writable import Found, Look, Outcomes
from helpers.encoded_messages import Fields, blocks_of


class TableInMemory:
    """The table. ``deleted`` has the ids of what was deleted, in their order.

    ``stuck`` is how many of these the kernel still counts at most, and ``refused`` has the errno with which a request
    for an id is refused. ``readings`` is how often the table was read. ``created`` has the source ports of what was
    made, ``labels`` those of the entries that have labels, and ``most`` how many entries there may be. An entry that is
    made gets its labels where ``has_labels`` says that a rule uses some.
    """

    def __init__(self, *entries: Fields) -> None:
        self.entries = {entry["id"]: dict(entry) for entry in entries}
        self.deleted: list[int] = []
        self.stuck = 0
        self.unlisted = 0
        self.refused: dict[int, int] = {}
        self.readings = 0
        self.created: list[int] = []
        self.labels: set[int] = set()
        self.has_labels = False
        self.most: int | None = None

    def count(self) -> int:
        """Return how many entries the kernel counts."""
        return len(self.entries) + min(self.stuck, len(self.deleted)) + self.unlisted

    def read(
        self, collect: t.Callable[[t.Iterator[Block]], t.Any], _conditions: t.Any = (), _clock: t.Any = None
    ) -> t.Any:
        """Return what ``collect`` makes of all entries."""
        self.readings += 1
        return collect(iter(blocks_of(*self.entries.values()) if self.entries else []))

    def delete(self, targets: Targets[t.Any], outcomes: Outcomes[t.Any]) -> None:
        """Delete the targets by their ids."""
        for tag, batch in targets.batches(DELETE, 1):
            for number in _ids(batch):
                outcomes[tag, self._answer(number)] += 1
                if not self._answer(number):
                    del self.entries[number]
                    self.deleted.append(number)

    def looks(self, targets: Targets[t.Any], outcomes: Outcomes[t.Any]) -> t.Iterator[Look[t.Any]]:
        """Look the targets up by their ids."""
        for tag, batch in targets.batches(LOOK_UP, 1):
            there = [number for number in _ids(batch) if not self._answer(number)]
            for number in set(_ids(batch)).difference(there):
                outcomes[tag, self._answer(number)] += 1
            places = {number: place for place, number in enumerate(_ids(batch))}
            now = time.monotonic()
            blocks = blocks_of(*(self.entries[number] for number in there)) if there else []
            found = [Found(block, [places[t.cast(int, entry.id)] for entry in block.entries()]) for block in blocks]
            yield Look(tag, found, Moment(now, now), batch.notes)

    def limit(self) -> int | None:
        """Return how many entries the table may have."""
        return self.most

    def create(self, block: Block, tag: t.Any, outcomes: Outcomes[t.Any]) -> Block:
        """Make the entries whose source port no other one has, and refuse those that are in ``refused``."""
        made: list[bool] = []
        for entry in block.entries():
            number = t.cast(int, entry.source_port)
            error = self.refused.get(number, errno.EEXIST if number in self.entries else 0)
            outcomes[tag, error] += 1
            made.append(not error)
            if not error:
                self.entries[number] = {"id": number, "protocol": entry.protocol, "source_port": number}
                self.created.append(number)
                self.labels.update([number] if self.has_labels else [])
        return block.where(made)

    def without_labels(self, block: Block) -> int:
        """Return how many of the entries have no labels."""
        numbers = {t.cast(int, entry.source_port) for entry in block.entries()}
        return len(numbers.intersection(self.entries) - self.labels)

    def _answer(self, number: int) -> int:
        return self.refused.get(number, 0 if number in self.entries else errno.ENOENT)


def _ids(batch: Batch) -> list[int]:
    """Return the ids in the requests. Each is the last word of a name, in the byte order of the network."""
    return [int.from_bytes(struct.pack("=I", name[-1]), "big") for name in batch.names()]

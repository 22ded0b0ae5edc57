# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The connection-tracking table as it can be changed, entry by entry."""

from __future__ import annotations

import collections
import dataclasses
import errno
import time
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._errors import ConntrackError, DumpError
from ansible_collections.netops.conntrack.plugins.module_utils._interrupt import uninterrupted
from ansible_collections.netops.conntrack.plugins.module_utils._netlink import framing, transport
from ansible_collections.netops.conntrack.plugins.module_utils._netlink.clock import Moment
from ansible_collections.netops.conntrack.plugins.module_utils._table import creation
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block
from ansible_collections.netops.conntrack.plugins.module_utils._table.decoder import Decoder
from ansible_collections.netops.conntrack.plugins.module_utils._table.requests import (
    DELETE,
    LOOK_UP,
    Batch,
    Notes,
    Request,
    Tag,
    Targets,
)
from ansible_collections.netops.conntrack.plugins.module_utils._table.table import Table

_ANSWER = 1 << 16
_LOOKED_UP = 1
"""The number that entries which were looked up get, so that the layout of one holds for all."""

Outcomes = collections.Counter[tuple[Tag, int]]
"""What became of targets: their number by tag and errno, 0 being success."""


class Found(t.NamedTuple):
    """Entries that were looked up, and the place that each of them has in the batch of requests."""

    block: Block
    places: list[int]


@dataclasses.dataclass(frozen=True)
class Look(t.Generic[Tag]):
    """What a batch of requests found, when, and what had been noted of its entries before."""

    tag: Tag
    found: list[Found]
    moment: Moment
    notes: Notes | None


class WritableTable(Table):
    """The table as it can be read and changed."""

    def __init__(self, read_ahead: bool | None = None, machine_limit: int | None = None) -> None:
        """Open it, as Table does."""
        super().__init__(read_ahead, machine_limit)
        self._buffer = bytearray(_ANSWER)

    def delete(self, targets: Targets[Tag], outcome: Outcomes[Tag] | None = None) -> Outcomes[Tag]:
        """Delete the targets, and return their number by tag and errno: 0 is deleted, ENOENT was gone (or replaced).

        They are added to ``outcome``, if it is given, while they are deleted. Raises ConntrackError where the kernel
        does not answer, so that it cannot be told what became of the last ones.
        """
        return self._change(targets, DELETE, outcome)

    def update(self, targets: Targets[Tag], request: Request, outcome: Outcomes[Tag] | None = None) -> Outcomes[Tag]:
        """Send the request (see _table.requests.update) for each target. All else is as with ``delete``.

        The kernel does not compare the id: what has replaced a target is updated in its place. So ``look_up`` first.
        """
        return self._change(targets, request, outcome)

    def create(self, block: Block, tag: Tag, outcome: Outcomes[Tag]) -> Block:
        """Make the entries of a block, and return those that were made. All else is as with ``delete``.

        Nothing that is in the table is changed: EEXIST is an entry of one of the two tuples. The block has one status
        and one state (see _table.creation).
        """
        first = self._sequence + 1
        self._sequence += len(block)
        failed: set[int] = set()
        for batch in creation.batches(block, first):
            failed.update(self._count(batch, tag, outcome))
        return block.where(number not in failed for number in range(first, first + len(block))) if failed else block

    def without_labels(self, block: Block) -> int:
        """Return how many of the entries that have the original tuples of these have no labels.

        Those that are gone are not counted. Raises ConntrackError.
        """
        first = self._sequence + 1
        self._sequence += len(block)
        answers = (entry for batch in creation.look_ups(block, first) for entry in self._send(batch)[1])
        return sum(not _has_labels(entry) for entry in answers)

    def look_up(self, targets: Targets[Tag], outcome: Outcomes[Tag]) -> t.Iterator[tuple[Tag, list[Block]]]:
        """Yield, in batches of one tag, those targets that are still there, as they are now.

        The others are added to ``outcome`` by their errno: ENOENT is gone (or replaced). Raises ConntrackError where
        the kernel does not answer.
        """
        for look in self.looks(targets, outcome):
            yield look.tag, [found.block for found in look.found]

    def looks(self, targets: Targets[Tag], outcome: Outcomes[Tag]) -> t.Iterator[Look[Tag]]:
        """Look the targets up batch by batch, as ``look_up`` does, and yield what each of the looks found."""
        decoder = Decoder(_LOOKED_UP)
        splitter = framing.Splitter()
        for tag, batch in self._batches(targets, LOOK_UP):
            begun = time.monotonic()
            errors, entries = self._send(batch)
            moment = Moment(begun, time.monotonic())
            names = batch.names()
            blocks = decoder.blocks(splitter.runs(b"".join(entries)))
            found = [each for each in (_only_of(block, names) for block in blocks) if each.places]
            outcome.update((tag, error) for error in errors.values())
            outcome[tag, errno.ENOENT] += batch.size - len(errors) - sum(len(each.places) for each in found)
            yield Look(tag, found, moment, batch.notes)

    def _change(self, targets: Targets[Tag], request: Request, outcome: Outcomes[Tag] | None) -> Outcomes[Tag]:
        if outcome is None:
            outcome = collections.Counter()
        for tag, batch in self._batches(targets, request):
            self._count(batch, tag, outcome)
        return outcome

    def _count(self, batch: Batch, tag: Tag, outcome: Outcomes[Tag]) -> t.Collection[int]:
        """Send requests that change something, count what became of them, and return the numbers of the failed ones."""
        # A signal waits until the batch is counted, so that what is said of it is exact.
        with uninterrupted():
            errors, _entries = self._send(batch)
            outcome.update((tag, error) for error in errors.values())
            outcome[tag, 0] += batch.size - len(errors)
        return errors.keys()

    def _batches(self, targets: Targets[Tag], request: Request) -> t.Iterator[tuple[Tag, Batch]]:
        """Return the requests, with numbers that no other request on the socket has."""
        first = self._sequence + 1
        self._sequence += len(targets)
        return targets.batches(request, first)

    def _send(self, batch: Batch) -> tuple[dict[int, int], list[bytes]]:
        """Send the requests, and return the errnos of the failed ones by their number, and the entries in the answers.

        Success is silent but for the last one's.
        """
        errors: dict[int, int] = {}
        entries: list[bytes] = []
        try:
            transport.send(self._socket, batch.datagram)
            while True:
                length = transport.receive(self._socket, self._buffer)
                datagram = bytes(memoryview(self._buffer)[:length])
                for message in framing.messages(datagram):
                    if not batch.first <= message.sequence <= batch.last:
                        continue
                    if message.type == _uapi.CT_NEW:
                        entries.append(framing.renumbered(datagram[message.start : message.end], _LOOKED_UP))
                    elif message.type == _uapi.NLMSG_ERROR:
                        error_number = framing.error_of(datagram[message.start : message.end])
                        if error_number:
                            errors[message.sequence] = error_number
                        if message.sequence == batch.last:
                            return errors, entries
        except DumpError as error:
            raise ConntrackError(
                f"The answers to the last requests are missing, so that these cannot be counted: {error.message}"
            ) from error


def _only_of(block: Block, names: t.Mapping[tuple[int, ...], int]) -> Found:
    """Return those entries of the block that were meant, and not what has taken their place."""
    places = [names.get(name) for name in zip(*map(block.word_column, block.layout.identity))]
    if None in places:
        block = block.where(place is not None for place in places)
    return Found(block, [place for place in places if place is not None])


def _has_labels(message: bytes) -> bool:
    attributes = framing.walk(message, framing.ATTRIBUTES_AT, len(message))
    return any(kind == _uapi.CTA_LABELS for kind, _start, _end in attributes)

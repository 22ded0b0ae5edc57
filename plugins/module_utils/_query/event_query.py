# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""One question to the events of some seconds, answered for the entries that were made and for those that ended."""

from __future__ import annotations

import concurrent.futures
import queue
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.module_utils._query.export import Export
from ansible_collections.netops.conntrack.plugins.module_utils._query.query import Observer, Query, run_query
from ansible_collections.netops.conntrack.plugins.module_utils._selector.compiler import Selection
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block
from ansible_collections.netops.conntrack.plugins.module_utils._table.events import (
    DESTROYED,
    KINDS,
    NEW,
    Events,
)
from ansible_collections.netops.conntrack.plugins.module_utils._table.kernel_filter import Condition
from ansible_collections.netops.conntrack.plugins.module_utils._units import parse_duration

_BLOCKS = 64
"""Blocks that wait to be counted. The kernel keeps what comes meanwhile, until it has no more room."""

_PAUSE = 0.1

_SHORTEST, _LONGEST = 1, 600

Answer = dict[str, t.Any]


def parse_listening_time(value: t.Any) -> int:
    """Return the option ``duration`` in seconds. Raises OptionError."""
    seconds = parse_duration(value, "duration")
    if not _SHORTEST <= seconds <= _LONGEST:
        raise OptionError("duration", value, "is out of range", "Give 1s to 10m, such as 30s.")
    return seconds


class _Feed:
    """The events of one kind, which a query reads in a thread of its own like the entries of a dump."""

    def __init__(self) -> None:
        self._blocks: queue.Queue[Block | None] = queue.Queue(_BLOCKS)

    def count(self) -> int | None:
        """Return None: nobody counts events."""
        return None

    def read(
        self,
        collect: t.Callable[[t.Iterator[Block]], Answer],
        conditions: t.Sequence[Condition] = (),
        *,
        fields: t.Iterable[str] | None = None,
    ) -> Answer:
        """Return what ``collect`` makes of the events, when the last one has come."""
        return collect(iter(self._blocks.get, None))

    def put(self, block: Block | None, answer: concurrent.futures.Future[Answer]) -> None:
        """Hand over a block, or None for the end. Nothing is handed to a query that has ended with an error."""
        while not answer.done():
            try:
                self._blocks.put(block, timeout=_PAUSE)
                return
            except queue.Full:
                continue


def run_event_query(
    events: Events,
    seconds: float,
    selection: Selection,
    context: Context,
    query: Query,
    exports: t.Mapping[str, Export],
    observe: t.Callable[[], Observer] | None = None,
) -> dict[str, Answer]:
    """Listen for so many seconds. Return for each kind of event what ``run_query`` returns for its entries.

    Raises what ``Events.listen`` and ``run_query`` raise.
    """
    feeds = {kind: _Feed() for kind in KINDS}
    with concurrent.futures.ThreadPoolExecutor(len(feeds)) as pool:
        answers = {
            kind: pool.submit(run_query, feed, selection, context, query, exports.get(kind), observe)
            for kind, feed in feeds.items()
        }
        try:
            for kind, block in events.listen(seconds, context.now):
                feeds[kind].put(block, answers[kind])
        finally:
            for kind, feed in feeds.items():
                feed.put(None, answers[kind])
        return {kind: answer.result() for kind, answer in answers.items()}


def account_of(
    answers: t.Mapping[str, Answer], count_before: int | None, count_after: int | None, losses: int
) -> dict[str, t.Any]:
    """Return what is unknown of the events, as the module returns it, with warnings about those that did not come.

    ``count_before`` and ``count_after`` are the kernel's counts of the entries. ``losses`` is how often
    events got lost.
    """
    not_told = None
    if count_before is not None and count_after is not None and not losses:
        ended = count_before + answers[NEW]["total"] - count_after
        not_told = max(ended - answers[DESTROYED]["total"], 0)
    return {
        "count_before": count_before,
        "count_after": count_after,
        "losses": losses,
        "not_told": not_told,
        "undecidable": sum(answer["undecidable"] for answer in answers.values()),
        "warnings": list(_warnings(losses, not_told)),
    }


def _warnings(losses: int, not_told: int | None) -> t.Iterator[str]:
    if losses:
        yield (
            f"The kernel had no room for events {losses} times. More happened than the numbers say. Run it for a "
            "shorter time, or without group_by, entries, dest and dest_destroyed."
        )
    if not_told:
        yield (
            f"{not_told} entries ended without an event. Where net.netfilter.nf_conntrack_events is 2, the kernel "
            "tells of the end of those connections only that began while somebody listened. With 1, it tells of all "
            "that begin from then on."
        )

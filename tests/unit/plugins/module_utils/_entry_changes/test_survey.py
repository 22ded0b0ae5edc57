# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.survey import Judge, survey_table
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block
from ansible_collections.netops.conntrack.plugins.module_utils._table.requests import Request
from helpers.encoded_messages import blocks_of

PORTS = range(1, 7)
REQUEST = Request(0)


class Parity:
    """Takes the entries with an odd port for targets. A verdict is the remainder, as a text."""

    def __init__(self) -> None:
        self.seen = 0
        self._judge = Judge(("source_port",), lambda entry: ((entry.source_port or 0) % 2,), str, {})

    def sort_out(self, block: Block) -> t.Iterator[tuple[str, Block]]:
        judged = self._judge(block)
        self.seen += len(block)
        for verdict in judged.counts:
            if verdict == "1":
                yield verdict, judged.rows_with_verdict(verdict)


class Table:
    """A table that is read twice over, as one does that changes its size in between."""

    def read(self, collect: t.Callable[[t.Iterator[Block]], t.Any], *_given: object) -> t.Any:
        blocks = blocks_of(*({"source_port": port, "id": port} for port in PORTS))
        collect(iter(blocks))
        return collect(iter(blocks))


def test_entries_with_equal_parts_have_one_verdict() -> None:
    judge = Judge(("source_port",), lambda entry: ((entry.source_port or 0) % 2,), lambda odd: (odd,), {})
    [block] = blocks_of(*({"source_port": port} for port in PORTS))
    judged = judge(block)
    assert len({id(verdict) for verdict in judged.verdicts}) == 2
    assert sorted(judged.counts.values()) == [3, 3]
    odd = judged.verdicts[0]
    assert [entry.source_port for entry in judged.rows_with_verdict(odd).entries()] == [1, 3, 5]


def test_a_reading_that_begins_again_counts_anew() -> None:
    found, targets = survey_table(t.cast(t.Any, Table()), (), Parity, lambda verdict: verdict)
    assert found.seen == len(PORTS)
    assert sum(batch.size for _tag, batch in targets.batches(REQUEST, 1)) == 3


def test_no_targets_where_nothing_will_be_changed() -> None:
    found, targets = survey_table(t.cast(t.Any, Table()), (), Parity, lambda verdict: verdict, keep_targets=False)
    assert found.seen == len(PORTS)
    assert list(targets.batches(REQUEST, 1)) == []

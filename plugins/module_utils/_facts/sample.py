# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""What is found among the first entries of a dump, and counted in all of them.

The first entries are a fair sample of a table, because the kernel walks through the buckets of a hash whose key nobody
knows.
"""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block

SAMPLE = 5_000
"""Entries of a sample. Of 1,000 samples, one finds a share of 5 % smaller than 4.05 %."""

_SAMPLE_BYTES = 1 << 22
"""Bytes of their messages that are kept at most. Labels and names can make them long."""


class Counts(t.Protocol):
    """Counts something in blocks."""

    def add(self, block: Block) -> None:
        """Count the entries of a block."""


_Counts = t.TypeVar("_Counts", bound=Counts)


class FoundInSample(t.Generic[_Counts]):
    """Keeps blocks until there are enough to ``find`` in them what is to be counted, then counts it in all of them."""

    def __init__(self, find: t.Callable[[list[Block]], _Counts]) -> None:
        self._find = find
        self._sample: list[Block] = []
        self._sampled = 0
        self._sampled_bytes = 0
        self._counts: _Counts | None = None

    def add(self, block: Block) -> None:
        """Count the entries of a block, or keep them as a part of the sample."""
        if self._counts is not None:
            self._counts.add(block)
            return
        self._sample.append(block)
        self._sampled += len(block)
        self._sampled_bytes += len(block.data)
        if self._sampled >= SAMPLE or self._sampled_bytes >= _SAMPLE_BYTES:
            self._counts = self._found()

    def counts(self) -> _Counts:
        """Return what was counted."""
        if self._counts is None:
            self._counts = self._found()
        return self._counts

    def _found(self) -> _Counts:
        """Return what is found in the sample, counted in it. The sample is not needed any more then."""
        counts = self._find(self._sample)
        for block in self._sample:
            counts.add(block)
        self._sample = []
        return counts

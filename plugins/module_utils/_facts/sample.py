# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The first entries of a dump.

They are a fair sample of a table, because the kernel walks through the buckets of a hash whose key nobody knows.
"""

from __future__ import annotations

from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block

SAMPLE = 5_000
"""How many entries are enough. Of 1,000 samples, one finds a share of 5 % smaller than 4.05 %."""

_SAMPLE_BYTES = 1 << 22
"""Bytes of their messages that are kept at most. Labels and names can make them long."""


class Sample:
    """Blocks of entries, until there are enough of them."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self._entries = 0
        self._bytes = 0

    def add(self, block: Block) -> None:
        """Keep a block."""
        self.blocks.append(block)
        self._entries += len(block)
        self._bytes += len(block.data)

    @property
    def is_full(self) -> bool:
        """Whether there are enough entries."""
        return self._entries >= SAMPLE or self._bytes >= _SAMPLE_BYTES

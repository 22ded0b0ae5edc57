# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The tuples of the entries in a table, to tell which new entries the kernel would refuse because of them.

An entry is in the table by both of its tuples, and the kernel makes none of which it has one, in either direction
(nf_conntrack_hash_check_insert() in net/netfilter/nf_conntrack_core.c). A zone counts for the directions that it holds
for.
"""

from __future__ import annotations

import array
import collections
import itertools
import struct
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._netlink import framing
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block
from ansible_collections.netops.conntrack.plugins.module_utils._table.creation import reply_types

_PREFIXES = {"zone_original": "", "zone_reply": "reply_"}


class Presence:
    """The tuples that are in a table, by family and protocol. They take about 100 bytes each."""

    def __init__(self) -> None:
        self._tuples: collections.defaultdict[tuple[int, int], set[bytes]] = collections.defaultdict(set)

    def add(self, block: Block) -> None:
        """Add the tuples of entries that are there."""
        known = self._tuples_like(block)
        for zone in _PREFIXES:
            known.update(_tuples_of(block, zone))

    def add_new(self, block: Block) -> int:
        """Add the tuples of those entries that can be made one after the other. Return how many these are."""
        known = self._tuples_like(block)
        added = 0
        for one, other in zip(*(_tuples_of(block, zone) for zone in _PREFIXES)):
            if one not in known and other not in known:
                known.update((one, other))
                added += 1
        return added

    def _tuples_like(self, block: Block) -> set[bytes]:
        return self._tuples[block.layout.constants["family"], block.layout.constants["protocol"]]


def _tuples_of(block: Block, zone: str) -> t.Iterator[bytes]:
    """Return the tuple of every row in the direction that this zone is of, with the number of the zone."""
    columns = [*_columns(block, _PREFIXES[zone]), _zones(block, zone)]
    width = len(columns)
    words = array.array("I", bytes(width * framing.WORD.size * len(block)))
    for number, column in enumerate(columns):
        words[number::width] = column
    return itertools.chain.from_iterable(struct.iter_unpack(f"{width * framing.WORD.size}s", words.tobytes()))


def _columns(block: Block, prefix: str) -> t.Iterator[array.array[int]]:
    names = ["source", "destination"]
    if "source_port" in block.layout.fields:
        names += ["source_port", "destination_port"]
    for name in names:
        yield from block.word_columns(f"{prefix}{name}")
    if block.layout.constants["protocol"] in _uapi.ICMP_PROTOCOLS:
        yield from _icmp_columns(block, prefix)


def _icmp_columns(block: Block, prefix: str) -> t.Iterator[array.array[int]]:
    for name in ("icmp_id", "icmp_code"):
        own = f"{prefix}{name}"
        yield from block.word_columns(own if own in block.layout.fields else name)
    yield reply_types(block) if prefix else block.word_columns("icmp_type")[0]


def _zones(block: Block, name: str) -> array.array[int]:
    """Return the zones that hold for this direction, 0 where there is none."""
    of_one_direction = [zone for zone in _PREFIXES if zone in block.layout.fields]
    field = name if of_one_direction else "zone"
    if field in block.layout.fields:
        return block.word_columns(field)[0]
    return array.array("I", bytes(framing.WORD.size * len(block)))

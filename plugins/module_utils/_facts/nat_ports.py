# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""How many ports of a public address are in use towards one service.

NAT gives each connection to the same address and port a source port of its own. When the kernel finds none, it drops
the first packet of the next connection (nf_nat_l4proto_unique_tuple() in net/netfilter/nf_nat_core.c). Without a range
in the rule, there are 64,512: the ports from 1024 on.

A service is counted if it stands out among the first entries of a dump. One with half of 64,512 ports does, unless the
table has more than six million entries.
"""

from __future__ import annotations

import collections
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._facts.cluster_counts import ClusterCounts
from ansible_collections.netops.conntrack.plugins.module_utils._facts.clusters import FieldCondition
from ansible_collections.netops.conntrack.plugins.module_utils._facts.networks import Network
from ansible_collections.netops.conntrack.plugins.module_utils._facts.sample import FoundInSample
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block

MOST_PAIRS = 8
"""Pairs of a public address and a service that are counted at most: those with most entries of the sample."""

_LEAST_IN_SAMPLE = 10
"""Entries of the sample that a pair has, to be counted. 0.5 % of a table are 25 of 5,000, and fewer than 10 once in
4,500 samples."""


class _Pair(t.NamedTuple):
    """A public address, and the service that connections go to from it: what their answers come from, and go to.

    The zone is a part of it, because the same ports can be used in each.
    """

    protocol: int
    zone: int
    service: bytes
    service_port: int
    address: bytes

    @property
    def conditions(self) -> list[FieldCondition]:
        """What holds for the fields of the entries."""
        size = len(self.address)
        return [
            FieldCondition("status", _uapi.SRC_NAT, _uapi.SRC_NAT),
            FieldCondition("reply_destination", int.from_bytes(self.address, "big"), size=size),
            FieldCondition("reply_source", int.from_bytes(self.service, "big"), size=size),
            FieldCondition("reply_source_port", self.service_port),
            FieldCondition("zone", self.zone),
        ]

    def result(self, ports: int) -> dict[str, t.Any]:
        return {
            "protocol": _uapi.PROTOCOL_NAMES.get(self.protocol, str(self.protocol)),
            "address": _text(self.address),
            "destination": _text(self.service),
            "destination_port": self.service_port,
            "zone": self.zone,
            "ports": ports,
        }


def _text(address: bytes) -> str:
    return Network(address, 8 * len(address)).text


class NatPorts:
    """Counts the ports in use, pair by pair. It is given the blocks of the table one after the other."""

    def __init__(self) -> None:
        self._pairs = FoundInSample(lambda sample: _Counting(_frequent_pairs(sample)))

    def add(self, block: Block) -> None:
        """Count the entries of a block, or keep them as a part of the sample."""
        self._pairs.add(block)

    def result(self) -> list[dict[str, t.Any]]:
        """Return the pairs with most ports in use first."""
        return self._pairs.counts().result()


class _Counting:
    """Counts some pairs. No entry is in two of them."""

    def __init__(self, pairs: list[_Pair]) -> None:
        self._pairs = pairs
        self._rows = ClusterCounts(pairs)
        self._ports = [0] * len(pairs)

    def add(self, block: Block) -> None:
        rows = self._rows.rows_of(block)
        patterns = rows.patterns() if rows is not None else {}
        for pattern, entries in patterns.items():
            self._ports[pattern.bit_length() - 1] += entries

    def result(self) -> list[dict[str, t.Any]]:
        counted = sorted(zip(self._ports, self._pairs), key=lambda each: (-each[0], each[1]))
        return [pair.result(ports) for ports, pair in counted]


def _frequent_pairs(sample: list[Block]) -> list[_Pair]:
    counts = collections.Counter(pair for block in sample for pair in _pairs_of(block))
    return [pair for pair, entries in counts.most_common(MOST_PAIRS) if entries >= _LEAST_IN_SAMPLE]


def _pairs_of(block: Block) -> t.Iterator[_Pair]:
    """Yield the pair of each entry whose source was translated."""
    protocol, fields = block.layout.constants["protocol"], block.layout.fields
    if protocol not in _uapi.PORT_PROTOCOLS or not {"status", "reply_source_port"} <= fields.keys():
        return
    columns = (block.column(name) for name in ("status", "zone", "reply_source", "reply_source_port"))
    for status, zone, service, port, address in zip(*columns, block.byte_strings("reply_destination")):
        if status & _uapi.SRC_NAT:
            yield _Pair(protocol, zone, service, port, address)

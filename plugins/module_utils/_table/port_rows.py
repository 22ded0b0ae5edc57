# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Which rows of a block have one of some ports."""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._entry.control_traffic import PORT_FIELDS
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block

Ports = t.Mapping[int, t.AbstractSet[int]]
"""Ports by the number of their protocol."""


def rows_with_ports(block: Block, ports: Ports) -> list[bool]:
    """Return for each row whether one of its four ports is among those of its protocol. No rows where none is."""
    wanted = ports.get(block.layout.constants["protocol"])
    if not wanted or "source_port" not in block.layout.fields:
        return []
    if all(wanted.isdisjoint(block.column(field)) for field in PORT_FIELDS):
        return []
    return [not wanted.isdisjoint(four) for four in zip(*map(block.column, PORT_FIELDS))]


def ports_by_protocol(pairs: t.Iterable[tuple[int, int]]) -> Ports:
    """Return ports that are given as pairs of a protocol and a port."""
    found: dict[int, set[int]] = {}
    for protocol, port in pairs:
        found.setdefault(protocol, set()).add(port)
    return found

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Entries that a router lives by, which stay although they are selected: its routing, tunnels and the like.

Each protection has a name. A test of a protection looks at the columns of a block, so that nothing is decoded entry by
entry where surely none is meant.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._entry.control_traffic import (
    PORTS,
    PROTOCOLS,
)
from ansible_collections.netops.conntrack.plugins.module_utils._entry.entry import Entry
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.options import (
    ADDRESS,
    CONNTRACKD,
    EXPECTATION,
)
from ansible_collections.netops.conntrack.plugins.module_utils._selector.compiler import compile_selection
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block
from ansible_collections.netops.conntrack.plugins.module_utils._table.memo import Memo
from ansible_collections.netops.conntrack.plugins.module_utils._table.port_rows import (
    ports_by_protocol,
    rows_with_ports,
)

Rows = t.Sequence[t.Any]
"""Has something true for each row that is protected. There are no rows where surely none is."""

_NONE: Rows = ()
_MASTER_FIELDS = ("protocol", "source", "source_port", "destination", "destination_port")


class Master(t.NamedTuple):
    """The original tuple of a connection because of which another one is expected, with packed addresses."""

    protocol: int
    source: bytes
    source_port: int | None
    destination: bytes
    destination_port: int | None

    @classmethod
    def from_entry(cls, entry: Entry) -> Master:
        """Return the tuple of an entry."""
        return cls(*(getattr(entry, field) for field in _MASTER_FIELDS))


class Protection(t.NamedTuple):
    """A protection with its name, and which rows of a block it protects."""

    name: str
    rows_of: t.Callable[[Block], Rows]


@dataclasses.dataclass(frozen=True)
class Protections:
    """Some protections. An entry that several protect counts for the first of them."""

    parts: tuple[Protection, ...]

    def divide(self, block: Block) -> t.Iterator[tuple[str, Block]]:
        """Yield the entries by the name of what protects them, with "" for those that nothing protects."""
        for name, rows_of in self.parts:
            if not len(block):
                return
            rows = rows_of(block)
            if any(rows):
                yield name, block.where(rows)
                block = block.where(not row for row in rows)
        if len(block):
            yield "", block


NO_PROTECTIONS = Protections(())


def protections_of(
    unprotected: t.Collection[str],
    addresses: t.Sequence[Protection] = (),
    masters: t.Collection[Master] = (),
    sync_ports: t.Collection[tuple[int, int]] = (),
) -> Protections:
    """Return all protections but those that are ``unprotected``, by name.

    ``addresses`` is what ``address_protection`` returns, ``masters`` are the connections because of which others are
    expected, and ``sync_ports`` the ports over which conntrackd hands entries on, each with its protocol.
    """
    parts = [
        *([Protection(EXPECTATION, _master_test(frozenset(masters)))] if masters else ()),
        *addresses,
        *(Protection(name, _protocol_test(number)) for number, name in PROTOCOLS.items()),
        *(Protection(name, _port_test(ports)) for name, ports in _ports_by_name().items()),
        *([Protection(CONNTRACKD, _port_test(sync_ports))] if sync_ports else ()),
    ]
    return Protections(tuple(part for part in parts if part.name not in unprotected))


def address_protection(addresses: t.Sequence[str], option: str = "protect") -> list[Protection]:
    """Return the protection of entries with one of the addresses or networks. There is none without any.

    ``option`` is where they stand, for errors. Raises OptionError for what is no address or network.
    """
    if not addresses:
        return []
    selection = compile_selection([{"address": addresses}], None, Context({}, 0), option)
    return [Protection(ADDRESS, Memo(selection.fields, selection.decide, selection.breakpoints))]


def _ports_by_name() -> dict[str, list[tuple[int, int]]]:
    found: dict[str, list[tuple[int, int]]] = {}
    for protocol, ports in PORTS.items():
        for port, name in ports.items():
            found.setdefault(name, []).append((protocol, port))
    return found


def _protocol_test(protocol: int) -> t.Callable[[Block], Rows]:
    return lambda block: [True] * len(block) if block.layout.constants["protocol"] == protocol else _NONE


def _port_test(ports: t.Collection[tuple[int, int]]) -> t.Callable[[Block], Rows]:
    by_protocol = ports_by_protocol(ports)
    return lambda block: rows_with_ports(block, by_protocol)


def _master_test(masters: frozenset[Master]) -> t.Callable[[Block], Rows]:
    ports = {master.source_port for master in masters}

    def rows_of(block: Block) -> Rows:
        # What has a helper is kept because of that, or is meant with all that the helper expects.
        if "helper" in block.layout.fields or ports.isdisjoint(block.column("source_port")):
            return _NONE
        return [Master.from_entry(entry) in masters for entry in block.entries(_MASTER_FIELDS)]

    return rows_of

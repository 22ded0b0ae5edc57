# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The guards: which of the selected entries stay anyway, by the options and by what the machine tells."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.options import (
    CONNTRACKD,
    EXPECTATION,
    HELPER,
    MANAGEMENT,
)
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.protections import (
    NO_PROTECTIONS,
    Master,
    Protections,
    address_protection,
    protections_of,
)
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.second_look import (
    StateAndStatus,
    obstacle,
)
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.ssh_connections import (
    Connection,
    management_connections,
    of_management,
    without_management,
)
from ansible_collections.netops.conntrack.plugins.module_utils._errors import NotPermittedError, RefusedError
from ansible_collections.netops.conntrack.plugins.module_utils._expectations.dump import list_expectations
from ansible_collections.netops.conntrack.plugins.module_utils._pair.sync_ports import sync_ports
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block


@dataclasses.dataclass(frozen=True)
class Guards:
    """Which of the selected entries stay anyway.

    They are those of ``connections``, with ``helpers`` those with a helper, and those that ``protections`` name.
    """

    connections: t.Collection[Connection]
    helpers: bool
    protections: Protections = NO_PROTECTIONS

    def protect(self, block: Block) -> t.Iterator[tuple[str, Block]]:
        """Yield the entries by the name of what protects them, with "" for those that nothing protects."""
        own = of_management(block, self.connections)
        if own is not None:
            yield MANAGEMENT, own
        others = without_management(block, self.connections)
        # Deleting an entry with a helper would delete what the helper expects, too.
        if self.helpers and "helper" in block.layout.fields:
            if len(others):
                yield HELPER, others
        else:
            yield from self.protections.divide(others)

    def divide(self, block: Block, first_look: StateAndStatus | None) -> t.Iterator[tuple[str, Block]]:
        """Yield the entries by the reason why they stay, with "" for the reason of those that do not.

        With a ``first_look``, those stay as well of which a second look could tell nothing.
        """
        why = obstacle(block.layout, first_look.status) if first_look else ""
        for reason, part in self.protect(block):
            yield reason or why, part


def guards_of(params: t.Mapping[str, t.Any], helpers: bool = True) -> Guards:
    """Return the guards of the PROTECT_OPTIONS in ``params``, in the network namespace that the process is in.

    ``helpers`` is whether entries with a helper are protected if ``unprotect`` does not name them.
    Raises OptionError, and what ``list_expectations`` raises. Raises RefusedError where it cannot be seen what has to
    be protected, with the name that turns the protection off.
    """
    unprotected = frozenset(params["unprotect"])
    if not params["protect_management"]:
        unprotected |= {MANAGEMENT}
    addresses = address_protection(params["protect"])
    protections = protections_of(
        unprotected,
        addresses,
        frozenset() if EXPECTATION in unprotected else _masters(),
        _unless(CONNTRACKD, unprotected, sync_ports),
    )
    connections = _unless(MANAGEMENT, unprotected, management_connections)
    return Guards(connections, helpers and HELPER not in unprotected, protections)


Known = t.TypeVar("Known")


def _unless(name: str, unprotected: t.Collection[str], read: t.Callable[[], frozenset[Known]]) -> frozenset[Known]:
    """Return what is read for a protection, or nothing if that is turned off."""
    if name in unprotected:
        return frozenset()
    try:
        return read()
    except NotPermittedError as error:
        remedy = f"To change entries without this protection, give unprotect: [{name}]."
        raise RefusedError(f"{error.message} Nothing was changed. {remedy}") from None


def _masters() -> frozenset[Master]:
    return frozenset(Master.from_entry(one.master) for one in list_expectations())

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""A table as a prune will leave it, for the rehearsal of what comes after the prune."""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._management import Connection, without_management
from ansible_collections.netops.conntrack.plugins.module_utils._memo import Memo
from ansible_collections.netops.conntrack.plugins.module_utils._selector import Selection
from ansible_collections.netops.conntrack.plugins.module_utils._wire import Block


class Pruned:
    """Leaves out the entries that a prune with this ``selection`` would delete.

    As in a prune, those of ``connections`` stay, and those with a helper unless the selection names helpers.
    """

    def __init__(self, selection: Selection, connections: t.Collection[Connection]) -> None:
        self._decide = Memo(selection.needs, selection.decide, selection.steps)
        self._protects_helpers = "helper" not in selection.keys
        self._connections = connections

    def __call__(self, block: Block) -> Block:
        """Return the entries of the block that the prune leaves."""
        if self._protects_helpers and "helper" in block.layout.fields:
            return block
        decisions = self._decide(block)
        if True not in decisions:
            return block
        selected = block.where(decision is True for decision in decisions)
        deleted = set(without_management(selected, self._connections).column("id"))
        return block.where(
            decision is not True or entry_id not in deleted for decision, entry_id in zip(decisions, block.column("id"))
        )

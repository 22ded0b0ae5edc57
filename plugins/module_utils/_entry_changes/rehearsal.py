# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""A table as a prune will leave it, for the rehearsal of what comes after the prune."""

from __future__ import annotations

from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.prune_plan import PrunePlan
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.prune_survey import PruneSurvey
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block


class Pruned:
    """Leaves out the entries that a prune by the ``plan`` would delete."""

    def __init__(self, plan: PrunePlan) -> None:
        # Nobody asks for what it counts, which may be entries of several readings.
        self._survey = PruneSurvey(plan, None, {})

    def __call__(self, block: Block) -> Block:
        """Return the entries of the block that the prune leaves."""
        deleted: set[int] = set()
        for _verdict, targets in self._survey.sort_out(block):
            deleted.update(targets.column("id"))
        return block.where(entry_id not in deleted for entry_id in block.column("id")) if deleted else block

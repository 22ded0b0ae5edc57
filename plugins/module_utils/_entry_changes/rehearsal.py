# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""A table as a prune will leave it, for the rehearsal of what comes after the prune."""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.protections import address_protection
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.prune_plan import (
    PrunePlan,
    parse_confirm_idle,
    plan_of,
)
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.prune_survey import PruneSurvey
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.module_utils._selector.selection import selection_of
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


def pruned_by(options: t.Mapping[str, t.Any], context: Context) -> Pruned:
    """Return what leaves out the entries that a prune with the ``options`` would delete. Raises OptionError."""
    selection = selection_of(options, context, "assume_deleted", or_all=False)
    return Pruned(plan_of(options, selection, context))


def check_options(options: t.Mapping[str, t.Any]) -> None:
    """Refuse options that ``pruned_by`` would refuse, before anything is read. Raises OptionError."""
    selection_of(options, Context({}, 0), "assume_deleted", or_all=False)
    parse_confirm_idle(options["confirm_idle"])
    address_protection(options["protect"], "assume_deleted.protect")


def refuse_outside_check_mode(options: t.Mapping[str, t.Any] | None, check_mode: bool) -> None:
    """Raise OptionError for options of a prune that comes before, if this is no rehearsal."""
    if options is not None and not check_mode:
        problem = "is for rehearsals, but this is no check mode"
        raise OptionError("assume_deleted", options, problem, "Leave it out, or give --check.")

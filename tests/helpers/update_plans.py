# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An update of entries, and an entry that it updates."""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeout_claims import Claims
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.guards import Guards
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.update_plan import Aim, Mark, UpdatePlan
from ansible_collections.netops.conntrack.plugins.module_utils._selector.compiler import compile_selection
from helpers.strategies import SETTINGS

TCP, ESTABLISHED = 6, 3
LONG = 10**6
TCP_ENTRY = {"protocol": TCP, "state": ESTABLISHED, "status": 0, "remaining": LONG, "mark": 0, "id": 1}


def plan_of(
    timeout: int | str | None,
    mark: Mark | None = None,
    settings: t.Mapping[str, int] | None = None,
    match: list[t.Any] | None = None,
    claims: Claims | None = None,
) -> UpdatePlan:
    """Return a plan; without ``claims`` every sysctl was lowered from a value that explains all times."""
    values = SETTINGS if settings is None else settings
    every = Claims(dict.fromkeys(values, LONG), ())
    aim = Aim(timeout, mark, values, every if claims is None else claims)
    context = Context(values, 0)
    return UpdatePlan(compile_selection(match, None, context), aim, Guards((), helpers=False), context.timeouts.record)

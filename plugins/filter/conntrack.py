# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filters of the collection; each is documented in the YAML file of its name."""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.check import find
from ansible_collections.netops.conntrack.plugins.plugin_utils._filter import as_filter
from ansible_collections.netops.conntrack.plugins.plugin_utils._formats.render import render
from ansible_collections.netops.conntrack.plugins.plugin_utils._preparation.preparation import preparation
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document import roll_up
from ansible_collections.netops.conntrack.plugins.plugin_utils._rollout.batches import batches
from ansible_collections.netops.conntrack.plugins.plugin_utils._rollout.gates import health, stopped
from ansible_collections.netops.conntrack.plugins.plugin_utils._tuning.profiles import plan
from ansible_collections.netops.conntrack.plugins.plugin_utils._tuning.sizing import size

_FILTERS: dict[str, t.Callable[..., t.Any]] = {
    "conntrack_batches": batches,
    "conntrack_findings": find,
    "conntrack_health": health,
    "conntrack_plan": plan,
    "conntrack_preparation": preparation,
    "conntrack_render": render,
    "conntrack_rollup": roll_up,
    "conntrack_sizing": size,
    "conntrack_stopped": stopped,
}


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Return the filters by name."""
        return {name: as_filter(function, name) for name, function in _FILTERS.items()}

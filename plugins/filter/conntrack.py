# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filters of the collection; each is documented in the YAML file of its name."""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.plugin_utils._batches import batches
from ansible_collections.netops.conntrack.plugins.plugin_utils._checks import find
from ansible_collections.netops.conntrack.plugins.plugin_utils._filter import as_filter
from ansible_collections.netops.conntrack.plugins.plugin_utils._health import health, stopped
from ansible_collections.netops.conntrack.plugins.plugin_utils._profiles import plan
from ansible_collections.netops.conntrack.plugins.plugin_utils._render import render
from ansible_collections.netops.conntrack.plugins.plugin_utils._report import roll_up
from ansible_collections.netops.conntrack.plugins.plugin_utils._sizing import size


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Give the filters by name."""
        return {
            "conntrack_batches": as_filter(batches),
            "conntrack_findings": as_filter(find),
            "conntrack_health": as_filter(health),
            "conntrack_plan": as_filter(plan),
            "conntrack_render": as_filter(render),
            "conntrack_rollup": as_filter(roll_up),
            "conntrack_sizing": as_filter(size),
            "conntrack_stopped": as_filter(stopped),
        }

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's half of conntrack_create: it refuses what would run on another machine than the router."""

from __future__ import annotations

from ansible_collections.netops.conntrack.plugins.plugin_utils._router.action import RouterAction


class ActionModule(RouterAction):
    """Runs the module on the router."""

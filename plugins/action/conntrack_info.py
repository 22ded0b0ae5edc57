# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's half of conntrack_info: it refuses what would run on another machine than the router."""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.plugin_utils._router.action import RouterAction


class ActionModule(RouterAction):
    """Runs the module on the router, or wherever a file is that it is to read."""

    def _refuse_other_machine(self, task_vars: dict[str, t.Any] | None) -> None:
        """Raise RefusedError if another machine's table would be read. A file is the same wherever it is read."""
        if not self._task.args.get("src"):
            super()._refuse_other_machine(task_vars)

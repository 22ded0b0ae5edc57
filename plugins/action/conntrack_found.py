# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What conntrack_info found on the routers of a play, as one table: works on the controller alone."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase
from ansible_collections.netops.conntrack.plugins.module_utils._printable import visible
from ansible_collections.netops.conntrack.plugins.plugin_utils._filter import plain
from ansible_collections.netops.conntrack.plugins.plugin_utils._page.found import found_of, found_page
from ansible_collections.netops.conntrack.plugins.plugin_utils._terminal import is_for_people, show

_SPEC = {"variable": {"type": "str", "default": "conntrack_find_result"}}


class ActionModule(ActionBase):
    """Shows what was registered on each router. Run it once in a play over all routers."""

    _supports_check_mode = True
    _supports_async = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Show the table, and return how many entries ``matched`` by router, and the routers that are ``failing``.

        A table that is not shown is returned as ``text``.
        """
        super().run(tmp, task_vars)
        _validation, options = self.validate_argument_spec(_SPEC)
        variables = task_vars or {}
        hostvars = variables["hostvars"]
        found = {}
        for host in variables["ansible_play_hosts_all"]:
            registered = hostvars.raw_get(host).get(options["variable"])
            found[str(host)] = found_of(plain(registered))
        lines = found_page(found).splitlines()
        shows = is_for_people()
        if shows:
            show(lines)
        return {
            "changed": False,
            **({} if shows else {"text": lines}),
            "matched": {host: one.matched for host, one in found.items() if one.problem is None},
            "failing": {host: visible(one.problem) for host, one in found.items() if one.problem is not None},
        }

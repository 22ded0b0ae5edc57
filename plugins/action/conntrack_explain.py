# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What fills tables and what helps there, on the terminal: works on the controller alone."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase
from ansible_collections.netops.conntrack.plugins.plugin_utils._filter import as_filter, plain
from ansible_collections.netops.conntrack.plugins.plugin_utils._page.explained_tables import text_of
from ansible_collections.netops.conntrack.plugins.plugin_utils._terminal import is_for_people, show

_SPEC = {"tables": {"type": "dict", "required": True}}


class ActionModule(ActionBase):
    """Explains what fills tables, from what the modules returned about them."""

    _supports_check_mode = True
    _supports_async = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Show the page, and return its ``text``. Raises AnsibleFilterError for tables that are none."""
        super().run(tmp, task_vars)
        _validation, options = self.validate_argument_spec(_SPEC)
        text = as_filter(text_of, "conntrack_explain")(plain(options["tables"]))
        if is_for_people():
            show(text.splitlines())
        return {"changed": False, "text": text}

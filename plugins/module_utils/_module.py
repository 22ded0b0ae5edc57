# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""What every module of the collection shares: common options and the one place that fails."""

from __future__ import annotations

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.netops.conntrack.plugins.module_utils._errors import ConntrackError
from ansible_collections.netops.conntrack.plugins.module_utils._printable import visible, visible_lines

NETNS_OPTION: dict[str, t.Any] = {"netns": {"type": "str"}}
"""The option that the modules share; documented in the fragment ``netops.conntrack._netns``."""

MATCH_OPTIONS: dict[str, t.Any] = {
    "match": {"type": "raw"},
    "exclude": {"type": "raw", "default": []},
    "select": {"type": "list", "elements": "str", "default": []},
}
"""The options of a selection; documented in the fragment ``netops.conntrack._selection``."""


def guarded_run(module: AnsibleModule, work: t.Callable[[AnsibleModule], dict[str, t.Any]]) -> None:
    """Do the module's ``work`` and exit with its result; turn every expected error into ``fail_json``.

    What the result has under ``warnings``, a list of texts, is shown as Ansible shows warnings.
    """
    try:
        result = work(module)
    except ConntrackError as error:
        module.fail_json(msg=error.message, **{"changed": False, **error.result})
    else:
        for warning in result.pop("warnings", ()):
            module.warn(visible(warning))
        if "diff" in result:
            result["diff"] = _printable_diff(result["diff"])
        module.exit_json(**result)


def _printable_diff(diff: t.Any) -> t.Any:
    """Return ``diff`` with its texts as a terminal can take them. Ansible prints it as it is."""
    if isinstance(diff, list):
        return [_printable_diff(part) for part in diff]
    return {key: visible_lines(text) if isinstance(text, str) else text for key, text in diff.items()}

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""What every module of the collection shares: common options and the one place that fails."""

from __future__ import annotations

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.netops.conntrack.plugins.module_utils import _interrupt
from ansible_collections.netops.conntrack.plugins.module_utils._errors import ConntrackError
from ansible_collections.netops.conntrack.plugins.module_utils._interrupt import (
    Interrupted,
    interruptible,
    words_of_change,
)
from ansible_collections.netops.conntrack.plugins.module_utils._option_types import in_our_words
from ansible_collections.netops.conntrack.plugins.module_utils._printable import visible, visible_lines

NETNS_OPTION: dict[str, t.Any] = {"netns": {"type": "str"}}
"""The option that the modules share; documented in the fragment ``netops.conntrack._netns``."""

MATCH_OPTIONS: dict[str, t.Any] = {
    "match": {"type": "raw"},
    "exclude": {"type": "raw", "default": []},
    "select": {"type": "list", "elements": "str", "default": []},
}
"""The options of a selection; documented in the fragment ``netops.conntrack._selection``."""


_NO_MEMORY = (
    "This process may have no more memory. Ask for less at once, or let it have more: see 'ulimit -v', and MemoryMax "
    "of its unit."
)


class ConntrackModule(AnsibleModule):  # type: ignore[misc] # Ansible has no types
    """The module as Ansible runs it, which explains options of a wrong type."""

    def fail_json(self, msg: str, **result: t.Any) -> t.NoReturn:
        """Fail with the message, which names the value of an option and the remedy."""
        super().fail_json(msg=in_our_words(msg, self.params or {}), **result)
        raise AssertionError("fail_json has returned")


def guarded_run(module: AnsibleModule, work: t.Callable[[AnsibleModule], dict[str, t.Any]]) -> None:
    """Do the module's ``work`` and exit with its result. Turn every expected error into ``fail_json``.

    What the result has under ``warnings``, a list of texts, is shown as Ansible shows warnings.
    """
    try:
        _run(module, work)
    except MemoryError:
        # Of what is not noted nobody can tell whether it was done.
        account, result = _interrupt.noted()
        module.fail_json(msg=f"{_NO_MEMORY}{account and f' By then: {account}'}", **result)


def _run(module: AnsibleModule, work: t.Callable[[AnsibleModule], dict[str, t.Any]]) -> None:
    try:
        with interruptible():
            result = work(module)
    except Interrupted as interrupted:
        _interrupt.log(module._name, interrupted.message)
        module.fail_json(msg=interrupted.message, **interrupted.result)
    except ConntrackError as error:
        module.fail_json(msg=error.message, **{"changed": False, **error.result})
    else:
        _tell_of_signal(module, result)
        for warning in result.pop("warnings", ()):
            module.warn(visible(warning))
        if "diff" in result:
            result["diff"] = _printable_diff(result["diff"])
        module.exit_json(**result)


def _tell_of_signal(module: AnsibleModule, result: dict[str, t.Any]) -> None:
    """Warn of a signal that came while the work had to be finished, and log what became of that."""
    name = _interrupt.came()
    if name is None:
        return
    warning = f"Interrupted by {name}: {words_of_change(result.get('confirm'))}"
    _interrupt.log(module._name, warning)
    result["warnings"] = [*result.get("warnings", ()), warning]


def _printable_diff(diff: t.Any) -> t.Any:
    """Return ``diff`` with its texts as a terminal can take them. Ansible prints it as it is."""
    if isinstance(diff, list):
        return [_printable_diff(part) for part in diff]
    return {key: visible_lines(text) if isinstance(text, str) else text for key, text in diff.items()}

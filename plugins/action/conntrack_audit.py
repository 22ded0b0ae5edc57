# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One task for each router: the module measures it, and the checks are evaluated here, where jmespath is."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible_collections.netops.conntrack.plugins.module_utils._errors import ConntrackError
from ansible_collections.netops.conntrack.plugins.module_utils._facts.options import CHOICES, parse_sample
from ansible_collections.netops.conntrack.plugins.module_utils._facts.subsets import ALL
from ansible_collections.netops.conntrack.plugins.module_utils._selector.named_selectors import NAMED
from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.check import Check, findings, parse
from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.explanation import explain
from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.namespaces import accounts_of
from ansible_collections.netops.conntrack.plugins.plugin_utils._filter import plain
from ansible_collections.netops.conntrack.plugins.plugin_utils._preflight.refusals import refuse_variables_of_role
from ansible_collections.netops.conntrack.plugins.plugin_utils._router.action import RouterAction
from ansible_collections.netops.conntrack.plugins.plugin_utils._tuning.leftover import describe

_FACTS = "netops.conntrack.conntrack_facts"
_PASSED_ON = ("top", "netns")

OWN = "own"
"""Measures no other namespace than that of the connection, or of the option netns."""


def audit_of(facts: dict[str, t.Any], checks: list[Check], tune: dict[str, t.Any] | None) -> dict[str, t.Any]:
    """Return what the ``checks`` say of the ``facts`` of a router, and what the report shows of these.

    ``tune`` are the variables of the role conntrack_tune that are set for it.
    """
    profile = describe(facts["boot"]["records"], tune)
    return {
        "usage": facts["usage"],
        "selectors": facts.get("selectors", {}),
        "table": facts["table"],
        "stats": facts["stats"],
        "drift": facts["boot"]["drift"],
        "explanation": explain(facts),
        "namespaces": accounts_of(facts),
        "across_namespaces": facts.get("across_namespaces"),
        "findings": findings({**facts, "profile": profile}, checks),
    }


class ActionModule(RouterAction):
    """Runs the module conntrack_facts, and adds what the checks say of the facts."""

    _supports_async = False

    def _on_router(self, task_vars: dict[str, t.Any] | None) -> dict[str, t.Any]:
        """Return the module's result with the ``audit``; a failed module's result as it is.

        Raises AnsibleActionFail for a bad option or check, before the router is asked.
        """
        # Validating copies all it is given, and a template's own kinds of text cost 20 times as much to copy.
        self._task.args = plain(self._task.args)
        _validation, options = self.validate_argument_spec(
            {
                "checks": {"type": "list", "elements": "dict", "required": True},
                "selectors": {"type": "dict", "default": {}},
                "top": {"type": "int", "default": 10},
                "netns": {"type": "str"},
                "namespaces": {"type": "str", "choices": [OWN, *CHOICES], "default": OWN},
                "sample": {"type": "str"},
                "new_connection": {"type": "bool", "default": False},
                "tune": {"type": "dict"},
            }
        )
        try:
            refuse_variables_of_role("conntrack_audit", task_vars or {})
            return self._audit(options, task_vars)
        except ConntrackError as error:
            raise AnsibleActionFail(error.message) from None

    def _audit(self, options: dict[str, t.Any], task_vars: dict[str, t.Any] | None) -> dict[str, t.Any]:
        checks = parse(options["checks"])
        findings({}, checks)  # finds a function that does not exist
        arguments = {name: options[name] for name in _PASSED_ON if options[name] is not None}
        arguments["gather_subset"] = [ALL]
        if options["namespaces"] != OWN:
            arguments["gather_subset"] = [ALL, "namespaces"]
            arguments["namespaces"] = options["namespaces"]
        if options["sample"]:
            parse_sample(options["sample"])  # before the router is asked
            arguments["sample"] = options["sample"]
        arguments["selectors"] = {**NAMED, **options["selectors"]}
        result = self._execute_module(_FACTS, module_args=arguments, task_vars=task_vars)
        if result.get("no_conntrack"):
            # There is nothing to audit, and nothing is wrong.
            return {"changed": False, "no_conntrack": True, "msg": result["msg"]}
        if result.get("failed"):
            return result
        result["audit"] = audit_of(plain(result["ansible_facts"]["conntrack"]), checks, options["tune"])
        result["new_connection"] = self._connects_anew() if options["new_connection"] else None
        return result

    def _connects_anew(self) -> bool | None:
        """Return whether the router can be reached over a new connection; None where there is none to be made."""
        if self._connection.transport.rpartition(".")[2] == "local":
            return None
        try:
            self._connection.reset()
            return bool(self._low_level_execute_command("true")["rc"] == 0)
        except AnsibleConnectionFailure:
            return False

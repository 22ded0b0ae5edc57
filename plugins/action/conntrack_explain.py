# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What fills tables and what helps there, on the terminal: works on the controller alone."""

from __future__ import annotations

import typing as t

from ansible import context
from ansible.plugins.action import ActionBase
from ansible_collections.netops.conntrack.plugins.module_utils._printable import visible
from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.explanation import Explanation
from ansible_collections.netops.conntrack.plugins.plugin_utils._filter import as_filter, plain
from ansible_collections.netops.conntrack.plugins.plugin_utils._page.explained_tables import text_of, why_unexplained
from ansible_collections.netops.conntrack.plugins.plugin_utils._page.parts import problem_of
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.invocation import pasteable_explanation
from ansible_collections.netops.conntrack.plugins.plugin_utils._terminal import is_for_people, show

_SPEC = {"tables": {"type": "dict"}, "variable": {"type": "str"}}

_NO_RESULT = "This is no result of conntrack_facts."


class ActionModule(ActionBase):
    """Explains what fills tables, from what the modules returned about them."""

    _supports_check_mode = True
    _supports_async = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Show the page, and return its ``text``, and the routers that are ``failing``.

        Raises AnsibleFilterError for tables that are none.
        """
        super().run(tmp, task_vars)
        either = [list(_SPEC)]
        _validation, options = self.validate_argument_spec(_SPEC, mutually_exclusive=either, required_one_of=either)
        problems: dict[str, str] = {}
        if options["variable"] is None:
            text = as_filter(text_of, "conntrack_explain")(plain(options["tables"]))
        else:
            registered = _registered(task_vars or {}, options["variable"])
            problems = _problems(registered)
            tables = {host: _facts(result) for host, result in registered.items() if host not in problems}
            text = text_of(tables, problems, _pasteable)
        if is_for_people():
            show(text.splitlines())
        return {"changed": False, "text": text, "failing": {host: visible(why) for host, why in problems.items()}}


def _registered(variables: t.Mapping[str, t.Any], name: str) -> dict[str, t.Any]:
    """Return what was registered under a name, by router of the play."""
    hostvars = variables["hostvars"]
    return {str(host): plain(hostvars.raw_get(host).get(name)) for host in variables["ansible_play_hosts_all"]}


def _problems(registered: t.Mapping[str, t.Any]) -> dict[str, str]:
    found = {host: _problem(result) for host, result in registered.items()}
    return {host: problem for host, problem in found.items() if problem is not None}


def _problem(result: t.Any) -> str | None:
    """Return why a registered result does not tell what fills a table. None: it does."""
    if result is not None and not isinstance(result, t.Mapping):
        return _NO_RESULT
    problem = problem_of(result, "ansible_facts")
    if result is None or problem is not None:
        return problem
    facts = result["ansible_facts"]
    return why_unexplained(facts["conntrack"]) if "conntrack" in facts else _NO_RESULT


def _facts(result: t.Mapping[str, t.Any]) -> t.Any:
    return result["ansible_facts"]["conntrack"]


def _pasteable(explanation: Explanation, routers: list[str]) -> Explanation:
    return pasteable_explanation(explanation, routers, context.CLIARGS)

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run, or a role on one router, is refused for before the first connection: works on the controller alone."""

from __future__ import annotations

import typing as t

from ansible import context
from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.vars import load_extra_vars
from ansible_collections.netops.conntrack.plugins.module_utils._errors import ConntrackError, RefusedError
from ansible_collections.netops.conntrack.plugins.plugin_utils._preflight.refusals import (
    Run,
    lines_of_others,
    only_ours,
    refuse_variables,
    refuse_variables_of_role,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._preflight.renamed import deprecations
from ansible_collections.netops.conntrack.plugins.plugin_utils._preflight.targets import (
    given_to,
    hosts_of_run,
    refuse_hosts,
    refuse_too_many,
    refuse_unnamed,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._preflight.variables import Variables
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.invocation import playbook_command

_SPEC = {
    "changes": {"type": "bool", "default": False},
    "reads": {"type": "list", "elements": "str", "default": []},
    "routers": {"type": "bool", "default": True},
    "at_once": {"type": "int", "default": 0},
    "role": {
        "type": "str",
        "choices": ["", "conntrack_audit", "conntrack_prepare", "conntrack_prune", "conntrack_tune"],
        "default": "",
    },
    "that": {"type": "bool", "default": True},
    "fail_msg": {"type": "str", "default": "The options cannot be used."},
}

_OF_OUR_PLAYBOOKS = "conntrack_preflight_reads"
"""Every playbook of this collection that asks routers hands it on to its first play."""


class ActionModule(ActionBase):
    """Looks at the run as a whole, or with ``role`` at the variables that one router has for that role."""

    _supports_check_mode = True
    _supports_async = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Return a result without change, with the old names that are used, or a failed one that says what to do."""
        super().run(tmp, task_vars)
        _validation, options = self.validate_argument_spec(_SPEC)
        variables: Variables = task_vars or {}
        try:
            if options["role"]:
                refuse_variables_of_role(options["role"], variables)
                sources = [variables]
            else:
                sources = self._look_at_run(options, variables)
            if not options["that"]:
                raise RefusedError(options["fail_msg"])
        except ConntrackError as error:
            return {"failed": True, "msg": error.message}
        old_names = deprecations(sources)
        return {"changed": False, **({"deprecations": old_names} if old_names else {})}

    def _look_at_run(self, options: t.Mapping[str, t.Any], task_vars: Variables) -> list[Variables]:
        """Return all variables that were looked at. Raises ConntrackError if the run is refused."""
        arguments: t.Mapping[str, t.Any] = context.CLIARGS
        called = arguments.get("args")
        playbooks = [] if isinstance(called, str) else list(called or ())  # a text is the pattern of an ad hoc call
        limit = arguments.get("subset")
        extra = load_extra_vars(self._loader)
        of_play = self._task.get_play().get_vars()
        given = given_to(self._task, self._loader)
        # A null is given, and is no pattern.
        target = (self._templar.template(given["target"]) or "") if "target" in given else None
        if options["routers"]:
            hosts = hosts_of_run(task_vars["groups"], target, limit, self._loader)
            if options["at_once"]:
                refuse_too_many(len(hosts), options["at_once"], arguments.get("forks"))
        else:
            refuse_hosts(target, limit)
            hosts = []
        hostvars = task_vars["hostvars"]
        named = not options["changes"] or target is not None or bool(limit)
        of_hosts = {host: hostvars.raw_get(host) for host in hosts}
        is_imported = _OF_OUR_PLAYBOOKS in of_play
        run = Run(
            extra,
            of_hosts,
            of_play,
            named,
            only_ours(playbooks),
            lines_of_others(playbooks),
            options["reads"],
            is_imported=is_imported,
            is_alone=is_imported and only_ours(playbooks) and len(playbooks) == 1,
        )
        refuse_variables(run, lambda host, name: _resolved(hostvars, host, name))
        if not named:
            refuse_unnamed(task_vars["groups"], playbook_command(playbooks[0] if playbooks else "PLAYBOOK", arguments))
        return [extra, of_play, *of_hosts.values()]


def _resolved(hostvars: t.Any, host: str, name: str) -> t.Any:
    """Return the value of a router's variable. Raises ValueError if it cannot be templated: it may need facts."""
    try:
        return hostvars[host][name]
    except AnsibleError as error:
        raise ValueError(str(error)) from error

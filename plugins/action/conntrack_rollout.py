# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan of a roll-out: made on the controller alone, from what the routers of the play answered before."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.netops.conntrack.plugins.module_utils._errors import ConntrackError
from ansible_collections.netops.conntrack.plugins.plugin_utils._filter import plain
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.records import record
from ansible_collections.netops.conntrack.plugins.plugin_utils._rollout.participants import plan

_PAIR = "conntrack_pair"


class ActionModule(ActionBase):
    """Plans the batches of a roll-out. Run it once in a play over all routers."""

    _supports_check_mode = True
    _supports_async = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Return the ``batches``, the ``patterns`` of their routers, and which routers are ``left_out`` and why.

        Raises AnsibleActionFail for a size of a batch that is none.
        """
        super().run(tmp, task_vars)
        _validation, options = self.validate_argument_spec({"batch": {"type": "raw", "required": True}})
        try:
            return self._plan(plain(options["batch"]), task_vars or {})
        except ConntrackError as error:
            raise AnsibleActionFail(error.message) from None

    def _plan(self, sizes: t.Any, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        hosts = [str(host) for host in task_vars["ansible_play_hosts_all"]]
        hostvars = task_vars["hostvars"]
        variables = {host: hostvars.raw_get(host) for host in hosts}
        down = {host for host in hosts if not _answered(record(variables[host]))}
        # What an earlier play of the run lost has no record of that, and is in no batch.
        down |= set(hosts).difference(task_vars["ansible_play_hosts"])
        pairs: dict[str, t.Any] = {}
        unresolved: dict[str, str] = {}
        for host in hosts:
            if _PAIR in variables[host]:
                try:
                    pairs[host] = _resolved(hostvars[host][_PAIR], variables[host][_PAIR])
                except AnsibleError as error:
                    unresolved[host] = f"{_PAIR} cannot be resolved: {error}"
        made = plan([host for host in hosts if host not in unresolved], down, pairs, task_vars["groups"], sizes)
        left_out = {**made.left_out, **{host: reason for host, reason in unresolved.items() if host not in down}}
        return {"changed": False, "batches": made.batches, "patterns": made.patterns, "left_out": left_out}


def _resolved(value: t.Any, template: t.Any) -> t.Any:
    """Return the plain ``value`` of a variable. Raises AnsibleError where it is still the ``template`` that it was.

    Before ansible-core 2.19, that is what one gets of a template with an undefined variable.
    """
    if isinstance(value, str) and value == template and "{{" in value:
        raise AnsibleError(f"{value} has an undefined variable")
    return plain(value)


def _answered(found: t.Mapping[str, t.Any]) -> bool:
    """Return whether a router can be changed, from its record: nothing failed there, and it tracks connections."""
    return not found.get("failure") and not found.get("no_conntrack")

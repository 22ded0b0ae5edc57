# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's half of confirm_within: the confirmation comes over a new connection, or not at all."""

from __future__ import annotations

import time
import typing as t

from ansible.errors import AnsibleConnectionFailure
from ansible_collections.netops.conntrack.plugins.module_utils._units import parse_duration
from ansible_collections.netops.conntrack.plugins.plugin_utils._router.action import RouterAction

_POLL_SECONDS = 1


class ActionModule(RouterAction):
    """Runs the module, and confirms a change that waits for it."""

    def _on_router(self, task_vars: dict[str, t.Any] | None) -> dict[str, t.Any]:
        """Return the module's result; of a change that was to be confirmed, once that is settled.

        Raises AnsibleConnectionFailure when the router cannot be reached any more. It then restores its old values
        by itself.
        """
        if self._task.async_val and self._within != "0":
            return {"failed": True, "msg": "confirm_within: cannot be combined with async. Leave one of them out."}
        result = self._change(task_vars)
        waits = result.get("confirm")
        if result.get("failed") or not waits or waits["confirmed"]:
            return result
        answer = self._confirm(waits, task_vars)
        if answer.get("failed"):
            return {**result, "failed": True, "changed": False, "msg": answer.get("msg", "")}
        return {**result, "confirm": answer["confirm"]}

    @property
    def _within(self) -> str:
        return str(self._task.args.get("confirm_within") or 0)

    def _change(self, task_vars: dict[str, t.Any] | None) -> dict[str, t.Any]:
        try:
            return super()._on_router(task_vars)
        except AnsibleConnectionFailure as error:
            if self._within == "0":
                raise
            raise AnsibleConnectionFailure(
                f"The connection broke during the change, which nobody will confirm: within {self._within}, the router "
                f"restores its old values by itself. {error}"
            ) from None

    def _confirm(self, waits: dict[str, t.Any], task_vars: dict[str, t.Any] | None) -> dict[str, t.Any]:
        """Return the answer to the confirmation, which is sent until the router answers or has rolled back."""
        given = self._task.args
        arguments = {key: given[key] for key in ("netns", "persist") if key in given}
        arguments.update(state="confirmed", change=waits["change"])
        # A router that is wrong about the time must not keep the controller waiting for longer than was asked for.
        seconds = min(waits["seconds_left"], parse_duration(self._within, "confirm_within"))
        deadline = time.monotonic() + seconds
        while True:
            in_time = time.monotonic() < deadline
            try:
                self._connection.reset()
                return self._execute_module(module_args=arguments, task_vars=task_vars)
            except AnsibleConnectionFailure as error:
                if not in_time:
                    raise AnsibleConnectionFailure(
                        f"The router could not be reached over a new connection after the change, which was not "
                        f"confirmed within {waits['within']} s: it has restored its old values by itself, "
                        f"unless the confirmation reached it and only the answer was lost. {error}"
                    ) from None
            time.sleep(_POLL_SECONDS)

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""What every action plugin of the collection that runs a module on a router does first, and with its answer."""

from __future__ import annotations

import json
import shlex
import typing as t

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
from ansible.release import __version__ as core_version
from ansible_collections.netops.conntrack.plugins.module_utils._errors import (
    AnswerError,
    ConntrackError,
    UnavailableError,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._router.answer import Expected, harmless
from ansible_collections.netops.conntrack.plugins.plugin_utils._router.controller import refuse_controller
from ansible_collections.netops.conntrack.plugins.plugin_utils._router.interpreter import (
    explanation,
    has_not_begun,
    question,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._router.output_limit import limited
from ansible_collections.netops.conntrack.plugins.plugin_utils._router.shape import cut

_READ_AT_ONCE = "import sys; exec(compile(sys.stdin.buffer.read(), '<stdin>', 'exec'))"
"""Runs a module on standard input. A program there is read by Python itself byte by byte, with a read(2) for each."""

_OLDEST_CORE = (2, 16)
_LONGEST_MESSAGE = 4000
_CHANGING = (
    "conntrack_create",
    "conntrack_expect_prune",
    "conntrack_prune",
    "conntrack_restore",
    "conntrack_settings",
    "conntrack_timeout_policy",
    "conntrack_update",
)


class RouterAction(ActionBase):
    """Runs the module of the same name on the router, as Ansible's own action does, but never on another machine."""

    _supports_check_mode = True
    _supports_async = True
    _requires_connection = False
    """Lets Ansible not log in to a host over a network connection, which is refused. Other connections are made."""

    _expected = Expected("", {})
    """What the module that runs is expected to answer."""

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Return the result of the work on the router, or a failure before anything was touched."""
        try:
            require_core()
            self._refuse_other_machine(task_vars)
        except ConntrackError as error:
            return _failure(error)
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        try:
            result.update(self._on_router(task_vars))
        except AnswerError as error:
            return _failure(error)
        except AnsibleConnectionFailure as error:
            # What a server says before the login is in it, of any length.
            raise AnsibleConnectionFailure(cut(str(error), _LONGEST_MESSAGE, lines=True)) from None
        return result

    def _refuse_other_machine(self, task_vars: dict[str, t.Any] | None) -> None:
        """Raise RefusedError if the module would run on the controller in place of the router."""
        name = self._connection_name(task_vars or {})
        refuse_controller(self._connection, name, self._host(task_vars), self._play_context.remote_addr)

    def _on_router(self, task_vars: dict[str, t.Any] | None) -> dict[str, t.Any]:
        """Return the result of the module. An action that does more overrides this."""
        result: dict[str, t.Any] = self._execute_module(task_vars=task_vars, wrap_async=bool(self._task.async_val))
        return result

    def _execute_module(self, *args: t.Any, **options: t.Any) -> dict[str, t.Any]:
        """Return what counts of the module's result, or a failure that says what of it does not hold.

        Explains a failure whose reason is the router's Python.
        """
        self._expected = _expected(self._task, *args, **options)
        try:
            result: dict[str, t.Any] = super()._execute_module(*args, **options)
        except AnswerError as error:
            return self._malformed(error)
        except RecursionError:
            return self._malformed(AnswerError(self._expected.name, "something in it is nested too deeply"))
        if not has_not_begun(result):
            return result
        message = self._explanation(options.get("task_vars"))
        if message is None:
            return result
        # Ansible would show an exception instead of the message.
        exception = result.pop("exception", None)
        original = result.get("msg") or getattr(getattr(exception, "event", None), "msg", None)
        return {**result, "module_msg": original, "msg": message}

    def _malformed(self, error: AnswerError) -> dict[str, t.Any]:
        """Return the failure of a module whose answer cannot be used."""
        if self._expected.module in _CHANGING and not self._task.check_mode:
            return _failure(ConntrackError(f"{error.message} What the module changed is not known."))
        return _failure(error)

    def _parse_returned_data(self, res: dict[str, t.Any], *args: t.Any, **options: t.Any) -> t.Any:
        """Return what Ansible makes of a module's output, once there is nothing in it but what is expected."""
        answer = self._expected.read(res["stdout"])
        stdout = harmless(res["stdout"]) if answer is None else json.dumps(answer)
        clean = {**res, "stdout": stdout, "stderr": harmless(res["stderr"]), "stdout_lines": [], "stderr_lines": []}
        return super()._parse_returned_data(clean, *args, **options)

    def _low_level_execute_command(self, cmd: str, *args: t.Any, **options: t.Any) -> dict[str, t.Any]:
        """Run any command on the router. Raises AnswerError for an answer that is too long.

        With pipelining, the command that runs a module is the interpreter alone, and the module is its ``in_data``.
        """
        if options.get("in_data"):
            cmd = f"{cmd} -c {shlex.quote(_READ_AT_ONCE)}"
        with limited(self._connection, self._expected.most_bytes, self._expected.name):
            answer: dict[str, t.Any] = super()._low_level_execute_command(cmd, *args, **options)
        return answer

    def _explanation(self, task_vars: dict[str, t.Any] | None) -> str | None:
        if not self._used_interpreter:
            return None
        interpreter = self._used_interpreter.lstrip("#!")
        try:
            answer = self._low_level_execute_command(question(interpreter))
        except AnsibleConnectionFailure:
            return None
        return explanation(answer["stdout"], interpreter, self._host(task_vars))

    def _connection_name(self, task_vars: dict[str, t.Any]) -> str:
        """Return the ``ansible_connection`` in force, found in the way in which Ansible finds it."""
        variables = task_vars
        if self._task.delegate_to:
            variables = task_vars.get("ansible_delegated_vars", {}).get(self._task.delegate_to, {})
        name = variables.get("ansible_connection")
        if name is None:
            return str(self._task.connection)
        return str(self._templar.copy_with_new_env(available_variables=variables).template(name))

    def _host(self, task_vars: dict[str, t.Any] | None) -> str:
        """Return the name of the host that the connection is for."""
        return str(self._task.delegate_to or (task_vars or {}).get("inventory_hostname"))


def _failure(error: ConntrackError) -> dict[str, t.Any]:
    return {"failed": True, "changed": False, "msg": error.message}


def _expected(
    task: t.Any,
    module_name: str | None = None,
    module_args: dict[str, t.Any] | None = None,
    wrap_async: bool = False,
    **_options: t.Any,
) -> Expected:
    """Return what is expected of the module that an action executes with these arguments."""
    module = str(module_name or task.action).rpartition(".")[2]
    return Expected(module, task.args if module_args is None else module_args, in_background=wrap_async)


def require_core(running: str = core_version) -> None:
    """Raise UnavailableError if this ansible-core is too old."""
    major, minor = running.split(".")[:2]
    if (int(major), int(minor)) < _OLDEST_CORE:
        needed = ".".join(map(str, _OLDEST_CORE))
        raise UnavailableError(
            f"netops.conntrack needs ansible-core {needed} or newer on the controller, and this is {running}. "
            f"Nothing was touched. Update ansible-core."
        )

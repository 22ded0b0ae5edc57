# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""Commands in printed advice, made such that they can be pasted: with the options that this run was called with."""

from __future__ import annotations

import dataclasses
import os
import re
import shlex
import typing as t

from ansible import constants as C
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document import Record, last_audit

Arguments = t.Mapping[str, t.Any]

_MOST_NAMES = 10
"""Routers that a command names one by one."""

_ARGUMENT = r"(?:'[^']*'|[^\s,;`]*[^\s,;.`])"
_COMMAND = re.compile(
    rf"""`?
    (?:
        (?:ansible-playbook\ +)? netops\.conntrack\.(?P<playbook>audit|prune|site|tune)\b(?!\.?\w)
        (?P<variables>(?:,?\ (?:with\ )?-e\ {_ARGUMENT})*)
        |
        ansible\ HOST(?:\ -b)?\ -m\ (?P<module>netops\.conntrack\.\w+) (?P<given>(?:\ -a\ {_ARGUMENT})?)
    )
    `?""",
    re.VERBOSE,
)
"""A command in an advice: a playbook with its variables, or a module called ad hoc."""

_FREES = re.compile(r"\bfrees [\d,]+ entries")
"""What a command frees on a router."""

_PHASES = ("before", "after")

_VARIABLE = re.compile(rf"-e {_ARGUMENT}")

_FLAGS = {"become": "-b", "become_ask_pass": "-K", "ask_pass": "-k", "ask_vault_pass": "-J"}
_VALUES = {
    "become_user": ("--become-user", None),
    "become_method": ("--become-method", "DEFAULT_BECOME_METHOD"),
    "remote_user": ("-u", "DEFAULT_REMOTE_USER"),
}
_FILES = {
    "private_key_file": ("--private-key", "DEFAULT_PRIVATE_KEY_FILE"),
    "become_password_file": ("--become-password-file", "BECOME_PASSWORD_FILE"),
    "connection_password_file": ("--connection-password-file", "CONNECTION_PASSWORD_FILE"),
}
"""Options with their values, and the setting of the configuration that they have when they were not given."""


def pasteable(document: Record, arguments: Arguments, target: t.Any = None) -> Record:
    """Return the ``document`` with the commands in its advice as they can be pasted, in backticks.

    ``arguments`` are those that this run was called with (context.CLIARGS), ``target`` is its pattern of hosts, or a
    list of such.
    """
    options = connection_options(arguments)
    limit = ["--limit", str(arguments["subset"])] if arguments.get("subset") else []
    pattern = ",".join(target) if isinstance(target, list) else str(target or "")
    checks = {}
    for check_id, check in document["checks"].items():
        call = _Call(options, limit, pattern, _routers_with(document, check_id))
        checks[check_id] = {**check, "advice": _COMMAND.sub(call.command, check["advice"])}
    hosts = document["hosts"]
    for phase in _PHASES:
        for names in _explained_alike(hosts, phase):
            call = _Call(options, ["--limit", ",".join(names)], pattern, names)
            hosts = {**hosts, **{name: _with_explained_commands(hosts[name], phase, call) for name in names}}
    return {**document, "checks": checks, "hosts": hosts}


def _explained_alike(hosts: t.Mapping[str, Record], phase: str) -> list[list[str]]:
    """Return the routers whose tables have an advice, those together that the same is said of.

    Where they are too many to be named in a command, each is alone.
    """
    routers: dict[tuple[str, str], list[str]] = {}
    for name, host in hosts.items():
        explanation = (host[phase] or {}).get("explanation")
        if explanation and explanation["advice"]:
            routers.setdefault((explanation["filled_by"], explanation["advice"]), []).append(name)
    return [
        group
        for names in routers.values()
        for group in ([names] if len(names) <= _MOST_NAMES else [[name] for name in names])
    ]


def _with_explained_commands(host: Record, phase: str, call: _Call) -> Record:
    """Return a router with the commands against what fills its table as they can be pasted."""
    explanation = host[phase]["explanation"]
    advice = _COMMAND.sub(call.command, explanation["advice"])
    if len(call.routers) > 1:
        advice = _FREES.sub(r"\g<0> on each", advice)
    return {**host, phase: {**host[phase], "explanation": {**explanation, "advice": advice}}}


@dataclasses.dataclass(frozen=True)
class _Call:
    """What the commands of one advice are called with."""

    options: list[str]
    limit: list[str]
    """``--limit`` with its value, if the run has it."""

    target: str
    """The pattern of hosts of the run, if it has one."""

    routers: list[str]
    """Those that have the finding; none if they are too many to be named."""

    def command(self, found: re.Match[str]) -> str:
        """Return the command that was ``found`` in an advice as it can be pasted."""
        if found["playbook"]:
            words = ["ansible-playbook", f"netops.conntrack.{found['playbook']}", *self.options, *self._hosts()]
            return (
                f"`{shlex.join(words)}{''.join(f' {variable}' for variable in _VARIABLE.findall(found['variables']))}`"
            )
        named = ",".join(self.routers)
        hosts = [named] if named else [self.target or "all", *self.limit]
        words = ["ansible", *hosts, *self.options, "-m", found["module"]]
        return f"`{shlex.join(words)}{found['given']}`"

    def _hosts(self) -> list[str]:
        """Return the words that tell a playbook its routers: those of this run, or else those with the finding."""
        given = [*self.limit, *(["-e", f"target={self.target}"] if self.target else [])]
        named = ["--limit", ",".join(self.routers)] if self.routers else ["-e", "target=all"]
        return given or named


def connection_options(arguments: Arguments) -> list[str]:
    """Return which inventory, user and passwords this run was called with, as words for a command line."""
    words: list[str] = []
    if arguments.get("inventory") and list(arguments["inventory"]) != list(C.DEFAULT_HOST_LIST):
        for source in arguments["inventory"]:
            words += ["-i", source if "," in source else _path(source)]
    words += [word for name, word in _FLAGS.items() if arguments.get(name)]
    for name, (word, setting) in _VALUES.items():
        if _was_given(arguments, name, setting):
            words += [word, str(arguments[name])]
    for name, (word, setting) in _FILES.items():
        if _was_given(arguments, name, setting):
            words += [word, _path(arguments[name])]
    for vault_id in arguments.get("vault_ids") or ():
        words += ["--vault-id", str(vault_id)]
    for file in arguments.get("vault_password_files") or ():
        words += ["--vault-password-file", _path(file)]
    return words


def playbook_command(playbook: str, arguments: Arguments) -> str:
    """Return the command that runs a playbook with the inventory, user and passwords of this run."""
    return shlex.join(["ansible-playbook", playbook, *connection_options(arguments)])


def _was_given(arguments: Arguments, name: str, setting: str | None) -> bool:
    value = arguments.get(name)
    return bool(value) and (setting is None or value != getattr(C, setting, None))


def _path(path: str) -> str:
    """Return a path from the present directory if it lies below that, as its user will have written it."""
    if not os.path.isabs(path):
        return path
    relative = os.path.relpath(path)
    return path if relative.startswith(os.pardir) else relative


def _routers_with(document: Record, check_id: str) -> list[str]:
    """Return the routers whose last audit has that finding; none if they are too many to be named."""
    routers = []
    for name, host in document["hosts"].items():
        findings = (last_audit(host) or {}).get("findings", [])
        if any(finding["id"] == check_id and finding["status"] == "finding" for finding in findings):
            routers.append(name)
    return routers if len(routers) <= _MOST_NAMES else []

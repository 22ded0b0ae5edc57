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
from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.explanation import (
    Explanation,
    PruneCommand,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.audit_types import Audit, Finding
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document_types import (
    PHASES,
    Check,
    Document,
    Host,
    Phase,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.view import (
    FindingsByPhase,
    explanation_of,
    finding_now,
    findings_by_check,
    key_of,
)

Arguments = t.Mapping[str, t.Any]

_MOST_NAMES = 10
"""Routers that a command names one by one."""

_ARGUMENT = r"(?:'[^']*'|[^\s,;`]*[^\s,;.`])"
_COMMAND = re.compile(
    rf"""`?
    (?:
        (?:ansible-playbook\ +)? netops\.conntrack\.(?P<playbook>audit|prepare|prune|site|tune)\b(?!\.?\w)
        (?P<variables>(?:,?\ (?:with\ )?-e\ {_ARGUMENT})*)
        |
        ansible\ HOST(?:\ -b)?\ -m\ (?P<module>netops\.conntrack\.\w+) (?P<given>(?:\ -a\ {_ARGUMENT})?)
    )
    `?""",
    re.VERBOSE,
)
"""A command in an advice: a playbook with its variables, or a module called ad hoc."""

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


def pasteable(document: Document, arguments: Arguments, target: t.Any = None) -> Document:
    """Return the ``document`` with the commands in its advice as they can be pasted, in backticks.

    ``arguments`` are those that this run was called with (context.CLIARGS), ``target`` is its pattern of hosts, or a
    list of such.
    """
    options = connection_options(arguments)
    limit = ["--limit", str(arguments["subset"])] if arguments.get("subset") else []
    pattern = ",".join(target) if isinstance(target, list) else str(target or "")
    by_check = findings_by_check(document)
    checks: dict[str, Check] = {}
    for check_id, check in document["checks"].items():
        routers = _routers_with(document, by_check.get(check_id, {}))
        call = _Call(options, limit, pattern, routers)
        checks[check_id] = {**check, "advice": _COMMAND.sub(call.in_backticks, check["advice"])}
    hosts = dict(document["hosts"])
    for phase in PHASES:
        for names in _explained_alike(hosts, phase):
            call = _Call(options, ["--limit", ",".join(names)], pattern, names)
            for name in names:
                hosts[name] = _with_explained_commands(hosts[name], phase, call)
        for name, host in hosts.items():
            hosts[name] = _with_commands_of_cures(host, phase, _Call(options, ["--limit", name], pattern, [name]))
    return {**document, "checks": checks, "hosts": hosts}


def _explained_alike(hosts: t.Mapping[str, Host], phase: Phase) -> list[list[str]]:
    """Return the routers for whose tables something helps, those together of which the same is said.

    Where they are too many to be named in a command, each is alone.
    """
    routers: dict[t.Hashable, list[str]] = {}
    for name, host in hosts.items():
        explanation = explanation_of(host[phase])
        if explanation and (explanation["prunes"] or explanation["advice"]):
            routers.setdefault(key_of(explanation), []).append(name)
    groups: list[list[str]] = []
    for names in routers.values():
        groups += [names] if len(names) <= _MOST_NAMES else [[name] for name in names]
    return groups


def _with_explained_commands(host: Host, phase: Phase, call: _Call) -> Host:
    """Return a router with the commands against what fills its table as they can be pasted."""
    audit = host[phase]
    explanation = explanation_of(audit)
    if not audit or not explanation:
        return host
    return _with_audit(host, phase, {**audit, "explanation": call.in_explanation(explanation)})


def _with_commands_of_cures(host: Host, phase: Phase, call: _Call) -> Host:
    """Return a router with the commands against its findings as they can be pasted."""
    audit = host[phase]
    if not audit or not any("cures" in finding for finding in audit["findings"]):
        return host
    findings: list[Finding] = []
    for finding in audit["findings"]:
        cures = [_COMMAND.sub(call.in_backticks, cure) for cure in finding.get("cures", [])]
        findings.append({**finding, "cures": cures} if cures else finding)
    return _with_audit(host, phase, {**audit, "findings": findings})


def _with_audit(host: Host, phase: Phase, audit: Audit) -> Host:
    return {**host, "before": audit} if phase == "before" else {**host, "after": audit}


def pasteable_explanation(explanation: Explanation, routers: list[str], arguments: Arguments) -> Explanation:
    """Return what fills the tables of these ``routers`` with its commands as they can be pasted, for them alone."""
    call = _Call(connection_options(arguments), ["--limit", ",".join(routers)], "", routers)
    return call.in_explanation(explanation)


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

    def in_backticks(self, found: re.Match[str]) -> str:
        """Return the command that was ``found`` in an advice as it can be pasted, and as it stands among words."""
        return f"`{self.command(found)}`"

    def in_explanation(self, explanation: Explanation) -> Explanation:
        """Return what fills a table with its commands as they can be pasted."""
        prunes: list[PruneCommand] = [
            {**prune, "command": _COMMAND.sub(self.command, prune["command"])} for prune in explanation["prunes"]
        ]
        advice = [_COMMAND.sub(self.in_backticks, sentence) for sentence in explanation["advice"]]
        return {**explanation, "prunes": prunes, "advice": advice}

    def command(self, found: re.Match[str]) -> str:
        """Return the command that was ``found`` in an advice as it can be pasted."""
        return self._playbook(found) if found["playbook"] else self._module(found)

    def _playbook(self, found: re.Match[str]) -> str:
        words = ["ansible-playbook", f"netops.conntrack.{found['playbook']}", *self.options, *self._hosts()]
        return " ".join([shlex.join(words), *_VARIABLE.findall(found["variables"])])

    def _module(self, found: re.Match[str]) -> str:
        named = ",".join(self.routers)
        hosts = [named] if named else [self.target or "all", *self.limit]
        words = ["ansible", *hosts, *self.options, "-m", found["module"]]
        return f"{shlex.join(words)}{found['given']}"

    def _hosts(self) -> list[str]:
        """Return the words that tell a playbook its routers: those of this run, or else those with the finding."""
        given = [*self.limit, *(["-e", f"target={self.target}"] if self.target else [])]
        named = ["--limit", ",".join(self.routers)] if self.routers else ["-e", "target=all"]
        return given or named


def connection_options(arguments: Arguments) -> list[str]:
    """Return the inventory, user and passwords that this run was called with, as words for a command line."""
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


def _routers_with(document: Document, phases_by_router: t.Mapping[str, FindingsByPhase]) -> list[str]:
    """Return the routers on which a check is a finding now. None are named if they are too many."""
    routers = []
    for name, phases in phases_by_router.items():
        finding = finding_now(document["hosts"][name], phases)
        if finding and finding["status"] == "finding":
            routers.append(name)
    return routers if len(routers) <= _MOST_NAMES else []

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""What is refused in the variables of a run, or of one router: names that nothing reads, and values of a wrong type."""

from __future__ import annotations

import collections.abc
import dataclasses
import os
import re
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._errors import RefusedError
from ansible_collections.netops.conntrack.plugins.plugin_utils._filter import plain
from ansible_collections.netops.conntrack.plugins.plugin_utils._preflight.renamed import (
    given_twice,
    given_twice_message,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._preflight.variable_types import explain
from ansible_collections.netops.conntrack.plugins.plugin_utils._preflight.variables import (
    KNOWN_VARIABLES,
    OPTIONS,
    READERS,
    SET_BY_US,
    Variables,
    is_near_ours,
    is_template,
    is_unread,
    is_unread_extra,
    meant_by,
    names_in_templates,
    of_hosts,
    unread_message,
)

_PLAYBOOKS = os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "..", "..", "playbooks")
_OURS = "netops.conntrack."
_MOST_MESSAGES = 10
_JSON = (str, int, float, collections.abc.Mapping, list, tuple, type(None))
"""The kinds of values that can be looked at. A vaulted one is not among them."""

_MAGIC = ("ansible_facts", "group_names", "groups", "hostvars", "vars")
"""Variables of Ansible's own that are large, and hold no templates of the user."""

_IMPORT = re.compile(r"""import_playbook:\s*["']?([^\s"'#]+)""")
"""The name or path of a playbook that another one imports."""

_LOOKUPS = {"lookup", "q", "query"}

Resolve = t.Callable[[str, str], t.Any]
"""Returns the templated value of a router's variable. Raises ValueError if it cannot be templated here."""


@dataclasses.dataclass(frozen=True)
class Run:
    """The variables that a run has to do with."""

    extra: Variables
    """Those of the command line."""

    of_hosts: t.Mapping[str, Variables]
    """Those of each host of the run, not templated, with the extra ones among them."""

    of_play: Variables
    """Those that the playbook was imported with."""

    named: bool
    """Whether somebody said which routers the run is for. The variables of all others are not judged."""

    only_ours: bool
    """Whether the run has no plays but those of this collection."""

    lines: t.Sequence[str] = ()
    """Those of the user's own playbooks."""

    reads: t.Collection[str] = ()
    """The short names that this playbook reads, besides ``target``."""

    is_imported: bool = False
    """Whether the play is one of this collection's playbooks, so that only these read the variables of its import."""

    is_alone: bool = False
    """Whether the run is this playbook of this collection and no other one, so that the extra variables are its own."""


def only_ours(playbooks: t.Collection[str]) -> bool:
    """Return whether all playbooks of a command line are of this collection, by their names or their paths."""
    return bool(playbooks) and all(map(_is_ours, playbooks))


def lines_of_others(playbooks: t.Iterable[str]) -> list[str]:
    """Return the lines of the playbooks of a command line that are not of this collection, as far as they are files.

    Those of the playbooks that they import are among them.
    """
    lines: list[str] = []
    waiting = list(playbooks)
    seen: set[str] = set()
    while waiting:
        playbook = waiting.pop()
        if playbook not in seen and not _is_ours(playbook) and os.path.isfile(playbook):
            seen.add(playbook)
            with open(playbook, encoding="utf-8", errors="replace") as file:
                own = file.read().splitlines()
            lines += own
            directory = os.path.dirname(playbook)
            waiting += [os.path.normpath(os.path.join(directory, name)) for name in _imported_in(own)]
    return lines


def _imported_in(lines: t.Iterable[str]) -> list[str]:
    """Return the names and paths of the playbooks that are imported in the ``lines`` of a playbook."""
    return [name for line in lines for name in _IMPORT.findall(line)]


def _is_ours(playbook: str) -> bool:
    directory = os.path.realpath(_PLAYBOOKS)
    return playbook.startswith(_OURS) or os.path.dirname(os.path.realpath(playbook)) == directory


def refuse_variables(run: Run, resolve: Resolve) -> None:
    """Raise RefusedError if nothing reads a variable of the ``run``, or one is given twice or has the wrong type."""
    unread = _unread(run)
    messages = [unread_message(name, hosts, run.reads) for name, hosts in unread.items()]
    messages += _given_twice(run)
    messages += _wrong_types(run, resolve)
    if messages:
        raise RefusedError(f"{_sentences(messages, unread)} Nothing was touched.")


def refuse_variables_of_role(role: str, variables: Variables) -> None:
    """Raise RefusedError if nothing reads a variable that one router has for ``role``, or it has a wrong type.

    The same goes for an option of the role that is given under its old name and its new one.

    ``variables`` are all that the router has, not templated.
    """
    prefix = f"{role}_"
    suspects = [name for name, value in variables.items() if _is_unread_of(prefix, name, value)]
    read = _read_elsewhere([variables]) if suspects else ()
    unread = [name for name in suspects if name not in read]
    own = [name for name in OPTIONS if name.startswith(prefix) and name in variables]
    wrong = {name: _explain(name, variables[name], False) for name in own if _is_resolved(variables[name])}
    twice = [name for name in given_twice(variables) if name.startswith(prefix)]
    messages = [*map(unread_message, unread), *map(given_twice_message, twice)]
    messages += [f"{name} {problem}" for name, problem in wrong.items() if problem]
    if messages:
        raise RefusedError(_sentences(messages, unread))


def _is_unread_of(prefix: str, name: str, value: t.Any) -> bool:
    """Return whether a variable was meant for the role with that prefix, and is not read by it."""
    return is_unread(name, value) and (name.startswith(prefix) or (meant_by(name) or "").startswith(prefix))


def _unread(run: Run) -> dict[str, list[str]]:
    """Return the names that nothing reads, each with the hosts that have it.

    An extra variable, and one of an import, has no hosts.
    """
    found: dict[str, list[str]] = {name: [] for name in run.extra if _is_unread_extra(run, name)}
    found |= {name: [] for name in run.of_play if _is_unread_of_import(run, name)}
    for host, variables in _judged(run).items():
        for name, value in variables.items():
            if name not in run.extra and is_unread(name, value):
                found.setdefault(name, []).append(host)
    read = _read_elsewhere([run.extra, run.of_play, *run.of_hosts.values()]) if found else set()
    read |= names_in_templates(run.lines)
    return {name: hosts for name, hosts in sorted(found.items()) if name not in read}


def _judged(run: Run) -> t.Mapping[str, Variables]:
    return run.of_hosts if run.named else {}


def _is_unread_extra(run: Run, name: str) -> bool:
    if name in run.reads:
        return False
    if name in READERS:
        return run.is_alone
    given = (*run.extra, *run.of_play)
    return is_unread_extra(name) and (run.only_ours or is_near_ours(name, given, run.reads))


def _is_unread_of_import(run: Run, name: str) -> bool:
    """Return whether a variable of the import was meant for us, and nothing reads it. All others are the user's own."""
    if not run.is_imported or name in SET_BY_US or name in run.reads:
        return False
    if name in READERS:
        # A playbook of the user's own may hand its variables on to all that it imports.
        return all(imported.startswith(_OURS) for imported in _imported_in(run.lines))
    given = (*run.extra, *run.of_play)
    return is_unread_extra(name) and is_near_ours(name, given, run.reads)


def _read_elsewhere(sources: list[Variables]) -> set[str]:
    """Return the names that the user says are read, and those that a template in the variables may read."""
    return _known_variables(sources) | names_in_templates(_looked_at(sources))


def _known_variables(sources: t.Iterable[Variables]) -> set[str]:
    """Return the names that the user says something else reads: a list, or a text with commas or blanks in between."""
    known: set[str] = set()
    for variables in sources:
        listed = variables.get(KNOWN_VARIABLES)
        if isinstance(listed, str):
            known.update(listed.replace(",", " ").split())
        elif isinstance(listed, (list, tuple)):
            known.update(map(str, listed))
    return known


def _looked_at(sources: t.Iterable[Variables]) -> t.Iterator[t.Any]:
    """Yield each value of the variables once: those of a group are the same objects on all of its hosts."""
    seen: set[int] = set()
    for variables in sources:
        for name, value in variables.items():
            if id(value) not in seen and name not in _MAGIC and isinstance(value, _JSON):
                seen.add(id(value))
                yield value


def _given_twice(run: Run) -> list[str]:
    """Return what to say of each variable that is given under both of its names, with the hosts."""
    everywhere = given_twice(run.of_play, run.extra)
    hosts_of: dict[str, list[str]] = {name: [] for name in everywhere}
    for host, variables in _judged(run).items():
        for name in given_twice(run.of_play, variables):
            if name not in everywhere:
                hosts_of.setdefault(name, []).append(host)
    return [given_twice_message(name, hosts) for name, hosts in sorted(hosts_of.items())]


def _wrong_types(run: Run, resolve: Resolve) -> list[str]:
    """Return what is wrong with the types of our options, each once, with the hosts."""
    found: dict[tuple[str, str], list[str]] = {}
    for name in OPTIONS.keys() & run.extra.keys():
        problem = _explain(name, run.extra[name], True) if _is_resolved(run.extra[name]) else None
        if problem:
            found[name, problem] = []
    explain_once = _Explained(resolve)
    for host, variables in _judged(run).items():
        for name in OPTIONS.keys() & variables.keys():
            on_command_line = name in run.extra and _is_resolved(run.extra[name])
            problem = None if on_command_line else explain_once(host, name, variables)
            if problem:
                found.setdefault((name, problem), []).append(host)
    return [f"{name}{of_hosts(hosts)} {problem}" for (name, problem), hosts in sorted(found.items())]


class _Explained:
    """Explains values of routers, once where several of them have the same one: templating each would take seconds."""

    def __init__(self, resolve: Resolve) -> None:
        self._resolve = resolve
        self._known: dict[tuple[t.Any, ...], str | None] = {}

    def __call__(self, host: str, name: str, variables: Variables) -> str | None:
        value = variables[name]
        resolved = _is_resolved(value)
        key = (name, id(value), None if resolved else _inputs(host, value, variables))
        if key not in self._known:
            explained = _explain(name, value, False) if resolved else self._after_resolving(host, name, value)
            self._known[key] = explained
        return self._known[key]

    def _after_resolving(self, host: str, name: str, value: t.Any) -> str | None:
        """Return what is wrong with the type of a template's result. None if it cannot be templated here."""
        if _runs_a_lookup(value):
            return None
        try:
            resolved = self._resolve(host, name)
        except ValueError:
            return None
        return _explain(name, resolved, False) if _is_resolved(resolved) else None


def _inputs(host: str, value: t.Any, variables: Variables) -> t.Hashable:
    """Return what a template gives the same for on two hosts: the objects behind all names that it may read."""
    found: dict[str, int] = {}
    waiting = [value]
    while waiting:
        for word in names_in_templates([waiting.pop()]):
            if word in _MAGIC:
                return host
            if word in variables and word not in found:
                found[word] = id(variables[word])
                waiting.append(variables[word])
    return frozenset(found.items())


def _explain(name: str, value: t.Any, on_command_line: bool) -> str | None:
    # Ansible's own kinds of texts are slow to copy, and nearly all values are right.
    if not isinstance(value, _JSON) or explain(name, value, on_command_line) is None:
        return None
    return explain(name, plain(value), on_command_line)


def _is_resolved(value: t.Any) -> bool:
    """Return whether the type of ``value``, and of its items, is known without templating it."""
    return not any(map(is_template, value if isinstance(value, (list, tuple)) else [value]))


def _runs_a_lookup(value: t.Any) -> bool:
    """Return whether templating ``value`` may run a lookup, which may be slow, or ask for a secret."""
    return not names_in_templates([value]).isdisjoint(_LOOKUPS)


def _sentences(messages: list[str], unread: t.Iterable[str]) -> str:
    """Return the first messages, and what to do where something else does read the variables that are ``unread``."""
    more = len(messages) - _MOST_MESSAGES
    sentences = [*messages[:_MOST_MESSAGES], *([f"There are {more} more like these."] if more > 0 else [])]
    names = [name for name in unread if name not in SET_BY_US]
    if names:
        listed = f"{KNOWN_VARIABLES}: [{', '.join(names)}]"
        sentences.append(f"If something else reads it, such as an inventory plugin, say so with {listed}.")
    return " ".join(sentences)

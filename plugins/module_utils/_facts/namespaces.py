# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The facts of the machine's network namespaces: how full each is, whose it is, and what is in its table."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils import _netns
from ansible_collections.netops.conntrack.plugins.module_utils._errors import ConntrackError
from ansible_collections.netops.conntrack.plugins.module_utils._facts.fullness import percent_full
from ansible_collections.netops.conntrack.plugins.module_utils._facts.options import ALL, NAMED
from ansible_collections.netops.conntrack.plugins.module_utils._namespaces.container_names import ContainerNames
from ansible_collections.netops.conntrack.plugins.module_utils._namespaces.machine import (
    Machine,
    Namespace,
    find_namespaces,
    is_there,
)
from ansible_collections.netops.conntrack.plugins.module_utils._netns import Identity
from ansible_collections.netops.conntrack.plugins.module_utils._printable import visible
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.limits import (
    limit_that_holds,
    read_machine_limit,
)
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.sysctl import (
    GAUGE,
    current_value,
    find_sysctls,
)

MOST_LISTED = 1024
"""Namespaces that are returned at most. A node of Kubernetes has a few hundred."""

MOST_READ = 256
"""Namespaces whose tables are read at most: the same ones first."""

MOST_NAMES = 16
"""Names of one namespace that are returned at most."""

LONGEST_NAME = 255
"""NAME_MAX of Linux, the longest name of a file and of a group."""

LONGEST_PROCESS = 64
"""The longest name of a process: that of a thread of the kernel (proc_pid_comm(5))."""

_LONGEST_REASON = 500
_SHORT_ID = 12
"""How much of the number of a container its commands show."""

Facts = dict[str, t.Any]
ReadTable = t.Callable[[], Facts]


@dataclasses.dataclass
class _Measured:
    """A namespace, the reference that led into it, and what was measured there."""

    namespace: Namespace
    reference: str
    is_own: bool
    count: int | None = None
    limit: int | None = None
    table: Facts = dataclasses.field(default_factory=dict)
    unavailable: str | None = None
    is_gone: bool = False


class _GoneError(Exception):
    """A namespace went after it was found."""


def measure_namespaces(wanted: str, own: Identity, read_table: ReadTable | None) -> Facts:
    """Return the facts ``namespaces`` and ``across_namespaces``.

    ``wanted`` is one of CHOICES. ``own`` is the namespace that all other facts are about, so its table is not read
    again. ``read_table`` returns the facts about the table of the present namespace. Without it no table is read.
    What cannot be entered is said, and no error, also if that is all of them for want of the library.
    """
    machine = find_namespaces()
    measured = _measure(machine, wanted, own)
    if read_table:
        for one in measured[:MOST_READ]:
            _read_table(one, read_table)
        measured = [one for one in measured if not one.is_gone]
    facts: dict[str, Facts] = {}
    container_names = ContainerNames()
    for one in measured[:MOST_LISTED]:
        name = _unused(shown(one.reference), one.namespace, facts)
        facts[name] = _facts_of(one, name, container_names)
    return {"namespaces": facts, "across_namespaces": _across(machine, measured, wanted)}


def _measure(machine: Machine, wanted: str, own: Identity) -> list[_Measured]:
    """Return the wanted namespaces that are still there, in the order in which they are returned."""
    measured = []
    machine_limit = read_machine_limit()
    for namespace in machine.namespaces:
        if wanted == NAMED and not namespace.names:
            continue
        try:
            measured.append(_measure_one(namespace, own, machine_limit))
        except _GoneError:
            continue
    return sorted(measured, key=_rank)


def _rank(one: _Measured) -> tuple[bool, bool, int, str]:
    """Order namespaces: this one, those with a name, which root gives, and then those with most entries."""
    return not one.is_own, not one.namespace.names, -(one.count or 0), one.reference


def _measure_one(namespace: Namespace, own: Identity, machine_limit: int | None) -> _Measured:
    one = _Measured(namespace, namespace.references[0], namespace.identity == own)

    def measure() -> None:
        sysctls = find_sysctls()
        one.count = current_value(sysctls, GAUGE)
        one.limit = limit_that_holds(current_value(sysctls, "max"), machine_limit)

    _inside(one, measure)
    if one.count is None and one.unavailable is None:
        one.unavailable = "the kernel does not say how many entries it has"
    return one


def _read_table(one: _Measured, read_table: ReadTable) -> None:
    """Read the table of a namespace, unless it is known what would be found."""
    if one.is_own or one.unavailable is not None or one.count == 0:
        return

    def read() -> None:
        one.table = read_table()

    try:
        _inside(one, read)
    except _GoneError:
        one.is_gone = True


def _inside(one: _Measured, work: t.Callable[[], None]) -> None:
    """Do the ``work`` in a namespace, and remember which reference led into it, or why none does.

    Raises _GoneError where it is not there any more.
    """
    if one.namespace.identity == _netns.own_identity():
        _do(one, work)
        return
    reasons = []
    for reference in one.namespace.references:
        try:
            with _netns.inside(reference, one.namespace.identity):
                one.reference = reference
                _do(one, work)
                return
        except ConntrackError as error:
            reasons.append(error.message)
    if not is_there(one.namespace):
        raise _GoneError
    one.unavailable = reason_of(reasons[0])


def _do(one: _Measured, work: t.Callable[[], None]) -> None:
    """Do the ``work``, and remember why it cannot be done."""
    try:
        work()
    except ConntrackError as error:
        one.unavailable = reason_of(error.message)


def reason_of(message: str) -> str:
    """Return why a namespace could not be measured, from the message of an error about the option netns."""
    return shown(message.replace("netns: ", "", 1), _LONGEST_REASON)


def shown(text: str, longest: int = LONGEST_NAME) -> str:
    """Return a text that somebody else chose, without control characters, and not too long."""
    shown = visible(text)
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"


def _unused(name: str, namespace: Namespace, used: t.Container[str]) -> str:
    """Return a name that no other namespace has. Two names can look the same once they are made printable."""
    if name not in used:
        return name
    number = f" ({namespace.identity[1]})"
    return f"{name[: LONGEST_NAME - len(number)]}{number}"


def _facts_of(one: _Measured, name: str, container_names: ContainerNames) -> Facts:
    namespace = one.namespace
    holder = namespace.holder
    owner = _owner_of(namespace, container_names)
    return {
        "name": name,
        "title": _title(name, one, owner),
        "names": [shown(each) for each in namespace.names[:MOST_NAMES]],
        "inode": namespace.identity[1],
        "own": one.is_own,
        "pid": holder.pid if holder else None,
        "process": shown(holder.process, LONGEST_PROCESS) if holder else None,
        "processes": namespace.processes,
        "owner": owner,
        "count": one.count,
        "max": one.limit,
        "percent": percent_full(one.count, one.limit),
        "unavailable": one.unavailable,
        **one.table,
    }


def _owner_of(namespace: Namespace, container_names: ContainerNames) -> Facts | None:
    owner = namespace.holder.owner if namespace.holder else None
    if owner is None:
        return None
    # A user can give his own groups the number of somebody else's container.
    label = container_names.name_of(owner.kind, owner.name) if owner.user is None else None
    return {**owner._asdict(), "name": shown(owner.name), "label": shown(label) if label else None}


def _title(name: str, one: _Measured, owner: Facts | None) -> str:
    """Return what people call a namespace: its name, with what holds it where it has none of its own."""
    holder = one.namespace.holder
    if one.namespace.names or holder is None:
        return name
    process = shown(holder.process, LONGEST_PROCESS)
    if owner is None:
        return f"{name} ({process})"
    number = owner["name"] if owner["kind"] in ("unit", "machine", "lxc") else owner["name"][:_SHORT_ID]
    short = owner["label"] or number
    return f"{name} ({process}, {owner['kind']} {short})"


def _across(machine: Machine, measured: t.Sequence[_Measured], wanted: str) -> Facts:
    """Return what is known of all of them together. They share the buckets of one hash table."""
    left_out = max(0, len(measured) - MOST_LISTED)
    reasons = [*_unseen(machine, wanted), *_not_measured(machine, measured, left_out)]
    counts = [one.count for one in measured]
    count = sum(each for each in counts if each is not None) if None not in counts else None
    buckets = current_value(find_sysctls(), "buckets")
    is_whole = wanted == ALL and not reasons and count is not None
    return {
        "namespaces": len(measured),
        "left_out": left_out,
        "hidden_processes": machine.hidden_processes,
        "count": count,
        "buckets": buckets,
        "load_factor": round(2 * (count or 0) / buckets, 3) if is_whole and buckets else None,
        "complete": None if reasons else True,
        "unavailable": shown(" ".join(reasons), _LONGEST_REASON * 4) if reasons else None,
    }


def _unseen(machine: Machine, wanted: str) -> t.Sequence[str]:
    """Return what could not be looked at. For namespaces with a name, nobody looks at processes."""
    return machine.unseen if wanted == ALL else ()


def _not_measured(machine: Machine, measured: t.Sequence[_Measured], left_out: int) -> t.Iterator[str]:
    for name, reason in sorted(machine.broken.items()):
        yield f"{shown(name)}: {reason_of(reason)}"
    unknown = [one for one in measured if one.unavailable is not None]
    if unknown:
        first = f"{shown(unknown[0].reference)}: {unknown[0].unavailable}"
        number = "1 namespace" if len(unknown) == 1 else f"{len(unknown):,} namespaces"
        yield f"{number} could not be measured, such as {first.rstrip('.')}."
    if left_out:
        yield f"{left_out:,} namespaces, those with the fewest entries, are not returned."

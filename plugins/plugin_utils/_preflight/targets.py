# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""The routers that a run is about: ``target`` and ``--limit`` matched as Ansible matches them, or refused."""

from __future__ import annotations

import difflib
import typing as t

from ansible.errors import AnsibleError
from ansible.inventory.manager import InventoryManager
from ansible.utils.vars import load_extra_vars
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError, RefusedError

Groups = t.Mapping[str, t.Sequence[str]]

_MOST_GROUPS = 12
_ALL = "all"
_UNGROUPED = "ungrouped"
_UNTOUCHED = "Nothing was touched."


def given_to(task: t.Any, loader: t.Any) -> dict[str, t.Any]:
    """Return the variables that the hosts of a task's play may be chosen with: those of the play, and the extra ones.

    The variables of a host are not among them, as for Ansible. They are not templated.
    """
    return {**task.get_play().get_vars(), **load_extra_vars(loader)}


def hosts_of_run(groups: Groups, target: t.Any, limit: str | None, loader: t.Any) -> list[str]:
    """Return the names of the hosts of a run, in the order of the inventory.

    ``groups`` are the inventory's, each with all of its hosts. ``target`` is a pattern of hosts, or a list of such, and
    None for all hosts. ``limit`` is what ``--limit`` was given, if it was.

    Raises OptionError for a target that is no pattern or matches nobody, RefusedError for an inventory without hosts.
    """
    if target is None and not groups.get(_ALL):
        raise RefusedError(f"The inventory has no hosts. Name one with -i. {_UNTOUCHED}")
    _require_pattern(target)
    manager = InventoryManager(loader, parse=False)
    for group, hosts in groups.items():
        manager.add_group(group)
        for host in hosts:
            manager.add_host(host, group=group)
    pattern = _ALL if target is None else target
    try:
        matching = _matching(manager, pattern)
        manager.subset(limit)
        limited = _matching(manager, pattern)
    except (AnsibleError, ValueError) as error:
        raise OptionError(
            "target", target, f"cannot be matched ({error})", f"Give a pattern of hosts. {_UNTOUCHED}"
        ) from error
    if target is not None and not matching:
        raise OptionError("target", target, "matches no host", f"{_remedy(target, groups)} {_UNTOUCHED}")
    if target is not None and not limited:
        problem = f"has no host in common with --limit {limit}"
        raise OptionError("target", target, problem, f"Leave one of them out, or change it. {_UNTOUCHED}")
    return limited


def refuse_hosts(target: t.Any, limit: str | None) -> None:
    """Raise RefusedError if routers are named for a run that is about a file on the controller."""
    given = [*(["target"] if target is not None else []), *(["--limit"] if limit else [])]
    if given:
        named = " and ".join(given)
        raise RefusedError(
            f"src is a file on the controller, and {named} {'name' if len(given) > 1 else 'names'} routers. "
            f"Leave src out to look at these, or leave {named} out to read the file. {_UNTOUCHED}"
        )


def refuse_too_many(routers: int, most: int, forks: int | None) -> None:
    """Raise RefusedError for more routers than can be looked at all the time, each in a process of the controller."""
    if routers > most:
        raise RefusedError(
            f"At most {most} routers can be watched at the same time, and these are {routers:,}. "
            f"Name fewer with -e target=PATTERN or --limit PATTERN. {_UNTOUCHED}"
        )
    if forks is not None and forks < routers:
        raise RefusedError(
            f"Each router needs a process of its own, and forks is {forks} for {routers} routers. "
            f"Call it with --forks {routers}, or name fewer routers. {_UNTOUCHED}"
        )


def refuse_unnamed(groups: Groups, command: str) -> None:
    """Raise RefusedError for a run that changes routers that nobody named. ``command`` is how to call it."""
    raise RefusedError(
        f"Which routers? This playbook changes them, so name them with -e target=PATTERN or --limit PATTERN. "
        f"{_groups(groups)} For example: {command} -e target=GROUP. {_UNTOUCHED}"
    )


def _require_pattern(target: t.Any) -> None:
    if target is None:
        return
    patterns = target if isinstance(target, list) else [target]
    if not patterns or not all(isinstance(pattern, str) and pattern.strip() for pattern in patterns):
        remedy = "Give the name of a group or of a host, or a pattern of them, such as edge or edge:!router1."
        raise OptionError("target", target, "is no pattern of hosts", f"{remedy} {_UNTOUCHED}")


def _matching(manager: InventoryManager, pattern: t.Any) -> list[str]:
    return [str(host.name) for host in manager.get_hosts(pattern=pattern)]


def _remedy(target: t.Any, groups: Groups) -> str:
    names = [name for name in (*groups, *groups.get(_ALL, ())) if name != _UNGROUPED]
    close = difflib.get_close_matches(str(target), names, 1)
    question = f"Did you mean {close[0]}? " if close else ""
    return f"{question}{_groups(groups)}"


def _groups(groups: Groups) -> str:
    """Return the sentence that lists the groups, each with the number of its hosts, the largest first."""
    sizes = {name: len(set(hosts)) for name, hosts in groups.items() if hosts and name not in (_ALL, _UNGROUPED)}
    largest = sorted(sizes, key=lambda name: (-sizes[name], name))
    listed = [f"{name} ({_counted(sizes[name])})" for name in largest[:_MOST_GROUPS]]
    more = len(largest) - len(listed)
    listed += [f"{more} more"] if more else []
    listed.append(f"{_ALL} ({_counted(len(groups.get(_ALL, ())))})")
    return f"The inventory's groups are {', '.join(listed)}."


def _counted(hosts: int) -> str:
    return f"{hosts} host{'' if hosts == 1 else 's'}"

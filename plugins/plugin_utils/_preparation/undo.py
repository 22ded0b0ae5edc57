# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""What is to be undone on a router: what the role has on record there, as far as it is still as the role made it."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.netops.conntrack.plugins.plugin_utils._preparation.found import (
    BREAK,
    DIRECTORY,
    FILE,
    PACKAGE,
    PIP,
    TREE,
    USER,
    Found,
    Item,
    is_plain,
)

Options = t.Mapping[str, t.Any]


@dataclasses.dataclass(frozen=True)
class Undo:
    """What is to be removed from one router, and what is ``left`` there with the reason.

    ``packages`` are commands, each with the one that tells whether the package is there. ``directories`` are removed if
    they are empty, innermost first. ``problems`` are the reasons to do nothing at all.
    """

    files: list[str]
    packages: list[dict[str, t.Any]]
    trees: list[str]
    directories: list[str]
    user: str
    left: list[str]
    made: list[Item]
    problems: list[str]


def plan_undo(found: Found, options: Options) -> Undo:
    """Return what the role undoes on the router.

    ``options`` has ``systems``, the ``sysctl_file`` of the role and the ``records`` of all drop-ins (the facts boot).
    """
    of_kind: dict[str, list[Item]] = {}
    for item in reversed(found.made):
        of_kind.setdefault(item["kind"], []).append(item)
    files = [item["path"] for item in of_kind.get(FILE, [])]
    changed = [item["path"] for item in of_kind.get(FILE, []) if _is_changed(found, item)]
    users = [item["name"] for item in of_kind.get(USER, [])]
    return Undo(
        files=[path for path in files if path not in changed],
        packages=[*_packages(of_kind.get(PACKAGE, []), options["systems"]), *_of_pip(of_kind.get(PIP, []), found)],
        trees=[item["path"] for item in of_kind.get(TREE, [])],
        directories=[item["path"] for item in of_kind.get(DIRECTORY, [])],
        user=users[0] if users else "",
        left=[f"{path}, which somebody has changed since" for path in changed],
        made=found.made,
        problems=_problems(of_kind.get(PACKAGE, []), options),
    )


def _is_changed(found: Found, item: Item) -> bool:
    """Return whether a file is another one than the role made. A file that is gone is not."""
    wanted, present = item.get("sha256"), found.files.get(item["path"])
    return bool(wanted) and present is not None and present != wanted


def _packages(items: t.Sequence[Item], systems: t.Mapping[str, t.Any]) -> list[dict[str, t.Any]]:
    known = [(item["name"], systems[item["system"]]) for item in items if item["system"] in systems]
    return [
        {"name": name, "query": [*system["installed"], name], "remove": [*system["remove"], name]}
        for name, system in known
    ]


def _of_pip(items: t.Sequence[Item], found: Found) -> list[dict[str, t.Any]]:
    # Where the distribution manages the Python, pip was allowed to install it, and needs to be allowed to remove it.
    options = ["--yes", *([BREAK] if found.externally_managed else [])]
    commands = [(item["name"], [item["path"], "-m", "pip"]) for item in items]
    return [
        {"name": name, "query": [*pip, "show", "--quiet", name], "remove": [*pip, "uninstall", *options, name]}
        for name, pip in commands
    ]


def _problems(packages: t.Sequence[Item], options: Options) -> list[str]:
    """Return why nothing is to be undone: something else of this collection builds on it, or cannot be undone."""
    problems = [
        f"{item['name']} was installed as on {item['system']}, which conntrack_prepare_systems does not know any more. "
        "Put it into conntrack_prepare_extra_systems."
        for item in packages
        if item["system"] not in options["systems"]
    ]
    files = {file["sysctl_file"]: set(file["settings"]) for file in options["records"]}
    own = files.pop(options["sysctl_file"], set())
    for sysctl_file, settings in files.items():
        shared = sorted(filter(is_plain, own & settings))
        if shared:
            named = sysctl_file if is_plain(sysctl_file) else "another drop-in"
            problems.append(
                f"{', '.join(shared)} is set by {named} as well. Undo that first, such as with ansible-playbook "
                "netops.conntrack.tune -e conntrack_tune_state=absent."
            )
    return problems

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The commands of systemd's units that are started at boot (systemd.unit(5), systemd.service(5))."""

from __future__ import annotations

import itertools
import os
import re
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._boot_files.config_tree import PLACES, Tree
from ansible_collections.netops.conntrack.plugins.module_utils._boot_files.shell_commands import logical_lines
from ansible_collections.netops.conntrack.plugins.module_utils._boot_files.sysctl_d import Source

_DIRECTORIES = tuple(f"{place}/systemd/system" for place in PLACES)
_MOST_UNITS = 300
_STARTS = ("ExecStartPre", "ExecStart", "ExecStartPost")
_COMMAND_PREFIXES = "-@:+!|"
_WANTED = (".wants", ".requires", ".upholds")

_Listings = t.Mapping[str, t.AbstractSet[str]]
"""The names in each of the directories, highest precedence first."""


def enabled_commands(tree: Tree) -> t.Iterator[tuple[str, Source, str]]:
    """Yield the unit, the place and the text of each command that an enabled unit runs when it starts.

    Those of systemd itself are left out.
    """
    # The directories are listed once, because most of them have nothing for most of the units.
    listings = {directory: frozenset(tree.names(directory)) for directory in _DIRECTORIES}
    for unit in itertools.islice(_enabled(tree, listings), _MOST_UNITS):
        if not unit.startswith("systemd-"):
            for source, command in _commands(tree, _files(tree, listings, unit)):
                yield unit, source, command


def _enabled(tree: Tree, listings: _Listings) -> t.Iterator[str]:
    """Yield the services that some target pulls in. A link to /dev/null takes one out."""
    seen: set[str] = set()
    for directory, names in listings.items():
        for target in sorted(name for name in names if name.endswith(_WANTED)):
            for unit in sorted(tree.names(f"{directory}/{target}")):
                if not unit.endswith(".service") or unit in seen:
                    continue
                if not tree.is_masked(f"{directory}/{target}/{unit}"):
                    seen.add(unit)
                    yield unit


def _commands(tree: Tree, files: t.Iterable[str]) -> list[tuple[Source, str]]:
    """Return the commands in the order in which they run. An empty assignment, mostly in a drop-in, takes all back."""
    found: dict[str, list[tuple[Source, str]]] = {name: [] for name in _STARTS}
    for path in files:
        text = tree.read(path) or ""
        if "ExecStart" not in text:
            continue
        for number, line in logical_lines(text):
            name, equals, value = line.strip().partition("=")
            name = name.strip()
            if not equals or name not in found:
                continue
            command = value.strip().lstrip(_COMMAND_PREFIXES)
            found[name] = [*found[name], (Source(path, number), command)] if command else []
    return [each for name in _STARTS for each in found[name]]


def _files(tree: Tree, listings: _Listings, unit: str) -> list[str]:
    """Return the unit's file, and its drop-ins by their names, or None where the unit is masked or has no file."""
    names = [unit]
    if "@" in unit:
        names.append(re.sub(r"@.*(?=\.service$)", "@", unit))
    found = [f"{directory}/{name}" for name in names for directory, listed in listings.items() if name in listed]
    if not found or tree.is_masked(found[0]):
        return []
    return [found[0], *_dropins(tree, listings, names)]


def _dropins(tree: Tree, listings: _Listings, names: t.Iterable[str]) -> list[str]:
    chosen: dict[str, str] = {}
    for name in names:
        for directory in (directory for directory, listed in listings.items() if f"{name}.d" in listed):
            for path in tree.paths_in(f"{directory}/{name}.d"):
                chosen.setdefault(os.path.basename(path), path)
    return [chosen[file] for file in sorted(chosen)]

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The rules by which kernel modules are found and loaded: modprobe.d(5), and the lists of a kernel such as modules.dep.

The rules are those of libkmod (libkmod/libkmod-config.c, libkmod-module.c and libkmod.c), which modprobe(8) and
systemd-modules-load share. The big lists of a kernel are read only when a name asks for them.
"""

from __future__ import annotations

import fnmatch
import functools
import os
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._boot_files.config_tree import Tree
from ansible_collections.netops.conntrack.plugins.module_utils._boot_files.shell_commands import (
    logical_lines,
    modprobes,
)
from ansible_collections.netops.conntrack.plugins.module_utils._boot_files.sysctl_d import Source

CMDLINE = "/proc/cmdline"

_KERNEL_MODULES = ("/lib/modules", "/usr/lib/modules", "/run/booted-system/kernel-modules/lib/modules")
"""Where the lists of a kernel are; the last one is that of NixOS."""

_SOFTDEP = "modules.softdep"
_MOST_BYTES_OF_LIST = 16_000_000  # The list of aliases is the longest one, a tenth of that.


class Command(t.NamedTuple):
    """A line of modprobe.d(5): its command, the name or pattern that it is about, and the rest of the line."""

    source: Source
    command: str
    name: str
    rest: str


def module_name(name: str) -> str:
    """Return the name as the kernel has it: a dash is an underscore."""
    return name.replace("-", "_")


class ModprobeConfig:
    """What decides which modules a name loads, on the kernel ``release`` of a machine."""

    def __init__(self, tree: Tree) -> None:
        """Read modprobe.d, and the kernel's command line. The lists of the kernel are read when they are needed."""
        self._tree = tree
        self.words = (tree.read(CMDLINE) or "").split()
        self.commands = list(self._read_commands())
        self._found: dict[str, str | None] = {}

    @functools.cached_property
    def _release(self) -> str:
        return (self._tree.read("/proc/sys/kernel/osrelease") or "").strip()

    def kernel_list(self, name: str) -> str:
        """Return the text of a list such as ``modules.dep`` of the running kernel. Empty: there is none."""
        for directory in _KERNEL_MODULES:
            text = self._tree.start(f"{directory}/{self._release}/{name}", _MOST_BYTES_OF_LIST)
            if text is not None:
                return text
        return ""

    @property
    def release(self) -> str:
        """The release of the running kernel."""
        return self._release

    def first(self, command: str, module: str) -> Command | None:
        """Return the first line with this command whose pattern matches a module: libkmod looks no further."""
        for each in self.commands:
            if each.command == command and fnmatch.fnmatchcase(module, each.name):
                return each
        return None

    def parameters(self, module: str, names: t.Collection[str]) -> list[tuple[str, str, Source]]:
        """Return the parameters that a module is loaded with, in their order, as name, value and place.

        ``names`` are the names under which it is loaded: options for an alias count where it is loaded by that.
        """
        found: list[tuple[str, str, Source]] = []
        for each in self.commands:
            if each.command == "options" and (each.name == module or each.name in names):
                found += parameters_in(each.rest, each.source)
        return found + self.kernel_parameters(module)

    def kernel_parameters(self, module: str) -> list[tuple[str, str, Source]]:
        """Return those on the kernel's command line, which count for what is built into it as well."""
        source = Source(CMDLINE, 1)
        pairs = [word.partition(".") for word in self.words]
        return [
            each
            for name, dot, rest in pairs
            if dot and module_name(name.lstrip('"')) == module
            for each in parameters_in(rest, source)
        ]

    def is_blacklisted(self, module: str) -> bool:
        """Return whether a ``blacklist`` line, or the kernel's command line, names the module."""
        names = {each.name for each in self.commands if each.command == "blacklist"}
        for word in self.words:
            option, _equals, value = word.partition("=")
            if option == "modprobe.blacklist":
                names.update(module_name(name) for name in value.split(","))
        return module in names

    def is_banned(self, module: str) -> bool:
        """Return whether the kernel itself refuses to load the module (``module_blacklist=``)."""
        for word in self.words:
            option, _equals, value = word.partition("=")
            if option == "module_blacklist" and module in map(module_name, value.split(",")):
                return True
        return False

    def loads(self, requested: str, wanted: str, blacklist: str) -> bool:
        """Return whether a request for a name loads the module ``wanted``, itself or along with another one.

        ``blacklist`` says how far the one who asks obeys those lines: for ``all`` names, ``aliases`` only, or ``none``.
        """
        name = module_name(requested.strip())
        return self._loads(name, wanted, blacklist, set())

    def _loads(self, name: str, wanted: str, blacklist: str, visited: set[str]) -> bool:
        for module, by_alias in self._resolve(name):
            obeyed = blacklist == "all" or (blacklist == "aliases" and by_alias)
            if obeyed and self.is_blacklisted(module):
                continue
            if self._inserts(module, wanted, visited):
                return True
        return False

    def _inserts(self, module: str, wanted: str, visited: set[str], ignores_install: bool = False) -> bool:
        """Return whether loading a module loads ``wanted``: by its dependencies, soft ones too, or an install line."""
        if module in visited and not ignores_install:
            return False
        visited.add(module)
        for each in [*self._dependencies(module), module]:
            skips_line = ignores_install and each == module
            if self._runs(each, wanted, visited, skips_line):
                return True
            if not skips_line and any(self._follows(name, wanted, visited) for name in self._soft_dependencies(each)):
                return True
        return False

    def _follows(self, name: str, wanted: str, visited: set[str]) -> bool:
        return any(self._inserts(module, wanted, visited) for module, _by_alias in self._resolve(name))

    def _runs(self, module: str, wanted: str, visited: set[str], skips_line: bool) -> bool:
        """Return whether ``wanted`` is loaded when it is a module's turn: it is that one, or its install line does."""
        line = None if skips_line else self.first("install", module)
        if line is None:
            return module == wanted
        for command in modprobes(line.rest):
            itself = command.ignores_install and command.name == module
            if itself and module == wanted:
                return True
            if not itself and self._loads(command.name, wanted, "aliases", visited):
                return True
            if itself and self._inserts(module, wanted, visited, ignores_install=True):
                return True
        return False

    def _resolve(self, name: str) -> list[tuple[str, bool]]:
        """Return the modules that a name means, and whether the name is an alias of theirs (kmod_lookup_*)."""
        aliases = [each for each in self.commands if each.command == "alias"]
        given = [module_name(each.rest.split()[0]) for each in aliases if fnmatch.fnmatchcase(name, each.name)]
        if given:
            return [(module, module != name) for module in given]
        if self._needs(name) is not None or self.first("install", name):
            return [(name, False)]
        found = [module_name(module) for module in self._kernel_aliases(name)]
        if found:
            return [(module, True) for module in found]
        # Where the kernel's list is not there, any name may be that of a module.
        return [] if self._depends else [(name, False)]

    def _kernel_aliases(self, name: str) -> list[str]:
        if ":" in name:
            # A hardware alias, which the kernel's list has as patterns.
            lines = [line.split() for line in self._aliases.split("\n") if line.startswith("alias ")]
            return [words[2] for words in lines if len(words) == 3 and fnmatch.fnmatchcase(name, words[1])]
        start = f"alias {name} "
        return [line[len(start) :] for line in _lines_with(self._aliases, start) if line.startswith(start)]

    @functools.cached_property
    def _aliases(self) -> str:
        return module_name(self.kernel_list("modules.alias"))

    def _needs(self, module: str) -> str | None:
        """Return the rest of a module's line in modules.dep, None where this kernel has no such module."""
        if module not in self._found:
            lines = (line.partition(":") for line in _lines_with(self._depends, f"{module}.ko"))
            self._found[module] = next((rest for file, _colon, rest in lines if _name_of_file(file) == module), None)
        return self._found[module]

    @functools.cached_property
    def _depends(self) -> str:
        return module_name(self.kernel_list("modules.dep"))

    def _dependencies(self, module: str) -> list[str]:
        """Return all that a module needs: depmod(8) writes down those of its dependencies as well."""
        return [_name_of_file(file) for file in (self._needs(module) or "").split()]

    def _soft_dependencies(self, module: str) -> list[str]:
        line = self.first("softdep", module)
        words = line.rest.split() if line else []
        return [module_name(word) for word in words if word not in ("pre:", "post:")]

    def _read_commands(self) -> t.Iterator[Command]:
        files = [(os.path.basename(path), path, self._tree.read(path)) for path in self._tree.fragments("modprobe.d")]
        # The kernel's own soft dependencies stand among those files, in the order of the names.
        files.append((_SOFTDEP, f"{_KERNEL_MODULES[0]}/{self._release}/{_SOFTDEP}", self.kernel_list(_SOFTDEP)))
        for _name, path, text in sorted(files, key=lambda file: file[0]):
            for number, line in logical_lines(text or ""):
                words = line.split(None, 2)
                if len(words) >= 2 and not line.startswith("#"):
                    rest = words[2] if len(words) == 3 else ""
                    if rest or words[0] == "blacklist":
                        yield Command(Source(path, number), words[0], module_name(words[1]), rest)


def parameters_in(text: str, source: Source) -> list[tuple[str, str, Source]]:
    """Return the parameters of a module in a text such as ``hashsize=5 acct=1``. A bare name is a switch that is on."""
    pairs = [word.partition("=") for word in text.split()]
    return [(module_name(name), value.strip('"') if equals else "1", source) for name, equals, value in pairs]


def _lines_with(text: str, part: str) -> t.Iterator[str]:
    """Yield the lines that have ``part`` in them. The lists are long, and taking them apart takes much longer."""
    place = text.find(part)
    while place >= 0:
        end = text.find("\n", place)
        end = len(text) if end < 0 else end
        yield text[text.rfind("\n", 0, place) + 1 : end]
        place = text.find(part, end)


def _name_of_file(file: str) -> str:
    return module_name(os.path.basename(file).partition(".ko")[0])

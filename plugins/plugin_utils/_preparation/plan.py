# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""What is to be made on a router so that the modules find what they need: planned, or refused, before any change."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
import typing as t

from ansible.module_utils.compat.version import LooseVersion
from ansible_collections.netops.conntrack.plugins.plugin_utils._preparation.found import (
    BREAK,
    DIRECTORY,
    FILE,
    PACKAGE,
    PIP,
    TREE,
    USER,
    VERSION,
    Found,
    Item,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._preparation.user_files import (
    COMMANDS,
    UserFile,
    files_for,
)

OLDEST = "0.5.14"
"""The oldest pyroute2 that the modules are tested with."""

_NONE, _AUTO, _WHEEL = "none", "auto", "wheel"
_PATH_FILE = "netops-conntrack.pth"
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)*")

Options = t.Mapping[str, t.Any]
"""The variables of the role without conntrack_prepare_, and ``installed``: whether the package is there, if known."""

System = t.Mapping[str, t.Any]
"""How a distribution installs packages, as conntrack_prepare_systems has it."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is to be done on one router. ``problems`` are the reasons to do nothing at all."""

    method: str
    query: list[str]
    refresh: list[str]
    install: list[str]
    unpacked: str
    path_file: str
    directories: list[str]
    makes_user: bool
    home: str | None
    files: list[dict[str, str]]
    write_keys: bool
    made: list[Item]
    record: dict[str, t.Any]
    problems: list[str]


def plan_preparation(found: Found, options: Options) -> Plan:
    """Return what the role does on the router."""
    return _Planner(found, options).plan()


def is_usable(version: str | None) -> bool:
    """Return whether a pyroute2 of this version will do. One whose version is not known is taken at its word."""
    if version is None:
        return False
    number = _NUMBER.match(version)
    return number is None or bool(LooseVersion(number[0]) >= LooseVersion(OLDEST))


def system_of(found: Found, systems: t.Mapping[str, System]) -> str:
    """Return the name of the system that the router is, by what it is like and the commands that it has, or empty."""
    for name, system in systems.items():
        if set(system["like"]) & set(found.ids) and found.commands.get(system["install"][0]):
            return name
    return ""


class _Planner:
    """Works out the plan of one router."""

    def __init__(self, found: Found, options: Options) -> None:
        self._found = found
        self._options = options
        self._user: str = options["user"]
        self._system = system_of(found, options["systems"])
        self._known: System = options["systems"].get(self._system, {})
        self._method = self._method_of_choice()

    def plan(self) -> Plan:
        """Return the whole plan."""
        made = [*self._made_of_library(), *self._made_for_user()]
        kept = [item for item in self._found.made if _key(item) not in {_key(each) for each in made}]
        named = [self._package] if self._method == PACKAGE and self._known else []
        return Plan(
            method=self._method,
            query=[*self._known["installed"], *named] if named else [],
            refresh=list(self._known["refresh"]) if named else [],
            install=self._install_command(named),
            unpacked=self._unpacked,
            path_file=self._path_file,
            directories=self._directories(),
            makes_user=USER in {item["kind"] for item in made},
            home=self._found.home,
            files=[file._asdict() for file in self._files()],
            write_keys=self._writes_keys(),
            made=made,
            record={"version": VERSION, "made": [*kept, *made]},
            problems=[problem for problem in self._problems() if problem],
        )

    def _method_of_choice(self) -> str:
        if not self._options["pyroute2"] or is_usable(self._found.pyroute2):
            return _NONE
        method: str = self._options["method"]
        if method != _AUTO:
            return method
        if self._options["wheel"]:
            return _WHEEL
        return PACKAGE if self._system else PIP

    @property
    def _package(self) -> str:
        """The package of the distribution, or what pip is to install."""
        own = self._options["package"] or (f"pyroute2>={OLDEST}" if self._method == PIP else self._known.get("package"))
        return own or ""

    def _install_command(self, named: list[str]) -> list[str]:
        if self._method == PIP:
            return [self._found.python, "-m", "pip", "install", *self._options["pip_options"], self._package]
        return [*self._known["install"], *named] if named else []

    @property
    def _unpacked(self) -> str:
        """Where the wheel is unpacked, in a directory of its own, or empty."""
        name = os.path.basename(self._options["wheel"]).removesuffix(".whl")
        return os.path.join(self._options["directory"], name) if self._method == _WHEEL else ""

    @property
    def _path_file(self) -> str:
        """The file that has Python look there (the documentation of site), or empty."""
        libraries = self._found.libraries
        return os.path.join(libraries, _PATH_FILE) if libraries and self._method == _WHEEL else ""

    def _directories(self) -> list[str]:
        if self._method != _WHEEL:
            return []
        return [*self._found.missing_of_directory, *self._found.missing_of_libraries]

    def _made_of_library(self) -> list[Item]:
        """Return what is not there yet, in the order in which it is made."""
        if self._method == PACKAGE:
            return [{"kind": PACKAGE, "name": self._package, "system": self._system}]
        if self._method == PIP:
            return [{"kind": PIP, "name": "pyroute2", "path": self._found.python}]
        if self._method != _WHEEL:
            return []
        directories = [{"kind": DIRECTORY, "path": path} for path in self._directories()]
        digest = hashlib.sha256(f"{self._unpacked}\n".encode()).hexdigest()
        path_file = {"kind": FILE, "path": self._path_file, "sha256": digest}
        return [*directories, {"kind": TREE, "path": self._unpacked}, path_file]

    def _made_for_user(self) -> list[Item]:
        """Return the user if there is none of that name, and those of his files that are not there or are ours."""
        if not self._user:
            return []
        ours = {item["path"] for item in self._found.made if item["kind"] == FILE}
        files = [file for file in self._files() if self._found.files.get(file.path) is None or file.path in ours]
        changed = [file for file in files if self._found.files.get(file.path) != file.sha256]
        user = [{"kind": USER, "name": self._user}] if self._found.home is None else []
        return [*user, *({"kind": FILE, "path": file.path, "sha256": file.sha256} for file in changed)]

    def _writes_keys(self) -> bool:
        """Return whether to write the keys: only for a user of ours who cannot have logged in so far.

        Later, he decides where a path in his home leads.
        """
        is_ours = self._found.home is None or {"kind": USER, "name": self._user} in self._found.made
        return bool(self._options["user_keys"]) and is_ours and not self._found.has_ssh_directory

    def _files(self) -> list[UserFile]:
        if not self._user or self._lacking():
            return []
        return files_for(self._user, self._found.python, self._found.commands)

    def _lacking(self) -> list[str]:
        return [name for name in COMMANDS if not self._found.commands.get(name)]

    def _problems(self) -> t.Iterator[str]:
        """Yield the reasons why the router cannot be prepared like this, each with the remedy."""
        if self._method == PACKAGE:
            yield self._problem_of_package()
        if self._method == PIP:
            yield self._problem_of_pip()
        if self._method == _WHEEL and not self._found.libraries:
            yield (
                f"There is no directory that can be written and in which {self._found.python} looks for libraries. Put "
                "pyroute2 into the image of this system."
            )
        if self._user:
            yield self._problem_of_user()

    def _problem_of_package(self) -> str:
        if not self._system:
            known = ", ".join(self._found.ids) or "an unknown one"
            return (
                f"conntrack_prepare_method: package, but how this system ({known}) installs one is not known, or its "
                "package manager is not there. Give a conntrack_prepare_wheel, or describe the system in "
                "conntrack_prepare_extra_systems."
            )
        if not self._options.get("installed"):
            return ""
        seen = f"pyroute2 {self._found.pyroute2}" if self._found.pyroute2 else "no pyroute2 that works"
        return (
            f"The package {self._package} is installed, but {self._found.python} finds {seen}. Version {OLDEST} or "
            "later is needed. Give one with conntrack_prepare_wheel, or set ansible_python_interpreter to the Python "
            "that the package is for."
        )

    def _problem_of_pip(self) -> str:
        python = self._found.python
        if not self._found.pip:
            return f"{python} has no pip, and no package of this system is known. Give a conntrack_prepare_wheel."
        if self._found.externally_managed and BREAK not in self._options["pip_options"]:
            return (
                f"conntrack_prepare_method: pip, but the distribution does not want pip to install into {python} (PEP "
                f"668). Use package or wheel, or give conntrack_prepare_pip_options: [{BREAK}]."
            )
        return ""

    def _problem_of_user(self) -> str:
        lacking = self._lacking()
        if lacking:
            return (
                f"conntrack_prepare_user: {self._user} needs {', '.join(lacking)}, which this router does not have. "
                "Install what is missing, or leave the user out."
            )
        ours = {item.get("path") for item in self._found.made}
        others = [
            file.path
            for file in self._files()
            if file.path not in ours and self._found.files.get(file.path) not in (None, file.sha256)
        ]
        if others:
            return (
                f"conntrack_prepare_user: {self._user} needs {', '.join(others)}, which is there with other contents. "
                "Remove it, or leave the user out."
            )
        return ""


def _key(item: Item) -> tuple[str, str]:
    return item["kind"], item.get("path") or item.get("name", "")

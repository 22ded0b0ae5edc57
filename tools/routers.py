# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Install each release of pyroute2 that the modules are tested with, in a directory of its own.

Usage: routers.py [--all], with a Python that has PyYAML and pip. The releases are those of routers.yml with every_time,
or all of them, and stand below .work/routers. They are plain Python, so that each Python of the table can import them.
"""

from __future__ import annotations

import dataclasses
import pathlib
import shutil
import subprocess
import sys
import typing as t

import prepare_ansible_test
import yaml

TOOLS = pathlib.Path(__file__).resolve().parent
TABLE = TOOLS / "routers.yml"
LIBRARIES = TOOLS.parent / ".work" / "routers"


@dataclasses.dataclass(frozen=True)
class Library:
    """A row of the table: a release of pyroute2, and the newest Python that can import it."""

    release: str
    newest_python: str = "3.99"
    supported: bool = True
    every_time: bool = False

    @property
    def directory(self) -> pathlib.Path:
        """What belongs into the PYTHONPATH of a module that is to find this release."""
        return LIBRARIES / f"pyroute2-{self.release}"

    @property
    def is_ready(self) -> bool:
        """Whether it is installed as a whole: an installation that is broken off leaves no such directory."""
        return self.directory.is_dir()

    def suits(self, python: str) -> bool:
        """Return whether the Python of this version can import it."""
        return as_numbers(python) <= as_numbers(self.newest_python)

    def install(self) -> None:
        """Install it next to its directory, and give it the name only once it is complete."""
        unfinished = LIBRARIES / f"unfinished-{self.release}"
        shutil.rmtree(unfinished, ignore_errors=True)
        pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--no-compile"]
        command = [*pip, "--target", str(unfinished), f"pyroute2=={self.release}"]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
        unfinished.rename(self.directory)


def as_numbers(version: str) -> tuple[int, ...]:
    """Return a version such as 3.10 as numbers, which compare as versions do."""
    return tuple(map(int, version.split(".")))


def libraries() -> list[Library]:
    """Return the releases of pyroute2 in the table, the supported ones first."""
    return [Library(**row) for row in _table()["pyroute2"]]


def pythons() -> list[str]:
    """Return the versions of Python in the table, the oldest first."""
    versions: list[str] = _table()["pythons"]
    return versions


def interpreters() -> dict[str, str]:
    """Return the path of each Python of the table that this machine has, by its version."""
    found = {version: prepare_ansible_test.find_interpreter(version) for version in pythons()}
    return {version: path for version, path in found.items() if path is not None}


def main(arguments: list[str]) -> None:
    """Install what is asked for and not there yet, and say which Pythons there are to import it."""
    if not set(arguments) <= {"--all"}:
        sys.exit(f"routers: {' '.join(arguments)}: the only option is --all, for every row of {TABLE.name}.")
    for library in libraries():
        if not library.is_ready and (library.every_time or arguments):
            say(f"installing pyroute2 {library.release}")
            library.install()
    there = interpreters()
    for version in pythons():
        say(f"Python {version}: {there.get(version, 'LEFT OUT, it is neither in PATH nor among those of pyenv')}")


def say(line: str) -> None:
    """Print a line that says where it comes from."""
    print(f"routers: {line}", flush=True)


def _table() -> dict[str, t.Any]:
    table: dict[str, t.Any] = yaml.safe_load(TABLE.read_text(encoding="utf-8"))
    return table


if __name__ == "__main__":
    main(sys.argv[1:])

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Make the virtual environments in which the collection is tested with other versions of ansible-core.

Usage: controllers.py [--all | SERIES...], with a Python that has PyYAML. The environments are those of controllers.yml
with every_time, all of them, or those of the series, such as 2.16. They stand below .work/controllers. A Python that
this machine lacks is named and left out.
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
TABLE = TOOLS / "controllers.yml"
REQUIREMENTS = TOOLS / "requirements-controllers.txt"
ENVIRONMENTS = TOOLS.parent / ".work" / "controllers"
KINDS = ("supported", "announced", "refused")
ALL = "all"
"""What names every row."""


@dataclasses.dataclass(frozen=True)
class Controller:
    """A row of the table: a release of ansible-core, and the version of the Python that runs it."""

    core: str
    python: str
    kind: str
    """The part of the table that it is in: supported, announced or refused."""

    every_time: bool = False

    @property
    def supported(self) -> bool:
        """Whether the collection works on it. One that is not released yet is neither supported nor refused."""
        return self.kind == "supported"

    @property
    def series(self) -> str:
        """The release without its last number, such as 2.16."""
        return self.core.rpartition(".")[0]

    @property
    def name(self) -> str:
        """How the pair is called in the output of the tests, and the directory of its environment."""
        return f"core-{self.series}-py{self.python}"

    @property
    def environment(self) -> pathlib.Path:
        """The directory of its virtual environment."""
        return ENVIRONMENTS / self.name

    @property
    def requirements(self) -> str:
        """What is installed in the environment, as a requirements file."""
        return f"ansible-core=={self.core}\n{REQUIREMENTS.read_text(encoding='utf-8')}"

    @property
    def is_ready(self) -> bool:
        """Whether the environment is there and holds what the table and the requirements name."""
        mark = self._mark
        return mark.is_file() and mark.read_text(encoding="utf-8") == f"{self.environment}\n{self.requirements}"

    def make(self, interpreter: str) -> None:
        """Make the environment anew with ``interpreter``. It is ready only once everything is installed."""
        say(f"making {self.name} with {interpreter}")
        subprocess.run([interpreter, "-m", "venv", "--clear", str(self.environment)], check=True)
        pip = [str(self.environment / "bin" / "python"), "-m", "pip", "--quiet", "--disable-pip-version-check"]
        asked = self.environment / "requirements.txt"
        asked.write_text(self.requirements, encoding="utf-8")
        subprocess.run([*pip, "install", "--requirement", str(asked)], check=True, stdin=subprocess.DEVNULL)
        self._mark.write_text(f"{self.environment}\n{self.requirements}", encoding="utf-8")

    def installed(self) -> str:
        """Return what is installed in the environment, on one line."""
        command = [str(self.environment / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "freeze"]
        return " ".join(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())

    @property
    def _mark(self) -> pathlib.Path:
        # The path is in it, because an environment does not survive a move.
        return self.environment / "installed.txt"


def controllers(table: t.Mapping[str, t.Any] | None = None) -> list[Controller]:
    """Return the rows of the ``table``, by default that of controllers.yml: the supported ones first."""
    rows = table or yaml.safe_load(TABLE.read_text(encoding="utf-8"))
    return [Controller(**row, kind=kind) for kind in KINDS for row in rows[kind]]


def chosen(names: t.Collection[str]) -> list[Controller]:
    """Return the rows of the series with these ``names``; all with ALL, and those with every_time without names.

    Raises ValueError for a name that no row has.
    """
    rows = controllers()
    if ALL in names:
        return rows
    series = {row.series for row in rows}
    if unknown := sorted(set(names) - series):
        known = ", ".join(sorted(series))
        raise ValueError(f"{unknown[0]}: {TABLE.name} has no such series of ansible-core. It has {known}.")
    return [row for row in rows if (row.series in names if names else row.every_time)]


def main(arguments: list[str]) -> None:
    """Make the environments that are asked for and not ready, and say what each holds."""
    if any(name.startswith("-") for name in arguments) and arguments != ["--all"]:
        sys.exit(f"controllers: {' '.join(arguments)}: the only option is --all, for every row of {TABLE.name}.")
    try:
        rows = chosen([ALL] if arguments == ["--all"] else arguments)
    except ValueError as error:
        sys.exit(f"controllers: {error}")
    for controller in rows:
        prepare(controller)


def prepare(controller: Controller) -> None:
    """Make the environment of the ``controller`` if it has to be made. Where it cannot, there is none afterwards."""
    interpreter = prepare_ansible_test.find_interpreter(controller.python)
    if interpreter is None:
        shutil.rmtree(controller.environment, ignore_errors=True)
        say(f"{controller.name}: LEFT OUT, there is no Python {controller.python} in PATH nor among those of pyenv")
        return
    if not controller.is_ready:
        controller.make(interpreter)
    say(f"{controller.name}: {controller.installed()}")


def say(line: str) -> None:
    """Print a line that says where it comes from."""
    print(f"controllers: {line}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])

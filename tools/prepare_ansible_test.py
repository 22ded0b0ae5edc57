# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Furnishes the home directory that ``ansible-test sanity`` runs in.

Usage: prepare_ansible_test.py HOME, with the Python that has ansible-core. Three things that ansible-test itself does
not find, or finds broken, are put there: the interpreters, pip's configuration, and the script that starts pip.
"""

from __future__ import annotations

import ast
import configparser
import pathlib
import re
import shutil
import subprocess
import sys

import ansible_test

PYTHON_VERSIONS = ("3.9", "3.10", "3.11", "3.12", "3.13", "3.14")
"""What tests/config.yml promises. Each ansible-test takes those that it knows: 3.14 from ansible-core 2.20 on."""

_BOOTSTRAP = """\
import subprocess
import sys

pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
subprocess.check_call([sys.executable, "-m", "ensurepip", "--default-pip"], stdout=subprocess.DEVNULL)
subprocess.check_call([*pip, "pip=={version}"])
"""


def main() -> None:
    """Furnish the home directory that the command line names."""
    home = pathlib.Path(sys.argv[1])
    link_interpreters(home / "bin")
    write_pip_configuration(home / ".config" / "pip" / "pip.conf")
    write_pip_bootstrap(home / ".ansible" / "test" / "cache")


def link_interpreters(directory: pathlib.Path) -> None:
    """Link every Python that is present and answers into ``directory``.

    ansible-test takes whatever is called pythonX.Y on the path, even a version manager's stub that has no such Python.
    """
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    for version in PYTHON_VERSIONS:
        executable = find_interpreter(version)
        print(f"sanity: Python {version}: {executable or 'not present, not tested'}")
        if executable is not None:
            (directory / f"python{version}").symlink_to(executable)


def find_interpreter(version: str) -> str | None:
    """Return the path of the Python ``version`` (such as 3.9) on the path or among pyenv's. None without one."""
    name = f"python{version}"
    of_pyenv = sorted(pathlib.Path.home().glob(f".pyenv/versions/{version}.*/bin/{name}"))  # also out of the path
    candidates = [name, *_output(["pyenv", "whence", "--path", name]).splitlines(), *map(str, of_pyenv)]
    answers = (_output([candidate, "-c", "import sys; print(sys.executable)"]).strip() for candidate in candidates)
    return next(filter(None, answers), None)


def write_pip_configuration(path: pathlib.Path) -> None:
    """Write pip's configuration in force to ``path``: ansible-test hides PIP_* variables and the real home from pip."""
    configuration = configparser.RawConfigParser()
    configuration["global"] = {"quiet": "1"}
    for line in _output([sys.executable, "-m", "pip", "config", "list"]).splitlines():
        key, value = line.split("=", 1)
        section, option = key.rsplit(".", 1)
        section = "global" if section == ":env:" else section
        if not configuration.has_section(section):
            configuration.add_section(section)
        configuration.set(section, option, str(ast.literal_eval(value)))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    with path.open("w", encoding="utf-8") as file:
        configuration.write(file)


def write_pip_bootstrap(directory: pathlib.Path) -> None:
    """Write into ``directory``, where ansible-test caches it, the script that puts pip into a virtual environment.

    ansible-test would download one. This one asks the standard library for a pip, and that for the release which
    ansible-test names, from the index that the user has configured.
    """
    source = pathlib.Path(ansible_test.__file__).parent / "_internal" / "python_requirements.py"
    versions = set(re.findall(r"pip='([0-9.]+)'", source.read_text(encoding="utf-8")))
    if not versions:
        raise SystemExit(f"{source} names no release of pip: adapt tools/prepare_ansible_test.py to this ansible-test.")
    directory.mkdir(parents=True, exist_ok=True)
    for version in versions:
        script = directory / f"get_pip_{version.replace('.', '_')}.py"
        script.write_text(_BOOTSTRAP.replace("{version}", version), encoding="utf-8")


def _output(command: list[str]) -> str:
    """Return what ``command`` prints; nothing where it is not there or fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return ""


if __name__ == "__main__":
    main()

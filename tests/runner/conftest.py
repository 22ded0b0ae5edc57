# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The collection as users install it, and a directory from which Ansible reaches a lab as the documentation has it."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import tempfile
import typing as t

import access
import pytest
import yaml
from fleet.conftest import Fleet, make_fleet
from helpers.support import CHECKOUT, SYSTEM_PYTHON
from runner.documented import CI, block

__all__ = ["make_fleet"]

BIN = pathlib.Path(sys.executable).parent


class Workplace:
    """A directory with the documented ansible.cfg, known_hosts and the collection, and a home of its own."""

    def __init__(self, directory: pathlib.Path, home: pathlib.Path, collections: pathlib.Path) -> None:
        self.directory = directory
        self.home = home
        directory.mkdir(parents=True)
        (directory / "collections").symlink_to(collections)
        self.write("ansible.cfg", block(CI, "ini", "ssh_agent"))

    def write(self, name: str, text: str) -> pathlib.Path:
        """Write a file, and give its path."""
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def reach(self, fleet: Fleet, inventory: str, variables: dict[str, dict[str, t.Any]] | None = None) -> None:
        """Write ``inventory``, with ``variables`` of hosts, and known_hosts: how to reach a fleet but for the key."""
        hosts = {router.name: {"ansible_host": router.address} for router in fleet.routers}
        for host, of_host in (variables or {}).items():
            hosts[host] |= of_host
        common = {
            "ansible_user": "root",
            "ansible_python_interpreter": SYSTEM_PYTHON,
            "ansible_control_path_dir": str(access.masters_directory(fleet.built.prefix)),
        }
        self.write(inventory, yaml.safe_dump({"routers": {"hosts": hosts, "vars": common}}))
        self.write("known_hosts", (fleet.built.ssh / "known_hosts").read_text(encoding="utf-8"))

    def run(self, words: t.Sequence[str], **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command here, without input, as a machine without a terminal does; however it ends."""
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
        mine = {"HOME": str(self.home), "PATH": f"{BIN}:{os.environ['PATH']}", "PWD": str(self.directory), "CI": "true"}
        return subprocess.run(
            words,
            cwd=self.directory,
            env=inherited | mine | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Return the file that ``ansible-galaxy collection build`` makes of the checkout as it stands."""
    directory = tmp_path_factory.mktemp("archive")
    _galaxy("build", str(CHECKOUT), "--output-path", str(directory), home=directory)
    return next(directory.glob("netops-conntrack-*.tar.gz"))


@pytest.fixture(scope="session")
def collections(archive: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Return a collections path that holds nothing but the collection, installed from its archive."""
    directory = tmp_path_factory.mktemp("collections")
    _galaxy("install", "--offline", str(archive), "-p", str(directory), home=directory)
    return directory


@pytest.fixture
def make_workplace(tmp_path: pathlib.Path, collections: pathlib.Path) -> t.Iterator[t.Callable[[str], Workplace]]:
    """Make a directory with this name to run Ansible in, as often as asked, all with one home."""
    # The agent's socket lies in the home, and its name has room for 107 bytes only (unix(7)).
    with tempfile.TemporaryDirectory(prefix="nc") as home:
        yield lambda name: Workplace(tmp_path / name, pathlib.Path(home), collections)


def private_key(fleet: Fleet) -> str:
    """Return the key that opens the routers of ``fleet``."""
    return (fleet.built.ssh / "id").read_text(encoding="utf-8")


def _galaxy(*words: str, home: pathlib.Path) -> None:
    done = subprocess.run(
        [str(BIN / "ansible-galaxy"), "collection", *words],
        cwd=home,
        env={**os.environ, "ANSIBLE_HOME": str(home), "ANSIBLE_COLLECTIONS_PATH": str(home)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr

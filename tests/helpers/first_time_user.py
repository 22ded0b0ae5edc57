# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Somebody who has nothing yet but an empty home and Ansible, and types what the README says."""

from __future__ import annotations

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

from helpers.support import CHECKOUT, PATIENCE, read_yaml
from unit.test_collection import FILES

BIN = pathlib.Path(sys.executable).parent
INSTALL = (CHECKOUT / "README.md").read_text(encoding="utf-8").partition("## Installation\n")[2].partition("\n## ")[0]
COMMANDS = re.findall(r"^\$ (.*?)(?: +#.*)?$", INSTALL, re.MULTILINE)
VERSION = read_yaml(CHECKOUT / "galaxy.yml")["version"]
ARTIFACT = f"netops-conntrack-{VERSION}.tar.gz"

FROM_ARTIFACT, JMESPATH, FROM_CHECKOUT, BUILD = COMMANDS[:4]


class Newcomer:
    """Somebody with an empty home and the Ansible in ``programs``, on a machine without anything of the collection."""

    def __init__(self, directory: pathlib.Path, programs: pathlib.Path = BIN) -> None:
        self.home = directory / "home"
        self.home.mkdir()
        self.programs = programs
        self.installed = self.home / ".ansible" / "collections" / "ansible_collections" / "netops" / "conntrack"

    def types(self, command: str, cwd: pathlib.Path, *before: str) -> str:
        """Run a line in a shell, which has to succeed, and return what it prints. ``before`` runs the shell."""
        environment = {"HOME": str(self.home), "PATH": f"{self.programs}:{os.environ['PATH']}", "LANG": "C.UTF-8"}
        done = subprocess.run(
            [*before, "sh", "-c", command],
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout

    def version(self) -> str:
        """Return the version of the collection that is installed."""
        manifest = json.loads((self.installed / "MANIFEST.json").read_text(encoding="utf-8"))
        return str(manifest["collection_info"]["version"])


class Stranger(Newcomer):
    """Somebody with an empty home, a clone of the repository, and Ansible."""

    def __init__(self, directory: pathlib.Path) -> None:
        super().__init__(directory)
        self.clone = directory / "clone"
        for path in FILES:
            (self.clone / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(CHECKOUT / path, self.clone / path, follow_symlinks=False)
        link = self.clone / ".collections" / "ansible_collections" / "netops" / "conntrack"
        link.parent.mkdir(parents=True)
        link.symlink_to("../../..")

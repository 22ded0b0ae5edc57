# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The release 0.4.0, out of the history of the checkout: its files, and the archive that a user of it has."""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys

import pytest
from helpers.support import CHECKOUT

EARLIER = "0.4.0"
COMMIT = "1f2891e0165cfea9eefe50b1143027b73f4d194b"
"""The last commit of the day on which 0.4.0 was released (changelogs/changelog.yaml)."""


def unpack(directory: pathlib.Path, *paths: str) -> None:
    """Write these files of 0.4.0, or all of them, below ``directory``. Skip the test where there is no history."""
    git = ["git", "-c", f"safe.directory={CHECKOUT}", "-C", str(CHECKOUT)]
    if subprocess.run([*git, "cat-file", "-e", COMMIT], capture_output=True, check=False).returncode:
        pytest.skip(f"this checkout has no history, and so no {EARLIER}")
    directory.mkdir(parents=True)
    archive = subprocess.run([*git, "archive", COMMIT, *paths], capture_output=True, check=True).stdout
    subprocess.run(["tar", "-x", "-C", str(directory)], input=archive, check=True)


def build(directory: pathlib.Path) -> pathlib.Path:
    """Return the archive of 0.4.0, built in ``directory`` by its own galaxy.yml."""
    tree = directory / "tree"
    unpack(tree)
    galaxy = tree / "galaxy.yml"
    text = galaxy.read_text(encoding="utf-8")
    # At that commit the file still had the version of the first release.
    galaxy.write_text(re.sub(r"(?m)^version: .*$", f"version: {EARLIER}", text), encoding="utf-8")
    galaxy_program = str(pathlib.Path(sys.executable).parent / "ansible-galaxy")
    command = [galaxy_program, "collection", "build", str(tree), "--output-path", str(directory)]
    subprocess.run(command, cwd=directory, capture_output=True, check=True)
    return directory / f"netops-conntrack-{EARLIER}.tar.gz"

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The collection ansible.posix, taken out of the package that tools/requirements-bench.txt names."""

from __future__ import annotations

import pathlib
import re
import shutil
import subprocess
import sys
import zipfile

from bench.errors import BenchError
from helpers.support import CHECKOUT

REQUIREMENTS = CHECKOUT / "tools" / "requirements-bench.txt"
COLLECTION = "ansible_collections/ansible/posix/"

_SECONDS = 600


def collections(work: pathlib.Path) -> tuple[pathlib.Path, str]:
    """Return the directory of collections with ansible.posix in it, made below ``work``, and the collection's version.

    Raises BenchError where the package cannot be had.
    """
    package = _package()
    directory = work / package.replace("==", "-")
    manifest = directory / COLLECTION / "MANIFEST.json"
    if not manifest.exists():
        _unpack(work / "wheels", directory)
    version = re.search(r'"version": "([^"]+)"', manifest.read_text(encoding="utf-8"))
    return directory, version.group(1) if version else "unknown"


def _package() -> str:
    lines = REQUIREMENTS.read_text(encoding="utf-8").splitlines()
    return next(line for line in lines if line and not line.startswith("#"))


def _unpack(wheels: pathlib.Path, directory: pathlib.Path) -> None:
    options = ["--quiet", "--no-deps", "--only-binary", ":all:", "--dest", str(wheels)]
    command = [sys.executable, "-m", "pip", "download", *options, "--requirement", str(REQUIREMENTS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    if done.returncode:
        raise BenchError(f"ansible.posix cannot be had: {done.stderr.strip()}")
    (wheel,) = wheels.glob("ansible-*.whl")
    unfinished = directory.with_name(f"{directory.name}.unfinished")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(unfinished, [name for name in archive.namelist() if name.startswith(COLLECTION)])
    unfinished.rename(directory)
    shutil.rmtree(wheels)

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rehearse the next release in a copy of the checkout: make it, check it, build it, install it, publish it.

Usage: python tools/rehearse_release.py

Nothing leaves this machine, because a server of its own takes the archive. The checkout stays as it is.
"""

from __future__ import annotations

import datetime
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import galaxy_stand_in
import publish
import release

CHECKOUT = publish.CHECKOUT
TOKEN = "of-the-rehearsal"
PLAYBOOK = "netops.conntrack.audit"


def main() -> None:
    """Do one step after the other, and end with an error at the first one that fails."""
    with tempfile.TemporaryDirectory() as name:
        place = pathlib.Path(name)
        copy = place / "copy"
        copy_checkout(copy)
        version = make_release(copy)
        _tool(copy, "publish", "check", version)
        _tool(copy, "publish", "build")
        (archive,) = copy.glob(f".work/release/netops-conntrack-{version}.tar.gz")
        install(archive, place)
        upload = send(copy)
        if not upload.is_whole or upload.content != archive.read_bytes() or upload.filename != archive.name:
            sys.exit(f"rehearsal: what arrived as {upload.filename} is not {archive.name}.")
        say(f"{upload.filename} arrived whole, with the token. Nothing was published.")


def copy_checkout(copy: pathlib.Path) -> None:
    """Copy the tracked and the new files as they are now into a repository of their own, and commit them there."""
    names = _git(CHECKOUT, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    for path in filter(None, names):
        if (CHECKOUT / path).is_symlink() or (CHECKOUT / path).is_file():
            (copy / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(CHECKOUT / path, copy / path, follow_symlinks=False)
    _git(copy, "init", "--quiet")
    commit(copy)


def make_release(copy: pathlib.Path) -> str:
    """Make the files of the next release in ``copy``, commit them, and return its version."""
    version = publish.version()
    if version.endswith(release.UNRELEASED):
        version = version.removesuffix(release.UNRELEASED)
        _tool(copy, "release", version, datetime.datetime.now(tz=datetime.timezone.utc).date().isoformat())
        commit(copy)
    say(f"made {version} of the checkout")
    return version


def commit(copy: pathlib.Path) -> None:
    """Commit all files of ``copy``."""
    _git(copy, "add", "--all")
    author = ("-c", "user.name=rehearsal", "-c", "user.email=rehearsal@localhost")
    _git(copy, *author, "commit", "--quiet", "--message", "Rehearse a release")


def install(archive: pathlib.Path, place: pathlib.Path) -> None:
    """Install the archive for somebody with an empty home, and let Ansible find a module and a playbook of it."""
    home, desk = place / "home", place / "desk"
    for directory in (home, desk):
        directory.mkdir()
    _ansible(home, desk, "ansible-galaxy", "collection", "install", str(archive))
    found = json.loads(_ansible(home, desk, "ansible-doc", "--json", "--list", "netops.conntrack"))
    _ansible(home, desk, "ansible-playbook", "--syntax-check", "-i", "router1,", PLAYBOOK)
    say(f"installed it into an empty home: {len(found)} modules, and {PLAYBOOK} loads")


def send(copy: pathlib.Path) -> galaxy_stand_in.Upload:
    """Publish the archive of ``copy`` to a server that keeps it, and return what arrived."""
    with galaxy_stand_in.running(TOKEN) as server:
        _tool(copy, "publish", "send", GALAXY_SERVER=server.url, GALAXY_TOKEN=TOKEN)
        (upload,) = server.uploads
    return upload


def say(line: str) -> None:
    """Print a line that says where it comes from."""
    print(f"rehearsal: {line}", flush=True)


def _tool(copy: pathlib.Path, name: str, *arguments: str, **environment: str) -> None:
    command = [sys.executable, str(copy / "tools" / f"{name}.py"), *arguments]
    if subprocess.run(command, env={**os.environ, **environment}, check=False).returncode:
        sys.exit(f"rehearsal: tools/{name}.py {' '.join(arguments)} failed. Its reason is above.")


def _ansible(home: pathlib.Path, desk: pathlib.Path, *command: str) -> str:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
    environment = {**inherited, "HOME": str(home)}
    done = subprocess.run(command, cwd=desk, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"rehearsal: {' '.join(command)} failed.\n{done.stdout}{done.stderr}")
    return done.stdout


def _git(directory: pathlib.Path, *arguments: str) -> str:
    command = ["git", "-c", f"safe.directory={directory}", *arguments]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    main()

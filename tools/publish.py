# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Publish the checkout as the release that its galaxy.yml names.

Usage: python tools/publish.py check [TAG]
           says what keeps the checkout from being a release, or from being the one that TAG names
       python tools/publish.py build
           builds the archive in .work/release
       python tools/publish.py send
           sends that archive to the server GALAXY_SERVER, by default Ansible Galaxy, with the token in GALAXY_TOKEN
"""

from __future__ import annotations

import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import typing as t

import interface
import release
import yaml

CHECKOUT = interface.CHECKOUT
PLACE = CHECKOUT / ".work" / "release"
GALAXY = "https://galaxy.ansible.com/"
_VERSION = re.compile(r"\d+\.\d+\.\d+")


def main(arguments: list[str]) -> str | None:
    """Do what the arguments say, and return an error for a user who can do something about it."""
    command, *rest = arguments or [""]
    if command == "check" and len(rest) <= 1:
        return check(*rest)
    if command == "build" and not rest:
        return build()
    if command == "send" and not rest:
        return send(os.environ.get("GALAXY_SERVER") or GALAXY, os.environ.get("GALAXY_TOKEN", ""))
    return __doc__


def check(tag: str = "") -> str | None:
    """Return what keeps the checkout from being a release, each on a line, or None if it is one."""
    found = list(_obstacles(tag))
    if found:
        return "\n".join(["publish: This is not to be published:", *(f"- {each}" for each in found)])
    print(f"publish: {version()} is ready.")
    return None


def build() -> str | None:
    """Build the archive in a directory that holds nothing else, and say which bytes it has."""
    shutil.rmtree(PLACE, ignore_errors=True)
    command = ["ansible-galaxy", "collection", "build", str(CHECKOUT), "--output-path", str(PLACE)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    path = archive()
    print(f"publish: {path.relative_to(CHECKOUT)}, {path.stat().st_size:,} bytes, sha256 {sha256(path)}")
    return None


def send(server: str, token: str) -> str | None:
    """Send the archive to ``server``, and wait until that has imported it."""
    if not token:
        return "publish: GALAXY_TOKEN is empty. It has to be the token of an account that owns the namespace netops."
    path = archive()
    if not path.is_file():
        return f"publish: {path} is not there. Build it first: python tools/publish.py build"
    # In the environment, because the arguments of a process can be read by every user of the machine.
    named = {"LIST": "release", "RELEASE_URL": server, "RELEASE_TOKEN": token}
    settings = {f"ANSIBLE_GALAXY_SERVER_{key}": value for key, value in named.items()}
    command = ["ansible-galaxy", "collection", "publish", str(path)]
    done = subprocess.run(command, env={**os.environ, **settings}, check=False, stdin=subprocess.DEVNULL)
    return f"publish: {server} did not take {path.name}. Its answer is above." if done.returncode else None


def version() -> str:
    """Return the version of the checkout."""
    return str(yaml.safe_load(release.GALAXY.read_text(encoding="utf-8"))["version"])


def archive() -> pathlib.Path:
    """Return the path of the archive, whether it was built or not."""
    return PLACE / f"netops-conntrack-{version()}.tar.gz"


def sha256(path: pathlib.Path) -> str:
    """Return the checksum of a file, as Galaxy names it."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _obstacles(tag: str) -> t.Iterator[str]:
    name = version()
    if not _VERSION.fullmatch(name):
        yield f"galaxy.yml has the version {name}, of a build between releases. Run tools/release.py, and commit that."
        return
    if tag and tag != name:
        yield f"the tag is {tag}, and galaxy.yml has the version {name}. Tag the commit of the release with {name}."
    yield from _missing_in_the_changelog(name)
    new = sorted(f"{owner}: {key}" for owner, key in set(interface.documented()) - set(interface.released()))
    if new:
        yield f"changelogs/interface.yml does not have {', '.join(new)}. They came after the release was made."
    changed = _changed()
    if changed:
        yield f"these files are not as they were committed: {', '.join(changed)}. Commit or remove them."


def _missing_in_the_changelog(name: str) -> t.Iterator[str]:
    releases = yaml.safe_load((CHECKOUT / "changelogs" / "changelog.yaml").read_text(encoding="utf-8"))["releases"]
    if name not in releases:
        yield f"changelogs/changelog.yaml has no release {name}. Run tools/release.py, and commit that."
    if f"\nv{name}\n" not in (CHECKOUT / "CHANGELOG.rst").read_text(encoding="utf-8"):
        yield f"CHANGELOG.rst has no section v{name}. Run tools/release.py, and commit that."
    left = sorted(path.name for path in release.FRAGMENTS.glob("*.yml"))
    if left:
        yield f"changelogs/fragments has {', '.join(left)}, which are not in the changelog. Release them, too."


def _changed() -> list[str]:
    command = ["git", "-c", f"safe.directory={CHECKOUT}", "status", "--porcelain"]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True)
    return [line[3:] for line in done.stdout.splitlines()]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

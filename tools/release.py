# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Make the files of a release, or of the work that follows it, ready to be committed.

Usage: python tools/release.py VERSION DATE
           turns the fragments of VERSION into its changelog, and records which names came with it
       python tools/release.py --open VERSION
           sets the version of builds on the way to VERSION: VERSION-dev0
"""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys

import interface

CHECKOUT = interface.CHECKOUT
GALAXY = CHECKOUT / "galaxy.yml"
FRAGMENTS = CHECKOUT / "changelogs" / "fragments"

NAMED_BUILD = r"(netops-conntrack-|conntrack-ee:)\d+\.\d+\.\d+(?:-dev\d+)?"
"""How the documentation names a file or an image with a version."""

UNRELEASED = "-dev0"
"""What follows the version of builds between two releases. By semantic versioning they are older than the release."""


def main(arguments: list[str]) -> str | None:
    """Do what the arguments say, and return an error for a user who gave none that fit."""
    if len(arguments) != 2:
        return __doc__
    first, second = arguments
    if first == "--open":
        _set_version(_checked(second) + UNRELEASED)
        return None
    return _release(_checked(first), second)


def _release(version: str, date: str) -> str | None:
    others = [path.name for path in FRAGMENTS.glob("*.yml") if not path.name.startswith(f"{version}-")]
    if others:
        return f"Not of {version}: {', '.join(sorted(others))} in {FRAGMENTS}. Rename or release them first."
    _set_version(version)
    subprocess.run(["antsibull-changelog", "release", "--date", date, "--reload-plugins"], cwd=CHECKOUT, check=True)
    known = interface.released()
    new = {name: version for name in interface.documented() if name not in known}
    interface.write_record({**known, **new})
    return None


def _checked(version: str) -> str:
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        raise SystemExit(f"{version} is not a version: three numbers with dots between them, such as 1.0.0.")
    return version


def _set_version(version: str) -> None:
    _replace(GALAXY, r"(?m)^version: .*$", f"version: {version}")
    for page in (CHECKOUT / "README.md", *CHECKOUT.glob("docs/*.md")):
        _replace(page, NAMED_BUILD, rf"\g<1>{version}")


def _replace(path: pathlib.Path, pattern: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    path.write_text(re.sub(pattern, new, text), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

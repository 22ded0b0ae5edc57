# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Build the documentation site: the pages of the checkout, and the reference of modules, filters and roles.

Usage: .work/site/bin/python tools/site/build.py

It writes .work/site/html, and fails at the first warning.
"""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import subprocess
import sys

import navigation
import yaml

HERE = pathlib.Path(__file__).resolve().parent
CHECKOUT = HERE.parents[1]
PLACE = CHECKOUT / ".work" / "site"
SOURCE = PLACE / "source"
HTML = PLACE / "html"
REFERENCE = "reference"
BESIDE = ("docs/*.svg", "docs/*.png", "docs/*.json", "docs/*.yml")
"""What pages link to that is no page."""

FIRST = "README.md"
"""The first page of the site, where servers look for index. It is also shown elsewhere, so its links are full URLs."""

BRANCH = re.compile(r"\]\(https://github\.com/netops/conntrack/(?:blob|raw)/main/")
"""How a link of the README to a file of the repository begins."""


def main() -> int:
    """Lay the pages out, generate the reference, and let Sphinx make the site of both."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    shutil.rmtree(HTML, ignore_errors=True)
    lay_out(CHECKOUT, SOURCE)
    _generate_reference()
    version = yaml.safe_load((CHECKOUT / "galaxy.yml").read_text(encoding="utf-8"))["version"]
    _run(
        *("sphinx-build", "--fail-on-warning", "--keep-going", "--quiet"),
        *("--conf-dir", str(HERE), str(SOURCE), str(HTML)),
        SITE_VERSION=version,
        PYTHONPATH=str(HERE),
    )
    print(f"site: {HTML / 'index.html'}")
    return 0


def lay_out(checkout: pathlib.Path, source: pathlib.Path) -> None:
    """Copy the pages of ``checkout`` below ``source``, at their own places, so that links between them hold.

    The README is the first page, and has the navigation.
    """
    found = navigation.sections((checkout / navigation.INDEX).read_text(encoding="utf-8"))
    for page in (FIRST, navigation.INDEX, *(page for pages in found.values() for page in pages)):
        _write(source / _at_its_place(page), _with_links_of_the_site(page, checkout))
    for pattern in BESIDE:
        for path in checkout.glob(pattern):
            shutil.copy(path, source / path.relative_to(checkout))
    first = source / "index.md"
    parts = {"": [navigation.INDEX], **found, "Modules, roles and filters": [f"{REFERENCE}/index.rst"]}
    first.write_text(first.read_text(encoding="utf-8") + navigation.toctrees(parts), encoding="utf-8")


def _at_its_place(page: str) -> str:
    return "index.md" if page == FIRST else page


def _with_links_of_the_site(page: str, checkout: pathlib.Path) -> str:
    text = (checkout / page).read_text(encoding="utf-8")
    if page == FIRST:
        return BRANCH.sub("](", text)
    # The README of the checkout alone: those of roles and tools keep their names.
    to_the_top = "../" * page.count("/")
    return text.replace(f"]({to_the_top}{FIRST}", f"]({to_the_top}index.md")


def _write(path: pathlib.Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _generate_reference() -> None:
    place = SOURCE / REFERENCE
    place.mkdir()
    _run(
        *("antsibull-docs", "collection", "--use-current", "--squash-hierarchy", "--fail-on-error"),
        *("--dest-dir", str(place), "netops.conntrack"),
    )


def _run(*command: str, **variables: str) -> None:
    environment = {**os.environ, "PATH": f"{PLACE / 'bin'}:{os.environ['PATH']}", **variables}
    subprocess.run(command, cwd=CHECKOUT, env=environment, check=True, stdin=subprocess.DEVNULL)


if __name__ == "__main__":
    sys.exit(main())

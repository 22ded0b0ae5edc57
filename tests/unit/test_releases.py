# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Releases: the version of a build, the changelog of each, and since when each name is there."""

from __future__ import annotations

import pathlib
import re
import shutil
import subprocess
import sys

import interface
import release
from helpers.support import CHECKOUT, read_yaml

CHANGELOG = read_yaml(CHECKOUT / "changelogs" / "changelog.yaml")
RELEASES = sorted(CHANGELOG["releases"], key=interface.number)
FRAGMENTS = sorted((CHECKOUT / "changelogs" / "fragments").glob("*.yml"))
VERSION = read_yaml(CHECKOUT / "galaxy.yml")["version"]
NEXT = VERSION.removesuffix(release.UNRELEASED)

_ANSIBLE_MARKUP = re.compile(r"\b(?:C|V|O|RV|M|P)\(")


def test_a_build_of_a_checkout_is_neither_a_release_nor_older_than_the_last_one() -> None:
    last = interface.number(RELEASES[-1])
    assert interface.number(NEXT) == last if NEXT == VERSION else interface.number(NEXT) > last


def test_the_documentation_names_builds_of_this_version() -> None:
    pages = [CHECKOUT / "README.md", *CHECKOUT.glob("docs/*.md")]
    texts = [path.read_text(encoding="utf-8") for path in pages]
    named = [found for text in texts for found in re.finditer(release.NAMED_BUILD, text)]
    assert len(named) >= 4
    assert {found.group() for found in named} == {found.group(1) + VERSION for found in named}


def test_each_release_says_what_it_is() -> None:
    assert RELEASES[:4] == ["0.1.0", "0.2.0", "0.3.0", "0.4.0"]
    for version in RELEASES:
        entry = CHANGELOG["releases"][version]
        assert entry["changes"]["release_summary"], version
        assert re.fullmatch(r"\d{4}-\d{2}-\d{2}", entry["release_date"]), version


def test_the_changelog_that_people_read_has_each_release() -> None:
    headings = re.findall(r"^v(\S+)\n=+$", (CHECKOUT / "CHANGELOG.rst").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings == RELEASES[::-1]


def test_fragments_are_those_of_the_next_release() -> None:
    assert [path.name for path in FRAGMENTS if not path.name.startswith(f"{NEXT}-")] == []


def test_fragments_have_the_markup_of_a_changelog() -> None:
    marked = [path.name for path in FRAGMENTS if _ANSIBLE_MARKUP.search(path.read_text(encoding="utf-8"))]
    assert marked == [], "C(), O() and V() stay in the text as they are: write ``name``"


def test_every_name_came_with_the_release_that_its_documentation_names() -> None:
    on_record = interface.released()
    wrong = {
        f"{owner}: {name}": f"documented for {since}, came with {on_record.get((owner, name), NEXT)}"
        for (owner, name), since in interface.documented().items()
        if since != on_record.get((owner, name), NEXT)
    }
    assert wrong == {}


def test_a_name_that_is_gone_is_in_the_changelog() -> None:
    texts = [CHECKOUT / "changelogs" / "changelog.yaml", *FRAGMENTS]
    changelog = "\n".join(path.read_text(encoding="utf-8") for path in texts)
    gone = set(interface.released()) - set(interface.documented())
    assert [(owner, name) for owner, name in sorted(gone) if f"``{name}``" not in changelog] == []


def test_the_record_has_each_release() -> None:
    assert set(interface.released().values()) <= set(RELEASES)
    assert len(interface.released()) > 140


def test_release_turns_fragments_into_the_changelog_and_records_what_is_new(tmp_path: pathlib.Path) -> None:
    for name in ("changelogs", "docs", "meta", "plugins", "roles", "tools"):
        shutil.copytree(CHECKOUT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("galaxy.yml", "README.md"):
        shutil.copy(CHECKOUT / name, tmp_path)
    coming = NEXT
    if NEXT in RELEASES:  # nothing has happened since
        coming = "9.0.0"
        fragments_of_it = tmp_path / "changelogs" / "fragments"
        fragments_of_it.mkdir(exist_ok=True)
        (fragments_of_it / f"{coming}-new.yml").write_text("release_summary: The next one.\n", encoding="utf-8")
    fragments = sorted(path.name for path in (tmp_path / "changelogs" / "fragments").glob("*.yml"))
    tool = [sys.executable, str(tmp_path / "tools" / "release.py")]
    environment = {"PATH": f"{pathlib.Path(sys.executable).parent}:/usr/bin:/bin", "HOME": str(tmp_path)}

    command = [*tool, coming, "2027-01-02"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    releases = read_yaml(tmp_path / "changelogs" / "changelog.yaml")["releases"]
    assert releases[coming]["release_date"] == "2027-01-02"
    assert sorted(releases[coming]["fragments"]) == fragments
    assert list((tmp_path / "changelogs" / "fragments").glob("*.yml")) == []
    record = read_yaml(tmp_path / "changelogs" / "interface.yml")
    assert "itself" in record["1.0.0"]["module conntrack_preflight"]
    assert f"version: {coming}\n" in (tmp_path / "galaxy.yml").read_text(encoding="utf-8")
    assert f"netops-conntrack-{coming}.tar.gz" in (tmp_path / "README.md").read_text(encoding="utf-8")

    subprocess.run([*tool, "--open", "10.0.0"], env=environment, check=True)
    assert "version: 10.0.0-dev0\n" in (tmp_path / "galaxy.yml").read_text(encoding="utf-8")
    refused = subprocess.run([*tool, "1.x", "2027-01-02"], env=environment, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert "1.x is not a version" in refused.stderr

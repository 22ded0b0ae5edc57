# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The steps of the workflow that publishes: what keeps a checkout from being a release, and what a server gets."""

from __future__ import annotations

import hashlib
import os
import pathlib
import subprocess
import sys
import typing as t

import galaxy_stand_in
import publish
import pytest
import rehearse_release
from helpers.support import CHECKOUT, read_yaml

WORKFLOW = read_yaml(CHECKOUT / ".github" / "workflows" / "release.yml")
VERSION = publish.version().removesuffix("-dev0")
TOKEN = "0123456789abcdef"


def commands_of(job: str) -> list[str]:
    """Return what the steps of a job of the workflow run."""
    return [step["run"] for step in WORKFLOW["jobs"][job]["steps"] if "run" in step]


class Release:
    """A copy of the checkout that was made the next release, in which nothing is installed."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory
        rehearse_release.copy_checkout(directory)
        (directory / "tools" / "setup").write_text("#!/bin/sh\n", encoding="utf-8")
        rehearse_release.make_release(directory)
        if self.git("status", "--porcelain"):  # the checkout is a release itself
            rehearse_release.commit(directory)
        (directory / ".venv").symlink_to(sys.prefix)

    def git(self, *arguments: str) -> str:
        command = ["git", "-c", f"safe.directory={self.directory}", *arguments]
        return subprocess.run(command, cwd=self.directory, capture_output=True, text=True, check=True).stdout

    def step(self, job: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the one command of a job as a runner does, however it ends."""
        [command] = commands_of(job)
        inherited = {key: value for key, value in os.environ.items() if "MAKE" not in key and key != "GALAXY_TOKEN"}
        return subprocess.run(
            ["bash", "-e", "-c", command],
            cwd=self.directory,
            env={**inherited, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def archives(self) -> list[pathlib.Path]:
        return sorted((self.directory / ".work" / "release").glob("*"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return Release(tmp_path_factory.mktemp("release") / "copy")


@pytest.fixture
def made_anew(made: Release) -> t.Iterator[Release]:
    """Yield the release without an archive, and take back what a test changes in it."""
    for path in made.archives():
        path.unlink()
    yield made
    made.git("checkout", "--quiet", ".")
    made.git("clean", "--quiet", "--force", "-d")


@pytest.fixture
def built(made_anew: Release) -> Release:
    done = made_anew.step("archive", TAG=VERSION)
    assert done.returncode == 0, done.stdout + done.stderr
    return made_anew


def test_the_tag_of_a_release_is_built_and_published(built: Release) -> None:
    [archive] = built.archives()
    assert archive.name == f"netops-conntrack-{VERSION}.tar.gz"
    with galaxy_stand_in.running(TOKEN) as server:
        done = built.step("publish", GALAXY_TOKEN=TOKEN, GALAXY_SERVER=server.url)
    assert done.returncode == 0, done.stdout + done.stderr
    [upload] = server.uploads
    assert (upload.filename, upload.content) == (archive.name, archive.read_bytes())
    assert upload.announced == hashlib.sha256(archive.read_bytes()).hexdigest()
    assert server.refused == 0
    assert TOKEN not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("token", "failure", "says"),
    [
        ("of somebody else", "", "did not take"),
        (TOKEN, "The namespace is not yours.", "The namespace is not yours."),
        ("", "", "GALAXY_TOKEN is empty"),
    ],
)
def test_what_a_server_refuses_fails_the_job(built: Release, token: str, failure: str, says: str) -> None:
    with galaxy_stand_in.running(TOKEN, failure) as server:
        done = built.step("publish", GALAXY_TOKEN=token, GALAXY_SERVER=server.url)
    assert done.returncode != 0
    assert says in done.stdout + done.stderr
    assert len(server.uploads) == bool(failure)


def test_without_an_archive_nothing_is_sent(made_anew: Release) -> None:
    with galaxy_stand_in.running(TOKEN) as server:
        done = made_anew.step("publish", GALAXY_TOKEN=TOKEN, GALAXY_SERVER=server.url)
    assert done.returncode != 0
    assert "is not there. Build it first" in done.stderr
    assert server.uploads == []


def as_a_build(directory: pathlib.Path) -> None:
    path = directory / "galaxy.yml"
    path.write_text(path.read_text(encoding="utf-8").replace(f"version: {VERSION}\n", f"version: {VERSION}-dev0\n"))


def with_a_fragment(directory: pathlib.Path) -> None:
    fragments = directory / "changelogs" / "fragments"
    fragments.mkdir(exist_ok=True)
    (fragments / "late.yml").write_text("---\nbugfixes: [late]\n", encoding="utf-8")


def with_another_changelog(directory: pathlib.Path) -> None:
    path = directory / "changelogs" / "changelog.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace(f"  {VERSION}:\n", "  99.0.0:\n"), encoding="utf-8")


def without_the_section(directory: pathlib.Path) -> None:
    path = directory / "CHANGELOG.rst"
    path.write_text(path.read_text(encoding="utf-8").replace(f"v{VERSION}\n", "v99.0.0\n"), encoding="utf-8")


def with_a_late_option(directory: pathlib.Path) -> None:
    path = directory / "changelogs" / "interface.yml"
    path.write_text(path.read_text(encoding="utf-8").replace("    - gather_subset\n", ""), encoding="utf-8")


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (as_a_build, f"galaxy.yml has the version {VERSION}-dev0"),
        (with_a_fragment, "changelogs/fragments has late.yml"),
        (with_another_changelog, f"changelogs/changelog.yaml has no release {VERSION}"),
        (without_the_section, f"CHANGELOG.rst has no section v{VERSION}"),
        (with_a_late_option, "changelogs/interface.yml does not have module conntrack_facts: gather_subset"),
        (with_a_late_option, "not as they were committed: changelogs/interface.yml"),
    ],
)
def test_what_is_no_release_is_not_built(
    made_anew: Release, damage: t.Callable[[pathlib.Path], None], says: str
) -> None:
    damage(made_anew.directory)
    done = made_anew.step("archive", TAG=VERSION)
    assert done.returncode != 0
    assert says in done.stderr
    assert made_anew.archives() == []


def test_another_tag_is_not_built(made_anew: Release) -> None:
    done = made_anew.step("archive", TAG="99.0.0")
    assert done.returncode != 0
    assert f"the tag is 99.0.0, and galaxy.yml has the version {VERSION}" in done.stderr
    assert made_anew.archives() == []


def test_a_rehearsal_does_it_all_and_leaves_the_checkout_alone() -> None:
    command = ["git", "-c", f"safe.directory={CHECKOUT}", "status", "--porcelain"]
    before = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout
    assert commands_of("rehearsal") == ["make rehearsal"]
    done = subprocess.run([sys.executable, rehearse_release.__file__], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"netops-conntrack-{VERSION}.tar.gz arrived whole, with the token" in done.stdout
    assert subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout == before


@pytest.mark.parametrize("arguments", [[], ["send", "https://server"], ["check", "1.0.0", "2.0.0"], ["announce"]])
def test_other_arguments_get_the_usage(arguments: list[str]) -> None:
    assert publish.main(arguments) == publish.__doc__

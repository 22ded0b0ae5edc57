# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The archive with each ansible-core: installed without a network, run outside of the checkout, upgraded, removed.

The commands are those of the README and of docs/upgrade.md, in an empty home and on a router of the lab.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import shutil
import typing as t

import pytest
from controllers import Controller
from fleet.conftest import STALE, Fleet, make_fleet
from helpers import earlier_release
from helpers.first_time_user import FROM_ARTIFACT, VERSION, Newcomer
from helpers.other_controllers import SUPPORTED, programs_of
from helpers.support import CHECKOUT
from runner.conftest import archive

__all__ = ["archive", "make_fleet"]

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for network namespaces")

OFFLINE = ("unshare", "--net")
"""Runs a command where there is no network, not even loopback."""

UPGRADE = (CHECKOUT / "docs" / "upgrade.md").read_text(encoding="utf-8")
LISTING, GOING_BACK, REMOVING = re.findall(r"^\$ ((?:ansible-galaxy|rm) .*)$", UPGRADE, re.MULTILINE)
HOSTS = "-i inventory.yml"
MODULES = len(list(CHECKOUT.glob("plugins/modules/*.py")))

on_each = pytest.mark.parametrize("controller", SUPPORTED, ids=lambda row: row.name)


class Desk:
    """An empty directory from which somebody with an empty home works, with a version of ansible-core and archives."""

    def __init__(self, directory: pathlib.Path, programs: pathlib.Path, *archives: pathlib.Path) -> None:
        self.person = Newcomer(directory, programs)
        self.place = directory / "desk"
        self.place.mkdir()
        for each in archives:
            shutil.copy(each, self.place)

    def types(self, command: str, *before: str) -> str:
        return self.person.types(command, self.place, *before)

    def plays(self, playbook: str, options: str = "") -> dict[str, t.Any]:
        """Run a playbook, which has to succeed, without a warning if it is of this release. Return its report."""
        for old in self.place.glob("conntrack-reports/*"):
            old.unlink()
        output = self.types(f"ansible-playbook netops.conntrack.{playbook} {HOSTS} {options} 2>&1")
        assert self.person.version() != VERSION or "WARNING" not in output, output
        (path,) = self.place.glob("conntrack-reports/conntrack-*.json")
        document: dict[str, t.Any] = json.loads(path.read_text(encoding="utf-8"))
        return document

    def files(self) -> set[str]:
        """Return what is installed, relative to the collection."""
        found = (path for path in self.person.installed.rglob("*") if path.is_file() and path.suffix != ".pyc")
        return {str(path.relative_to(self.person.installed)) for path in found}


def files_of_the_manifest(desk: Desk) -> set[str]:
    listed = json.loads((desk.person.installed / "FILES.json").read_text(encoding="utf-8"))["files"]
    return {each["name"] for each in listed if each["ftype"] == "file"} | {"FILES.json", "MANIFEST.json"}


@on_each
def test_it_installs_without_a_network_and_works_outside_of_the_checkout(
    controller: Controller,
    archive: pathlib.Path,
    make_fleet: t.Callable[[str, int], Fleet],
    tmp_path: pathlib.Path,
) -> None:
    desk = Desk(tmp_path, programs_of(controller), archive)
    desk.types(FROM_ARTIFACT, *OFFLINE)
    assert VERSION in desk.types(LISTING, *OFFLINE)
    assert desk.files() == files_of_the_manifest(desk)
    listed = json.loads(desk.types("ansible-doc --json --list netops.conntrack", *OFFLINE))
    assert len(listed) == MODULES

    fleet = make_fleet("ncarchive", 1)
    shutil.copy(fleet.built.inventory, desk.place / "inventory.yml")
    facts = desk.types(f"ansible routers {HOSTS} -m netops.conntrack.conntrack_facts -a gather_subset=table")
    assert '"entries"' in facts
    assert desk.plays("audit")["totals"]["done"] == 1
    assert desk.plays("site", "-e target=routers --check")["totals"]["would_delete"] == STALE
    assert fleet.stale() == {"router1": STALE}
    assert desk.plays("site", "-e target=routers")["totals"]["deleted"] == STALE
    assert fleet.stale() == {"router1": 0}
    assert desk.plays("tune", "-e target=routers -e conntrack_tune_state=absent")["totals"]["settings_changed"] > 0
    assert fleet.flows_carry()


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Return the archive of 0.4.0."""
    return earlier_release.build(tmp_path_factory.mktemp("earlier"))


@pytest.mark.parametrize("option", ["--force", "--upgrade"])
@on_each
def test_it_replaces_the_earlier_release_goes_back_to_it_and_is_removed(
    controller: Controller, archive: pathlib.Path, earlier: pathlib.Path, tmp_path: pathlib.Path, option: str
) -> None:
    desk = Desk(tmp_path, programs_of(controller), archive, earlier)
    installing = FROM_ARTIFACT.replace("--force", option)
    desk.types(installing.replace(VERSION, earlier_release.EARLIER), *OFFLINE)
    assert desk.person.version() == earlier_release.EARLIER
    gone = desk.files()
    desk.types(installing, *OFFLINE)
    assert desk.person.version() == VERSION
    assert gone - desk.files(), "0.4.0 had other files"
    assert desk.files() == files_of_the_manifest(desk)
    desk.types(GOING_BACK.replace("FILE", earlier.name), *OFFLINE)
    assert desk.person.version() == earlier_release.EARLIER
    assert desk.files() == gone
    desk.types(REMOVING)
    assert desk.files() == set()


@pytest.mark.parametrize("controller", SUPPORTED[-1:], ids=lambda row: row.name)  # 0.4.0 needs 2.19 or later
def test_what_the_playbooks_of_the_earlier_release_did_is_read_and_undone(
    controller: Controller,
    archive: pathlib.Path,
    earlier: pathlib.Path,
    make_fleet: t.Callable[[str, int], Fleet],
    tmp_path: pathlib.Path,
) -> None:
    desk = Desk(tmp_path, programs_of(controller), archive, earlier)
    fleet = make_fleet("ncearlier", 1)
    shutil.copy(fleet.built.inventory, desk.place / "inventory.yml")
    before = fleet.state()["router1"][1:]
    desk.types(FROM_ARTIFACT.replace(VERSION, earlier_release.EARLIER))
    assert desk.plays("tune")["schema_version"] == 2
    assert fleet.state()["router1"][1:] != before
    (report,) = desk.place.glob("conntrack-reports/conntrack-*.json")
    baseline = report.rename(desk.place / "baseline.json")

    desk.types(FROM_ARTIFACT)
    audited = desk.plays("audit", f"-e conntrack_audit_baseline={baseline.name}")
    assert audited["baseline"]["time"] == json.loads(baseline.read_text(encoding="utf-8"))["time"]
    undone = desk.plays("tune", "-e target=routers -e conntrack_tune_state=absent")
    assert undone["totals"]["settings_changed"] > 0
    assert fleet.state()["router1"][1:] == before

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The commands of the README that install the collection, as they stand there, by somebody who has nothing yet."""

from __future__ import annotations

import json
import pathlib
import re
import shutil

import pytest
from helpers.first_time_user import (
    ARTIFACT,
    BIN,
    BUILD,
    FROM_ARTIFACT,
    FROM_CHECKOUT,
    INSTALL,
    JMESPATH,
    VERSION,
    Stranger,
)
from helpers.support import CHECKOUT

README = (CHECKOUT / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def stranger(tmp_path: pathlib.Path) -> Stranger:
    return Stranger(tmp_path)


def test_commands_are_the_ones_of_the_readme() -> None:
    assert FROM_CHECKOUT.startswith("ansible-galaxy collection install . ")
    assert BUILD.startswith("ansible-galaxy collection build")
    assert ARTIFACT in FROM_ARTIFACT
    assert "jmespath" in JMESPATH


def test_from_the_checkout_and_again_with_what_changed_since(stranger: Stranger) -> None:
    stranger.types(FROM_CHECKOUT, stranger.clone)
    assert stranger.version() == VERSION
    (stranger.clone / "plugins" / "modules" / "new_since.py").write_text("", encoding="utf-8")
    (stranger.clone / "playbooks" / "report.yml").unlink()
    stranger.types(FROM_CHECKOUT, stranger.clone)
    assert (stranger.installed / "plugins" / "modules" / "new_since.py").exists()
    assert not (stranger.installed / "playbooks" / "report.yml").exists()
    assert (stranger.clone / ".collections" / "ansible_collections" / "netops" / "conntrack").is_symlink()
    assert not list(stranger.clone.glob("*.tar.gz"))


@pytest.mark.parametrize("inside", [True, False], ids=["inside", "outside"])
def test_from_an_artifact_in_place_of_an_older_one_and_of_the_same_version(stranger: Stranger, inside: bool) -> None:
    elsewhere = stranger.clone if inside else stranger.home
    stranger.types(BUILD, stranger.clone)
    stranger.types(BUILD, stranger.clone)
    galaxy = (stranger.clone / "galaxy.yml").read_text(encoding="utf-8")
    (stranger.clone / "galaxy.yml").write_text(galaxy.replace(VERSION, "0.4.0"), encoding="utf-8")
    stranger.types(BUILD, stranger.clone)
    if not inside:
        for archive in stranger.clone.glob("*.tar.gz"):
            shutil.move(archive, elsewhere)

    stranger.types(FROM_ARTIFACT.replace(VERSION, "0.4.0"), elsewhere)
    assert stranger.version() == "0.4.0"
    stranger.types(FROM_ARTIFACT, elsewhere)
    assert stranger.version() == VERSION
    (stranger.installed / "README.md").write_text("of another build", encoding="utf-8")
    stranger.types(FROM_ARTIFACT, elsewhere)
    assert (stranger.installed / "README.md").read_text(encoding="utf-8") == README


def test_a_newer_version_replaces_an_older_one_also_without_force(stranger: Stranger) -> None:
    stranger.types(BUILD, stranger.clone)
    galaxy = (stranger.clone / "galaxy.yml").read_text(encoding="utf-8")
    (stranger.clone / "galaxy.yml").write_text(galaxy.replace(VERSION, "0.4.0"), encoding="utf-8")
    stranger.types(FROM_CHECKOUT, stranger.clone)
    assert stranger.version() == "0.4.0"
    stranger.types(f"ansible-galaxy collection install {stranger.clone / ARTIFACT}", stranger.home)
    assert stranger.version() == VERSION


def test_jmespath_goes_to_the_python_of_ansible(stranger: Stranger) -> None:
    # The directory of the interpreter may be reached through a link.
    assert str(BIN.parent.resolve() / "bin") in stranger.types(JMESPATH, stranger.home)


def test_short_names_with_the_lines_for_ansible_cfg(stranger: Stranger) -> None:
    stranger.types(FROM_CHECKOUT, stranger.clone)
    page = (CHECKOUT / "docs" / "install.md").read_text(encoding="utf-8")
    [lines] = re.findall(r"```ini\n(.*?)```", page, re.DOTALL)
    (stranger.home / "ansible.cfg").write_text(lines, encoding="utf-8")
    # This host is refused by the collection's own action, which so was found.
    host = "-i router1, -c local -e ansible_host=192.0.2.1"
    output = stranger.types(f"ansible router1 {host} -m conntrack_facts || true", stranger.home)
    assert "router1 | FAILED!" in output
    assert "192.0.2.1" in output


def test_the_inventory_of_the_readme_is_the_one_of_the_documentation(stranger: Stranger) -> None:
    [block] = re.findall(r"```yaml\n(routers:.*?)```", INSTALL, re.DOTALL)
    sample = CHECKOUT / "docs" / "inventory.yml"
    assert block in sample.read_text(encoding="utf-8")
    listed = json.loads(stranger.types(f"ansible-inventory -i {sample} --list", stranger.home))
    assert listed["routers"]["hosts"] == ["router1", "router2", "router3"]

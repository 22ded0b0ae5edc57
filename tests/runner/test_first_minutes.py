# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The first ten minutes of somebody who has an empty home and three routers, from the installation to the undo.

Each command is printed with the time that it took: see them with `pytest -s`. By default the collection is installed
from an artifact in place of an older version. FIRST_MINUTES=all installs it in the other ways, too.
"""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import time
import typing as t

import pytest
import yaml
from fleet.conftest import STALE, Fleet
from helpers.first_time_user import BUILD, FROM_ARTIFACT, FROM_CHECKOUT, JMESPATH, VERSION, Stranger
from helpers.support import CHECKOUT, read_yaml

OLDER = "0.4.0"
EVERY = {"checkout", "artifact", "upgrade"}
WAYS = sorted(EVERY) if os.environ.get("FIRST_MINUTES") == "all" else ["upgrade"]
HOSTS = "-i inventory.yml -b"


class FirstMinutes:
    """What the stranger types, outside the checkout, with the time that each line takes."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.stranger = Stranger(directory)
        self.place = directory / "work"
        self.place.mkdir()

    def types(self, command: str, cwd: pathlib.Path | None = None) -> str:
        started = time.monotonic()
        output = self.stranger.types(command, cwd or self.place)
        print(f"{time.monotonic() - started:6.1f} s  $ {command}")
        return output

    def installs(self, way: str) -> None:
        """Install in one of the ways of the README: from the checkout, from a file, or over an older version."""
        clone = self.stranger.clone
        if way == "checkout":
            self.types(FROM_CHECKOUT, clone)
        else:
            self.types(BUILD, clone)
            for archive in clone.glob("*.tar.gz"):
                shutil.move(archive, self.place)
            if way == "upgrade":
                self._installs_older()
            self.types(FROM_ARTIFACT)
        self.types(JMESPATH)
        assert self.stranger.version() == VERSION

    def writes_inventory(self, fleet: Fleet) -> None:
        """Write the sample inventory and the lines for ansible.cfg, with the addresses and the keys of the lab."""
        sample = read_yaml(CHECKOUT / "docs" / "inventory.yml")
        lab = read_yaml(fleet.built.inventory)["routers"]
        assert sample["routers"]["hosts"].keys() == lab["hosts"].keys()
        sample["routers"] = {"hosts": lab["hosts"], "vars": {**sample["routers"]["vars"], **lab["vars"]}}
        (self.place / "inventory.yml").write_text(yaml.safe_dump(sample), encoding="utf-8")
        page = (CHECKOUT / "docs" / "install.md").read_text(encoding="utf-8")
        [lines] = re.findall(r"```ini\n(.*?)```", page, re.DOTALL)
        (self.place / "ansible.cfg").write_text(lines, encoding="utf-8")

    def _installs_older(self) -> None:
        galaxy = self.stranger.clone / "galaxy.yml"
        text = galaxy.read_text(encoding="utf-8")
        galaxy.write_text(text.replace(VERSION, OLDER), encoding="utf-8")
        self.types(FROM_CHECKOUT, self.stranger.clone)
        galaxy.write_text(text, encoding="utf-8")
        assert self.stranger.version() == OLDER


@pytest.mark.parametrize("way", WAYS)
def test_first_minutes(make_fleet: t.Callable[[str, int], Fleet], tmp_path: pathlib.Path, way: str) -> None:
    fleet = make_fleet("ncfirst", 3)
    directory = tmp_path / "stranger"
    directory.mkdir()
    minutes = FirstMinutes(directory)
    minutes.installs(way)
    minutes.writes_inventory(fleet)
    before = {name: (settings, boot) for name, (_entries, settings, boot) in fleet.state().items()}
    every = dict.fromkeys(before, STALE)
    assert fleet.stale() == every

    minutes.types(f"ansible-playbook netops.conntrack.audit {HOSTS}")
    assert list((minutes.place / "conntrack-reports").glob("*.html"))

    assert minutes.types(f"ansible routers {HOSTS} -m conntrack_facts").count('"percent"') == len(before)
    filled = minutes.types(f"ansible router1 {HOSTS} -m conntrack_info -a 'group_by=protocol,state limit=3'")
    assert '"ESTABLISHED"' in filled
    assert len(filled.splitlines()) < 50
    assert '"lines": [' in minutes.types(f"ansible router1 {HOSTS} -m conntrack_info -a select=stale")

    rehearsed = minutes.types(f"ansible-playbook netops.conntrack.prune {HOSTS} -e target=routers --check")
    assert f"{STALE * len(before)} entries" in rehearsed
    assert fleet.stale() == every
    minutes.types(f"ansible-playbook netops.conntrack.prune {HOSTS} -e target=routers")
    assert fleet.stale() == dict.fromkeys(before, 0)

    minutes.types(f"ansible-playbook netops.conntrack.tune {HOSTS} -e target=routers")
    tuned = {name: (settings, boot) for name, (_entries, settings, boot) in fleet.state().items()}
    assert all(tuned[name] != before[name] for name in before)
    minutes.types(f"ansible-playbook netops.conntrack.tune {HOSTS} -e target=routers -e conntrack_tune_state=absent")
    assert {name: (settings, boot) for name, (_entries, settings, boot) in fleet.state().items()} == before
    assert fleet.flows_carry()

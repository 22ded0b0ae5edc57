# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbooks under ansible-navigator, without an execution environment: exit code, report, file of the run."""

from __future__ import annotations

import json
import os
import subprocess
import typing as t

import lab
import pytest
from fleet.conftest import STALE, Fleet
from helpers.support import CHECKOUT
from runner.conftest import Workplace, private_key
from runner.documented import SCALE_OUT, command

PROGRAMS = CHECKOUT / ".work" / "navigator" / "bin"
"""Those of the environment that `make test` makes."""

Make = t.Callable[[str, int], Fleet]
MakeWorkplace = t.Callable[[str], Workplace]


class Navigator:
    """Somebody who runs ansible-navigator on the routers of a lab, in a directory with the documented ansible.cfg."""

    def __init__(self, fleet: Fleet, workplace: Workplace) -> None:
        if not (PROGRAMS / "ansible-navigator").is_file():
            pytest.skip("NOT TESTED: .work/navigator is not there. `make test` makes it.")
        self.fleet = fleet
        self.workplace = workplace
        workplace.reach(fleet, "inventory.yml")

    def runs(self, playbook: str, *options: str) -> subprocess.CompletedProcess[str]:
        """Run a playbook in place of the documented one, with more options."""
        words = command(SCALE_OUT, "ansible-navigator run")
        return self._types([word.replace("conntrack.audit", f"conntrack.{playbook}") for word in words], *options)

    def replays(self) -> subprocess.CompletedProcess[str]:
        return self._types(command(SCALE_OUT, "ansible-navigator replay"))

    def report(self, playbook: str) -> dict[str, t.Any]:
        (path,) = self.workplace.directory.glob(f"conntrack-reports/conntrack-{playbook}-*.json")
        document: dict[str, t.Any] = json.loads(path.read_text(encoding="utf-8"))
        return document

    def file_of_the_run(self) -> dict[str, t.Any]:
        text = (self.workplace.directory / "audit-run.json").read_text(encoding="utf-8")
        document: dict[str, t.Any] = json.loads(text)
        return document

    def _types(self, words: list[str], *options: str) -> subprocess.CompletedProcess[str]:
        path = f"{PROGRAMS}:{os.environ['PATH']}"
        return self.workplace.run([*words, *options], PATH=path, ANSIBLE_PRIVATE_KEY=private_key(self.fleet))


@pytest.fixture
def navigator(make_fleet: Make, make_workplace: MakeWorkplace) -> Navigator:
    return Navigator(make_fleet("ncnav", 2), make_workplace("repository"))


def test_an_audit_is_shown_reported_kept_and_shown_again(navigator: Navigator) -> None:
    done = navigator.runs("audit")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 of 2 routers done" in done.stdout
    document = navigator.report("audit")
    assert set(document["hosts"]) == {"router1", "router2"}
    kept = navigator.file_of_the_run()
    assert kept["status"] == "successful"
    measured = [task for play in kept["plays"] for task in play["tasks"] if task["task"].endswith("Measure and check")]
    assert {task["host"] for task in measured} == {"router1", "router2"}

    for router in navigator.fleet.routers:
        lab.stop_router(navigator.fleet.built.directory, router.name)
    again = navigator.replays()
    assert again.returncode == 0, again.stdout + again.stderr
    assert "2 of 2 routers done" in again.stdout


def test_a_roll_out_does_the_same_as_with_ansible_playbook(navigator: Navigator) -> None:
    done = navigator.runs("site", "-e", "target=routers")
    assert done.returncode == 0, done.stdout + done.stderr
    assert navigator.report("site")["totals"]["deleted"] == 2 * STALE
    assert navigator.fleet.stale() == {"router1": 0, "router2": 0}
    assert navigator.fleet.flows_carry()


@pytest.mark.parametrize(
    ("playbook", "options", "code"),
    [("audit", ["-e", "fail_on=info"], 2), ("tune", [], 2), ("audit", ["--limit", "nobody"], 1)],
)
def test_exit_codes_are_those_of_ansible_playbook(
    navigator: Navigator, playbook: str, options: list[str], code: int
) -> None:
    done = navigator.runs(playbook, *options)
    assert done.returncode == code, done.stdout + done.stderr
    assert navigator.file_of_the_run()["status"] == "failed"

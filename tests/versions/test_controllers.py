# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The collection on controllers with another ansible-core: unit tests, sanity, and the playbooks on a lab.

They run on the controllers of tools/controllers.yml: `make versions` runs all of them on each, `make test` the
playbooks on the oldest and the newest. On a release that is only announced, sanity runs as information.
"""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import re
import subprocess
import sys
import typing as t

import lab
import pytest
from controllers import Controller
from helpers.other_controllers import ANNOUNCED, NAMES, REFUSED, SUPPORTED, programs_of
from helpers.report_comparison import comparable
from helpers.support import CHECKOUT, run_ansible, worker

UNIT = ["tests/unit/plugins", "tests/unit/roles"]

ROUTERS, STALE = 2, 100
RUNS = (("audit",), ("site", "--check"), ("site",)) if NAMES else (("site",),)
"""The playbooks that change nothing come first: then all runs of a controller can share one lab."""

MINUTE = 60

long = pytest.mark.skipif(not NAMES, reason="takes many minutes: `make versions` runs it")
on_each = pytest.mark.parametrize("controller", SUPPORTED, ids=lambda row: row.name)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a playbook ended on the lab: exit code, output, and its report."""

    rc: int
    output: str
    report: dict[str, t.Any]


def run_in_checkout(command: list[str], environment: dict[str, str], minutes: int) -> None:
    """Run ``command`` in the checkout; AssertionError with all that it printed if it fails."""
    done = end_in_checkout(command, environment, minutes)
    assert done.returncode == 0, done.stdout + done.stderr


def end_in_checkout(command: list[str], environment: dict[str, str], minutes: int) -> subprocess.CompletedProcess[str]:
    """Run ``command`` in the checkout, and return how it ended."""
    return subprocess.run(
        command,
        cwd=CHECKOUT,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=minutes * MINUTE,
        check=False,
    )


def play_all(programs: pathlib.Path, directory: pathlib.Path) -> list[Outcome]:
    """Build a lab, run the playbooks on it with the Ansible in ``programs``, and take it down."""
    home = directory / "home"
    home.mkdir()
    place = directory / "lab"
    built = lab.up(place, prefix="ncvers" + worker(), routers=ROUTERS, stale=STALE)
    try:
        return [play(built.inventory, programs, home, *run) for run in RUNS]
    finally:
        lab.down(place)


def play(inventory: pathlib.Path, programs: pathlib.Path, home: pathlib.Path, playbook: str, *options: str) -> Outcome:
    name = "-".join([playbook, *(option.strip("-") for option in options)])
    report = {"conntrack_audit_report_directory": str(home), "conntrack_audit_report_name": name}
    variables = json.dumps({"target": "all", **report})
    command = ["ansible-playbook", f"netops.conntrack.{playbook}", "--extra-vars", variables, *options]
    done = run_ansible(command, inventory, home, programs=programs, timeout=10 * MINUTE)
    output = done.stdout + done.stderr
    file = home / f"{name}.json"
    assert file.is_file(), output
    # The advice names the inventory, which stands in another directory for each controller.
    text = file.read_text(encoding="utf-8").replace(str(inventory.parent), "LAB")
    return Outcome(done.returncode, output, json.loads(text))


@pytest.fixture(scope="session")
def expected(tmp_path_factory: pytest.TempPathFactory) -> list[Outcome]:
    """Return what the playbooks come to with the ansible-core that the rest of the suite runs on."""
    if os.geteuid() != 0:
        pytest.skip("needs root, for network namespaces")
    return play_all(pathlib.Path(sys.executable).parent, tmp_path_factory.mktemp("main"))


@long
@on_each
def test_unit(controller: Controller) -> None:
    programs = programs_of(controller)
    command = [str(programs / "python"), "-m", "pytest", "-q", "-p", "no:cacheprovider", *UNIT]
    run_in_checkout(command, {"PATH": f"{programs}:{os.environ['PATH']}"}, 60)


@long
@on_each
def test_sanity(controller: Controller) -> None:
    programs = programs_of(controller)
    run_in_checkout(["tools/sanity"], {"VENV": str(programs.parent)}, 60)


@long
@pytest.mark.parametrize("controller", ANNOUNCED, ids=lambda row: row.name)
def test_sanity_of_a_release_that_is_only_announced(controller: Controller) -> None:
    """What fails here is no failure of this version of the collection, but one of the next. The report shows it."""
    programs = programs_of(controller)
    done = end_in_checkout(["tools/sanity"], {"VENV": str(programs.parent)}, 60)
    if done.returncode != 0:
        pytest.xfail(f"INFORMATION, NO FAILURE: sanity of ansible-core {controller.core}:\n{findings_of(done)}")


def findings_of(done: subprocess.CompletedProcess[str]) -> str:
    """Return the lines in which ansible-test says what it found, or all that it printed if there are none."""
    printed = done.stdout + done.stderr
    return "\n".join(line for line in printed.splitlines() if re.match("ERROR|FATAL", line)) or printed


@on_each
def test_playbooks_come_to_the_same_report(
    controller: Controller, expected: list[Outcome], tmp_path: pathlib.Path
) -> None:
    outcomes = play_all(programs_of(controller), tmp_path)
    for run, outcome, wanted in zip(RUNS, outcomes, expected):
        assert (outcome.rc, wanted.rc) == (0, 0), outcome.output
        assert "WARNING" not in outcome.output, outcome.output
        assert comparable(outcome.report) == comparable(wanted.report), run
    deleted = {name: host["prune"]["deleted"] for name, host in outcomes[-1].report["hosts"].items()}
    assert deleted == {f"router{number}": STALE for number in range(1, ROUTERS + 1)}


@pytest.mark.parametrize("controller", REFUSED, ids=lambda row: row.name)
@pytest.mark.parametrize("playbook", ["audit", "prune", "site", "tune"])
def test_an_older_one_is_refused_before_the_first_connection(
    controller: Controller, tmp_path: pathlib.Path, playbook: str
) -> None:
    programs = programs_of(controller)
    inventory = tmp_path / "inventory.yml"
    touched = tmp_path / "touched"
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\ntouch {touched}\nexec /usr/bin/python3 "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    host = {"ansible_connection": "local", "ansible_python_interpreter": str(python)}
    inventory.write_text(json.dumps({"all": {"hosts": {"router1": host}}}), encoding="utf-8")
    command = ["ansible-playbook", f"netops.conntrack.{playbook}", "--extra-vars", '{"target": "all"}']
    done = run_ansible(command, inventory, tmp_path, programs=programs, timeout=5 * MINUTE)
    assert done.returncode != 0, done.stdout
    assert "needs ansible-core 2.16 or newer" in done.stdout, done.stdout + done.stderr
    assert not touched.exists(), done.stdout

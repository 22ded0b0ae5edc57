# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A router under traffic that is audited, tuned, pruned and restored again and again: nothing grows, no flow breaks.

SOAK_MINUTES says for how long. ``make soak`` takes an hour.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import time
import typing as t

import construction
import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._files import run_directory
from ansible_collections.netops.conntrack.plugins.module_utils._netns import inside
from helpers import engine_loop
from helpers.support import CHECKOUT, PATIENCE, module_path, namespace_pids, run, run_ansible

MINUTES = float(os.environ.get("SOAK_MINUTES", "3"))
STALE, OTHERS = 100, 500
WARM_UP = 5
"""After so many rounds, there are as many backups as the role keeps."""
MORE_MEMORY = 1.3
"""How many times the memory of the first look is no growth. Python keeps more or less of what it frees."""
OVERRIDES = '{"conntrack_tune_overrides": {"generic_timeout": %d}}'


class Soaked:
    """A router, and what could be left behind on it."""

    def __init__(self, fleet: t.Any, home: pathlib.Path) -> None:
        self.fleet = fleet
        [self.router] = fleet.routers
        self.remote_files = home / "remote"
        self.backups = pathlib.Path("/run", f"{self.router.prefix}-backups", self.router.name)

    def play(self, playbook: str, *options: str) -> dict[str, t.Any]:
        """Run a playbook, and return what its report says of the router."""
        outcome = self.fleet.play(playbook, *options, env={"ANSIBLE_REMOTE_TMP": str(self.remote_files)})
        assert outcome.rc == 0, outcome.output
        return t.cast("dict[str, t.Any]", outcome.report["hosts"][self.router.name])

    def round(self, number: int) -> None:
        """Audit, prune, restore and tune. Each has something to do."""
        construction._leave_stale_entries(self.router, STALE)
        self.play("audit")
        pruned = self.play("prune")["prune"]
        assert pruned["deleted"] >= STALE
        self.restore(pruned["deleted"])
        assert self.play("tune", "--extra-vars", OVERRIDES % (120 + number % 2))["settings"]["changes"]
        assert self.fleet.flows_carry()

    def restore(self, number: int) -> None:
        """Restore what was deleted last. This playbook writes no report."""
        command = ["ansible-playbook", "netops.conntrack.restore", "--extra-vars", "target=all"]
        env = {"ANSIBLE_REMOTE_TMP": str(self.remote_files)}
        done = run_ansible(command, self.fleet.built.inventory, self.fleet.home, env=env)
        assert f"{number} of {number} entries were restored" in done.stdout, done.stdout + done.stderr

    def left_behind(self) -> dict[str, int]:
        """Return how many there are of everything that a run could leave behind."""
        with inside(self.router.namespace):
            records = pathlib.Path(run_directory.path_of(""))
        pids = namespace_pids(self.router.namespace)
        return {
            "processes": sum(is_of_a_module(pid) for pid in pids),
            "temporary files": len(list(self.remote_files.rglob("*"))),
            "records": len(list(records.parent.glob(f"*{records.name}*"))),
            "backups": len(list(self.backups.iterdir())),
            "boot files": sum(path.is_file() for path in pathlib.Path("/etc/netns", self.router.namespace).rglob("*")),
        }


def is_of_a_module(pid: str) -> bool:
    """Return whether the process is what a module left running. sshd has processes of its own, and the loop is ours."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        command = pathlib.Path(f"/proc/{pid}/cmdline").read_text()
        return "sshd" not in command and engine_loop.__file__ not in command
    return False


@contextlib.contextmanager
def looping(netns: str, directory: pathlib.Path) -> t.Iterator[subprocess.Popen[str]]:
    """Read, prune and restore the table in one process, until its input is closed."""
    process = subprocess.Popen(
        ["ip", "netns", "exec", netns, sys.executable, engine_loop.__file__, str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([module_path(), str(CHECKOUT / "tests")])},
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def insert_others(netns: str) -> None:
    """Make the entries that the loop deletes and restores, and the playbooks leave alone."""
    line = (
        f"-I -p udp -s 198.18.0.9 -d {engine_loop.DESTINATION} --sport {{}} --dport 9 -t 86400 -u SEEN_REPLY,ASSURED\n"
    )
    run(["conntrack", "-R", "-"], netns=netns, text="".join(map(line.format, range(1, OTHERS + 1))))


def test_nothing_grows_and_no_flow_breaks(
    make_fleet: t.Callable[[str, int], t.Any], tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fleet = make_fleet("ncsoak", 1)
    soaked = Soaked(fleet, tmp_path)
    insert_others(soaked.router.namespace)
    ends = time.monotonic() + MINUTES * 60
    first: dict[str, int] = {}
    rounds = 0
    with looping(soaked.router.namespace, tmp_path / "backups") as process:
        while not first or time.monotonic() < ends:
            soaked.round(rounds)
            rounds += 1
            if rounds == WARM_UP:
                first = soaked.left_behind()
        last = soaked.left_behind()
        printed, _nothing = process.communicate(timeout=PATIENCE)
    engine = json.loads(printed)
    with capsys.disabled():
        print(f"\n{rounds} rounds of playbooks, {last} at the end; the engine: {engine}")
    assert last == first
    assert engine["turns"] > engine_loop.WARM_UP
    assert engine["last"]["descriptors"] == engine["first"]["descriptors"]
    assert engine["last"]["kilobytes"] <= MORE_MEMORY * engine["first"]["kilobytes"]
    assert engine["files"] == engine_loop.KEPT

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible as an operator calls it, on the routers of a lab, and what conntrack and /proc say about them."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import re
import subprocess
import typing as t

import lab
import pytest
from construction import stale_entries
from helpers.support import PATIENCE, run, run_ansible, worker
from record import Lab
from topology import Router

STALE = 100
SECONDS_OF_A_BLOCK = 0.5
"""A broken flow is broken for good, so that seldom is enough, and leaves the processors to the tests."""

_RECAP = re.compile(r"^(\S+) +: ok=\d+ +changed=(\d+) +unreachable=(\d+) +failed=(\d+)", re.MULTILINE)
_IDENTITY = ("src=", "dst=", "sport=", "dport=", "type=", "code=", "zone=", "mark=")


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a run of Ansible ended."""

    rc: int
    output: str
    report: dict[str, t.Any]
    page: str = ""
    """The report as text, where it was written. The output shows of it what fits a screen."""

    @property
    def changed(self) -> dict[str, int]:
        """How many tasks changed something, by router, as the recap says."""
        return {host: int(changed) for host, changed, _unreachable, _failed in _RECAP.findall(self.output)}


class Fleet:
    """A lab, and Ansible on it with an empty home."""

    def __init__(self, built: Lab, home: pathlib.Path) -> None:
        self.built = built
        self.home = home
        self.runs = 0

    @property
    def routers(self) -> list[Router]:
        return self.built.routers

    def play(
        self, playbook: str, *options: str, timeout: float = PATIENCE, env: t.Mapping[str, str] | None = None
    ) -> Outcome:
        """Run a playbook of the collection, and give its report too."""
        self.runs += 1
        directory, name = self.home / "reports", f"run{self.runs}"
        report = {"conntrack_audit_report_directory": str(directory), "conntrack_audit_report_name": name}
        variables = json.dumps({"target": "all", **report})
        command = ["ansible-playbook", f"netops.conntrack.{playbook}", "--extra-vars", variables, *options]
        done = run_ansible(command, self.built.inventory, self.home, timeout=timeout, env=env)
        file = directory / f"{name}.json"
        assert file.exists(), done.stdout + done.stderr
        text = file.with_suffix(".txt")
        return Outcome(
            done.returncode,
            done.stdout + done.stderr,
            json.loads(file.read_text(encoding="utf-8")),
            text.read_text(encoding="utf-8") if text.exists() else "",
        )

    def module(self, name: str, args: dict[str, t.Any], *options: str) -> dict[str, dict[str, t.Any]]:
        """Call one module ad hoc on all routers; give what it returned, by router."""
        done = self.ansible(name, args, *options)
        found = re.findall(r"^(\S+) \| \S+ => (\{.*?^\})$", done.stdout, re.MULTILINE | re.DOTALL)
        assert len(found) == len(self.routers), done.stdout + done.stderr
        assert done.returncode == 0, done.stdout + done.stderr
        return {host: json.loads(data) for host, data in found}

    def ansible(self, name: str, args: dict[str, t.Any], *options: str) -> subprocess.CompletedProcess[str]:
        """Call one module ad hoc on all routers, however it ends."""
        arguments = ["-a", json.dumps(args)] if args else []
        command = ["ansible", "routers", "-m", name, *arguments, *options]
        return run_ansible(command, self.built.inventory, self.home)

    def stale(self) -> dict[str, int]:
        return {router.name: stale_entries(router) for router in self.routers}

    def flows_carry(self) -> bool:
        return lab.all_ok(lab.flows(self.built.directory))

    def state(self) -> dict[str, tuple[list[str], dict[str, str], dict[str, str]]]:
        """Return all that a dry run has to leave alone, by router: entries, settings, and what is set at boot."""
        return {router.name: (_entries(router), _settings(router), _boot(router)) for router in self.routers}


@pytest.fixture
def make_fleet(tmp_path: pathlib.Path) -> t.Iterator[t.Callable[[str, int], Fleet]]:
    """Build a lab with a prefix and so many routers, as often as asked; all go at the end."""
    if os.geteuid() != 0:
        pytest.skip("needs root, for network namespaces")
    made: list[pathlib.Path] = []

    def make(prefix: str, routers: int) -> Fleet:
        directory, home = tmp_path / prefix, tmp_path / f"{prefix}-home"
        made.append(directory)
        home.mkdir()
        named = prefix + worker()
        return Fleet(lab.up(directory, prefix=named, routers=routers, stale=STALE, interval=SECONDS_OF_A_BLOCK), home)

    yield make
    for directory in made:
        lab.down(directory)


def _entries(router: Router) -> list[str]:
    """Return protocol, tuples, zone and mark of each entry, without the connections to port 22."""
    lines = []
    for family in ("ipv4", "ipv6"):
        listing = run(["conntrack", "-L", "-f", family], netns=router.namespace)
        lines += [line.split() for line in listing.splitlines()]
    kept = [words for words in lines if not {"sport=22", "dport=22"} & set(words)]
    return sorted(" ".join(_identity(words)) for words in kept)


def _identity(words: list[str]) -> list[str]:
    return [words[0], *(word for word in words if word.startswith(_IDENTITY))]


def _settings(router: Router) -> dict[str, str]:
    # nf_conntrack_count is the number of entries, which the connections to port 22 belong to.
    listing = run(["sysctl", "-a", "--pattern", "^net.netfilter"], netns=router.namespace)
    pairs = (line.partition(" = ") for line in listing.splitlines())
    return {key: value for key, _equals, value in pairs if key != "net.netfilter.nf_conntrack_count"}


def _boot(router: Router) -> dict[str, str]:
    directory = pathlib.Path("/etc/netns") / router.namespace / "sysctl.d"
    return {file.name: file.read_text(encoding="utf-8") for file in sorted(directory.iterdir())}

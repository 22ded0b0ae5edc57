# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Routers that are JSON files, for what seldom goes wrong on a real one: the modules are stand-ins for ours."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import re
import subprocess
import sys
import typing as t

import yaml
from helpers.support import CHECKOUT, ON_CONTROLLERS, PATIENCE, forked_programs

ROLES = pathlib.Path(__file__).parent.parent / "unit" / "roles"
ANSIBLE_PLAYBOOK = pathlib.Path(sys.executable).parent / "ansible-playbook"
DEAD = {"ansible_host": "127.0.0.1", "ansible_port": 1, "ansible_connection": "ssh"}
RECAP = re.compile(r"^(\S+) +: (.*)$", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Run:
    """How a playbook ended: exit code, output, the fleet's document, and the counts of the recap by router."""

    rc: int
    output: str
    document: dict[str, t.Any]
    recap: dict[str, dict[str, int]]

    def column(self, part: str, key: str) -> dict[str, t.Any]:
        return {name: host[part][key] for name, host in self.document["hosts"].items() if host[part]}


class Fleet:
    """Routers that are JSON files, and a collection in which the modules work on those."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory
        collection = directory / "ansible_collections" / "netops" / "conntrack"
        (collection / "plugins").mkdir(parents=True)
        for part in ("roles", "playbooks", "meta", "galaxy.yml"):
            (collection / part).symlink_to(CHECKOUT / part)
        for part in ("action", "filter", "plugin_utils", "module_utils"):
            (collection / "plugins" / part).symlink_to(CHECKOUT / "plugins" / part)
        (collection / "plugins" / "modules").symlink_to(ROLES / "stand_ins")
        self.hosts: dict[str, dict[str, t.Any]] = {}

    def add(self, name: str, **changes: t.Any) -> None:
        """Add a sick router; ``changes`` are for its file, those named acct or without are for its settings."""
        facts = json.loads((ROLES / "facts" / "sick.json").read_text())
        facts["settings"]["acct"] = changes.pop("acct", 1)
        facts["boot"]["records"] = changes.pop("records", facts["boot"]["records"])
        for short in changes.pop("without", []):
            del facts["settings"][short]
        state = self.directory / f"{name}.json"
        state.write_text(json.dumps({"facts": facts, "boot": {}, **changes}))
        interpreter = self.directory / f"python-{len(self.hosts)}"
        asked = self.directory / f"{name}.asked"
        interpreter.write_text(f'#!/bin/sh\n: > "{asked}"\nROUTER="{state}" exec {sys.executable} "$@"\n')
        interpreter.chmod(0o755)
        self.hosts[name] = {"ansible_connection": "local", "ansible_python_interpreter": str(interpreter)}

    @property
    def asked(self) -> set[str]:
        """The routers on which any module was run."""
        return {path.stem for path in self.directory.glob("*.asked")}

    def play(self, playbook: str, *options: str) -> Run:
        """Run a playbook of the collection, and give its report too."""
        done = self.run(playbook, *options)
        report = self.directory / "reports" / "report.json"
        output = done.stdout + done.stderr
        assert report.exists(), output
        document = json.loads(report.read_text(encoding="utf-8"))
        lines = RECAP.findall(done.stdout.split("PLAY RECAP")[1])
        recap = {name: {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", counts)} for name, counts in lines}
        return Run(done.returncode, output, document, recap)

    def run(self, playbook: str, *options: str) -> subprocess.CompletedProcess[str]:
        """Run a playbook of the collection on all routers, unless ``options`` say which, however it ends."""
        return self.run_file(f"netops.conntrack.{playbook}", "-e", "target=all", *options)

    def run_file(self, playbook: str, *options: str) -> subprocess.CompletedProcess[str]:
        """Run any playbook, or several with blanks in between, however it ends."""
        (self.directory / "inventory.yml").write_text(yaml.safe_dump({"all": {"hosts": self.hosts}}))
        reports = self.directory / "reports"
        variables = {
            "conntrack_audit_report_directory": str(reports),
            "conntrack_audit_report_name": "report",
            "conntrack_audit_settle": 0,
            "conntrack_audit_report_formats": ["json"],
        }
        command = [
            str(ANSIBLE_PLAYBOOK),
            "-i",
            "inventory.yml",
            *playbook.split(),
            "-e",
            json.dumps(variables),
        ]
        return subprocess.run(
            [*command, *options],
            cwd=self.directory,
            env={
                **os.environ,
                **ON_CONTROLLERS,
                **forked_programs(),
                "ANSIBLE_COLLECTIONS_PATH": str(self.directory),
                "ANSIBLE_PIPELINING": "true",
            },
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

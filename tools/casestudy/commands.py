# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The commands of this collection that the operator types, run as typed, and the figures that each of them shows."""

from __future__ import annotations

import json
import os
import pathlib
import re
import shlex
import subprocess
import time
import typing as t

import lab
from casestudy.router import CaseError, count
from record import Lab

Figures = dict[str, t.Any]

CHECKOUT = pathlib.Path(__file__).resolve().parent.parent.parent
NAME = "router1"

_RESTORED = re.compile(
    r"(\d+)\s+of\s+(\d+)\s+entries\s+(?:would be|were)\s+restored,\s+(\d+)\s+are\s+in\s+the\s+table\s+already,"
    r"\s+(\d+)\s+have\s+ended"
)


class Operator:
    """Runs commands on the lab's router from a directory that keeps reports and output."""

    def __init__(self, built: Lab, directory: pathlib.Path, say: t.Callable[[str], None]) -> None:
        self.built = built
        self.directory = directory
        self.steps: list[Figures] = []
        self._say = say

    def audit(self, name: str) -> None:
        """Audit the router."""
        report = self._play(name, "audit", "-e", "target=router1")
        audited = report["before"]
        self._figures(
            findings=[finding["id"] for finding in audited["findings"] if finding["status"] == "finding"],
            stale=audited["selectors"]["stale"]["entries"],
            filled_by=audited["explanation"]["filled_by"],
        )

    def explain(self) -> None:
        """Ask what fills the table."""
        text = self._run("explain", ["ansible-playbook", "netops.conntrack.explain", "-e", "target=router1"])
        for path in (str(self.built.inventory), os.path.relpath(self.built.inventory, CHECKOUT)):
            text = text.replace(path, "inventory.yml")
        self._figures(screen=screen(text))

    def forecast(self, timeouts: t.Mapping[str, int]) -> None:
        """Ask what ``timeouts`` would do to the entries that are in the table now."""
        arguments = json.dumps({"gather_subset": ["usage"], "forecast": dict(timeouts)})
        text = self._run("forecast", ["ansible", NAME, "-m", "netops.conntrack.conntrack_facts", "-a", arguments])
        found = re.search(r"=> (\{.*?^\})$", text, re.MULTILINE | re.DOTALL)
        if found is None:
            raise CaseError(f"forecast: the module does not say what it found\n{text}")
        forecast = json.loads(found.group(1))["ansible_facts"]["conntrack"]["forecast"]
        self._figures(
            gone=forecast["gone"],
            unknown=forecast["unknown"],
            governed=forecast["governed"],
            then=forecast["then"]["count"],
        )

    def tune(self, name: str, *options: str) -> None:
        """Set the default profile, or foretell what it does with ``--check``."""
        settings = self._play(name, "tune", "-e", "target=router1", *options)["settings"]
        forecast, shortened = settings["forecast"] or {}, settings["shortened"] or {}
        self._figures(
            changes={key: [each["before"], each["after"]] for key, each in settings["changes"].items()},
            gone=forecast.get("gone"),
            then=(forecast.get("then") or {}).get("count"),
            shortened=shortened.get("would_update" if "--check" in options else "updated"),
        )

    def prune(self, name: str, *options: str) -> None:
        """Delete the stale entries, or count them with ``--check``."""
        pruned = self._play(name, "prune", "-e", "target=router1", *options)["prune"]
        self._figures(selected=pruned["matched"], would_delete=pruned["would_delete"], deleted=pruned["deleted"])

    def restore(self, name: str, *options: str) -> None:
        """Put the entries of the newest backup back."""
        text = self._run(name, ["ansible-playbook", "netops.conntrack.restore", "-e", "target=router1", *options])
        found = _RESTORED.search(text)
        if found is None:
            raise CaseError(f"{name}: the playbook does not say what it restored\n{text}")
        restored, entries, existing, expired = map(int, found.groups())
        self._figures(restored=restored, in_backup=entries, existing=existing, expired=expired)

    def undo_settings(self) -> None:
        """Restore the settings from before the tune."""
        module = ["ansible", NAME, "-m", "netops.conntrack.conntrack_settings", "-a", "state=absent"]
        self._run("undo of tune", module)

    def flows(self) -> Figures:
        """Return how many live flows there are, and how many blocks they have carried and got back in all."""
        flows = lab.flows(self.built.directory)[NAME].values()
        return {"flows": len(flows), "blocks": sum(flow["received"] for flow in flows)}

    def _figures(self, **figures: t.Any) -> None:
        self.steps[-1].update(figures)

    def _play(self, name: str, playbook: str, *options: str) -> Figures:
        """Run a playbook and return what its report says of the router. Raises CaseError."""
        file = name.replace(" ", "-")
        report = {"conntrack_audit_report_directory": str(self.directory), "conntrack_audit_report_name": file}
        command = ["ansible-playbook", f"netops.conntrack.{playbook}", *options]
        text = self._run(name, command, "--extra-vars", json.dumps(report))
        document = json.loads((self.directory / f"{file}.json").read_text(encoding="utf-8"))
        host: Figures = document["hosts"][NAME]
        if host["failure"]:
            raise CaseError(f"{name}: {host['failure']}\n{text}")
        return host

    def _run(self, name: str, command: t.Sequence[str], *hidden: str) -> str:
        """Run a command as typed, apart from what is ``hidden``, and add a step. Raises CaseError."""
        typed = [*command[:2], "-i", "inventory.yml", "-b", *command[2:]]
        self._say(f"{name}: {shlex.join(typed)}")
        inventory = str(self.built.inventory)
        real = [inventory if word == "inventory.yml" else word for word in typed]
        load, started = os.getloadavg()[0], time.monotonic()
        done = subprocess.run(
            [*real, *hidden],
            cwd=CHECKOUT,
            # Named, for Ansible takes no ansible.cfg from a directory that everybody may write to.
            env={
                **os.environ,
                "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"),
                "ANSIBLE_NOCOLOR": "1",
                "COLUMNS": "100",
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        seconds = time.monotonic() - started
        (self.directory / f"{name.replace(' ', '-')}.log").write_text(done.stdout, encoding="utf-8")
        if done.returncode != 0:
            raise CaseError(f"{name}: exit status {done.returncode}\n{done.stdout}")
        self._add(name, shlex.join(typed), seconds, load)
        return done.stdout

    def _add(self, name: str, command: str, seconds: float, load: float) -> None:
        broken = [flow for flow, verdict in lab.flows(self.built.directory)[NAME].items() if not verdict["ok"]]
        if broken:
            raise CaseError(f"{name}: these live flows do not carry data any more: {', '.join(broken)}")
        left = count(self.built.routers[0])
        self.steps.append(
            {"name": name, "command": command, "seconds": round(seconds, 1), "load": round(load, 1), "entries": left}
        )
        self._say(f"{name}: {seconds:.1f} s, load {load:.1f}, {left:,} entries in the table")


def screen(text: str) -> list[str]:
    """Return the page that the playbook explain printed, without what Ansible prints around it."""
    lines = text.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("What fills "))
    end = next(number for number, line in enumerate(lines[start:], start) if line.startswith("ok: "))
    return [line.rstrip() for line in lines[start:end]]

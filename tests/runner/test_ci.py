# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The steps of the documented pipelines on real routers: exit codes, reports, the key and the host keys."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import typing as t
import xml.etree.ElementTree

import lab
import pytest
from helpers.support import CHECKOUT, run
from runner.conftest import Workplace, private_key
from runner.documented import CI, github, github_step, gitlab
from topology import STALE_DESTINATIONS, Router

Make = t.Callable[[str, int], t.Any]
MakeWorkplace = t.Callable[[str], Workplace]

STALE = 400
"""More than half of the lab's table, which has some 240 other entries: the finding stale_majority, of severity high."""
INVENTORY = "inventory.yml"
# The kernel's log is one for the machine, and other tests fill tables.
VARIABLES = {"conntrack_audit_skipped_checks": ["table_full_logged"]}


class Pipeline:
    """A repository as documented, checked out for a job that audits the routers of a lab."""

    def __init__(self, fleet: t.Any, workplace: Workplace) -> None:
        self.fleet = fleet
        self.workplace = workplace
        workplace.reach(fleet, INVENTORY, {router.name: VARIABLES for router in fleet.routers})

    def step(self, script: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the ``script`` of a step, with the key as its only secret."""
        fixed = {"ANSIBLE_CONFIG": github()["env"]["ANSIBLE_CONFIG"], "LIMIT": "all"}
        secret = {"ANSIBLE_PRIVATE_KEY": private_key(self.fleet)}
        return self.workplace.run(["bash", "-e", "-c", script], **fixed, **secret, **environment)

    def job(self, scripts: list[str]) -> str:
        """Run all ``scripts`` of a job, which have to succeed, and give what they print."""
        printed = ""
        for script in scripts:
            done = self.step(script)
            printed += done.stdout + done.stderr
            assert done.returncode == 0, printed
        return printed

    def audit(self) -> subprocess.CompletedProcess[str]:
        return self.step(github_step("audit", "Audit"))

    def report(self, name: str = "audit") -> dict[str, t.Any]:
        """Return the JSON report with this ``name``."""
        text = (self.workplace.directory / f"conntrack-reports/{name}.json").read_text(encoding="utf-8")
        document: dict[str, t.Any] = json.loads(text)
        return document

    def failures(self) -> list[str]:
        """Return router and name of the cases that did not pass, as the JUnit report has them."""
        tree = xml.etree.ElementTree.parse(self.workplace.directory / "conntrack-reports/audit.xml")
        cases = [*tree.iterfind(".//testcase[failure]"), *tree.iterfind(".//testcase[error]")]
        return [f"{case.get('classname')} {case.get('name')}" for case in cases]


@pytest.fixture
def pipeline(make_fleet: Make, make_workplace: MakeWorkplace) -> Pipeline:
    return Pipeline(make_fleet("ncci", 2), make_workplace("repository"))


def add_stale(router: Router) -> None:
    """Send lone ACKs through the router, from other sources than those of the lab."""
    sender = CHECKOUT / "tools" / "lab" / "stale.py"
    run([sys.executable, str(sender), "5000", str(STALE), "bare4"], netns=router.client)


def test_audit_fails_on_findings_and_only_on_those(pipeline: Pipeline) -> None:
    router = pipeline.fleet.routers[0]
    add_stale(router)
    found = pipeline.audit()
    assert found.returncode == 2, found.stdout + found.stderr
    assert pipeline.failures() == ["router1 stale_majority"]
    assert pipeline.report()["hosts"]["router1"]["verdict"] == "high"
    assert "<html" in (pipeline.workplace.directory / "conntrack-reports/audit.html").read_text(encoding="utf-8")

    run(["conntrack", "-D", "--orig-dst", STALE_DESTINATIONS[socket.AF_INET]], netns=router.namespace)
    pipeline.job(gitlab()["audit"]["script"])
    assert pipeline.failures() == []
    summary = pipeline.workplace.directory / "summary.md"
    pipeline.step(github_step("audit", "Summary"), GITHUB_STEP_SUMMARY=str(summary))
    assert summary.read_text(encoding="utf-8").count("router1") >= 2, "in the audit and in the preview"


def test_main_is_tuned_and_audited(pipeline: Pipeline) -> None:
    printed = pipeline.job(gitlab()["tune"]["script"])
    totals = pipeline.report("tune")["totals"]
    assert (totals["done"], totals["failed"]) == (2, 0)
    assert totals["settings_changed"] > 0
    assert private_key(pipeline.fleet).splitlines()[1] not in printed
    kept = [path for path in pipeline.workplace.home.rglob("*") if path.is_file()]
    assert not [path for path in kept if b"PRIVATE KEY" in path.read_bytes()]


def test_audit_fails_for_routers_that_were_not_done(pipeline: Pipeline) -> None:
    first, second = (router.name for router in pipeline.fleet.routers)
    lab.stop_router(pipeline.fleet.built.directory, second)
    known = (pipeline.workplace.directory / "known_hosts").read_text(encoding="utf-8")
    pipeline.workplace.write("known_hosts", known.replace(pipeline.fleet.routers[0].address, "192.0.2.1"))
    outcome = pipeline.audit()
    assert outcome.returncode == 2, outcome.stdout + outcome.stderr
    report = pipeline.report()
    assert report["unreachable"] == [first, second]
    assert "Host key verification failed" in report["hosts"][first]["failure"]["message"]
    assert sorted(pipeline.failures()) == [f"{first} run", f"{second} run"]


@pytest.mark.parametrize(
    ("inventory", "options", "code"),
    [
        ("routers: {hosts: {router1: }}", ["--limit", "nobody"], 1),
        ("routers: {hosts: [", [], 1),
        (None, [], 1),
        ("routers: {hosts: {router1: }}", ["-e", "@nothing.yml"], 1),
        ("routers: {hosts: {router1: }}", ["-e", '{"conntrack_audit_top": ['], 1),
        ("routers: {hosts: {}}", [], 2),
    ],
)
def test_exit_code_of_a_run_that_cannot_begin(
    make_workplace: MakeWorkplace, inventory: str | None, options: list[str], code: int
) -> None:
    workplace = make_workplace("repository")
    if inventory is not None:
        workplace.write(INVENTORY, inventory)
    words = ["ansible-playbook", "netops.conntrack.audit", "-i", INVENTORY, *options]
    outcome = workplace.run(words, ANSIBLE_CONFIG=str(github()["env"]["ANSIBLE_CONFIG"]))
    assert outcome.returncode == code, outcome.stdout + outcome.stderr
    assert not (workplace.directory / "conntrack-reports").exists()


def test_documented_exit_codes() -> None:
    table = CI.read_text(encoding="utf-8").split("| exit code |")[1].split("\n\n")[0]
    assert [line.split("|")[1].strip() for line in table.splitlines()[2:]] == ["0", "1, 4", "2"]

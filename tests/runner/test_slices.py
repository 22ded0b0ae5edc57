# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A fleet in slices, as documented: ansible-runner audits each of them, and their reports are merged into one."""

from __future__ import annotations

import collections
import json
import pathlib
import re
import typing as t

import pytest
import yaml
from helpers.documents import fleet_document
from runner.conftest import Workplace, private_key
from runner.documented import SCALE_OUT, block, command

Make = t.Callable[[str, int], t.Any]
MakeWorkplace = t.Callable[[str], Workplace]
Document = dict[str, t.Any]

WORKFLOW = 17
"""An id as AWX gives to each run of a workflow."""

# Two pairs that fall into different slices, of two.
PAIRS = {"router1": "one", "router2": "one", "router3": "two", "router4": "two"}
SLICES = {"slice_1": {"router1", "router2"}, "slice_2": {"router3", "router4"}}


class Machine:
    """A machine with the documented directory for ansible-runner."""

    def __init__(self, workplace: Workplace, fleet: t.Any, variables: str) -> None:
        self.workplace = workplace
        self.key = private_key(fleet)
        pairs = {router: {"conntrack_pair": pair} for router, pair in PAIRS.items()}
        workplace.reach(fleet, "../inventory/hosts.yml", pairs)
        workplace.write("../inventory/slices.yml", slices(2))
        workplace.write("../env/cmdline", "--become")
        workplace.write("../env/extravars", variables)
        workplace.write("audit.yml", block(SCALE_OUT, "yaml", "# project/audit.yml"))

    def audit(self, name: str) -> None:
        """Audit the slice with this ``name``, with the documented command."""
        replaced = {"conntrack": str(self.workplace.directory.parent), "slice_1": name}
        words = [replaced.get(word, word) for word in command(SCALE_OUT, "ansible-runner run")]
        done = self.workplace.run(words, ANSIBLE_PRIVATE_KEY=self.key)
        assert done.returncode == 0, done.stdout + done.stderr


class Controller:
    """The machine on which the reports of the slices are collected, and merged with the documented command."""

    def __init__(self, workplace: Workplace, slices_of: dict[str, Document]) -> None:
        self.workplace = workplace
        self.reports = workplace.directory / "conntrack-reports"
        self.output = ""
        for name, document in slices_of.items():
            workplace.write(f"{name}.json", json.dumps(document))

    def merge(self, *options: str) -> int:
        """Merge the reports, and give the exit code."""
        done = self.workplace.run([*command(SCALE_OUT, "ansible-playbook netops.conntrack.report"), *options])
        self.output = done.stdout + done.stderr
        return done.returncode

    def report(self) -> Document:
        (path,) = self.reports.glob("conntrack-*.json")
        return read(path)


def slices(number: int) -> str:
    """Return the documented slices.yml with this ``number`` of slices."""
    text, replaced = re.subn(r"% \d+ \+ 1", f"% {number} + 1", block(SCALE_OUT, "yaml", "# inventory/slices.yml"))
    assert replaced == 1
    return text


def of_awx(holding: str, reports: pathlib.Path) -> str:
    """Return those variables of a job template of AWX that hold this text, with one that AWX adds by itself."""
    text = block(SCALE_OUT, "yaml", holding).replace("/reports", str(reports))
    return f"{text}awx_workflow_job_id: {WORKFLOW}\n"


def read(path: pathlib.Path) -> Document:
    document: Document = json.loads(path.read_text(encoding="utf-8"))
    return document


def total(values: t.Iterable[int | None]) -> int | None:
    """Return the sum of those values that are known; None where none is."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def part(document: Document, first: int, end: int | None) -> Document:
    """Return the document of a slice: what ``document`` has about these of its routers, by their names."""
    names = sorted(document["hosts"])[first:end]
    return {**document, "hosts": {name: document["hosts"][name] for name in names}}


def done_only(document: Document) -> Document:
    """Return ``document`` without the routers that were not done."""
    return {**document, "hosts": {name: host for name, host in document["hosts"].items() if not host["failure"]}}


@pytest.mark.parametrize("number", [2, 4])
def test_slices_keep_pairs_together(make_workplace: MakeWorkplace, number: int) -> None:
    paired: dict[str, t.Any] = {f"edge{each}": f"pair{each // 2}" for each in range(40)} | {"zero1": 0, "zero2": 0}
    alone = dict.fromkeys([f"alone{each}" for each in range(20)], "")
    hosts = {host: {"conntrack_pair": pair} for host, pair in (paired | alone).items()} | {"plain": {}}
    workplace = make_workplace("controller")
    workplace.write("inventory/hosts.yml", yaml.safe_dump({"routers": {"hosts": hosts}}))
    workplace.write("inventory/slices.yml", slices(number))
    *words, _graph = command(SCALE_OUT, "ansible-inventory")
    groups = json.loads(workplace.run([*words, "--list"]).stdout)
    found = {name: set(group["hosts"]) for name, group in groups.items() if name.startswith("slice_")}
    assert set(found) == {f"slice_{each}" for each in range(1, number + 1)}
    assert collections.Counter(host for members in found.values() for host in members) == dict.fromkeys(hosts, 1)
    for pair in set(paired.values()):
        both = {host for host, of_host in paired.items() if of_host == pair}
        assert [both & members for members in found.values() if both & members] == [both]


def test_runs_of_slices_make_one_report(
    make_fleet: Make, make_workplace: MakeWorkplace, tmp_path: pathlib.Path
) -> None:
    fleet, reports = make_fleet("ncslices", 4), tmp_path / "reports"
    plain = block(SCALE_OUT, "yaml", "# env/extravars").replace("/var/lib/conntrack-reports", str(reports))
    awx = of_awx("ansible_host_key_checking", reports)
    Machine(make_workplace("machine1/conntrack/project"), fleet, plain).audit("slice_1")
    Machine(make_workplace("machine2/conntrack/project"), fleet, awx).audit("slice_2")
    parts = {"slice_1": reports / "slice_1.json", "slice_2": reports / f"{WORKFLOW}-slice_2.json"}
    documents = {name: read(path) for name, path in parts.items()}
    assert {name: set(document["hosts"]) for name, document in documents.items()} == SLICES

    controller = Controller(make_workplace("controller"), documents)
    assert controller.merge() == 0, controller.output
    merged = controller.report()
    assert merged["hosts"] == documents["slice_1"]["hosts"] | documents["slice_2"]["hosts"]
    assert merged["totals"]["hosts"] == merged["totals"]["done"] == 4
    assert merged["totals"] == {
        name: total(document["totals"][name] for document in documents.values()) for name in merged["totals"]
    }


def test_router_in_two_slices_is_refused(make_workplace: MakeWorkplace) -> None:
    whole = fleet_document(4, after=False, with_trend=False)
    twice = sorted(whole["hosts"])[1]
    slices_of = {"slice_1": part(whole, 0, 2), "slice_2": part(whole, 1, 4)}
    controller = Controller(make_workplace("controller"), slices_of)
    assert controller.merge() == 2
    assert f"conntrack_audit_slices: '{twice}' is in two of the reports" in controller.output
    assert "Give each router to one slice only" in controller.output
    assert not controller.reports.exists()


@pytest.mark.parametrize(("fail_on", "code"), [("", 0), ("info", 2)])
def test_merged_report_fails_on_findings(make_workplace: MakeWorkplace, fail_on: str, code: int) -> None:
    whole = done_only(fleet_document(20, after=False, with_trend=False))
    half = len(whole["hosts"]) // 2
    slices_of = {"slice_1": part(whole, 0, half), "slice_2": part(whole, half, None)}
    controller = Controller(make_workplace("controller"), slices_of)
    assert controller.merge("-e", f"fail_on={fail_on}") == code, controller.output
    assert set(controller.report()["hosts"]) == set(whole["hosts"])


def test_merged_report_fails_for_routers_that_were_not_done(make_workplace: MakeWorkplace) -> None:
    whole = fleet_document(20, after=False, with_trend=False)
    controller = Controller(
        make_workplace("controller"), {"slice_1": part(whole, 0, 10), "slice_2": part(whole, 10, None)}
    )
    assert controller.merge() == 2, controller.output
    assert all(host in controller.output for host in whole["unreachable"])


def test_report_in_awx_is_about_one_run_of_the_workflow(make_workplace: MakeWorkplace, tmp_path: pathlib.Path) -> None:
    whole = done_only(fleet_document(20, after=False, with_trend=False))
    files = {f"{WORKFLOW}-slice_1": part(whole, 0, 2), f"{WORKFLOW}-slice_2": part(whole, 2, 4)}
    for name, document in {**files, f"{WORKFLOW - 1}-slice_1": part(whole, 0, 4)}.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(document), encoding="utf-8")
    workplace = make_workplace("project")
    variables = workplace.write("variables.yml", of_awx("fileglob", tmp_path))
    playbook = block(SCALE_OUT, "yaml", "# project/audit.yml").replace("conntrack.audit", "conntrack.report")
    workplace.write("report.yml", playbook)
    done = workplace.run(["ansible-playbook", "report.yml", "-e", f"@{variables}"])
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(read(tmp_path / f"fleet-{WORKFLOW}.json")["hosts"]) == set(sorted(whole["hosts"])[:4])


def test_awx_checks_host_keys_with_the_documented_variables(
    make_fleet: Make, make_workplace: MakeWorkplace, tmp_path: pathlib.Path
) -> None:
    fleet, workplace = make_fleet("ncawx", 1), make_workplace("project")
    workplace.reach(fleet, "hosts.yml")
    workplace.write("known_hosts", "")
    workplace.write("ansible.cfg", "[connection]\nssh_agent = auto\n")
    variables = workplace.write("variables.yml", of_awx("ansible_host_key_checking", tmp_path))
    environment = {"ANSIBLE_HOST_KEY_CHECKING": "False", "ANSIBLE_PRIVATE_KEY": private_key(fleet)}
    words = ["ansible", "router1", "-i", "hosts.yml", "-m", "ansible.builtin.ping"]
    refused = workplace.run([*words, "-e", f"@{variables}"], **environment)
    assert (refused.returncode, "Host key verification failed" in refused.stdout) == (4, True), refused.stdout
    assert workplace.run(words, **environment).returncode == 0

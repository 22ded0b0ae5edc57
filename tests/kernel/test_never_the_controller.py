# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts whose modules Ansible runs on the controller: they are refused, and the controller stays as it is."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
import typing as t

import pytest
from helpers.ansible_tasks import ON_THE_CONTROLLER, STUB_CLI, Result, Workplace
from helpers.support import CHECKOUT, COLLECTIONS, SYSTEM_PYTHON, network_namespace, run

PLAYBOOKS = ("audit", "tune", "prune", "site")
LOCAL = {"ansible_connection": "local", "ansible_python_interpreter": SYSTEM_PYTHON}
SELECTOR = {"protocol": "udp"}
TASKS: list[dict[str, t.Any]] = [
    {"netops.conntrack.conntrack_audit": {"checks": []}},
    {"netops.conntrack.conntrack_create": {"entries": []}},
    {"netops.conntrack.conntrack_events": {"duration": "1s"}},
    {"netops.conntrack.conntrack_expect_info": {}},
    {"netops.conntrack.conntrack_expect_prune": {"match": "helper=ftp"}},
    {"netops.conntrack.conntrack_facts": {}},
    {"netops.conntrack.conntrack_info": {"match": [SELECTOR]}},
    {"netops.conntrack.conntrack_prune": {"match": [SELECTOR]}},
    {"netops.conntrack.conntrack_restore": {"src": "/nowhere/backup.save"}},
    {"netops.conntrack.conntrack_settings": {"settings": {"udp_timeout": 33}, "persist": False}},
    {"netops.conntrack.conntrack_timeout_policy": {"name": "sip", "protocol": "udp", "timeouts": {"replied": "1h"}}},
    {"netops.conntrack.conntrack_watch": {"rounds": 1}},
    {"netops.conntrack.conntrack_update": {"match": [SELECTOR], "timeout": {"max": "5s"}}},
]


@pytest.fixture
def controller() -> t.Iterator[str]:
    """A namespace with one entry, and with a setting that is not the kernel's."""
    with network_namespace("controller") as netns:
        run(["sysctl", "-qw", "net.netfilter.nf_conntrack_udp_timeout=77"], netns=netns)
        entry = "-I -p udp -s 198.51.100.1 -d 198.51.100.2 --sport 1 --dport 2 -t 1000"
        run(["conntrack", *entry.split()], netns=netns)
        yield netns


def state(netns: str) -> tuple[list[str], list[str]]:
    """Return the settings, and the entries without their remaining time."""
    settings = run(["sysctl", "-a", "--pattern", r"^net\.netfilter\.nf_conntrack"], netns=netns).splitlines()
    entries = run(["conntrack", "-L", "-o", "id"], netns=netns).splitlines()
    policies = run(["nfct", "list", "timeout"], netns=netns).splitlines()
    return (
        [line for line in settings if "_count" not in line],
        [" ".join(word for word in line.split() if not word.isdigit()) for line in [*entries, *policies]],
    )


def refused(result: Result, *words: str) -> bool:
    return bool(result["failed"]) and all(word in result["msg"] for word in (*words, "Nothing was touched"))


def test_every_module_is_in_the_tasks() -> None:
    modules = {path.stem for path in (CHECKOUT / "plugins" / "modules").glob("*.py")}
    assert {next(iter(task)).rpartition(".")[2] for task in TASKS} == modules - ON_THE_CONTROLLER


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        (STUB_CLI, ["ansible_connection=stub_cli", "ansible_connection=ssh"]),
        ({**STUB_CLI, "ansible_host": "127.0.0.1"}, ["ansible_connection=stub_cli"]),
        ({**STUB_CLI, "ansible_connection": "{{ way }}", "way": "stub_cli"}, ["ansible_connection=stub_cli"]),
        ({**LOCAL, "ansible_host": "192.0.2.1"}, ["ansible_connection=local", "ansible_host=192.0.2.1"]),
        ({**LOCAL, "ansible_host": "no-such-host.invalid"}, ["ansible_host=no-such-host.invalid"]),
    ],
)
@pytest.mark.parametrize("options", [[], ["--check", "--diff"]])
def test_every_module_refuses(
    tmp_path: pathlib.Path, controller: str, variables: dict[str, t.Any], words: list[str], options: list[str]
) -> None:
    before = state(controller)
    results = Workplace(tmp_path, {"vyos1": variables}, netns=controller).results(TASKS, *options)["vyos1"]
    assert [result for result in results if not refused(result, "vyos1", *words)] == []
    assert state(controller) == before


def test_a_background_task_refuses_at_once(tmp_path: pathlib.Path, controller: str) -> None:
    tasks = [{**task, "async": 30, "poll": 0} for task in TASKS]
    results = Workplace(tmp_path, {"vyos1": STUB_CLI}, netns=controller).results(tasks)["vyos1"]
    assert all(refused(result, "vyos1") for result in results)


@pytest.mark.parametrize("variables", [{}, {"ansible_host": "127.0.0.1"}, {"ansible_host": "198.51.100.9"}])
def test_what_is_meant_for_the_controller_is_done_there(
    tmp_path: pathlib.Path, controller: str, variables: dict[str, t.Any]
) -> None:
    run(["ip", "address", "add", "198.51.100.9/24", "dev", "lo"], netns=controller)
    results = Workplace(tmp_path, {"here": {**LOCAL, **variables}}, netns=controller).results(TASKS)["here"]
    by_module = {next(iter(task)).rpartition(".")[2]: result for task, result in zip(TASKS, results, strict=True)}
    failed = {module: result["msg"] for module, result in by_module.items() if result["failed"]}
    # It ran, and looked for its file.
    assert "'/nowhere/backup.save' cannot be read" in failed.pop("conntrack_restore")
    assert failed == {}
    assert by_module["conntrack_prune"]["deleted"] == 1
    assert "nf_conntrack_udp_timeout = 33" in "\n".join(state(controller)[0])


def test_the_connection_that_is_used_decides(tmp_path: pathlib.Path, controller: str) -> None:
    """A network device can ask the controller; nothing is done on a network device for a host that can be reached."""
    facts = {"netops.conntrack.conntrack_facts": {"gather_subset": ["settings"]}}
    hosts = {"vyos1": STUB_CLI, "linux1": LOCAL, "strange": {**LOCAL, "ansible_host": "192.0.2.7"}}
    work = Workplace(tmp_path, hosts, netns=controller)
    to_controller = {**facts, "delegate_to": "localhost", "vars": {"ansible_python_interpreter": SYSTEM_PYTHON}}
    to_switch = {**facts, "delegate_to": "{{ item }}", "loop": ["vyos1", "linux1", "strange"]}
    results = work.results([to_controller, to_switch])
    for host in hosts:
        assert results[host][0]["ansible_facts"]["conntrack"]["settings"]["udp_timeout"] == 77
        switch, linux, strange = results[host][1]["results"]
        assert refused(switch, "vyos1", "stub_cli")
        assert linux["ansible_facts"]["conntrack"]["settings"]["udp_timeout"] == 77
        assert refused(strange, "strange", "192.0.2.7")


def test_a_file_can_be_read_wherever_the_module_runs(tmp_path: pathlib.Path, controller: str) -> None:
    path = tmp_path / "listing.txt"
    path.write_text(run(["conntrack", "-L"], netns=controller))
    task = {"netops.conntrack.conntrack_info": {"src": str(path), "match": [SELECTOR]}}
    with_python = {**STUB_CLI, "ansible_python_interpreter": sys.executable}
    results = Workplace(tmp_path, {"vyos1": with_python}, netns=controller).results([task])["vyos1"]
    assert [(result["failed"], result["matched"]) for result in results] == [(False, 1)]


@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_every_playbook_refuses(tmp_path: pathlib.Path, controller: str, playbook: str) -> None:
    before = state(controller)
    work = Workplace(tmp_path, {"vyos1": STUB_CLI}, netns=controller)
    done, document = play(work, playbook)
    assert done.returncode == 2, done.stdout + done.stderr
    assert document["failed"] == ["vyos1"]
    assert "ansible_connection=stub_cli" in document["hosts"]["vyos1"]["failure"]["message"]
    assert state(controller) == before


def test_the_playbook_without_a_report_refuses(tmp_path: pathlib.Path, controller: str) -> None:
    before = state(controller)
    work = Workplace(tmp_path, {"vyos1": STUB_CLI}, netns=controller)
    done = work.run("ansible-playbook", "netops.conntrack.prepare", "-e", "target=routers")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "ansible_connection=stub_cli" in done.stdout + done.stderr
    assert "TASK [netops.conntrack.conntrack_prepare : Look at the router]" not in done.stdout
    assert state(controller) == before


def test_the_others_are_done(tmp_path: pathlib.Path, controller: str) -> None:
    hosts = {"linux1": LOCAL, "vyos1": STUB_CLI, "linux2": LOCAL}
    done, document = play(Workplace(tmp_path, hosts, netns=controller), "audit")
    assert done.returncode == 2, done.stdout + done.stderr
    assert document["failed"] == ["vyos1"]
    assert all(document["hosts"][name]["before"]["usage"]["count"] >= 1 for name in ("linux1", "linux2"))


def play(work: Workplace, playbook: str) -> tuple[subprocess.CompletedProcess[str], dict[str, t.Any]]:
    variables = {
        "target": "routers",
        "conntrack_audit_report_directory": str(work.directory / "reports"),
        "conntrack_audit_report_name": "report",
        "conntrack_audit_report_formats": ["json"],
    }
    done = work.run("ansible-playbook", f"netops.conntrack.{playbook}", "-e", json.dumps(variables))
    report = work.directory / "reports" / "report.json"
    assert report.exists(), done.stdout + done.stderr
    return done, json.loads(report.read_text())


ADDRESSES = (
    "198.51.100.1",
    "198.51.100.2",
    "2001:db8::1",
    "2001:db8::2",
    "127.0.0.9",
    "::1",
    "192.0.2.1",
    "2001:db8::9",
)


@pytest.mark.parametrize("nonlocal_bind", [0, 1])
def test_own_addresses(nonlocal_bind: int) -> None:
    """The second address of a network is found too, unless any address can be bound."""
    program = (
        "import sys; from ansible_collections.netops.conntrack.plugins.plugin_utils._router.controller import "
        "is_this_machine; print([is_this_machine(address) for address in sys.argv[1:]])"
    )
    with network_namespace("controller") as netns:
        for address in ("198.51.100.1/24", "198.51.100.2/24"):
            run(["ip", "address", "add", address, "dev", "lo"], netns=netns)
        for address in ("2001:db8::1/64", "2001:db8::2/64"):
            run(["ip", "address", "add", address, "dev", "lo", "nodad"], netns=netns)
        for family in ("ipv4", "ipv6"):
            run(["sysctl", "-qw", f"net.{family}.ip_nonlocal_bind={nonlocal_bind}"], netns=netns)
        python = ["env", f"PYTHONPATH={COLLECTIONS}", sys.executable, "-c", program]
        printed = run([*python, *ADDRESSES], netns=netns)
    assert json.loads(printed.lower()) == [True, not nonlocal_bind, True, True, True, True, False, False]

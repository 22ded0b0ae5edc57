# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The actions of the modules: as Ansible's own action where the router is right, clear where it is not."""

from __future__ import annotations

import json
import os
import pathlib
import re
import sys
import typing as t

import pytest
from ansible.release import __version__ as core_version
from ansible_collections.netops.conntrack.plugins.module_utils._errors import UnavailableError
from ansible_collections.netops.conntrack.plugins.plugin_utils._router.action import require_core
from helpers.ansible_tasks import ON_THE_CONTROLLER, STUB_CLI, Result, Workplace
from helpers.json_routers import Fleet
from helpers.support import CHECKOUT

PYENV = pathlib.Path(os.environ.get("PYENV_ROOT", pathlib.Path.home() / ".pyenv")) / "versions"
FACTS = "netops.conntrack.conntrack_facts"
PRUNE = "netops.conntrack.conntrack_prune"
SELECTOR = [{"protocol": "udp"}]
VOLATILE = {"ansible_job_id", "results_file", "start", "end", "delta", "finished"}


def place(directory: pathlib.Path, *, own_actions: bool = True) -> Workplace:
    """Return a place with a router that is a JSON file; without ``own_actions``, Ansible's own action runs modules."""
    directory.mkdir()
    fleet = Fleet(directory)
    fleet.add("router1")
    if not own_actions:
        (directory / "ansible_collections" / "netops" / "conntrack" / "plugins" / "action").unlink()
    hosts = {"router1": {**fleet.hosts["router1"], "ansible_connection": "counted"}}
    work = Workplace(directory, hosts)
    work.collections = str(directory)
    return work


def without_volatile(value: t.Any, directory: pathlib.Path) -> t.Any:
    if isinstance(value, dict):
        return {key: without_volatile(item, directory) for key, item in value.items() if key not in VOLATILE}
    if isinstance(value, list):
        return [without_volatile(item, directory) for item in value]
    return value.replace(str(directory), "DIRECTORY") if isinstance(value, str) else value


TASKS: list[dict[str, t.Any]] = [
    {FACTS: {}},
    {FACTS: {}, "delegate_to": "router1"},
    {FACTS: {}, "check_mode": True},
    {PRUNE: {"match": SELECTOR}, "check_mode": True, "diff": True},
    {PRUNE: {"match": "{{ item }}"}, "loop": [SELECTOR, [{"protocol": "tcp"}]], "check_mode": True},
    {PRUNE: {"match": SELECTOR, "no_such_option": 1}},
    {PRUNE: {}, "module_defaults": {"group/netops.conntrack.conntrack": {"match": SELECTOR}}, "check_mode": True},
    {"conntrack_facts": {}},
    {PRUNE: {"match": SELECTOR}, "when": False},
    {FACTS: {}, "async": 30, "poll": 1},
    {FACTS: {}, "async": 30, "poll": 0},
    {FACTS: {}, "until": "result_11 is succeeded", "retries": 2, "delay": 0},
]


def test_as_ansible_does_it(tmp_path: pathlib.Path) -> None:
    """Results and the number of commands on the router are the same as with Ansible's own action.

    But from ansible-core 2.21 on, a failed module does not say whether it began, so that the router is asked once.
    """
    seen = []
    asked = 0
    for own_actions in (False, True):
        directory = tmp_path / str(own_actions)
        work = place(directory, own_actions=own_actions)
        results = work.results(TASKS, collections=["netops.conntrack"])["router1"]
        commands = work.commands()
        questions = [command for command in commands if "for name in python3." in command]
        seen.append((without_volatile(results, directory), len(commands) - len(questions)))
        asked += len(questions)
    assert seen[1] == seen[0]
    core = tuple(map(int, core_version.split(".")[:2]))
    assert asked == (1 if core >= (2, 21) else 0)
    failures = [result["msg"] for result in seen[0][0] if result.get("failed")]
    assert len(failures) == 1, failures
    assert "no_such_option" in failures[0]


def test_ad_hoc(tmp_path: pathlib.Path) -> None:
    work = place(tmp_path / "place")
    done = work.run("ansible", "routers", "-m", FACTS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "router1 | SUCCESS" in done.stdout


def test_every_module_has_its_action() -> None:
    modules, actions = (
        {path.stem for path in (CHECKOUT / "plugins" / part).glob("*.py")} for part in ("modules", "action")
    )
    assert actions == modules


def one_result(
    directory: pathlib.Path, variables: dict[str, t.Any], task: dict[str, t.Any] | None = None
) -> tuple[Result, list[str]]:
    work = Workplace(directory, {"router1": {"ansible_connection": "counted", **variables}})
    results = work.results([task or {FACTS: {"gather_subset": ["usage"]}}])["router1"]
    return results[0], work.commands()


@pytest.mark.parametrize("version", ["3.6.15", "3.7.16", "3.8.18"])
def test_an_old_python_on_the_router(tmp_path: pathlib.Path, version: str) -> None:
    python = PYENV / version / "bin" / "python"
    if not python.exists():
        pytest.skip(f"needs {python}")
    result, _commands = one_result(tmp_path, {"ansible_python_interpreter": str(python)})
    assert result["failed"]
    expected = f"needs Python 3.9 or newer on the router, found {version} at {python} on router1. "
    assert expected in result["msg"]
    assert result["module_msg"]
    assert "needs Python" not in result["module_msg"]


def test_no_python_on_the_router(tmp_path: pathlib.Path) -> None:
    result, _commands = one_result(tmp_path, {"ansible_python_interpreter": "/no/such/python3"})
    assert "found none that runs at /no/such/python3 on router1." in result["msg"]
    assert "not found" in result["module_stderr"]


def test_another_crash_keeps_its_message(tmp_path: pathlib.Path) -> None:
    """One command more asks for the version, after the failure only."""
    crash = tmp_path / "python"
    crash.write_text(
        f'#!/bin/sh\ncase "$2" in *version_info*) exec {sys.executable} "$@";; esac\n'
        'echo "Segmentation fault" >&2\nexit 139\n'
    )
    crash.chmod(0o755)
    result, commands = one_result(tmp_path, {"ansible_python_interpreter": str(crash)})
    assert result["failed"]
    assert "needs Python" not in result["msg"]
    assert "module_msg" not in result
    assert result["rc"] == 139
    assert sum("sys.version_info[:3]" in command for command in commands) == 1


@pytest.mark.parametrize("pipelining", ["true", "false"])
def test_python_does_not_read_the_module_byte_by_byte(tmp_path: pathlib.Path, pipelining: str) -> None:
    """The kernel counts the calls of read(2) of a shell and of what it waited for (proc_pid_io(5))."""
    python, counts = tmp_path / "python", tmp_path / "io"
    python.write_text(f'#!/bin/sh\n{sys.executable} "$@"\nstatus=$?\ncat /proc/$$/io >{counts}\nexit $status\n')
    python.chmod(0o755)
    work = Workplace(tmp_path, {"router1": {"ansible_connection": "counted", "ansible_pipelining": pipelining}})
    work.environment = {"ANSIBLE_PYTHON_INTERPRETER": str(python)}
    results = work.results([{FACTS: {"gather_subset": ["usage"]}}])["router1"]
    assert not results[0].get("failed"), results[0]
    reads = int(re.search(r"^syscr: (\d+)$", counts.read_text(), re.MULTILINE)[1])  # type: ignore[index]
    # The module has more than 500,000 bytes.
    assert reads < 20_000


def test_the_report_names_the_python(tmp_path: pathlib.Path) -> None:
    fleet = Fleet(tmp_path)
    fleet.add("new")
    fleet.add("old")
    old = pathlib.Path(fleet.hosts["old"]["ansible_python_interpreter"])
    old.write_text(
        '#!/bin/sh\ncase "$2" in *version_info*) echo 3.6.15; exit;; esac\n'
        "echo 'SyntaxError: future feature' >&2\nexit 1\n"
    )
    run = fleet.play("audit")
    assert run.rc == 2, run.output
    assert run.document["failed"] == ["old"]
    expected = f"netops.conntrack needs Python 3.9 or newer on the router, found 3.6.15 at {old} on old."
    assert run.document["hosts"]["old"]["failure"]["message"].startswith(expected)
    assert run.document["hosts"]["new"]["before"]


@pytest.mark.parametrize("running", ["2.9.27", "2.14.18", "2.15.13", "2.15.0rc1"])
def test_an_old_core_is_refused(running: str) -> None:
    with pytest.raises(UnavailableError, match=rf"needs ansible-core 2\.16 or newer .* this is {running}"):
        require_core(running)


@pytest.mark.parametrize("running", ["2.16.0", "2.16.0b2", "2.19.3", "2.22.0.dev0", "3.0.0"])
def test_a_newer_core_is_not_refused(running: str) -> None:
    require_core(running)


def test_an_old_core_connects_to_nobody(tmp_path: pathlib.Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import ansible.release\nansible.release.__version__ = '2.15.13'\n")
    work = Workplace(tmp_path, {"router1": {"ansible_connection": "counted"}, "vyos1": STUB_CLI})
    work.environment = {"PYTHONPATH": str(tmp_path)}
    modules = {path.stem for path in (CHECKOUT / "plugins" / "modules").glob("*.py")} - ON_THE_CONTROLLER
    tasks: list[dict[str, t.Any]] = [{f"netops.conntrack.{name}": {}} for name in sorted(modules)]
    for results in work.results(tasks).values():
        assert all("needs ansible-core 2.16 or newer" in result["msg"] for result in results), json.dumps(results)
    assert work.commands() == []

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real runs of ansible-playbook, on terminals and into pipes, of a play that reports on a fleet that does not exist."""

from __future__ import annotations

import json
import pathlib
import re
import subprocess
import sys
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.plugin_utils._callback.figures import summary
from ansible_collections.netops.conntrack.plugins.plugin_utils._callback.fleet_table import table
from helpers.documents import Document, fleet_document
from helpers.support import COLLECTIONS
from helpers.terminals import on_terminal, operator

ESCAPE = re.compile(r"\033\[[0-9;]*m")
TITLE = "CONNTRACK FLEET, 30 routers: "

PLAY = """
- hosts: localhost
  gather_facts: false
  collections: [netops.conntrack]
  tasks:
    - ansible.builtin.ping:
    - {task}:
        slices: [fleet.json]
      register: reported
      failed_when: {fails}
"""
NO_REPORT = """
- hosts: localhost
  gather_facts: false
  tasks:
    - ansible.builtin.ping:
"""
STAND_IN = """
from ansible.plugins.action import ActionBase

class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        return {"changed": False, "fleet": {"rows": 5}}
"""


def document() -> Document:
    return fleet_document(30, hostile=True)


class Runs:
    """A directory with a play, and ways to run it."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory
        (directory / "fleet.json").write_text(json.dumps(document()), encoding="utf-8")
        self.writes(PLAY.format(task="netops.conntrack.conntrack_report", fails="false"))

    def writes(self, play: str) -> None:
        (self.directory / "play.yml").write_text(play, encoding="utf-8")

    def on_terminal(self, env: dict[str, str] | None = None, columns: int = 100) -> str:
        code, shown = on_terminal(
            self._command("ansible-playbook", "play.yml"), columns=columns, cwd=self.directory, env=self._env(env or {})
        )
        assert code == 0, shown
        return shown

    def into_pipe(self, env: dict[str, str] | None = None) -> str:
        done = subprocess.run(
            self._command("ansible-playbook", "play.yml"),
            cwd=self.directory,
            env=self._env(env or {}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        return done.stdout

    def ad_hoc(self, *options: str) -> str:
        arguments = json.dumps({"slices": ["fleet.json"]})
        command = self._command("ansible", "localhost", "-m", "netops.conntrack.conntrack_report", "-a", arguments)
        environment = self._env({"ANSIBLE_LOAD_CALLBACK_PLUGINS": "1"})
        code, shown = on_terminal([*command, *options], columns=100, cwd=self.directory, env=environment)
        assert code == 0, shown
        return shown

    def _command(self, program: str, *arguments: str) -> list[str]:
        return [str(pathlib.Path(sys.executable).parent / program), "-i", "localhost,", "-c", "local", *arguments]

    def _env(self, changes: dict[str, str]) -> dict[str, str]:
        enabled = {
            "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
            "ANSIBLE_CALLBACKS_ENABLED": "netops.conntrack.conntrack_fleet",
            "ANSIBLE_LOCALHOST_WARNING": "0",
            "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
        }
        return operator(self.directory, **{**enabled, **changes})


@pytest.fixture
def runs(tmp_path: pathlib.Path) -> Runs:
    return Runs(tmp_path)


def expected(columns: int, unicode: bool = True, **options: t.Any) -> str:
    return table(summary(document()), columns, colour=False, unicode=unicode, **options)


@pytest.mark.parametrize("columns", [40, 100, 160])
def test_a_run_ends_with_the_table_in_colour(runs: Runs, columns: int) -> None:
    shown = runs.on_terminal(columns=columns)
    end = shown.partition("PLAY RECAP")[2]
    assert ESCAPE.sub("", end).endswith(f"\n{expected(columns)}\n")
    assert ESCAPE.search(end[end.index("CONNTRACK FLEET") :])
    assert "\x1b" not in ESCAPE.sub("", end)


@pytest.mark.parametrize("name", ["NO_COLOR", "ANSIBLE_NOCOLOR"])
def test_no_colour_where_it_is_not_wanted(runs: Runs, name: str) -> None:
    assert runs.on_terminal({name: "1"}).endswith(f"\n{expected(100)}\n")


@pytest.mark.parametrize(
    "env",
    [
        {"CI": "true"},
        {"CI": "1"},
        {"ANSIBLE_STDOUT_CALLBACK": "oneline"},
        {"ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.minimal"},
        {"NETOPS_CONNTRACK_FLEET": "never"},
    ],
)
def test_quiet(runs: Runs, env: dict[str, str]) -> None:
    assert "CONNTRACK FLEET" not in runs.on_terminal(env)


@pytest.mark.parametrize("env", [{"CI": "false"}, {"CI": "true", "NETOPS_CONNTRACK_FLEET": "always"}])
def test_not_quiet(runs: Runs, env: dict[str, str]) -> None:
    assert TITLE in runs.on_terminal(env)


@pytest.mark.parametrize("options", [[], ["--one-line"]])
def test_quiet_ad_hoc(runs: Runs, options: list[str]) -> None:
    assert "CONNTRACK FLEET" not in runs.ad_hoc(*options)


def test_a_pipe_gets_a_table_on_demand_and_colours_by_force(runs: Runs) -> None:
    assert "CONNTRACK FLEET" not in runs.into_pipe()
    always = {"NETOPS_CONNTRACK_FLEET": "always", "COLUMNS": "60"}
    piped = runs.into_pipe(always)
    assert piped.endswith(f"\n{expected(60)}\n")
    assert "\x1b" not in piped
    assert ESCAPE.search(runs.into_pipe({**always, "ANSIBLE_FORCE_COLOR": "1"}).partition("CONNTRACK FLEET")[2])


def test_the_log_gets_the_table_without_colours(runs: Runs) -> None:
    runs.on_terminal({"ANSIBLE_LOG_PATH": "run.log"})
    log = (runs.directory / "run.log").read_text(encoding="utf-8")
    assert expected(100) in log
    assert log.count("CONNTRACK FLEET") == 1


@pytest.mark.parametrize("env", [{"PYTHONIOENCODING": "ascii"}, {"TERM": "linux"}])
def test_ascii_where_there_are_no_blocks(runs: Runs, env: dict[str, str]) -> None:
    assert runs.on_terminal({**env, "ANSIBLE_NOCOLOR": "1"}).endswith(f"\n{expected(100, unicode=False)}\n")


def test_options_in_the_configuration(runs: Runs) -> None:
    lines = ["[defaults]", "nocolor = true", "[callback_conntrack_fleet]", "when = always", "rows = 3"]
    (runs.directory / "ansible.cfg").write_text("\n".join(lines), encoding="utf-8")
    assert runs.into_pipe({"COLUMNS": "80"}).endswith(f"\n{expected(80, rows=3)}\n")


@pytest.mark.parametrize("task", ["conntrack_report", "netops.conntrack.conntrack_report"])
def test_a_report_that_fails_is_shown_too(runs: Runs, task: str) -> None:
    runs.writes(PLAY.format(task=task, fails="true\n      ignore_errors: true"))
    assert TITLE in runs.on_terminal()


def test_nothing_without_a_report(runs: Runs) -> None:
    runs.writes(NO_REPORT)
    assert "CONNTRACK FLEET" not in runs.on_terminal({"NETOPS_CONNTRACK_FLEET": "always"})


def test_an_unexpected_fleet_makes_one_line_of_warning(runs: Runs) -> None:
    runs.writes(PLAY.format(task="conntrack_report", fails="false").replace("  collections: [netops.conntrack]\n", ""))
    (runs.directory / "action_plugins").mkdir()
    (runs.directory / "action_plugins" / "conntrack_report.py").write_text(STAND_IN, encoding="utf-8")
    (runs.directory / "library").mkdir()
    (runs.directory / "library" / "conntrack_report.py").touch()
    last = runs.on_terminal({"NO_COLOR": "1"}).splitlines()[-1]
    assert last == "[WARNING]: conntrack_fleet: what the report says of the fleet cannot be drawn as a table."

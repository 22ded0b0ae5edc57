# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Workflows, nox and pre-commit run the project's own targets and tools, and nothing beside them."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys
import types
import typing as t

import pytest
from helpers.support import CHECKOUT, read_yaml

TARGETS = set(re.findall(r"^([a-z-]+):.*## ", (CHECKOUT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
WORKFLOWS = sorted(CHECKOUT.glob(".github/workflows/*.yml"))


def read(path: pathlib.Path) -> t.Any:
    return read_yaml(path)


def jobs_of(path: pathlib.Path) -> dict[str, dict[str, t.Any]]:
    """Return the jobs of a workflow that have steps of their own. Others are those of another workflow."""
    return {name: job for name, job in read(path)["jobs"].items() if "steps" in job}


def name_of(path: pathlib.Path) -> str:
    return path.name


def targets_of(job: dict[str, t.Any]) -> set[str]:
    """Return the make targets that a job of a workflow runs, those of its matrix among them."""
    commands = "\n".join(step.get("run", "") for step in job["steps"])
    found = set(re.findall(r"\bmake ([a-z-]+)$", commands, re.MULTILINE))
    return found | set(job.get("strategy", {}).get("matrix", {}).get("target", []))


@pytest.mark.parametrize("path", WORKFLOWS, ids=name_of)
def test_workflow_runs_targets_of_the_makefile(path: pathlib.Path) -> None:
    for name, job in jobs_of(path).items():
        targets = targets_of(job)
        assert targets, name
        assert targets <= TARGETS, name


def test_each_kind_of_test_is_run_by_some_workflow() -> None:
    jobs = [job for path in WORKFLOWS for job in jobs_of(path).values()]
    assert set().union(*map(targets_of, jobs)) >= {"lint", "sanity", "unit", "test", "versions"}


@pytest.mark.parametrize("path", WORKFLOWS, ids=name_of)
def test_workflow_may_only_read(path: pathlib.Path) -> None:
    workflow = read(path)
    assert workflow["permissions"] == {}
    assert [job["permissions"] for job in workflow["jobs"].values()] == [{"contents": "read"}] * len(workflow["jobs"])
    text = path.read_text(encoding="utf-8")
    assert text.count("secrets.") == (path.name == "release.yml")
    assert "pull_request_target" not in text


def test_a_tag_is_checked_and_published_and_nothing_else_is() -> None:
    workflow = read(CHECKOUT / ".github" / "workflows" / "release.yml")
    jobs = workflow["jobs"]
    assert workflow["on"] == {"push": {"tags": ["[0-9]+.[0-9]+.[0-9]+"]}, "workflow_dispatch": None}
    assert jobs["checks"]["uses"] == "./.github/workflows/checks.yml"
    assert "workflow_call" in read(CHECKOUT / ".github" / "workflows" / "checks.yml")["on"]
    # A job is left out if one that it needs was.
    assert (jobs["publish"]["needs"], jobs["archive"]["needs"]) == ("archive", "checks")
    assert jobs["checks"]["if"] == "github.event_name == 'push'"
    assert jobs["rehearsal"]["if"] == "github.event_name == 'workflow_dispatch'"
    *others, last = [step for job in jobs.values() for step in job.get("steps", [])]
    assert last == {"run": "make publish", "env": {"GALAXY_TOKEN": "${{ secrets.GALAXY_TOKEN }}"}}
    assert jobs["publish"]["environment"] == "galaxy"
    assert [step["env"] for step in others if "env" in step] == [{"TAG": "${{ github.ref_name }}"}]


@pytest.mark.parametrize("path", WORKFLOWS, ids=name_of)
def test_workflow_pins_its_actions(path: pathlib.Path) -> None:
    used = re.findall(r"uses: (?!\./)(\S+)(.*)", path.read_text(encoding="utf-8"))
    assert used
    for action, version in used:
        assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", action)
        assert re.fullmatch(r" # v\d+\.\d+\.\d+", version)


def test_nox_has_a_session_for_each_target(monkeypatch: pytest.MonkeyPatch) -> None:
    sessions: dict[str, str] = {}
    ran: list[tuple[str, ...]] = []

    def session(function: t.Callable[[t.Any], None], name: str, venv_backend: str) -> None:
        assert venv_backend == "none"
        sessions[name] = str(function.__doc__)
        run = types.SimpleNamespace(name=name, posargs=[], run=lambda *command, external: ran.append(command))
        function(run)

    nox = types.SimpleNamespace(session=session, options=types.SimpleNamespace(), Session=object)
    monkeypatch.setitem(sys.modules, "nox", nox)
    path = CHECKOUT / "noxfile.py"
    exec(compile(path.read_text(encoding="utf-8"), path.name, "exec"), {"__file__": str(path)})
    assert set(sessions) == TARGETS
    assert ran == [("make", name) for name in sessions]
    assert set(nox.options.sessions) <= TARGETS


def test_pre_commit_runs_what_make_lint_runs() -> None:
    """Its tools are those of .venv, so their versions stand in one file alone."""
    lint = (CHECKOUT / "tools" / "lint").read_text(encoding="utf-8")
    required = (CHECKOUT / "tools" / "requirements-test.txt").read_text(encoding="utf-8")
    for repository in read(CHECKOUT / ".pre-commit-config.yaml")["repos"]:
        assert repository["repo"] == "local"
        for hook in repository["hooks"]:
            tool = re.sub(r"^\.venv/bin/(\S+).*", r"\1", hook["entry"])
            if tool == "yamllint":
                tool = "ansible-lint"  # which requires yamllint, and runs it
            assert f"check {tool}" in lint
            assert f"\n{tool}==" in required


def test_make_quick_names_what_is_there() -> None:
    """A folder that is not there is no error where several processes run the tests: they run none of them."""
    done = subprocess.run(["make", "-n", "quick"], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    paths = re.findall(r"\btests/\S+", done.stdout)
    assert len(paths) > 3
    assert [path for path in paths if not (CHECKOUT / path).exists()] == []


@pytest.mark.parametrize(
    ("target", "name", "default"),
    [("differential", "PAIRS", "10000"), ("kernels", "GUESTS", "all"), ("vm", "GUESTS", "")],
)
@pytest.mark.parametrize("given", ["", "environment", "argument"])
def test_a_target_gets_its_variable(target: str, name: str, default: str, given: str, tmp_path: pathlib.Path) -> None:
    """Make 4.3 passes an exported variable on empty where a target sets it with `?=`."""
    shell = tmp_path / "shell"
    shell.write_text(f'#!/bin/sh\necho "[${name}]"\n')
    shell.chmod(0o755)
    arguments = [f"{name}=7 8"] if given == "argument" else []
    environment = {key: value for key, value in os.environ.items() if key != name and "MAKE" not in key}
    if given == "environment":
        environment[name] = "7 8"
    command = ["make", f"SHELL={shell}", target, *arguments]
    done = subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=True)
    assert set(done.stdout.splitlines()) == {"[7 8]" if given else f"[{default}]"}

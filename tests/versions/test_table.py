# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table of controllers, and all that has to agree with it: what the collection promises, and what its page says."""

from __future__ import annotations

import dataclasses
import pathlib
import re
import sys

import controllers
import prepare_ansible_test
import pytest
from controllers import Controller
from helpers.support import CHECKOUT, read_yaml

ROWS = controllers.controllers()
SUPPORTED = [row for row in ROWS if row.supported]
PROMISED_SERIES = {"2.16", "2.18", "2.19", "2.20", "2.21"}
PROMISED_PYTHONS = {"3.10", "3.11", "3.12", "3.13"}
WITH_AN_AGENT = "2.19"
"""The first series with ssh_agent and ANSIBLE_PRIVATE_KEY, as its own documentation says."""
ROLES = sorted(path.parent.parent.name for path in CHECKOUT.glob("roles/*/meta/main.yml"))
PAGE = CHECKOUT / "docs" / "versions.md"


def as_numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def floor() -> str:
    """Return the oldest series that is supported."""
    return min((row.series for row in SUPPORTED), key=as_numbers)


def pins(name: str) -> dict[str, str]:
    """Return the release of each package that a requirements file asks for on this Python."""
    text = (CHECKOUT / "tools" / name).read_text(encoding="utf-8")
    return dict(re.findall(r'^([\w-]+)==([\w.]+)(?:; python_version >= "3.11")?$', text, re.MULTILINE))


def row(core: str, python: str) -> Controller:
    return Controller(core=core, python=python, kind="supported")


def test_all_that_is_promised_is_in_the_table() -> None:
    assert {row.series for row in SUPPORTED} >= PROMISED_SERIES
    assert {row.python for row in SUPPORTED} >= PROMISED_PYTHONS


def test_each_pull_request_is_tested_on_each_supported_series() -> None:
    checks = read_yaml(CHECKOUT / ".github" / "workflows" / "checks.yml")
    assert checks["jobs"]["versions"]["strategy"]["matrix"]["core"] == list(
        dict.fromkeys(row.series for row in SUPPORTED)
    )


def test_no_two_rows_share_an_environment() -> None:
    assert len({row.environment for row in ROWS}) == len(ROWS)


def test_every_run_of_the_suite_tries_the_oldest_and_the_newest() -> None:
    series = sorted({row.series for row in SUPPORTED}, key=as_numbers)
    assert {row.series for row in SUPPORTED if row.every_time} == {series[0], series[-1]}


def test_the_refused_ones_are_older_than_the_supported_ones() -> None:
    refused = [row.series for row in ROWS if row.kind == "refused"]
    assert refused
    assert all(as_numbers(series) < as_numbers(floor()) for series in refused)


def test_the_announced_ones_are_newer_than_the_supported_ones() -> None:
    newest = max(as_numbers(row.series) for row in SUPPORTED)
    announced = [row for row in ROWS if row.kind == "announced"]
    assert announced
    assert all(as_numbers(row.series) > newest and not row.every_time for row in announced)


def test_the_suite_runs_on_a_release_of_the_table() -> None:
    assert pins("requirements-run.txt")["ansible-core"] in {row.core for row in SUPPORTED}


def test_the_environments_have_the_packages_of_the_suite() -> None:
    of_the_suite = pins("requirements-run.txt") | pins("requirements-quick.txt") | pins("requirements-test.txt")
    of_the_environments = pins("requirements-controllers.txt")
    assert {"jmespath", "pytest", "hypothesis"} <= of_the_environments.keys()
    assert of_the_environments.items() <= of_the_suite.items()


def test_the_collection_asks_for_the_oldest_supported_one() -> None:
    runtime = read_yaml(CHECKOUT / "meta" / "runtime.yml")
    assert runtime["requires_ansible"] == f">={floor()}.0"
    assert f"with ansible-core {floor()} or later" in (CHECKOUT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", ["ci.md", "scale-out.md"])
def test_pages_that_use_an_agent_ask_for_the_first_series_that_has_one(page: str) -> None:
    text = (CHECKOUT / "docs" / page).read_text(encoding="utf-8")
    assert "ANSIBLE_PRIVATE_KEY" in text
    assert set(re.findall(r"ansible-core>=([\d.]+)", text)) == {WITH_AN_AGENT}
    assert WITH_AN_AGENT in {row.series for row in SUPPORTED}


@pytest.mark.parametrize("role", ROLES)
def test_a_role_asks_for_the_oldest_supported_one(role: str) -> None:
    meta = read_yaml(CHECKOUT / "roles" / role / "meta" / "main.yml")
    assert meta["galaxy_info"]["min_ansible_version"] == floor()


def test_the_page_has_exactly_the_rows_of_the_table() -> None:
    lines = re.findall(r"^\| ([0-9][0-9.abrc]+) \| (3\.[0-9]+) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert lines == [(row.core, row.python) for row in ROWS]


def test_an_environment_is_ready_only_with_what_is_asked_for(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(controllers, "ENVIRONMENTS", tmp_path)
    monkeypatch.setattr(controllers, "REQUIREMENTS", tmp_path / "requirements.txt")
    controllers.REQUIREMENTS.write_text("", encoding="utf-8")
    made = row("2.16.19", "3.11")
    assert not made.is_ready
    made.environment.mkdir()
    (made.environment / "installed.txt").write_text(f"{made.environment}\n{made.requirements}", encoding="utf-8")
    assert made.is_ready
    assert not dataclasses.replace(made, core="2.16.20").is_ready
    controllers.REQUIREMENTS.write_text("jmespath==1.1.0\n", encoding="utf-8")
    assert not made.is_ready


def test_a_missing_python_is_named_and_its_old_environment_removed(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(controllers, "ENVIRONMENTS", tmp_path)
    monkeypatch.setattr(prepare_ansible_test, "find_interpreter", lambda _version: None)
    gone = row("2.16.19", "3.10")
    gone.environment.mkdir()
    controllers.prepare(gone)
    assert "core-2.16-py3.10: LEFT OUT, there is no Python 3.10" in capsys.readouterr().out
    assert not gone.environment.exists()


def test_series_are_chosen_by_name_and_without_one_those_of_every_time() -> None:
    assert {row.series for row in controllers.chosen(["2.16", "2.21"])} == {"2.16", "2.21"}
    assert {row.python for row in controllers.chosen(["2.21"])} == {"3.12", "3.13"}
    assert controllers.chosen(["all"]) == ROWS
    assert all(row.every_time for row in controllers.chosen([]))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--most"], "the only option is --all"),
        (["2.16", "--all"], "the only option is --all"),
        (["2.16", "2.99"], r"2\.99: controllers\.yml has no such series of ansible-core. It has .*2\.16"),
    ],
)
def test_an_unknown_argument_is_refused(arguments: list[str], said: str) -> None:
    with pytest.raises(SystemExit, match=said):
        controllers.main(arguments)


def test_an_interpreter_of_pyenv_is_found_without_pyenv(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / ".pyenv" / "versions" / "3.98.1" / "bin"
    programs.mkdir(parents=True)
    interpreter = programs / "python3.98"
    interpreter.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n', encoding="utf-8")
    interpreter.chmod(0o755)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert prepare_ansible_test.find_interpreter("3.98") == sys.executable

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.plugin_utils._router.interpreter import (
    explanation,
    has_not_begun,
    question,
)


def ask(interpreter: str, directory: pathlib.Path, **others: str) -> str | None:
    """Return the explanation that a shell's answer gives, with ``others`` as the programs in its PATH."""
    for name, text in others.items():
        program(directory / name.replace("_", "."), text)
    done = subprocess.run(
        ["/bin/sh", "-c", question(interpreter)],
        env={"PATH": str(directory)},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return explanation(done.stdout, interpreter, "router1")


def program(path: pathlib.Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize("version", ["2.7.18", "3.5.2", "3.6.15", "3.8.18"])
def test_an_older_one_is_named_with_its_path(tmp_path: pathlib.Path, version: str) -> None:
    python = program(tmp_path / "old", f"echo {version}")
    assert ask(python, tmp_path) == (
        f"netops.conntrack needs Python 3.9 or newer on the router, found {version} at {python} on router1. "
        "Install one, such as with ansible router1 -b -m ansible.builtin.raw -a 'apt-get install --yes python3', and "
        f"set ansible_python_interpreter to its path if that is not {python}."
    )


@pytest.mark.parametrize("version", ["3.9.0", "3.10.1", "3.13.0", "4.0.0"])
def test_a_newer_one_is_not_the_reason(tmp_path: pathlib.Path, version: str) -> None:
    assert ask(program(tmp_path / "new", f"echo {version}"), tmp_path) is None


def test_this_python_answers() -> None:
    assert ask(sys.executable, pathlib.Path(os.devnull).parent) is None


def test_a_newer_one_that_runs_is_proposed(tmp_path: pathlib.Path) -> None:
    python = program(tmp_path / "old", "echo 3.6.15")
    message = ask(python, tmp_path, python3_9="exit 1", python3_11="exit 0", python3_12="exit 0")
    assert message
    assert message.endswith(f"Set ansible_python_interpreter={tmp_path}/python3.11, which is there.")


@pytest.mark.parametrize("text", [None, "exit 127", "echo 'no library' >&2; exit 1"])
def test_none_that_runs(tmp_path: pathlib.Path, text: str | None) -> None:
    python = program(tmp_path / "broken", text) if text else str(tmp_path / "broken")
    message = ask(python, tmp_path)
    assert message
    assert f"found none that runs at {python} on router1. Install one" in message


def test_no_answer_explains_nothing() -> None:
    assert explanation("", "/usr/bin/python3", "router1") is None


@pytest.mark.parametrize(
    ("result", "begun"),
    [
        ({"failed": True, "module_stderr": "SyntaxError", "rc": 1}, False),
        ({"failed": True, "msg": "Ansible requires Python 3.9 or newer on the target."}, False),
        ({"failed": True, "msg": "match: None", "invocation": {}}, True),
        ({"changed": False}, True),
        ({"started": 1, "finished": 0, "ansible_job_id": "1"}, True),
    ],
)
def test_what_has_not_begun(result: dict[str, t.Any], begun: bool) -> None:
    assert has_not_begun(result) is not begun

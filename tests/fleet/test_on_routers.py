# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tests give to programs of Ansible and to modules gets there: over SSH, and on this machine."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import typing as t

import lab
import pytest
from helpers.on_routers import refused_requests, shared_code
from helpers.support import PATIENCE, SYSTEM_PYTHON, run_ansible

Make = t.Callable[[str, int], t.Any]
DELETE = "140000000201050001000000000000000200000000000000"
DELETE_ALL = f"import socket; socket.socket(16, 3, 0).send(bytes.fromhex('{DELETE}'))"
"""Sent to the kernel's routing, which has no such message, so nothing is lost should it get through."""


@pytest.fixture
def own(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, pathlib.Path]:
    """Return where refused requests and compiled code go, which is not where those of the run go."""
    found = {refused_requests.VARIABLE: tmp_path / "record", shared_code.VARIABLE: tmp_path / "code"}
    found[shared_code.VARIABLE].mkdir()
    for name, path in found.items():
        monkeypatch.setenv("LAB_SETENV", os.environ["LAB_SETENV"].replace(os.environ[name], str(path)))
        monkeypatch.setenv(name, str(path))
    return found


def compiled(own: dict[str, pathlib.Path]) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in own[shared_code.VARIABLE].iterdir()}


def test_a_request_that_empties_a_table_is_refused_on_a_router(own: dict[str, pathlib.Path], make_fleet: Make) -> None:
    command = lab.ssh_command(make_fleet("ncown", 1).built.directory, "router1", [f'{SYSTEM_PYTHON} -c "{DELETE_ALL}"'])
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert "a delete of entries without a tuple" in done.stderr
    assert "a delete of entries without a tuple" in own[refused_requests.VARIABLE].read_text()


def test_a_module_on_a_router_compiles_nothing_that_another_did(own: dict[str, pathlib.Path], make_fleet: Make) -> None:
    fleet = make_fleet("ncown", 1)
    fleet.module("conntrack_facts", {})
    first = compiled(own)
    assert len(first) > 100
    fleet.module("conntrack_facts", {})
    assert compiled(own) == first


def test_modules_on_this_machine_have_the_same(own: dict[str, pathlib.Path], tmp_path: pathlib.Path) -> None:
    inventory = tmp_path / "inventory"
    inventory.write_text(f"here ansible_connection=local ansible_python_interpreter={SYSTEM_PYTHON}\n")
    arguments = json.dumps({"argv": [SYSTEM_PYTHON, "-c", DELETE_ALL]})
    done = run_ansible(["ansible", "here", "-m", "ansible.builtin.command", "-a", arguments], inventory, tmp_path)
    assert "a delete of entries without a tuple" in done.stdout
    assert "a delete of entries without a tuple" in own[refused_requests.VARIABLE].read_text()
    assert len(compiled(own)) > 20

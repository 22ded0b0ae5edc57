# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter of the role: a plan or an undo as a dict, what is refused, and its words."""

from __future__ import annotations

import json
import subprocess
import sys

from ansible_collections.netops.conntrack.plugins.plugin_utils._preparation.preparation import preparation
from helpers.router_answers import ROLE, answer, options, recorded


def test_a_plan_says_what_is_made() -> None:
    plan = preparation(answer(), options())
    assert plan["words"] == "the package python3-pyroute2"
    assert (plan["problems"], plan["pyroute2"], plan["python"]) == ([], None, "/usr/bin/python3")


def test_an_undo_says_what_goes() -> None:
    record = recorded(
        {"kind": "pip", "name": "pyroute2", "path": "/usr/bin/python3"},
        {"kind": "user", "name": "conntrack"},
        {"kind": "directory", "path": "/opt/x"},
    )
    undo = preparation(answer(record=record), options(state="absent"))
    assert undo["words"] == "pyroute2 with pip, the user conntrack, /opt/x"


def test_without_root_nothing_is_done() -> None:
    for state in ("present", "absent"):
        [problem] = preparation(answer(uid=1000), options(state=state))["problems"]
        assert "become: true" in problem


def test_the_look_of_the_role_is_understood() -> None:
    asked = {
        "record": "/nonexistent",
        "commands": ["id"],
        "files": ["/etc/passwd"],
        "user": "root",
        "directory": "/a/b",
    }
    command = [sys.executable, str(ROLE / "files" / "look.py"), json.dumps(asked)]
    told = subprocess.run(command, capture_output=True, text=True, check=True, cwd="/").stdout
    data = json.loads(told)
    assert data["missing_of_directory"] == ["/a", "/a/b"]
    assert data["commands"]["id"].endswith("/id")
    assert len(data["files"]["/etc/passwd"]) == 64
    assert data["python"] == sys.executable
    assert data["home"]
    assert preparation(told, options(pyroute2=False))["method"] == "none"

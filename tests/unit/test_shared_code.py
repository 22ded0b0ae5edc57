# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest
from helpers.on_routers import shared_code
from helpers.support import ON_CONTROLLERS, PATIENCE

PLUGIN = """
from ansible_collections.acme.tools.plugins.plugin_utils.answer import ANSWER
class FilterModule:
    def filters(self):
        return {"answer": lambda value: f"the answer is {ANSWER}"}
"""


@pytest.fixture
def code(tmp_path: pathlib.Path) -> pathlib.Path:
    directory = tmp_path / "code"
    directory.mkdir()
    return directory


def answer(code: pathlib.Path, expected: str) -> dict[str, int]:
    """Make a collection with a filter that says ``expected``, use it, and return when each file was compiled."""
    collections = code.parent / "collections"
    plugins = collections / "ansible_collections" / "acme" / "tools" / "plugins"
    for folder, text in {"filter": PLUGIN, "plugin_utils": f"ANSWER = {expected!r}"}.items():
        (plugins / folder).mkdir(parents=True, exist_ok=True)
        (plugins / folder / "answer.py").write_text(text)
    program = str(pathlib.Path(sys.executable).parent / "ansible")
    ours = {"ANSIBLE_COLLECTIONS_PATH": str(collections), "ANSIBLE_LOCALHOST_WARNING": "0"}
    done = subprocess.run(
        [program, "localhost", "-m", "ansible.builtin.debug", "-a", "msg={{ 1 | acme.tools.answer }}"],
        cwd=code.parent,
        env={**os.environ, **ON_CONTROLLERS, **ours, shared_code.VARIABLE: str(code)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert f"the answer is {expected}" in done.stdout, done.stdout + done.stderr
    return {path.name: path.stat().st_mtime_ns for path in code.iterdir()}


def test_the_second_program_uses_what_the_first_compiled(code: pathlib.Path) -> None:
    compiled = answer(code, "one")
    assert compiled
    assert answer(code, "one") == compiled


def test_what_changed_is_compiled_anew(code: pathlib.Path) -> None:
    compiled = answer(code, "one")
    assert len(answer(code, "two")) == len(compiled) + 1

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import marshal
import os
import pathlib
import pickle
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

TEMPLATES = r"""
import less_work, shared_code
less_work.do_less()
shared_code.share_with_templates()
from ansible.template import Templar, trust_as_template
templar = Templar(variables={"x": 2})
text = trust_as_template(r"{{ 'a\\b' }} [[ x ]] {{ x }}")
brackets = {"variable_start_string": "[[", "variable_end_string": "]]"}
for options in {"escape_backslashes": False}, {"overrides": brackets}, {"escape_backslashes": True}:
    print(templar.template(text, **options))
"""

PARSED = r"""
import io, json, shared_code
shared_code.share_parsed_yaml()
import yaml
from ansible._internal._datatag._tags import Origin, TrustedAsTemplate
from ansible.parsing.dataloader import DataLoader
from ansible.template import trust_as_template

read = DataLoader().load(trust_as_template("a: ['{{ x }}', 1]"), "/play.yml")
again = DataLoader().load("a: ['{{ x }}', 1]", "/vars.yml")
for each in read, again:
    value = each["a"][0]
    origin = Origin.get_tag(value)
    print(json.dumps([each, origin.path, origin.line_num, origin.col_num, TrustedAsTemplate.is_tagged_on(value)]))
print(yaml.load("a: 1", yaml.CSafeLoader), yaml.load("a: 1", yaml.CBaseLoader), yaml.safe_load(io.StringIO("a: 2")))
try:
    DataLoader().load("a: [", "/wrong.yml")
except Exception as error:
    print(type(error).__name__)
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


def printed(program: str, code: pathlib.Path) -> list[str]:
    """Return the lines that a program prints, which shares what it compiles with others."""
    environment = {**os.environ, **ON_CONTROLLERS, shared_code.VARIABLE: str(code)}
    command = [sys.executable, "-c", program]
    done = subprocess.run(
        command, cwd=code.parent, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_template_is_compiled_once_for_each_way_to_read_it(code: pathlib.Path) -> None:
    expected = [r"a\b [[ x ]] 2", r"{{ 'a\\b' }} 2 {{ x }}", r"a\\b [[ x ]] 2"]
    assert printed(TEMPLATES, code) == expected
    compiled = list(code.iterdir())
    assert len(compiled) == len(expected)
    assert printed(TEMPLATES, code) == expected
    for path in compiled:
        path.write_bytes(marshal.dumps(compile("raise RuntimeError('of another program')", "", "exec")))
    with pytest.raises(AssertionError, match="of another program"):
        printed(TEMPLATES, code)


def test_yaml_is_parsed_once_for_each_loader_and_place(code: pathlib.Path) -> None:
    expected = [
        '[{"a": ["{{ x }}", 1]}, "/play.yml", 1, 5, true]',
        '[{"a": ["{{ x }}", 1]}, "/vars.yml", 1, 5, false]',
        "{'a': 1} {'a': '1'} {'a': 2}",
        "AnsibleYAMLParserError",
    ]
    assert printed(PARSED, code) == expected
    parsed = list(code.iterdir())
    assert printed(PARSED, code) == expected
    assert list(code.iterdir()) == parsed
    for path in parsed:
        path.write_bytes(pickle.dumps(None))
    with pytest.raises(AssertionError, match="Error: "):
        printed(PARSED, code)

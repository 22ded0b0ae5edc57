# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The page docs/troubleshooting.md: each message that it quotes is one of the code, or of Ansible."""

from __future__ import annotations

import ast
import pathlib
import re
import typing as t

import ansible
import pytest
from helpers.support import CHECKOUT, read_yaml

PAGE = (CHECKOUT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
OURS = "message"
OF_OTHERS = "message | of"
SUCCESS = "you see"

_TABLE = re.compile(r"^\| (message \| of|message|you see) \|.*\n\| ---.*\n((?:\|.*\n)+)", re.MULTILINE)
_SHORTEST = 4
"""Of a quoted message, shorter pieces between two names or numbers say nothing."""


def rows(head: str) -> list[list[str]]:
    """Return the cells of all tables of the page whose first columns are these."""
    tables = [text for found, text in _TABLE.findall(PAGE) if found == head]
    return [line.strip("| ").split(" | ") for text in tables for line in text.splitlines()]


def quoted(cell: str) -> list[str]:
    return [str(text) for text in re.findall(r"`([^`]+)`", cell)]


def pieces_of(message: str) -> list[str]:
    """Return the pieces of a quoted message that are always the same."""
    return [piece for piece in (each.strip(" :") for each in re.split(r"\.\.\.", message)) if len(piece) >= _SHORTEST]


def texts_of_python(folder: pathlib.Path) -> t.Iterator[str]:
    """Yield each literal text of one line in the Python code of a folder, as Python joins it."""
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and "\n" not in node.value:
                yield node.value


def texts_of_yaml(data: t.Any) -> t.Iterator[str]:
    if isinstance(data, str):
        yield data
    for value in data.values() if isinstance(data, dict) else data if isinstance(data, list) else ():
        yield from texts_of_yaml(value)


@pytest.fixture(scope="module")
def texts_of_ours() -> list[str]:
    files = [*CHECKOUT.glob("playbooks/*.yml"), *CHECKOUT.glob("roles/*/tasks/*.yml")]
    tasks = [text for path in files for text in texts_of_yaml(read_yaml(path))]
    return [*texts_of_python(CHECKOUT / "plugins"), *tasks]


@pytest.fixture(scope="module")
def texts_of_ansible() -> list[str]:
    return list(texts_of_python(pathlib.Path(ansible.__file__).parent))


def missing(messages: t.Iterable[str], texts: list[str]) -> list[str]:
    """Return the pieces of the messages that no text has."""
    return [piece for message in messages for piece in pieces_of(message) if not any(piece in text for text in texts)]


def test_each_message_is_one_of_the_code(texts_of_ours: list[str]) -> None:
    messages = [message for row in rows(OURS) for message in quoted(row[0])]
    assert len(messages) > 60
    assert missing(messages, texts_of_ours) == []


def test_each_warning_of_a_success_is_one_of_the_code(texts_of_ours: list[str]) -> None:
    warnings = [
        text for row in rows(SUCCESS) for text in quoted(row[0]) if text[0].isupper() or text.startswith("but ")
    ]
    others = {"CHANGED", "No hosts matched", "Nothing to do", "UNREACHABLE"}
    assert len(warnings) > len(others)
    assert missing([text for text in warnings if text not in others], texts_of_ours) == []


def test_each_message_of_ansible_is_one_of_ansible(texts_of_ansible: list[str]) -> None:
    messages = [message for row in rows(OF_OTHERS) for message in quoted(row[0]) if row[1] == "Ansible"]
    of_the_system = {"Connection timed out", "Connection refused"}
    assert len(messages) > 10
    assert missing([message for message in messages if message not in of_the_system], texts_of_ansible) == []


@pytest.mark.parametrize("message", ["The table could be read as a whole in ... attempts", "No such message"])
def test_a_message_that_is_gone_is_noticed(message: str, texts_of_ours: list[str]) -> None:
    assert missing([message], texts_of_ours)


@pytest.mark.parametrize("head", [OURS, OF_OTHERS, SUCCESS])
def test_each_message_has_a_remedy(head: str) -> None:
    assert [row for row in rows(head) if len(row) != head.count("|") + 3 or not all(row)] == []


def test_the_page_was_read_whole() -> None:
    lines = [line for line in PAGE.splitlines() if line.startswith("|")]
    heads = 2 * len(_TABLE.findall(PAGE))
    assert sum(len(rows(head)) for head in (OURS, OF_OTHERS, SUCCESS)) == len(lines) - heads

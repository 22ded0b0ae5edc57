# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every command that the documentation tells an operator to type does what it should on real routers."""

from __future__ import annotations

import pathlib
import re
import shlex
import typing as t

import pytest
from helpers.support import CHECKOUT, run_ansible

PAGES = [CHECKOUT / "README.md", *sorted(CHECKOUT.glob("docs/*.md")), *sorted(CHECKOUT.glob("roles/*/README.md"))]
_COMMAND = re.compile(r"^\$ (ansible(?:-playbook)? .* -i inventory\.yml .*)$", re.MULTILINE)

# The routers of the lab are network namespaces, in which these can only be read, and have an empty package database.
# A timeout of at most something is another max.
MACHINE_WIDE = re.compile(r"(?<!\"timeout\": {\")\b(?:max|expect_max|buckets)\b.*: ?\"?[0-9]")
OF_THE_SYSTEM = "ansible.builtin."
A_FILE_OF_AN_EARLIER_RUN = "-TIME."
VISITS_ALL = re.compile(r"namespaces[\"':= ]+all")

WHEEL = "pyroute2-0.9.7-py3-none-any.whl"

# The pages tune between a preparation and its undo. Then the role refuses the undo, and says what comes first.
UNDONE_LAST = re.compile(r"conntrack_prepare_state=absent")
NEEDS_SUDO = re.compile(r"conntrack_prepare_user")

EMPTY_BACKUP = "# netops.conntrack backup 1 at=2026-11-28T19:11:56Z\n# complete 0\n"

EDGE = "edge:\n  hosts:\n    router1:\n"


def documented_commands() -> dict[str, list[str]]:
    """Return the commands of each page that no page before it has."""
    pages: dict[str, list[str]] = {}
    known: set[str] = set()
    for page in PAGES:
        found = dict.fromkeys(_COMMAND.findall(page.read_text(encoding="utf-8")))
        new = [command for command in found if command not in known and not _is_left_out(command)]
        if new:
            pages[str(page.relative_to(CHECKOUT))] = new
        known.update(new)
    return pages


def _is_left_out(command: str) -> bool:
    return any(word in command for word in (OF_THE_SYSTEM, A_FILE_OF_AN_EARLIER_RUN))


def commands_of_one_table() -> dict[str, list[str]]:
    """Return the commands of each page that enter no other namespace, of those that have some."""
    pages = {page: [each for each in commands if not VISITS_ALL.search(each)] for page, commands in COMMANDS.items()}
    return {page: commands for page, commands in pages.items() if commands}


COMMANDS = documented_commands()
OF_ONE_TABLE = commands_of_one_table()


BEFORE = {"docs/restore.md": "docs/backup.md"}
"""The page that makes what a page needs."""


def test_the_pages_have_commands() -> None:
    assert len(OF_ONE_TABLE) > 15
    assert sum(map(len, OF_ONE_TABLE.values())) > 100


@pytest.mark.parametrize("page", OF_ONE_TABLE)
def test_documented_commands(page: str, make_fleet: t.Callable[[str, int], t.Any], tmp_path: pathlib.Path) -> None:
    commands = [*OF_ONE_TABLE.get(BEFORE.get(page, ""), []), *OF_ONE_TABLE[page]]
    _run_all(commands, make_fleet("ncdocs", 1), tmp_path)


@pytest.mark.alone
def test_documented_commands_that_enter_all_namespaces(
    make_fleet: t.Callable[[str, int], t.Any], tmp_path: pathlib.Path
) -> None:
    """Other tests end all that is in their namespaces."""
    commands = [command for page in COMMANDS.values() for command in page if VISITS_ALL.search(command)]
    assert commands
    _run_all(commands, make_fleet("ncdocs", 1), tmp_path)


def _run_all(commands: list[str], fleet: t.Any, tmp_path: pathlib.Path) -> None:
    groups = tmp_path / "edge.yml"
    groups.write_text(EDGE, encoding="utf-8")
    for name in "table.save", "router1.save":
        (tmp_path / name).write_text(EMPTY_BACKUP, encoding="utf-8")
    (tmp_path / WHEEL).write_bytes(b"")  # the routers of the lab have a pyroute2
    failures = []
    for command in commands:
        words = shlex.split(command, comments=True)
        at = words.index("inventory.yml")
        words = [*words[: at - 1], "-i", str(groups), *words[at + 1 :]]
        # The routers of the lab share the files of the machine.
        words = [word.replace("dest=/var/tmp", f"dest={tmp_path}") for word in words]
        words = [word.replace("backup=true", f"backup=true backup_dir={tmp_path}/backups") for word in words]
        words = [word.replace("backup_fetch=", f"backup_fetch={tmp_path}/") for word in words]
        words = [re.sub(r"^(src|controller_src)=(?:/root/)?(\w+\.save)$", rf"\1={tmp_path}/\2", word) for word in words]
        words = [word.replace(f"=wheels/{WHEEL}", f"={tmp_path}/{WHEEL}") for word in words]
        if words[0] == "ansible-playbook":
            words += ["-e", f"conntrack_audit_report_directory={tmp_path}"]
        done = run_ansible(words, fleet.built.inventory, fleet.home)
        refused = "for the whole machine: set it in the first network namespace" in done.stdout
        # Whether the lab has such a finding depends on what the machine's kernel has logged lately.
        found = "fail_on=" in command and done.returncode == 2 and "router1, " in done.stdout
        waits = UNDONE_LAST.search(command) and "Undo that first, such as with" in done.stdout
        without_sudo = NEEDS_SUDO.search(command) and "which this router does not have" in done.stdout
        right = refused if MACHINE_WIDE.search(command) else found or waits or without_sudo or done.returncode == 0
        if not right:
            failures.append(f"{command}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    assert not failures, "\n".join(failures)

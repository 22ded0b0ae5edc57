# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A network namespace, audited as a router with the checks of the role, and the commands that its report prints."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys
import typing as t

from ansible_collections.netops.conntrack.plugins.action.conntrack_audit import audit_of
from ansible_collections.netops.conntrack.plugins.module_utils._selector.named_selectors import NAMED
from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.check import Check, parse
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.audit_types import Finding
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document import roll_up
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document_types import Document
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.invocation import pasteable
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.view import with_status
from helpers.support import CHECKOUT, PATIENCE, SYSTEM_PYTHON, inside, read_yaml, run_module

Facts = dict[str, t.Any]
_DEFAULTS = read_yaml(CHECKOUT / "roles" / "conntrack_audit" / "defaults" / "main.yml")
CHECKS = parse(_DEFAULTS["conntrack_audit_checks"])
NAMESPACE_CHECKS = parse(_DEFAULTS["conntrack_audit_namespace_checks"])


def facts_of(
    netns: str,
    *,
    sample: str | None = None,
    namespaces: str | None = None,
    wrapper: t.Sequence[str] = (),
    **changes: dict[str, t.Any],
) -> Facts:
    """Return the facts that an audit measures, in which what the test cannot have is replaced: ``usage={...}``.

    ``wrapper`` is as run_module takes it.
    """
    subsets = ["all", "namespaces"] if namespaces else ["all"]
    asked = {"gather_subset": subsets, "selectors": NAMED, "sample": sample, "namespaces": namespaces}
    given = {name: value for name, value in asked.items() if value is not None}
    result = run_module("conntrack_facts", given, netns=netns, wrapper=wrapper)
    assert not result.failed, result.msg
    facts: Facts = result.data["ansible_facts"]["conntrack"]
    return {**facts, **{subset: {**facts[subset], **values} for subset, values in changes.items()}}


def document_of(
    netns: str, directory: pathlib.Path, facts: Facts | None = None, checks: list[Check] = CHECKS
) -> Document:
    """Return the document of an audit of the router r1, with commands that find it in an inventory."""
    inventory = inventory_of(directory, SYSTEM_PYTHON)
    return document_for(inventory, audit_of(facts or facts_of(netns), checks, None))


def inventory_of(directory: pathlib.Path, interpreter: str) -> pathlib.Path:
    """Return an inventory with the router r1, whose modules that interpreter runs."""
    inventory = directory / "routers"
    inventory.write_text(f"r1 ansible_connection=local ansible_python_interpreter={interpreter}\n")
    return inventory


def document_for(inventory: pathlib.Path, audit: dict[str, t.Any]) -> Document:
    """Return the document of an audit of the router r1 of an inventory."""
    document = roll_up({"r1": {"before": audit}}, ["r1"], "now")
    return pasteable(document, {"inventory": (str(inventory),)})


def findings_of(document: Document) -> dict[str, Finding]:
    """Return what is found on the router, by the id of the check."""
    return with_status(document["hosts"]["r1"]["before"], "finding")


_FILE = re.compile(r'"sysctl_file": "[^"]*"')


def for_now(command: str) -> str:
    """Return a printed command such that it changes no file: the machine of the tests is no router."""
    return _FILE.sub('"persist": false', command) + " -e conntrack_tune_persist=false"


def printed_by_shell(command: str, netns: str | None, home: pathlib.Path) -> str:
    """Run a command by a shell in the namespace of the router, or without one, and return what it prints.

    The backup of a prune is below ``home``.
    """
    command = command.replace("backup=true", f"backup=true backup_dir={home}/backups")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
    programs = f"{pathlib.Path(sys.executable).parent}:{environment['PATH']}"
    done = subprocess.run(
        inside(netns, ["sh", "-c", command]),
        cwd=CHECKOUT,
        env={**environment, "PATH": programs, "HOME": str(home), "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def answer_of(command: str, netns: str | None, home: pathlib.Path) -> dict[str, t.Any]:
    """Run a command that calls a module as ``printed_by_shell`` does, and return what the module answered."""
    printed = printed_by_shell(command, netns, home)
    answer: dict[str, t.Any] = json.loads(printed[printed.index("{") :])
    return answer

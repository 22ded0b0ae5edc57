# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import re
import shlex
import typing as t

import pytest
from ansible import constants as C
from ansible_collections.netops.conntrack.plugins.plugin_utils._page.blocks import Items, as_markdown, as_text
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.invocation import pasteable, playbook_command
from helpers.documents import Document
from helpers.support import CHECKOUT, read_yaml

NOTHING_GIVEN = {"inventory": C.DEFAULT_HOST_LIST, "become": False, "become_method": C.DEFAULT_BECOME_METHOD}
GIVEN = {
    **NOTHING_GIVEN,
    "inventory": (os.path.abspath("fleet/hosts.yml"), "/etc/fleet", "a,b,"),
    "become": True,
    "become_ask_pass": True,
    "become_user": "oper",
    "remote_user": "net ops",
    "private_key_file": os.path.abspath("key"),
    "vault_ids": ["site@prompt"],
}
OPTIONS = (
    "-i fleet/hosts.yml -i /etc/fleet -i a,b, -b -K --become-user oper -u 'net ops' --private-key key "
    "--vault-id site@prompt"
)
PRUNE = "ansible-playbook netops.conntrack.prune"


def document(advice: str, *routers: str, status: str = "finding") -> Document:
    audit = {"findings": [{"id": "full", "status": status}], "explanation": None}
    return {
        "checks": {"full": {"title": "Full", "severity": "high", "advice": advice}},
        "hosts": {name: {"before": None, "after": audit} for name in routers},
        "time": "now",
    }


def advice(text: str, arguments: dict[str, t.Any], *routers: str, target: t.Any = None) -> str:
    mapped = pasteable(document(text, *routers), arguments, target)
    assert mapped["time"] == "now"
    return str(mapped["checks"]["full"]["advice"])


def test_options_of_the_run_are_carried() -> None:
    assert advice(f"Run {PRUNE} now.", {**GIVEN, "subset": "edge:!r1"}, "r1") == (
        f"Run `{PRUNE} {OPTIONS} --limit 'edge:!r1'` now."
    )
    assert playbook_command("netops.conntrack.prune", GIVEN) == f"{PRUNE} {OPTIONS}"


def test_the_commands_of_a_cure_are_for_its_router_alone() -> None:
    found = document("Look.", "r1", "r2")
    cures = ["ansible HOST -b -m netops.conntrack.conntrack_prune -a 'match=\"zone=1\"' frees 5.", f"{PRUNE} is all."]
    found["hosts"]["r2"]["after"] = {"findings": [{"id": "full", "status": "finding", "cures": cures}]}
    found["hosts"]["r2"]["after"]["explanation"] = None
    mapped: Document = pasteable(found, {**NOTHING_GIVEN, "become": True})
    assert mapped["hosts"]["r1"] == found["hosts"]["r1"]
    assert mapped["hosts"]["r2"]["after"]["findings"][0]["cures"] == [
        "`ansible r2 -b -m netops.conntrack.conntrack_prune -a 'match=\"zone=1\"'` frees 5.",
        f"`{PRUNE} -b --limit r2` is all.",
    ]


def test_what_was_not_given_is_not_carried() -> None:
    assert advice(f"{PRUNE}.", NOTHING_GIVEN, "r2", "r1", target="edge") == f"`{PRUNE} -e target=edge`."


@pytest.mark.parametrize(
    ("arguments", "target", "routers", "words"),
    [
        ({}, None, ["r1", "r2"], "--limit r1,r2"),
        ({}, None, ["fe80::1", "a b"], "--limit 'fe80::1,a b'"),
        ({}, None, [f"r{number}" for number in range(11)], "-e target=all"),
        ({}, None, [], "-e target=all"),
        ({"subset": "@left.retry"}, None, ["r1"], "--limit @left.retry"),
        ({"subset": "r*"}, "edge", ["r1"], "--limit 'r*' -e target=edge"),
        ({}, ["edge", "!r1"], ["r2"], "-e 'target=edge,!r1'"),
    ],
)
def test_routers_of_a_playbook(arguments: dict[str, t.Any], target: t.Any, routers: list[str], words: str) -> None:
    assert advice(PRUNE, {**NOTHING_GIVEN, **arguments}, *routers, target=target) == f"`{PRUNE} {words}`"


@pytest.mark.parametrize(
    ("arguments", "target", "routers", "command"),
    [
        ({}, None, ["r1", "r2"], "ansible r1,r2"),
        ({"become": True}, "edge", ["r1"], "ansible r1 -b"),
        ({"subset": "@left.retry"}, None, [], "ansible all --limit @left.retry"),
        ({}, "edge", [], "ansible edge"),
    ],
)
def test_routers_of_a_module(arguments: dict[str, t.Any], target: t.Any, routers: list[str], command: str) -> None:
    text = "ansible HOST -b -m netops.conntrack.conntrack_facts -a gather_subset=boot names it."
    called = advice(text, {**NOTHING_GIVEN, **arguments}, *routers, target=target)
    assert called == f"`{command} -m netops.conntrack.conntrack_facts -a gather_subset=boot` names it."


def test_variables_belong_to_the_command() -> None:
    text = (
        "Run netops.conntrack.tune with -e conntrack_tune_profile=under_attack, or with "
        "-e '{conntrack_tune_overrides: {max: N}}' for more. See netops.conntrack.tune_size."
    )
    assert advice(text, NOTHING_GIVEN, "r1") == (
        "Run `ansible-playbook netops.conntrack.tune --limit r1 -e conntrack_tune_profile=under_attack`, or with "
        "-e '{conntrack_tune_overrides: {max: N}}' for more. See netops.conntrack.tune_size."
    )


def test_what_has_no_command_stays() -> None:
    text = "Correct or delete it. Read `journalctl -k`."
    assert advice(text, GIVEN, "r1") == text
    assert advice(f"`{PRUNE}` first", NOTHING_GIVEN, "r1") == f"`{PRUNE} --limit r1` first"


def test_a_router_that_is_cured_is_not_named() -> None:
    mapped = pasteable(document(PRUNE, "r1", status="passed"), NOTHING_GIVEN)
    assert mapped["checks"]["full"]["advice"] == f"`{PRUNE} -e target=all`"


def test_every_command_of_our_checks_is_made_pasteable() -> None:
    defaults = read_yaml(CHECKOUT / "roles/conntrack_audit/defaults/main.yml")
    checks = [*defaults["conntrack_audit_checks"], *defaults["conntrack_audit_gates"]]
    commands = [
        command
        for check in checks
        for command in re.findall(r"`([^`]*)`", advice(check["advice"], {**NOTHING_GIVEN, "become": True}, "r1"))
    ]
    written = [word for check in checks for word in re.findall(r"netops\.conntrack\.\w+", check["advice"])]
    assert len(commands) == len(written) > 20
    for command in commands:
        words = shlex.split(command)
        assert words[0] in ("ansible", "ansible-playbook")
        assert "-b" in words
        assert {"r1", "target=all"} & set(words)


def test_a_command_stays_on_one_line_of_the_terminal() -> None:
    command = f"`{PRUNE} {OPTIONS} --limit {','.join(f'router{number}' for number in range(9))}`"
    lines = as_text(
        Items([("high", [f"{'Words come first. ' * 8}Run {command}, and {'more words ' * 12}"])])
    ).splitlines()
    assert sum(command in line for line in lines) == 1
    assert max(len(line) for line in lines if command not in line) <= 110


def test_a_command_is_code_in_markdown() -> None:
    command = "`ansible-playbook x -e target='a*|<b>'`"
    written = as_markdown(Items([("high", ["<b> Run", f"<b> {command} and `<b>` {command}"])]))
    assert written == f"- **high** \\<b\\> Run\n  - \\<b\\> {command} and \\`\\<b\\>\\` {command}"


ADHOC = "ansible HOST -b -m netops.conntrack.conntrack_prune -a 'match=\"protocol=udp\"'"


def explained(filled_by: dict[str, str]) -> dict[str, tuple[str, str]]:
    """Return the command and the sentence that helps each router, of which it is known what fills their tables."""
    given = document("none", *filled_by)
    for name, text in filled_by.items():
        helps = {"prunes": [{"command": ADHOC, "frees": 1_200}], "advice": [f"For 10 s run {PRUNE}."]}
        given["hosts"][name]["after"] = {"findings": [], "explanation": {"filled_by": text, **helps}}
    hosts: Document = pasteable(given, {**NOTHING_GIVEN, "subset": "edge", "become": True})["hosts"]
    explanations = {name: host["after"]["explanation"] for name, host in hosts.items()}
    return {name: (each["prunes"][0]["command"], *each["advice"]) for name, each in explanations.items()}


def commands_for(routers: str) -> tuple[str, str]:
    return ADHOC.replace("HOST", routers), f"For 10 s run `{PRUNE} -b --limit {routers}`."


def test_commands_against_what_fills_a_table_are_for_that_router_alone() -> None:
    assert explained({"r1": "70 % udp", "r2": "71 % udp"}) == {name: commands_for(name) for name in ("r1", "r2")}


def test_routers_that_the_same_is_said_of_have_one_command() -> None:
    helps = explained({"r1": "70 % udp", "r2": "70 % udp", "r3": "71 % udp"})
    assert helps == {"r1": commands_for("r1,r2"), "r2": commands_for("r1,r2"), "r3": commands_for("r3")}


def test_routers_that_are_too_many_to_be_named_have_a_command_each() -> None:
    names = [f"r{number}" for number in range(11)]
    assert explained(dict.fromkeys(names, "70 % udp")) == {name: commands_for(name) for name in names}

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run that is interrupted with Ctrl-C says what was done by then, and which routers were being changed."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import time

import pytest
import yaml
from helpers.json_routers import ANSIBLE_PLAYBOOK, Fleet
from helpers.support import CHECKOUT, wait_until, with_default_signals


def add_callback(fleet: Fleet) -> None:
    """Give the stand-in collection the callback, too."""
    plugins = fleet.directory / "ansible_collections" / "netops" / "conntrack" / "plugins"
    (plugins / "callback").symlink_to(CHECKOUT / "plugins" / "callback")


def interrupt(fleet: Fleet, slow: str, playbook: str, *options: str) -> tuple[int, str]:
    """Run a playbook until it asks the router ``slow``, which never answers; give exit code and output."""
    add_callback(fleet)
    interpreter = pathlib.Path(fleet.hosts[slow]["ansible_python_interpreter"])
    asked = fleet.directory / f"{slow}.asked"
    interpreter.write_text(f'#!/bin/sh\n: > "{asked}"\nexec sleep 30\n')
    (fleet.directory / "inventory.yml").write_text(yaml.safe_dump({"all": {"hosts": fleet.hosts}}))
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(fleet.directory),
        "ANSIBLE_PIPELINING": "true",
        "ANSIBLE_CALLBACKS_ENABLED": "netops.conntrack.conntrack_fleet",
        "NETOPS_CONNTRACK_FLEET": "always",
    }
    command = [
        str(ANSIBLE_PLAYBOOK),
        "-i",
        "inventory.yml",
        playbook,
        "-e",
        "target=all",
        *options,
    ]
    with subprocess.Popen(
        [*command, *options],
        cwd=fleet.directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=with_default_signals,
    ) as process:
        wait_until(asked.exists)
        # The router before it has answered, as they come one after the other.
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        assert process.stdout
        output = process.stdout.read()
    return process.returncode, " ".join(output.split())


@pytest.mark.parametrize(
    ("playbook", "words"),
    [
        ("prune", "b_slow: conntrack_prune was at work. What it did by then is not known here"),
        ("audit", ""),
    ],
)
def test_an_interrupted_run_says_what_it_did(fleet: Fleet, playbook: str, words: str) -> None:
    fleet.add("a_good")
    fleet.add("b_slow")
    rc, output = interrupt(fleet, "b_slow", f"netops.conntrack.{playbook}", "--forks", "1")
    assert rc == 99
    assert "User interrupted execution" in output
    assert words in output
    assert ("The run was interrupted." in output) == bool(words)
    if words:
        assert "a_good: 90,000 entries were deleted." in output
        assert "Deleted entries do not come back by themselves." in output


def test_what_was_skipped_was_not_at_work_and_what_a_loop_did_is_counted(fleet: Fleet) -> None:
    fleet.add("a_good")
    fleet.add("b_slow")
    prune = {"match": {"protocol": "tcp"}, "max_delete": "100%"}
    tasks = [
        {
            "netops.conntrack.conntrack_prune": prune,
            "loop": [1, 2],
            "when": "inventory_hostname == 'a_good'",
        },
        {"netops.conntrack.conntrack_facts": {}},
    ]
    (fleet.directory / "own.yml").write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
    _rc, output = interrupt(fleet, "b_slow", "own.yml", "--forks", "1")
    assert "User interrupted execution" in output
    assert "a_good: 90,000 entries were deleted." in output
    assert "at work" not in output


def test_a_run_that_comes_to_its_end_says_nothing_of_it(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet.add("good")
    add_callback(fleet)
    monkeypatch.setenv("ANSIBLE_CALLBACKS_ENABLED", "netops.conntrack.conntrack_fleet")
    monkeypatch.setenv("NETOPS_CONNTRACK_FLEET", "always")
    output = fleet.run("prune").stdout
    assert "CONNTRACK FLEET" in output
    assert "interrupted" not in output

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook tune and its undo, on a router with timeouts that the module would not set but has to restore."""

from __future__ import annotations

import json
import pathlib

from helpers.overlaid_router import OverlaidRouter, overlaid_router
from helpers.settings_module import PREFIX, sysctl
from helpers.support import run, run_ansible

BEFORE = {"tcp_timeout_established": 2592000, "generic_timeout": 0, "acct": 0}
TUNED = {"tcp_timeout_established": 54000, "generic_timeout": 120, "acct": 1}
ENTRY = "-I -p tcp -s 10.0.0.2 -d 192.0.2.1 --sport 1001 --dport 80 --state ESTABLISHED -u SEEN_REPLY,ASSURED -t 400000"
UNDO = ("-e", "conntrack_tune_state=absent")


def tune(directory: pathlib.Path, router: OverlaidRouter, *arguments: str) -> None:
    """Run the playbook, which has to succeed."""
    inventory = directory / "inventory.json"
    inventory.write_text(json.dumps({"all": {"hosts": {"router1": router.variables}}}))
    command = ["ansible-playbook", "netops.conntrack.tune", "-e", "target=router1", *arguments]
    done = run_ansible([*command, "-e", f"conntrack_audit_report_directory={directory}"], inventory, directory)
    assert done.returncode == 0, done.stdout + done.stderr


def held(router: OverlaidRouter) -> dict[str, int]:
    return {short: sysctl(router.netns, short) for short in BEFORE}


def test_timeouts_that_only_the_kernel_takes_are_restored(tmp_path: pathlib.Path) -> None:
    with overlaid_router(tmp_path) as router:
        run(["sysctl", "-qw", *(f"{PREFIX}{short}={value}" for short, value in BEFORE.items())], netns=router.netns)
        run(["conntrack", "-R", "-"], netns=router.netns, text=f"{ENTRY}\n")
        tune(tmp_path, router)
        assert held(router) == TUNED
        seconds = int(run(["conntrack", "-L"], netns=router.netns).split()[2])
        assert seconds <= TUNED["tcp_timeout_established"]
        tune(tmp_path, router, *UNDO, "--check")
        assert held(router) == TUNED
        tune(tmp_path, router, *UNDO)
        assert held(router) == BEFORE
        tune(tmp_path, router, *UNDO)

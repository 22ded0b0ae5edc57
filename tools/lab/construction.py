# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Building one router with its client and its server, the traffic through it, and the stale entries on it."""

from __future__ import annotations

import pathlib
import re
import sys

import access
from processes import LabError, run
from record import Lab
from topology import (
    ROUTER_SYSCTLS,
    STALE_DESTINATIONS,
    Router,
    address_commands,
    creation_commands,
    ruleset_variables,
)

_HERE = pathlib.Path(__file__).resolve().parent
_PYTHON = (sys.executable, "-S")
_STALE = re.compile(r" ESTABLISHED .* packets=1 bytes=\d+ \[UNREPLIED\]")


def build_router(lab: Lab, router: Router, stale: int, interval: float) -> None:
    """Build ``router`` with all that belongs to it and ``stale`` entries; its flows send every ``interval`` seconds."""
    _connect(router)
    access.start_sshd(lab.ssh, router)
    _start_flows(lab, router, interval)
    _leave_stale_entries(router, stale)


def state_file(lab: Lab, router: Router) -> pathlib.Path:
    """Return the file in which the client of ``router`` writes how its flows fare."""
    return lab.flows / f"{router.name}.json"


def stale_entries(router: Router) -> int:
    """Count the stale entries of ``router``, as the conntrack tool shows them."""
    return len(stale_listing(router))


def stale_listing(router: Router) -> list[str]:
    """Return the lines of the conntrack tool on the stale entries of ``router``, of both families."""
    lines: list[str] = []
    for destination in STALE_DESTINATIONS.values():
        family = "ipv6" if ":" in destination else "ipv4"
        command = ["conntrack", "-L", "-f", family, "-p", "tcp", "--orig-dst", destination]
        lines += run(command, netns=router.namespace).splitlines()
    return [line for line in lines if _STALE.search(line)]


def _connect(router: Router) -> None:
    access.make_private_etc(router)
    run(["ip", "-batch", "-"], text=creation_commands(router))
    # The links are down: connection tracking comes with the ruleset, then its accounting, and only then packets.
    defines = (("--define", f"{name}={value}") for name, value in ruleset_variables().items())
    options = [part for define in defines for part in define]
    run(["nft", *options, "--file", str(_HERE / "router.nft")], netns=router.namespace)
    run(["sysctl", "-q", "-w", *(f"{key}={value}" for key, value in ROUTER_SYSCTLS.items())], netns=router.namespace)
    run(["sysctl", "-q", "-w", "net.ipv4.ping_group_range=0 0"], netns=router.client)
    for namespace, commands in address_commands(router).items():
        run(["ip", "-n", namespace, "-batch", "-"], text=commands)


def _start_flows(lab: Lab, router: Router, interval: float) -> None:
    live, log = str(_HERE / "live.py"), str(lab.flows / f"{router.name}.log")
    run([*_PYTHON, live, "serve", log], netns=router.server)
    run([*_PYTHON, live, "carry", log, str(state_file(lab, router)), str(interval)], netns=router.client)


def _leave_stale_entries(router: Router, wanted: int) -> None:
    sent = 0
    while (missing := wanted - stale_entries(router)) > 0:
        if sent > 2 * wanted:
            raise LabError(f"{router.name}: {missing} of {wanted} stale entries are missing after {sent} packets")
        run([*_PYTHON, str(_HERE / "stale.py"), str(sent), str(missing)], netns=router.client)
        sent += missing

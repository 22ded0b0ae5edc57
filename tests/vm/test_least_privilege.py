# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""CAP_NET_ADMIN alone, given by a real systemd as the page about security says."""

from __future__ import annotations

import re
import shlex
import typing as t

import pytest
from helpers.guest_tables import LIBRARY
from helpers.support import CHECKOUT
from vm import VirtualMachine

USER = "conntrack"
TOLD = "/run/least-privilege"
ENTRIES = 5
ENTRY = "-p udp -s 198.18.0.{} -d 203.0.113.1 --sport 4000 --dport 53 -t 1000"
PROGRAM = """
import pathlib, sys
sys.path[:0] = [sys.argv[1]]
from ansible_collections.netops.conntrack.plugins.module_utils._table.table import Table
with Table() as table:
    ports = table.read(lambda blocks: [entry.destination_port for block in blocks for entry in block.entries()])
print("entries", ports.count(53))
print(pathlib.Path("/proc/self/status").read_text())
"""


@pytest.fixture
def user(router: VirtualMachine) -> t.Iterator[str]:
    router.sh(f"useradd --system {USER}")
    router.sh("".join(f"conntrack -I {ENTRY.format(host)}\n" for host in range(1, 1 + ENTRIES)))
    yield USER
    router.sh(f"conntrack -D -p udp --dport 53; userdel {USER}; rm -f {TOLD}")


def test_the_documented_properties_are_enough_to_read_the_table(router: VirtualMachine, user: str) -> None:
    page = (CHECKOUT / "docs" / "security.md").read_text(encoding="utf-8")
    properties = re.findall(r"-p (\S+=\S+)", page)
    assert f"User={user}" in properties
    # The guest has no D-Bus, without which systemd-run neither waits nor has a pipe.
    more = ["Type=oneshot", f"StandardOutput=file:{TOLD}"]
    given = " ".join(f"-p {each}" for each in [*properties, *more])
    router.sh(f"systemd-run --quiet {given} python3 -c {shlex.quote(PROGRAM)} {LIBRARY}")
    told = router.sh(f"cat {TOLD}")
    assert f"entries {ENTRIES}\n" in told
    for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert f"{name}:\t{1 << 12:016x}\n" in told
    assert "NoNewPrivs:\t1\n" in told
    number = int(router.sh(f"id -u {user}"))
    assert number
    assert f"Uid:\t{number}\t{number}\t{number}\t{number}\n" in told

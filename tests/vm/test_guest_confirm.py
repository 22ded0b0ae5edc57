# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Changes that wait for their confirmation on another kernel: each in its network namespace, whatever names that."""

from __future__ import annotations

import json
import pathlib
import typing as t

from helpers.guest_tables import GuestTable, guest_table, kernel_version
from helpers.support import run_ansible
from vm import VirtualMachine

SETTING = "net.netfilter.nf_conntrack_tcp_timeout_established"
WAITING = "/run/netops-conntrack"
COOKIES = (5, 14)
"""Since when the kernel names a namespace by a number that no other one gets (SO_NETNS_COOKIE)."""
WITHIN = 20
WAIT = f"for _ in $(seq 600); do [ $(sysctl -n {SETTING}) = %d ] && exit; sleep 0.2; done; exit 1"


def settings(table: GuestTable, home: pathlib.Path, **arguments: t.Any) -> dict[str, t.Any]:
    """Run the module without the action of its name, which would confirm the change, and return its result."""
    wanted = json.dumps({"netns": table.netns, "persist": False, **arguments})
    command = ["ansible", "routers", "-m", "conntrack_settings", "-a", wanted]
    no_action = {"ANSIBLE_ACTION_PLUGINS": str(home)}
    done = run_ansible(command, table.machine.inventory, home, timeout=1800, env=no_action)
    assert done.returncode == 0, done.stdout + done.stderr
    result: dict[str, t.Any] = json.loads(done.stdout.partition("=>")[2])
    return result


def value(table: GuestTable) -> int:
    return int(table.run(f"sysctl -n {SETTING}"))


def test_each_namespace_has_a_change_of_its_own(router: VirtualMachine, tmp_path: pathlib.Path) -> None:
    wanted = {"settings": {"tcp_timeout_established": 3600}}
    with guest_table(router, "kept") as kept, guest_table(router, "forgotten") as forgotten:
        before = value(kept)
        try:
            waits = settings(kept, tmp_path, **wanted, confirm_within="1h")["confirm"]
            number = router.sh(f"ls {WAITING}/pending-*").strip().rpartition("-")[2]
            inode = router.sh("stat --dereference --format=%i /run/netns/kept").strip()
            assert (number != inode) is (kernel_version(router) >= COOKIES)
            assert settings(forgotten, tmp_path, **wanted, confirm_within=f"{WITHIN}s")["confirm"]["confirmed"] is False
            forgotten.run(WAIT % before)
            assert value(kept) == 3600
            confirmed = settings(kept, tmp_path, state="confirmed")["confirm"]
            assert (confirmed["change"], confirmed["confirmed"]) == (waits["change"], True)
            assert router.sh(f"ls {WAITING}").count("pending") == 0
            assert (value(kept), value(forgotten)) == (3600, before)
        finally:
            router.sh(f"rm -rf {WAITING}")

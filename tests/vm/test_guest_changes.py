# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Deletes and updates on another kernel hit exactly what was selected; all that differs in one thing stays."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from helpers.guest_tables import GuestTable, GuestTasks, guest_table
from vm import VirtualMachine

MEANT = "-p tcp -s 198.18.0.1 -d 203.0.113.1 --sport 1000 --dport 443 --state ESTABLISHED -t 1000 --mark 0x12 -w 7"
NEAR_MISSES = {
    "source": MEANT.replace("198.18.0.1", "198.18.0.2"),
    "destination": MEANT.replace("203.0.113.1", "203.0.113.2"),
    "source port": MEANT.replace("--sport 1000", "--sport 2000"),
    "destination port": MEANT.replace("--dport 443", "--dport 444"),
    "protocol": MEANT.replace("-p tcp", "-p udp").replace("--state ESTABLISHED ", ""),
    "family": MEANT.replace("198.18.0.1", "2001:db8::1").replace("203.0.113.1", "2001:db8::2"),
    "zone": MEANT.replace("-w 7", "-w 8"),
    "no zone": MEANT.replace(" -w 7", ""),
    # Where only one field differs that is no part of what tells entries apart, the port does too.
    "state": MEANT.replace("--sport 1000", "--sport 1002").replace("ESTABLISHED", "SYN_SENT"),
    "mark": MEANT.replace("--sport 1000", "--sport 1003").replace("0x12", "0x13"),
    "replied": MEANT.replace("--sport 1000", "--sport 1004") + " -u SEEN_REPLY",
    "assured": MEANT.replace("--sport 1000", "--sport 1005") + " -u SEEN_REPLY,ASSURED",
    "translated": MEANT.replace("--sport 1000", "--sport 1006") + " -g 198.51.100.1",
    "remaining": MEANT.replace("--sport 1000", "--sport 1007").replace("-t 1000", "-t 90000"),
}
SELECTOR: dict[str, t.Any] = {
    "protocol": "tcp",
    "source": "198.18.0.1",
    "destination": "203.0.113.1",
    "source_port": "1000-1007",
    "destination_port": 443,
    "state": "ESTABLISHED",
    "mark": "0x12",
    "zone": 7,
    "replied": False,
    "assured": False,
    "nat": "none",
    "remaining": {"max": 2000},
}


@pytest.fixture
def table(router: VirtualMachine) -> t.Iterator[GuestTable]:
    with guest_table(router, "changed") as made:
        made.insert(MEANT, *NEAR_MISSES.values())
        yield made


@pytest.fixture
def tasks(router: VirtualMachine, tmp_path: pathlib.Path) -> GuestTasks:
    return GuestTasks(router, tmp_path)


def meant(table: GuestTable) -> int:
    """Return the id of the entry that is meant, as the tool shows it."""
    [found] = [
        own
        for own, entry in table.entries().items()
        if (entry["source"], entry["destination"], entry["source_port"], entry["destination_port"], entry["zone"])
        == ("198.18.0.1", "203.0.113.1", 1000, 443, 7)
        and entry["protocol_number"] == 6
    ]
    return found


def lasting(table: GuestTable) -> dict[int, dict[str, t.Any]]:
    """Return the entries by id, without what passes."""
    return {own: {**entry, "remaining": None, "use": None} for own, entry in table.entries().items()}


def test_only_what_is_meant_is_deleted(table: GuestTable, tasks: GuestTasks) -> None:
    own, before = meant(table), lasting(table)
    assert len(before) == 1 + len(NEAR_MISSES)
    options = {"netns": table.netns, "match": [SELECTOR]}
    [foretold] = tasks.results(("conntrack_prune", options), check=True)
    assert (foretold["would_delete"], foretold["deleted"]) == (1, 0), foretold["sample"]
    assert lasting(table) == before
    [done] = tasks.results(("conntrack_prune", options))
    assert (done["matched"], done["deleted"], done["already_gone"], done["undecidable"]) == (1, 1, 0, 0)
    assert lasting(table) == {other: entry for other, entry in before.items() if other != own}


def test_only_what_is_meant_is_updated(table: GuestTable, tasks: GuestTasks) -> None:
    own, before = meant(table), lasting(table)
    options = {"netns": table.netns, "match": [SELECTOR], "timeout": {"max": 500}, "mark": "0x40/0xf0"}
    [done, again] = tasks.results(("conntrack_update", options), ("conntrack_info", {"netns": table.netns}))
    assert (done["matched"], done["updated"], again["total"]) == (1, 1, len(before))
    entries = table.entries()
    assert entries[own]["mark"] == 0x42
    assert entries[own]["remaining"] <= 500
    assert all(entry["remaining"] > 500 for other, entry in entries.items() if other != own)
    assert lasting(table) == {**before, own: {**before[own], "mark": 0x42}}


def test_a_deleted_entry_stays_gone_and_the_rest_can_follow(table: GuestTable, tasks: GuestTasks) -> None:
    whole = {"netns": table.netns, "match": [{"family": ["ipv4", "ipv6"]}]}
    first, second = tasks.results(("conntrack_prune", whole), ("conntrack_prune", whole))
    assert (first["deleted"], second["deleted"]) == (1 + len(NEAR_MISSES), 0)
    assert table.entries() == {}

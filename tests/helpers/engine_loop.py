# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads, prunes and restores the table of its namespace in a loop, in one process.

Run as ``engine_loop.py DIRECTORY``, with a directory for its backups. It goes on until its input ends, and then prints
as JSON how often it did so, and what the process took at the first look and at the last one.
"""

from __future__ import annotations

import json
import os
import pathlib
import resource
import select
import sys
import typing as t

from helpers.in_process import call_module

WARM_UP = 20
"""After so many turns, everything that is kept for the next one is there."""
PAUSE = 1.5
"""Seconds between two turns, so that the loop leaves the processors to what runs beside it."""
KEPT = 2
"""How many backups are kept."""
DESTINATION = "203.0.113.77"
"""Of the entries that are deleted and restored."""
_PRUNE = {"match": {"protocol": "udp", "destination": DESTINATION}, "backup": True, "backup_keep": KEPT}


def call(module: str, **args: t.Any) -> dict[str, t.Any]:
    """Return the result of a module that is run in this process."""
    result = call_module(module, args)
    assert not result.failed, result
    return result.data


def turn(directory: str) -> None:
    """Read the table, delete the entries of others that match, and restore them."""
    assert call("conntrack_facts", explain=3)["ansible_facts"]
    assert call("conntrack_info", match="protocol=udp,tcp", group_by=["destination_port"])["total"] > 0
    pruned = call("conntrack_prune", **_PRUNE, backup_dir=directory)
    restored = call("conntrack_restore", src=pruned["backup_file"])
    assert restored["restored"] == pruned["deleted"] > 0, (pruned, restored)


def taken() -> dict[str, int]:
    """Return the kilobytes and the open files of this process."""
    with open("/proc/self/statm", encoding="ascii") as file:
        kilobytes = int(file.read().split()[1]) * resource.getpagesize() // 1024
    return {"kilobytes": kilobytes, "descriptors": len(os.listdir("/proc/self/fd"))}


def main() -> None:
    """Go on until the input ends."""
    directory = sys.argv[1]
    first: dict[str, int] = {}
    turns = 0
    while not first or not select.select([sys.stdin], [], [], PAUSE)[0]:
        turn(directory)
        turns += 1
        if turns == WARM_UP:
            first = taken()
    files = len(list(pathlib.Path(directory).iterdir()))
    print(json.dumps({"turns": turns, "first": first, "last": taken(), "files": files}))


if __name__ == "__main__":
    main()

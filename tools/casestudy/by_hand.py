# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The founding story's own method: dump, count by address and port, delete one by one, and lower two timeouts."""

from __future__ import annotations

import pathlib
import re
import time
import typing as t

from casestudy.router import CaseError, count, make_again, setting, stale_by_hand, write_settings
from casestudy.traffic import STALE, Connection, connection
from processes import run
from topology import STALE_SECONDS, Router

Figures = dict[str, t.Any]

LOWERED = {
    "tcp_timeout_established": 54_000,
    "tcp_timeout_unacknowledged": 54_000,
    "tcp_timeout_max_retrans": 54_000,
    "generic_timeout": 120,
}
"""What the operator of the story set, and the timeouts that an unanswered entry has on this kernel."""

_COUNTED = (("source address", "src"), ("destination address", "dst"), ("destination port", "dport"))
_PATIENCE = 3_600.0
_WAIT_SECONDS = 10
_LEFT = re.compile(r"^\S+ +\d+ +(\d+) ")
_UNTIL_ALL_SENT = 2.0
"""Seconds. A live flow has a low timeout of the filling until its next packet."""

_OVER_BELOW = STALE_SECONDS - LOWERED["tcp_timeout_established"]


def measure(router: Router, deletes: int, file: pathlib.Path) -> Figures:
    """Do what the operator did, with ``deletes`` deletes as a sample, and return what it took and showed.

    ``file`` gets the dump. The entries that were deleted are made again, and the timeouts restored. Raises CaseError.
    """
    before = count(router)
    time.sleep(_UNTIL_ALL_SENT)
    figures = {**_dump(router, file), **_delete(router, deletes), **_lower(router)}
    if count(router) < before:
        raise CaseError(f"{router.name}: {before - count(router)} entries were not made again after the sample")
    return figures


def expired_by_hand(listing: t.Iterable[str]) -> int:
    """Return of how many lines of `conntrack -L` the time would be over with the story's timeout, by arithmetic."""
    established = (_LEFT.match(line) for line in listing if line.startswith("tcp") and " ESTABLISHED " in line)
    return sum(int(found.group(1)) <= _OVER_BELOW for found in established if found)


def _dump(router: Router, file: pathlib.Path) -> Figures:
    started = time.monotonic()
    run(["sh", "-c", f"conntrack -L >{file} 2>/dev/null"], netns=router.namespace, patience=_PATIENCE)
    dumped = time.monotonic()
    shown = [_leader(file, title, key) for title, key in _COUNTED]
    counted = time.monotonic()
    with file.open(encoding="ascii") as lines:
        stale = stale_by_hand(lines)
    with file.open(encoding="ascii") as lines:
        expired = expired_by_hand(lines)
    return {
        "dump_seconds": round(dumped - started, 2),
        "dump_bytes": file.stat().st_size,
        "count_seconds": round(counted - dumped, 2),
        "leaders": shown,
        "stale": stale,
        "expired": expired,
    }


def _leader(file: pathlib.Path, title: str, key: str) -> Figures:
    """Return which value of ``key`` most entries have, as a pipeline of awk, sort and uniq says it."""
    # Each entry has the key twice, once for each direction. The first one is that of its first packet.
    pipeline = f"awk '{{for (i = 1; i <= NF; i++) if (sub(/^{key}=/, \"\", $i)) {{print $i; break}}}}' {file}"
    text = run(["sh", "-c", f"{pipeline} | sort | uniq -c | sort -rn | head -1"], patience=_PATIENCE)
    number, value = text.split()
    return {"by": title, "value": value, "entries": int(number)}


def _delete(router: Router, deletes: int) -> Figures:
    """Delete a sample of the stale entries, each with a `conntrack -D` of its own, and make them again."""
    started = time.monotonic()
    for index in range(deletes):
        run(_command(connection(STALE, index)), netns=router.namespace, patience=_PATIENCE)
    taken = time.monotonic() - started
    make_again(router, 0, deletes)
    return {"deletes": deletes, "delete_seconds": round(taken, 2)}


def _command(way: Connection) -> list[str]:
    return [
        *("conntrack", "-D", "-p", "tcp", "--orig-src", address(way.client), "--orig-dst", address(way.server)),
        *("--sport", str(way.client_port), "--dport", str(way.server_port)),
    ]


def address(number: int) -> str:
    """Return the IPv4 address of a number."""
    return ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))


def _lower(router: Router) -> Figures:
    """Lower the two timeouts, count the entries before and afterwards, and restore the timeouts."""
    lower = {f"net.netfilter.nf_conntrack_{name}": value for name, value in LOWERED.items()}
    values = {name: setting(router, name) for name in lower}
    before = count(router)
    try:
        write_settings(router, lower)
        time.sleep(_WAIT_SECONDS)
        after = count(router)
    finally:
        write_settings(router, values)
    return {"before_sysctl": before, "after_sysctl": after}

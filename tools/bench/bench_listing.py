# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads a large file of entries as conntrack_info does, next to awk, which counts one field of the same file.

Both run in turn, round by round, so that whatever else the machine does meets both. The table has the medians, and that
of the ratios of each round. It needs neither root nor connection tracking.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import typing as t

ROOT = pathlib.Path(__file__).resolve().parents[2]

AWK = "{c[$6]++} END {for (k in c) n++; print n}"
"""Counts the lines by their sixth word. That is the state of TCP."""

BAR = 2.0
"""How many times the time of awk the engine may take."""

_STATES = ("ESTABLISHED", "TIME_WAIT", "CLOSE", "FIN_WAIT", "LAST_ACK", "CLOSE_WAIT", "SYN_RECV", "SYN_SENT")
_CLIENTS = 4_000
_TCP, _UDP, _ICMP = 70, 90, 95


def story_lines(number: int) -> t.Iterator[str]:
    """Yield lines of bare ACKs, each from a source of its own."""
    for at in range(number):
        source = f"10.{at >> 16 & 255}.{at >> 8 & 255}.{at & 255}"
        there = f"src={source} dst=203.0.113.200 sport={1024 + at % 60_000} dport=443 packets=1 bytes=40"
        back = f"src=203.0.113.200 dst={source} sport=443 dport={1024 + at % 60_000} packets=0 bytes=0"
        yield f"ipv4     2 tcp      6 {432_000 - at % 300} ESTABLISHED {there} [UNREPLIED] {back} mark=0 zone=0 use=2\n"


def mix_lines(number: int) -> t.Iterator[str]:
    """Yield lines of a router with some clients: 70 % TCP in eight states, 20 % UDP, 5 % ICMP, 5 % IPv6, some NAT."""
    source = random.Random(1)
    return (_mixed_line(source) for _line in range(number))


def _mixed_line(source: random.Random) -> str:
    kind, client, port = source.randrange(100), source.randrange(_CLIENTS), source.randrange(1024, 65_536)
    one, other = f"10.0.{client >> 8}.{client & 255}", f"198.51.{source.randrange(100)}.{source.randrange(256)}"
    if kind >= _ICMP:
        one, other = f"2001:db8::{client:x}", f"2001:db8:1::{source.randrange(65_536):x}"
    family = "ipv6     10" if kind >= _ICMP else "ipv4     2"
    counters = f"packets={source.randrange(1, 99)} bytes={source.randrange(40, 99_999)}"
    if _UDP <= kind < _ICMP:
        there, back = "type=8 code=0 id=1", "type=0 code=0 id=1"
        beginning = f"icmp     1 {source.randrange(30)}"
    else:
        there, back = f"sport={port} dport=443", f"sport=443 dport={port}"
        is_tcp = kind < _TCP or kind >= _ICMP
        beginning = f"udp      17 {source.randrange(180)}"
        if is_tcp:
            beginning = f"tcp      6 {source.randrange(432_000)} {source.choice(_STATES)}"
    reply_to = "203.0.113.1" if kind % 10 == 0 else one
    answered = source.random() < 0.8
    flag, ended = ("", " [ASSURED]") if answered else ("[UNREPLIED] ", "")
    reply_counters = counters if answered else "packets=0 bytes=0"
    return (
        f"{family} {beginning} src={one} dst={other} {there} {counters} {flag}src={other} dst={reply_to} {back} "
        f"{reply_counters}{ended} mark=0 zone=0 delta-time={source.randrange(9_999)} use=2\n"
    )


FILES: dict[str, t.Callable[[int], t.Iterator[str]]] = {"story": story_lines, "mix": mix_lines}


def read_file(path: str, processes: int | None) -> dict[str, t.Any]:
    """Return what conntrack_info with group_by=state says of the file, and what it took."""
    sys.path[:0] = [str(ROOT / ".collections")]
    from ansible_collections.netops.conntrack.plugins.module_utils._listing.listing import Listing
    from ansible_collections.netops.conntrack.plugins.module_utils._query.query import Query, run_query
    from ansible_collections.netops.conntrack.plugins.module_utils._selector.compiler import compile_selection

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    with Listing(path, processes) as listing:
        context = listing.context({})
        every = compile_selection(None, None, context)
        result = run_query(listing, every, context, Query(["state"], [], 100, entries=False))
    seconds = time.perf_counter() - started
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return {
        "seconds": seconds,
        "kilobytes": max(own, children),
        "entries": result["total"],
        "not_understood": listing.not_understood,
    }


def awk_seconds(path: str) -> float:
    """Return how long awk takes."""
    started = time.perf_counter()
    subprocess.run(["awk", AWK, path], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def engine_run(path: str, processes: int | None) -> dict[str, t.Any]:
    """Return what ``read_file`` does, in a process of its own."""
    command = [sys.executable, __file__, "--engine", path]
    if processes is not None:
        command += ["--processes", str(processes)]
    found: dict[str, t.Any] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def row_of(name: str, lines: int, rounds: list[tuple[float, dict[str, t.Any]]], label: str) -> str:
    """Return the line of the table for these rounds of awk and the engine. Raises ValueError for a wrong count."""
    if any(run["entries"] != lines or run["not_understood"] for _awk, run in rounds):
        raise ValueError(f"{name}: not every line was understood")
    awk = statistics.median(seconds for seconds, _run in rounds)
    engine = statistics.median(run["seconds"] for _awk, run in rounds)
    ratio = statistics.median(run["seconds"] / seconds for seconds, run in rounds)
    megabytes = max(run["kilobytes"] for _awk, run in rounds) * 1024 / 1e6
    verdict = "met" if ratio <= BAR else "missed"
    return f"| {name} | {lines:,} | {label} | {awk:.2f} | {engine:.2f} | {ratio:.2f} | {megabytes:.0f} | {verdict} |"


def main() -> None:
    """Print the table of all files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--engine", help=argparse.SUPPRESS)
    parser.add_argument("--processes", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.engine:
        print(json.dumps(read_file(args.engine, args.processes)))
        return
    print("| file | lines | engine | awk s | engine s | ratio | MB | bar of 2 |\n| --- | --: | --- | --: | --: | --: | --: | --- |")
    with tempfile.TemporaryDirectory() as directory:
        for name, lines_of in FILES.items():
            path = str(pathlib.Path(directory) / name)
            with open(path, "w", encoding="ascii") as file:
                file.writelines(lines_of(args.lines))
            for processes, label in ((None, "all processors"), (1, "one process")):
                rounds = [(awk_seconds(path), engine_run(path, processes)) for _round in range(args.rounds)]
                print(row_of(name, args.lines, rounds, label), flush=True)


if __name__ == "__main__":
    main()

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads a large file of entries as conntrack_info does, next to awk, which counts one field of the same file.

Both run in turn, round by round, so that whatever else the machine does meets both. The table has medians, and those
of the ratios of each round, by the clock and by the time of the processors. On a busy machine only the latter says
something. It needs neither root nor connection tracking.
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
    started, processor_started = time.perf_counter(), time.process_time()
    with Listing(path, processes) as listing:
        context = listing.context({})
        every = compile_selection(None, None, context)
        result = run_query(listing, every, context, Query(["state"], [], 100, entries=False))
    seconds = time.perf_counter() - started
    processor_seconds = time.process_time() - processor_started + _processor_seconds(resource.RUSAGE_CHILDREN)
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return {
        "seconds": seconds,
        "processor_seconds": processor_seconds,
        "kilobytes": max(own, children),
        "entries": result["total"],
        "not_understood": listing.not_understood,
    }


def _processor_seconds(of: int) -> float:
    usage = resource.getrusage(of)
    return usage.ru_utime + usage.ru_stime


def awk_run(path: str) -> dict[str, float]:
    """Return how long awk takes, by the clock and of a processor."""
    started, before = time.perf_counter(), _processor_seconds(resource.RUSAGE_CHILDREN)
    subprocess.run(["awk", AWK, path], check=True, stdout=subprocess.DEVNULL)
    used = _processor_seconds(resource.RUSAGE_CHILDREN) - before
    return {"seconds": time.perf_counter() - started, "processor_seconds": used}


def engine_run(path: str, processes: int | None) -> dict[str, t.Any]:
    """Return what ``read_file`` does, in a process of its own."""
    command = [sys.executable, __file__, "--engine", path]
    if processes is not None:
        command += ["--processes", str(processes)]
    found: dict[str, t.Any] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


Round = tuple[t.Mapping[str, t.Any], t.Mapping[str, t.Any]]
"""What awk took, and what the engine."""

HEAD = """| file | lines | engine | awk s | engine s | times awk | of the processors | MB | bar of 2 |
| --- | --: | --- | --: | --: | --: | --: | --: | --- |"""


def row_of(name: str, lines: int, rounds: t.Sequence[Round], label: str) -> str:
    """Return the line of the table for these rounds. Raises ValueError for a wrong count."""
    if any(run["entries"] != lines or run["not_understood"] for _awk, run in rounds):
        raise ValueError(f"{name}: not every line was understood")
    awk = statistics.median(run["seconds"] for run, _engine in rounds)
    engine = statistics.median(run["seconds"] for _awk, run in rounds)
    ratio, of_processors = (
        statistics.median(run[kind] / awk[kind] for awk, run in rounds) for kind in ("seconds", "processor_seconds")
    )
    megabytes = max(run["kilobytes"] for _awk, run in rounds) * 1024 / 1e6
    cells = (name, f"{lines:,}", label, f"{awk:.2f}", f"{engine:.2f}", f"{ratio:.2f}", f"{of_processors:.2f}")
    return f"| {' | '.join(cells)} | {megabytes:.0f} | {'met' if ratio <= BAR else 'missed'} |"


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
    print(HEAD)
    with tempfile.TemporaryDirectory() as directory:
        for name, lines_of in FILES.items():
            path = str(pathlib.Path(directory) / name)
            with open(path, "w", encoding="ascii") as file:
                file.writelines(lines_of(args.lines))
            for processes, label in ((None, "all processors"), (1, "one process")):
                rounds = [(awk_run(path), engine_run(path, processes)) for _round in range(args.rounds)]
                print(row_of(name, args.lines, rounds, label), flush=True)


if __name__ == "__main__":
    main()

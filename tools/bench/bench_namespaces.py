# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Measures what all network namespaces of a machine cost in one call, next to the sum of the single ones, in turns.

Each of the namespaces has a process and no name, and a table with as many entries as you say. The sum is what the same
facts take one namespace after the other in a process that has entered it already: dump, summary, explanation and
selectors, without the start of an interpreter. A dump walks through the hash table of the whole machine, so each takes
its time however few entries it has.

It works where no other namespaces and processes of the machine are seen, so that only these are measured.
Needs root. Exit status 1: a count is wrong, or a bar is missed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time
import typing as t

TOOLS = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TOOLS), str(TOOLS.parent / "tests"), str(TOOLS.parent / ".collections")]

# ruff: noqa: E402  (they are found through the line above)
from ansible_collections.netops.conntrack.plugins.module_utils import _netns
from ansible_collections.netops.conntrack.plugins.module_utils._facts.table_facts import count_table
from ansible_collections.netops.conntrack.plugins.module_utils._selector.named_selectors import NAMED
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.sysctl import read_settings
from ansible_collections.netops.conntrack.plugins.module_utils._table.table import Table
from helpers.support import run, run_module

MOST_TIMES, MOST_SECONDS = 1.1, 1.0
"""How much longer than the sum one call may take: a tenth, and a second for the start of the module."""

_ENTRY = "-I -p udp -s 198.18.{}.{} -d 203.0.113.{} --sport {} --dport 53 -t 3000"

_HIDDEN = 'mkdir -p /run/netns; mount -t tmpfs none /run/netns; exec "$@"'
_ALONE = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-ec", _HIDDEN, "sh"]

Facts = dict[str, t.Any]


def main() -> None:
    """Fill the namespaces, measure the pairs, and print a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--namespaces", type=int, default=100)
    parser.add_argument("--entries", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--single-calls", action="store_true", help="measure a call of the module for each, too")
    parser.add_argument("--alone", action="store_true", help="given by the program to itself, once it is alone")
    options = parser.parse_args()
    if not options.alone:
        command = [sys.executable, __file__, *sys.argv[1:], "--alone"]
        os.execvp(_ALONE[0], [*_ALONE, *command])
    with contextlib.ExitStack() as stack:
        pids = [stack.enter_context(_filled(options.entries)) for _number in range(options.namespaces)]
        pairs = [
            (_sum_of_dumps(pids, options.entries), _one_call(pids, options.entries)) for _run in range(options.runs)
        ]
        single_calls = round(_single_calls(pids), 2) if options.single_calls else None
    sums, calls = ([pair[side] for pair in pairs] for side in (0, 1))
    figures = {
        "namespaces": options.namespaces,
        "entries_of_each": options.entries,
        "sum_of_dumps_seconds": round(statistics.median(sums), 2),
        "one_call_seconds": round(statistics.median(calls), 2),
        "above_the_sum_and_a_tenth_seconds": round(
            statistics.median(call - MOST_TIMES * dumps for dumps, call in pairs), 2
        ),
        "single_calls_seconds": single_calls,
    }
    print(json.dumps(figures))
    sys.exit(figures["above_the_sum_and_a_tenth_seconds"] > MOST_SECONDS)


@contextlib.contextmanager
def _filled(entries: int) -> t.Iterator[int]:
    """Yield the number of a process in a namespace of its own, whose table has so many entries."""
    pipe = subprocess.PIPE
    command = ["unshare", "--net", "sh", "-c", "echo started; read line"]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            assert process.stdout
            process.stdout.readline()
            lines = (
                _ENTRY.format(number // 250 % 250, number % 250, number % 7, 1024 + number) for number in range(entries)
            )
            enter = ["nsenter", f"--net=/proc/{process.pid}/ns/net"]
            run([*enter, "conntrack", "-R", "-"], text="".join(f"{line}\n" for line in lines))
            yield process.pid
        finally:
            process.kill()


def _sum_of_dumps(pids: t.Sequence[int], entries: int) -> float:
    """Return the seconds that the same facts of each namespace take by themselves, added up."""
    seconds = 0.0
    for pid in pids:
        with _netns.inside(f"pid:{pid}"):
            begin = time.perf_counter()
            with Table() as table:
                facts = count_table(table, read_settings(), 10, NAMED, with_summary=True)
            seconds += time.perf_counter() - begin
        _require(facts, entries)
    return seconds


def _one_call(pids: t.Sequence[int], entries: int) -> float:
    """Return the seconds of the module that measures all of them, with the start of its interpreter."""
    begin = time.perf_counter()
    args = {"gather_subset": ["usage", "table", "selectors", "namespaces"], "namespaces": "all"}
    result = run_module("conntrack_facts", args)
    seconds = time.perf_counter() - begin
    found = result.data["ansible_facts"]["conntrack"]["namespaces"]
    for pid in pids:
        _require(found[f"pid:{pid}"], entries)
    return seconds


def _single_calls(pids: t.Sequence[int]) -> float:
    """Return the seconds of one call of the module for each namespace."""
    begin = time.perf_counter()
    for pid in pids:
        run_module("conntrack_facts", {"gather_subset": ["usage", "table", "selectors"], "netns": f"pid:{pid}"})
    return time.perf_counter() - begin


def _require(facts: Facts, entries: int) -> None:
    """End the bench where a table has other entries than it should have, or is not explained."""
    counted, clusters = facts["table"]["entries"], facts["table"]["filled_by"]
    if counted != entries or not clusters or not facts["selectors"]:
        raise SystemExit(f"{counted} entries were counted, not {entries}, in {len(clusters)} clusters")


if __name__ == "__main__":
    main()

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Does one piece of the table engine's work in this process, and prints as one line of JSON what it took.

Run it in the network namespace of the table. The seconds are from before the sockets are opened until the result is
there; memory is in megabytes (10**6 bytes): what is resident before, and at the most, here and in the reading process.
"""

from __future__ import annotations

import time

LAUNCHED = time.clock_gettime(time.CLOCK_BOOTTIME)

# ruff: noqa: E402  (the start is measured before the imports, which are a part of it)
import argparse
import json
import os
import pathlib
import resource
import sys
import typing as t

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / ".collections"), str(ROOT / "tools")]

from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.backup import backing_up
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.backup_directory import BackupPlan
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.guards import Guards
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.protections import protections_of
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.prune import prune
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.prune_plan import (
    PrunePlan,
    parse_limit,
)
from ansible_collections.netops.conntrack.plugins.module_utils._facts.options import USUAL
from ansible_collections.netops.conntrack.plugins.module_utils._facts.table_facts import count_table
from ansible_collections.netops.conntrack.plugins.module_utils._pair.sync_ports import USUAL as USUAL_PORTS
from ansible_collections.netops.conntrack.plugins.module_utils._query.export import exporting
from ansible_collections.netops.conntrack.plugins.module_utils._query.query import Query, run_query
from ansible_collections.netops.conntrack.plugins.module_utils._selector.compiler import compile_selection
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.sysctl import read_settings
from ansible_collections.netops.conntrack.plugins.module_utils._table.writable import WritableTable
from bench.story import STORY

TCP: dict[str, t.Any] = {"protocol": "tcp"}
OVERLAP = {"yes": True, "no": False, "auto": None}

Counts = dict[str, t.Any]


def summary(table: WritableTable, args: argparse.Namespace) -> Counts:
    """Count the whole table, as conntrack_facts does."""
    counts: Counts = count_table(table, read_settings(), 10, {}, with_summary=True, explain=args.explain)["table"]
    return {name: counts[name] for name in ("entries", "families", "protocols", "states", "status", "packets", "bytes")}


def delete(table: WritableTable, args: argparse.Namespace) -> Counts:
    """Select and delete, as conntrack_prune does without or with a limit, and with a backup."""
    context = Context.read(read_settings())
    selection = compile_selection([{"prune-tcp": TCP, "prune-stale": STORY}[args.work]], None, context)
    plan = PrunePlan(
        selection,
        Guards(frozenset(), helpers=True, protections=protections_of((), sync_ports=USUAL_PORTS)),
        context,
        sample=5,
        whole=False,
    )
    backup_plan = BackupPlan(args.backup) if args.backup else None
    with backing_up(backup_plan, context, dry_run=False) as backup:
        outcome = prune(table, plan, parse_limit(args.max_delete), dry_run=False, backup=backup)
    result = outcome.result(None, with_diff=False)
    return {name: result[name] for name in ("matched", "deleted", "already_gone", "not_deleted")}


def export(table: WritableTable, args: argparse.Namespace) -> Counts:
    """Write every entry to a file, as conntrack_info does."""
    context = Context.read(read_settings())
    with exporting(os.path.abspath(args.dest), "extended", context) as file:
        result = run_query(table, compile_selection(None, None, context), context, Query([], [], 0), file)
    return {"matched": result["matched"]}


WORKS = {"summary": summary, "prune-tcp": delete, "prune-stale": delete, "export": export}


def megabytes() -> float:
    """Return the most memory that this process had resident so far (proc(5): VmHWM, in KiB).

    Not getrusage(2), whose figure begins with that of the process that started this one.
    """
    with open("/proc/self/status", encoding="ascii") as file:
        line = next(line for line in file if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024 / 1e6


def started_seconds_ago() -> float:
    """Return for how long this process has been there (proc(5): field 22 of stat, in clock ticks since boot)."""
    with open("/proc/self/stat", encoding="ascii") as file:
        ticks = int(file.read().rpartition(")")[2].split()[19])
    return LAUNCHED - ticks / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Do the work that the arguments name, and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", choices=WORKS)
    parser.add_argument("dest", nargs="?", help="the file of the work export")
    parser.add_argument("--overlap", choices=OVERLAP, default="auto")
    parser.add_argument("--explain", type=int, default=USUAL, help="clusters that the work summary looks for")
    parser.add_argument("--max-delete", help="as the option of conntrack_prune: with it the table is read first")
    parser.add_argument("--backup", help="a directory that gets a backup of what a prune deletes")
    args = parser.parse_args()
    before_launch = started_seconds_ago()
    memory_before = megabytes()
    launched = time.clock_gettime(time.CLOCK_BOOTTIME)
    started, started_processor = time.perf_counter(), time.process_time()
    with WritableTable(OVERLAP[args.overlap]) as table:
        counts = WORKS[args.work](table, args)
    seconds = time.perf_counter() - started
    print(
        json.dumps(
            {
                "seconds": seconds,
                "processor_seconds": time.process_time() - started_processor,
                "start_up_seconds": before_launch + launched - LAUNCHED,
                "rss_start": memory_before,
                "rss_peak": megabytes(),
                "rss_reader": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e6,
                "counts": counts,
            }
        )
    )


if __name__ == "__main__":
    main()

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The case study: the story's router at full size, the story's own method on it, and the commands of this collection.

Needs root in the first network namespace, and 2 GB of memory. Sets nf_conntrack_max of the machine and restores it.
Prints each step, and writes the figures as JSON. Exit status 1: something did not come out as it has to.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import pathlib
import signal
import sys
import time
import types
import typing as t

TOOLS = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(TOOLS), str(TOOLS / "lab"), str(TOOLS.parent / "tests")]

# ruff: noqa: E402  (they are found through the line above)
from casestudy import by_hand, router
from casestudy.commands import Operator
from casestudy.machine import describe
from casestudy.router import CaseError
from processes import LabError, run
from record import Lab

WORK = TOOLS.parent / ".work" / "case-study"
Figures = dict[str, t.Any]

_FEWEST, _MOST = 3_000, 2_000_000
"""The entries of a table: the lab has 240 of its own, and each slice needs some."""
_ROOM = 300


def main() -> None:
    """Do the study, and write its figures."""
    options = _options()
    wrong = _wrong(options.entries, options.limit, options.deletes)
    if wrong:
        sys.exit(f"case study: {wrong} Nothing was touched.")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    try:
        figures = study(options.entries, options.limit, options.deletes, options.directory)
    except (CaseError, LabError) as error:
        sys.exit(f"case study: {error}")
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    say(f"figures written to {options.json}. The reports are in {options.directory / 'reports'}")


def study(entries: int, limit: int, deletes: int, directory: pathlib.Path) -> Figures:
    """Build the router, fill its table, do both methods, and return the figures. Raises CaseError and LabError."""
    reports = directory / "reports"
    reports.mkdir(parents=True, exist_ok=True)
    load = os.getloadavg()
    with router.limit(limit), router.standing_router(directory / "lab") as built:
        say(f"fill the table with {entries:,} entries, limit {limit:,}")
        started = time.monotonic()
        made = router.fill(built.routers[0], entries)
        filled: Figures = {"seconds": round(time.monotonic() - started, 1), "sent": made}
        filled["entries"] = router.count(built.routers[0])
        say(f"{filled['entries']:,} entries after {filled['seconds']:.0f} s, as conntrack -C says")
        hand = by_hand.measure(built.routers[0], deletes, directory / "dump.txt")
        say(f"by hand: {json.dumps(hand)}")
        operator = Operator(built, reports, say)
        _commands(operator, hand)
        live = operator.flows()
    return {
        "measured": datetime.date.today().isoformat(),
        "machine": describe(),
        "load": [round(load[0], 1), round(os.getloadavg()[0], 1)],
        "limit": limit,
        "filled": filled,
        "by_hand": hand,
        "steps": operator.steps,
        "live": live,
    }


def _commands(operator: Operator, hand: Figures) -> None:
    """Type the commands, and hold what they say against what conntrack shows. Raises CaseError."""
    stale = hand["stale"]
    operator.audit("audit")
    _require("stale entries that the audit found", operator.steps[-1]["stale"], stale)
    operator.explain()
    operator.forecast(by_hand.LOWERED)
    _require("entries that would be gone", operator.steps[-1]["gone"], hand["expired"])
    operator.tune("tune --check", "--check")
    operator.prune("prune --check", "--check")
    _require("entries that would be deleted", operator.steps[-1]["would_delete"], stale)
    operator.prune("prune")
    _require("stale entries after the prune", _listed(operator.built, router.stale_by_hand), 0)
    _require("entries that were deleted", operator.steps[-1]["deleted"], stale)
    operator.tune("tune")
    operator.audit("audit again")
    operator.restore("restore --check", "--check")
    operator.restore("restore")
    _require("entries that were restored", operator.steps[-1]["restored"], stale)
    _require("unanswered entries after the restore", _listed(operator.built, router.unanswered_by_hand), stale)
    operator.undo_settings()


def _listed(built: Lab, judge: t.Callable[[t.Iterable[str]], int]) -> int:
    """Return how many of the entries that conntrack lists on the router ``judge`` counts."""
    listing = run(["conntrack", "-L", "-p", "tcp"], netns=built.routers[0].namespace, patience=600)
    return judge(listing.splitlines())


def _require(what: str, found: int, wanted: int) -> None:
    if found != wanted:
        raise CaseError(f"{what}: {found:,}, not {wanted:,}")


def say(line: str) -> None:
    """Print a line of the study's own."""
    print(f"case study: {line}", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--entries", type=int, default=router.ENTRIES, help="entries of the table, default: 917115")
    parser.add_argument("--limit", type=int, default=router.LIMIT, help="nf_conntrack_max meanwhile, default: 917504")
    parser.add_argument("--deletes", type=int, default=10, help="how many conntrack -D are measured, default: 10")
    parser.add_argument("--directory", type=pathlib.Path, default=WORK, help="default: .work/case-study")
    parser.add_argument("--json", type=pathlib.Path, default=WORK / "case-study.json", help="where the figures go")
    return parser.parse_args()


def _wrong(entries: int, limit: int, deletes: int) -> str:
    """Return what is wrong with the options, or an empty text."""
    if not _FEWEST <= entries <= _MOST:
        return f"--entries: {entries} is out of range. Give a number from {_FEWEST} to {_MOST}."
    if limit < entries + _ROOM:
        return f"--limit: {limit} leaves no room for Ansible's connections. Give {entries + _ROOM} or more."
    if not 1 <= deletes <= _FEWEST // 100:
        return f"--deletes: {deletes} is out of range. Give a number from 1 to {_FEWEST // 100}."
    return ""


def _end(number: int, _frame: types.FrameType | None) -> t.NoReturn:
    """Leave by an exception, so that everything is restored. Nothing interrupts that."""
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    sys.exit(f"case study: ended by {signal.Signals(number).name}")


if __name__ == "__main__":
    main()

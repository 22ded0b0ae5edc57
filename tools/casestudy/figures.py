# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the case study measured, in the form of its JSON file, and the numbers and tables that follow from it."""

from __future__ import annotations

import typing as t

from bench.report import markdown_table

Figures = dict[str, t.Any]


_SHOWN = {
    "audit": "{stale:,} stale entries, {found} findings",
    "explain": "what {share} % of the entries have in common, see below",
    "forecast": "{gone:,} would be gone, {then:,} left, {unknown:,} unknown",
    "tune --check": "{gone:,} would be gone, {then:,} left, {changed} settings would change",
    "prune --check": "{would_delete:,} would be deleted",
    "prune": "{deleted:,} deleted",
    "tune": "{changed} settings changed, {shortened:,} entries shortened",
    "audit again": "{stale:,} stale entries, {found} findings",
    "restore --check": "{restored:,} of {in_backup:,} would be restored",
    "restore": "{restored:,} restored, {existing:,} existing, {expired:,} expired",
    "undo of tune": "the settings from before",
}


def step(figures: Figures, name: str) -> Figures:
    """Return the figures of the command ``name``. Raises StopIteration without it."""
    return next(each for each in figures["steps"] if each["name"] == name)


def stale_after(figures: Figures, name: str) -> int:
    """Return how many of the story's entries are in the table after the command ``name``."""
    stale: int = figures["by_hand"]["stale"]
    for each in figures["steps"]:
        stale += (each.get("restored") or 0) * (each["name"] == "restore") - (each.get("deleted") or 0)
        if each["name"] == name:
            break
    return stale


def delete_seconds(figures: Figures) -> float:
    """Return how long one `conntrack -D` took, the mean of the sample."""
    return float(figures["by_hand"]["delete_seconds"] / figures["by_hand"]["deletes"])


def delete_all_seconds(figures: Figures) -> float:
    """Return how long `conntrack -D` for each stale entry would take, extrapolated.

    Each of them reads the table that is left, so the mean is that of the full table and of the one without them.
    """
    stale, entries = figures["by_hand"]["stale"], figures["filled"]["entries"]
    share_of_mean = (entries + entries - stale) / 2 / entries
    return float(delete_seconds(figures) * stale * share_of_mean)


def duration(seconds: float) -> str:
    """Return seconds as people say them."""
    for unit, name in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.1f} {name}"
    return f"{seconds:.1f} s"


def shows(each: Figures) -> str:
    """Return what a command showed, in words."""
    return _SHOWN[each["name"]].format(**each, **_counts(each))


def _counts(each: Figures) -> Figures:
    """Return the numbers that a command's figures do not have as such."""
    changes = each.get("changes", {}).values()
    share = next((line for line in each.get("screen", ()) if " % of " in line), "").partition(" % of ")[0]
    return {
        "found": len(each.get("findings", ())),
        "changed": sum(before != after for before, after in changes),
        "share": share.rpartition(" ")[2],
    }


def report(figures: Figures) -> str:
    """Return the tables of the page as Markdown."""
    machine = ", ".join(f"{name} {value}" for name, value in figures["machine"].items())
    loads = [each["load"] for each in figures["steps"]]
    live, filled = figures["live"], figures["filled"]
    measured = (
        f"Measured {figures['measured']}: {machine}. "
        f"The load of the machine was {min(loads)} to {max(loads)}.\n"
        f"{filled['entries']:,} entries of {figures['limit']:,}, made in {duration(filled['seconds'])}.\n"
        f"{live['flows']} live flows carried {live['blocks']:,} blocks until the end, and none broke."
    )
    typed = "\n".join(f"$ {each['command']}" for each in figures["steps"])
    tables = f"{_hand(figures)}\n\n{_leaders(figures)}\n\n{_steps(figures)}"
    return f"{measured}\n\n{tables}\n\nThe commands, as typed:\n\n```console\n{typed}\n```\n"


def _hand(figures: Figures) -> str:
    hand = figures["by_hand"]
    before, after = hand["before_sysctl"], hand["after_sysctl"]
    lines = [
        ("`conntrack -L` into a file", duration(hand["dump_seconds"]), f"{hand['dump_bytes'] / 1e6:.0f} MB"),
        ("count it by address and port", duration(hand["count_seconds"]), "see below"),
        (
            f"`conntrack -D` for {hand['deletes']} entries",
            duration(hand["delete_seconds"]),
            f"{delete_seconds(figures):.2f} s each",
        ),
        (
            f"`conntrack -D` for all {hand['stale']:,}",
            duration(delete_all_seconds(figures)),
            "extrapolated",
        ),
        ("`sysctl -w` of the timeouts", "", f"{before:,} entries before, {after:,} afterwards"),
    ]
    return markdown_table(("by hand", "time", "shows"), lines, ("by hand", "shows"))


def _leaders(figures: Figures) -> str:
    entries = figures["filled"]["entries"]
    lines = [
        (each["by"], each["value"], f"{each['entries']:,}", f"{100 * each['entries'] / entries:.2f}")
        for each in figures["by_hand"]["leaders"]
    ]
    return markdown_table(("counted by", "most have", "entries", "%"), lines, ("counted by", "most have"))


def _steps(figures: Figures) -> str:
    dump = figures["by_hand"]["dump_seconds"]
    lines = [
        (
            each["name"],
            f"{each['seconds']:.1f}",
            f"{each['seconds'] / dump:.1f}",
            f"{each['load']:.1f}",
            f"{each['entries']:,}",
            shows(each),
        )
        for each in figures["steps"]
    ]
    return markdown_table(
        ("command", "s", "times a dump", "load", "entries afterwards", "shows"), lines, ("command", "shows")
    )

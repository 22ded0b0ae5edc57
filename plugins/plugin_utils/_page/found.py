# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""The page of the playbook find: which routers have the entries that are looked for, and how they translate them."""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.plugin_utils._display import UNKNOWN
from ansible_collections.netops.conntrack.plugins.plugin_utils._page.blocks import (
    Block,
    Heading,
    Item,
    Items,
    Paragraph,
    Table,
    as_text,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._page.parts import (
    counted,
    few_names,
    problem_of,
    without_answer,
)

Entry = t.Mapping[str, t.Any]
"""An entry, as conntrack_info documents ``entries``."""

_COLUMNS = ("router", "protocol", "state", "from", "to", "translated", "zone", "seconds left")
_ZONE = _COLUMNS.index("zone")


class Found(t.NamedTuple):
    """What one router answered: how many entries match, and the first of them. ``problem`` says why it did not."""

    matched: int
    entries: t.Sequence[Entry]
    problem: str | None


def found_of(result: t.Mapping[str, t.Any] | None) -> Found:
    """Return what a router answered, from the registered result of conntrack_info. None: it was not asked."""
    problem = problem_of(result, "matched")
    if result is None or problem is not None:
        return Found(0, [], problem)
    return Found(result["matched"], result["entries"], None)


def found_page(found: t.Mapping[str, Found]) -> str:
    """Return the page: a row for each entry, then which routers have none, and which could not be asked."""
    return "\n\n".join(map(as_text, _blocks(found)))


def _blocks(found: t.Mapping[str, Found]) -> t.Iterator[Block]:
    answered = {name: one for name, one in found.items() if one.problem is None}
    having = {name: one for name, one in answered.items() if one.matched}
    without = [name for name in answered if name not in having]
    total = sum(one.matched for one in having.values())
    entries = counted(total, "entry", "entries") if total else "no entry"
    yield Heading(1, f"Found {entries} on {len(having)} of {counted(len(answered), 'router')}")
    if having:
        yield _table(having)
        left_out = _left_out(having)
        if left_out:
            yield Items(left_out)
    if without:
        yield Paragraph(f"No such entry: {few_names(without)}")
    yield from without_answer({name: one.problem for name, one in found.items() if one.problem is not None})


def _table(having: t.Mapping[str, Found]) -> Table:
    rows = [list(_COLUMNS)]
    for name, one in having.items():
        rows += [_row(name, entry) for entry in one.entries]
    if not any(row[_ZONE] for row in rows[1:]):
        rows = [row[:_ZONE] + row[_ZONE + 1 :] for row in rows]
    return Table(rows)


def _left_out(having: t.Mapping[str, Found]) -> list[Item]:
    """Return how many entries of each router have no row."""
    more = {name: one.matched - len(one.entries) for name, one in having.items()}
    return [
        (name, [f"{number} more. Show them with -e most={having[name].matched}"])
        for name, number in more.items()
        if number > 0
    ]


def _row(router: str, entry: Entry) -> list[str]:
    remaining = entry["remaining"]
    if remaining is None:
        remaining = "offloaded" if entry["offloaded"] else UNKNOWN
    return [
        router,
        entry["protocol"],
        _state(entry),
        _end(entry, "source"),
        _end(entry, "destination"),
        _translation(entry),
        str(entry["zone"] or ""),
        str(remaining),
    ]


def _state(entry: Entry) -> str:
    answered = "" if entry["replied"] else "unanswered"
    return ", ".join(filter(None, [entry["state"], answered])) or "answered"


def _translation(entry: Entry) -> str:
    """Return what the router makes of the two ends. Replies come from the one, and go to the other."""
    nat = entry["nat"]
    parts = []
    if "snat" in nat:
        parts.append(f"from {_end(entry, 'reply_destination')}")
    if "dnat" in nat:
        parts.append(f"to {_end(entry, 'reply_source')}")
    return ", ".join(parts) or "no"


def _end(entry: Entry, end: str) -> str:
    """Return an address with its port, or the number that its protocol has in place of one."""
    address = entry[end]
    port = entry[f"{end}_port"]
    if port is not None:
        return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    key = entry.get(f"{end}_key")
    if key is not None:
        return f"{address} key {key:#x}"
    number = entry.get("icmp_id" if end == "source" else "reply_icmp_id")
    if number is not None and end in ("source", "reply_destination"):
        return f"{address} id {number}"
    return str(address)

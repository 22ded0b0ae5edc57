# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Looking at entries a second time: which of them saw no packet in between.

A packet adds to the entry's counters and sets the time at which it expires anew. So an entry that has the same counters
and expires at the same time as before saw none. The kernel cuts the remaining time to whole seconds
(ctnetlink_dump_timeout() in net/netfilter/nf_conntrack_netlink.c), which leaves a second of doubt in each of the two
looks, and the time that each of them took. A change inside this doubt counts as none, so that an entry without a packet
is never taken for one that saw some. A change of more than two seconds is outside of it.
"""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._netlink.clock import Moment
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block, from_network
from ansible_collections.netops.conntrack.plugins.module_utils._table.layouts import Layout
from ansible_collections.netops.conntrack.plugins.module_utils._table.requests import Notes, low_word
from ansible_collections.netops.conntrack.plugins.module_utils._table.writable import Found
from ansible_collections.netops.conntrack.plugins.module_utils._uapi import FIXED_TIMEOUT

_COUNTERS = ("packets_original", "packets_reply")

NOTED = ("remaining", *_COUNTERS)
"""The fields that have to be noted in the first look."""

_JIFFIES_SECONDS = 0.1
"""By so much the kernel's count of jiffies may be behind CLOCK_MONOTONIC: ten of them where a second has a hundred."""


class StateAndStatus(t.NamedTuple):
    """What else a packet may change, as numbers of the kernel, or None where an entry has no such thing."""

    state: int | None
    status: int | None


def obstacle(layout: Layout, status: int | None) -> str:
    """Return why no second look can tell whether such entries saw a packet, or "" where one can."""
    if "remaining" not in layout.fields:
        # Its packets take a shortcut around connection tracking.
        return "offloaded"
    if (status or 0) & FIXED_TIMEOUT and not layout.fields.keys() & set(_COUNTERS):
        return "fixed_timeout"
    return ""


def quiet(found: Found, before: StateAndStatus, notes: Notes, moment: Moment) -> Block:
    """Return those of the entries found that saw no packet between the moment of the notes and this one."""
    block, places = found
    if not block.layout.fields.keys() >= notes.words.keys():
        return block.where([False] * len(block))
    checks = [
        _same(block.column("state"), before.state),
        _same(block.column("status"), before.status),
        _expiring_as_before(block, places, notes, moment),
        *(_counting_as_before(block, places, notes, field) for field in _COUNTERS if field in notes.words),
    ]
    rows = list(map(all, zip(*checks)))
    return block if all(rows) else block.where(rows)


def _same(column: t.Iterable[t.Any], before: int | None) -> t.Iterator[bool]:
    return (now == before for now in column)


def _expiring_as_before(block: Block, places: list[int], notes: Notes, moment: Moment) -> t.Iterator[bool]:
    """Say of each row whether it may expire at the same time as before.

    An entry with ``remaining`` seconds at the time T expires at T + remaining, or less than a second later.
    """
    before = from_network(notes.words["remaining"][:])
    least = notes.moment.earliest - moment.latest - 1 - _JIFFIES_SECONDS
    most = notes.moment.latest - moment.earliest + 1 + _JIFFIES_SECONDS
    pairs = zip(block.numbers("remaining"), places)
    return (least <= remaining - before[place] <= most for remaining, place in pairs)


def _counting_as_before(block: Block, places: list[int], notes: Notes, field: str) -> t.Iterator[bool]:
    before = notes.words[field]
    now = block.word_column(low_word(block.layout, field))
    return (word == before[place] for word, place in zip(now, places))

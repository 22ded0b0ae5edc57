# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""What one audit found on a router, as types, and the kinds of values that all of the document is made of.

The document as a whole is in ``document_types``, which also says what ``Later`` and ``total=False`` mean.
"""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.check import Status
from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.explanation import Explanation
from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.namespaces import (
    AcrossNamespaces,
    NamespaceAccount,
)

AT_LEAST_0 = "at least 0"
"""Marks a number that is never below 0."""

AT_LEAST_1 = "at least 1"
"""Marks a number that counts from 1."""

LATER = "came later"
"""Marks a key that documents of earlier versions lack."""

_Value = t.TypeVar("_Value")
Later = t.Annotated[_Value, LATER]

Natural = t.Annotated[int, AT_LEAST_0]
Count = t.Optional[Natural]
"""A number of things. None is unknown, not 0."""

Number = t.Optional[t.Annotated[float, AT_LEAST_0]]
"""A measured figure. None is unknown, or that there is none, such as a share where there is no limit."""

Counts = dict[str, Count]
Texts = list[str]
TopValue = t.Union[str, int]
"""An address or a port."""

Anything = t.Any
"""The value of a check or a gate: whatever its expression makes of a router's facts."""

EntryFacts = dict[str, t.Any]
"""One entry, as conntrack_info returns it."""


class _FindingWithCures(t.TypedDict, total=False):
    cures: Texts


class Finding(_FindingWithCures):
    """What a check or a gate says of a router, and what helps there, from its own figures."""

    id: str
    status: Status
    value: Anything
    reason: str | None


class Listener(t.TypedDict):
    """A program that gets an event for each connection that ends."""

    process: str | None
    pid: Count
    port_id: Natural
    receive_queue_bytes: Natural
    drops: Natural


class _UsageOfToday(t.TypedDict, total=False):
    entry_bytes: Count
    memory_total_bytes: Count
    listeners: list[Listener] | None


class Fullness(t.TypedDict):
    """How full a table is, or would be."""

    count: Count
    max: Count
    percent: Number
    headroom: Count
    buckets: Count
    load_factor: Number


class Usage(_UsageOfToday, Fullness):
    """How full the table is."""

    memory_bytes: Count


class _SelectorOfToday(t.TypedDict, total=False):
    protocols: Counts | None


class Selector(_SelectorOfToday):
    """What a selector counted."""

    entries: Count
    percent: Number
    undecidable: Count
    unavailable: str | None


class RangeOfPackets(t.TypedDict):
    """Packets of one direction, from ``min`` to ``max``."""

    min: int
    max: int


class _MatchOfSome(t.TypedDict, total=False):
    state: str
    packets_original: RangeOfPackets
    icmp_type: Natural
    zone: Natural
    source: str
    destination: str
    destination_port: Natural
    reply_source: str
    reply_destination: str


class Match(_MatchOfSome):
    """The selector of a cluster: what its entries have in common."""

    protocol: str
    replied: bool


class _PeersOfToday(t.TypedDict, total=False):
    sources: Count
    more_sources: bool
    source_network: str | None
    destinations: Count
    more_destinations: bool
    destination_network: str | None


class Cluster(_PeersOfToday):
    """Entries that have much in common."""

    match: Match
    entries: Count
    percent: Number
    prunable: Count


class Amounts(t.TypedDict):
    """Packets or bytes of all entries."""

    original: Count
    reply: Count
    unknown: Count


RangeOfSeconds = t.TypedDict("RangeOfSeconds", {"from": Natural, "below": t.Optional[int], "entries": Count})
"""A range of a histogram. Its first key is no name in Python."""


class Histogram(t.TypedDict):
    """Entries by some time, in ranges of seconds."""

    histogram: list[RangeOfSeconds]
    unknown: Count


class Talker(t.TypedDict):
    """An address or a port with its entries."""

    value: TopValue
    entries: Count
    percent: Number


class Top(t.TypedDict):
    """The most frequent values of each kind."""

    source: list[Talker]
    destination: list[Talker]
    source_port: list[Talker]
    destination_port: list[Talker]


class Uncertainty(t.TypedDict):
    """By how many entries a count can be too small."""

    marks: Count
    source: Count
    destination: Count


class NatPorts(t.TypedDict):
    """How many ports of a public address are in use towards one service."""

    protocol: str
    address: str
    destination: str
    destination_port: Natural
    zone: Natural
    ports: Natural


class _TableOfToday(t.TypedDict, total=False):
    nat_ports: list[NatPorts]
    not_listed: Count
    filled_by: list[Cluster]
    explained_percent: Number
    zones_original: Counts
    zones_original_distinct: Count
    zones_reply: Counts
    zones_reply_distinct: Count
    uncertainty: Uncertainty


class TableFacts(_TableOfToday):
    """What is in the table, as conntrack_facts returns it."""

    entries: Count
    families: Counts
    protocols: Counts
    states: dict[str, Counts]
    status: Counts
    evictable: Count
    zones: Counts
    zones_distinct: Count
    marks: Counts
    marks_distinct: Count
    packets: Amounts
    bytes: Amounts
    remaining: Histogram
    idle: Histogram
    top: Top


class TableFull(t.TypedDict):
    """The lines of the kernel log about a full table."""

    messages: Count
    last_seconds_ago: Number
    unreadable: str | None


class Stats(t.TypedDict):
    """The kernel's counters since boot, and its log."""

    total: Counts
    table_full: TableFull


class Audit(t.TypedDict):
    """What one audit found on a router."""

    usage: Usage
    selectors: dict[str, Selector]
    findings: list[Finding]
    table: Later[TableFacts | None]
    stats: Later[Stats | None]
    drift: Later[Texts | None]
    explanation: Later[Explanation | None]
    namespaces: Later[dict[str, NamespaceAccount] | None]
    across_namespaces: Later[AcrossNamespaces | None]

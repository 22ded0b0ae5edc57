# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""The document about the fleet as types: every key, and what its value is.

A new key begins here. What is checked in a document that is read, and what an earlier one lacks, follows from these
types (see ``document_shape`` and ``upgrade``). ``docs/report.schema.json`` says the same for programs of others, and a
test compares both.

A key is one of these:

- Plain, in a class that is total: it is in documents of every version.
- ``Later``: it is in every document that is written today. In one of an earlier version it is null, none or 0.
- In a class with ``total=False``: it may be missing today, too.
"""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.check import Severity
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.audit_types import (
    AT_LEAST_0,
    AT_LEAST_1,
    Anything,
    Audit,
    Count,
    EntryFacts,
    Finding,
    Fullness,
    Later,
    Natural,
    Number,
    Texts,
    TopValue,
)

NotDone = t.Literal["unreachable", "failed", "not_started"]
"""The verdicts of routers that were not done."""

Verdict = t.Literal[NotDone, Severity, "unknown", "no_conntrack", "passed", "done"]
"""Worst first: a router that nobody could look at may be in any state."""

NOT_DONE: tuple[NotDone, ...] = t.get_args(NotDone)
VERDICTS: tuple[Verdict, ...] = t.get_args(Verdict)

Phase = t.Literal["before", "after"]
"""Before and after the changes of a run."""

PHASES: tuple[Phase, ...] = t.get_args(Phase)

SettingValue = t.Optional[int]
"""The value of a setting. None is not set, or unknown."""

LimitedBy = t.Literal["peak", "memory", "present", "override"]
ReasonToKeepTime = t.Literal["not_lowered", "rule", "helper", "longer_than_before"]
REASONS_TO_KEEP_TIME: tuple[ReasonToKeepTime, ...] = t.get_args(ReasonToKeepTime)
"""Why entries keep more than the new timeouts (see the result ``kept`` of conntrack_update)."""

ReasonToKeepEntry = t.Literal[
    "management",
    "helper",
    "expectation",
    "address",
    "ah",
    "bgp",
    "esp",
    "ike",
    "ospf",
    "vrrp",
    "conntrackd",
    "offloaded",
    "fixed_timeout",
]


class _CheckWithUnit(t.TypedDict, total=False):
    unit: str


class Check(_CheckWithUnit):
    """What a check looks for, how bad that is, what to do about it, and the unit of its values if they have one."""

    title: str
    severity: Severity
    advice: str


class Change(t.TypedDict):
    """A setting that changed, now and for the next boot."""

    before: SettingValue
    after: SettingValue
    boot_before: SettingValue
    boot_after: SettingValue
    why: str


class Sizing(t.TypedDict):
    """How the size of the table was worked out."""

    max: Natural
    buckets: Natural
    max_before: Natural
    buckets_before: Natural
    per_entry_bytes: Natural
    memory_bytes: Natural
    memory_total_bytes: Natural
    memory_percent: t.Annotated[float, AT_LEAST_0]
    above_share: bool
    limited_by: LimitedBy
    why: str


class ShortenedAccount(t.TypedDict):
    """What became of the entries whose timeouts were to be shortened. In check mode None is: not tried."""

    matched: Count
    would_update: Count
    updated: Count
    unchanged: Count
    already_gone: Later[Count]
    not_updated: Later[Count]
    fixed_timeout: Count
    kept: Later[dict[ReasonToKeepTime, Count] | None]
    undecidable: Later[Count]


class Forecast(t.TypedDict):
    """What was foretold of the settings right before they were made, and how full the table was afterwards.

    ``after`` is None in check mode, and where nothing was changed.
    """

    entries: Count
    governed: Count
    gone: Count
    unknown: Count
    percent: Number
    last_in_seconds: Count
    shortened_in_seconds: Count
    now: Fullness
    then: Fullness
    after: Fullness | None
    after_seconds: Count


class SettingsAccount(t.TypedDict):
    """What tune did on a router."""

    profile: str
    left_out: Texts
    changes: dict[str, Change]
    sizing: Later[Sizing | None]
    shortened: Later[ShortenedAccount | None]
    forecast: Later[Forecast | None]
    confirmed: Later[bool | None]


class KeptEntries(t.TypedDict):
    """Selected entries that a prune did not delete, and the option that would take them."""

    reason: ReasonToKeepEntry
    option: str
    entries: Natural
    sample: list[EntryFacts]


class _PruneDetails(t.TypedDict, total=False):
    count_before: Count
    count_after: Count
    backup_file: str | None
    sample: list[EntryFacts]


class PruneAccount(_PruneDetails):
    """What prune did on a router. What was not decided is None, such as what was deleted in check mode."""

    matched: Count
    protected: Count
    kept: Later[list[KeptEntries] | None]
    woken: Later[Count]
    would_delete: Count
    deleted: Count
    already_gone: Count
    not_deleted: Count
    matches_now: Count
    undecidable: Count
    not_listed: Later[Count]
    unavailable: str | None


PruneCount = t.Literal[
    "matched",
    "protected",
    "woken",
    "would_delete",
    "deleted",
    "already_gone",
    "not_deleted",
    "matches_now",
    "undecidable",
    "not_listed",
]
PRUNE_COUNTS: tuple[PruneCount, ...] = t.get_args(PruneCount)
"""The counts in the account of a prune, in the order in which they are shown."""


class Failure(t.TypedDict):
    """What stopped a router."""

    step: str
    message: str
    unreachable: bool


class Course(t.TypedDict):
    """A figure at the time of the baseline, and now."""

    before: Number
    now: Number


class News(t.TypedDict):
    """What there is now and was not at the time of the baseline, and the other way round."""

    new: Texts
    gone: Texts


class NewTop(t.TypedDict):
    """What is among the most frequent values now and was not at the time of the baseline."""

    source: list[TopValue]
    destination: list[TopValue]
    source_port: list[TopValue]
    destination_port: list[TopValue]


class Trend(t.TypedDict):
    """What has changed on a router since the baseline."""

    entries: Course
    percent: Course
    selectors: dict[str, Course]
    new_top: NewTop | None
    drift: News | None
    findings: News


class Host(t.TypedDict):
    """A router."""

    verdict: Verdict
    before: Audit | None
    settings: SettingsAccount | None
    prune: PruneAccount | None
    after: Audit | None
    health: Later[list[Finding] | None]
    failure: Failure | None
    no_conntrack: Later[str | None]
    trend: Later[Trend | None]


class Gate(t.TypedDict):
    """A gate that stopped the roll-out, and the router that it did not let pass."""

    host: str
    id: str
    title: str
    value: Anything
    reason: str | None


class Stop(t.TypedDict):
    """Where a roll-out was stopped: the number of the batch, from 1, and the gates that did."""

    batch: t.Annotated[int, AT_LEAST_1]
    gates: list[Gate]


class Rollout(t.TypedDict):
    """The routers of each batch, and where it was stopped."""

    batches: list[Texts]
    stopped: Stop | None


class Baseline(t.TypedDict):
    """The earlier report that the trends compare with."""

    time: str


class Totals(t.TypedDict):
    """Sums over the routers. Findings are None without such an audit, deletions where none is known."""

    hosts: Natural
    done: Natural
    unreachable: Natural
    failed: Natural
    not_started: Natural
    no_conntrack: Later[Natural]
    findings_before: Count
    findings_after: Count
    settings_changed: Natural
    would_shorten: Natural
    shortened: Natural
    fixed_timeout: Natural
    would_delete: Count
    deleted: Count


class Document(t.TypedDict):
    """The report on a fleet of routers."""

    schema_version: int
    time: str
    check_mode: bool
    baseline: Later[Baseline | None]
    totals: Totals
    unreachable: Texts
    failed: Texts
    not_started: Later[Texts]
    no_conntrack: Later[Texts]
    rollout: Later[Rollout | None]
    checks: dict[str, Check]
    hosts: dict[str, Host]

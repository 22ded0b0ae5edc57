# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.
"""What the roles left behind on one router, as types: the record from which its part of the document is made.

The shapes in ``record_shape`` let nothing else in.
"""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.check import Severity
from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.explanation import Explanation
from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.namespaces import (
    AcrossNamespaces,
    NamespaceAccount,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.audit_types import (
    Count,
    EntryFacts,
    Finding,
    Selector,
    Stats,
    TableFacts,
    Texts,
    Usage,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document_types import (
    Failure,
    Forecast,
    KeptEntries,
    SettingValue,
    ShortenedAccount,
    Sizing,
)


class GateResult(Finding):
    """What a gate of a roll-out says, with its title."""

    title: str


class _CheckResultWithUnit(t.TypedDict, total=False):
    unit: str


class CheckResult(GateResult, _CheckResultWithUnit):
    """What a check says, with the check itself."""

    severity: Severity
    advice: str


class _AuditDetails(t.TypedDict, total=False):
    table: TableFacts | None
    stats: Stats | None
    drift: Texts | None
    explanation: Explanation | None
    namespaces: dict[str, NamespaceAccount] | None
    across_namespaces: AcrossNamespaces | None


class AuditRecord(_AuditDetails):
    """What an audit measured and found."""

    usage: Usage
    selectors: dict[str, Selector]
    findings: list[CheckResult]


class SettingRecord(t.TypedDict):
    """A setting in the running kernel and at the next boot, both before and after the change."""

    runtime_before: SettingValue
    runtime_after: SettingValue
    boot_before: SettingValue
    boot: SettingValue


class _TuneDetails(t.TypedDict, total=False):
    sizing: Sizing | None
    shortened: ShortenedAccount | None
    forecast: Forecast | None
    confirmed: bool | None


class TuneRecord(_TuneDetails):
    """What tune did. Each setting has a reason under ``why``."""

    profile: str
    settings: dict[str, SettingRecord]
    why: dict[str, str]
    left_out: Texts


class PruneRecord(t.TypedDict, total=False):
    """What prune did, as far as it is known."""

    matched: Count
    protected: Count
    kept: list[KeptEntries] | None
    woken: Count
    would_delete: Count
    deleted: Count
    already_gone: Count
    not_deleted: Count
    matches_now: Count
    undecidable: Count
    not_listed: Count
    unavailable: str | None
    count_before: Count
    count_after: Count
    backup_file: str | None
    sample: list[EntryFacts]


class RouterRecord(t.TypedDict, total=False):
    """All of it. A part that is missing, empty or None was not done."""

    before: AuditRecord | None
    after: AuditRecord | None
    tune: TuneRecord | None
    prune: PruneRecord | None
    health: list[GateResult] | None
    failure: Failure | None
    no_conntrack: str | None

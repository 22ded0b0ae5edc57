# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""Reports that were written as JSON, read back: also those of earlier versions of the document."""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.audit_types import Audit
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document import (
    SCHEMA_VERSION,
    totals_of_prunes,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document_shape import (
    ShapeError,
    check_document,
    fields_of,
    without_null,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document_types import (
    PHASES,
    Document,
    Host,
    PruneAccount,
    SettingsAccount,
    ShortenedAccount,
    Totals,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.old_names import with_present_names

_REMEDY = "Give a .json file that a playbook of this collection wrote."
_JSON_NAMES = {type(None): "null", bool: "true or false", int: "a number", float: "a number", list: "a list"}

_DECIDED_IN_PRUNES = 3
"""The version since which a count of a prune that was not decided is null. Earlier ones have 0."""
_DONE_BY_PRUNE = ("deleted", "already_gone", "not_deleted", "matches_now")
"""The counts that a prune in check mode does not have."""

_Part = dict[str, t.Any]
"""A part of a document that may be one of an earlier version."""

_Findings = dict[t.Hashable, _Part]
"""What the checks say, by all of what they say."""

_OF_A_FINDING = frozenset({"id", "status", "value", "reason"})


def read_back(document: t.Any, option: str) -> Document:
    """Return the ``document`` in its present version. What an earlier one lacks is null.

    Raises OptionError, which names ``option``, for what is no such document, and for one of a later version.
    """
    if not isinstance(document, dict):
        raise OptionError(option, _JSON_NAMES.get(type(document), "text"), "is no report", _REMEDY)
    version = document.get("schema_version")
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise OptionError(f"{option}, schema_version", version, "is no version of a report", _REMEDY)
    if version > SCHEMA_VERSION:
        problem = f"is later than {SCHEMA_VERSION}, the last one that is known here"
        raise OptionError(f"{option}, schema_version", version, problem, "Update the collection netops.conntrack.")
    document = with_present_names(document)
    try:
        check_document(document)
    except ShapeError as error:
        place = ", ".join(error.place) or "the document"
        raise OptionError(option, place, f"is not as in a report: it {error.problem}", _REMEDY) from error
    return _upgraded(document, version)


def _upgraded(document: _Part, version: int) -> Document:
    """Return a document that was found sound with all keys that there are today."""
    known: _Findings = {}
    hosts = {host: _host(report, known) for host, report in document["hosts"].items()}
    if version < _DECIDED_IN_PRUNES:
        hosts = {host: _with_decided_prune(report, document["check_mode"]) for host, report in hosts.items()}
    would_delete, deleted = totals_of_prunes(t.cast("list[Host]", list(hosts.values())))
    sums = {"would_delete": would_delete, "deleted": deleted}
    upgraded = {
        **_later_keys(Document),
        **document,
        "schema_version": SCHEMA_VERSION,
        "totals": {**_later_keys(Totals), **document["totals"], **sums},
        "hosts": hosts,
    }
    return t.cast("Document", upgraded)


def _later_keys(kind: type) -> _Part:
    """Return the keys of a type that earlier versions lack, with what these would have said: unknown, or none."""
    later: _Part = {}
    for key, field in fields_of(kind).items():
        if field.is_later:
            value, may_be_null = without_null(field.kind)
            is_list = t.get_origin(value) is list
            later[key] = None if may_be_null else [] if is_list else 0
    return later


def _host(report: _Part, known: _Findings) -> _Part:
    complete = {key: report[key] and {**_later_keys(kind), **report[key]} for key, kind in _PARTS.items()}
    for phase in PHASES:
        if complete[phase]:
            complete[phase]["findings"] = [_shared(finding, known) for finding in complete[phase]["findings"]]
    settings = complete["settings"]
    if settings and settings["shortened"]:
        complete["settings"] = {**settings, "shortened": {**_later_keys(ShortenedAccount), **settings["shortened"]}}
    return {**_later_keys(Host), **report, **complete}


def _shared(finding: _Part, known: _Findings) -> _Part:
    """Return what a check says of a router: the same object for all of which it says the same, mostly that it passed.

    They are a fifth of the memory of a document.
    """
    value = finding["value"]
    if isinstance(value, (dict, list)) or finding.keys() != _OF_A_FINDING:
        return finding
    said = (finding["id"], finding["status"], finding["reason"], type(value), value)
    return known.setdefault(said, finding)


_PARTS: dict[str, type] = {
    "before": Audit,
    "after": Audit,
    "settings": SettingsAccount,
    "prune": PruneAccount,
}
"""The parts of a router that have keys which earlier versions lack."""


def _with_decided_prune(host: _Part, check_mode: bool) -> _Part:
    """Return a router whose prune has null for what was not decided."""
    prune = host["prune"]
    if not prune:
        return host
    undecided: tuple[str, ...] = _DONE_BY_PRUNE if check_mode else ()
    if prune.get("unavailable"):
        undecided = (*_DONE_BY_PRUNE, "would_delete")
    return {**host, "prune": {**prune, **dict.fromkeys(undecided)}}

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""Reports that were written as JSON, read back: also those of earlier versions of the document."""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document import (
    SCHEMA_VERSION,
    Record,
    totals_of_prunes,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document_shape import ShapeError, check_document

_REMEDY = "Give a .json file that a playbook of this collection wrote."
_JSON_NAMES = {type(None): "null", bool: "true or false", int: "a number", float: "a number", list: "a list"}

# What was added to the document, to a router, to an audit and to the settings since the first version.
_DOCUMENT: Record = {"baseline": None, "not_begun": [], "no_conntrack": [], "rollout": None}
_HOST: Record = {"health": None, "no_conntrack": None, "trend": None}
_AUDIT: Record = {"table": None, "stats": None, "drift": None, "explanation": None}
_SETTINGS: Record = {"sizing": None, "recap": None, "confirmed": None}
_PRUNE: Record = {"kept": None, "woken": None, "not_listed": None}

_DECIDED_IN_PRUNES = 3
"""The version since which a count of a prune that was not decided is null. Earlier ones have 0."""
_DONE_BY_PRUNE = ("deleted", "already_gone", "not_deleted", "matches_now")
"""The counts that a prune in check mode does not have."""


def read_back(document: t.Any, option: str) -> Record:
    """Return the ``document`` in its present version, what an earlier one lacks being null.

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
    try:
        check_document(document)
    except ShapeError as error:
        place = ", ".join(error.place) or "the document"
        raise OptionError(option, place, f"is not as in a report: it {error.problem}", _REMEDY) from error
    hosts = {host: _host(report) for host, report in document["hosts"].items()}
    if version < _DECIDED_IN_PRUNES:
        hosts = {host: _with_decided_prune(report, document["check_mode"]) for host, report in hosts.items()}
    return {**_DOCUMENT, **document, "schema_version": SCHEMA_VERSION, "hosts": hosts, **_totals(document, hosts)}


def _host(report: Record) -> Record:
    given = _with_present_names(report)
    parts = {"before": _AUDIT, "after": _AUDIT, "settings": _SETTINGS, "prune": _PRUNE}
    complete = {key: given[key] and {**added, **given[key]} for key, added in parts.items()}
    return {**_HOST, **given, **complete}


def _with_present_names(report: Record) -> Record:
    """Return a router's part of the document with the names that its keys have since the third version."""
    settings = report["settings"]
    recap = settings and settings.get("recap")
    if not recap or {"not_updated", "kept"} <= recap.keys():
        return report
    renamed = {("not_updated" if key == "failed" else key): value for key, value in recap.items()}
    return {**report, "settings": {**settings, "recap": {"kept": None, **renamed}}}


def _with_decided_prune(host: Record, check_mode: bool) -> Record:
    """Return a router whose prune has null for what was not decided."""
    prune = host["prune"]
    if not prune:
        return host
    undecided: tuple[str, ...] = _DONE_BY_PRUNE if check_mode else ()
    if prune.get("unavailable"):
        undecided = (*_DONE_BY_PRUNE, "would_delete")
    return {**host, "prune": {**prune, **dict.fromkeys(undecided)}}


def _totals(document: Record, hosts: dict[str, Record]) -> Record:
    """Return the document's totals, if it has any, with the sums over the prunes of these hosts."""
    totals = document.get("totals")
    if not isinstance(totals, dict):
        return {}
    return {"totals": {"no_conntrack": 0, **totals, **totals_of_prunes(hosts.values())}}

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reports as earlier versions of the collection wrote them."""

from __future__ import annotations

import copy

from helpers.documents import Document

_LATER = {"baseline", "not_begun", "rollout"}
_LATER_THAN_2 = {"no_conntrack"}
_LATER_IN_HOSTS = {"health", "trend"}
_LATER_IN_AUDITS = {"table", "stats", "drift", "explanation", "namespaces", "across_namespaces"}
_LATER_IN_PRUNES = {"kept", "woken", "not_listed"}
_ZERO_IN_VERSION_2 = ("would_delete", "deleted", "already_gone", "not_deleted")
_LATER_IN_SETTINGS = {"sizing", "recap", "confirmed"}
_OLD_NAMES = {"not_started": "not_begun", "would_shorten": "would_recap", "shortened": "recapped"}

_LATER_IN_USAGE = {"listeners"}
_LATER_IN_TABLES = {
    "filled_by",
    "explained_percent",
    "nat_ports",
    "not_listed",
    "uncertainty",
    "zones_original",
    "zones_original_distinct",
    "zones_reply",
    "zones_reply_distinct",
}


def as_version_2(document: Document) -> Document:
    """Return ``document`` as the second version wrote it.

    It had 0 for what a prune did not decide. In the account of an update not_updated was called failed.
    """
    earlier = with_old_names(_without(document, _LATER_THAN_2)) | {"schema_version": 2}
    earlier["totals"] = _without(earlier["totals"], _LATER_THAN_2)
    for host, given in earlier["hosts"].items():
        report = earlier["hosts"][host] = _without(given, _LATER_THAN_2)
        prune = report["prune"] and _without(report["prune"], _LATER_IN_PRUNES)
        for key in _ZERO_IN_VERSION_2 if prune else ():
            prune[key] = prune[key] or 0
        report["prune"] = prune
        recap = report["settings"] and report["settings"]["recap"]
        if recap:
            del recap["kept"]
            recap["failed"] = recap.pop("not_updated")
    for key in ("would_delete", "deleted"):
        earlier["totals"][key] = earlier["totals"][key] or 0
    return earlier


def with_old_names(document: Document) -> Document:
    """Return a copy of ``document`` with the names that its keys had before 1.0.0."""
    earlier = {_OLD_NAMES.get(key, key): value for key, value in copy.deepcopy(document).items()}
    earlier["totals"] = {_OLD_NAMES.get(key, key): value for key, value in earlier["totals"].items()}
    for report in earlier["hosts"].values():
        report["verdict"] = _OLD_NAMES.get(report["verdict"], report["verdict"])
        if report["settings"]:
            report["settings"]["recap"] = report["settings"].pop("shortened")
    return earlier


def as_version_1(document: Document) -> Document:
    """Return ``document`` as the first version wrote it: without what was added since."""
    earlier = _without(as_version_2(document), _LATER) | {"schema_version": 1}
    for host, report in earlier["hosts"].items():
        earlier["hosts"][host] = _without(report, _LATER_IN_HOSTS)
        for key, later in (("before", _LATER_IN_AUDITS), ("after", _LATER_IN_AUDITS), ("settings", _LATER_IN_SETTINGS)):
            earlier["hosts"][host][key] = report[key] and _without(report[key], later)
    return earlier


def without_later_keys(document: Document) -> Document:
    """Return ``document`` without the keys that its version has got since."""
    earlier = copy.deepcopy(document)
    for report in earlier["hosts"].values():
        for audit in filter(None, (report["before"], report["after"])):
            audit["usage"] = _without(audit["usage"], _LATER_IN_USAGE)
            audit["table"] = audit["table"] and _without(audit["table"], _LATER_IN_TABLES)
    return earlier


def _without(mapping: Document, keys: set[str]) -> Document:
    return {key: value for key, value in mapping.items() if key not in keys}

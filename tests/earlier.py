# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reports as earlier versions of the collection wrote them."""

from __future__ import annotations

import copy

from documents import Document

_LATER = {"baseline", "not_begun", "rollout"}
_LATER_IN_HOSTS = {"health", "trend"}
_LATER_IN_AUDITS = {"table", "stats", "drift"}
_LATER_IN_SETTINGS = {"sizing", "recap", "confirmed"}


def as_version_1(document: Document) -> Document:
    """Give ``document`` as the first version wrote it: without what was added since."""
    earlier = _without(copy.deepcopy(document), _LATER) | {"schema_version": 1}
    for host, report in earlier["hosts"].items():
        earlier["hosts"][host] = _without(report, _LATER_IN_HOSTS)
        for key, later in (("before", _LATER_IN_AUDITS), ("after", _LATER_IN_AUDITS), ("settings", _LATER_IN_SETTINGS)):
            earlier["hosts"][host][key] = report[key] and _without(report[key], later)
    return earlier


def _without(mapping: Document, keys: set[str]) -> Document:
    return {key: value for key, value in mapping.items() if key not in keys}

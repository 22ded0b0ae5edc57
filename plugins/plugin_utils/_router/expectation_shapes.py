# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""The shapes of the facts ``expectations``, and of what conntrack_expect_info and conntrack_expect_prune return."""

from __future__ import annotations

from ansible_collections.netops.conntrack.plugins.plugin_utils._router.common_shapes import (
    COUNT,
    OPTIONAL_COUNT,
    PERCENT,
    Arguments,
    Fields,
    asked,
    texts,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._router.shape import (
    Shape,
    list_of,
    mapping,
    optional,
    record,
    text,
    words,
)

_NAME = optional(text())
_ENDS: Fields = {
    **dict.fromkeys(("source", "destination"), _NAME),
    **dict.fromkeys(("source_port", "destination_port", "source_key", "destination_key"), OPTIONAL_COUNT),
}
_TUPLE = record({"protocol": text(), **_ENDS})
_NAT = record({"direction": _NAME, "source": _NAME, "source_port": OPTIONAL_COUNT})
EXPECTATION = record(
    {
        "family": text(),
        "helper": _NAME,
        "class": OPTIONAL_COUNT,
        "remaining": OPTIONAL_COUNT,
        "zone": OPTIONAL_COUNT,
        "id": COUNT,
        "flags": list_of(text(), 32),
        "function": _NAME,
        "expected": _TUPLE,
        "mask": record(_ENDS),
        "master": _TUPLE,
        "nat": optional(_NAT),
    }
)
_GROUPS: Fields = {
    "helper": _NAME,
    "master": _TUPLE,
    "class": OPTIONAL_COUNT,
    "zone": OPTIONAL_COUNT,
    "protocol": text(),
    "family": text(),
}
_MOST_HELPERS = 1024
_SOME = optional(mapping(COUNT, _MOST_HELPERS))


def expectations(top: int) -> Shape:
    """Return the shape of the facts ``expectations``, with so many masters and sources."""
    master = record({"master": _TUPLE, "helper": _NAME, "expectations": COUNT})
    return record(
        {
            "count": OPTIONAL_COUNT,
            "max": OPTIONAL_COUNT,
            "percent": PERCENT,
            "helpers": _SOME,
            "without_helper": OPTIONAL_COUNT,
            "classes": _SOME,
            "masters": optional(list_of(master, top)),
            "masters_distinct": OPTIONAL_COUNT,
            "sources": optional(list_of(record({"source": _NAME, "expectations": COUNT}), top)),
            "unavailable": optional(words()),
        }
    )


def expect_info(arguments: Arguments) -> Fields:
    """Return the fields of what conntrack_expect_info returns for these ``arguments``."""
    limit = asked(arguments, "limit", 10)
    grouped = {name: _GROUPS[name] for name in texts(arguments.get("group_by")) if name in _GROUPS}
    return {
        "total": COUNT,
        "max": OPTIONAL_COUNT,
        "percent": PERCENT,
        "matched": COUNT,
        "undecidable": COUNT,
        "expectations": list_of(EXPECTATION, limit),
        "groups": list_of(record({**grouped, "expectations": COUNT}), limit),
        "groups_distinct": COUNT,
    }


def expect_prune(arguments: Arguments) -> Fields:
    """Return the fields of what conntrack_expect_prune returns for these ``arguments``."""
    counts = ("matched", "without_zone", "would_delete", "deleted", "already_gone", "not_deleted", "undecidable")
    sample = list_of(EXPECTATION, asked(arguments, "sample", 5))
    return {**dict.fromkeys((*counts, "count_before"), COUNT), "sample": sample}

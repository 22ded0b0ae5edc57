# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""The shapes of the facts ``forecast`` and ``rates``."""

from __future__ import annotations

import collections.abc

from ansible_collections.netops.conntrack.plugins.module_utils._facts.options import MOST as MOST_CLUSTERS
from ansible_collections.netops.conntrack.plugins.module_utils._facts.options import USUAL as USUAL_CLUSTERS
from ansible_collections.netops.conntrack.plugins.plugin_utils._router.common_shapes import (
    COUNT,
    FULLNESS,
    NAMES,
    OPTIONAL_COUNT,
    PROTOCOL_COUNTS,
    VALUE,
    Arguments,
    Fields,
    asked,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._router.shape import (
    Shape,
    list_of,
    mapping,
    number,
    optional,
    record,
    text,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._router.table_shapes import (
    HISTOGRAM_RANGES,
    MATCH,
    PEERS,
)

_MOST_STATES = 512
"""Every number of a protocol, and the states of those that have some."""

_AFFECTED: Fields = {
    "governed": COUNT,
    "gone": COUNT,
    "unknown": COUNT,
    "last_in_seconds": OPTIONAL_COUNT,
    "shortened_in_seconds": OPTIONAL_COUNT,
}


def forecast(arguments: Arguments) -> Shape:
    """Return the shape of what is foretold of the settings that the ``arguments`` of conntrack_facts name."""
    given = arguments.get("forecast")
    settings = len(given) if isinstance(given, collections.abc.Sized) else 0
    return record(
        {
            "entries": COUNT,
            **_AFFECTED,
            "percent": number(0, 100),
            "remaining": HISTOGRAM_RANGES,
            "states": list_of(record({"protocol": text(), "state": optional(text()), **_AFFECTED}), _MOST_STATES),
            "settings": mapping(record({"present": VALUE, "wanted": VALUE, **_AFFECTED}), settings),
            "raised": NAMES,
            "not_foretold": NAMES,
            "now": record(FULLNESS),
            "then": record(FULLNESS),
        }
    )


_NEW = record({"match": MATCH, "percent": number(0, 100), "per_second": number(), **PEERS})


def rates(arguments: Arguments) -> Shape:
    """Return the shape of how fast the table fills, for these ``arguments`` of conntrack_facts."""
    groups = min(asked(arguments, "explain", USUAL_CLUSTERS), MOST_CLUSTERS)
    return record(
        {
            "seconds": number(),
            "count_before": OPTIONAL_COUNT,
            "count_after": OPTIONAL_COUNT,
            "new": COUNT,
            "gone": COUNT,
            "new_per_second": number(),
            "gone_per_second": number(),
            "growth_per_second": number(-1e12),
            "full_in_seconds": OPTIONAL_COUNT,
            "new_protocols": PROTOCOL_COUNTS,
            "gone_protocols": PROTOCOL_COUNTS,
            "new_filled_by": list_of(_NEW, groups),
            "counters": mapping(COUNT, 64),
        }
    )

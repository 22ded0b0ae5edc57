# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""The shape of what conntrack_info returns, and of an entry, which other modules also return."""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._facts.options import MOST as MOST_CLUSTERS
from ansible_collections.netops.conntrack.plugins.module_utils._listing.decoder import SHOWN as MOST_LINES
from ansible_collections.netops.conntrack.plugins.plugin_utils._router.common_shapes import (
    COUNT,
    OPTIONAL_COUNT,
    PATH,
    PERCENT,
    SETTINGS,
    VALUE,
    Arguments,
    Fields,
    asked,
    texts,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._router.shape import (
    boolean,
    list_of,
    mapping,
    optional,
    record,
    text,
    text_or,
    whole,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._router.table_shapes import CLUSTER

_LINE = 4096
"""Characters of a line of a file."""

_NUMBERS = (
    "protocol_number",
    "source_port",
    "destination_port",
    "reply_source_port",
    "reply_destination_port",
    "source_key",
    "destination_key",
    "reply_source_key",
    "reply_destination_key",
    "icmp_type",
    "icmp_code",
    "icmp_id",
    "reply_icmp_type",
    "reply_icmp_code",
    "reply_icmp_id",
    "mark",
    "zone",
    "zone_original",
    "zone_reply",
    "packets_original",
    "bytes_original",
    "packets_reply",
    "bytes_reply",
    "packets",
    "bytes",
    "remaining",
    "idle",
    "id",
)
_TEXTS = (
    "family",
    "protocol",
    "state",
    "source",
    "destination",
    "reply_source",
    "reply_destination",
    "helper",
)
_ENTRY_FIELDS: Fields = {
    **dict.fromkeys(_TEXTS, optional(text())),
    **dict.fromkeys(_NUMBERS, OPTIONAL_COUNT),
    **dict.fromkeys(("replied", "assured", "offloaded", "expected"), optional(boolean)),
    "status": optional(list_of(text(), 64)),
    "nat": optional(list_of(text(), 2)),
    "labels": optional(list_of(whole(0, 127), 128)),
    # The clock of the router can have been set since.
    "age": optional(VALUE),
}
ENTRY = record({}, _ENTRY_FIELDS)
"""An entry, as conntrack_info gives it."""


def info(arguments: Arguments) -> Fields:
    """Return the fields of what conntrack_info returns for these ``arguments``."""
    return {
        **_answer(arguments, asked(arguments, "explain", 0)),
        "dest": optional(text(PATH)),
        "src": optional(text(PATH)),
        "settings": optional(mapping(VALUE, SETTINGS)),
        "not_understood": OPTIONAL_COUNT,
        "not_understood_lines": list_of(record({"line": COUNT, "text": text(_LINE)}), MOST_LINES),
    }


def events(arguments: Arguments) -> Fields:
    """Return the fields of what conntrack_events returns for these ``arguments``."""
    answer = record(_answer(arguments, asked(arguments, "explain", 5)))
    return {
        "seconds": COUNT,
        "losses": COUNT,
        "count_before": OPTIONAL_COUNT,
        "count_after": OPTIONAL_COUNT,
        "not_told": OPTIONAL_COUNT,
        "undecidable": COUNT,
        "new": answer,
        "destroyed": answer,
        "dest": optional(text(PATH)),
        "dest_destroyed": optional(text(PATH)),
    }


def _answer(arguments: Arguments, clusters: int) -> Fields:
    """Return the fields of what a question to entries returns."""
    limit = asked(arguments, "limit", 10)
    grouped = {field: text_or(_group_value) for field in texts(arguments.get("group_by"))}
    group = record(
        {},
        {
            **grouped,
            "entries": COUNT,
            "packets": OPTIONAL_COUNT,
            "bytes": OPTIONAL_COUNT,
            "without_counters": COUNT,
        },
    )
    return {
        "total": COUNT,
        "matched": COUNT,
        "undecidable": COUNT,
        "entries": list_of(ENTRY, limit),
        "lines": list_of(text(2000), limit),
        "groups": list_of(group, limit),
        "groups_distinct": OPTIONAL_COUNT,
        "groups_uncertainty": COUNT,
        "filled_by": optional(list_of(CLUSTER, min(clusters, MOST_CLUSTERS))),
        "explained_percent": PERCENT,
    }


def _group_value(value: t.Any) -> t.Any:
    """Take what the entries of a group share: a number, a truth, or a list of names or numbers."""
    if value is None or isinstance(value, bool):
        return value
    return list_of(text_or(COUNT), 128)(value) if isinstance(value, (list, tuple)) else VALUE(value)

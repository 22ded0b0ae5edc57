# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""The shape of the facts ``table``: the entries of a router, counted."""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._facts.nat_ports import MOST_PAIRS
from ansible_collections.netops.conntrack.plugins.module_utils._facts.options import MOST as MOST_CLUSTERS
from ansible_collections.netops.conntrack.plugins.module_utils._uapi import PROTOCOL_NAMES, STATE_NAMES, TCP
from ansible_collections.netops.conntrack.plugins.plugin_utils._router.common_shapes import (
    COUNT,
    OPTIONAL_COUNT,
    PERCENT,
    PROTOCOL_COUNTS,
    Fields,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._router.shape import (
    Shape,
    boolean,
    list_of,
    mapping,
    network,
    number,
    one_of,
    optional,
    record,
    start_of_list,
    start_of_mapping,
    text_or,
    whole,
)

_PORT_OR_ADDRESS = text_or(whole(0, 65535), 45)
_AMOUNTS = record({"original": COUNT, "reply": COUNT, "unknown": COUNT})
_RANGE = record({"from": COUNT, "below": OPTIONAL_COUNT, "entries": COUNT})
HISTOGRAM_RANGES = list_of(_RANGE, 64)
_HISTOGRAM = record({"histogram": HISTOGRAM_RANGES, "unknown": COUNT})
_TALKER = record({"value": _PORT_OR_ADDRESS, "entries": COUNT, "percent": PERCENT})
_PROTOCOL_NAME = one_of(*PROTOCOL_NAMES.values())
_PROTOCOL_NUMBERS = {str(number): str(number) for number in range(256) if number not in PROTOCOL_NAMES}


def _protocol(value: t.Any) -> t.Any:
    """Take the name of a protocol, or the number of one that has none."""
    return _PROTOCOL_NUMBERS.get(value) or _PROTOCOL_NAME(value) if isinstance(value, str) else _PROTOCOL_NAME(value)


_STATE = one_of(*STATE_NAMES[TCP])
_ONE = whole(1, 1)
MATCH = record(
    {"protocol": _protocol, "replied": boolean},
    {
        "state": _STATE,
        "packets_original": record({"min": _ONE, "max": _ONE}),
        "icmp_type": whole(0, 255),
        "zone": whole(0, 65535),
        "source": network,
        "destination": network,
        "destination_port": whole(0, 65535),
        "reply_source": network,
        "reply_destination": network,
    },
)
"""A selector that a report prints in a command, so that no other text has a place in it."""
PEERS: Fields = {
    "sources": COUNT,
    "more_sources": boolean,
    "source_network": optional(network),
    "destinations": COUNT,
    "more_destinations": boolean,
    "destination_network": optional(network),
}
CLUSTER = record(
    {"match": MATCH, "entries": COUNT, "percent": number(0, 100), "prunable": OPTIONAL_COUNT},
    PEERS,
)
_NAT_PORTS = record(
    {
        "protocol": _protocol,
        "address": network,
        "destination": network,
        "destination_port": whole(0, 65535),
        "zone": whole(0, 65535),
        "ports": COUNT,
    }
)
_TOP = ("source", "destination", "source_port", "destination_port")


def table(top: int, explain: int = MOST_CLUSTERS) -> Shape:
    """Return the shape of the facts ``table``, with so many of the largest, explained by so many clusters."""
    return _table(mapping(COUNT, top), list_of(_TALKER, top), explain)


def shortened_table(top: int) -> Shape:
    """Return the shape of the facts ``table`` of which so many of the largest are kept, however many it has."""
    return _table(start_of_mapping(COUNT, top), start_of_list(_TALKER, top), MOST_CLUSTERS)


def _table(some: Shape, talkers: Shape, explain: int) -> Shape:
    return record(
        {
            "entries": COUNT,
            "families": mapping(COUNT, 16),
            "protocols": PROTOCOL_COUNTS,
            "states": mapping(mapping(COUNT, 64), 64),
            "status": mapping(COUNT, 64),
            "evictable": COUNT,
            "zones": some,
            "zones_distinct": COUNT,
            "marks": some,
            "marks_distinct": OPTIONAL_COUNT,
            "packets": _AMOUNTS,
            "bytes": _AMOUNTS,
            "remaining": _HISTOGRAM,
            "idle": _HISTOGRAM,
            "top": record(dict.fromkeys(_TOP, talkers)),
        },
        {
            "zones_original": some,
            "zones_original_distinct": COUNT,
            "zones_reply": some,
            "zones_reply_distinct": COUNT,
            "uncertainty": record(dict.fromkeys(("marks", "source", "destination"), COUNT)),
            "not_listed": OPTIONAL_COUNT,
            "filled_by": list_of(CLUSTER, min(explain, MOST_CLUSTERS)),
            "explained_percent": number(0, 100),
            "nat_ports": list_of(_NAT_PORTS, MOST_PAIRS),
        },
    )

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""The shape of what conntrack_facts returns, subset by subset."""

from __future__ import annotations

import collections.abc
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._facts.namespaces import (
    LONGEST_NAME,
    LONGEST_PROCESS,
    MOST_LISTED,
    MOST_NAMES,
)
from ansible_collections.netops.conntrack.plugins.module_utils._facts.options import USUAL as USUAL_CLUSTERS
from ansible_collections.netops.conntrack.plugins.module_utils._facts.subsets import subsets_of
from ansible_collections.netops.conntrack.plugins.module_utils._namespaces.control_groups import KINDS
from ansible_collections.netops.conntrack.plugins.module_utils._selector.named_selectors import NAMED
from ansible_collections.netops.conntrack.plugins.plugin_utils._router.boot_shapes import BOOT
from ansible_collections.netops.conntrack.plugins.plugin_utils._router.common_shapes import (
    COUNT,
    FULLNESS,
    OPTIONAL_COUNT,
    PERCENT,
    PROTOCOL_COUNTS,
    SETTINGS,
    VALUE,
    Arguments,
    Fields,
    asked,
    texts,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._router.expectation_shapes import expectations
from ansible_collections.netops.conntrack.plugins.plugin_utils._router.forecast_shapes import forecast, rates
from ansible_collections.netops.conntrack.plugins.plugin_utils._router.shape import (
    boolean,
    list_of,
    mapping,
    number,
    one_of,
    optional,
    record,
    text,
    words,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._router.table_shapes import table

_PROCESSORS = 8192
"""NR_CPUS of the largest kernels."""

_LISTENER = record(
    {
        "process": optional(text()),
        "pid": OPTIONAL_COUNT,
        "port_id": COUNT,
        "receive_queue_bytes": COUNT,
        "drops": COUNT,
    }
)
USAGE: Fields = {
    **FULLNESS,
    "memory_bytes": OPTIONAL_COUNT,
    "entry_bytes": COUNT,
    "memory_total_bytes": OPTIONAL_COUNT,
    "listeners": optional(list_of(_LISTENER, 4096)),
}

_TABLE_FULL = record(
    {"messages": OPTIONAL_COUNT, "last_seconds_ago": optional(number()), "unreadable": optional(words())}
)
_COUNTERS = mapping(COUNT, 64)
STATS = record({"total": _COUNTERS, "table_full": _TABLE_FULL}, {"per_cpu": list_of(_COUNTERS, _PROCESSORS)})

SELECTED: Fields = {
    "entries": OPTIONAL_COUNT,
    "percent": PERCENT,
    "undecidable": COUNT,
    "unavailable": optional(words()),
}
PROTOCOLS: Fields = {"protocols": optional(PROTOCOL_COUNTS)}
_NAMED_COUNTS: Fields = {"count": OPTIONAL_COUNT, "percent": PERCENT, "unavailable": optional(words())}
_NAMED = mapping(record(_NAMED_COUNTS), 100_000, LONGEST_NAME)
_NAME = text(LONGEST_NAME)
_OWNER = record(
    {
        "kind": one_of(*KINDS),
        "name": _NAME,
        "label": optional(_NAME),
        "pod": optional(text()),
        "user": OPTIONAL_COUNT,
    }
)
NAMESPACE: Fields = {
    "name": _NAME,
    "title": text(2 * LONGEST_NAME),
    "names": list_of(_NAME, MOST_NAMES),
    "inode": COUNT,
    "own": boolean,
    "pid": OPTIONAL_COUNT,
    "process": optional(text(LONGEST_PROCESS)),
    "processes": COUNT,
    "owner": optional(_OWNER),
    "count": OPTIONAL_COUNT,
    "max": OPTIONAL_COUNT,
    "percent": PERCENT,
    "unavailable": optional(words()),
}
ACROSS_NAMESPACES: Fields = {
    "namespaces": COUNT,
    "left_out": COUNT,
    "hidden_processes": COUNT,
    "count": OPTIONAL_COUNT,
    "buckets": OPTIONAL_COUNT,
    "load_factor": PERCENT,
    "complete": optional(boolean),
    "unavailable": optional(words()),
}


_CACHE = record(
    {
        "enabled": boolean,
        "entries": OPTIONAL_COUNT,
        "created": OPTIONAL_COUNT,
        "updated": OPTIONAL_COUNT,
        "destroyed": OPTIONAL_COUNT,
        "failed": OPTIONAL_COUNT,
    }
)
PAIR: Fields = {
    "pid": OPTIONAL_COUNT,
    "config": optional(text()),
    "internal_cache": optional(_CACHE),
    "external_cache": optional(_CACHE),
    "malformed_messages": OPTIONAL_COUNT,
    "lost_messages": OPTIONAL_COUNT,
    "send_errors": OPTIONAL_COUNT,
    "receive_errors": OPTIONAL_COUNT,
    "problem": optional(words()),
}


def facts(arguments: Arguments) -> Fields:
    """Return the fields of what conntrack_facts returns for these ``arguments``."""
    table_shape = table(asked(arguments, "top", 10), asked(arguments, "explain", USUAL_CLUSTERS))
    selectors_shape = record({}, dict.fromkeys(_selectors(arguments), record(SELECTED, PROTOCOLS)))
    all_of_each = record(NAMESPACE, {"table": table_shape, "selectors": selectors_shape})
    is_asked = arguments.get("namespaces") is not None
    shapes = {
        "usage": record(USAGE),
        "settings": mapping(VALUE, SETTINGS),
        "stats": record(
            {
                "total": _COUNTERS,
                "table_full": _TABLE_FULL,
                "per_cpu": list_of(_COUNTERS, _PROCESSORS),
                "unavailable": optional(words()),
                "received_packets": OPTIONAL_COUNT,
            }
        ),
        "boot": BOOT,
        "table": table_shape,
        "selectors": selectors_shape,
        "expectations": expectations(asked(arguments, "top", 10)),
        "pair": optional(record(PAIR)),
        "namespaces": mapping(all_of_each, MOST_LISTED, LONGEST_NAME) if is_asked else _NAMED,
    }
    asked_for = arguments.get("gather_subset")
    subsets = subsets_of({**arguments, "gather_subset": None if asked_for is None else texts(asked_for)})
    gathered = {subset: shapes[subset] for subset in subsets if subset in shapes}
    if is_asked and "namespaces" in gathered:
        gathered["across_namespaces"] = record(ACROSS_NAMESPACES)
    if arguments.get("forecast") is not None:
        gathered["forecast"] = forecast(arguments)
    if arguments.get("sample") is not None:
        gathered["rates"] = rates(arguments)
    # It is not there where there is nothing to count.
    counted = {"selectors": gathered.pop("selectors")} if "selectors" in gathered else {}
    return {"ansible_facts": record({"conntrack": record(gathered, counted)})}


def _selectors(arguments: Arguments) -> t.Collection[str]:
    given = arguments.get("selectors")
    return list(map(str, given)) if isinstance(given, collections.abc.Mapping) else NAMED

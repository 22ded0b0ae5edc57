# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""The shapes of what each module returns, as its documentation says.

A router that was taken over can put anything into its answer. What has no place here reaches nobody. Each limit is well
above what an honest router has, and where an option says how much is returned, that is the limit.
"""

from __future__ import annotations

import collections.abc
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._facts.filled_by import MOST as MOST_CLUSTERS
from ansible_collections.netops.conntrack.plugins.module_utils._facts.subsets import subsets_of
from ansible_collections.netops.conntrack.plugins.module_utils._listing.decoder import SHOWN as MOST_LINES
from ansible_collections.netops.conntrack.plugins.module_utils._selector.named_selectors import NAMED
from ansible_collections.netops.conntrack.plugins.module_utils._uapi import PROTOCOL_NAMES, STATE_NAMES, TCP
from ansible_collections.netops.conntrack.plugins.plugin_utils._router.shape import (
    Shape,
    address,
    boolean,
    list_of,
    mapping,
    number,
    one_of,
    optional,
    record,
    text,
    text_or,
    whole,
    words,
)

Arguments = t.Mapping[str, t.Any]
Fields = dict[str, Shape]

_MOST_ASKED = 1_000_000
SETTINGS = 512
"""More settings than any kernel has."""

_FILES = 4096
_PATH = 4096
_LINE = 4096
_PROCESSORS = 8192
"""NR_CPUS of the largest kernels."""

COUNT = whole()
OPTIONAL_COUNT = optional(COUNT)
_PORT_OR_ADDRESS = text_or(whole(0, 65535), 45)
_PERCENT = optional(number())
VALUE = whole(-(2**63))
"""The value of a sysctl."""
NAMES = list_of(text(), SETTINGS)
_PROTOCOLS = mapping(COUNT, 256)

_PLACE: Fields = {"file": optional(text(_PATH)), "line": optional(whole())}
_OPTIONAL_PLACE = optional(record(_PLACE))
_VALUE_AND_PLACE = record({"value": optional(VALUE), **_PLACE})

LISTENER = record(
    {
        "process": optional(text()),
        "pid": OPTIONAL_COUNT,
        "port_id": COUNT,
        "receive_queue_bytes": COUNT,
        "drops": COUNT,
    }
)
USAGE: Fields = {
    "count": COUNT,
    "max": COUNT,
    "percent": _PERCENT,
    "headroom": OPTIONAL_COUNT,
    "buckets": OPTIONAL_COUNT,
    "load_factor": _PERCENT,
    "memory_bytes": COUNT,
    "entry_bytes": COUNT,
    "memory_total_bytes": OPTIONAL_COUNT,
    "listeners": optional(list_of(LISTENER, 4096)),
}

_TABLE_FULL = record(
    {"messages": OPTIONAL_COUNT, "last_seconds_ago": optional(number()), "unreadable": optional(words())}
)
_COUNTERS = mapping(COUNT, 64)
STATS = record({"total": _COUNTERS, "table_full": _TABLE_FULL}, {"per_cpu": list_of(_COUNTERS, _PROCESSORS)})

SELECTED: Fields = {
    "entries": OPTIONAL_COUNT,
    "percent": _PERCENT,
    "undecidable": COUNT,
    "unavailable": optional(words()),
}
PROTOCOLS: Fields = {"protocols": optional(_PROTOCOLS)}

_AMOUNTS = record({"original": COUNT, "reply": COUNT, "unknown": COUNT})
_RANGE = record({"from": COUNT, "below": OPTIONAL_COUNT, "entries": COUNT})
_HISTOGRAM = record({"histogram": list_of(_RANGE, 64), "unknown": COUNT})
_TALKER = record({"value": _PORT_OR_ADDRESS, "entries": COUNT, "percent": _PERCENT})
_PROTOCOL_NAME = one_of(*PROTOCOL_NAMES.values())
_PROTOCOL_NUMBERS = {str(number): str(number) for number in range(256) if number not in PROTOCOL_NAMES}


def _protocol(value: t.Any) -> t.Any:
    """Take the name of a protocol, or the number of one that has none."""
    return _PROTOCOL_NUMBERS.get(value) or _PROTOCOL_NAME(value) if isinstance(value, str) else _PROTOCOL_NAME(value)


_STATE = one_of(*STATE_NAMES[TCP])
_ONE = whole(1, 1)
_MATCH = record(
    {"protocol": _protocol, "replied": boolean},
    {
        "state": _STATE,
        "packets_original": record({"min": _ONE, "max": _ONE}),
        "source": address,
        "destination": address,
        "destination_port": whole(0, 65535),
    },
)
"""A selector that a report prints in a command, so that no other text has a place in it."""
_CLUSTER = record({"match": _MATCH, "entries": COUNT, "percent": number(0, 100), "prunable": OPTIONAL_COUNT})
_TOP = ("source", "destination", "source_port", "destination_port")


def table(top: int) -> Shape:
    """Return the shape of the facts ``table``, with so many of the largest."""
    some = mapping(COUNT, top)
    return record(
        {
            "entries": COUNT,
            "families": mapping(COUNT, 16),
            "protocols": _PROTOCOLS,
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
            "top": record({name: list_of(_TALKER, top) for name in _TOP}),
        },
        {
            "zones_original": some,
            "zones_original_distinct": COUNT,
            "zones_reply": some,
            "zones_reply_distinct": COUNT,
            "uncertainty": record(dict.fromkeys(("marks", "source", "destination"), COUNT)),
            "not_listed": OPTIONAL_COUNT,
            "filled_by": list_of(_CLUSTER, MOST_CLUSTERS),
        },
    )


_BOOT_SETTING = record(
    {
        "runtime": optional(VALUE),
        "boot": optional(VALUE),
        **_PLACE,
        "drift": optional(boolean),
        "owners": NAMES,
        "overridden": list_of(_VALUE_AND_PLACE, _FILES),
    }
)
_RECORDED = record({"name": text(), "runtime": optional(VALUE), "lines": optional(words(lines=True))})
_RECORDS = record(
    {
        "files": list_of(
            record({"sysctl_file": text(_PATH), "settings": mapping(_RECORDED, SETTINGS)}),
            _FILES,
        ),
        "settings": optional(NAMES),
        "unreadable": optional(words()),
    }
)
_BOOT = record(
    {
        "settings": mapping(_BOOT_SETTING, SETTINGS),
        "drift": NAMES,
        "lost": optional(words()),
        "lost_settings": NAMES,
        "undecided": optional(words()),
        "undecided_settings": NAMES,
        "invalid": NAMES,
        "overridden": NAMES,
        "contested": NAMES,
        "module": text(),
        "module_file": _OPTIONAL_PLACE,
        "replayed_by": _OPTIONAL_PLACE,
        "hashsize": optional(_VALUE_AND_PLACE),
        "owners": list_of(record({"owner": text(_PATH), "settings": NAMES, "evidence": text(2 * _PATH)}), _FILES),
        "records": _RECORDS,
    },
    {"init": text(), "sysctl_files": optional(list_of(text(_PATH), _FILES))},
)
_NAMESPACES = mapping(record({"count": OPTIONAL_COUNT, "percent": _PERCENT}), 100_000, 255)


def facts(arguments: Arguments) -> Fields:
    """Return the fields of what conntrack_facts returns for these ``arguments``."""
    shapes = {
        "usage": record(USAGE),
        "settings": mapping(VALUE, SETTINGS),
        "stats": record({"total": _COUNTERS, "table_full": _TABLE_FULL, "per_cpu": list_of(_COUNTERS, _PROCESSORS)}),
        "boot": _BOOT,
        "table": table(asked(arguments, "top", 10)),
        "selectors": record({}, dict.fromkeys(_selectors(arguments), record(SELECTED, PROTOCOLS))),
        "namespaces": _NAMESPACES,
    }
    asked_for = arguments.get("gather_subset")
    subsets = subsets_of({**arguments, "gather_subset": None if asked_for is None else _texts(asked_for)})
    gathered = {subset: shapes[subset] for subset in subsets if subset in shapes}
    # It is not there where there is nothing to count.
    counted = {"selectors": gathered.pop("selectors")} if "selectors" in gathered else {}
    return {"ansible_facts": record({"conntrack": record(gathered, counted)})}


def _selectors(arguments: Arguments) -> t.Collection[str]:
    given = arguments.get("selectors")
    return list(map(str, given)) if isinstance(given, collections.abc.Mapping) else NAMED


def _texts(value: t.Any) -> list[str]:
    """Return the texts of a list, which may be one text with commas."""
    items = value.split(",") if isinstance(value, str) else value or ()
    return [str(item).strip() for item in items]


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


def _info(arguments: Arguments) -> Fields:
    limit = asked(arguments, "limit", 10)
    grouped = {field: text_or(_group_value) for field in _texts(arguments.get("group_by"))}
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
        "dest": optional(text(_PATH)),
        "filled_by": optional(list_of(_CLUSTER, MOST_CLUSTERS)),
        "src": optional(text(_PATH)),
        "settings": optional(mapping(VALUE, SETTINGS)),
        "not_understood": OPTIONAL_COUNT,
        "not_understood_lines": list_of(record({"line": COUNT, "text": text(_LINE)}), MOST_LINES),
    }


def _group_value(value: t.Any) -> t.Any:
    """Take what the entries of a group share: a number, a truth, or a list of names or numbers."""
    if value is None or isinstance(value, bool):
        return value
    return list_of(text_or(COUNT), 128)(value) if isinstance(value, (list, tuple)) else VALUE(value)


PRUNE_COUNTS = (
    "matched",
    "protected",
    "would_delete",
    "deleted",
    "already_gone",
    "not_deleted",
    "undecidable",
    "count_before",
)
PRUNE_UNSURE_COUNTS = ("woken", "count_after", "not_listed")
"""Those that are null where nobody looked, or the kernel does not say."""


def _prune(arguments: Arguments) -> Fields:
    size = asked(arguments, "sample", 5)
    sample = list_of(ENTRY, size)
    return {
        **dict.fromkeys(PRUNE_COUNTS, COUNT),
        **dict.fromkeys(PRUNE_UNSURE_COUNTS, OPTIONAL_COUNT),
        "kept": kept_entries(sample),
        "lines": list_of(text(2000), size),
        "sample": sample,
    }


def kept_entries(sample: Shape) -> Shape:
    """Return the shape of what a prune says of entries that a guard keeps."""
    kept = record({"reason": text(), "option": text(), "entries": COUNT}, {"sample": sample})
    return list_of(kept, 16)


_UPDATE: Fields = {
    **dict.fromkeys(
        (
            "matched",
            "protected",
            "would_update",
            "updated",
            "unchanged",
            "already_gone",
            "fixed_timeout",
            "without_timeout",
            "undecidable",
            "not_updated",
        ),
        COUNT,
    ),
    "not_listed": OPTIONAL_COUNT,
    "kept": mapping(COUNT, 16),
}

SETTING = record(
    {
        "name": text(),
        "wanted": VALUE,
        "runtime_before": optional(VALUE),
        "runtime_after": optional(VALUE),
        "boot_before": optional(VALUE),
        "boot": optional(VALUE),
        "restored": boolean,
    },
    {"boot_file": optional(text(_PATH)), "boot_line": OPTIONAL_COUNT},
)
_CONFIRM = record({"change": text(), "within": whole(0, 3600), "seconds_left": number(0, 3600), "confirmed": boolean})
_SETTINGS_RESULT: Fields = {
    "settings": mapping(SETTING, SETTINGS),
    "restored": NAMES,
    "confirm": optional(_CONFIRM),
    "unsupported": NAMES,
    "read_only": NAMES,
}

_UNAVAILABLE: Fields = {"unavailable": text()}
_OF_FAILURES: dict[str, Fields] = {
    "conntrack_info": _UNAVAILABLE,
    "conntrack_prune": {"failures": mapping(COUNT, 256), **_UNAVAILABLE},
    "conntrack_update": {"failures": mapping(COUNT, 256), **_UNAVAILABLE},
}

_OF_SUCCESS: dict[str, t.Callable[[Arguments], Fields]] = {
    "conntrack_facts": facts,
    "conntrack_info": _info,
    "conntrack_prune": _prune,
    "conntrack_settings": lambda _arguments: _SETTINGS_RESULT,
    "conntrack_update": lambda _arguments: _UPDATE,
}


def fields_of_success(module: str, arguments: Arguments) -> Fields:
    """Return the fields that a module returns for these ``arguments`` when it succeeds."""
    return _OF_SUCCESS[module](arguments) if module in _OF_SUCCESS else {}


def fields_of_failure(module: str, arguments: Arguments) -> Fields:
    """Return the fields that a module may return when it fails, besides those that any module has."""
    fields = {**fields_of_success(module, arguments), **_OF_FAILURES.get(module, {})}
    return {name: shape for name, shape in fields.items() if name != "ansible_facts"}


def asked(arguments: Arguments, option: str, default: int) -> int:
    """Return how many of something an ``option`` asks for."""
    value = arguments.get(option)
    try:
        return min(max(int(default if value is None else value), 0), _MOST_ASKED)
    except (TypeError, ValueError):
        # The module refuses it.
        return default

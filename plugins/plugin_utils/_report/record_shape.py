# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""The shape of a router's record, from which its part of the report is made: one router cannot lose it for the others.

What a module returned was looked at before, when it came. But a record is made of variables, and those of a router can
come from anywhere.
"""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._errors import AnswerError
from ansible_collections.netops.conntrack.plugins.module_utils._facts.namespaces import LONGEST_NAME, MOST_LISTED
from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.check import SEVERITIES, STATUSES
from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.explanation import is_prune_command
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document_types import Failure
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.record_types import RouterRecord, TuneRecord
from ansible_collections.netops.conntrack.plugins.plugin_utils._router.change_shapes import (
    PRUNE_COUNTS,
    PRUNE_UNSURE_COUNTS,
    kept_entries,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._router.common_shapes import (
    COUNT,
    FULLNESS,
    NAMES,
    OPTIONAL_COUNT,
    PATH,
    SETTINGS,
    VALUE,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._router.facts_shapes import (
    ACROSS_NAMESPACES,
    NAMESPACE,
    PROTOCOLS,
    SELECTED,
    STATS,
    USAGE,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._router.info_shapes import ENTRY
from ansible_collections.netops.conntrack.plugins.plugin_utils._router.shape import (
    FaultError,
    Shape,
    anything,
    boolean,
    checked,
    known_of,
    list_of,
    mapping,
    number,
    one_of,
    optional,
    record,
    start_of_list,
    text,
    words,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._router.table_shapes import shortened_table

STEP = "Report on the fleet"
"""What a router whose record is malformed is reported to have failed in."""

_LARGEST_TOP = 10_000
"""How many of the largest, and of the entries of a sample, a record keeps. The account stays when there are more."""

_MOST_SELECTORS = 512
_MOST_CHECKS = 1000
_MOST_HELPS = 100

_GATE = {
    "id": text(),
    "title": words(500),
    "status": one_of(*STATUSES),
    "value": anything,
    "reason": optional(words()),
}
_FINDING = record(
    {**_GATE, "severity": one_of(*SEVERITIES), "advice": words()},
    {"unit": text(), "cures": list_of(words(), _MOST_HELPS)},
)


def _command(value: t.Any) -> str:
    """Take a command that an explanation has. Those of other kinds are not made here, and nobody should paste them."""
    text_of_command: str = words()(value)
    if not is_prune_command(text_of_command):
        raise FaultError("is no command that deletes the entries of a selector")
    return text_of_command


_EXPLANATION = record(
    {
        "filled_by": words(),
        "prunes": list_of(record({"command": _command, "frees": COUNT}), _MOST_HELPS),
        "advice": list_of(words(), _MOST_HELPS),
    }
)

_NAMESPACE = record(
    {
        **{key: NAMESPACE[key] for key in ("title", "own", "count", "max", "percent", "unavailable")},
        "filled_by": optional(words()),
    }
)

_AUDIT = record(
    {
        "usage": known_of(USAGE),
        "selectors": mapping(known_of({**SELECTED, **PROTOCOLS}), _MOST_SELECTORS),
        "findings": list_of(_FINDING, _MOST_CHECKS),
    },
    {
        "table": optional(shortened_table(_LARGEST_TOP)),
        "stats": optional(STATS),
        "drift": optional(NAMES),
        "explanation": optional(_EXPLANATION),
        "namespaces": optional(mapping(_NAMESPACE, MOST_LISTED, LONGEST_NAME)),
        "across_namespaces": optional(record(ACROSS_NAMESPACES)),
    },
)

_SETTING = record(dict.fromkeys(("runtime_before", "runtime_after", "boot_before", "boot"), optional(VALUE)))
_SIZES = ("max", "buckets", "max_before", "buckets_before", "per_entry_bytes", "memory_bytes", "memory_total_bytes")
_SIZING = record(
    {
        **dict.fromkeys(_SIZES, COUNT),
        "memory_percent": number(),
        "above_share": boolean,
        "limited_by": text(),
        "why": words(),
    }
)
_SHORTENED = record(
    dict.fromkeys(("would_update", "updated", "fixed_timeout"), OPTIONAL_COUNT),
    {
        **dict.fromkeys(("matched", "unchanged", "already_gone", "not_updated", "undecidable"), OPTIONAL_COUNT),
        "kept": optional(mapping(COUNT, 16)),
    },
)
_FORECAST = record(
    {
        **dict.fromkeys(("entries", "governed", "gone", "unknown"), COUNT),
        "percent": number(0, 100),
        **dict.fromkeys(("last_in_seconds", "shortened_in_seconds", "after_seconds"), OPTIONAL_COUNT),
        "now": record(FULLNESS),
        "then": record(FULLNESS),
        "after": optional(record(FULLNESS)),
    }
)
_TUNE = record(
    {
        "profile": text(),
        "settings": mapping(_SETTING, SETTINGS),
        "why": mapping(words(), SETTINGS),
        "left_out": NAMES,
    },
    {
        "sizing": lambda value: _SIZING(value) if value else None,
        "shortened": lambda value: _SHORTENED(value) if value else None,
        "forecast": lambda value: _FORECAST(value) if value else None,
        "confirmed": optional(boolean),
    },
)


def _tune(value: t.Any) -> TuneRecord:
    tune = t.cast("TuneRecord", _TUNE(value))
    for name in tune["settings"]:
        if name not in tune["why"]:
            raise FaultError(f"why lacks {name}")
    return tune


_ENTRIES = start_of_list(ENTRY, _LARGEST_TOP)
_PRUNE = record(
    {},
    {
        **dict.fromkeys((*PRUNE_COUNTS, *PRUNE_UNSURE_COUNTS, "matches_now"), OPTIONAL_COUNT),
        "kept": optional(kept_entries(_ENTRIES)),
        "backup_file": optional(text(PATH)),
        "sample": optional(_ENTRIES),
        "unavailable": optional(words()),
    },
)
_FAILURE = record({"step": words(500), "message": words(lines=True), "unreachable": boolean})

_PARTS: dict[str, Shape] = {
    "before": _AUDIT,
    "after": _AUDIT,
    "tune": _tune,
    "prune": _PRUNE,
    "health": list_of(record(_GATE), _MOST_CHECKS),
    "failure": _FAILURE,
    "no_conntrack": words(),
}
_FACTS = ("before", "after")


def sound(given: t.Any) -> RouterRecord:
    """Return what holds of a router's record, in plain types. What does not hold is the failure of that router."""
    if not isinstance(given, dict):
        return failed("Its record is malformed (it is no mapping).")
    parts: dict[str, t.Any] = {}
    problems: list[str] = []
    for part, shape in _PARTS.items():
        if not given.get(part):
            continue
        of = "Its facts are malformed" if part in _FACTS else "Its record is malformed"
        try:
            parts.update(checked(given, record({part: shape}), of))
        except AnswerError as error:
            problems.append(error.message)
    sound_parts = t.cast("RouterRecord", parts)
    return _with_problem(sound_parts, problems[0]) if problems else sound_parts


def _with_problem(record_so_far: RouterRecord, problem: str) -> RouterRecord:
    """Return a record with what is wrong with it, behind the failure that it has already."""
    failure = record_so_far.get("failure") or _failure("")
    message = " ".join(filter(None, [failure["message"], problem]))
    return {**record_so_far, "no_conntrack": None, "failure": {**failure, "message": message}}


def failed(message: str) -> RouterRecord:
    """Return the record of a router of which nothing can be used."""
    return {"failure": _failure(message)}


def _failure(message: str) -> Failure:
    return {"step": STEP, "message": message, "unreachable": False}

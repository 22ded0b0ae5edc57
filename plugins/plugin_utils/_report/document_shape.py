# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""What a document has where, so that one that somebody else wrote is refused before anything is done with it.

docs/report.schema.json says the same, and more, for programs. A key that it does not have is left alone here.
"""

from __future__ import annotations

import math
import typing as t

from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.check import SEVERITIES, STATUSES
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document import VERDICTS, Record

_SHOWN = 60
"""Characters of a wrong value that a message shows."""

Shape = t.Callable[[t.Any, tuple[str, ...]], None]
"""Looks at a value, which stands at these keys. Raises ShapeError if it is not as it should be."""


class ShapeError(Exception):
    """A value is not as in a document. ``place`` is the keys that lead to it, ``problem`` what is wrong."""

    def __init__(self, place: tuple[str, ...], problem: str) -> None:
        super().__init__(problem)
        self.place = place
        self.problem = problem


def check_document(document: Record) -> None:
    """Raise ShapeError for the first value of a ``document`` of any version that is not as in a report."""
    _DOCUMENT(document, ())
    for name, host in document["hosts"].items():
        for phase in ("before", "after"):
            for finding in (host[phase] or {"findings": []})["findings"]:
                if finding["id"] not in document["checks"]:
                    raise ShapeError(("hosts", name, phase, "findings"), "has a check that is not among the checks")


def _is(wanted: str, is_right: t.Callable[[t.Any], bool]) -> Shape:
    def look(value: t.Any, place: tuple[str, ...]) -> None:
        if not is_right(value):
            raise ShapeError(place, f"should be {wanted}, and is {_in_words(value)}")

    return look


def _one_of(words: t.Collection[str]) -> Shape:
    return _is(f"one of {', '.join(words)}", lambda value: isinstance(value, str) and value in words)


def _maybe(shape: Shape) -> Shape:
    """Return the shape of what may be unknown, or not there: null, or as the ``shape`` says."""

    def look(value: t.Any, place: tuple[str, ...]) -> None:
        if value is not None:
            shape(value, place)

    return look


def _each(shape: Shape) -> Shape:
    def look(value: t.Any, place: tuple[str, ...]) -> None:
        _LIST(value, place)
        for number, item in enumerate(value):
            shape(item, (*place, str(number)))

    return look


def _by_name(shape: Shape) -> Shape:
    def look(value: t.Any, place: tuple[str, ...]) -> None:
        _MAPPING(value, place)
        for name, item in value.items():
            shape(item, (*place, name))

    return look


def _with(needed: dict[str, Shape], later: dict[str, Shape] | None = None) -> Shape:
    """Return the shape of what has all of the keys ``needed``. Those that came ``later`` may be missing."""
    all_keys = {**needed, **(later or {})}

    def look(value: t.Any, place: tuple[str, ...]) -> None:
        _MAPPING(value, place)
        missing = [key for key in needed if key not in value]
        if missing:
            raise ShapeError(place, f"lacks {', '.join(missing)}")
        for key, shape in all_keys.items():
            if key in value:
                shape(value[key], (*place, key))

    return look


def _in_words(value: t.Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, str):
        return repr(value if len(value) <= _SHOWN else f"{value[:_SHOWN]}...")
    return f"{value:.3g}"


def _is_whole(value: t.Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: t.Any) -> bool:
    return _is_whole(value) or (isinstance(value, float) and math.isfinite(value))


_ANY: Shape = _is("anything", lambda _value: True)
_TEXT = _is("a text", lambda value: isinstance(value, str))
_FLAG = _is("true or false", lambda value: isinstance(value, bool))
_LIST = _is("a list", lambda value: isinstance(value, list))
_MAPPING = _is("an object", lambda value: isinstance(value, dict))
_COUNT = _maybe(_is("a whole number from 0 on", lambda value: _is_whole(value) and value >= 0))
_NUMBER = _maybe(_is("a number", _is_number))
_VALUE = _maybe(_is("a whole number", _is_whole))
_REASON = _maybe(_TEXT)
_TEXTS = _each(_TEXT)
_TALKER = _is("an address or a port", lambda value: isinstance(value, str) or _is_whole(value))

_COUNTS = _by_name(_COUNT)
_FINDING = _with({"id": _TEXT, "status": _one_of(STATUSES), "value": _ANY, "reason": _REASON})
_HISTOGRAM = _with(
    {
        "histogram": _each(
            _with({"from": _is("a whole number", _is_whole), "below": _VALUE, "entries": _COUNT}),
        ),
        "unknown": _COUNT,
    }
)
_TOP = _each(_with({"value": _TALKER, "entries": _COUNT, "percent": _NUMBER}))
_CLUSTER = _with(
    {
        "match": _with({"protocol": _TEXT, "replied": _FLAG}),
        "entries": _COUNT,
        "percent": _NUMBER,
        "prunable": _COUNT,
    }
)
_EXPLANATION = _with({"filled_by": _TEXT, "advice": _REASON})
_TABLE = _with(
    {
        "families": _COUNTS,
        "protocols": _COUNTS,
        "states": _by_name(_COUNTS),
        "status": _COUNTS,
        "evictable": _COUNT,
        "zones": _COUNTS,
        "remaining": _HISTOGRAM,
        "idle": _HISTOGRAM,
        "top": _by_name(_TOP),
    },
    {"not_listed": _COUNT, "filled_by": _each(_CLUSTER), "zones_original": _COUNTS, "zones_reply": _COUNTS},
)
_USAGE = _with(
    {
        **dict.fromkeys(("count", "max", "headroom", "buckets", "memory_bytes"), _COUNT),
        **dict.fromkeys(("percent", "load_factor"), _NUMBER),
    }
)
_SELECTOR = _with(
    {"entries": _COUNT, "percent": _NUMBER, "undecidable": _COUNT, "unavailable": _REASON},
    {"protocols": _maybe(_COUNTS)},
)
_STATS = _with({"total": _COUNTS, "table_full": _with({"messages": _COUNT})})
_AUDIT = _with(
    {"usage": _USAGE, "selectors": _by_name(_SELECTOR), "findings": _each(_FINDING)},
    {
        "table": _maybe(_TABLE),
        "stats": _maybe(_STATS),
        "drift": _maybe(_TEXTS),
        "explanation": _maybe(_EXPLANATION),
    },
)
_CHANGE = _with({**dict.fromkeys(("before", "after", "boot_before", "boot_after"), _VALUE), "why": _TEXT})
_SIZING = _with(
    {
        **dict.fromkeys(("max", "buckets", "max_before", "buckets_before"), _COUNT),
        **dict.fromkeys(("memory_bytes", "memory_total_bytes"), _is("a whole number", _is_whole)),
        "memory_percent": _NUMBER,
        "limited_by": _TEXT,
        "why": _TEXT,
    }
)
_SUM = _is("a whole number", _is_whole)
_RECAP = _with(
    {"matched": _COUNT, "would_update": _SUM, "updated": _COUNT, "unchanged": _COUNT, "fixed_timeout": _SUM},
    {"already_gone": _COUNT, "undecidable": _COUNT, "kept": _maybe(_COUNTS)},
)
_SETTINGS = _with(
    {"profile": _TEXT, "left_out": _TEXTS, "changes": _by_name(_CHANGE)},
    {"sizing": _maybe(_SIZING), "recap": _maybe(_RECAP), "confirmed": _maybe(_FLAG)},
)
_KEPT = _with({"reason": _TEXT, "option": _TEXT, "entries": _COUNT})
_PRUNE = _with(
    {
        **dict.fromkeys(("matched", "protected", "would_delete", "deleted", "undecidable"), _COUNT),
        **dict.fromkeys(("already_gone", "not_deleted", "matches_now"), _COUNT),
        "unavailable": _REASON,
    },
    {"woken": _COUNT, "not_listed": _COUNT, "kept": _maybe(_each(_KEPT))},
)
_COURSE = _with({"before": _NUMBER, "now": _NUMBER})
_NEWS = _with({"new": _TEXTS, "gone": _TEXTS})
_TREND = _with(
    {
        "entries": _COURSE,
        "percent": _COURSE,
        "selectors": _by_name(_COURSE),
        "new_top": _maybe(_by_name(_each(_TALKER))),
        "drift": _maybe(_NEWS),
        "findings": _NEWS,
    }
)
_FAILURE = _with({"step": _TEXT, "message": _TEXT, "unreachable": _FLAG})
_HOST = _with(
    {
        "verdict": _one_of(VERDICTS),
        "before": _maybe(_AUDIT),
        "settings": _maybe(_SETTINGS),
        "prune": _maybe(_PRUNE),
        "after": _maybe(_AUDIT),
        "failure": _maybe(_FAILURE),
    },
    {"health": _maybe(_each(_FINDING)), "no_conntrack": _REASON, "trend": _maybe(_TREND)},
)
_GATE = _with({"host": _TEXT, "id": _TEXT, "title": _TEXT, "value": _ANY, "reason": _REASON})
_STOP = _with({"batch": _is("a whole number", _is_whole), "gates": _each(_GATE)})
_DOCUMENT = _with(
    {
        "time": _TEXT,
        "check_mode": _FLAG,
        "checks": _by_name(_with({"title": _TEXT, "severity": _one_of(SEVERITIES), "advice": _TEXT}, {"unit": _TEXT})),
        "hosts": _by_name(_HOST),
    },
    {
        "baseline": _maybe(_with({"time": _TEXT})),
        "rollout": _maybe(_with({"batches": _each(_TEXTS), "stopped": _maybe(_STOP)})),
    },
)

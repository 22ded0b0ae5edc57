# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""The fleet's document as JSON, which has all of it: written router by router, never as one text."""

from __future__ import annotations

import json
import math
import typing as t

from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document_types import Document

_DEEPEST = 100
"""Levels of lists and objects in a document that is written as it is. What is deeper is no part of a report."""

_APART = 2
"""Levels of objects whose values are parts of their own: the document, and the routers in it."""

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


def json_parts(document: Document) -> t.Iterator[str]:
    """Yield the document as JSON, part by part. What JSON does not have is null there: unknown.

    To encode all of it at once takes three times the memory of the text.
    """
    yield from _parts(document, _APART)
    yield "\n"


def _parts(value: t.Any, levels: int) -> t.Iterator[str]:
    if not levels or not _has_names(value):
        yield _encoded(value, _DEEPEST - (_APART - levels))
        return
    between = "{"
    for key in sorted(value):
        yield f"{between}{_ENCODER.encode(key)}:"
        yield from _parts(value[key], levels - 1)
        between = ","
    yield "}"


def _has_names(value: t.Any) -> bool:
    """Return whether a value is an object with texts as its keys, and with any key at all."""
    return isinstance(value, dict) and bool(value) and all(isinstance(key, str) for key in value)


def _encoded(value: t.Any, levels: int) -> str:
    try:
        return _ENCODER.encode(value)
    except (RecursionError, TypeError, ValueError):
        return _ENCODER.encode(_as_json_can_be(value, levels))


def _as_json_can_be(value: t.Any, levels: int) -> t.Any:
    if isinstance(value, dict) and levels:
        return {str(key): _as_json_can_be(item, levels - 1) for key, item in value.items()}
    if isinstance(value, list) and levels:
        return [_as_json_can_be(item, levels - 1) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, (str, int)) else None

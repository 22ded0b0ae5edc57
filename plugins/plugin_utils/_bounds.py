# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""How much of what routers sent a report for people shows. The JSON report has all."""

from __future__ import annotations

import math
import typing as t

TEXT = 2_000
"""Characters of one text, such as the message of a failure."""

VALUE = 200
"""Characters of one of many texts that stand in a line."""

LISTED = 50
"""Texts that stand one after the other, such as the zones of a router."""

SELECTORS = 50
"""Selectors that have a column or a line of their own. The most important ones come first."""

PARTS = 100
"""Parts of the section of one router, such as its findings."""

_DEEPEST = 30
"""Levels of lists and objects."""

_ROUTER = _DEEPEST - 2
"""The levels that the object of a router has, which is in one of routers in the document."""

_WITHOUT_TEXT = frozenset({int, float, bool, type(None)})

Item = t.TypeVar("Item")


def shorten(text: str, most: int = TEXT) -> str:
    """Return ``text`` in about ``most`` characters. The middle is left out, and how much that is stands there.

    The beginning of a message says what is wrong, and the end what to do.
    """
    if len(text) <= most:
        return text
    end = most // 4
    left_out = len(text) - most
    return f"{text[: most - end]} [{left_out:,} characters left out] {text[-end:]}"


def is_finite(value: t.Any) -> bool:
    """Return whether ``value`` is a number that can be counted, compared and drawn."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def some(items: t.Iterable[Item], most: int) -> tuple[list[Item], int]:
    """Return the first of the ``items``, and how many more there are."""
    listed = list(items)
    return listed[:most], max(len(listed) - most, 0)


def listed(texts: t.Iterable[str], between: str = ", ", most: int = LISTED, longest: int = VALUE) -> str:
    """Return the first of the ``texts`` with the text ``between`` them, and how many more there are."""
    shown, others = some(texts, most)
    more = [f"and {others:,} more"] if others else []
    return between.join([*(shorten(text, longest) for text in shown), *more])


class _Short(dict[str, t.Any]):
    """A document whose texts are short already."""


Report = t.TypeVar("Report", bound=t.Mapping[str, t.Any])


def with_short_texts(document: Report) -> Report:
    """Return a ``document`` with each text in no more characters than a report for people shows.

    No part of a report has as many levels as what is not shown at all. A router of which nothing is too long is in both
    documents, and must not be changed in one: a copy of all of them is most of a document again.
    """
    if isinstance(document, _Short):
        return document
    return t.cast("Report", _Short(_shortened(document, _DEEPEST)))


def _is_short(value: t.Any, levels: int) -> bool:
    """Return whether nothing of a list or dict would be shortened. False for kinds that are not those of JSON."""
    items: t.Iterable[t.Any] = value
    kind = type(value)
    if kind is dict:
        if not _has_short_keys(value):
            return False
        items = value.values()
    for item in items:
        kind = type(item)
        if kind is str:
            if len(item) > TEXT:
                return False
        elif kind is dict or kind is list:
            if levels <= 1 or not _is_short(item, levels - 1):
                return False
        elif kind not in _WITHOUT_TEXT:
            return False
    return True


def _has_short_keys(value: dict[t.Any, t.Any]) -> bool:
    try:
        # Nearly always all of them together are short.
        return len("".join(value)) <= TEXT or all(len(key) <= TEXT for key in value)
    except TypeError:
        return False


def _shortened(value: t.Any, levels: int) -> t.Any:
    kind = type(value)
    # All below is looked at only once: below a router nobody asks again.
    if kind is dict and levels >= _ROUTER and _is_short(value, levels):
        return value
    if isinstance(value, str):
        return value if len(value) <= TEXT else shorten(value)
    if isinstance(value, (dict, list)) and not levels:
        return "nested too deeply to be shown"
    if isinstance(value, dict):
        # A name is the same as a key and elsewhere.
        return {_shortened(key, levels): _shortened(item, levels - 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_shortened(item, levels - 1) for item in value]
    return value

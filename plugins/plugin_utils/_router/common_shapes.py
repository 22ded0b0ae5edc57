# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""The shapes and limits that the results of several modules share, and reading the options that limit them."""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.plugin_utils._router.shape import (
    Shape,
    list_of,
    mapping,
    number,
    optional,
    text,
    whole,
)

Arguments = t.Mapping[str, t.Any]
Fields = dict[str, Shape]

_MOST_ASKED = 1_000_000
SETTINGS = 512
"""More settings than any kernel has."""

PATH = 4096
"""PATH_MAX of Linux."""

COUNT = whole()
OPTIONAL_COUNT = optional(COUNT)
PERCENT = optional(number())
VALUE = whole(-(2**63))
"""The value of a sysctl."""
NAMES = list_of(text(), SETTINGS)
PROTOCOL_COUNTS = mapping(COUNT, 256)
FULLNESS: Fields = {
    "count": OPTIONAL_COUNT,
    "max": OPTIONAL_COUNT,
    "percent": PERCENT,
    "headroom": OPTIONAL_COUNT,
    "buckets": OPTIONAL_COUNT,
    "load_factor": PERCENT,
}
"""How full a table is, or would be."""


def asked(arguments: Arguments, option: str, default: int) -> int:
    """Return how many of something an ``option`` asks for."""
    value = arguments.get(option)
    try:
        return min(max(int(default if value is None else value), 0), _MOST_ASKED)
    except (TypeError, ValueError):
        # The module refuses it.
        return default


def texts(value: t.Any) -> list[str]:
    """Return the texts of a list, which may be one text with commas."""
    items = value.split(",") if isinstance(value, str) else value or ()
    return [str(item).strip() for item in items]

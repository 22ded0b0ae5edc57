# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""How full a table is, and how long the chains of its hash."""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._units import percent


def fullness(count: int | None, limit: int | None, buckets: int | None) -> dict[str, t.Any]:
    """Return how full a table with ``count`` entries is, with this ``limit`` and these ``buckets``. None is unknown.

    A limit of 0 is none. Every entry is in two chains.
    """
    return {
        "count": count,
        "max": limit,
        "percent": percent_full(count, limit),
        "headroom": None if count is None or not limit else max(0, limit - count),
        "buckets": buckets,
        "load_factor": None if count is None or not buckets else round(2 * count / buckets, 3),
    }


def percent_full(count: int | None, limit: int | None) -> float | None:
    """Return how much of the limit ``count`` entries are. None where there is no limit, or one of them is unknown."""
    return None if count is None or not limit else percent(count, limit)

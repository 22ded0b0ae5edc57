# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""How full a table is, and how long the chains of its hash."""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._units import percent


def fullness(count: int, settings: t.Mapping[str, int]) -> dict[str, t.Any]:
    """Return how full a table with ``count`` entries is, with these settings by short name.

    A limit of 0 is none. Every entry is in two chains.
    """
    limit = settings.get("max", 0)
    buckets = settings.get("buckets")
    return {
        "count": count,
        "max": limit,
        "percent": percent(count, limit) if limit else None,
        "headroom": max(0, limit - count) if limit else None,
        "buckets": buckets,
        "load_factor": round(2 * count / buckets, 3) if buckets else None,
    }

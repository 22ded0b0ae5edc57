# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Seconds counted in ranges."""

from __future__ import annotations

import bisect
import typing as t

HISTOGRAM_BOUNDS = (0, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 54000, 86400, 172800, 345600, 432000)
"""Where the ranges of a histogram begin, in seconds; the last one has no end."""


class Histogram:
    """Seconds counted in the ranges of HISTOGRAM_BOUNDS. None is counted as unknown."""

    def __init__(self) -> None:
        self._counts = [0] * len(HISTOGRAM_BOUNDS)
        self._unknown = 0

    def add(self, seconds: int | None, entries: int) -> None:
        """Count so many entries."""
        if seconds is None:
            self._unknown += entries
        else:
            self._counts[bisect.bisect_right(HISTOGRAM_BOUNDS, seconds) - 1] += entries

    def result(self) -> dict[str, t.Any]:
        """Return the ranges, each with its entries, and how many are unknown."""
        ends = (*HISTOGRAM_BOUNDS[1:], None)
        ranges = zip(HISTOGRAM_BOUNDS, ends, self._counts)
        histogram = [{"from": start, "below": end, "entries": entries} for start, end, entries in ranges]
        return {"histogram": histogram, "unknown": self._unknown}

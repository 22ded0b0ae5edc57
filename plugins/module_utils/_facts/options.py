# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""What the options of conntrack_facts can ask for."""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.module_utils._units import parse_duration

NAMED, ALL = "named", "all"
CHOICES = (NAMED, ALL)
"""Which namespaces can be asked for."""

MOST, USUAL = 10, 5
"""Clusters that can be asked for, and that are looked for if nobody says how many."""

SHORTEST, LONGEST = 1, 60
"""How many seconds can be between the two looks."""


def require_clusters(explain: int) -> None:
    """Raise OptionError unless ``explain`` is a number of clusters that can be asked for. 0 asks for none."""
    if not 0 <= explain <= MOST:
        remedy = f"Give 1 to {MOST}; 0 does not look for what fills the table."
        raise OptionError("explain", explain, f"is not in 0 to {MOST}", remedy)


def parse_sample(value: t.Any) -> int | None:
    """Return the option sample in seconds, or None where there is none. Raises OptionError."""
    if value is None:
        return None
    seconds = parse_duration(value, "sample")
    if not SHORTEST <= seconds <= LONGEST:
        remedy = f"Give {SHORTEST}s to {LONGEST}s, such as 10s."
        raise OptionError("sample", value, f"is not in {SHORTEST} to {LONGEST} seconds", remedy)
    return seconds

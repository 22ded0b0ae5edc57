# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Which subsets of the facts are gathered, for the options of conntrack_facts."""

from __future__ import annotations

import typing as t

SUBSETS = ("usage", "settings", "stats", "boot", "table", "selectors", "expectations", "pair", "namespaces")
ALL = "all"
"""Stands for all subsets that need neither a library nor another program on the router."""

_OF_ALL = tuple(subset for subset in SUBSETS if subset not in ("pair", "namespaces"))


def subsets_of(options: t.Mapping[str, t.Any]) -> list[str]:
    """Return the subsets that these options of conntrack_facts ask for.

    Without ``gather_subset`` they are those that fit a screen, and those that another option is about.
    """
    asked = options.get("gather_subset")
    if asked is None:
        asked_by = {"table": ("top", "explain"), "selectors": ("selectors",), "namespaces": ("namespaces",)}
        given = {name for name, value in options.items() if value is not None}
        also = [subset for subset, names in asked_by.items() if given.intersection(names)]
        return ["usage", *also]
    named: list[str] = []
    for name in asked:
        named += _OF_ALL if name == ALL else [name]
    return list(dict.fromkeys(named))

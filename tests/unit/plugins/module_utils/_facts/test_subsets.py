# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._facts.subsets import SUBSETS, subsets_of

OF_ALL = ["usage", "settings", "stats", "boot", "table", "selectors", "expectations"]


@pytest.mark.parametrize(
    ("options", "subsets"),
    [
        ({}, ["usage"]),
        ({"gather_subset": None, "top": None, "selectors": None}, ["usage"]),
        ({"top": 3}, ["usage", "table"]),
        ({"top": 0}, ["usage", "table"]),
        ({"explain": 0}, ["usage", "table"]),
        ({"explain": 5, "top": None}, ["usage", "table"]),
        ({"selectors": {}}, ["usage", "selectors"]),
        ({"top": 3, "selectors": {"mine": {}}}, ["usage", "table", "selectors"]),
        ({"namespaces": "all"}, ["usage", "namespaces"]),
        ({"namespaces": "named", "explain": 3}, ["usage", "table", "namespaces"]),
        ({"gather_subset": ["usage"], "namespaces": "all"}, ["usage"]),
        ({"gather_subset": []}, []),
        ({"gather_subset": ["boot"], "top": 3, "selectors": {}}, ["boot"]),
        ({"gather_subset": ["all"]}, OF_ALL),
        ({"gather_subset": ["boot", "all", "namespaces"]}, ["boot", *(n for n in OF_ALL if n != "boot"), "namespaces"]),
    ],
)
def test_subsets_of(options: dict[str, t.Any], subsets: list[str]) -> None:
    assert subsets_of(options) == subsets
    assert set(subsets) <= set(SUBSETS)

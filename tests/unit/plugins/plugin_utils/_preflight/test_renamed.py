# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.plugin_utils._preflight.renamed import (
    RENAMED_PROFILES,
    deprecations,
    given_twice,
    given_twice_message,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._preflight.variables import OPTIONS, RENAMED, nearest
from helpers.support import CHECKOUT

OLD, NEW = "conntrack_tune_recap", "conntrack_tune_shorten"


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_an_old_name_is_answered_with_the_new_one(old: str, new: str) -> None:
    assert deprecations([{old: 1}, {}, {old: 2}]) == [
        {
            "msg": f"The variable {old} is called {new} since 1.0.0. Use that name.",
            "version": "2.0.0",
            "collection_name": "netops.conntrack",
        }
    ]
    assert deprecations([{new: 1}]) == []


@pytest.mark.parametrize(("old", "new"), RENAMED_PROFILES.items())
def test_an_old_profile_is_answered_with_the_new_one(old: str, new: str) -> None:
    [deprecation] = deprecations([{"conntrack_tune_profile": old}])
    assert f"The profile {old} is called {new} since 1.0.0." in deprecation["msg"]


@pytest.mark.parametrize(
    "variables",
    [
        {"conntrack_tune_profile": "story", "conntrack_tune_extra_profiles": {"story": {}}},
        {"conntrack_tune_profile": "router"},
        {"conntrack_tune_profile": ["story"]},
        {},
    ],
)
def test_what_has_no_old_name_is_no_deprecation(variables: dict[str, t.Any]) -> None:
    assert deprecations([variables]) == []


@pytest.mark.parametrize(
    ("sources", "found"),
    [
        ([{OLD: 1, NEW: 1}], [OLD]),
        ([{OLD: 1}, {NEW: "{{ other }}"}], [OLD]),
        ([{NEW: 1}, {OLD: 1}], [OLD]),
        ([{OLD: 1}], []),
        ([{NEW: 1}], []),
        ([{OLD: 1, NEW: "{{ conntrack_tune_recap | default(true) }}"}], []),
        ([{NEW: "{{ conntrack_tune_recap }}"}, {OLD: 1}], []),
        ([{NEW: "{{ conntrack_tune_recap }}"}, {OLD: 1, NEW: 2}], [OLD]),
    ],
)
def test_what_is_given_twice(sources: list[dict[str, t.Any]], found: list[str]) -> None:
    assert given_twice(*sources) == found


def test_the_message_names_both_and_the_routers() -> None:
    assert given_twice_message(OLD, ["router1"]) == (
        "conntrack_tune_recap (a variable of router1) is the old name of conntrack_tune_shorten, and both are given. "
        "Remove conntrack_tune_recap."
    )


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_an_old_name_is_read_and_never_suggested(old: str, new: str) -> None:
    assert OPTIONS[old] == OPTIONS[new]
    assert nearest(f"{old}s") not in RENAMED


@pytest.mark.parametrize(("old", "new"), [*RENAMED.items(), *RENAMED_PROFILES.items()])
def test_the_page_has_both_names(old: str, new: str) -> None:
    page = (CHECKOUT / "docs" / "variables.md").read_text(encoding="utf-8")
    assert f"{old}` |" in page
    assert f"{new}` |" in page

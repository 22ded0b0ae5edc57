# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of conntrack_settings that contradict each other."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.module_utils._settings.change_plan import check_options

PARAMS = {
    "state": "present",
    "settings": {},
    "at_least": {},
    "exclusive": False,
    "persist": True,
    "runtime": True,
    "netns": None,
    "confirm_within": "0",
    "change": None,
}


@pytest.mark.parametrize(
    ("given", "option", "remedy"),
    [
        (
            {"state": "confirmed", "settings": {"max": "2M"}},
            "settings",
            "keeps the change that waits, and sets nothing",
        ),
        ({"state": "confirmed", "confirm_within": "5m"}, "confirm_within", "keeps the change that waits"),
        ({"state": "confirmed", "at_least": {"max": "2M"}}, "at_least", "Name the settings in the option settings"),
        ({"settings": {"acct": 1}, "change": "d28b"}, "change", "give state: confirmed"),
        ({"state": "absent", "change": "d28b"}, "change", "give state: confirmed"),
    ],
)
def test_what_would_be_passed_over_is_refused(given: dict[str, t.Any], option: str, remedy: str) -> None:
    with pytest.raises(OptionError, match=remedy) as caught:
        check_options({**PARAMS, **given})
    assert caught.value.message.startswith(f"{option}: ")


@pytest.mark.parametrize(
    "given",
    [
        {"settings": {"acct": 1}, "confirm_within": "5m"},
        {"state": "confirmed"},
        {"state": "confirmed", "change": "d28b"},
        {"state": "absent"},
    ],
)
def test_what_belongs_together_is_taken(given: dict[str, t.Any]) -> None:
    check_options({**PARAMS, **given})

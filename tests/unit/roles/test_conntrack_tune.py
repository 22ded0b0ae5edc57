# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The profiles of the role are data: each value is one that the module takes, and says why it is good."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.sysctl import short_name_of
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.values import parse_value
from ansible_collections.netops.conntrack.plugins.plugin_utils._preflight.renamed import RENAMED_PROFILES
from ansible_collections.netops.conntrack.plugins.plugin_utils._tuning.profiles import plan
from helpers.support import CHECKOUT, read_yaml

ROLE = CHECKOUT / "roles" / "conntrack_tune"
DEFAULTS = read_yaml(ROLE / "defaults" / "main.yml")
ALL_PROFILES: dict[str, dict[str, t.Any]] = DEFAULTS["conntrack_tune_profiles"]
PROFILES = {name: profile for name, profile in ALL_PROFILES.items() if name not in RENAMED_PROFILES}
UNDO = "kernel_defaults"

ENTRIES = [
    pytest.param(setting, entry, id=f"{profile}-{setting}")
    for profile, content in PROFILES.items()
    for setting, entry in content["settings"].items()
]


def test_an_old_name_of_a_profile_stands_for_the_same() -> None:
    assert {old: ALL_PROFILES[old] for old in RENAMED_PROFILES} == {
        old: PROFILES[new] for old, new in RENAMED_PROFILES.items()
    }


@pytest.mark.parametrize(("setting", "entry"), ENTRIES)
def test_the_module_takes_the_value(setting: str, entry: dict[str, t.Any]) -> None:
    assert short_name_of(setting) == setting
    assert parse_value(setting, entry["value"], setting) == entry["value"]


@pytest.mark.parametrize("profile", PROFILES)
def test_the_profile_is_complete(profile: str) -> None:
    settings = PROFILES[profile]["settings"]
    assert plan(settings, {}, list(settings))["left_out"] == []
    assert PROFILES[profile]["description"]


def test_the_default_profile_lets_dead_connections_go_on_every_kernel() -> None:
    values = {setting: entry["value"] for setting, entry in PROFILES["expire_dead_connections"]["settings"].items()}
    caps = {"tcp_timeout_unacknowledged": 300, "tcp_timeout_max_retrans": 300}
    assert values == {"acct": 1, "tcp_timeout_established": 54000, "generic_timeout": 120, **caps}
    assert DEFAULTS["conntrack_tune_profile"] == "expire_dead_connections"


@pytest.mark.parametrize("profile", PROFILES)
def test_no_profile_sets_a_limit(profile: str) -> None:
    assert not {"max", "buckets", "expect_max"} & PROFILES[profile]["settings"].keys()


@pytest.mark.parametrize("profile", sorted(PROFILES.keys() - {UNDO}))
def test_every_profile_counts_and_can_be_undone(profile: str) -> None:
    settings = PROFILES[profile]["settings"]
    assert settings["acct"]["value"] == 1
    assert settings.keys() <= PROFILES[UNDO]["settings"].keys()


@pytest.mark.parametrize("profile", PROFILES)
def test_the_readme_explains_every_value(profile: str) -> None:
    readme = (ROLE / "README.md").read_text()
    assert f"### `{profile}`\n\n{PROFILES[profile]['description']}\n" in readme
    section = readme.split(f"### `{profile}`\n", 1)[1].split("\n#", 1)[0]
    rows = [
        f"| `{name}` | {entry['value']} | {entry['why']} |" for name, entry in PROFILES[profile]["settings"].items()
    ]
    assert [row for row in rows if row not in section] == []

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every variable of a role is in its defaults, its argument specification and its README, with the same default."""

from __future__ import annotations

import itertools
import json
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.plugin_utils._preflight.variables import RENAMED
from helpers.support import CHECKOUT, read_yaml

ROLES = sorted(path.name for path in (CHECKOUT / "roles").iterdir())


def load(role: str, path: str) -> dict[str, t.Any]:
    return t.cast("dict[str, t.Any]", read_yaml(CHECKOUT / "roles" / role / path))


def options(role: str) -> dict[str, t.Any]:
    entry_points = load(role, "meta/argument_specs.yml")["argument_specs"].values()
    return dict(itertools.chain.from_iterable(entry["options"].items() for entry in entry_points))


def default_of(name: str, default: t.Any) -> t.Any:
    """Return how the defaults of a role write a default: an option that has an old name takes its value from there."""
    old = [old for old, new in RENAMED.items() if new == name]
    return f"{{{{ {old[0]} | default({json.dumps(default)}) }}}}" if old else default


@pytest.mark.parametrize("role", ROLES)
def test_defaults_and_specification_agree(role: str) -> None:
    defaults, specified = load(role, "defaults/main.yml"), options(role)
    assert sorted(defaults) == sorted(specified.keys() - RENAMED.keys())
    stated = {name: option["default"] for name, option in specified.items() if "default" in option}
    assert {name: default_of(name, default) for name, default in stated.items()} == {
        name: defaults[name] for name in stated
    }


@pytest.mark.parametrize("role", ROLES)
def test_the_readme_has_every_variable(role: str) -> None:
    readme = (CHECKOUT / "roles" / role / "README.md").read_text()
    assert [name for name in options(role) if f"| `{name}` |" not in readme] == []


@pytest.mark.parametrize("role", ROLES)
def test_variables_carry_the_name_of_the_role(role: str) -> None:
    assert [name for name in load(role, "defaults/main.yml") if not name.startswith(f"{role}_")] == []

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the role conntrack_prepare refuses before it asks a router, and the systems that it knows, which are data."""

from __future__ import annotations

import json
import typing as t

import pytest
from helpers.json_routers import Fleet
from helpers.router_answers import ROLE, SYSTEMS


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"wheel": "/nowhere/pyroute2-0.9.7-py3-none-any.whl"}, "none-any.whl is no wheel of pyroute2 on this machine"),
        ({"wheel": "/etc/passwd"}, "/etc/passwd is no wheel of pyroute2 on this machine. Get one with python3 -m pip"),
        ({"method": "wheel"}, "conntrack_prepare_method: wheel needs the file of one in conntrack_prepare_wheel."),
        ({"method": "compile"}, "value of conntrack_prepare_method must be one of: auto, package, pip, wheel"),
        ({"user": "root"}, "root cannot be the name of a user without other rights. Give one such as conntrack."),
        ({"user": "a b"}, "a b cannot be the name of a user without other rights."),
        ({"user_keys": ["ssh-ed25519 AAAA"]}, "conntrack_prepare_user_keys: these are keys of nobody."),
        ({"directory": "lib"}, "conntrack_prepare_directory: lib is no whole path."),
        ({"directory": "/opt/../etc"}, "conntrack_prepare_directory: /opt/../etc is no whole path."),
    ],
)
def test_options_that_cannot_be_used_are_refused_before_the_router_is_asked(
    fleet: Fleet, variables: dict[str, t.Any], words: str
) -> None:
    fleet.add("router")
    given = {f"conntrack_prepare_{name}": value for name, value in variables.items()}
    done = fleet.run("prepare", "-e", json.dumps(given))
    assert done.returncode == 2
    assert words in " ".join((done.stdout + done.stderr).split()), done.stdout + done.stderr
    assert fleet.asked == set()


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_system_has_all_that_is_read_of_it(name: str) -> None:
    system = SYSTEMS[name]
    assert system.keys() == {"like", "package", "installed", "refresh", "install", "remove"}
    assert all(isinstance(word, str) for key in ("installed", "refresh", "install", "remove") for word in system[key])
    readme = (ROLE / "README.md").read_text(encoding="utf-8")
    assert f"| `{system['package']}` | `{system['install'][0]}`" in readme or name.startswith("openwrt")

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What look.py of the role conntrack_prepare prints on routers that are not here, and the variables of the role."""

from __future__ import annotations

import json
import typing as t

from helpers.support import CHECKOUT, read_yaml

ROLE = CHECKOUT / "roles" / "conntrack_prepare"
DEFAULTS: dict[str, t.Any] = read_yaml(ROLE / "defaults" / "main.yml")
SYSTEMS: dict[str, t.Any] = DEFAULTS["conntrack_prepare_systems"]

SYSTEMS_OF = {
    "debian": ("debian", "", "apt-get"),
    "ubuntu": ("ubuntu", "debian", "apt-get"),
    "vyos": ("vyos", "debian", "apt-get"),
    "almalinux": ("almalinux", "rhel centos fedora", "dnf"),
    "fedora": ("fedora", "", "dnf"),
    "opensuse-leap": ("opensuse-leap", "suse opensuse", "zypper"),
    "alpine": ("alpine", "", "apk"),
    "openwrt-23": ("openwrt", "lede openwrt", "opkg"),
    "openwrt-25": ("openwrt", "lede openwrt", "apk"),
    "arch": ("arch", "", "pacman"),
}
"""ID and ID_LIKE of their os-release(5), and the command that installs packages there."""


def answer(system: str = "debian", **changes: t.Any) -> str:
    """Return what a router without pyroute2 tells. ``changes`` are what is different on this one."""
    name, like, command = SYSTEMS_OF[system]
    told = {
        "python": "/usr/bin/python3",
        "uid": 0,
        "pyroute2": None,
        "pip": True,
        "externally_managed": False,
        "libraries": "/usr/local/lib/python3.11/dist-packages",
        "missing_of_libraries": [],
        "missing_of_directory": ["/usr/local/lib/netops-conntrack"],
        "ids": [name, *like.split()],
        "commands": {
            "id": "/usr/bin/id",
            "setpriv": None,
            "sudo": None,
            "visudo": None,
            command: f"/usr/bin/{command}",
        },
        "files": {"/etc/sudoers.d/conntrack": None},
        "home": None,
        "has_ssh_directory": False,
        "record": None,
    }
    return json.dumps({**told, **changes})


def recorded(*made: dict[str, str]) -> dict[str, t.Any]:
    """Return the record of a router on which the role made this."""
    return {"version": 1, "made": list(made)}


def options(**changes: t.Any) -> dict[str, t.Any]:
    """Return the variables of the role as it hands them to the filter. ``changes`` are those of the user."""
    names = ("method", "package", "wheel", "directory", "pip_options", "pyroute2", "state", "sysctl_file", "systems")
    defaults = {name: DEFAULTS[f"conntrack_prepare_{name}"] for name in (*names, "user", "user_keys")}
    return {**defaults, "installed": False, "records": [], **changes}

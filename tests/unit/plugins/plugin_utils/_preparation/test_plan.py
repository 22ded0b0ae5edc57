# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is made on which router: the package of each system, pip, a wheel, a user. And what is refused instead."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.plugin_utils._preparation.found import Found
from ansible_collections.netops.conntrack.plugins.plugin_utils._preparation.plan import (
    Plan,
    is_usable,
    plan_preparation,
)
from helpers.router_answers import SYSTEMS, answer, options, recorded

WHEEL = "/home/you/wheels/pyroute2-0.9.7-py3-none-any.whl"
WITH_SUDO = {name: f"/usr/bin/{name}" for name in ("id", "setpriv", "sudo", "visudo", "apt-get")}


def plan(system: str = "debian", given: dict[str, t.Any] | None = None, **found: t.Any) -> Plan:
    return plan_preparation(Found.from_answer(answer(system, **found)), options(**(given or {})))


@pytest.mark.parametrize(
    ("system", "command"),
    [
        ("debian", "apt-get install --yes --no-install-recommends python3-pyroute2"),
        ("ubuntu", "apt-get install --yes --no-install-recommends python3-pyroute2"),
        ("vyos", "apt-get install --yes --no-install-recommends python3-pyroute2"),
        ("almalinux", "dnf install --assumeyes python3-pyroute2"),
        ("fedora", "dnf install --assumeyes python3-pyroute2"),
        ("opensuse-leap", "zypper --non-interactive install --no-recommends python3-pyroute2"),
        ("alpine", "apk add py3-pyroute2"),
        ("openwrt-23", "opkg install python3-pyroute2"),
        ("openwrt-25", "apk add python3-pyroute2"),
        ("arch", "pacman --sync --noconfirm --needed python-pyroute2"),
    ],
)
def test_each_system_gets_its_package(system: str, command: str) -> None:
    made = plan(system)
    assert (made.method, made.problems) == ("package", [])
    assert " ".join(made.install) == command
    assert made.query[-1] == made.install[-1]
    [item] = made.made
    assert (item["kind"], item["name"]) == ("package", made.install[-1])
    assert made.record == {"version": 1, "made": [item]}
    assert made.query[:-1] == SYSTEMS[item["system"]]["installed"]


def test_a_system_that_is_not_known_gets_pip_or_a_wheel() -> None:
    unknown: dict[str, t.Any] = {"ids": ["nixos"]}
    made = plan(**unknown)
    assert made.install == ["/usr/bin/python3", "-m", "pip", "install", "pyroute2>=0.5.14"]
    assert made.made == [{"kind": "pip", "name": "pyroute2", "path": "/usr/bin/python3"}]
    pinned = plan(given={"package": "pyroute2==0.9.7", "pip_options": ["--no-index"], "method": "pip"})
    assert pinned.install[4:] == ["--no-index", "pyroute2==0.9.7"]
    assert plan(given={"wheel": WHEEL}, **unknown).method == "wheel"
    [problem] = plan(given={"method": "package"}, **unknown).problems
    assert "how this system (nixos) installs one is not known" in problem
    own = {"mine": {**SYSTEMS["alpine"], "like": ["nixos"]}, **SYSTEMS}
    assert plan(given={"systems": own}, ids=["nixos"], commands={"apk": "/sbin/apk"}).install == [
        "apk",
        "add",
        "py3-pyroute2",
    ]


def test_a_package_manager_that_is_not_there_is_none() -> None:
    assert plan("debian", commands={"apt-get": None}).method == "pip"


def test_a_wheel_is_unpacked_where_its_python_looks() -> None:
    made = plan(given={"wheel": WHEEL}, missing_of_libraries=["/usr/local/lib/python3.11"])
    unpacked = "/usr/local/lib/netops-conntrack/pyroute2-0.9.7-py3-none-any"
    assert (made.unpacked, made.install) == (unpacked, [])
    assert made.path_file == "/usr/local/lib/python3.11/dist-packages/netops-conntrack.pth"
    assert made.directories == ["/usr/local/lib/netops-conntrack", "/usr/local/lib/python3.11"]
    assert [item["kind"] for item in made.made] == ["directory", "directory", "tree", "file"]
    [problem] = plan(given={"wheel": WHEEL}, libraries=None).problems
    assert "no directory that can be written" in problem


@pytest.mark.parametrize(("version", "usable"), [(None, False), ("0.5.13", False), ("0.5.14", True), ("0.7.12", True)])
def test_what_is_new_enough_is_left_alone(version: str | None, usable: bool) -> None:
    assert is_usable(version) == usable
    made = plan(pyroute2=version)
    assert (made.method == "none", made.made == []) == (usable, usable)


@pytest.mark.parametrize("version", ["", "unknown", "0.9.7.post1", "1.0rc1"])
def test_a_version_that_cannot_be_told_is_taken_at_its_word(version: str) -> None:
    assert is_usable(version)


def test_nothing_is_installed_if_nobody_wants_it() -> None:
    assert plan(given={"pyroute2": False}).made == []


@pytest.mark.parametrize(
    ("given", "found", "words"),
    [
        (
            {"installed": True},
            {"pyroute2": "0.5.9"},
            "python3-pyroute2 is installed, but /usr/bin/python3 finds pyroute2 0.5.9",
        ),
        ({"installed": True}, {}, "finds no pyroute2 that works. Version 0.5.14 or later is needed."),
        ({"method": "pip"}, {"pip": False}, "/usr/bin/python3 has no pip"),
        ({"method": "pip"}, {"externally_managed": True}, "PEP 668"),
        ({"user": "conntrack"}, {}, "conntrack needs setpriv, sudo, visudo, which this router does not have"),
    ],
)
def test_what_cannot_work_is_refused_with_the_remedy(
    given: dict[str, t.Any], found: dict[str, t.Any], words: str
) -> None:
    [problem] = plan(given=given, **found).problems
    assert words in problem


def test_pip_may_change_a_managed_python_if_it_is_told_to() -> None:
    given = {"method": "pip", "pip_options": ["--break-system-packages"]}
    assert plan(given=given, externally_managed=True).problems == []


def test_a_user_and_his_files() -> None:
    made = plan(given={"user": "conntrack", "user_keys": ["key"], "pyroute2": False}, commands=WITH_SUDO)
    assert [item.get("name") or item["path"] for item in made.made] == [
        "conntrack",
        "/usr/local/sbin/conntrack-python",
        "/usr/local/bin/conntrack-python",
        "/etc/sudoers.d/conntrack",
    ]
    assert (made.makes_user, made.write_keys) == (True, True)
    assert made.files[-1]["validate"] == "/usr/bin/visudo -c -f %s"
    # Made by the role, without a key so far.
    later = plan(
        given={"user": "conntrack", "user_keys": ["key"], "pyroute2": False},
        commands=WITH_SUDO,
        home="/home/conntrack",
        files={item["path"]: item["sha256"] for item in made.made[1:]},
        record=recorded(*made.made),
    )
    assert (later.made, later.makes_user, later.write_keys) == ([], False, True)
    assert later.record == made.record


def test_the_keys_of_a_user_who_was_there_are_his() -> None:
    given = {"user": "conntrack", "user_keys": ["key"]}
    theirs = plan(given=given, commands=WITH_SUDO, home="/home/conntrack")
    assert (theirs.makes_user, theirs.write_keys) == (False, False)
    ours = recorded({"kind": "user", "name": "conntrack"})
    used = plan(given=given, commands=WITH_SUDO, home="/home/conntrack", has_ssh_directory=True, record=ours)
    assert not used.write_keys


def test_a_file_of_somebody_else_is_not_replaced_and_one_of_ours_is() -> None:
    other = {"/etc/sudoers.d/conntrack": "0" * 64}
    given = {"user": "conntrack", "pyroute2": False}
    [problem] = plan(given=given, commands=WITH_SUDO, files=other).problems
    assert "/etc/sudoers.d/conntrack, which is there with other contents" in problem
    ours = recorded({"kind": "file", "path": "/etc/sudoers.d/conntrack", "sha256": "1" * 64})
    again = plan(given=given, commands=WITH_SUDO, files=other, record=ours)
    assert again.problems == []
    assert [item["sha256"] for item in again.record["made"] if item.get("path") == "/etc/sudoers.d/conntrack"] == [
        again.made[-1]["sha256"]
    ]
    link = {"/etc/sudoers.d/conntrack": ""}
    assert plan(given=given, commands=WITH_SUDO, files=link).problems

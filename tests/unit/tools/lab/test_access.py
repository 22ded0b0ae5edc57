# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The inventory, and the directories that labs share."""

from __future__ import annotations

import ipaddress
import pathlib

import access
import pytest
import yaml
from processes import LabError
from topology import Router

ROUTERS = [Router("nclab", number, ipaddress.IPv4Address("198.18.4.0")) for number in (1, 2)]


@pytest.fixture
def machine(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """A machine that has a /etc/sysctl.d and nothing else of what a lab needs."""
    monkeypatch.setattr(access, "ETC", tmp_path / "etc")
    monkeypatch.setattr(access, "ETC_NETNS", tmp_path / "etc" / "netns")
    monkeypatch.setattr(access, "SSHD_RUN", tmp_path / "sshd")
    (tmp_path / "etc" / "sysctl.d").mkdir(parents=True)
    return tmp_path


def test_the_inventory_names_each_router() -> None:
    inventory = yaml.safe_load(access.inventory(pathlib.Path("/long/directory/ssh"), "nclab", ROUTERS))
    group = inventory["routers"]
    assert group["hosts"] == {
        "router1": {"ansible_host": "198.18.4.2", "conntrack_prune_backup_dir": "/run/nclab-backups/router1"},
        "router2": {"ansible_host": "198.18.4.6", "conntrack_prune_backup_dir": "/run/nclab-backups/router2"},
    }
    assert group["vars"]["ansible_user"] == "root"
    assert group["vars"]["ansible_python_interpreter"] == "/usr/bin/python3"
    assert group["vars"]["ansible_ssh_private_key_file"] == "/long/directory/ssh/id"
    assert group["vars"]["ansible_control_path_dir"] == "/run/nclab-ssh"
    options = group["vars"]["ansible_ssh_common_args"]
    assert "-o UserKnownHostsFile=/long/directory/ssh/known_hosts -o StrictHostKeyChecking=yes" in options


def test_a_lab_removes_what_it_made_and_leaves_what_was_there(machine: pathlib.Path) -> None:
    made = access.missing_directories()
    access.make_private_etc(ROUTERS[0])
    assert (machine / "etc" / "netns" / "nclab-r1" / "modprobe.d").is_dir()
    assert (machine / "etc" / "modprobe.d").is_dir()
    access.remove_directories(made)
    assert (machine / "etc" / "modprobe.d").is_dir(), "removed while a router still uses it"
    for name in ("sysctl.d", "modules-load.d", "modprobe.d"):
        (machine / "etc" / "netns" / "nclab-r1" / name).rmdir()
    (machine / "etc" / "netns" / "nclab-r1").rmdir()
    access.remove_directories(made)
    assert [path.name for path in (machine / "etc").iterdir()] == ["sysctl.d"]


def test_a_locked_root_is_refused(machine: pathlib.Path) -> None:
    shadow = machine / "etc" / "shadow"
    shadow.write_text("root:*:20000::::::\n")
    access.check_login()
    shadow.write_text("root:!:20000::::::\n")
    with pytest.raises(LabError, match=r"usermod -p '\*' root"):
        access.check_login()

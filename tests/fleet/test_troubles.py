# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A fleet in which each router has another trouble, over SSH: the healthy ones are done, each trouble is named."""

from __future__ import annotations

import collections
import dataclasses
import pathlib
import typing as t

import pytest
import yaml
from helpers.ansible_tasks import STUB_CLI, STUB_CLI_PLUGIN
from helpers.support import read_yaml, run

Make = t.Callable[[str, int], t.Any]

OLD_PYTHON = """#!/bin/sh
case "$*" in
  *version_info*) echo 3.6.15 ;;
  *) echo "SyntaxError: future feature annotations is not defined" >&2; exit 1 ;;
esac
"""
"""What a router with Python 3.6 says, for machines that have none."""

HEALTHY = {"router1", "router2"}
TROUBLES = ("down", "nameless", "vyos", "switch", "old", "full")


@dataclasses.dataclass(frozen=True)
class Troubled:
    """A lab of which some routers are in trouble, and the inventory with more that are not even routers."""

    fleet: t.Any
    hosts: dict[str, dict[str, t.Any]]
    variables: dict[str, t.Any]
    connections: pathlib.Path

    def site(self, first: int, fatal: bool) -> t.Any:
        """Run site with the trouble of this number first in the inventory."""
        order = collections.deque(TROUBLES)
        order.rotate(-first)
        names = [order[0], "router1", *list(order)[1:3], "router2", *list(order)[3:]]
        hosts = {name: self.hosts[name] for name in names}
        self.fleet.built.inventory.write_text(yaml.safe_dump({"routers": {"hosts": hosts, "vars": self.variables}}))
        env = {"ANSIBLE_CONNECTION_PLUGINS": str(self.connections), "ANSIBLE_ANY_ERRORS_FATAL": str(fatal)}
        return self.fleet.play("site", "-e", "target=routers", env=env)


def inside(fleet: t.Any, number: int, command: str) -> None:
    """Run a command with the files of a router as those see them who come in over SSH."""
    pid = (fleet.built.ssh / f"router{number}.pid").read_text().strip()
    run(["nsenter", "--target", pid, "--mount", "sh", "-ec", command])


@pytest.fixture
def troubled(make_fleet: Make, tmp_path: pathlib.Path) -> Troubled:
    fleet = make_fleet("nctest", 5)
    inside(fleet, 3, "mount -t tmpfs none /proc/sys/net")
    # One page, and a file that takes it.
    inside(
        fleet, 5, "mount -t tmpfs -o size=4k,mode=755 none /etc/sysctl.d; yes > /etc/sysctl.d/full 2>/dev/null || true"
    )
    old = tmp_path / "python3.6"
    old.write_text(OLD_PYTHON)
    old.chmod(0o755)
    connections = tmp_path / "connection_plugins"
    connections.mkdir()
    (connections / "stub_cli.py").write_text(STUB_CLI_PLUGIN)
    group = read_yaml(fleet.built.inventory)["routers"]
    routers = group["hosts"]
    hosts = {
        **{name: routers[name] for name in HEALTHY},
        "down": {"ansible_host": "127.0.0.1", "ansible_port": 9},
        "nameless": {"ansible_host": "{{ management_address }}"},
        "vyos": {**STUB_CLI, "ansible_host": "192.0.2.1"},
        "switch": routers["router3"],
        "old": {**routers["router4"], "ansible_python_interpreter": str(old)},
        "full": routers["router5"],
    }
    return Troubled(fleet, hosts, group["vars"], connections)


def test_the_healthy_ones_are_done_and_each_trouble_is_named(troubled: Troubled) -> None:
    fleet = troubled.fleet
    stale = fleet.stale()
    for first in range(0, len(TROUBLES), 2):
        for fatal in (False, True):
            outcome = troubled.site(first, fatal)
            report = outcome.report
            assert outcome.rc == 2, outcome.output
            assert report["totals"]["done"] == len(HEALTHY)
            assert report["unreachable"] == ["down"]
            assert report["failed"] == ["full", "nameless", "old", "vyos"]
            assert report["no_conntrack"] == ["switch"]
            messages = {name: report["hosts"][name]["failure"]["message"] for name in report["failed"]}
            assert "No space left on device" in messages["full"]
            assert "'management_address' is undefined" in messages["nameless"]
            assert "3.9 or newer" in messages["old"]
            assert f"3.6.15 at {troubled.hosts['old']['ansible_python_interpreter']}" in messages["old"]
            assert "stub_cli" in messages["vyos"]
            assert "nf_conntrack is not there" in report["hosts"]["switch"]["no_conntrack"]
            assert report["rollout"]["stopped"] is None
    left = fleet.stale()
    assert {name: left[name] for name in HEALTHY} == dict.fromkeys(HEALTHY, 0)
    assert {name: left[name] for name in ("router3", "router4")} == {
        name: stale[name] for name in ("router3", "router4")
    }

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Modules called ad hoc from the checkout, and the connection that Ansible itself came in on."""

from __future__ import annotations

import subprocess
import sys
import typing as t

import pytest
from helpers.support import SYSTEM_PYTHON

Make = t.Callable[[str, int], t.Any]
EVERYTHING = {"match": [{"protocol": "tcp", "state": "ESTABLISHED"}]}
AS_ROOT = {"ssh": (), "su": ("--become", "--become-method", "su")}


@pytest.mark.parametrize("python", [SYSTEM_PYTHON, sys.executable])
def test_bare_conntrack_facts(make_fleet: Make, python: str) -> None:
    fleet = make_fleet("nctest", 2)
    results = fleet.module("conntrack_facts", {}, "--extra-vars", f"ansible_python_interpreter={python}")
    stale = fleet.stale()
    for host, result in results.items():
        assert set(result["ansible_facts"]) == {"conntrack"}
        assert set(result) <= {"ansible_facts", "changed"}
        assert result["ansible_facts"]["conntrack"]["usage"]["count"] > stale[host] > 0


@pytest.mark.parametrize("way", AS_ROOT)
def test_the_connection_of_ansible_survives_a_prune_of_everything(make_fleet: Make, way: str) -> None:
    fleet = make_fleet("nctest2", 1)
    masters = _masters(fleet)
    result = fleet.module("conntrack_prune", EVERYTHING, *AS_ROOT[way])["router1"]
    assert result["protected"] >= 1
    assert result["deleted"] == result["would_delete"] > 0
    assert _masters(fleet) == masters
    assert fleet.module("ansible.builtin.ping", {})["router1"]["ping"] == "pong"
    assert _masters(fleet) == masters


def _masters(fleet: t.Any) -> set[str]:
    """Open Ansible's connection if it is not, and give the processes that hold it."""
    fleet.module("ansible.builtin.ping", {})
    listing = subprocess.run(
        ["pgrep", "-f", f"/run/{fleet.built.prefix}-ssh/.*mux"], capture_output=True, text=True, check=False
    )
    found = set(listing.stdout.split())
    assert found, "Ansible keeps no connection open"
    return found

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an operator in the checkout sees at the end of a run on real routers, one of which is dead."""

from __future__ import annotations

import json
import pathlib
import sys
import typing as t

import lab
from ansible_collections.netops.conntrack.plugins.plugin_utils._callback.fleet_table import summary, table
from helpers.support import CHECKOUT
from helpers.terminals import on_terminal, operator


def test_an_audit_ends_with_the_fleet(make_fleet: t.Callable[[str, int], t.Any]) -> None:
    fleet = make_fleet("ncterm", 3)
    lab.stop_router(fleet.built.directory, "router2")
    report = {"conntrack_audit_report_directory": str(fleet.home), "conntrack_audit_report_name": "fleet"}
    program = str(pathlib.Path(sys.executable).parent / "ansible-playbook")
    command = [program, "netops.conntrack.audit", "-i", str(fleet.built.inventory), "-e", json.dumps(report)]
    code, shown = on_terminal(command, columns=100, cwd=CHECKOUT, env=operator(fleet.home, NO_COLOR="1"))
    assert code == 2, shown
    document = json.loads((fleet.home / "fleet.json").read_text(encoding="utf-8"))
    lines = shown.partition("PLAY RECAP")[2].partition("CONNTRACK FLEET, ")[2].splitlines()
    assert lines[0].startswith("3 routers: 1 unreachable, ")
    assert lines[1].split() == ["router", "usage", "%", "full", "stale", "drift", "findings", "verdict"]
    assert lines[2].split() == ["router2", "?", "?", "?", "?", "unreachable"]
    for line in lines[3:5]:
        name, _bar, percent, stale, *_others, verdict = line.split()
        host = document["hosts"][name]
        assert percent == f"{host['before']['usage']['percent']:.1f}"
        assert (int(stale), verdict) == (host["before"]["selectors"]["stale"]["entries"], host["verdict"])
    assert int(stale) > 0
    assert "\n".join(["", *lines[1:5]]) in f"\n{table(summary(document), 100, colour=False, unicode=True)}"

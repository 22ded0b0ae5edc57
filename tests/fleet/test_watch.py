# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The page that repeats, over SSH, as an operator in the checkout sees it, and the Ctrl-C that ends it."""

from __future__ import annotations

import pathlib
import re
import sys
import typing as t

import lab
import pytest
from helpers.support import CHECKOUT, modules_at_work
from helpers.terminals import CLEAR_BELOW, interrupted, operator

_CHANGE = 3
"""Which cell of a router says how much changed since the look before."""


@pytest.mark.parametrize("pipelining", ["true", "false"])
def test_ctrl_c_ends_the_watch_of_real_routers(make_fleet: t.Callable[[str, int], t.Any], pipelining: str) -> None:
    fleet = make_fleet("ncwatch", 3)
    lab.stop_router(fleet.built.directory, "router2")
    before = fleet.state()
    program = str(pathlib.Path(sys.executable).parent / "ansible-playbook")
    done = interrupted(
        [program, "netops.conntrack.watch", "-i", str(fleet.built.inventory), "-e", "interval=10s"],
        has_rates_of_both,
        size=(50, 120),
        cwd=CHECKOUT,
        env=operator(fleet.home, NO_COLOR="1", ANSIBLE_PIPELINING=pipelining),
    )
    assert done.rc == 99, done.shown
    assert done.same_modes
    assert "User interrupted execution" in done.shown.rpartition("\x1b[J")[2]
    page = done.shown.rpartition("\x1b[H")[2]
    figures = figures_of(done.shown)
    assert set(figures["router2"]) == {"?"}
    for name in ("router1", "router3"):
        assert int(figures[name][0].replace(",", "")) > 100
    [problem] = re.findall(r"^router2  (?!\?)([^\x1b]*)", page, re.MULTILINE)
    assert problem.startswith(("Failed to connect to the host", "Data could not be sent to remote host")), page
    assert not any(modules_at_work(router.namespace) for router in fleet.routers)
    assert fleet.state() == before


def has_rates_of_both(shown: str) -> bool:
    """Return whether both routers that answer were looked at twice, so that the next look is seconds away.

    While a module is sent, Ctrl-C can leave a Python on the router that has read half of it (see docs/terminal.md).
    """
    figures = figures_of(shown.rpartition(CLEAR_BELOW)[0])
    return bool(figures) and all(figures[name][_CHANGE] != "?" for name in ("router1", "router3"))


def figures_of(shown: str) -> dict[str, list[str]]:
    """Return the cells of each router in the table of the last page. It is the first that names them."""
    rows = re.findall(r"^(router\d) +([^\x1b]*)", shown.rpartition("\x1b[H")[2], re.MULTILINE)
    return {name: re.split(" {2,}", cells.strip()) for name, cells in reversed(rows)}

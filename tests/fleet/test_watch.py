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
from helpers.support import CHECKOUT, modules_at_work, wait_until
from helpers.terminals import interrupted, operator, whole_page


@pytest.mark.parametrize("pipelining", ["true", "false"])
def test_ctrl_c_ends_the_watch_of_real_routers(make_fleet: t.Callable[[str, int], t.Any], pipelining: str) -> None:
    fleet = make_fleet("ncwatch", 3)
    lab.stop_router(fleet.built.directory, "router2")
    before = fleet.state()
    program = str(pathlib.Path(sys.executable).parent / "ansible-playbook")
    done = interrupted(
        [program, "netops.conntrack.watch", "-i", str(fleet.built.inventory), "-e", "interval=2s"],
        whole_page("Look 3 at 3 routers"),
        size=(50, 120),
        cwd=CHECKOUT,
        env=operator(fleet.home, NO_COLOR="1", ANSIBLE_PIPELINING=pipelining),
    )
    assert done.rc == 99, done.shown
    assert done.same_modes
    assert "User interrupted execution" in done.shown.rpartition("\x1b[J")[2]
    page = done.shown.rpartition("\x1b[H")[2]
    for name, figures in re.findall(r"^(router\d)  ([^\x1b]*)", page, re.MULTILINE)[:3]:
        if name == "router2":
            assert set(figures.split()) == {"?"}
        else:
            assert int(figures.split()[0].replace(",", "")) > 100
    [problem] = re.findall(r"^router2  (?!\?)([^\x1b]*)", page, re.MULTILINE)
    assert problem.startswith(("Failed to connect to the host", "Data could not be sent to remote host")), page
    wait_until(lambda: not any(modules_at_work(router.namespace) for router in fleet.routers))
    assert fleet.state() == before

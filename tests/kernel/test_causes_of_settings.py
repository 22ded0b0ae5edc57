# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is wrong with the settings of a router, made for real, found with its numbers, and mended by the cure."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from helpers.booting_router import BootingRouter
from helpers.settings_module import PREFIX, sysctl
from helpers.support import network_namespace


@pytest.fixture
def router(tmp_path: pathlib.Path) -> t.Iterator[BootingRouter]:
    with network_namespace("settings") as netns:
        yield BootingRouter.make(tmp_path, netns)


def test_settings_that_are_lost_at_boot_are_found_and_the_module_is_loaded_first(router: BootingRouter) -> None:
    router.sysctl_d(f"{PREFIX}tcp_timeout_established = 54000\n{PREFIX}acct = 1\n")
    found, after = router.cured_of("settings_lost_at_boot")
    assert found["value"] == "acct tcp_timeout_established"
    assert "the next boot sets acct tcp_timeout_established." in found["cures"][0]
    assert "settings_lost_at_boot" not in after
    loaded = (router.directory / "etc" / "modules-load.d" / "90-netops-conntrack.conf").read_text()
    assert loaded.endswith("\nnf_conntrack\n")


def test_what_an_earlier_profile_left_is_found_and_restored(router: BootingRouter) -> None:
    router.run(
        f"ansible-playbook -i {router.inventory} netops.conntrack.tune -e target=r1 -e conntrack_tune_profile=router"
    )
    assert sysctl(router.netns, "tcp_timeout_syn_sent") == 60
    found, after = router.cured_of("leftover_settings")
    assert found["value"] == "tcp_loose tcp_timeout_syn_sent timestamp"
    assert "leftover_settings" not in after
    assert sysctl(router.netns, "tcp_timeout_syn_sent") == 120
    assert sysctl(router.netns, "timestamp") == 0

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The names of settings: those of this kernel are among them, and a misspelt one has its neighbours."""

from __future__ import annotations

import pathlib

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.known_settings import KNOWN, nearest, todays_name

DIRECTORY = pathlib.Path("/proc/sys/net/netfilter")
NO_SETTING = {"nf_conntrack_count"}


@pytest.mark.skipif(not DIRECTORY.exists(), reason="not run: nf_conntrack is not loaded")
def test_each_setting_of_this_kernel_is_known_by_its_name() -> None:
    here = {path.name for path in DIRECTORY.glob("nf_*") if path.is_file()} - NO_SETTING
    known = {todays_name(name).removeprefix("net.netfilter.") for name in KNOWN}
    conntrack = {name for name in here if name.startswith(("nf_conntrack_", "nf_flowtable_"))}
    assert conntrack
    assert conntrack <= known


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("max", "net.netfilter.nf_conntrack_max"),
        ("tcp_timeout_established", "net.netfilter.nf_conntrack_tcp_timeout_established"),
        ("flowtable_tcp_timeout", "net.netfilter.nf_flowtable_tcp_timeout"),
    ],
)
def test_the_full_name(name: str, full: str) -> None:
    assert todays_name(name) == full


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("tcp_timeout_establshed", "tcp_timeout_established"),
        ("bucket", "buckets"),
        ("udp_timeout_steam", "udp_timeout_stream"),
    ],
)
def test_what_a_misspelt_name_was_meant_to_be(name: str, meant: str) -> None:
    assert nearest(name, KNOWN)[0] == meant


def test_what_is_like_nothing_has_no_neighbour() -> None:
    assert nearest("zzzz", KNOWN) == []

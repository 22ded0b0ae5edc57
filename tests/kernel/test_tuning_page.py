# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The defaults of the page docs/tuning.md are what a fresh network namespace has."""

from __future__ import annotations

import re

from helpers.support import network_namespace, run
from helpers.tuning_page import stated_defaults

SETTING = re.compile(r"^net\.netfilter\.nf_(?:conntrack_)?(\w+) = (\d+)$", re.MULTILINE)


def test_defaults_are_those_of_a_fresh_namespace() -> None:
    with network_namespace("tuning") as netns:
        shown = run(["sysctl", "-a", "--pattern", r"^net\.netfilter\.nf_(conntrack|flowtable)_"], netns=netns)
    fresh = {name: int(value) for name, value in SETTING.findall(shown)}
    stated = {name: default for name, default in stated_defaults() if name in fresh and default is not None}
    assert {"acct", "tcp_loose", "tcp_timeout_established", "udp_timeout_stream", "generic_timeout"} <= stated.keys()
    assert stated == {name: fresh[name] for name in stated}

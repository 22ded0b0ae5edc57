# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which addresses are the controller's own, so that a router is not taken for it and the reverse."""

from __future__ import annotations

import socket

import pytest
from ansible_collections.netops.conntrack.plugins.plugin_utils._router.controller import is_this_machine


@pytest.mark.parametrize("address", ["127.0.0.1", "127.1.2.3", "::1", "localhost", socket.gethostname()])
def test_its_own(address: str) -> None:
    assert is_this_machine(address)


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1", "no-such-host.invalid", "", "a" * 300, "\udcff"])
def test_not_its_own(address: str) -> None:
    assert not is_this_machine(address)

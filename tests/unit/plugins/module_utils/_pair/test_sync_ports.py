# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._pair.sync_ports import parse_links

UDP, TCP = 17, 6

# As in the examples of conntrack-tools (doc/sync/ftfw/conntrackd.conf), with two links.
EXAMPLE = """
Sync {
\tMode FTFW {
\t\t# ResendQueueSize 131072
\t}
\tMulticast {
\t\tIPv4_address 225.0.0.50
\t\tGroup 3780
\t\tIPv4_interface 192.168.100.100
\t\tInterface eth2
\t\tChecksum on
\t}
\t# UDP {
\t#\tPort 1111
\t# }
\tUDP Default {
\t\tIPv4_address 172.16.0.1
\t\tPort 3781 # Port 2222
\t}
\tTCP {
\t\tIPv6_address fe80::215:58ff:fe28:5a27
\t\tPort 3782
\t}
}
General {
\tUNIX { Path /var/run/conntrackd.ctl }
}
"""


def test_the_links_of_a_configuration() -> None:
    assert set(parse_links(EXAMPLE)) == {(UDP, 3780), (UDP, 3781), (TCP, 3782)}


@pytest.mark.parametrize("text", ["", "General { Port 5 }", "UDP { Port x }", "UDP { Port 3999", "XUDP { Port 3999 }"])
def test_what_is_no_link(text: str) -> None:
    assert list(parse_links(text)) == []


def test_a_port_that_is_too_large_is_the_one_that_conntrackd_makes_of_it() -> None:
    assert list(parse_links("UDP { Port 70000 }")) == [(UDP, 4464)]

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The packets that IP received are read as the kernel counts them. What nobody can tell is unknown, not 0."""

from __future__ import annotations

import pathlib

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._facts.received_packets import received_packets

SNMP = "Ip: Forwarding DefaultTTL InReceives InHdrErrors\nIp: 1 64 81600000 3\nIcmp: InMsgs InErrors\nIcmp: 5 6\n"
SNMP6 = "Ip6InReceives                   \t412\nIp6InHdrErrors                  \t0\n"
DEVICES = "Inter-|   Receive\n face |bytes    packets\n    lo:     500       7 0\neth0.5:90000 81700000 0 0\n"
BRIDGE = "sys/net/bridge/bridge-nf-call-iptables"


def make(proc: pathlib.Path, files: dict[str, str]) -> str:
    for name, text in files.items():
        path = proc / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return str(proc)


@pytest.mark.parametrize(
    ("files", "packets"),
    [
        ({"net/snmp": SNMP, "net/snmp6": SNMP6}, 81_600_412),
        ({"net/snmp": SNMP}, 81_600_000),
        ({"net/snmp": SNMP, BRIDGE: "0\n"}, 81_600_000),
        ({"net/snmp": SNMP, BRIDGE: "0\n", "net/dev": DEVICES}, 81_600_000),
        ({"net/snmp": SNMP, BRIDGE: "1\n", "net/dev": DEVICES}, 81_700_007),
        ({"net/snmp": SNMP, BRIDGE: "1\n", "net/dev": "\n\n"}, 81_600_000),
        ({"net/snmp": SNMP, BRIDGE: "1\n", "net/dev": "\n\neth0: 5\n"}, None),
        ({"net/snmp": SNMP, BRIDGE: "1\n"}, None),
        ({"net/snmp6": SNMP6}, None),
        ({"net/snmp": "Ip: Forwarding\nIp: 1\n"}, None),
        ({"net/snmp": "Ip: InReceives\n"}, None),
        ({"net/snmp": SNMP, "net/snmp6": ""}, None),
        ({"net/snmp": "Ip: InReceives\nIp: many\n"}, None),
        ({}, None),
    ],
)
def test_packets_of_both_families(files: dict[str, str], packets: int | None, tmp_path: pathlib.Path) -> None:
    assert received_packets(make(tmp_path, files)) == packets

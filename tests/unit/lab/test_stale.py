# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The bytes of a bare ACK."""

from __future__ import annotations

import socket

import pytest
from stale import bare_ack, checksum
from topology import STALE_DESTINATION


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\x00\x00", 0xFFFF),
        (b"\xff\xff\x00\x01", 0xFFFE),
        # The example of RFC 1071, section 3: the sum is ddf2.
        (bytes.fromhex("0001f203f4f5f6f7"), ~0xDDF2 & 0xFFFF),
    ],
)
def test_checksum(data: bytes, expected: int) -> None:
    assert checksum(data) == expected


def test_a_bare_ack_is_forty_bytes_with_a_right_checksum() -> None:
    packet = bare_ack("198.51.100.10", 1024)
    tcp = packet[20:]
    pseudo_header = packet[12:20] + b"\x00\x06\x00\x14"
    assert len(packet) == 40
    assert packet[12:20] == socket.inet_aton("198.51.100.10") + socket.inet_aton(STALE_DESTINATION)
    assert int.from_bytes(tcp[:2], "big") == 1024
    assert tcp[13] == 0x10
    assert checksum(pseudo_header + tcp) == 0

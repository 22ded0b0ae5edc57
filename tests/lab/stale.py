# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sends bare TCP ACKs from many sources, as connections do whose router has forgotten them.

Run in a client's network namespace: `stale.py FIRST COUNT`. With nf_conntrack_tcp_loose=1 each makes an entry
`ESTABLISHED ... packets=1 bytes=40 [UNREPLIED]` on the router.
"""

from __future__ import annotations

import socket
import struct
import sys
import time

from topology import STALE_DESTINATION, STALE_PORT, stale_source

_BURST = 200
_PAUSE_SECONDS = 0.001
_ACK = 0x10


def bare_ack(source: str, port: int) -> bytes:
    """Give the IPv4 packet of 40 bytes that carries a TCP ACK and nothing else (RFC 791, RFC 9293).

    The IP checksum is left to the kernel; the TCP checksum has to be right, for connection tracking verifies it.
    """
    addresses = socket.inet_aton(source) + socket.inet_aton(STALE_DESTINATION)
    ports_and_numbers = struct.pack("!HHIIBBH", port, STALE_PORT, 1, 1, 5 << 4, _ACK, 8192)
    pseudo_header = addresses + struct.pack("!BBH", 0, socket.IPPROTO_TCP, 20)
    tcp = ports_and_numbers + struct.pack("!HH", checksum(pseudo_header + ports_and_numbers), 0)
    return struct.pack("!BBHHHBBH", 0x45, 0, 40, 0, 0, 64, socket.IPPROTO_TCP, 0) + addresses + tcp


def checksum(data: bytes) -> int:
    """Give the Internet checksum of ``data``, whose length is even (RFC 1071)."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def main() -> None:
    first, count = int(sys.argv[1]), int(sys.argv[2])
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        for sent, index in enumerate(range(first, first + count), start=1):
            raw.sendto(bare_ack(*stale_source(index)), (STALE_DESTINATION, 0))
            if sent % _BURST == 0:
                time.sleep(_PAUSE_SECONDS)


if __name__ == "__main__":
    main()

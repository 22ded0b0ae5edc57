# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sends what clients still send when their router has forgotten their connections, from many sources.

Run in a client's network namespace: `stale.py FIRST COUNT [KIND]`. Each packet is the only one of its connection, a
keepalive or an ACK. With nf_conntrack_tcp_loose=1 it makes an entry `ESTABLISHED ... packets=1 bytes=52 [UNREPLIED]`
on the router. How many bytes there are depends on the client, see KINDS. Without KIND the packets are those of MIX.
"""

from __future__ import annotations

import dataclasses
import socket
import struct
import sys
import time
import typing as t

from topology import STALE_DESTINATIONS, STALE_PORT, stale_source

_BURST = 200
_PAUSE_SECONDS = 0.001
_ACK = 0x10
_TCP_HEADER_BYTES = 20
_DONT_FRAGMENT = 0x4000

_NOP = b"\x01"
_TIMESTAMPS = _NOP + _NOP + struct.pack("!BBII", 8, 10, 4_003_002_001, 1_002_003_004)
"""The option of RFC 7323, aligned as Linux does it (appendix A)."""
_SACK = _NOP + _NOP + struct.pack("!BBII", 5, 10, 1449, 2897)
"""The option of RFC 2018 with one block: what came after a segment that was lost."""


@dataclasses.dataclass(frozen=True)
class Kind:
    """A packet that can be the only one of its connection: its family, its TCP options and its data."""

    family: socket.AddressFamily
    options: bytes = b""
    data: bytes = b""


KINDS = {
    # A keepalive of Linux, macOS, iOS or Android. A bare ACK of theirs looks the same.
    "timestamps4": Kind(socket.AF_INET, _TIMESTAMPS),
    "timestamps6": Kind(socket.AF_INET6, _TIMESTAMPS),
    # A keepalive of Windows repeats the last byte that was acknowledged, with any value.
    "windows4": Kind(socket.AF_INET, data=b"\x00"),
    "windows6": Kind(socket.AF_INET6, data=b"\x00"),
    # A bare ACK of Windows, or of any client that does not use timestamps.
    "bare4": Kind(socket.AF_INET),
    "bare6": Kind(socket.AF_INET6),
    # The ACK of a client that misses a segment.
    "sack4": Kind(socket.AF_INET, _TIMESTAMPS + _SACK),
    "sack6": Kind(socket.AF_INET6, _TIMESTAMPS + _SACK),
}
"""By name, the packets that the clients send: 52, 72, 41, 61, 40, 60, 64 and 84 bytes long."""

MIX = (
    *("timestamps4", "timestamps6", "windows4", "timestamps4", "timestamps6"),
    *("bare4", "timestamps4", "timestamps6", "windows4", "timestamps4"),
    *("sack4", "timestamps6", "timestamps4", "windows6", "timestamps4"),
    *("timestamps6", "windows4", "bare6", "timestamps4", "sack6"),
)
"""The kinds of 20 packets in a row: mostly with timestamps, 12 of 20 over IPv4, a few with SACK."""


def kind_of(index: int) -> str:
    """Return the name of the kind of the packet number ``index``: a source always sends packets of one kind."""
    return MIX[index % len(MIX)]


def lone_packet(kind: Kind, index: int) -> bytes:
    """Return the packet of ``kind`` that the source number ``index`` sends (RFC 791, RFC 8200, RFC 9293).

    The IPv4 checksum is left to the kernel. The TCP checksum has to be right, for connection tracking verifies it.
    """
    source, port = stale_source(index, kind.family)
    addresses = b"".join(socket.inet_pton(kind.family, each) for each in (source, STALE_DESTINATIONS[kind.family]))
    segment = _segment(kind, port, addresses)
    if kind.family == socket.AF_INET6:
        return struct.pack("!IHBB", 6 << 28, len(segment), socket.IPPROTO_TCP, 64) + addresses + segment
    length = 20 + len(segment)
    header = struct.pack("!BBHHHBBH", 0x45, 0, length, 0, _DONT_FRAGMENT, 64, socket.IPPROTO_TCP, 0)
    return header + addresses + segment


def _segment(kind: Kind, port: int, addresses: bytes) -> bytes:
    """Return the TCP part of a packet, with its checksum."""
    words = (_TCP_HEADER_BYTES + len(kind.options)) // 4
    start = struct.pack("!HHIIBBH", port, STALE_PORT, 1, 1, words << 4, _ACK, 8192)
    rest = b"\x00\x00" + kind.options + kind.data
    length = len(start) + 2 + len(rest)
    # For lengths below 65,536 the pseudo-headers of both families have the same sum.
    pseudo_header = addresses + struct.pack("!HH", socket.IPPROTO_TCP, length)
    return start + struct.pack("!H", checksum(pseudo_header + start + rest)) + rest


def checksum(data: bytes) -> int:
    """Return the Internet checksum of ``data`` (RFC 1071)."""
    padded = data + b"\x00" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def send(kinds: t.Iterable[tuple[int, Kind]]) -> None:
    """Send the packets of these numbers and kinds, with a pause now and then so that none is lost on the way."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as ipv4,
        socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW) as ipv6,
    ):
        senders = {socket.AF_INET: ipv4, socket.AF_INET6: ipv6}
        for sent, (index, kind) in enumerate(kinds, start=1):
            senders[kind.family].sendto(lone_packet(kind, index), (STALE_DESTINATIONS[kind.family], 0))
            if sent % _BURST == 0:
                time.sleep(_PAUSE_SECONDS)


def main() -> None:
    """Send the lone packets that the arguments name."""
    first, count, *only = sys.argv[1:]
    indexes = range(int(first), int(first) + int(count))
    send((index, KINDS[only[0] if only else kind_of(index)]) for index in indexes)


if __name__ == "__main__":
    main()

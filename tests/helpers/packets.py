# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Packets of every protocol that connection tracking knows, as bytes.

The checksums of the transport protocols are left out. A router of ``injection`` does not verify them.
"""

from __future__ import annotations

import ipaddress
import socket
import struct

SCTP, UDPLITE, DCCP, GRE, ESP, EXPERIMENTAL = 132, 136, 33, 47, 50, 253
ICMPV6 = 58

WINDOW = 64000
TIMESTAMPS = bytes([1, 1, 8, 10]) + struct.pack("!II", 1000, 2000)
"""The options of a segment of Linux, macOS, iOS and Android (RFC 7323)."""
SACK = bytes([1, 1, 5, 10]) + struct.pack("!II", 3000, 4000)
"""The options that acknowledge one block (RFC 2018)."""
SYN_OPTIONS = bytes([2, 4, 5, 180])
"""The maximum segment size."""

_FLAGS = {"F": 1, "S": 2, "R": 4, "P": 8, "A": 16}
_VERIFICATION_TAG = 7


def packet(source: str, destination: str, protocol: int, payload: bytes) -> bytes:
    """Return the IPv4 or IPv6 packet that carries ``payload``."""
    sender, receiver = ipaddress.ip_address(source), ipaddress.ip_address(destination)
    if sender.version == 6:
        return struct.pack("!IHBB", 6 << 28, len(payload), protocol, 64) + sender.packed + receiver.packed + payload
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 0, 0, 64, protocol, 0)
    header += sender.packed + receiver.packed
    return header[:10] + struct.pack("!H", _checksum(header)) + header[12:] + payload


def _checksum(header: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(header) // 2}H", header))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def tcp(
    ports: tuple[int, int],
    flags: str,
    seq: int,
    ack: int,
    *,
    size: int = 0,
    window: int = WINDOW,
    options: bytes = b"",
) -> bytes:
    """Return a TCP segment with ``size`` bytes of data; ``flags`` are letters, such as ``PA``."""
    header_words = 5 + len(options) // 4
    bits = sum(_FLAGS[flag] for flag in flags)
    header = struct.pack("!HHIIBBHHH", *ports, seq, ack, header_words << 4, bits, window, 0, 0)
    return header + options + bytes(size)


def udp(ports: tuple[int, int]) -> bytes:
    """Return a UDP datagram with a byte of data; a checksum of 0 means that there is none (RFC 768)."""
    return struct.pack("!HHHHB", *ports, 9, 0, 0)


def udplite(ports: tuple[int, int]) -> bytes:
    """Return a UDP-Lite datagram; its checksum is not 0, which would be refused (RFC 3828)."""
    return struct.pack("!HHHHB", *ports, 8, 1, 0)


def echo(family: int, number: int, *, reply: bool = False) -> bytes:
    """Return an echo request of ICMP or ICMPv6, or the reply to it."""
    request, answer = (8, 0) if family == socket.AF_INET else (128, 129)
    return struct.pack("!BBHHH", answer if reply else request, 0, 0, number, 1)


def sctp(ports: tuple[int, int], chunk: str) -> bytes:
    """Return an SCTP packet with one chunk (RFC 9260); both ends have the same verification tag."""
    init = struct.pack("!IIHHI", _VERIFICATION_TAG, 65536, 1, 1, 1)
    kind, body = {
        "INIT": (1, init),
        "INIT_ACK": (2, init),
        "HEARTBEAT": (4, b"\0\1\0\x04"),
        "HEARTBEAT_ACK": (5, b"\0\1\0\x04"),
        "SHUTDOWN": (7, bytes(4)),
        "SHUTDOWN_ACK": (8, b""),
        "COOKIE_ECHO": (10, bytes(4)),
        "COOKIE_ACK": (11, b""),
    }[chunk]
    tag = 0 if chunk == "INIT" else _VERIFICATION_TAG
    return struct.pack("!HHII", *ports, tag, 0) + struct.pack("!BBH", kind, 0, 4 + len(body)) + body


def gre() -> bytes:
    """Return a GRE packet of version 0 without a key (RFC 2784)."""
    return struct.pack("!HH", 0, 0x0800) + bytes(20)


def pptp(call: int) -> bytes:
    """Return a GRE packet of version 1, as PPTP has it: the key is the number of the call (RFC 2637)."""
    return struct.pack("!HHHH", 0x2001, 0x880B, 0, call)


def dccp(ports: tuple[int, int]) -> bytes:
    """Return a DCCP request (RFC 4340)."""
    return struct.pack("!HHBBHBBHII", *ports, 5, 0, 0, 1, 0, 0, 1, 0)


def plain() -> bytes:
    """Return the payload of a protocol about which connection tracking knows nothing."""
    return bytes(16)

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The packets of the case study: one end of many connections, sent from a network namespace.

Run as `traffic.py STAGE FIRST COUNT`. Connection number n of a sort always has the same addresses and ports, so that
the client's end and the server's end, in two namespaces, mean the same one. All packets go through the router, which
makes its entries of them.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
import sys
import time
import typing as t

CUSTOMERS = "100.64.0.0/16"
"""The clients, from the range for customers behind a carrier's NAT (RFC 6598)."""
SERVERS = "192.0.2.0/24"
"""Whom they talk to (RFC 5737)."""

STALE, TCP, DNS, QUIC = "stale", "tcp", "dns", "quic"

_CUSTOMERS = 4_001
_SERVERS = 253
"""Both are prime or coprime with the ports, so that no address and no port has many more connections than another."""
_PORTS = (443, 443, 443, 443, 80, 443, 993, 443, 22, 443, 8443)
_FIRST_CUSTOMER = int(ipaddress.IPv4Address("100.64.0.10"))
_FIRST_SERVER = int(ipaddress.IPv4Address("192.0.2.1"))
_FIRST_PORT = {STALE: 1_024, TCP: 32_768, DNS: 10_000, QUIC: 40_000}

_BURST = 100
_PAUSE_SECONDS = 0.001
_SYN, _ACK, _SYN_ACK = 0x02, 0x10, 0x12
_REQUEST, _ANSWER = bytes(180), bytes(1_200)
_QUESTION, _REPLY = struct.pack("!I", 1) + bytes(40), bytes(120)
"""The ruleset of the lab lets datagrams through that begin with the number 1."""

# IPv4 without options, TCP without options, UDP (RFC 791, 9293, 768). The kernel fills in length and checksum of IP.
_IPV4 = struct.Struct("!BBHHHBBHII")
_TCP = struct.Struct("!HHIIBBHHH")
_UDP = struct.Struct("!HHHH")


class Connection(t.NamedTuple):
    """The addresses, as numbers, and the ports of one connection."""

    client: int
    server: int
    client_port: int
    server_port: int

    @property
    def backwards(self) -> Connection:
        """The same with the ends exchanged."""
        return Connection(self.server, self.client, self.server_port, self.client_port)


def connection(sort: str, index: int) -> Connection:
    """Return the connection number ``index`` of a ``sort``; no two are alike below ten million."""
    client, round_number = index % _CUSTOMERS, index // _CUSTOMERS
    port = {DNS: 53, QUIC: 443}.get(sort) or _PORTS[index % len(_PORTS)]
    return Connection(
        _FIRST_CUSTOMER + client,
        _FIRST_SERVER + index % _SERVERS,
        _FIRST_PORT[sort] + round_number,
        port,
    )


def tcp_packet(way: Connection, flags: int, sequence: int, acknowledged: int, payload: bytes = b"") -> bytes:
    """Return a TCP segment, with the checksum that connection tracking verifies."""
    fields = (way.client_port, way.server_port, sequence, acknowledged, 5 << 4, flags, 65_535)
    bare = _TCP.pack(*fields, 0, 0) + payload
    return _ip(way, socket.IPPROTO_TCP) + _TCP.pack(*fields, _checksum(way, socket.IPPROTO_TCP, bare), 0) + payload


def udp_packet(way: Connection, payload: bytes) -> bytes:
    """Return a UDP datagram without a checksum, which IPv4 allows (RFC 768)."""
    return _ip(way, socket.IPPROTO_UDP) + _UDP.pack(way.client_port, way.server_port, 8 + len(payload), 0) + payload


def _ip(way: Connection, protocol: int) -> bytes:
    return _IPV4.pack(0x45, 0, 0, 0, 0x4000, 64, protocol, 0, way.client, way.server)


def _checksum(way: Connection, protocol: int, segment: bytes) -> int:
    """Return the Internet checksum (RFC 1071), of the pseudo-header as well."""
    padded = segment + b"\x00" * (len(segment) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded)) + protocol + len(segment)
    total += (way.client >> 16) + (way.client & 0xFFFF) + (way.server >> 16) + (way.server & 0xFFFF)
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _stale(way: Connection) -> bytes:
    return tcp_packet(way, _ACK, 1, 1)


def _syn(way: Connection) -> bytes:
    return tcp_packet(way, _SYN, 1_000, 0)


def _syn_ack(way: Connection) -> bytes:
    return tcp_packet(way.backwards, _SYN_ACK, 5_000, 1_001)


def _request(way: Connection) -> bytes:
    return tcp_packet(way, _ACK, 1_001, 5_001, _REQUEST)


def _answer(way: Connection) -> bytes:
    return tcp_packet(way.backwards, _ACK, 5_001, 1_001 + len(_REQUEST), _ANSWER)


def _thanks(way: Connection) -> bytes:
    """Acknowledge the answer: with data under way, the kernel would give the entry five minutes."""
    return tcp_packet(way, _ACK, 1_001 + len(_REQUEST), 5_001 + len(_ANSWER))


def _question(way: Connection) -> bytes:
    return udp_packet(way, _QUESTION)


def _reply(way: Connection) -> bytes:
    return udp_packet(way.backwards, _REPLY)


STAGES: dict[str, tuple[str, t.Callable[[Connection], bytes]]] = {
    "stale": (STALE, _stale),
    "syn": (TCP, _syn),
    "syn-ack": (TCP, _syn_ack),
    "request": (TCP, _request),
    "answer": (TCP, _answer),
    "thanks": (TCP, _thanks),
    "question": (DNS, _question),
    "reply": (DNS, _reply),
    "quic-question": (QUIC, _question),
    "quic-reply": (QUIC, _reply),
}
"""By name, the sort of connections and the packet that each of them gets."""


def main() -> None:
    """Send the packets that the arguments name, with pauses so that no queue on the way overflows."""
    stage, first, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    sort, packet = STAGES[stage]
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        for sent, index in enumerate(range(first, first + count), start=1):
            built = packet(connection(sort, index))
            raw.sendto(built, (socket.inet_ntoa(built[16:20]), 0))
            if sent % _BURST == 0:
                time.sleep(_PAUSE_SECONDS)


if __name__ == "__main__":
    main()

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Both ends of a TCP connection of this kernel, to see what it sends.

Run in a network namespace: `tcp_peers.py serve ADDRESS PORT` accepts a connection. Then it sends as many bytes as each
line of its input says, twice as many right after them. `tcp_peers.py keepalive ADDRESS PORT INTERFACE` connects, waits
for a line, and prints the keepalive that it sends from then on, as hexadecimal digits from the IP header on. With
`sack` instead it prints the first packet that has the option SACK, for which the first bytes of the server have to be
lost.
"""

from __future__ import annotations

import socket
import struct
import sys
import typing as t

_ETH_P_ALL = 3
_LONG_HEADER_WORDS = 11
"""A TCP header with timestamps and one block of SACK: 20 bytes, and 12 for each of the two options."""


def serve(address: str, port: int) -> None:
    """Accept one connection and send what is asked for."""
    with socket.create_server((address, port), family=_family(address)) as listener:
        print("listening", flush=True)
        connection, _client = listener.accept()
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    print("accepted", flush=True)
    for line in sys.stdin:
        connection.sendall(bytes(int(line)))
        connection.sendall(bytes(2 * int(line)))
        print("sent", flush=True)


def keepalive(address: str, port: int, interface: str) -> None:
    """Connect, wait for a line, and print the first packet after it: nothing but a keepalive is due."""
    with _connected(address, port) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 1)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 60)
        print("connected", flush=True)
        sys.stdin.readline()
        with _sniffer(interface) as sniffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            packet, _words = next(_segments_sent(sniffer, address))
        print(packet.hex(), flush=True)
        sys.stdin.read()


def sack(address: str, port: int, interface: str) -> None:
    """Connect, and print the first packet whose header has room for timestamps and SACK."""
    with _sniffer(interface) as sniffer, _connected(address, port):
        print("connected", flush=True)
        segments = _segments_sent(sniffer, address)
        print(next(packet.hex() for packet, words in segments if words >= _LONG_HEADER_WORDS), flush=True)
        sys.stdin.read()


def _connected(address: str, port: int) -> socket.socket:
    """Return a connection that ends with a reset, so that nothing of it is sent again later."""
    connection = socket.create_connection((address, port), timeout=600)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return connection


def _sniffer(interface: str) -> socket.socket:
    """Return a socket that gets a copy of every packet on ``interface``."""
    sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM)
    sniffer.bind((interface, _ETH_P_ALL))
    return sniffer


def _segments_sent(sniffer: socket.socket, address: str) -> t.Iterator[tuple[bytes, int]]:
    """Yield each TCP packet that leaves for ``address``, and the length of its TCP header in words."""
    destination = socket.inet_pton(_family(address), address)
    while True:
        packet, sender = sniffer.recvfrom(65536)
        if sender[2] != socket.PACKET_OUTGOING:
            continue
        header, protocol = (20, packet[9]) if packet[0] >> 4 == 4 else (40, packet[6])
        if protocol == socket.IPPROTO_TCP and packet[header - len(destination) : header] == destination:
            yield packet, packet[header + 12] >> 4


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def main() -> None:
    role, address, port, *interface = sys.argv[1:]
    if role == "serve":
        serve(address, int(port))
    else:
        {"keepalive": keepalive, "sack": sack}[role](address, int(port), *interface)


if __name__ == "__main__":
    main()

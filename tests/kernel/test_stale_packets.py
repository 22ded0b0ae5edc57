# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the lab sends for its stale entries is what this kernel's own TCP sends when peer and router forgot it.

A real connection goes through a router of the lab to an address in the silent network. Then the address goes away, and
the router forgets the entry. What the client still sends is compared with what stale.py makes up, byte for byte.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
import typing as t

import lab
import pytest
from helpers.support import CHECKOUT, run
from stale import KINDS, lone_packet
from topology import STALE_DESTINATIONS, STALE_PORT, Router

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for network namespaces")

PEERS = CHECKOUT / "tests" / "helpers" / "tcp_peers.py"
LOST_BYTES = 100
KEEPALIVES = {"timestamps4": 1, "timestamps6": 1, "bare4": 0, "bare6": 0}
"""The kinds that this kernel sends as a keepalive, and with which value of net.ipv4.tcp_timestamps it does."""


class Peer:
    """One end of a connection: tcp_peers.py in a network namespace."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def tell(self, line: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def answer(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()


class Connection(t.NamedTuple):
    """Both ends of a connection."""

    client: Peer
    server: Peer


@pytest.fixture(scope="module")
def router(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Router]:
    directory = tmp_path_factory.mktemp("stale")
    (built,) = lab.up(directory, prefix="labstale", routers=1, stale=0).routers
    yield built
    lab.down(directory)


@contextlib.contextmanager
def peer(netns: str, *arguments: str) -> t.Iterator[Peer]:
    command = ["ip", "netns", "exec", netns, sys.executable, str(PEERS), *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Peer(process)
        finally:
            process.kill()


@contextlib.contextmanager
def connected(router: Router, role: str, family: socket.AddressFamily) -> t.Iterator[Connection]:
    """Connect the client, in its ``role`` of tcp_peers.py, to the address that the stale packets are sent to."""
    ends = (STALE_DESTINATIONS[family], str(STALE_PORT))
    run(["ip", "-n", router.server, "address", "add", *silent_address(family)])
    with peer(router.server, "serve", *ends) as server:
        assert server.answer() == "listening"
        with peer(router.client, role, *ends, "router") as client:
            assert client.answer() == "connected"
            assert server.answer() == "accepted"
            yield Connection(client, server)


def forget(router: Router, family: socket.AddressFamily) -> None:
    """Take the address away from the server, and the entry from the router."""
    run(["ip", "-n", router.server, "address", "delete", *silent_address(family)])
    run(["conntrack", "-D", *selecting(family)], netns=router.namespace)


def silent_address(family: socket.AddressFamily) -> list[str]:
    length = 32 if family == socket.AF_INET else 128
    return [f"{STALE_DESTINATIONS[family]}/{length}", "dev", "lo"]


def selecting(family: socket.AddressFamily) -> list[str]:
    name = "ipv4" if family == socket.AF_INET else "ipv6"
    return ["-f", name, "-p", "tcp", "--orig-dst", STALE_DESTINATIONS[family]]


def only_entry(router: Router, family: socket.AddressFamily) -> str:
    (entry,) = run(["conntrack", "-L", *selecting(family)], netns=router.namespace).splitlines()
    return entry


def comparable(packet: bytes) -> bytes:
    """Return a packet with zeroes for what is different each time: addresses, ports, numbers, times, checksums."""
    kept = bytearray(packet)
    if packet[0] >> 4 == 4:
        start, varying = 20, [(4, 6), (10, 20)]  # identification; checksum, addresses
    else:
        start, varying = 40, [(2, 4), (8, 40)]  # flow label, addresses
        kept[1] &= 0xF0
    data = start + (packet[start + 12] >> 4) * 4
    varying += [(start, start + 12), (start + 14, start + 18)]  # ports, sequence, acknowledgment; window, checksum
    varying += [(start + first, start + last) for first, last in values_of_options(packet[start:data])]
    varying.append((data, len(packet)))
    for first, last in varying:
        kept[first:last] = bytes(last - first)
    return bytes(kept)


def values_of_options(header: bytes) -> t.Iterator[tuple[int, int]]:
    """Yield where the values of TCP options stand, without their kinds and lengths."""
    place = 20
    while place < len(header):
        length = 1 if header[place] <= 1 else header[place + 1]
        if length > 1:
            yield place + 2, place + length
        place += length


@pytest.mark.parametrize("name", KEEPALIVES)
def test_a_keepalive_of_this_kernel(router: Router, name: str) -> None:
    made_up = lone_packet(KINDS[name], 0)
    family = KINDS[name].family
    run(["sysctl", "-qw", f"net.ipv4.tcp_timestamps={KEEPALIVES[name]}"], netns=router.client)
    with connected(router, "keepalive", family) as connection:
        assert "[ASSURED]" in only_entry(router, family)
        forget(router, family)
        connection.client.tell("forgotten")
        real = bytes.fromhex(connection.client.answer())
        entry = only_entry(router, family)
    assert len(real) == len(made_up)
    assert comparable(real) == comparable(made_up)
    assert re.search(rf" ESTABLISHED .* packets=1 bytes={len(made_up)} \[UNREPLIED\] .* packets=0 bytes=0 ", entry)


@pytest.mark.parametrize("name", ["sack4", "sack6"])
def test_an_acknowledgment_with_sack_of_this_kernel(router: Router, name: str) -> None:
    made_up = lone_packet(KINDS[name], 0)
    family = KINDS[name].family
    lost = len(lone_packet(KINDS[name.replace("sack", "timestamps")], 0)) + LOST_BYTES
    rule = f"table inet lose {{ chain in {{ type filter hook prerouting priority raw; meta length {lost} drop; }}; }}"
    run(["sysctl", "-qw", "net.ipv4.tcp_timestamps=1"], netns=router.client)
    run(["nft", rule], netns=router.client)
    with connected(router, "sack", family) as connection:
        connection.server.tell(str(LOST_BYTES))
        assert connection.server.answer() == "sent"
        real = bytes.fromhex(connection.client.answer())
        forget(router, family)
    run(["nft", "delete table inet lose"], netns=router.client)
    assert len(real) == len(made_up)
    assert comparable(real) == comparable(made_up)


def test_other_packets_do_not_compare_equal() -> None:
    packets = {name: comparable(lone_packet(kind, 0)) for name, kind in KINDS.items()}
    assert len(set(packets.values())) == len(KINDS)
    assert all(comparable(lone_packet(kind, 7)) == packets[name] for name, kind in KINDS.items())
    syn = bytearray(lone_packet(KINDS["timestamps4"], 0))
    syn[20 + 13] = 0x02
    assert comparable(bytes(syn)) != packets["timestamps4"]

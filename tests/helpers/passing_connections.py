# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Many connections a second over a router, which come and go.

Run as ``passing_connections.py RATE NEAR NEAR_MAC FAR FAR_MAC``. NEAR and FAR are the descriptors of packet sockets on
the client's and on the server's side, each with the hardware address of the router there. It sends until its input
ends, and then prints as JSON how many connections it made, and in how many seconds.

Of twenty connections, eighteen are a SYN, and an RST some time later, which makes the kernel forget them. One is a bare
ACK that is answered later. One is a bare ACK that is never answered.
"""

from __future__ import annotations

import contextlib
import json
import pathlib
import select
import socket
import struct
import subprocess
import sys
import time
import typing as t

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from helpers.packets import packet, tcp
from helpers.support import PATIENCE

SERVER = "198.18.0.1"
PASSING, ANSWERED, UNANSWERED = "10.1.0.", "10.2.0.", "10.3.0."
"""What the sources of each kind of connection begin with."""

_PREFIXES = (ANSWERED, UNANSWERED, *[PASSING] * 18)
_PORT, _FIRST_PORT, _PORTS, _SOURCES = 80, 1_024, 60_000, 250
_LAG = 0.1
"""Seconds between the first and the second packet of a connection."""
_TURN = 0.005
_BEFORE_PORTS = 14 + 20
"""Bytes of the headers of Ethernet and IPv4."""


class _Side:
    """A packet socket on one side of the router. Packets to it differ in their addresses, flags and ports only."""

    def __init__(self, descriptor: int, router: str) -> None:
        self._wire = socket.socket(fileno=descriptor)
        self._ethernet = bytes.fromhex(router.replace(":", "") + "020000000001" + "0800")
        self._packets: dict[tuple[str, str, str], bytes] = {}

    def send(self, source: str, destination: str, flags: str, ports: bytes) -> None:
        """Send a segment. ``ports`` are both ports in network order."""
        key = (source, destination, flags)
        whole = self._packets.get(key)
        if whole is None:
            segment = tcp((0, 0), flags, 1, int(flags == "A"))
            whole = self._packets[key] = self._ethernet + packet(source, destination, socket.IPPROTO_TCP, segment)
        # A full queue loses a packet, as a busy network does.
        with contextlib.suppress(OSError):
            self._wire.send(whole[:_BEFORE_PORTS] + ports + whole[_BEFORE_PORTS + len(ports) :])


class _Connection(t.NamedTuple):
    prefix: str
    source: str
    port: int


def _connection(number: int) -> _Connection:
    prefix = _PREFIXES[number % len(_PREFIXES)]
    return _Connection(prefix, f"{prefix}{number // _PORTS % _SOURCES + 1}", number % _PORTS + _FIRST_PORT)


def _begin(near: _Side, made: _Connection) -> None:
    near.send(made.source, SERVER, "S" if made.prefix == PASSING else "A", struct.pack("!HH", made.port, _PORT))


def _go_on(near: _Side, far: _Side, made: _Connection) -> None:
    if made.prefix == ANSWERED:
        far.send(SERVER, made.source, "A", struct.pack("!HH", _PORT, made.port))
    elif made.prefix == PASSING:
        near.send(made.source, SERVER, "R", struct.pack("!HH", made.port, _PORT))


def _run(rate: int, near: _Side, far: _Side) -> dict[str, float]:
    began = time.monotonic()
    begun = ended = 0
    while not select.select([sys.stdin], [], [], _TURN)[0]:
        passed = time.monotonic() - began
        # What a busy machine was late with comes later, and not all at once.
        most = rate // 20
        for number in range(begun, min(int(passed * rate), begun + most)):
            _begin(near, _connection(number))
            begun = number + 1
        for number in range(ended, min(int((passed - _LAG) * rate), begun, ended + most)):
            _go_on(near, far, _connection(number))
            ended = number + 1
    return {"connections": begun, "seconds": time.monotonic() - began}


class Traffic:
    """The connections that pass. ``ended`` has what the process printed, once they do no more."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.ended: dict[str, float] = {}

    def end(self) -> None:
        """Send no more."""
        printed, _nothing = self._process.communicate(timeout=PATIENCE)
        self.ended = json.loads(printed)


@contextlib.contextmanager
def passing(rate: int, *sides: tuple[socket.socket, str]) -> t.Iterator[Traffic]:
    """Let so many connections a second pass. ``sides`` are packet sockets, with the router's hardware addresses."""
    descriptors = [wire.fileno() for wire, _router in sides]
    words = [word for wire, router in sides for word in (str(wire.fileno()), router)]
    process = subprocess.Popen(
        [sys.executable, __file__, str(rate), *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        pass_fds=descriptors,
    )
    traffic = Traffic(process)
    try:
        yield traffic
        traffic.end()
    finally:
        process.kill()
        process.wait()


def main() -> None:
    """Send as the arguments say."""
    rate, near, near_mac, far, far_mac = sys.argv[1:]
    print(json.dumps(_run(int(rate), _Side(int(near), near_mac), _Side(int(far), far_mac))))


if __name__ == "__main__":
    main()

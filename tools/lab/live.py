# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The live flows: both of their ends, and the check that each of them still carries data.

Run in a network namespace: `live.py serve LOG` echoes what comes; `live.py carry LOG STATE INTERVAL` sends a numbered
block on each flow, waits for its echo, sends the next one INTERVAL seconds later, and writes to the file STATE how each
flow fares. Both return when they are ready and go on in the background. A flow never connects a second time: one that
broke stays broken.
"""

from __future__ import annotations

import json
import os
import pathlib
import select
import selectors
import socket
import struct
import sys
import time
import typing as t

from topology import FLOWS, QUIET_CONNECTIONS, QUIET_PORT, SERVER, UNANSWERED_DESTINATION, UNANSWERED_PORT, Flow

BLOCK_BYTES = 512
PATIENCE_SECONDS = 10.0
"""How long a block may go unanswered before its flow is broken; TCP has sent it again some six times by then."""
_STATE_SECONDS = 0.25
_UNANSWERED_SECONDS = 5.0
_ICMP_HEADER = struct.Struct("!BBHHH")
_ICMP_ECHO_REQUEST = 8


class BrokenFlowError(Exception):
    """The flow does not carry data any more; the message says how that showed."""


class Carrier:
    """The client's end of one flow: one block at a time goes out, and has to come back byte for byte."""

    def __init__(self, flow: Flow, connection: socket.socket) -> None:
        self.flow = flow
        self.sent = self.received = self.errors = 0
        self.reason: str | None = None
        self._connection = connection
        self._pending = self._echo = b""
        self._started = time.time()
        self._sent_at = self._last_echo = self._proven = time.monotonic()
        connection.setblocking(False)

    def fileno(self) -> int:
        """Return the connection's descriptor, for select."""
        return self._connection.fileno()

    @property
    def waiting(self) -> bool:
        """Whether an echo may come."""
        return self.reason is None and self._pending != b""

    def step(self, now: float, interval: float) -> None:
        """Take in what has come, or send the next block when ``interval`` seconds have passed since the last one."""
        try:
            if self.waiting:
                self._take_in(now)
            elif self.reason is None and (self.sent == 0 or now - self._sent_at >= interval):
                self._send(now)
        except (BrokenFlowError, OSError) as error:
            self.errors += 1
            self.reason = str(error)
            self._connection.close()

    def state(self, now: float) -> dict[str, t.Any]:
        """Return how the flow fares.

        ``started`` is in seconds since the epoch; ``written`` and ``proven``, when the last block was sent that came
        back, in those of the monotonic clock, which is the same in all namespaces.
        """
        return {
            "name": self.flow.name,
            "protocol": self.flow.protocol,
            "sent": self.sent,
            "received": self.received,
            # One block at a time: all up to this one came back.
            "last_sequence": self.received,
            "errors": self.errors,
            "seconds_since_last": round(now - self._last_echo, 3),
            "started": self._started,
            "proven": self._proven,
            "written": now,
            "reason": self.reason,
        }

    def _send(self, now: float) -> None:
        self.sent += 1
        self._pending, self._echo, self._sent_at = block(self.sent), b"", now
        self._connection.send(wrap(self.flow.protocol, self.sent, self._pending))

    def _take_in(self, now: float) -> None:
        try:
            data = self._connection.recv(65536)
        except BlockingIOError:
            if now - self._sent_at > PATIENCE_SECONDS:
                raise BrokenFlowError(f"no echo of block {self.sent} for {PATIENCE_SECONDS:.0f} s") from None
            return
        if not data:
            raise BrokenFlowError("the server closed the connection")
        self._echo += unwrap(self.flow.protocol, data)
        if self.flow.protocol == "tcp" and len(self._echo) < BLOCK_BYTES:
            return
        if self._echo != self._pending:
            raise BrokenFlowError(f"the echo of block {self.sent} is not what was sent")
        self._pending, self._last_echo, self._proven = b"", now, self._sent_at
        self.received += 1


class Client:
    """The client's end of all flows, of the connections that say nothing, and the datagrams that nobody answers."""

    def __init__(self, state_file: pathlib.Path, interval: float) -> None:
        self.carriers = [Carrier(flow, connect(flow)) for flow in FLOWS]
        self._quiet = [connect(Flow("quiet", "tcp", SERVER, QUIET_PORT)) for _number in range(QUIET_CONNECTIONS)]
        self._state_file = state_file
        self._interval = interval
        self._shout = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._shouted = self._written = float("-inf")

    def turn(self) -> None:
        """Do what is due on every flow, then sleep until something comes or may be due."""
        now = time.monotonic()
        for carrier in self.carriers:
            carrier.step(now, self._interval)
        if now - self._shouted >= _UNANSWERED_SECONDS:
            self._shout.sendto(block(1), (UNANSWERED_DESTINATION, UNANSWERED_PORT))
            self._shouted = now
        if now - self._written >= _STATE_SECONDS:
            write_whole(self._state_file, json.dumps([carrier.state(now) for carrier in self.carriers]))
            self._written = now
        select.select([carrier for carrier in self.carriers if carrier.waiting], [], [], self._interval / 4)


def block(sequence: int) -> bytes:
    """Return the block number ``sequence``: its number in 32 bits, which the ruleset looks at, and random bytes."""
    return struct.pack("!I", sequence) + os.urandom(BLOCK_BYTES - 4)


def wrap(protocol: str, sequence: int, data: bytes) -> bytes:
    """Return what to send for the block ``data``; of an echo (RFC 792) the kernel fills in checksum and identifier."""
    if protocol != "icmp":
        return data
    return _ICMP_HEADER.pack(_ICMP_ECHO_REQUEST, 0, 0, 0, sequence & 0xFFFF) + data


def unwrap(protocol: str, data: bytes) -> bytes:
    """Return the part of a block that was received as ``data``."""
    return data if protocol != "icmp" else data[_ICMP_HEADER.size :]


def connect(flow: Flow) -> socket.socket:
    """Open the one connection of ``flow``."""
    if flow.protocol == "tcp":
        connection = socket.create_connection((flow.destination, flow.port), timeout=PATIENCE_SECONDS)
        reset_on_close(connection)
        return connection
    family = socket.AF_INET6 if ":" in flow.destination else socket.AF_INET
    connection = socket.socket(family, socket.SOCK_DGRAM, socket.IPPROTO_ICMP if flow.protocol == "icmp" else 0)
    connection.connect((flow.destination, flow.port))
    return connection


def reset_on_close(connection: socket.socket) -> None:
    """Let ``connection`` vanish with its process: a dead namespace would wait minutes for the last ACK otherwise."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def write_whole(path: pathlib.Path, text: str) -> None:
    """Write ``text`` to ``path`` so that a reader sees all of it or what was there before."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)


def carry(log: pathlib.Path, state_file: pathlib.Path, interval: float) -> t.NoReturn:
    """Carry data on all flows for ever; in the background once each has had its first echo."""
    client = Client(state_file, interval)
    while not all(carrier.received for carrier in client.carriers):
        client.turn()
        for carrier in client.carriers:
            if carrier.reason is not None:
                raise SystemExit(f"the flow {carrier.flow.name} does not start: {carrier.reason}")
    detach(log)
    while True:
        client.turn()


def serve(log: pathlib.Path) -> t.NoReturn:
    """Echo what comes on the port of any flow for ever; in the background once all of them are open."""
    selector = selectors.DefaultSelector()
    for flow in FLOWS:
        if flow.protocol == "tcp":
            selector.register(_listen(flow.port, socket.SOCK_STREAM), selectors.EVENT_READ, _accept)
        elif flow.protocol == "udp":
            selector.register(_listen(flow.port, socket.SOCK_DGRAM), selectors.EVENT_READ, _echo_datagram)
    selector.register(_listen(QUIET_PORT, socket.SOCK_STREAM), selectors.EVENT_READ, _accept)
    detach(log)
    while True:
        for key, _events in selector.select():
            key.data(selector, key.fileobj)


def _listen(port: int, kind: socket.SocketKind) -> socket.socket:
    listener = socket.socket(socket.AF_INET6, kind)
    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    listener.bind(("::", port))
    if kind == socket.SOCK_STREAM:
        listener.listen()
    return listener


def _accept(selector: selectors.BaseSelector, listener: socket.socket) -> None:
    connection, _address = listener.accept()
    reset_on_close(connection)
    selector.register(connection, selectors.EVENT_READ, _echo_stream)


def _echo_stream(selector: selectors.BaseSelector, connection: socket.socket) -> None:
    try:
        data = connection.recv(65536)
        connection.sendall(data)
    except OSError:
        data = b""
    if not data:
        selector.unregister(connection)
        connection.close()


def _echo_datagram(_selector: selectors.BaseSelector, receiver: socket.socket) -> None:
    data, sender = receiver.recvfrom(65536)
    receiver.sendto(data, sender)


def detach(log: pathlib.Path) -> None:
    """Go on in the background, as a daemon does: the command that was called returns; complaints go to ``log``."""
    if os.fork():
        os._exit(0)
    os.setsid()
    with open(log, "ab") as errors, open(os.devnull, "r+b") as nothing:
        os.dup2(nothing.fileno(), 0)
        os.dup2(nothing.fileno(), 1)
        os.dup2(errors.fileno(), 2)


def read_state(path: pathlib.Path) -> dict[str, dict[str, t.Any]]:
    """Return the state of the flows by name; empty when there is none (yet)."""
    try:
        return {state["name"]: state for state in json.loads(path.read_text())}
    except FileNotFoundError:
        return {}


def judge(state: dict[str, t.Any] | None, asked: float) -> dict[str, t.Any]:
    """Return ``state`` with ``ok``: a block that was sent after ``asked`` came back, and never was there an error.

    ``asked`` is a time of the monotonic clock. Where it is not ok, ``reason`` says why.
    """
    if state is None:
        return {"ok": False, "reason": "its client has not started"}
    if state["errors"]:
        return {**state, "ok": False}
    if state["proven"] > asked:
        return {**state, "ok": True}
    if state["written"] < asked:
        return {**state, "ok": False, "reason": "its client does not run any more"}
    waiting = f"block {state['sent']} has been without an echo for {state['seconds_since_last']} s"
    return {**state, "ok": False, "reason": waiting}


def main() -> None:
    """Serve or carry flows, as the arguments say."""
    role, log, *rest = sys.argv[1:]
    if role == "serve":
        serve(pathlib.Path(log))
    else:
        carry(pathlib.Path(log), pathlib.Path(rest[0]), float(rest[1]))


if __name__ == "__main__":
    main()

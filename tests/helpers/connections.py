# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Connections of every kind that connection tracking can hold, whose sender keeps its own clock.

A kind is a list of packets that make the connection, and a list of those that go on with it. A packet is written as who
sends it and what it is, such as ``client PA 100`` for a TCP segment with 100 bytes of data. ``client repeat`` is the
same segment once more. Every packet is one that the kernel takes for a part of the connection, though it does not
renew the entry's timeout with each: see ``Kind.renews``.
"""

from __future__ import annotations

import copy
import dataclasses
import ipaddress
import itertools
import socket
import time
import typing as t

from helpers import packets
from helpers.packet_injection import Router

_SERVERS: dict[int, str] = {socket.AF_INET: "203.0.113.9", socket.AF_INET6: "2001:db8:ffff::9"}
WITH_POLICY: dict[int, str] = {socket.AF_INET: "203.0.113.10", socket.AF_INET6: "2001:db8:ffff::10"}
"""The servers that a test may give timeout policies to."""

_CLIENTS: dict[int, int] = {
    socket.AF_INET: int(ipaddress.ip_address("198.18.0.1")),
    socket.AF_INET6: int(ipaddress.ip_address("2001:db8:18::1")),
}
CLIENT_PORT, SERVER_PORT = 40000, 443

BOTH = (socket.AF_INET, socket.AF_INET6)
ONLY_IPV4 = (socket.AF_INET,)
ONLY_IPV6 = (socket.AF_INET6,)


class Kind(t.NamedTuple):
    """A kind of connection: the packets that make it and those that follow, in turn.

    ``state`` is the state that its entry has after both. With ``renews=False``, the packets that follow are taken in
    without giving the entry more time.
    """

    protocol: int
    made_by: tuple[str, ...]
    followed_by: tuple[str, ...] = ()
    state: str | None = None
    families: tuple[int, ...] = BOTH
    renews: bool = True


_TCP, _UDP = socket.IPPROTO_TCP, socket.IPPROTO_UDP
_HANDSHAKE = ("client S", "server SA", "client A")
_OPEN = (*_HANDSHAKE, "client PA 5", "server A")
_HALF_CLOSED = (*_OPEN, "client FA", "server A")
_CLOSING = (*_HALF_CLOSED, "server FA")
_ASSOCIATION = ("client INIT", "server INIT_ACK", "client COOKIE_ECHO", "server COOKIE_ACK")

KINDS: dict[str, Kind] = {
    "tcp syn_sent": Kind(_TCP, ("client S",), state="SYN_SENT"),
    "tcp syn_sent repeated": Kind(_TCP, ("client S",), ("client repeat",), "SYN_SENT", renews=False),
    "tcp syn_sent2": Kind(_TCP, ("client S", "server S"), ("client repeat",), "SYN_SENT2"),
    "tcp syn_recv": Kind(_TCP, ("client S", "server SA"), state="SYN_RECV"),
    "tcp syn_recv repeated": Kind(_TCP, ("client S", "server SA"), ("server repeat",), "SYN_RECV", renews=False),
    "tcp established": Kind(_TCP, _OPEN, ("client PA 5", "server A", "server PA 9", "client A"), "ESTABLISHED"),
    "tcp keepalives": Kind(_TCP, _OPEN, ("client keepalive", "server A"), "ESTABLISHED"),
    "tcp one keepalive": Kind(_TCP, ("client A",), state="ESTABLISHED"),
    "tcp one way": Kind(_TCP, ("client A",), ("client PA 100",), "ESTABLISHED"),
    "tcp picked up": Kind(_TCP, ("client A", "server A", "client A"), ("server PA 9", "client A"), "ESTABLISHED"),
    "tcp unacknowledged": Kind(_TCP, (*_OPEN, "client PA 100"), ("client PA 100",), "ESTABLISHED"),
    "tcp retransmitted": Kind(
        _TCP, (*_OPEN, "client PA 100", *["client repeat"] * 4), ("client repeat",), "ESTABLISHED"
    ),
    "tcp zero window": Kind(_TCP, (*_OPEN, "client PA 5", "server A zero"), ("server A zero",), "ESTABLISHED"),
    "tcp reset in window": Kind(_TCP, (*_OPEN, "client R 100"), ("client R 100",), "ESTABLISHED"),
    "tcp after such a reset": Kind(
        _TCP, (*_OPEN, "client R 100", "client PA 5", "server A"), ("client PA 5", "server A"), "ESTABLISHED"
    ),
    "tcp fin_wait": Kind(_TCP, (*_OPEN, "client FA"), state="FIN_WAIT"),
    "tcp close_wait": Kind(_TCP, _HALF_CLOSED, ("server PA 9", "client A"), "CLOSE_WAIT"),
    "tcp last_ack": Kind(_TCP, _CLOSING, ("server repeat",), "LAST_ACK"),
    "tcp time_wait": Kind(_TCP, (*_CLOSING, "client A"), ("client A",), "TIME_WAIT"),
    "tcp close": Kind(_TCP, (*_OPEN, "client R 0"), ("client R 0",), "CLOSE"),
    "udp unreplied": Kind(_UDP, ("client",), ("client",)),
    "udp one answer": Kind(_UDP, ("client", "server")),
    "udp replied": Kind(_UDP, ("client", "server", "client"), ("client", "server")),
    "udplite unreplied": Kind(packets.UDPLITE, ("client",), ("client",)),
    "udplite one answer": Kind(packets.UDPLITE, ("client", "server")),
    "udplite replied": Kind(packets.UDPLITE, ("client", "server", "client"), ("server", "client")),
    "icmp": Kind(socket.IPPROTO_ICMP, ("client",), ("client",), families=ONLY_IPV4),
    "icmp replied": Kind(socket.IPPROTO_ICMP, ("client", "server"), ("client", "server"), families=ONLY_IPV4),
    "icmpv6": Kind(packets.ICMPV6, ("client",), ("client",), families=ONLY_IPV6),
    "icmpv6 replied": Kind(packets.ICMPV6, ("client", "server"), ("client", "server"), families=ONLY_IPV6),
    "sctp init": Kind(packets.SCTP, ("client INIT",), state="CLOSED"),
    "sctp init repeated": Kind(packets.SCTP, ("client INIT",), ("client INIT",), "CLOSED", renews=False),
    "sctp cookie_wait": Kind(packets.SCTP, _ASSOCIATION[:2], ("server INIT_ACK",), "COOKIE_WAIT"),
    "sctp cookie_echoed": Kind(packets.SCTP, _ASSOCIATION[:3], ("client COOKIE_ECHO",), "COOKIE_ECHOED"),
    "sctp established": Kind(packets.SCTP, _ASSOCIATION, ("client HEARTBEAT", "server HEARTBEAT_ACK"), "ESTABLISHED"),
    "sctp heartbeat_sent": Kind(packets.SCTP, ("client HEARTBEAT",), ("client HEARTBEAT",), "HEARTBEAT_SENT"),
    "sctp shutdown_sent": Kind(packets.SCTP, (*_ASSOCIATION, "client SHUTDOWN"), ("client SHUTDOWN",), "SHUTDOWN_SENT"),
    "sctp shutdown_recd": Kind(packets.SCTP, (*_ASSOCIATION, "server SHUTDOWN"), ("server SHUTDOWN",), "SHUTDOWN_RECD"),
    "sctp shutdown_ack_sent": Kind(
        packets.SCTP,
        (*_ASSOCIATION, "client SHUTDOWN", "server SHUTDOWN_ACK"),
        ("server SHUTDOWN_ACK",),
        "SHUTDOWN_ACK_SENT",
    ),
    "gre": Kind(packets.GRE, ("client",), ("client",)),
    "gre one answer": Kind(packets.GRE, ("client", "server")),
    "gre replied": Kind(packets.GRE, ("client", "server", "client"), ("server", "client")),
    "gre of pptp": Kind(packets.GRE, ("client call",), ("client call",)),
    "dccp": Kind(packets.DCCP, ("client",), ("client",)),
    "dccp replied": Kind(packets.DCCP, ("client", "server"), ("client", "server")),
    "esp": Kind(packets.ESP, ("client",), ("client",)),
    "esp replied": Kind(packets.ESP, ("client", "server"), ("client", "server")),
    "253": Kind(packets.EXPERIMENTAL, ("client",), ("client",)),
    "tcp inserted": Kind(_TCP, (), ("client PA 5", "server A")),
    "udp inserted": Kind(_UDP, (), ("client", "server")),
}
"""Every kind by name. Those that are inserted are made by conntrack(8) and go on with packets, or without any."""


def inserted(kind: str) -> bool:
    """Return whether conntrack(8) makes the entries of this kind."""
    return not KINDS[kind].made_by


@dataclasses.dataclass
class _End:
    """One end of a TCP connection: the number of the next byte that it sends, and its last segment."""

    seq: int
    segment: bytes = b""


class Connection:
    """A connection, and when its packets were sent.

    The times are those of the monotonic clock: ``last`` right before the last packet was sent, so that the entry's last
    packet is never older, and ``last_after`` right after it. ``born`` and ``born_after`` are those of the first packet.
    """

    def __init__(self, kind: str, family: int, number: int, *, policy: bool = False) -> None:
        self.kind = kind
        self.number = number
        self.family = family
        self.client = str(ipaddress.ip_address(_CLIENTS[family] + number))
        self.server = (WITH_POLICY if policy else _SERVERS)[family]
        self.ports = (CLIENT_PORT, SERVER_PORT)
        self.born = self.born_after = self.last = self.last_after = 0.0
        self.history: list[tuple[float, str]] = []
        self._ends = {"client": _End(1000), "server": _End(500_000)}
        self._following = itertools.cycle(KINDS[kind].followed_by or ("",))

    @property
    def follows(self) -> bool:
        """Whether there are packets that go on with it."""
        return bool(KINDS[self.kind].followed_by)

    def make(self, router: Router) -> None:
        """Send all the packets that make it."""
        for step in KINDS[self.kind].made_by:
            self.send(router, step)

    def go_on(self, router: Router) -> None:
        """Send the next of the packets that follow."""
        self.send(router, next(self._following))

    def note(self, what: str, when: float | None = None) -> None:
        """Take what happens to the entry now, or at ``when``, for its last packet."""
        self.last = time.monotonic() if when is None else when
        self.last_after = time.monotonic()
        if not self.history:
            self.born, self.born_after = self.last, self.last_after
        self.history.append((self.last, what))

    def copy(self) -> Connection:
        """Return the connection as it is now."""
        other = copy.copy(self)
        other.history = list(self.history)
        return other

    def send(self, router: Router, step: str) -> None:
        """Send the packet that ``step`` describes."""
        who, *what = step.split()
        payload = self._payload(who, what)
        ends = (self.client, self.server) if who == "client" else (self.server, self.client)
        before = time.monotonic()
        router.send(*ends, KINDS[self.kind].protocol, payload)
        self.note(step, before)

    def _payload(self, who: str, what: list[str]) -> bytes:
        protocol = KINDS[self.kind].protocol
        ports = self.ports if who == "client" else (self.ports[1], self.ports[0])
        if protocol == _TCP:
            return self._segment(ports, who, *what)
        if protocol in (socket.IPPROTO_ICMP, packets.ICMPV6):
            return packets.echo(self.family, CLIENT_PORT, reply=who == "server")
        if protocol == packets.SCTP:
            return packets.sctp(ports, what[0])
        if protocol == packets.GRE:
            return packets.pptp(77) if what else packets.gre()
        with_ports = {_UDP: packets.udp, packets.UDPLITE: packets.udplite, packets.DCCP: packets.dccp}
        return with_ports[protocol](ports) if protocol in with_ports else packets.plain()

    def _segment(self, ports: tuple[int, int], who: str, what: str, more: str = "0") -> bytes:
        """Return the segment, and count its bytes; ``more`` is how much data it has, or how far off a reset is."""
        own, peer = self._ends[who], self._ends["server" if who == "client" else "client"]
        if what == "repeat":
            return own.segment
        if what == "keepalive":
            return packets.tcp(ports, "A", own.seq - 1, peer.seq)
        if what == "R":
            return packets.tcp(ports, what, own.seq + int(more), 0)
        if more == "zero":
            return packets.tcp(ports, what, own.seq, peer.seq, window=0)
        options = packets.SYN_OPTIONS if "S" in what else b""
        ack = peer.seq if "A" in what else 0
        own.segment = packets.tcp(ports, what, own.seq, ack, size=int(more), options=options)
        own.seq += int(more) + ("S" in what) + ("F" in what)
        return own.segment

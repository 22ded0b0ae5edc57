# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A router on which connections, timeouts and counters change at random, and what a reading of its table said.

Nothing is sent while a table is read, so that the sender knows when each connection had its last packet.
"""

from __future__ import annotations

import dataclasses
import heapq
import ipaddress
import itertools
import pathlib
import random
import socket
import subprocess
import time
import typing as t

from helpers.connections import CLIENT_PORT, KINDS, SERVER_PORT, WITH_POLICY, Connection, inserted
from helpers.packet_injection import Router
from helpers.support import run, run_module
from helpers.timeout_policies import POLICIES, give_policies

Change = tuple[float, str]
"""When something was done to the router, and what."""

_LONG = (600, 3600, 54_000, 86_400, 432_000)
_CAPS = (60, 120, 300, 600, 3600)
_SHORT = (20, 30, 45, 60, 90, 120, 240)
_SCTP = ("closed", "cookie_wait", "cookie_echoed", "heartbeat_sent", "shutdown_sent", "shutdown_recd")

TIMEOUTS: dict[str, tuple[int, ...]] = {
    "tcp_timeout_established": _LONG,
    "tcp_timeout_unacknowledged": _CAPS,
    "tcp_timeout_max_retrans": _CAPS,
    "tcp_timeout_close": (8, 10, 20, 40),
    **{
        f"tcp_timeout_{state}": _SHORT
        for state in ("syn_sent", "syn_recv", "fin_wait", "close_wait", "last_ack", "time_wait")
    },
    "udp_timeout": _SHORT,
    "udp_timeout_stream": _CAPS,
    "icmp_timeout": _SHORT,
    "icmpv6_timeout": _SHORT,
    "gre_timeout": _SHORT,
    "gre_timeout_stream": _CAPS,
    "generic_timeout": _CAPS,
    "sctp_timeout_established": _CAPS,
    **{f"sctp_timeout_{state}": _SHORT for state in (*_SCTP, "shutdown_ack_sent")},
}
"""The values that a timeout may be set to."""

_FIRST = {f"sctp_timeout_{state}": 45 for state in (*_SCTP, "shutdown_ack_sent")}
"""By default these are 3 seconds, in which no entry is seen by a reading."""

_INTERVALS = (1.0, 3.0, 8.0, 25.0, None)
"""The mean time between packets of a connection; None is for one that nothing follows."""


@dataclasses.dataclass(frozen=True)
class Seen:
    """An entry as the module told it, beside what its sender knew of the connection then."""

    entry: dict[str, t.Any]
    connection: Connection

    @property
    def kind(self) -> str:
        """The kind of the connection."""
        return self.connection.kind


@dataclasses.dataclass(frozen=True)
class Reading:
    """What one run of conntrack_info told, the times right before and after it, and the uptime after it."""

    started: float
    ended: float
    uptime: float
    seen: list[Seen]


class Churn:
    """A router and its connections; ``own`` and ``others`` say who changes its timeouts.

    ``without_timestamps`` is how many of the connections begin before the kernel keeps the time at which they do.
    """

    def __init__(
        self,
        router: Router,
        rng: random.Random,
        connections: int,
        *,
        own: bool = False,
        others: bool = False,
        without_timestamps: int = 0,
    ) -> None:
        self.router = router
        self.connections: dict[str, Connection] = {}
        self.changes: list[Change] = []
        self.readings: list[Reading] = []
        self._rng = rng
        self._own = own
        self._others = others
        self._wanted = connections
        self._without_timestamps = without_timestamps
        self._numbers = itertools.count(1)
        self._due: list[tuple[float, int, Connection, float]] = []
        self._kinds = [
            (kind, family)
            for kind, known in KINDS.items()
            for family in known.families
            if not inserted(kind) or own or others
        ]
        if without_timestamps:
            router.set(timestamp=0)
        if own:
            destinations = {"ipv4": WITH_POLICY[socket.AF_INET], "ipv6": WITH_POLICY[socket.AF_INET6]}
            give_policies(router.netns, POLICIES, destinations)
            self._set(_FIRST)

    def turn(self, begun: float) -> None:
        """Send what is due, and begin connections so that the share ``begun`` of all of them exists."""
        now = time.monotonic()
        while self._due and self._due[0][0] <= now:
            _when, number, connection, interval = heapq.heappop(self._due)
            connection.go_on(self.router)
            self._plan(number, connection, interval)
        missing = min(int(self._wanted * begun), self._wanted) - len(self.connections)
        made = [self._new() for _each in range(missing)]
        self._insert([connection for connection in made if inserted(connection.kind)])

    def change(self) -> None:
        """Do one of the things that happen to a router."""
        if self._own:
            ours = (*[self._set_some] * 4, self._shorten, self._shorten_to_settings, self._zero)
            self._rng.choice(ours)()
        if self._others:
            self._rng.choice((self._write, self._write, self._set_time_left))()

    def read(self) -> None:
        """Read the table with the module."""
        started = time.monotonic()
        result = run_module("conntrack_info", {"entries": True, "limit": 1_000_000}, netns=self.router.netns)
        ended = time.monotonic()
        assert not result.failed, result.msg
        uptime = float(pathlib.Path("/proc/uptime").read_text().split()[0])
        seen = [self._seen(entry) for entry in result.data["entries"]]
        self.readings.append(Reading(started, ended, uptime, seen))

    def _seen(self, entry: dict[str, t.Any]) -> Seen:
        # An entry that had expired may be made anew by a packet of the server.
        connection = self.connections.get(entry["source"]) or self.connections[entry["destination"]]
        return Seen(entry, connection.copy())

    def _new(self) -> Connection:
        number = next(self._numbers)
        # Every kind comes as often as the others.
        kind, family = self._kinds[number % len(self._kinds)]
        if inserted(kind) and number <= self._without_timestamps:
            kind = "tcp established"
        if number == self._without_timestamps + 1:
            self.router.set(timestamp=1)
        connection = Connection(kind, family, number, policy=self._own and self._rng.random() < 0.4)
        self.connections[connection.client] = connection
        connection.make(self.router)
        interval = self._rng.choice(_INTERVALS)
        if interval is not None and connection.follows:
            self._plan(number, connection, interval)
        return connection

    def _plan(self, number: int, connection: Connection, interval: float) -> None:
        due = time.monotonic() + self._rng.expovariate(1 / interval)
        heapq.heappush(self._due, (due, number, connection, interval))

    def _insert(self, connections: list[Connection]) -> None:
        """Put entries in as conntrackd does, with timeouts of their own."""
        if not connections:
            return
        before = time.monotonic()
        lines = [_insertion(connection, self._rng.choice((90, 250, 3600, 100_000))) for connection in connections]
        run(["conntrack", "-R", "-"], netns=self.router.netns, text="\n".join(lines))
        for connection, line in zip(connections, lines):
            connection.note(f"conntrack {line}", before)

    # What this collection does

    def _set_some(self) -> None:
        names = self._rng.sample(sorted(TIMEOUTS), self._rng.randint(1, 4))
        self._set({name: self._rng.choice(TIMEOUTS[name]) for name in names})

    def _set(self, settings: dict[str, int]) -> None:
        self._run_own("conntrack_settings", {"settings": settings, "persist": False})

    def _shorten(self) -> None:
        connection = self._rng.choice(list(self.connections.values()))
        bits = "26" if connection.family == socket.AF_INET else "122"
        network = ipaddress.ip_network(f"{connection.client}/{bits}", strict=False)
        args = {"match": [{"source": str(network)}], "timeout": {"max": self._rng.choice((25, 50, 200, 1000))}}
        self._run_own("conntrack_update", args)

    def _shorten_to_settings(self) -> None:
        self._run_own("conntrack_update", {"timeout": "settings"})

    def _run_own(self, name: str, args: dict[str, t.Any]) -> None:
        """Run a module in the namespace, or outside with the option ``netns``."""
        self._note(f"{name} {args}")
        netns = self.router.netns
        result = (
            run_module(name, args, netns=netns)
            if self._rng.random() < 0.5
            else run_module(name, {**args, "netns": netns})
        )
        assert not result.failed, result.msg

    def _zero(self) -> None:
        self._note("counters zeroed")
        for family in ("ipv4", "ipv6"):
            run(["conntrack", "-L", "-z", "-f", family], netns=self.router.netns)

    # What others do

    def _write(self) -> None:
        name = self._rng.choice(sorted(TIMEOUTS))
        value = self._rng.choice(TIMEOUTS[name])
        self._note(f"sysctl -w {name}={value}")
        self.router.set(**{name: value})

    def _set_time_left(self) -> None:
        """Give some entries another time to live, as ``conntrack -U -t`` does."""
        for connection in self._rng.sample(list(self.connections.values()), 8):
            seconds = self._rng.choice((100, 250))
            connection.history.append((time.monotonic(), f"conntrack -U -t {seconds}"))
            family = "ipv4" if connection.family == socket.AF_INET else "ipv6"
            update = ["conntrack", "-U", "-f", family, "-s", connection.client, "-t", str(seconds)]
            inside = ["ip", "netns", "exec", self.router.netns]
            # The tool fails where the entry has expired.
            subprocess.run([*inside, *update], capture_output=True, check=False)

    def _note(self, what: str) -> None:
        self.changes.append((time.monotonic(), what))


def _insertion(connection: Connection, seconds: int) -> str:
    """Return the options with which conntrack(8) puts the entry of a connection in."""
    protocol = KINDS[connection.kind].protocol
    state = "--state ESTABLISHED -u SEEN_REPLY,ASSURED" if protocol == socket.IPPROTO_TCP else ""
    ends = f"-s {connection.client} -d {connection.server} --sport {CLIENT_PORT} --dport {SERVER_PORT}"
    return f"-I -p {protocol} {ends} {state} -t {seconds}"

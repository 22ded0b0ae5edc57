# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tables hold, and filling them: real packets through connection tracking, `conntrack -R` for the rest.

``uniform`` is the founding story's table: nine of ten entries come from real bare ACKs, and every source is another.
``tcp`` has these bare ACKs only. ``mix`` is what a router with a few thousand clients holds: see RECIPES.
In ``different`` every entry has addresses and ports of its own.
The same kind and size always gives the same entries. All functions that fill work in the present network namespace.
"""

from __future__ import annotations

import collections
import ipaddress
import itertools
import random
import socket
import struct
import subprocess
import typing as t

from bench import machine
from bench.errors import BenchError
from helpers.support import run

STALE_DESTINATION, STALE_PORT = "203.0.113.200", 80
STALE_SOURCE_PORT = 40_000
"""Where the bare ACKs go to and come from, each from an address of its own: see stale_source."""

_SOURCES = int(ipaddress.IPv4Address("10.0.0.1"))
_LONGEST_SECONDS, _SHORTEST_SECONDS = 432_000, 3_600
_PARTS = 8
"""How many different remaining times the entries have that packets went over."""

# IPv4 without options, then TCP without options or UDP (RFC 791, 9293, 768). The kernel fills in length and checksum
# of IP; connection tracking does not verify the others in packets that leave the machine itself.
_TCP = struct.Struct("!BBHHHBBHII HHIIBBHHH")
_UDP = struct.Struct("!BBHHHBBHII HHHH")
_ACK = 0x10
_PAYLOAD = bytes(1_400)


class Recipe(t.NamedTuple):
    """One sort of entry in the mix: how many of a thousand, and what `conntrack -R` is told beside tuple and time."""

    share: int
    protocol: str
    words: str = ""
    ipv6: bool = False
    carries: bool = False
    """Whether packets are sent over the entry, so that it has counters."""


_ASSURED = "-u SEEN_REPLY,ASSURED"
RECIPES = (
    Recipe(200, "tcp", f"--state ESTABLISHED {_ASSURED}", carries=True),
    Recipe(120, "tcp", f"--state ESTABLISHED {_ASSURED}"),
    Recipe(50, "tcp", f"--state ESTABLISHED {_ASSURED} -n 203.0.113.1"),
    Recipe(50, "tcp", f"--state ESTABLISHED {_ASSURED} -n 203.0.113.2"),
    Recipe(20, "tcp", f"--state ESTABLISHED {_ASSURED} -g 203.0.113.80"),
    Recipe(30, "tcp", f"--state ESTABLISHED {_ASSURED} -m 16"),
    Recipe(10, "tcp", f"--state ESTABLISHED {_ASSURED} -m 32"),
    Recipe(30, "tcp", f"--state ESTABLISHED {_ASSURED} -w 7"),
    Recipe(30, "tcp", "--state ESTABLISHED"),
    Recipe(40, "tcp", "--state SYN_SENT"),
    Recipe(10, "tcp", "--state SYN_RECV -u SEEN_REPLY"),
    Recipe(10, "tcp", f"--state FIN_WAIT {_ASSURED}"),
    Recipe(15, "tcp", f"--state CLOSE_WAIT {_ASSURED}"),
    Recipe(5, "tcp", f"--state LAST_ACK {_ASSURED}"),
    Recipe(60, "tcp", f"--state TIME_WAIT {_ASSURED}"),
    Recipe(10, "tcp", f"--state TIME_WAIT {_ASSURED} -n 203.0.113.1"),
    Recipe(10, "tcp", "--state CLOSE -u SEEN_REPLY"),
    Recipe(40, "udp", _ASSURED, carries=True),
    Recipe(40, "udp", _ASSURED),
    Recipe(40, "udp", "-u SEEN_REPLY -n 203.0.113.2"),
    Recipe(30, "udp", "-u SEEN_REPLY"),
    Recipe(50, "udp"),
    Recipe(30, "icmp", "-u SEEN_REPLY"),
    Recipe(20, "icmp"),
    Recipe(25, "tcp", f"--state ESTABLISHED {_ASSURED}", ipv6=True),
    Recipe(5, "tcp", "--state SYN_SENT", ipv6=True),
    Recipe(12, "udp", _ASSURED, ipv6=True),
    Recipe(8, "udp", ipv6=True),
)

# Prime numbers that are coprime with the thousand of the recipes, so that each client has entries of every sort.
_CLIENTS = 3_989
_SERVER_FACTORS = (89, 97)
_FIRST_CLIENT = int(ipaddress.IPv4Address("198.18.0.1"))
_CLIENT4 = [str(ipaddress.IPv4Address(_FIRST_CLIENT + number)) for number in range(_CLIENTS)]
_CLIENT6 = [str(ipaddress.IPv6Address("2001:db8:c::1") + number) for number in range(_CLIENTS)]
_SERVERS = 88 * 96 + 1
_FIRST_SERVER = int(ipaddress.IPv4Address("198.19.0.1"))
_SERVER4 = [str(ipaddress.IPv4Address(_FIRST_SERVER + number)) for number in range(_SERVERS)]
_SERVER6 = [str(ipaddress.IPv6Address("2001:db8:5::1") + number) for number in range(_SERVERS)]
_PORTS = {"tcp": (443, 443, 443, 80, 22, 8_443, 993), "udp": (53, 53, 443, 123), "icmp": (0,)}


class Flow(t.NamedTuple):
    """The tuple of one entry of the mix and its remaining seconds; client and server are numbers."""

    client: int
    server: int
    client_port: int
    server_port: int
    seconds: int


def fill(kind: str, size: int) -> None:
    """Empty the table and fill it with ``size`` entries of ``kind``. Raises BenchError when it holds more or less."""
    run(["conntrack", "--flush"])
    {"uniform": _fill_uniform, "tcp": send_bare_acks, "mix": _fill_mix, "different": _fill_different}[kind](size)
    present = machine.setting("nf_conntrack_count")
    if present != size:
        raise BenchError(f"the table {kind} has {present} entries, not {size}")


def stale_entries(size: int) -> int:
    """Return how many of the ``size`` entries of the table ``uniform`` come from a bare ACK."""
    return size * 9 // 10


def stale_source(index: int) -> str:
    """Return the source address of the bare ACK number ``index``."""
    return str(ipaddress.IPv4Address(_SOURCES + index))


def send_bare_acks(count: int) -> None:
    """Send ``count`` bare TCP ACKs, each from a source of its own: entries ESTABLISHED, [UNREPLIED], 40 bytes."""
    destination = int(ipaddress.IPv4Address(STALE_DESTINATION))
    machine.write_setting("nf_conntrack_timestamp", 0)
    _send(
        tcp_packet(source, STALE_SOURCE_PORT, destination, STALE_PORT, 0)
        for source in range(_SOURCES, _SOURCES + count)
    )


def tcp_packet(source: int, source_port: int, destination: int, destination_port: int, payload: int) -> bytes:
    """Return an IPv4 packet with a TCP ACK and ``payload`` bytes of data; the addresses are numbers."""
    ip = (0x45, 0, 0, 0, 0, 64, socket.IPPROTO_TCP, 0, source, destination)
    return _TCP.pack(*ip, source_port, destination_port, 1, 1, 5 << 4, _ACK, 8_192, 0, 0) + _PAYLOAD[:payload]


def udp_packet(source: int, source_port: int, destination: int, destination_port: int, payload: int) -> bytes:
    """Return an IPv4 packet with a UDP datagram of ``payload`` bytes; the addresses are numbers."""
    ip = (0x45, 0, 0, 0, 0, 64, socket.IPPROTO_UDP, 0, source, destination)
    return _UDP.pack(*ip, source_port, destination_port, 8 + payload, 0) + _PAYLOAD[:payload]


def mix_recipes() -> list[Recipe]:
    """Return the recipe of each entry of a thousand, shuffled, always in the same order."""
    recipes = [recipe for recipe in RECIPES for _copy in range(recipe.share)]
    random.Random(0).shuffle(recipes)
    return recipes


def mix_flow(index: int, protocol: str) -> Flow:
    """Return the tuple of entry number ``index`` of the mix; no two of a protocol are alike below three million."""
    client, round_number = index % _CLIENTS, index // _CLIENTS
    first, second = _SERVER_FACTORS
    ports = _PORTS[protocol]
    return Flow(
        client=client,
        server=index % first * (index % second),
        client_port=32_768 + (round_number * 37 + client * 11) % 28_001,
        server_port=ports[index % len(ports)],
        seconds=_SHORTEST_SECONDS + index * 7_919 % (_LONGEST_SECONDS - _SHORTEST_SECONDS),
    )


def mix_line(recipe: Recipe, flow: Flow) -> str:
    """Return the line of `conntrack -R` that makes the entry ``flow`` by ``recipe``."""
    clients, servers = (_CLIENT6, _SERVER6) if recipe.ipv6 else (_CLIENT4, _SERVER4)
    ports = (
        f"--icmp-type 8 --icmp-code 0 --icmp-id {flow.client_port}"
        if recipe.protocol == "icmp"
        else f"--sport {flow.client_port} --dport {flow.server_port}"
    )
    return (
        f"-A -p {recipe.protocol} {recipe.words} -t {flow.seconds} "
        f"-s {clients[flow.client]} -d {servers[flow.server]} {ports}\n"
    )


def mix_packets(index: int, protocol: str, flow: Flow) -> list[bytes]:
    """Return the packets that go over entry number ``index``: one to three from the client, one or two back."""
    make = {"tcp": tcp_packet, "udp": udp_packet}[protocol]
    client, server = _FIRST_CLIENT + flow.client, _FIRST_SERVER + flow.server
    request = make(client, flow.client_port, server, flow.server_port, index * 37 % 400)
    answer = make(server, flow.server_port, client, flow.client_port, index * 41 % 1_400)
    return [request] * (1 + index % 3) + [answer] * (1 + index % 2)


def _fill_uniform(size: int) -> None:
    stale = stale_entries(size)
    send_bare_acks(stale)
    _restore(
        f"-A {sort} -s {ipaddress.IPv4Address(_SOURCES + index)} -d 203.0.113.130 --sport 20000 --dport 443\n"
        for index, sort in zip(
            range(stale, size),
            itertools.cycle((f"-p tcp --state ESTABLISHED {_ASSURED} -t 43200", "-p udp -u SEEN_REPLY -t 21600")),
            strict=False,
        )
    )


def _fill_different(size: int) -> None:
    chance = random.Random(0)
    kinds = ("-p udp", "-p udp -u SEEN_REPLY", f"-p tcp --state ESTABLISHED {_ASSURED}", "-p tcp --state SYN_SENT")
    _restore(
        f"-A {kind} -t 43200 -s {ipaddress.IPv4Address(_SOURCES + index)} "
        f"-d {ipaddress.IPv4Address(_FIRST_SERVER + index)} "
        f"--sport {chance.randrange(1024, 65536)} --dport {chance.randrange(1, 65536)}\n"
        for index, kind in zip(range(size), itertools.cycle(kinds), strict=False)
    )


def _fill_mix(size: int) -> None:
    machine.write_setting("nf_conntrack_timestamp", 1)
    recipes = mix_recipes()
    _restore(
        mix_line(recipe, mix_flow(index, recipe.protocol))
        for index, recipe in zip(range(size), itertools.cycle(recipes), strict=False)
    )
    # A packet sets its entry's remaining time anew, to what the timeouts are then.
    step = (_LONGEST_SECONDS - _SHORTEST_SECONDS) // _PARTS
    for part in range(_PARTS):
        for name in ("tcp_timeout_established", "udp_timeout", "udp_timeout_stream"):
            machine.write_setting(f"nf_conntrack_{name}", _LONGEST_SECONDS - part * step)
        _send(_mix_traffic(range(size * part // _PARTS, size * (part + 1) // _PARTS), recipes))


def _mix_traffic(indexes: t.Iterable[int], recipes: list[Recipe]) -> t.Iterator[bytes]:
    for index in indexes:
        recipe = recipes[index % len(recipes)]
        if recipe.carries:
            yield from mix_packets(index, recipe.protocol, mix_flow(index, recipe.protocol))


def _restore(lines: t.Iterable[str]) -> None:
    """Give ``lines`` to `conntrack -R`, which says on standard error what it does not like."""
    with subprocess.Popen(["conntrack", "-R", "-"], stdin=subprocess.PIPE, text=True) as restore:
        assert restore.stdin is not None
        restore.stdin.writelines(lines)


def _send(packets: t.Iterable[bytes]) -> None:
    """Send whole IPv4 packets; all take the route to STALE_DESTINATION, whatever their addresses are."""
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        raw.connect((STALE_DESTINATION, 0))
        collections.deque(map(raw.send, packets), maxlen=0)

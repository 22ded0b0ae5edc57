# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Random tables with entries of every protocol: made by conntrack(8), by injected packets, and by real connections."""

from __future__ import annotations

import contextlib
import random
import socket

from helpers import packets
from helpers.conntrack_tool import Tool
from helpers.kernel_entries import fill
from helpers.packet_injection import Router
from helpers.support import run

_TCP_STATES = (
    *("NONE", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "ESTABLISHED", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT"),
    *("LAST_ACK", "TIME_WAIT", "CLOSE", "SYN_SENT2"),
)
_SCTP_STATES = (
    *("CLOSED", "COOKIE_WAIT", "COOKIE_ECHOED", "ESTABLISHED", "SHUTDOWN_SENT", "SHUTDOWN_RECD"),
    "SHUTDOWN_ACK_SENT",
)
_PROTOCOLS = (
    *(("tcp",) * 8),
    *(("udp",) * 5),
    *("udplite", "sctp", "sctp", "icmp", "icmp", "icmpv6", "icmpv6", "gre", "dccp"),
    *("4", "50", "51", "88", "89", "99", "112", "253"),
)
_WITH_PORTS = ("tcp", "udp", "udplite", "sctp")
_STATUS: tuple[str, ...] = ("", "", "SEEN_REPLY", "SEEN_REPLY,ASSURED", "SEEN_REPLY,ASSURED")
_STATUS += ("FIXED_TIMEOUT", "SEEN_REPLY,FIXED_TIMEOUT")
_SERVICES = (0, 21, 22, 53, 80, 443, 5060, 40000, 65535)
_ZONES = ("", "", "", "", "-w 5", "-w 65535", "--orig-zone 7", "--reply-zone 8", "--orig-zone 5")

SETTINGS = {
    **dict.fromkeys(("udp_timeout", "icmp_timeout", "icmpv6_timeout", "generic_timeout", "gre_timeout"), 5000),
    "udp_timeout_stream": 7000,
    "gre_timeout_stream": 9000,
    "tcp_timeout_established": 432000,
    "tcp_timeout_unacknowledged": 4200,
    "tcp_timeout_max_retrans": 3600,
    "tcp_timeout_syn_sent": 4000,
    "tcp_timeout_syn_recv": 4100,
    "tcp_timeout_fin_wait": 3400,
    "tcp_timeout_close_wait": 3000,
    "tcp_timeout_last_ack": 3200,
    "tcp_timeout_time_wait": 3300,
    "tcp_timeout_close": 3100,
    "sctp_timeout_closed": 4300,
    "sctp_timeout_cookie_wait": 4400,
    "sctp_timeout_cookie_echoed": 4500,
    "sctp_timeout_established": 4600,
}
"""Timeouts of the tables, in seconds: no entry of real packets ends while its table is looked at."""

_TIMEOUTS = sorted({*SETTINGS.values(), 120, 180})

_KINDS = ("tcp", "tcp", "ack", "udp", "udp", "udp", "udplite", "icmp", "sctp", "gre", "dccp", "esp", "any")

# What packets with these ports get: zones, marks, labels, helpers, and translations of an address, a port, or both.
_RULES = """
table inet mixture {
  ct helper files { type "ftp" protocol tcp; }
  chain early {
    type filter hook prerouting priority -300
    udp dport 701 ct zone set 5
    udp dport 702 ct original zone set 11
    udp dport 703 ct reply zone set 12
  }
  chain late {
    type filter hook prerouting priority -50
    meta l4proto { tcp, udp } th dport 704 ct mark set 0xabcd0012
    udp dport 705 ct label set 3
    tcp dport 705 ct label set 77
    tcp dport 21 ct helper set "files"
  }
  chain redirected {
    type nat hook prerouting priority -100
    meta nfproto ipv4 meta l4proto { tcp, udp } th dport 706 dnat ip to 198.19.9.9
    meta nfproto ipv6 meta l4proto { tcp, udp } th dport 706 dnat ip6 to 2001:db8:9::9
    meta nfproto ipv4 udp dport 707 dnat ip to 198.19.9.9:7070
    udp dport 708 dnat to :7080
  }
  chain translated {
    type nat hook postrouting priority 100
    meta nfproto ipv4 meta l4proto { tcp, udp, icmp } ip saddr 198.18.3.0/24 snat ip to 203.0.113.3
    meta nfproto ipv4 udp dport 707 snat ip to 203.0.113.4
    udp dport 709 snat to :20000-29999
  }
}
"""


def make_table(router: Router, tool: Tool, chance: random.Random, size: int) -> None:
    """Fill the table with about ``size`` entries, in four parts: with and without counters and timestamps."""
    run(["nft", "-f", "-"], netns=router.netns, text=_RULES)
    settings = [f"net.netfilter.nf_conntrack_{name}={value}" for name, value in SETTINGS.items()]
    run(["sysctl", "-qw", *settings], netns=router.netns)
    numbers = iter(range(1000, 20000))
    switches = [(0, 0), (1, 0), (0, 1), (1, 1)]
    chance.shuffle(switches)
    for acct, timestamp in switches:
        router.set(acct=acct, timestamp=timestamp)
        made = [_command(chance, next(numbers)) for _number in range(size // 6)]
        _insert(tool, [line for lines in made for line in lines])
        for _number in range(size // 12):
            _exchange(router, chance, next(numbers))
    if chance.random() < 0.5:
        fill(router.netns)


def _insert(tool: Tool, lines: list[str]) -> None:
    """Make entries. One whose tuple another one has the other way round in zone 0 is left out (see docs/restore.md)."""
    try:
        tool.run("-R", "-", text="".join(lines))
    except AssertionError:
        for line in lines:
            with contextlib.suppress(AssertionError):
                tool.run(*line.split())


def _address(chance: random.Random, family: int, net: str, number: int | None = None) -> str:
    """Return one of few addresses, or the one with this number."""
    low = chance.randrange(1, 9) if number is None else number
    if family == 4:
        base = {"a": "198.18", "b": "198.19", "nat": "203.0"}[net]
        return f"{base}.{chance.randrange(4) if number is None else number >> 8}.{low & 0xFF}"
    return f"2001:db8:{1 if net == 'a' else 2}:{chance.randrange(3)}::{low:x}"


def _command(chance: random.Random, number: int) -> list[str]:
    """Return a command of ``conntrack -R`` for a new entry, sometimes with the same tuple in another zone."""
    protocol = chance.choice(_PROTOCOLS)
    family = {"icmp": 4, "icmpv6": 6}.get(protocol) or chance.choice((4, 4, 6))
    # Without ports, it is the address that no other entry has.
    own = None if protocol in (*_WITH_PORTS, "icmp", "icmpv6") else number
    source, destination = _address(chance, family, "a", own), _address(chance, family, "b")
    service = chance.choice(_SERVICES)
    parts = [f"-I -p {protocol} -s {source} -d {destination}"]
    if protocol in _WITH_PORTS:
        parts.append(f"--sport {number} --dport {service}")
    if protocol == "tcp":
        parts.append(f"--state {chance.choice(_TCP_STATES)}")
    if protocol == "sctp":
        parts.append(f"--state {chance.choice(_SCTP_STATES)} --orig-vtag {number} --reply-vtag 2")
    if protocol == "dccp":
        parts.append("--sport 1 --dport 2 --state REQUEST --role client")
    if protocol == "gre":
        parts.append(f"--srckey {number} --dstkey {service}")
    if protocol.startswith("icmp"):
        kind = 128 if family == 6 else chance.choice((8, 8, 13, 15, 17))
        parts.append(f"--{protocol}-type {kind} --{protocol}-code 0 --{protocol}-id {number}")
    status = chance.choice(_STATUS)
    parts.append(f"-u {status}" if status else "")
    parts.append(chance.choice(("", "", "-m 1", "-m 0x12", "-m 4294967295", f"-m {chance.randrange(1 << 32)}")))
    if family == 4 and not protocol.startswith("icmp"):
        parts.append(_translation(chance, protocol, source, number))
    parts.append(f"-t {_seconds(chance)}")
    zones = [chance.choice(_ZONES)]
    if protocol in _WITH_PORTS and chance.random() < 0.1:
        zones = ["", "-w 5", "-w 6"]
    return [f"{' '.join(filter(None, [*parts, zone]))}\n" for zone in zones]


def _translation(chance: random.Random, protocol: str, source: str, number: int) -> str:
    """Return options that translate the source, the destination, both, a port alone, or, most often, nothing."""
    source_nat, destination_nat = (_address(chance, 4, "nat") for _end in range(2))
    ways = ["", "", "", f"--src-nat {source_nat}", f"--dst-nat {destination_nat}"]
    ways.append(f"--src-nat {source_nat} --dst-nat {destination_nat}")
    if protocol in ("tcp", "udp"):
        ways += [f"--src-nat {source}:{number + 20000}", f"--dst-nat {destination_nat}:{number + 20000}"]
    return chance.choice(ways)


def _seconds(chance: random.Random) -> int:
    """Return a remaining time: near a timeout, hours below one, or more than any timeout explains."""
    timeout = chance.choice(_TIMEOUTS)
    less = chance.choice((0, 0, 30, 61, 600, 3600, 3630, 86400, chance.randrange(400_000)))
    return max(600, timeout - less) if chance.random() < 0.9 else chance.choice((5001, 500_000, 2_000_000))


def _exchange(router: Router, chance: random.Random, number: int) -> None:
    """Send the packets of one connection: some from its client, and often some answers."""
    family = chance.choice((4, 4, 6))
    protocol, question, answer = _payloads(chance, family, number)
    own = number if protocol in (packets.GRE, packets.EXPERIMENTAL, packets.ESP, packets.DCCP) else None
    source, destination = _address(chance, family, "a", own), _address(chance, family, "b")
    for payload in question:
        router.send(source, destination, protocol, payload)
    for payload in answer:
        router.send(destination, source, protocol, payload)
    for payload in question[1:] if answer else []:
        router.send(source, destination, protocol, payload)


def _payloads(chance: random.Random, family: int, number: int) -> tuple[int, list[bytes], list[bytes]]:
    """Return the protocol of a connection, what its client sends, and what is answered."""
    ports = (number, chance.choice((21, 53, 443, *range(701, 710))))
    there, back = ports, ports[::-1]
    asked, answered = chance.randrange(1, 5), chance.choice((0, 0, 1, 2, 3))
    kind = chance.choice(_KINDS)
    if kind == "tcp":
        opening = [packets.tcp(there, "S", 1, 0, options=packets.SYN_OPTIONS)]
        return 6, [*opening, packets.tcp(there, "A", 2, 2)], [packets.tcp(back, "SA", 1, 2)][:answered]
    if kind == "ack":
        return 6, [packets.tcp(there, "A", 1, 1, size=chance.randrange(3))] * asked, []
    if kind == "icmp":
        domain = socket.AF_INET if family == 4 else socket.AF_INET6
        question, answer = packets.echo(domain, number), packets.echo(domain, number, reply=True)
        return (1 if family == 4 else 58), [question] * asked, [answer] * answered
    if kind == "sctp":
        return packets.SCTP, [packets.sctp(there, "INIT")], [packets.sctp(back, "INIT_ACK")][:answered]
    if kind == "udplite":
        return packets.UDPLITE, [packets.udplite(there)] * asked, [packets.udplite(back)] * answered
    if kind == "gre":
        return packets.GRE, [packets.gre()] * asked, [packets.gre()] * answered
    if kind == "dccp":
        return packets.DCCP, [packets.dccp(there)] * asked, []
    if kind in ("esp", "any"):
        number_of = {"esp": packets.ESP, "any": packets.EXPERIMENTAL}[kind]
        return number_of, [packets.plain() * asked] * asked, [packets.plain()] * answered
    size = bytes(chance.choice((0, 1, 100, 1000)))
    return 17, [packets.udp(there) + size] * asked, [packets.udp(back)] * answered

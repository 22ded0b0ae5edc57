# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the lab looks like: names, addresses, flows, and what `ip`, `nft` and `sysctl` are told.

Nothing in here touches the machine.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import re
import socket
import zlib

MANAGEMENT = ipaddress.IPv4Network("198.18.0.0/15")
"""The range for benchmarks (RFC 2544): the management addresses of all labs lie in it."""
BLOCK_SIZE = 1024
"""Management addresses of one lab: four for each router."""
MAX_ROUTERS = BLOCK_SIZE // 4

CLIENT, CLIENT_GATEWAY = "198.51.100.2", "198.51.100.1"
CLIENT6, CLIENT6_GATEWAY = "2001:db8:c::2", "2001:db8:c::1"
SERVER, SERVER_GATEWAY = "203.0.113.2", "203.0.113.1"
SERVER6, SERVER6_GATEWAY = "2001:db8:5::2", "2001:db8:5::1"
SILENT = "203.0.113.128/25"
SILENT6 = "2001:db8:d::/64"
"""Networks behind the server in which nobody answers, not even with an ICMP error."""
STALE_DESTINATIONS = {socket.AF_INET: "203.0.113.200", socket.AF_INET6: "2001:db8:d::200"}
STALE_PORT = 80
"""Where the forgotten connections lead to, by family."""
UNANSWERED_DESTINATION, UNANSWERED_PORT = "203.0.113.201", 7009
QUIET_PORT = 7010
QUIET_CONNECTIONS = 230
"""Connections that are open and say nothing: with them, 2,000 stale entries are the story's 90 % of a table."""

ZONE = 5
MARK = 0x10

STALE_SECONDS = 432_000
"""How long a router keeps a stale entry: 5 days, as kernels before 3.12 do, because the entry is ESTABLISHED."""
STALE_TIMEOUTS = (
    "net.netfilter.nf_conntrack_tcp_timeout_unacknowledged",
    "net.netfilter.nf_conntrack_tcp_timeout_max_retrans",
)
"""The settings whose smaller value is the most that kernels since 3.12 give such an entry, by default 300 seconds."""

ROUTER_SYSCTLS = {
    "net.ipv4.ip_forward": 1,
    "net.ipv6.conf.all.forwarding": 1,
    "net.netfilter.nf_conntrack_acct": 1,
    "net.netfilter.nf_conntrack_timestamp": 1,
    **dict.fromkeys(STALE_TIMEOUTS, STALE_SECONDS),
}
PRIVATE_DIRECTORIES = ("sysctl.d", "modules-load.d", "modprobe.d")
"""The directories under /etc of which each router has its own."""

_PREFIX = re.compile(r"[a-z][a-z0-9-]{0,8}[a-z0-9]")


@dataclasses.dataclass(frozen=True)
class Flow:
    """A flow that carries data as long as the lab is up."""

    name: str
    protocol: str
    destination: str
    port: int = 0


FLOWS = (
    Flow("tcp", "tcp", SERVER, 7001),
    Flow("tcp-masqueraded", "tcp", SERVER, 7002),
    Flow("tcp-dnat", "tcp", CLIENT_GATEWAY, 7003),
    Flow("tcp-marked", "tcp", SERVER, 7004),
    Flow("tcp-zoned", "tcp", SERVER, 7005),
    Flow("tcp6", "tcp", SERVER6, 7006),
    Flow("udp", "udp", SERVER, 7007),
    Flow("udp6", "udp", SERVER6, 7008),
    Flow("icmp", "icmp", SERVER),
)


@dataclasses.dataclass(frozen=True)
class Router:
    """One router with its client and its server: the names and addresses of all its parts follow from these fields."""

    prefix: str
    number: int
    block: ipaddress.IPv4Address

    @property
    def name(self) -> str:
        """The name in the inventory."""
        return f"router{self.number}"

    @property
    def client(self) -> str:
        """The client's network namespace."""
        return f"{self.prefix}-c{self.number}"

    @property
    def namespace(self) -> str:
        """The router's own network namespace."""
        return f"{self.prefix}-r{self.number}"

    @property
    def server(self) -> str:
        """The server's network namespace."""
        return f"{self.prefix}-s{self.number}"

    @property
    def namespaces(self) -> tuple[str, str, str]:
        """All three namespaces."""
        return self.client, self.namespace, self.server

    @property
    def link(self) -> str:
        """The near end of the management link, in the namespace where the lab is run."""
        return f"{self.prefix}-m{self.number}"

    @property
    def gateway(self) -> str:
        """The address of the near end of the management link."""
        return str(self.block + 4 * (self.number - 1) + 1)

    @property
    def address(self) -> str:
        """The address on which the router's sshd listens."""
        return str(self.block + 4 * (self.number - 1) + 2)


def is_prefix(text: str) -> bool:
    """Return whether ``text`` can begin the names of a lab: an interface name has room for 15 characters."""
    return _PREFIX.fullmatch(text) is not None


def owned_by(prefix: str, name: str) -> bool:
    """Return whether a namespace or an interface of this ``name`` belongs to the lab ``prefix``."""
    return re.fullmatch(re.escape(prefix) + "-[crsm][0-9]+", name) is not None


def choose_block(prefix: str, used: list[ipaddress.IPv4Address]) -> ipaddress.IPv4Address:
    """Return the first management address of the lab ``prefix``: always the same, unless one of ``used`` is in the way.

    Where every block holds one of them it is the same as well, and making the links will tell.
    """
    blocks = list(MANAGEMENT.subnets(new_prefix=32 - (BLOCK_SIZE - 1).bit_length()))
    wanted = zlib.crc32(prefix.encode()) % len(blocks)
    rotated = blocks[wanted:] + blocks[:wanted]
    free = (block for block in rotated if not any(address in block for address in used))
    return next(free, rotated[0]).network_address


def creation_commands(router: Router) -> str:
    """Return the `ip -batch` lines that make the three namespaces and the links between them, and one to the router."""
    return f"""
        netns add {router.client}
        netns add {router.namespace}
        netns add {router.server}
        link add name {router.link} type veth peer name mgmt netns {router.namespace}
        link add name client netns {router.namespace} type veth peer name router netns {router.client}
        link add name server netns {router.namespace} type veth peer name router netns {router.server}
        address add {router.gateway}/30 dev {router.link}
        link set {router.link} up
    """


def address_commands(router: Router) -> dict[str, str]:
    """Return for each of the three namespaces the `ip -batch` lines for its addresses, links and routes.

    The router's fe80::1 is there at once, while its automatic addresses are checked for duplicates for two seconds, in
    which it could not ask for its neighbours.
    """
    return {
        router.namespace: f"""
            link set lo up
            address add {router.address}/30 dev mgmt
            link set mgmt up
            address add {CLIENT_GATEWAY}/24 dev client
            address add {CLIENT6_GATEWAY}/64 dev client nodad
            address add fe80::1/64 dev client nodad
            link set client up
            address add {SERVER_GATEWAY}/25 dev server
            address add {SERVER6_GATEWAY}/64 dev server nodad
            address add fe80::1/64 dev server nodad
            link set server up
            route add {SILENT} via {SERVER}
            route add {SILENT6} via {SERVER6}
        """,
        router.client: f"""
            link set lo up
            address add {CLIENT}/24 dev router
            address add {CLIENT6}/64 dev router nodad
            link set router up
            route add default via {CLIENT_GATEWAY}
            route add default via {CLIENT6_GATEWAY}
        """,
        router.server: f"""
            link set lo up
            address add {SERVER}/25 dev router
            address add {SERVER6}/64 dev router nodad
            link set router up
            route add default via {SERVER_GATEWAY}
            route add default via {SERVER6_GATEWAY}
            route add blackhole {SILENT}
            route add blackhole {SILENT6}
        """,
    }


def ruleset_variables() -> dict[str, str | int]:
    """Return the variables of the ruleset in router.nft."""
    port = {flow.name: flow.port for flow in FLOWS}
    return {
        "masqueraded_port": port["tcp-masqueraded"],
        "dnat_port": port["tcp-dnat"],
        "marked_port": port["tcp-marked"],
        "zoned_port": port["tcp-zoned"],
        "mark_value": MARK,
        "zone_number": ZONE,
        "outside": CLIENT_GATEWAY,
        "server": SERVER,
        "silent": SILENT,
        "silent6": SILENT6,
    }


def stale_source(index: int, family: socket.AddressFamily) -> tuple[str, int]:
    """Return the address and port of the stale packet number ``index``: 240 addresses, then the next port."""
    host = 10 + index % 240
    address = f"198.51.100.{host}" if family == socket.AF_INET else f"2001:db8:c::{host:x}"
    return address, 1024 + index // 240

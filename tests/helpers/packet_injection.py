# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A router in a namespace of its own, into which a test injects packets of any sender.

All packets come in on one interface and leave on another, where nobody takes them. So a test plays both ends of every
connection, and connection tracking sees real packets.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
import socket
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._netns import inside
from helpers.packets import packet
from helpers.run_records import remove_records
from helpers.support import network_namespace, run

_ETHERTYPES = {4: 0x0800, 6: 0x86DD}
_OUTSIDE_MAC, _INSIDE_MAC, _NOBODY_MAC = "02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:00:00:03"
_HEADERS = {
    version: bytes.fromhex((_INSIDE_MAC + _OUTSIDE_MAC).replace(":", "")) + kind.to_bytes(2, "big")
    for version, kind in _ETHERTYPES.items()
}

_RULES = """
table inet judge {
  chain prerouting {
    type filter hook prerouting priority 0
    ct state invalid counter
  }
}
"""

_SYSCTLS = (
    "net.ipv4.ip_forward=1",
    "net.ipv6.conf.all.forwarding=1",
    "net.ipv4.conf.all.rp_filter=0",
    "net.ipv4.conf.inside.rp_filter=0",
    "net.netfilter.nf_conntrack_checksum=0",
    "net.netfilter.nf_conntrack_acct=1",
    "net.netfilter.nf_conntrack_timestamp=1",
)


@dataclasses.dataclass(frozen=True)
class Router:
    """A router: the names of its namespace and of the one outside, and the socket that reaches it."""

    netns: str
    outside: str
    wire: socket.socket

    def send(self, source: str, destination: str, protocol: int, payload: bytes) -> None:
        """Let one packet arrive."""
        datagram = packet(source, destination, protocol, payload)
        self.wire.send(_HEADERS[datagram[0] >> 4] + datagram)

    def invalid(self) -> int:
        """Return how many packets connection tracking has called invalid."""
        listed = run(["nft", "list", "chain", "inet", "judge", "prerouting"], netns=self.netns)
        return int(t.cast("re.Match[str]", re.search(r"packets (\d+)", listed))[1])

    def set(self, **settings: int) -> None:
        """Write settings by their short names, as somebody else would."""
        for name, value in settings.items():
            run(["sysctl", "-qw", f"net.netfilter.nf_conntrack_{name}={value}"], netns=self.netns)


@contextlib.contextmanager
def injected_router(prefix: str) -> t.Iterator[Router]:
    """Yield a router with accounting and timestamps, which tracks every packet that is sent to it.

    The namespace outside has the addresses 198.51.100.2 and 2001:db8:51::2, and its default routes lead to the router.
    """
    with network_namespace(prefix, tracking=False) as netns, network_namespace(f"{prefix}-out", tracking=False) as out:
        _connect(netns, out)
        run(["nft", "-f", "-"], netns=netns, text=_RULES)
        run(["sysctl", "-qw", *_SYSCTLS], netns=netns)
        with inside(out):
            wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        with wire:
            wire.bind(("outside", 0))
            try:
                yield Router(netns, out, wire)
            finally:
                remove_records(netns)


def _connect(netns: str, out: str) -> None:
    """Join both namespaces with two links: ``inside``, on which packets come, and ``beyond``, which nobody reads."""
    for near, far in (("inside", "outside"), ("beyond", "nowhere")):
        ends = ["name", near, "netns", netns, "type", "veth", "peer", "name", far, "netns", out]
        run(["ip", "link", "add", *ends])
        for device, where, mac in ((near, netns, _INSIDE_MAC), (far, out, _OUTSIDE_MAC)):
            run(["ip", "link", "set", device, "address", mac, "addrgenmode", "none", "up"], netns=where)
    for number, device, where in ((1, "inside", netns), (2, "outside", out)):
        run(["ip", "address", "add", f"198.51.100.{number}/24", "dev", device], netns=where)
        run(["ip", "address", "add", f"2001:db8:51::{number}/64", "dev", device, "nodad"], netns=where)
    _lead(netns, "beyond", "192.0.2.1", "2001:db8:99::1", _NOBODY_MAC)
    _lead(out, "outside", "198.51.100.1", "2001:db8:51::1", _INSIDE_MAC)


def _lead(netns: str, device: str, gateway: str, gateway6: str, mac: str) -> None:
    """Give the namespace default routes through gateways whose hardware address is known."""
    for address in (gateway, gateway6):
        run(["ip", "neigh", "replace", address, "lladdr", mac, "dev", device], netns=netns)
    run(["ip", "route", "add", "default", "via", gateway, "dev", device, "onlink"], netns=netns)
    run(["ip", "-6", "route", "add", "default", "via", gateway6, "dev", device, "onlink"], netns=netns)

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A client and a server in namespaces of their own, and a router with NAT between them."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import socket
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._netns import inside
from helpers.support import network_namespace, run

# A port that is chosen by chance is not chosen again.
_RULES = """
table inet gate {
  chain forward {
    type filter hook forward priority 0; policy accept
    ct state invalid counter drop
  }
  chain incoming {
    type nat hook prerouting priority -100
    iifname "outside" ip daddr 203.0.113.1 tcp dport 8080 dnat ip to 10.0.0.2:9090
  }
  chain outgoing {
    type nat hook postrouting priority 100
    oifname "outside" ip daddr 203.0.113.0/24 masquerade fully-random
  }
}
"""
_LINKS = {"inside": ("10.0.0.1", "10.0.0.2"), "outside": ("203.0.113.1", "203.0.113.2")}


@dataclasses.dataclass(frozen=True)
class Path:
    """A router, and the namespaces of a client behind it and of a server in front of it.

    The client is 10.0.0.2 and the server 203.0.113.2. Port 8080 of the router's 203.0.113.1 is port 9090 of the client.
    """

    router: str
    client: str
    server: str

    def tuples(self, *selected: str) -> list[str]:
        """Return both tuples of the router's entries."""
        listed = run(["conntrack", "-L", "-o", "extended", *selected], netns=self.router)
        return sorted(re.sub(r"^.*? src=|\[.*?\] |packets=\d+ bytes=\d+ ", "", line) for line in listed.splitlines())

    def invalid(self) -> int:
        """Return how many packets were invalid."""
        listed = run(["nft", "list", "chain", "inet", "gate", "forward"], netns=self.router)
        return int(t.cast("re.Match[str]", re.search(r"packets (\d+)", listed))[1])


@contextlib.contextmanager
def nat_path() -> t.Iterator[Path]:
    """Yield a router that forwards between a client and a server."""
    with contextlib.ExitStack() as stack:
        router, client, server = (stack.enter_context(network_namespace("flow", tracking=False)) for _end in range(3))
        for (link, (near, far)), peer in zip(_LINKS.items(), (client, server)):
            run(["ip", "link", "add", link, "type", "veth", "peer", "name", "peer", "netns", peer], netns=router)
            run(["ip", "address", "add", f"{near}/24", "dev", link], netns=router)
            run(["ip", "link", "set", link, "up"], netns=router)
            run(["ip", "address", "add", f"{far}/24", "dev", "peer"], netns=peer)
            run(["ip", "link", "set", "peer", "up"], netns=peer)
            run(["ip", "route", "add", "default", "via", near], netns=peer)
        run(["sysctl", "-qw", "net.ipv4.ip_forward=1"], netns=router)
        run(["nft", "-f", "-"], netns=router, text=_RULES)
        yield Path(router, client, server)


def opened(netns: str, kind: socket.SocketKind) -> socket.socket:
    """Return a socket of IPv4 in the namespace."""
    with inside(netns):
        made = socket.socket(socket.AF_INET, kind)
    made.settimeout(30)
    return made


def listening(netns: str, port: int) -> socket.socket:
    """Return a socket that waits for connections of TCP."""
    listener = opened(netns, socket.SOCK_STREAM)
    listener.bind(("0.0.0.0", port))
    listener.listen()
    return listener

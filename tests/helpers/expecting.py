# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Makes the kernel expect connections, by real packets that its helpers read, and lists them with conntrack(8)."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import sys
import typing as t
from xml.etree import ElementTree

from helpers.support import network_namespace, run

RULES = """
table inet helpers {
  ct helper ftp { type "ftp" protocol tcp; }
  ct helper irc { type "irc" protocol tcp; }
  ct helper tftp { type "tftp" protocol udp; l3proto ip; }
  ct helper tftp6 { type "tftp" protocol udp; l3proto ip6; }
  ct expectation by_rule { protocol tcp; dport 9999; timeout 2m; size 10; l3proto ip; }
  chain zones {
    type filter hook output priority raw
    udp dport 7000-7099 ct zone set 7
    udp dport 7100 ct original zone set 9
  }
  chain helpers {
    type filter hook output priority -100
    tcp dport 21 ct helper set "ftp"
    tcp dport 6667 ct helper set "irc"
    meta nfproto ipv4 udp dport { 69, 7000-7100 } ct helper set "tftp"
    meta nfproto ipv6 udp dport { 69, 7000-7100 } ct helper set "tftp6"
    udp dport 7777 ct expectation set "by_rule"
  }
}
table ip nat {
  chain output {
    type nat hook output priority -100
    ip daddr 127.0.0.77 dnat to 127.0.0.78
  }
}
"""
"""A router that runs its own clients. By destination port: the helper, and the zone."""

LOOPBACK = {4: "127.0.0.2", 6: "::1"}
_REQUEST = """
import json, socket, sys
for source, source_port, destination, port in json.loads(sys.argv[1]):
    family = socket.AF_INET6 if ":" in destination else socket.AF_INET
    client = socket.socket(family, socket.SOCK_DGRAM)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    client.bind((source, source_port))
    client.sendto(b"\\0\\1file\\0octet\\0", (destination, port))
    client.close()
"""
_CONNECT = """
import socket, sys
port, *lines = sys.argv[1:]
listener = socket.create_server(("127.0.0.2", int(port)))
client = socket.create_connection(("127.0.0.2", int(port)), source_address=("127.0.0.1", 0))
server, _address = listener.accept()
for line in ("NOOP", *lines):
    client.sendall(line.encode() + b"\\r\\n")
    server.recv(1000)
    server.sendall(b"200\\r\\n")
    client.recv(1000)
print(client.getsockname()[1])
"""


class Request(t.NamedTuple):
    """A request of a TFTP client, which expects an answer from another port than the one it asked."""

    source: str = "127.0.0.1"
    source_port: int = 0
    destination: str = LOOPBACK[4]
    port: int = 69


@contextlib.contextmanager
def expecting() -> t.Iterator[str]:
    """Make a namespace with the rules, in which nothing is expected yet."""
    with network_namespace("expect", tracking=False) as name:
        run(["nft", "-f", "-"], netns=name, text=RULES)
        # With an entry that ends, what it expects ends.
        run(["sysctl", "-qw", "net.netfilter.nf_conntrack_udp_timeout=600"], netns=name)
        yield name


def send(netns: str, *requests: Request) -> None:
    """Send the requests of TFTP clients."""
    run([sys.executable, "-c", _REQUEST, json.dumps(requests)], netns=netns)


def connect(netns: str, port: int, *lines: str) -> int:
    """Send lines over a new TCP connection from 127.0.0.1 to 127.0.0.2, and return the port of the client."""
    return int(run([sys.executable, "-c", _CONNECT, str(port), *lines], netns=netns))


def announce_ftp(netns: str, data_port: int) -> int:
    """Let a client of FTP announce a data connection, and return the port of its own connection."""
    return connect(netns, 21, f"PORT 127,0,0,1,{data_port >> 8},{data_port & 255}")


def announce_dcc(netns: str, *ports: int) -> int:
    """Let a client of IRC offer a file at each of the ports, all over one connection, and return its port."""
    address = int(ipaddress.IPv4Address("127.0.0.1"))
    return connect(netns, 6667, *(f"PRIVMSG bob :\1DCC SEND file {address} {port}\1" for port in ports))


def listed(netns: str) -> list[dict[str, t.Any]]:
    """Return what ``conntrack -L expect`` lists of both families, as its XML has it, with the names of our results."""
    found = []
    for family in ("ipv4", "ipv6"):
        xml = run(["conntrack", "-L", "expect", "-f", family, "-o", "xml"], netns=netns)
        flows = ElementTree.fromstring(xml).findall("flow") if xml.strip() else []
        found += [{"family": family, **_of_flow(flow)} for flow in flows]
    return found


def _of_flow(flow: ElementTree.Element) -> dict[str, t.Any]:
    meta = flow.find("meta")
    assert meta is not None
    return {
        "helper": meta.findtext("helper-name"),
        "class": int(meta.findtext("class") or 0),
        "expected": {"protocol": _protocol(flow), **_ends(flow, "expected")},
        "mask": _ends(flow, "mask"),
        "master": _ends(flow, "master"),
    }


def _protocol(flow: ElementTree.Element) -> str | None:
    layer4 = flow.find("layer4")
    return None if layer4 is None else layer4.get("protoname")


def _ends(flow: ElementTree.Element, tag: str) -> dict[str, t.Any]:
    return {
        "source": flow.findtext(f"layer3/{tag}/src"),
        "destination": flow.findtext(f"layer3/{tag}/dst"),
        "source_port": int(flow.findtext(f"layer4/{tag}/sport") or 0),
        "destination_port": int(flow.findtext(f"layer4/{tag}/dport") or 0),
    }

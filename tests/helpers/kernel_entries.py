# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every kind of entry in one table: made by conntrack(8), and by real packets that rules mark, translate and so on."""

from __future__ import annotations

import re
import socket
import struct
import time

from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._netns import inside
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.sysctl import read_settings
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block
from ansible_collections.netops.conntrack.plugins.module_utils._table.table import Table
from helpers.encoded_messages import NLMSG_DONE, message
from helpers.support import PATIENCE, run

# linux/netlink.h, linux/netfilter/nfnetlink_conntrack.h
NLM_F_REQUEST, NLM_F_DUMP = 0x001, 0x300
CT_GET = 0x101

V4 = "-s 198.18.0.1 -d 198.18.0.2 -t 1000"
V6 = "-s 2001:db8::1 -d 2001:db8::2 -t 1000"

MADE = (
    f"tcp {V4} --sport 1 --dport 2 --state ESTABLISHED -u ASSURED,SEEN_REPLY -m 16 -w 5",
    f"tcp {V4} --sport 1 --dport 2 --state SYN_SENT --orig-zone 7",
    f"tcp {V4} --sport 1 --dport 3 --state SYN_SENT --reply-zone 8",
    f"tcp {V4} --sport 1 --dport 4 --state TIME_WAIT -u FIXED_TIMEOUT",
    f"tcp {V6} --sport 1 --dport 2 --state CLOSE_WAIT -u SEEN_REPLY -m 4294967295",
    f"udp {V4} --sport 1 --dport 2 --src-nat 203.0.113.1:99",
    f"udp {V4} --sport 1 --dport 3 --dst-nat 203.0.113.1:99 -u SEEN_REPLY",
    f"udp {V6} --sport 65535 --dport 0 -w 65535",
    f"udplite {V4} --sport 1 --dport 2",
    f"icmp {V4} --icmp-type 8 --icmp-code 0 --icmp-id 77",
    f"icmp {V4} --icmp-type 13 --icmp-code 0 --icmp-id 65535",
    f"icmpv6 {V6} --icmpv6-type 128 --icmpv6-code 0 --icmpv6-id 77",
    f"sctp {V4} --sport 1 --dport 2 --state ESTABLISHED --orig-vtag 1 --reply-vtag 2",
    f"sctp {V6} --sport 1 --dport 2 --state SHUTDOWN_ACK_SENT --orig-vtag 1 --reply-vtag 2",
    f"gre {V4} --srckey 1 --dstkey 0x2ab",
    f"dccp {V4} --sport 1 --dport 2 --state REQUEST --role client",
    f"99 {V4}",
    f"99 {V6}",
)
"""Entries as ``conntrack -I -p`` makes them."""

RULES = """
table inet marks {
  ct helper ftp21 { type "ftp" protocol tcp; }
  set kept { type inet_service; elements = { 2121, 2122, 2123, 8080 }; }
  chain early {
    type filter hook output priority -300;
    tcp dport @kept tcp flags & (fin | rst) != 0 drop
    tcp sport @kept tcp flags & (fin | rst) != 0 drop
    tcp dport 8080 tcp flags syn notrack
    udp dport 1001 ct original zone set 9
    udp dport 1002 ct zone set 10
  }
  chain late {
    type filter hook output priority 0;
    udp dport 1003 ct mark set 0x1234
    udp dport 1004 ct label set 5
    udp dport 1005 ct label set 127
    tcp dport { 2121, 2122 } ct helper set "ftp21"
    tcp dport 2122 ct label set 64
  }
  chain arriving {
    type filter hook input priority 0;
    tcp dport 8080 ct state invalid,untracked synproxy mss 1460 wscale 7 timestamp sack-perm;
  }
  chain redirected {
    type nat hook output priority -100
    meta nfproto ipv4 udp dport 1006 dnat ip to 127.0.0.1:1007
  }
  chain translated {
    type nat hook postrouting priority 100
    udp dport 1008 snat ip to 127.0.0.9
    tcp dport 2122 snat ip to 127.0.0.100
  }
}
"""

TRAFFIC = """
import socket

def connected(port):
    server = socket.create_server(("127.0.0.1", port))
    client = socket.create_connection(("127.0.0.1", port))
    client.sendall(b"hello\\r\\n")
    accepted = server.accept()[0]
    accepted.recv(99)
    accepted.sendall(b"world\\r\\n")
    client.recv(99)
    return client, accepted

udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
six = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
for port in range(1001, 1009):
    for sock, address in ((udp, "127.0.0.1"), (six, "::1")):
        try:
            sock.sendto(b"x" * port, (address, port))
        except OSError:
            pass
plain = connected(2121)
proxied = connected(8080)
# The translated address is longer than the one that the client names, so that the sequence is adjusted.
client, accepted = connected(2122)
data = socket.create_server(("127.0.0.1", 2123))
client.sendall(b"PORT 127,0,0,1,8,75\\r\\n")
assert accepted.recv(99) == b"PORT 127,0,0,100,8,75\\r\\n"
expected = socket.create_connection(("127.0.0.100", 2123))
echo = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
echo.sendto(bytes.fromhex("0800f7fd00010001"), ("127.0.0.1", 0))
echo = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
echo.sendto(bytes.fromhex("8000000000010001"), ("::1", 0))
"""

ACCOUNTING = ("net.netfilter.nf_conntrack_acct=1", "net.netfilter.nf_conntrack_timestamp=1")

# The half minute of the kernel is less than the tests of a whole file may take.
LASTING = tuple(f"net.netfilter.nf_conntrack_{name}=1000" for name in ("udp_timeout", "icmp_timeout", "icmpv6_timeout"))


# With these names the tool prints the number of each label.
_WITH_LABELS = """
mount -t tmpfs none /etc && mkdir /etc/xtables && cat >/etc/xtables/connlabel.conf && exec "$@"
"""
_LABELS = "".join(f"{number} {number}\n" for number in range(128))


def fill(netns: str) -> None:
    """Put every kind of entry into the table, made by the tool and by real packets."""
    # As with every synproxy: what comes without a handshake is none of a connection's.
    run(["sysctl", "-qw", "net.netfilter.nf_conntrack_tcp_loose=0"], netns=netns)
    run(["nft", "-f", "-"], netns=netns, text=RULES)
    for arguments in MADE:
        run(["conntrack", "-I", "-p", *arguments.split()], netns=netns)
    run(["python3", "-c", TRAFFIC], netns=netns)


def shown(netns: str, output: str, *selected: str, labels: str = _LABELS) -> str:
    """Return what conntrack(8) lists in the format ``output``; ``selected`` are its options.

    ``labels`` is the file of the names of labels.
    """
    listing = ["conntrack", "-L", "-o", output, *selected]
    return run(["unshare", "-m", "sh", "-c", _WITH_LABELS, "sh", *listing], netns=netns, text=labels)


def settable(netns: str) -> list[str]:
    """Return what the tool shows, without what no new entry can be given, and without the seconds that pass."""
    text = re.sub(r"packets=\d+ bytes=\d+ | use=\d+|delta-time=\d+ ", "", shown(netns, "extended,labels"))
    return sorted(re.sub(r"^(\S+ +\d+ \S+ +\d+) \d+", r"\1", line) for line in text.splitlines())


def read_beside(netns: str, output: str) -> tuple[list[Block], Context, str]:
    """Read the table between two listings of the tool that agree, so that no second has passed; give all three."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        before = shown(netns, output)
        with inside(netns), Table() as table:
            context = Context.read(read_settings())
            blocks = table.read(list)
        if shown(netns, output) == before:
            return blocks, context, before
    raise AssertionError("the table did not hold still")


def captured(netns: str) -> list[bytes]:
    """Return the messages of one real dump, each by itself, over a socket of our own."""
    with inside(netns), socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12) as sock:
        sock.settimeout(5)
        sock.bind((0, 0))
        sock.send(message(CT_GET, bytes(4), flags=NLM_F_REQUEST | NLM_F_DUMP))
        found: list[bytes] = []
        while True:
            datagram = sock.recv(65536)
            while datagram:
                size, kind = struct.unpack_from("=IH", datagram)
                if kind == NLMSG_DONE:
                    return found
                found.append(datagram[:size])
                datagram = datagram[size:]

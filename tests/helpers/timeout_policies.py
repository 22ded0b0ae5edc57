# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Timeout policies of nf_tables, also for protocols for which nft(8) cannot write one.

The attributes are those of linux/netfilter/nf_tables.h and linux/netfilter/nfnetlink_cttimeout.h.
"""

from __future__ import annotations

import itertools
import socket
import struct
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._netns import inside
from helpers.encoded_messages import attribute, nested
from helpers.support import run

TABLE = "policies"

_NFNL_SUBSYS_NFTABLES, _NFT_MSG_NEWOBJ = 10, 18
_NFNL_MSG_BATCH_BEGIN, _NFNL_MSG_BATCH_END = 16, 17
_NLM_F_REQUEST, _NLM_F_ACK, _NLM_F_CREATE = 1, 4, 0x400
_NFPROTO_INET = 1
_NFT_OBJECT_CT_TIMEOUT = 7
_NLMSG_ERROR, _NETLINK_NETFILTER = 2, 12

_FAMILIES = {"ipv4": socket.AF_INET, "ipv6": socket.AF_INET6}


class Policy(t.NamedTuple):
    """A policy: for which family and protocol it is, and the seconds by the kernel's numbers of the states."""

    family: str
    protocol: int
    seconds: t.Mapping[int, int]


def _states(*seconds: int) -> dict[int, int]:
    """Return the seconds of the states 1, 2, and so on."""
    return dict(enumerate(seconds, start=1))


POLICIES = (
    # syn_sent, syn_recv, established, fin_wait, close_wait, last_ack, time_wait, close, syn_sent2, retrans, unack
    Policy("ipv4", socket.IPPROTO_TCP, _states(70, 55, 7200, 65, 75, 45, 85, 35, 95, 500, 400)),
    Policy("ipv6", socket.IPPROTO_TCP, _states(200, 90, 200_000, 180, 170, 160, 190, 50, 210, 50_000, 40_000)),
    # unreplied, replied
    Policy("ipv4", socket.IPPROTO_UDP, _states(60, 3600)),
    Policy("ipv6", socket.IPPROTO_UDP, _states(100, 75)),
    Policy("ipv4", 136, _states(45, 90)),
    Policy("ipv6", 136, _states(200, 1000)),
    Policy("ipv4", 47, _states(50, 400)),
    Policy("ipv6", 47, _states(300, 900)),
    Policy("ipv4", socket.IPPROTO_ICMP, _states(77)),
    Policy("ipv6", 58, _states(120)),
    # closed, cookie_wait, cookie_echoed, established, shutdown_sent, shutdown_recd, shutdown_ack_sent, heartbeat_sent
    Policy("ipv4", 132, _states(60, 61, 62, 500, 63, 64, 65, 66)),
    Policy("ipv6", 132, _states(90, 91, 92, 150, 93, 94, 95, 96)),
)


def give_policies(netns: str, policies: t.Iterable[Policy], destinations: t.Mapping[str, str]) -> None:
    """Have new connections to ``destinations``, an address by family, take the timeouts of ``policies``."""
    wanted = list(policies)
    run(["nft", "add", "table", "inet", TABLE], netns=netns)
    run(["nft", "add chain inet policies given { type filter hook prerouting priority -150; }"], netns=netns)
    with inside(netns):
        for policy in wanted:
            _add(_name(policy), policy)
    for policy in wanted:
        address = f"{'ip' if policy.family == 'ipv4' else 'ip6'} daddr {destinations[policy.family]}"
        rule = f"{address} meta l4proto {policy.protocol} ct timeout set {_name(policy)}"
        run(["nft", "add", "rule", "inet", TABLE, "given", *rule.split()], netns=netns)


def _name(policy: Policy) -> str:
    return f"{policy.family}_{policy.protocol}"


def _add(name: str, policy: Policy) -> None:
    """Add the object to the table. Raises OSError where the kernel refuses it."""
    data = nested(
        4,
        attribute(1, struct.pack("!H", _FAMILIES[policy.family])),
        attribute(2, bytes([policy.protocol])),
        nested(3, *(attribute(state, struct.pack("!I", seconds)) for state, seconds in policy.seconds.items())),
    )
    body = attribute(1, f"{TABLE}\0".encode()) + attribute(2, f"{name}\0".encode())
    body += attribute(3, struct.pack("!I", _NFT_OBJECT_CT_TIMEOUT)) + data
    numbers = itertools.count(1)

    def message(kind: int, flags: int, family: int, resource: int, payload: bytes) -> bytes:
        whole = struct.pack("!BBH", family, 0, resource) + payload
        return struct.pack("=IHHII", 16 + len(whole), kind, _NLM_F_REQUEST | flags, next(numbers), 0) + whole

    batch = message(_NFNL_MSG_BATCH_BEGIN, 0, 0, _NFNL_SUBSYS_NFTABLES, b"")
    kind = _NFNL_SUBSYS_NFTABLES << 8 | _NFT_MSG_NEWOBJ
    batch += message(kind, _NLM_F_ACK | _NLM_F_CREATE, _NFPROTO_INET, 0, body)
    batch += message(_NFNL_MSG_BATCH_END, 0, 0, _NFNL_SUBSYS_NFTABLES, b"")
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER) as sock:
        sock.settimeout(5)
        sock.bind((0, 0))
        sock.send(batch)
        answer = sock.recv(65536)
    kind, number = struct.unpack_from("=4xH10xi", answer)
    if kind != _NLMSG_ERROR or number:
        raise OSError(-number, f"the policy {name} was refused")

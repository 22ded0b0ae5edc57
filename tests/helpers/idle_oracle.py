# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How long an entry has been idle, and how old it is, as docs/idle.md says it: the plainest reading, for the oracle."""

from __future__ import annotations

import typing as t

from helpers.conntrack_tool import Entry

TCP, UDP, GRE, SCTP, UDPLITE = 6, 17, 47, 132, 136
_NANOSECONDS = 1_000_000_000

CAPS = ("tcp_timeout_unacknowledged", "tcp_timeout_max_retrans")
"""What TCP gives an entry instead of the timeout of its state, where that is longer."""

RESET = "tcp_timeout_close"
"""What a reset inside the window gives it, whatever its state gives (tcp_packet())."""

FIXED = {"tcp_timeout_syn_sent2": 120}
"""The timeout without a sysctl (tcp_timeouts[] in net/netfilter/nf_conntrack_proto_tcp.c)."""

OF_FIRST_PACKETS = {(TCP, "SYN_SENT"), (TCP, "SYN_RECV"), (SCTP, "CLOSED")}
"""Where the kernel does not renew the timeout for a packet that was sent again."""

HELPERS_WITH_TIMEOUTS = ("sip", "RAS", "amanda", "netbios-ns", "snmp")


class Moment(t.NamedTuple):
    """When the table was read: seconds since the epoch, the sysctls by short name, and the uptime in seconds."""

    now: float
    settings: t.Mapping[str, int]
    uptime: float


def timeouts_of(entry: Entry, settings: t.Mapping[str, int]) -> list[int]:
    """Return every timeout that the entry may have got at its last packet, without policies and flow tables."""
    known = {**FIXED, **settings}
    protocol, state = entry["protocol"], (entry["state"] or "").lower()
    names = {
        1: ["icmp_timeout"],
        58: ["icmpv6_timeout"],
        TCP: [f"tcp_timeout_{state}"],
        SCTP: [f"sctp_timeout_{state}"],
        UDP: ["udp_timeout", "udp_timeout_stream"],
        UDPLITE: ["udp_timeout", "udp_timeout_stream"],
        GRE: ["gre_timeout", "gre_timeout_stream"],
    }.get(protocol, ["generic_timeout"])
    if not entry["replied"]:
        names = names[:1]
    own = [known[name] for name in names if name in known]
    if protocol == TCP and own:
        own += [known[RESET], *(min(known[cap], own[0]) for cap in CAPS)]
    return own


def idle(entry: Entry, moment: Moment) -> int | None:
    """Return the whole seconds since the last packet, at the least. None where nobody knows."""
    remaining = entry["remaining"]
    if remaining is None or entry["fixed_timeout"] or entry["helper"] in HELPERS_WITH_TIMEOUTS:
        return None
    explaining = [timeout for timeout in timeouts_of(entry, moment.settings) if timeout >= remaining]
    if not explaining:
        return None
    if (entry["protocol"], entry["state"]) in OF_FIRST_PACKETS:
        return 0
    # What remains is cut to whole seconds, so that the entry may have almost one more.
    seconds: int = max(0, min(explaining) - remaining - 1)
    since_start = age(entry, moment)
    return min(seconds, int(moment.uptime), seconds if since_start is None else since_start)


def age(entry: Entry, moment: Moment) -> int | None:
    """Return the whole seconds since the entry was made, None if it has no timestamp."""
    if entry["start"] is None:
        return None
    seconds = int(moment.now - entry["start"] / _NANOSECONDS)
    return seconds if 0 <= seconds <= moment.uptime else None

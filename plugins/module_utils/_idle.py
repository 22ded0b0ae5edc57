# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The timeouts of an entry, and how long it has been without a packet: the one in force, minus what remains of it."""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._entry import Entry

# nf_conntrack_tcp.h, IP_CT_TCP_FLAG_DATA_UNACKNOWLEDGED; the others act without a trace in a dump.
_CAPS = ("tcp_timeout_unacknowledged", "tcp_timeout_max_retrans")

_STATE_TIMEOUTS = {
    _uapi.TCP: {"SYN_SENT2": "tcp_timeout_syn_sent"},
    _uapi.DCCP: {},
    _uapi.SCTP: {},
}

_PLAIN_TIMEOUTS: dict[int, tuple[str, str]] = {
    _uapi.UDP: ("udp_timeout", "udp_timeout_stream"),
    _uapi.UDPLITE: ("udp_timeout", "udp_timeout_stream"),
    _uapi.GRE: ("gre_timeout", "gre_timeout_stream"),
}
"""Of protocols without states: the timeout before a reply, and after it one of both (a stream, once it has lasted)."""


NEEDS = frozenset({"protocol", "state", "status", "remaining"})
"""The fields of an entry that ``idle`` reads."""


def idle(entry: Entry, settings: t.Mapping[str, int]) -> int | None:
    """Give for how many seconds the entry has seen no packet, at the least; None where that cannot be known.

    The kernel does not say which timeout it chose: TCP's is also capped while data is unacknowledged, and UDP's
    depends on whether it is a stream (tcp_packet() and udp_packet() in net/netfilter/nf_conntrack_proto_*.c). Of those
    that may be in force the shortest one that explains what remains is taken, so that an entry is never held to be
    idle for longer than it is. If none does (the sysctl was lowered, or the entry has a timeout of its own), it is
    not known. ``settings`` are the sysctls by short name.
    """
    remaining = entry.remaining
    if remaining is None or (entry.status or 0) & _uapi.FIXED_TIMEOUT:
        return None
    explaining = [timeout for timeout in _possible(entry, settings) if timeout >= remaining]
    return min(explaining) - remaining if explaining else None


def idle_changes(bounds: t.Iterable[int], settings: t.Mapping[str, int]) -> set[int]:
    """Give all remaining times at which the time idle may pass one of the bounds, whichever timeout is in force.

    Being idle for ``bound`` seconds is to have at most ``timeout - bound`` left. With the bound 0, the times are among
    them at which another timeout explains what remains.
    """
    timeouts = [value for name, value in settings.items() if "timeout" in name]
    return {timeout - bound + 1 for timeout in timeouts for bound in bounds}


def longest_timeout(entry: Entry, settings: t.Mapping[str, int]) -> int | None:
    """Give the most seconds that the sysctls let the entry be idle for; None where none is known for it.

    That is the longest timeout of its protocol and state, without TCP's caps, which are in force at times only.
    """
    return max(_own(entry, settings), default=None)


def _possible(entry: Entry, settings: t.Mapping[str, int]) -> list[int]:
    """Give the timeouts that may be in force for the entry; a cap only counts where it shortens TCP's own."""
    own = _own(entry, settings)
    if entry.protocol != _uapi.TCP:
        return own
    return own + [settings[cap] for cap in _CAPS if own and settings.get(cap, own[0]) < own[0]]


def _own(entry: Entry, settings: t.Mapping[str, int]) -> list[int]:
    return [settings[name] for name in _names(entry) if name in settings]


def _names(entry: Entry) -> tuple[str, ...]:
    if entry.protocol in _STATE_TIMEOUTS:
        state = entry.state_name
        if state is None:
            return ()
        own = _STATE_TIMEOUTS[entry.protocol].get(state)
        return (own or f"{entry.protocol_name}_timeout_{state.lower()}",)
    if entry.protocol in _PLAIN_TIMEOUTS:
        replied = bool((entry.status or 0) & _uapi.SEEN_REPLY)
        return _PLAIN_TIMEOUTS[entry.protocol] if replied else _PLAIN_TIMEOUTS[entry.protocol][:1]
    if entry.protocol in _uapi.ICMP_PROTOCOLS:
        return (f"{entry.protocol_name}_timeout",)
    return ("generic_timeout",)

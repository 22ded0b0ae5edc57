# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Entries that hypothesis makes up: every protocol, with and without each field, on the edges of what is counted."""

from __future__ import annotations

import typing as t

from hypothesis import strategies as st

SETTINGS = {
    "tcp_timeout_established": 432000,
    "tcp_timeout_syn_sent": 120,
    "tcp_timeout_time_wait": 125,
    "tcp_timeout_close_wait": 60,
    "tcp_timeout_unacknowledged": 300,
    "tcp_timeout_max_retrans": 310,
    "sctp_timeout_established": 210,
    "sctp_timeout_closed": 10,
    "dccp_timeout_open": 43200,
    "udp_timeout": 30,
    "udp_timeout_stream": 180,
    "gre_timeout": 31,
    "gre_timeout_stream": 181,
    "icmp_timeout": 32,
    "icmpv6_timeout": 33,
    "generic_timeout": 600,
    "acct": 1,
    "max": 0,
}
"""Sysctls by their short names; timeouts on no round numbers."""

SECOND = 1_000_000_000
NOW = 1_700_000_000 * SECOND

_BOUNDS = (0, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 54000, 86400, 172800, 345600, 432000)
_TIMEOUTS = [value for name, value in SETTINGS.items() if "timeout" in name]
_EDGES = sorted(
    {
        edge + off
        for timeout in (0, *_TIMEOUTS)
        for bound in _BOUNDS
        for edge in (bound, timeout, timeout - bound)
        for off in (-1, 0, 1)
        if edge + off >= 0
    }
)

TCP, UDP, DCCP, GRE, SCTP, UDPLITE = 6, 17, 33, 47, 132, 136
_STATES = {TCP: 11, SCTP: 10, DCCP: 11}
_WITH_PORTS = (TCP, UDP, DCCP, GRE, SCTP, UDPLITE)
_ICMP = (1, 58)

_FOUR = st.sampled_from([bytes([198, 18, 0, number]) for number in range(5)]) | st.binary(min_size=4, max_size=4)
_SIX = st.sampled_from([bytes([0x20, 1, 0xD, 0xB8, *bytes(11), number]) for number in range(3)]) | st.binary(
    min_size=16, max_size=16
)
_PORT = st.sampled_from([0, 53, 80, 443, 65535]) | st.integers(0, 0xFFFF)
_BYTE = st.integers(0, 0xFF)
_WORD = st.integers(0, 0xFFFFFFFF)
_COUNTER = st.integers(0, 3) | st.integers(0, (1 << 64) - 1)
_ZONE = st.sampled_from([1, 2, 65535])
_ZONE_FIELDS = ("zone", "zone_original", "zone_reply")
_OWN: dict[int, dict[str, st.SearchStrategy[t.Any]]] = {
    SCTP: {"vtag_original": _WORD, "vtag_reply": _WORD},
    DCCP: {"dccp_role": st.integers(0, 1)},
}
_TEXT = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF), min_size=1, max_size=15)

_ALWAYS_POSSIBLE: dict[str, st.SearchStrategy[t.Any]] = {
    "status": st.sampled_from([0, 0x2, 0xA, 0xE, 0x18E]) | st.integers(0, 0xFFFF),
    "remaining": st.sampled_from(_EDGES) | _WORD,
    "mark": st.sampled_from([0, 1, 0x10, 0xFFFFFFFF]) | _WORD,
    "packets_original": _COUNTER,
    "packets_reply": _COUNTER,
    "bytes_original": _COUNTER,
    "bytes_reply": _COUNTER,
    "start": st.sampled_from([NOW + off for off in (-3600 * SECOND, -1, 0, 1, SECOND)]) | st.integers(0, 2**64 - 1),
    "labels": st.binary(min_size=16, max_size=16),
    "helper": _TEXT,
    "secctx": _TEXT,
    "use": _WORD,
    "id": _WORD,
}


@st.composite
def fields(draw: st.DrawFn) -> dict[str, t.Any]:
    """Draw the fields of an entry, as messages.entry_message takes them."""
    protocol = draw(st.sampled_from([*_WITH_PORTS, *_ICMP, TCP, UDP]) | _BYTE)
    address = draw(st.sampled_from([_FOUR, _SIX]))
    required: dict[str, st.SearchStrategy[t.Any]] = {"source": address, "destination": address}
    optional = dict(_ALWAYS_POSSIBLE)
    for prefix in ("", "reply_"):
        if protocol in _WITH_PORTS:
            required |= {f"{prefix}source_port": _PORT, f"{prefix}destination_port": _PORT}
        if protocol in _ICMP:
            optional |= {f"{prefix}icmp_type": _BYTE, f"{prefix}icmp_code": _BYTE, f"{prefix}icmp_id": _PORT}
    if protocol in _STATES:
        optional["state"] = st.integers(0, _STATES[protocol])
    optional |= _OWN.get(protocol, {})
    optional |= {"reply_source": address, "reply_destination": address}
    zone = draw(st.fixed_dictionaries({}, optional={draw(st.sampled_from(_ZONE_FIELDS)): _ZONE}))
    return {"protocol": protocol, **zone, **draw(st.fixed_dictionaries(required, optional=optional))}

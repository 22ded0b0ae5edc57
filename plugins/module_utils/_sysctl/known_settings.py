# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The settings that kernels have or had, for the cases in which the kernel at hand cannot be asked, or lacks one.

What a kernel takes is never decided here: the kernel itself is asked. These names only tell a setting of other kernels
from a misspelt one.
"""

from __future__ import annotations

import difflib
import typing as t

_TIMEOUTS = {
    "dccp": "closereq closing open partopen request respond timewait",
    "sctp": (
        "closed cookie_echoed cookie_wait established heartbeat_acked heartbeat_sent shutdown_ack_sent shutdown_recd "
        "shutdown_sent"
    ),
    "tcp": ("close close_wait established fin_wait last_ack max_retrans syn_recv syn_sent time_wait unacknowledged"),
}

_OTHERS = (
    "acct buckets checksum dccp_loose events events_retry_timeout expect_max flowtable_tcp_pickup "
    "flowtable_tcp_timeout flowtable_udp_pickup flowtable_udp_timeout frag6_high_thresh frag6_low_thresh "
    "frag6_timeout generic_timeout gre_timeout gre_timeout_stream helper icmp_timeout icmpv6_timeout log_invalid max "
    "tcp_be_liberal tcp_ignore_invalid_rst tcp_loose tcp_max_retrans tcp_no_window_check timestamp udp_timeout "
    "udp_timeout_stream udplite_timeout udplite_timeout_stream"
)

KNOWN = frozenset(_OTHERS.split()).union(
    f"{protocol}_timeout_{state}" for protocol, states in _TIMEOUTS.items() for state in states.split()
)
"""By short name, from 2.6 to 6.18 (nf_conntrack_standalone.c, nf_conntrack_proto_*.c, nf_conntrack_reasm.c)."""


def nearest(name: str, names: t.Iterable[str]) -> list[str]:
    """Return those of ``names`` that ``name`` may have been meant to be, the closest one first."""
    return difflib.get_close_matches(name, sorted(names))


def todays_name(short_name: str) -> str:
    """Return the full name that today's kernels have for a setting."""
    prefix = "nf_" if short_name.startswith("flowtable_") else "nf_conntrack_"
    return f"net.netfilter.{prefix}{short_name}"

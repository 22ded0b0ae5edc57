# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The selectors that have a name: what operators mean by stale, idle, half-open and so on, right on every kernel."""

from __future__ import annotations

import difflib
import re
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError

Selector = dict[str, t.Any]


class NamedSelector(t.NamedTuple):
    """A selection with a name: which entries it means, which kernels have them, and what deleting them risks."""

    meaning: str
    kernels: str
    risk: str
    match: list[Selector]
    exclude: list[Selector]


def _lone_ack(family: str, header: int) -> Selector:
    """Return the selector of entries that saw a single TCP segment without data, and nothing back.

    Keepalives of Windows carry one byte. The options are time stamps (12 bytes) and a block of SACK (12 bytes).
    """
    return {
        "family": family,
        "protocol": "tcp",
        "state": "ESTABLISHED",
        "replied": False,
        "packets_original": {"min": 1, "max": 1},
        "bytes_original": {"min": header, "max": header + 24},
    }


NAMED_SELECTORS: dict[str, NamedSelector] = {
    "stale": NamedSelector(
        "TCP, ESTABLISHED, a single bare ACK or keepalive (40 to 64 bytes over IPv4, 60 to 84 over IPv6), never an "
        "answer: what is left of dead connections after a reboot, a fail-over or a flush.",
        "All, with accounting. Since 3.12 such an entry lives for tcp_timeout_unacknowledged (300 s), before that for "
        "tcp_timeout_established (5 days).",
        "With asymmetric routing, a live connection looks so until its second packet.",
        [_lone_ack("ipv4", 40), _lone_ack("ipv6", 60)],
        [],
    ),
    "one_way": NamedSelector(
        "TCP, ESTABLISHED, two packets or more, never an answer.",
        "All, with accounting.",
        "These are mostly live connections whose answers take another way (asymmetric routing). Deleting them cuts "
        "those that are translated, and all of them where tcp_loose is 0.",
        [{"protocol": "tcp", "state": "ESTABLISHED", "replied": False, "packets_original": {"min": 2}}],
        [],
    ),
    "half_open": NamedSelector(
        "TCP whose handshake is not complete: SYN_SENT, SYN_SENT2, SYN_RECV. Scans, SYN floods and dead servers leave "
        "many.",
        "All.",
        "A handshake under way has to send its SYN again, a delay of a second. With tcp_loose 0, one whose SYN was "
        "answered already is cut.",
        [{"protocol": "tcp", "state": ["SYN_SENT", "SYN_SENT2", "SYN_RECV"]}],
        [],
    ),
    "closing": NamedSelector(
        "TCP that is being closed or was: FIN_WAIT, CLOSE_WAIT, LAST_ACK, TIME_WAIT, CLOSE.",
        "All.",
        "A connection that only one side has closed (CLOSE_WAIT, FIN_WAIT) may still carry data. Late packets of the "
        "others are taken for new connections or dropped as invalid.",
        [{"protocol": "tcp", "state": ["FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE"]}],
        [],
    ),
    "idle_hour": NamedSelector(
        "TCP, ESTABLISHED, no packet for an hour or longer.",
        "All. Where the kernel does not tell how long, an entry is undecidable.",
        "The connection may be alive and quiet, without keepalives. With NAT it is cut. Use confirm_idle, and leave "
        "out what has long pauses, such as databases and SSH.",
        [{"protocol": "tcp", "state": "ESTABLISHED", "idle": {"min": "1h"}}],
        [],
    ),
    "idle_day": NamedSelector(
        "TCP, ESTABLISHED, no packet for a day or longer.",
        "All. Where the kernel does not tell how long, an entry is undecidable.",
        "As for idle_hour, but few live connections are quiet for so long: keepalives come every two hours.",
        [{"protocol": "tcp", "state": "ESTABLISHED", "idle": {"min": "1d"}}],
        [],
    ),
    "unanswered": NamedSelector(
        "Anything but TCP that never had an answer: unanswered DNS queries and pings, scans, syslog and other flows "
        "of one direction.",
        "All.",
        "A flow of one direction (syslog, NetFlow, RTP, GRE, multicast) looks so for all its life. Its next packet "
        "makes a new entry. With NAT its source port may change.",
        [{"replied": False}],
        [{"protocol": "tcp"}],
    ),
    "dns": NamedSelector(
        "DNS over UDP: destination port 53.",
        "All.",
        "An answer that is under way is dropped, and the query is sent again.",
        [{"protocol": "udp", "destination_port": 53}],
        [],
    ),
    "multicast": NamedSelector(
        "To a multicast group or to 255.255.255.255: routing protocols, VRRP, mDNS, SSDP, DHCP.",
        "All.",
        "Low: the next packet makes a new entry.",
        [{"destination": ["224.0.0.0/4", "255.255.255.255", "ff00::/8"]}],
        [{"protocol": "tcp"}],
    ),
}
"""By name, in the order in which the documentation has them."""

NAMED: dict[str, dict[str, list[Selector]]] = {
    name: {"match": named.match, "exclude": named.exclude} for name, named in NAMED_SELECTORS.items()
}
"""By name, match and exclude alone."""

_BETWEEN_NAMES = re.compile(r"[,\s]+")


def names_of(value: t.Any, option: str) -> list[str]:
    """Return the names that a value of select has: a list, or a text with commas or blanks between them.

    Raises OptionError for a name that no selector has.
    """
    names: list[str] = []
    for each in value if isinstance(value, (list, tuple)) else [value]:
        found = [name for name in _BETWEEN_NAMES.split(each) if name] if isinstance(each, str) else []
        if not found:
            raise OptionError(option, value, "is not a list of names", f"The names are {', '.join(NAMED)}.")
        names += found
    for name in names:
        if name not in NAMED:
            close = difflib.get_close_matches(name.lower().replace("-", "_"), NAMED, 1)
            remedy = f"Did you mean {close[0]!r}?" if close else f"The names are {', '.join(NAMED)}."
            raise OptionError(option, name, "is not the name of a selector", remedy)
    return list(dict.fromkeys(names))

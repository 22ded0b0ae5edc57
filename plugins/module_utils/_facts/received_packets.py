# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""How many packets IP received, to compare the invalid ones with.

The kernel counts what connection tracking calls invalid, but not what it looked at. Nearly all of that came in by IP.
Where packets of bridges are tracked as well, IP does not see them, but the interfaces do.
"""

from __future__ import annotations

import os

_COUNTERS = "net/snmp"
_COUNTERS_OF_IPV6 = "net/snmp6"
_BRIDGED = ("sys/net/bridge/bridge-nf-call-iptables", "sys/net/bridge/bridge-nf-call-ip6tables")
"""With these, packets are tracked that a bridge passes on."""

_INTERFACES = "net/dev"


def received_packets(proc: str = "/proc") -> int | None:
    """Return the packets that IP received since boot, of both families, in the namespace that the process is in.

    Where packets of bridges are tracked as well, it is what all interfaces received, if that is more. None where the
    kernel does not tell. ``proc`` is where proc(5) is mounted.
    """
    try:
        packets = _of_ipv4(proc) + _of_ipv6(proc)
        return max(packets, _of_interfaces(proc)) if _tracks_bridges(proc) else packets
    except (OSError, ValueError, KeyError, IndexError):
        return None


def _tracks_bridges(proc: str) -> bool:
    return any(_read(f"{proc}/{path}").strip() != "0" for path in _BRIDGED if os.path.exists(f"{proc}/{path}"))


def _of_ipv4(proc: str) -> int:
    """Read a counter of a table in which each protocol has a line of names, and under it one of numbers."""
    lines = [line.split() for line in _read(f"{proc}/{_COUNTERS}").splitlines() if line.startswith("Ip:")]
    names, numbers = lines
    return int(dict(zip(names, numbers))["InReceives"])


def _of_ipv6(proc: str) -> int:
    """Read a counter of a table with a name and a number in each line. Without IPv6, there is no such table."""
    path = f"{proc}/{_COUNTERS_OF_IPV6}"
    if not os.path.exists(path):
        return 0
    lines = [line.split() for line in _read(path).splitlines()]
    return int({line[0]: line[1] for line in lines if len(line) > 1}["Ip6InReceives"])


def _of_interfaces(proc: str) -> int:
    """Read a table with two lines of titles, then a line for each interface: its name, bytes and packets come first."""
    lines = _read(f"{proc}/{_INTERFACES}").splitlines()[2:]
    return sum(int(line.rpartition(":")[2].split()[1]) for line in lines)


def _read(path: str) -> str:
    with open(path, encoding="ascii") as file:
        return file.read()

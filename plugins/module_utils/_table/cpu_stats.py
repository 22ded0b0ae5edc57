# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The counters of connection tracking that the kernel keeps for each processor."""

from __future__ import annotations

from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._errors import MalformedError
from ansible_collections.netops.conntrack.plugins.module_utils._netlink import framing

_RESOURCE_AT = framing.HEADER_LENGTH + 2  # nfgenmsg.res_id of linux/netfilter/nfnetlink.h


def decode(message: bytes) -> tuple[int, dict[str, int]]:
    """Decode one processor's counters: its number, and the counters that this kernel sends (32 bits: they wrap).

    Raises MalformedError.
    """
    if len(message) < framing.ATTRIBUTES_AT:
        raise MalformedError("netlink: statistics without their processor")
    cpu = int.from_bytes(message[_RESOURCE_AT : framing.ATTRIBUTES_AT], "big")
    counters = {}
    for kind, at, until in framing.walk(message, framing.ATTRIBUTES_AT, len(message)):
        if kind in _uapi.CPU_STATS:
            if until - at != 4:
                raise MalformedError(f"netlink: {_uapi.CPU_STATS[kind]} has {until - at} bytes instead of 4")
            counters[_uapi.CPU_STATS[kind]] = int.from_bytes(message[at:until], "big")
    return cpu, counters

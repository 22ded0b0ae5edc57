# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""One connection-tracking entry, as values."""

from __future__ import annotations

import sys
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils import _uapi


class Entry:
    """One entry as the kernel sent it, or only those of its fields that are needed. None: the message did not say.

    Addresses are packed, ports hold the keys of GRE, ``protocol`` and ``state`` are numbers, ``remaining`` is in
    seconds, ``start`` in nanoseconds since the epoch, ``labels`` the kernel's bitmap. ``zone`` is the entry's one zone,
    whichever direction it holds for, and 0 unless sent, as in the kernel. ``zone_original`` or ``zone_reply`` is the
    same number again where the zone holds for that direction only. ``has_ports`` says whether the tuple has ports, or
    the keys of GRE, which it lacks where the kernel does not track the protocol itself. The verification tags are those
    of SCTP (RFC 9260), and the role is that of the side which DCCP takes for the client or the server. Parts of a tuple
    without a prefix are the original direction's. A field that was not asked for raises AttributeError, so that it is
    never taken for unknown.
    """

    family: int
    protocol: int
    source: bytes
    destination: bytes
    source_port: int | None
    destination_port: int | None
    has_ports: bool
    icmp_type: int | None
    icmp_code: int | None
    icmp_id: int | None
    zone_original: int | None
    reply_source: bytes
    reply_destination: bytes
    reply_source_port: int | None
    reply_destination_port: int | None
    reply_icmp_type: int | None
    reply_icmp_code: int | None
    reply_icmp_id: int | None
    zone_reply: int | None
    zone: int
    status: int | None
    state: int | None
    vtag_original: int | None
    vtag_reply: int | None
    dccp_role: int | None
    remaining: int | None
    mark: int | None
    packets_original: int | None
    bytes_original: int | None
    packets_reply: int | None
    bytes_reply: int | None
    start: int | None
    labels: bytes | None
    helper: str | None
    secctx: str | None
    use: int | None
    id: int | None

    def __init__(self, **fields: t.Any) -> None:
        self.__dict__.update(fields)

    @property
    def family_name(self) -> str:
        """The family's name as conntrack(8) prints it, or the number of one that it does not know."""
        return _uapi.FAMILY_NAMES.get(self.family, str(self.family))

    @property
    def protocol_name(self) -> str:
        """The protocol's name as conntrack(8) prints it, or its number as text."""
        return _uapi.PROTOCOL_NAMES.get(self.protocol, str(self.protocol))

    @property
    def state_name(self) -> str | None:
        """The protocol state's name as conntrack(8) prints it, or None where the entry has none."""
        return _uapi.state_name(self.protocol, self.state)


FIELDS = tuple(Entry.__annotations__)
"""The names of all fields of an entry."""


def label_bits(labels: bytes | None) -> int:
    """Return the kernel's bitmap of labels as a number, of which bit n is label n. An entry without a bitmap has none.

    The bitmap is read in 32-bit words of the machine's own byte order, as libnetfilter_conntrack does.
    """
    if labels is None:
        return 0
    words = [labels[at : at + 4] for at in range(0, len(labels), 4)]
    return sum(int.from_bytes(word, sys.byteorder) << 32 * number for number, word in enumerate(words))

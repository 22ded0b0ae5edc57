# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""What the kernel can be asked to leave out of a dump.

It only saves time, and only a dump is ever asked so: kernels ignore a filter that they do not know (family before 4.20,
mark 3.4, IPv4 address 5.8, status 5.15, zone 6.8), which in a delete would empty the table. Every entry that comes is
checked again. What some kernels leave out wrongly is never asked for: IPv6 addresses (they give all others than the one
that was asked for), ports (of TCP and UDP only), addresses of the reply (5.8 to 5.15.5 take the flags of the original
direction for them), and a mark under a mask (5.8 before 5.8.13 compare all of it).
"""

from __future__ import annotations

import socket
import struct
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._netlink.framing import encode_attribute


class Condition(t.NamedTuple):
    """What all wanted entries have: a field whose bits in ``mask`` are those of ``value``.

    The fields are family, mark (with all bits), status, zone, and source and destination of IPv4 entries.
    """

    field: str
    value: int
    mask: int = 0xFFFFFFFF


_ADDRESSES = {
    "source": (_uapi.CTA_IP_V4_SRC, _uapi.CTA_FILTER_F_CTA_IP_SRC),
    "destination": (_uapi.CTA_IP_V4_DST, _uapi.CTA_FILTER_F_CTA_IP_DST),
}
"""The attribute of each address, and the flag which says that it is meant."""


def encode(conditions: t.Iterable[Condition]) -> tuple[int, bytes]:
    """Return the family and the attributes of a dump's request that ask for entries which meet all the conditions."""
    by_field: dict[str, Condition] = {}
    for one in conditions:
        before = by_field.get(one.field, Condition(one.field, 0, 0))
        by_field[one.field] = Condition(one.field, before.value | one.value, before.mask | one.mask)
    addresses = {field: one.value for field, one in by_field.items() if field in _ADDRESSES}
    family = int(socket.AF_INET) if addresses else by_field.get("family", Condition("family", 0)).value
    attributes = b""
    if "status" in by_field:
        attributes += _masked(_uapi.CTA_STATUS, _uapi.CTA_STATUS_MASK, by_field["status"])
    if "mark" in by_field:
        attributes += _masked(_uapi.CTA_MARK, _uapi.CTA_MARK_MASK, by_field["mark"])
    if "zone" in by_field:
        attributes += encode_attribute(_uapi.CTA_ZONE, struct.pack("!H", by_field["zone"].value))
    return family, attributes + _tuple(addresses)


def _masked(kind: int, kind_of_mask: int, condition: Condition) -> bytes:
    value, mask = (struct.pack("!I", number) for number in (condition.value, condition.mask))
    return encode_attribute(kind, value) + encode_attribute(kind_of_mask, mask)


def _tuple(addresses: t.Mapping[str, int]) -> bytes:
    """Encode the original tuple as far as it is given, and CTA_FILTER, which says what of it is meant."""
    if not addresses:
        return b""
    ip, flags = b"", 0
    for field, address in addresses.items():
        kind, flag = _ADDRESSES[field]
        ip += encode_attribute(kind, struct.pack("!I", address))
        flags |= flag
    original = _nested(_uapi.CTA_TUPLE_ORIG, _nested(_uapi.CTA_TUPLE_IP, ip))
    # The flags are in host order.
    meant = encode_attribute(_uapi.CTA_FILTER_ORIG_FLAGS, struct.pack("=I", flags))
    return original + _nested(_uapi.CTA_FILTER, meant)


def _nested(kind: int, attributes: bytes) -> bytes:
    return encode_attribute(kind | _uapi.NLA_F_NESTED, attributes)

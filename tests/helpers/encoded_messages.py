# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Entries as the kernel would send them, for tests that need some that it cannot be made to have at will.

Written from linux/netfilter/nfnetlink_conntrack.h and ctnetlink_fill_info() in net/netfilter/nf_conntrack_netlink.c, so
that it can judge the decoder. The fields are those of Entry; an address may be text. What is left out is not sent, but
for what every entry has: protocol (TCP), addresses, and the reply, which is the original turned round.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._entry.entry import FIELDS, Entry
from ansible_collections.netops.conntrack.plugins.module_utils._netlink import framing
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block
from ansible_collections.netops.conntrack.plugins.module_utils._table.decoder import Decoder

Fields = t.Mapping[str, t.Any]

CT_NEW = 0x100
NLM_F_MULTI = 2
NLMSG_DONE = 3
SEQUENCE = 1

TCP, UDP, DCCP, GRE, ICMPV6, SCTP = 6, 17, 33, 47, 58, 132
_NESTED = 0x8000
# The number of CTA_PROTOINFO_TCP and so on, the fields that follow the state in it, and what else does.
_PROTOINFO: dict[int, tuple[int, dict[str, tuple[int, int]], tuple[tuple[int, bytes], ...]]] = {
    TCP: (1, {}, ((2, b"\7"), (3, b"\7"), (4, b"\x23\0"), (5, b"\x23\0"))),
    DCCP: (2, {"dccp_role": (2, 1)}, ((3, bytes(8)),)),
    SCTP: (3, {"vtag_original": (2, 4), "vtag_reply": (3, 4)}, ()),
}


def attribute(kind: int, value: bytes) -> bytes:
    """Encode one attribute, padded to whole words."""
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def nested(kind: int, *attributes: bytes) -> bytes:
    """Encode an attribute that is made of attributes."""
    return attribute(kind | _NESTED, b"".join(attributes))


def message(kind: int, body: bytes, *, flags: int = NLM_F_MULTI, sequence: int = SEQUENCE) -> bytes:
    """Encode a message."""
    return struct.pack("=IHHII", 16 + len(body), kind, flags, sequence, 0) + body


def done(number: int = 0, *, sequence: int = SEQUENCE) -> bytes:
    """Encode the message that ends a dump."""
    return message(NLMSG_DONE, struct.pack("=i", -number), sequence=sequence)


def entry_message(fields: Fields, *, more: bytes = b"", flags: int = NLM_F_MULTI, sequence: int = SEQUENCE) -> bytes:
    """Encode an entry of a dump; ``more`` are further attributes, which come last."""
    whole = _completed(fields)
    attributes = b"".join(_attributes(whole))
    return message(
        CT_NEW, struct.pack("!BBH", whole["family"], 0, 0) + attributes + more, flags=flags, sequence=sequence
    )


def blocks_of(*entries: Fields) -> list[Block]:
    """Return the blocks that the decoder makes of a datagram with these entries."""
    return decoded(b"".join(map(entry_message, entries)))


def decoded(datagram: bytes) -> list[Block]:
    """Return the blocks that the decoder makes of a datagram of entries."""
    return list(Decoder(SEQUENCE).blocks(framing.Splitter().runs(datagram)))


def entry_of(fields: Fields) -> Entry:
    """Return the entry that the decoder makes of the fields."""
    [block] = blocks_of(fields)
    [entry] = block.entries()
    return entry


def attributes_of(data: bytes) -> list[bytes]:
    """Return the attributes in ``data``, each with its header and padding."""
    found = []
    while data:
        size = struct.unpack_from("=H", data)[0] + 3 & ~3
        found.append(data[:size])
        data = data[size:]
    return found


def changed(data: bytes, change: t.Callable[[list[bytes]], list[bytes]]) -> bytes:
    """Return an entry's message after a change to the row of its attributes, and to each row of attributes in them."""
    body = b"".join(_changed(data[20:], change))
    return struct.pack("=I", 20 + len(body)) + data[4:20] + body


def _changed(data: bytes, change: t.Callable[[list[bytes]], list[bytes]]) -> list[bytes]:
    attributes = []
    for one in attributes_of(data):
        kind = struct.unpack_from("=H", one, 2)[0]
        attributes.append(attribute(kind, b"".join(_changed(one[4:], change))) if kind & _NESTED else one)
    return change(attributes)


def values_of(fields: Fields) -> dict[str, t.Any]:
    """Return every field of Entry as it has to be decoded."""
    whole = _completed(fields)
    addresses = ("source", "destination", "reply_source", "reply_destination")
    packed = {name: _packed(whole[name]) for name in addresses}
    # A zone that holds for one direction only is the entry's zone all the same.
    zone = whole.get("zone_original", whole.get("zone_reply", 0))
    return {**dict.fromkeys(FIELDS), "zone": zone, "has_ports": "source_port" in whole, **whole, **packed}


def assert_columns_are_rows(block: Block) -> None:
    """Assert that each column of a block has what the plain decode of its rows has."""
    entries = list(block.entries())
    assert len(entries) == len(block) == len(block.rows) > 0
    for name in FIELDS:
        values = [getattr(entry, name) for entry in entries]
        assert list(block.column(name)) == values, name
        if name in block.layout.fields and isinstance(values[0], (int, bytes)) and name != "labels":
            numbers = [value if isinstance(value, int) else int.from_bytes(value, "big") for value in values]
            assert list(block.numbers(name)) == numbers, name


_TURNED = {
    "reply_source": "destination",
    "reply_destination": "source",
    "reply_source_port": "destination_port",
    "reply_destination_port": "source_port",
    "reply_icmp_type": "icmp_type",
    "reply_icmp_code": "icmp_code",
    "reply_icmp_id": "icmp_id",
}


def _completed(fields: Fields) -> dict[str, t.Any]:
    """Return the fields with what every entry has; what is None is not sent."""
    six = fields.get("family") == socket.AF_INET6 or any(
        len(_packed(fields[name])) == 16 for name in ("source", "destination", "reply_source") if name in fields
    )
    ends = ("2001:db8::1", "2001:db8::2") if six else ("198.18.0.1", "203.0.113.1")
    whole = {
        "family": int(socket.AF_INET6 if six else socket.AF_INET),
        "protocol": TCP,
        "source": ends[0],
        "destination": ends[1],
        **fields,
    }
    for name, turned in _TURNED.items():
        if turned in whole:
            whole.setdefault(name, whole[turned])
    if whole.get("state") is not None:
        for name in _PROTOINFO[whole["protocol"]][1]:
            whole.setdefault(name, 0)
    return {name: value for name, value in whole.items() if value is not None}


def _packed(address: str | bytes) -> bytes:
    return address if isinstance(address, bytes) else ipaddress.ip_address(address).packed


def _number(fields: Fields, name: str, kind: int, size: int) -> bytes:
    """Encode a field as a number in network order; nothing where the entry does not have it."""
    return attribute(kind, fields[name].to_bytes(size, "big")) if name in fields else b""


def _attributes(fields: Fields) -> t.Iterator[bytes]:
    """Yield the attributes in the order in which the kernel sends them."""
    yield nested(1, *_tuple(fields, "", "zone_original"))
    yield nested(2, *_tuple(fields, "reply_", "zone_reply"))
    if fields.get("zone") and not fields.keys() & {"zone_original", "zone_reply"}:
        yield _number(fields, "zone", 18, 2)
    yield _number(fields, "status", 3, 4)
    yield _number(fields, "mark", 8, 4)
    if "secctx" in fields:
        yield nested(19, attribute(1, fields["secctx"].encode() + b"\0"))
    yield _number(fields, "id", 12, 4)
    yield _number(fields, "use", 11, 4)
    yield _number(fields, "remaining", 7, 4)
    kind, own, others = _PROTOINFO.get(fields["protocol"], (0, {}, ()))
    own = {"state": (1, 1), **own}
    if fields.keys() & own.keys():
        numbers = (_number(fields, name, *number) for name, number in own.items())
        yield nested(4, nested(kind, *numbers, *(attribute(*other) for other in others)))
    for kind, direction in ((9, "original"), (10, "reply")):
        packets, octets = f"packets_{direction}", f"bytes_{direction}"
        if packets in fields or octets in fields:
            yield nested(kind, _number(fields, packets, 1, 8), _number(fields, octets, 2, 8))
    if "start" in fields:
        # The event of an entry's end has when that was, too.
        yield nested(20, _number(fields, "start", 1, 8), _number(fields, "stop", 2, 8))
    if "helper" in fields:
        yield nested(5, attribute(1, fields["helper"].encode() + b"\0"))
    if "labels" in fields:
        yield attribute(22, fields["labels"])


def _tuple(fields: Fields, prefix: str, zone: str) -> t.Iterator[bytes]:
    source, destination = _packed(fields[f"{prefix}source"]), _packed(fields[f"{prefix}destination"])
    first = 1 if len(source) == 4 else 3
    yield nested(1, attribute(first, source), attribute(first + 1, destination))
    icmp = 7 if fields["protocol"] == ICMPV6 else 4
    yield nested(
        2,
        _number(fields, "protocol", 1, 1),
        _number(fields, f"{prefix}source_port", 2, 2),
        _number(fields, f"{prefix}destination_port", 3, 2),
        _number(fields, f"{prefix}icmp_id", icmp, 2),
        _number(fields, f"{prefix}icmp_type", icmp + 1, 1),
        _number(fields, f"{prefix}icmp_code", icmp + 2, 1),
    )
    yield _number(fields, zone, 3, 2)

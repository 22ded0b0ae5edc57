# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Expectations as the kernel would send them, for tests that need some that it cannot be made to have at will.

Written from linux/netfilter/nfnetlink_conntrack.h and ctnetlink_exp_dump_expect() in
net/netfilter/nf_conntrack_netlink.c, so that it can judge the decoder.
"""

from __future__ import annotations

import ipaddress
import struct
import typing as t

from helpers.encoded_messages import NLM_F_MULTI, SEQUENCE, TCP, attribute, message, nested

EXPECT_NEW = 0x200
MASTER, TUPLE, MASK, TIMEOUT, ID, HELP_NAME, ZONE, FLAGS, CLASS, NAT, FN = range(1, 12)
_NUMBERS = {
    "tuple": TUPLE,
    "mask": MASK,
    "master": MASTER,
    "timeout": TIMEOUT,
    "id": ID,
    "help_name": HELP_NAME,
    "zone": ZONE,
    "class_": CLASS,
    "nat": NAT,
    "fn": FN,
}
_FAMILIES = {4: 2, 6: 10}


def ends(
    source: str, destination: str, source_port: int | None = None, destination_port: int | None = None, proto: int = TCP
) -> bytes:
    """Encode the attributes of a tuple."""
    addresses = [ipaddress.ip_address(address) for address in (source, destination)]
    first = 1 if addresses[0].version == 4 else 3
    three = b"".join(attribute(first + at, address.packed) for at, address in enumerate(addresses))
    four = attribute(1, bytes([proto]))
    for kind, port in ((2, source_port), (3, destination_port)):
        four += b"" if port is None else attribute(kind, struct.pack("!H", port))
    return nested(1, three) + nested(2, four)


CLIENT, SERVER = "198.51.100.7", "203.0.113.21"


def attributes_of(**changes: bytes | None) -> dict[int, bytes]:
    """Return the attributes of an expectation of FTP by number, with ``changes`` by name. None leaves one out."""
    attributes: dict[int, bytes | None] = {
        TUPLE: nested(TUPLE, ends(SERVER, CLIENT, 0, 40021)),
        MASK: nested(MASK, ends("255.255.255.255", "255.255.255.255", 0, 65535)),
        MASTER: nested(MASTER, ends(CLIENT, SERVER, 51939, 21)),
        TIMEOUT: attribute(TIMEOUT, struct.pack("!I", 287)),
        ID: attribute(ID, struct.pack("!I", 2153820308)),
        FLAGS: attribute(FLAGS, bytes(4)),
        CLASS: attribute(CLASS, bytes(4)),
        HELP_NAME: attribute(HELP_NAME, b"ftp\0"),
    }
    attributes.update({_NUMBERS[name]: value for name, value in changes.items()})
    return {kind: value for kind, value in attributes.items() if value is not None}


def expectation_message(*, version: int = 4, more: bytes = b"", flags: int = NLM_F_MULTI, **changes: t.Any) -> bytes:
    """Encode an expectation of a dump. ``more`` are further attributes, which come last."""
    body = struct.pack("!BBH", _FAMILIES[version], 0, 0) + b"".join(attributes_of(**changes).values()) + more
    return message(EXPECT_NEW, body, flags=flags, sequence=SEQUENCE)


def numbered(number: int) -> bytes:
    """Encode an expectation with another port and another id for each number."""
    return expectation_message(
        tuple=nested(TUPLE, ends(SERVER, CLIENT, 0, number)), id=attribute(ID, struct.pack("!I", number))
    )

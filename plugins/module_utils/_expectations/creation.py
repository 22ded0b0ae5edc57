# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The requests that make expectations, and those that look up their masters.

The kernel takes the time of a new expectation from the helper of the master, and CTA_EXPECT_TIMEOUT only of one that is
there (ctnetlink_change_expect() in net/netfilter/nf_conntrack_netlink.c). So another time takes a second request.

The name of a helper is sent only with a class other than 0. Many kernels take the class for 0 without it. Until 2026,
they also gave that helper to the connection that comes, so that it would look for announcements in the data of FTP.
"""

from __future__ import annotations

import socket
import struct
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._expectations.expectation import Nat
from ansible_collections.netops.conntrack.plugins.module_utils._expectations.requests import BATCH, Answer, exchange
from ansible_collections.netops.conntrack.plugins.module_utils._expectations.wanted import Ends, Wanted
from ansible_collections.netops.conntrack.plugins.module_utils._netlink import framing
from ansible_collections.netops.conntrack.plugins.module_utils._table.decoder import Decoder

_LOOKED_UP = 1
_MASTER_FIELDS = (*Ends._fields, "helper")
_IP = {
    int(socket.AF_INET): (_uapi.CTA_IP_V4_SRC, _uapi.CTA_IP_V4_DST),
    int(socket.AF_INET6): (_uapi.CTA_IP_V6_SRC, _uapi.CTA_IP_V6_DST),
}
_WHOLE_PORT = 0xFFFF


class Master(t.NamedTuple):
    """The original tuple of an entry, and the number of its zone in that direction."""

    ends: Ends
    zone: int


def masters_in_table(source: socket.socket, masters: t.Sequence[Master]) -> dict[Master, str | None]:
    """Return those masters that have an entry, each with the name of its helper, or None where it has none.

    A tuple that is an entry's reply names no master. Raises ConntrackError where the kernel does not answer.
    """
    found: dict[Master, str | None] = {}
    for first, batch in _batches(masters):
        requests = [_encode_look_up(master, first + at) for at, master in enumerate(batch)]
        for master, answer in zip(batch, exchange(source, requests, first)):
            entry = _entry_in(answer)
            if entry and entry[0] == master.ends:
                found[master] = entry[1]
    return found


def create(source: socket.socket, wanted: t.Sequence[Wanted], first: int) -> list[int]:
    """Make expectations, at most BATCH, and return for each 0 or the errno. They are numbered from ``first``.

    None that is there is changed: EEXIST is one that is met by the same connection. But the kernel may end the oldest
    one of the same master, where its helper allows no more. Raises ConntrackError where the kernel does not answer.
    """
    flags = _uapi.NLM_F_CREATE | _uapi.NLM_F_EXCL
    requests = [encode_new(one, flags, first + at) for at, one in enumerate(wanted)]
    return [answer.error for answer in exchange(source, requests, first)]


def set_remaining(source: socket.socket, wanted: t.Sequence[Wanted], first: int) -> list[int]:
    """Give expectations that have just been made the time that is wanted. All else is as with ``create``."""
    requests = [encode_new(one, 0, first + at) for at, one in enumerate(wanted)]
    return [answer.error for answer in exchange(source, requests, first)]


def encode_new(wanted: Wanted, flags: int, sequence: int) -> bytes:
    """Encode the request that makes an expectation, or without flags gives the one that is there its time."""
    key = wanted.key
    expected = key.expected
    # The kernel compares all of the destination, whatever the mask says of it.
    whole = b"\xff" * len(expected.destination)
    ports = (key.mask_source_port, None if key.mask_source_port is None else _WHOLE_PORT)
    mask = Ends(expected.family, expected.protocol, key.mask_source, whole, *ports)
    attributes = b"".join(
        (
            _encode_ends(_uapi.CTA_EXPECT_TUPLE, expected),
            _encode_ends(_uapi.CTA_EXPECT_MASK, mask),
            _encode_ends(_uapi.CTA_EXPECT_MASTER, key.master),
            *_optional_attributes(wanted),
        )
    )
    return framing.encode_request(_uapi.EXPECT_NEW, flags | _uapi.NLM_F_ACK, sequence, expected.family, attributes)


def _optional_attributes(wanted: Wanted) -> t.Iterator[bytes]:
    key = wanted.key
    if key.zone:
        yield framing.encode_attribute(_uapi.CTA_EXPECT_ZONE, struct.pack("!H", key.zone))
    if wanted.remaining is not None:
        yield framing.encode_attribute(_uapi.CTA_EXPECT_TIMEOUT, struct.pack("!I", wanted.remaining))
    if key.class_number and wanted.helper:
        yield framing.encode_attribute(_uapi.CTA_EXPECT_CLASS, struct.pack("!I", key.class_number))
        yield framing.encode_attribute(_uapi.CTA_EXPECT_HELP_NAME, wanted.helper.encode("ascii") + b"\0")
    if wanted.flags:
        yield framing.encode_attribute(_uapi.CTA_EXPECT_FLAGS, struct.pack("!I", wanted.flags))
    if wanted.function:
        yield framing.encode_attribute(_uapi.CTA_EXPECT_FN, wanted.function.encode("ascii") + b"\0")
    if wanted.nat:
        yield _encode_nat(wanted.nat, key.expected)


def _encode_nat(nat: Nat, expected: Ends) -> bytes:
    """Encode the source from before NAT, which is all that the kernel takes of the tuple."""
    source = nat.source or bytes(len(expected.source))
    ports = (None, None) if expected.source_port is None else (nat.source_port, 0)
    ends = Ends(expected.family, expected.protocol, source, bytes(len(source)), *ports)
    direction = framing.encode_attribute(_uapi.CTA_EXPECT_NAT_DIR, struct.pack("!I", nat.direction))
    return _nested(_uapi.CTA_EXPECT_NAT, direction + _encode_ends(_uapi.CTA_EXPECT_NAT_TUPLE, ends))


def _encode_ends(kind: int, ends: Ends) -> bytes:
    addresses = zip(_IP[ends.family], (ends.source, ends.destination))
    protocol = framing.encode_attribute(_uapi.CTA_PROTO_NUM, bytes([ends.protocol]))
    if ends.source_port is not None and ends.destination_port is not None:
        protocol += framing.encode_attribute(_uapi.CTA_PROTO_SRC_PORT, struct.pack("!H", ends.source_port))
        protocol += framing.encode_attribute(_uapi.CTA_PROTO_DST_PORT, struct.pack("!H", ends.destination_port))
    ip = b"".join(framing.encode_attribute(each, address) for each, address in addresses)
    return _nested(kind, _nested(_uapi.CTA_TUPLE_IP, ip) + _nested(_uapi.CTA_TUPLE_PROTO, protocol))


def _nested(kind: int, value: bytes) -> bytes:
    return framing.encode_attribute(kind | _uapi.NLA_F_NESTED, value)


def _encode_look_up(master: Master, sequence: int) -> bytes:
    attributes = _encode_ends(_uapi.CTA_TUPLE_ORIG, master.ends)
    if master.zone:
        attributes += framing.encode_attribute(_uapi.CTA_ZONE, struct.pack("!H", master.zone))
    return framing.encode_request(_uapi.CT_GET, _uapi.NLM_F_ACK, sequence, master.ends.family, attributes)


def _entry_in(answer: Answer) -> tuple[Ends, str | None] | None:
    """Return the original tuple and the helper of the entry that was looked up, or None where there is none."""
    if answer.message is None:
        return None
    message = framing.renumbered(answer.message, _LOOKED_UP)
    [block] = Decoder(_LOOKED_UP).blocks(framing.Splitter().runs(message))
    [entry] = block.entries(_MASTER_FIELDS)
    return Ends.of(entry), entry.helper


_Item = t.TypeVar("_Item")


def _batches(items: t.Sequence[_Item]) -> t.Iterator[tuple[int, t.Sequence[_Item]]]:
    for start in range(0, len(items), BATCH):
        yield start + 1, items[start : start + BATCH]

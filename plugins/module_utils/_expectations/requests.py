# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The requests that look up or delete exactly these expectations.

Each names its expectation by the expected tuple, echoed as the dump gave it, by its zone and by its id. **A delete
without a tuple would empty the whole table**, so that none is ever encoded. What took the place of an expectation has
another id, and the kernel answers ENOENT (ctnetlink_del_expect() in net/netfilter/nf_conntrack_netlink.c).
"""

from __future__ import annotations

import socket
import struct
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._errors import ConntrackError, DumpError
from ansible_collections.netops.conntrack.plugins.module_utils._expectations.expectation import Expectation
from ansible_collections.netops.conntrack.plugins.module_utils._netlink import framing, transport

BATCH = 64
"""Requests in one datagram, whose answers all fit into the receive buffer."""

_ANSWER = 1 << 16
_NESTED_TUPLE = _uapi.CTA_EXPECT_TUPLE | _uapi.NLA_F_NESTED


class Target(t.NamedTuple):
    """An expectation in a zone, in which it is looked up or deleted."""

    expectation: Expectation
    zone: int


def look_up(source: socket.socket, targets: t.Sequence[Target], first: int) -> list[int]:
    """Return for each target 0 if it is there, and else the kernel's errno: ENOENT is gone, or was never in that zone.

    There are at most BATCH targets. The requests are numbered from ``first``. Raises ConntrackError where the kernel
    does not answer.
    """
    return _ask(source, _uapi.EXPECT_GET, targets, first)


def delete(source: socket.socket, targets: t.Sequence[Target], first: int) -> list[int]:
    """Delete the targets, and return for each 0 or the kernel's errno: ENOENT was gone, or replaced. Else as above."""
    return _ask(source, _uapi.EXPECT_DELETE, targets, first)


def batches(targets: t.Sequence[Target]) -> t.Iterator[tuple[int, t.Sequence[Target]]]:
    """Yield the targets in batches, each with the number of its first request."""
    for start in range(0, len(targets), BATCH):
        yield start + 1, targets[start : start + BATCH]


def encode(kind: int, target: Target, sequence: int) -> bytes:
    """Encode the request about one expectation, which asks for an answer. Raises ValueError where it has no tuple."""
    expectation = target.expectation
    if not expectation.name:
        raise ValueError("a request must begin with the expected tuple")
    attributes = framing.encode_attribute(_NESTED_TUPLE, expectation.name)
    if target.zone:
        # Without it the default zone is meant. Kernels that know no zones refuse the attribute.
        attributes += framing.encode_attribute(_uapi.CTA_EXPECT_ZONE, struct.pack("!H", target.zone))
    attributes += framing.encode_attribute(_uapi.CTA_EXPECT_ID, struct.pack("!I", expectation.id))
    return framing.encode_request(kind, _uapi.NLM_F_ACK, sequence, expectation.expected.family, attributes)


class Answer(t.NamedTuple):
    """What the kernel answered to a request: its errno, 0 being success, and the message that it asked for."""

    error: int
    message: bytes | None


def exchange(source: socket.socket, requests: t.Sequence[bytes], first: int) -> list[Answer]:
    """Return the answers to requests, at most BATCH, each of which asks for one. They are numbered from ``first``.

    Raises ConntrackError where the kernel does not answer.
    """
    wanted = range(first, first + len(requests))
    errors: dict[int, int] = {}
    found: dict[int, bytes] = {}
    if not requests:
        return []
    try:
        transport.send(source, b"".join(requests))
        while len(errors) < len(requests):
            datagram = _receive(source)
            for message in framing.messages(datagram):
                # An answer that came too late for its own requests is about none of these.
                if message.sequence not in wanted:
                    continue
                content = datagram[message.start : message.end]
                if message.type == _uapi.NLMSG_ERROR:
                    errors[message.sequence] = framing.error_of(content)
                else:
                    found[message.sequence] = content
    except DumpError as error:
        raise ConntrackError(
            f"The answers to the last requests are missing, so that these cannot be counted: {error.message}"
        ) from error
    return [Answer(errors[number], found.get(number)) for number in wanted]


def _ask(source: socket.socket, kind: int, targets: t.Sequence[Target], first: int) -> list[int]:
    requests = [encode(kind, target, first + at) for at, target in enumerate(targets)]
    return [answer.error for answer in exchange(source, requests, first)]


def _receive(source: socket.socket) -> bytes:
    buffer = bytearray(_ANSWER)
    length = transport.receive(source, buffer)
    return bytes(memoryview(buffer)[:length])

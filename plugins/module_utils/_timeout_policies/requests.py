# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Requests to a subsystem of netfilter that changes something, with the kernel's answers."""

from __future__ import annotations

import errno
import os
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._errors import (
    BECOME_ROOT,
    ConntrackError,
    NotPermittedError,
)
from ansible_collections.netops.conntrack.plugins.module_utils._netlink import framing, transport

_ANSWER = 1 << 16


class Answer(t.NamedTuple):
    """The messages that the kernel sent, each with its header, and the errno of the request. 0 is success."""

    messages: t.Sequence[bytes]
    error: int


def ask(datagram: bytes, last: int = 1) -> Answer:
    """Send requests and return the answer. The last one, of the number ``last``, asks for an acknowledgement.

    Raises NotPermittedError without CAP_NET_ADMIN, and DumpError where the kernel does not answer.
    """
    with transport.open_socket() as source:
        transport.send(source, datagram)
        found: list[bytes] = []
        while True:
            for kind, sequence, message in _received(source):
                if kind != _uapi.NLMSG_ERROR:
                    found.append(message)
                    continue
                error = framing.error_of(message)
                if error in (errno.EPERM, errno.EACCES):
                    raise NotPermittedError(f"Timeout policies need root (CAP_NET_ADMIN). {BECOME_ROOT}")
                if error or sequence == last:
                    return Answer(found, error)


def attributes_of(message: bytes, start: int = framing.ATTRIBUTES_AT) -> dict[int, bytes]:
    """Return the attributes of a message of nfnetlink, or with ``start`` 0 of a nested value, by type."""
    return {kind: message[begin:end] for kind, begin, end in framing.walk(message, start, len(message))}


def number_in(attributes: t.Mapping[int, bytes], kind: int) -> int:
    """Return the number of an attribute, which is big-endian. 0 where there is none."""
    return int.from_bytes(attributes.get(kind, b""), "big")


def text_attribute(kind: int, text: str) -> bytes:
    """Encode an attribute that is a text, with the NUL behind it."""
    return framing.encode_attribute(kind, text.encode() + b"\0")


def refused(what: str, number: int) -> ConntrackError:
    """Return the error for something that the kernel did not do."""
    return ConntrackError(f"The kernel refused to {what}: {os.strerror(number)}. Run it again.")


def _received(source: t.Any) -> t.Iterator[tuple[int, int, bytes]]:
    """Yield type, number and bytes of each message of the next datagram."""
    buffer = bytearray(_ANSWER)
    length = transport.receive(source, buffer)
    datagram = bytes(memoryview(buffer)[:length])
    for message in framing.messages(datagram):
        yield message.type, message.sequence, datagram[message.start : message.end]

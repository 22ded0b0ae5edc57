# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The bytes of netlink: datagrams, messages and attributes, whatever they are about.

A datagram is a row of messages. Each is a header (length, type, flags, sequence, port), for nfnetlink four bytes more
(family, version, resource), and a row of attributes. An attribute is a header (length, type) and a value. Some values
are rows of attributes again. Both are padded to four bytes. Layouts: linux/netlink.h, linux/netfilter/nfnetlink.h.
"""

from __future__ import annotations

import operator
import re
import struct
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._errors import MalformedError

_NLMSGHDR = struct.Struct("=IHHII")
_NFGENMSG = struct.Struct("!BBH")
_NLA = struct.Struct("=HH")
_ERRNO = struct.Struct("=i")
WORD = struct.Struct("=I")
HEADER_LENGTH = _NLMSGHDR.size
_SEQUENCE_AT = 8
ATTRIBUTES_AT = HEADER_LENGTH + _NFGENMSG.size
_DONE_LENGTH = HEADER_LENGTH + _ERRNO.size
_MAX_ERRNO = 4095  # include/linux/err.h


class Message(t.NamedTuple):
    """One netlink message inside a datagram: its type, flags and sequence number, and where it starts and ends."""

    type: int
    flags: int
    sequence: int
    start: int
    end: int


def messages(datagram: bytes) -> t.Iterator[Message]:
    """Yield the messages in a datagram. Raises MalformedError where it has none, or their lengths do not add up."""
    start, length = 0, len(datagram)
    if not datagram:
        raise MalformedError("netlink: a datagram without a message")
    while start < length:
        if length - start < HEADER_LENGTH:
            raise MalformedError(
                f"netlink: {length - start} bytes are left where a message header takes {HEADER_LENGTH}"
            )
        size, kind, flags, sequence, _port = _NLMSGHDR.unpack_from(datagram, start)
        if size < HEADER_LENGTH or size > length - start:
            raise MalformedError(f"netlink: a message claims {size} bytes, {length - start} are there")
        yield Message(kind, flags, sequence, start, start + size)
        start += (size + 3) & ~3


def error_of(message: bytes) -> int:
    """Return the errno that an NLMSG_ERROR or NLMSG_DONE message carries. 0 is success. Raises MalformedError."""
    if len(message) < _DONE_LENGTH:
        raise MalformedError("netlink: an error message without its number")
    code: int = _ERRNO.unpack_from(message, HEADER_LENGTH)[0]
    if not -_MAX_ERRNO <= code <= 0:
        raise MalformedError(f"netlink: {code} is no number of an error")
    return -code


def walk(data: bytes, start: int, end: int) -> t.Iterator[tuple[int, int, int]]:
    """Yield type, start and end of each attribute's value in ``data[start:end]``. Raises MalformedError."""
    while start < end:
        if end - start < 4:
            raise MalformedError(f"netlink: {end - start} bytes are left where an attribute header takes 4")
        size, kind = _NLA.unpack_from(data, start)
        kind &= _uapi.NLA_TYPE_MASK
        if size < 4 or size > end - start:
            raise MalformedError(f"netlink: attribute {kind} claims {size} bytes, {end - start} are there")
        yield kind, start + 4, start + size
        start += (size + 3) & ~3


class Splitter:
    """Splits datagrams into runs: messages of one size and family that follow one another.

    Each message is padded to whole words (a row). The runs of one size and family have the same ``kind_of``.
    """

    def __init__(self) -> None:
        self._kinds: set[tuple[int, bytes]] = set()
        self._pattern = re.compile(b"(?!)")

    def runs(self, datagram: bytes) -> list[bytes]:
        """Return the messages of a datagram. Raises MalformedError where their lengths do not add up."""
        runs: list[bytes] = self._pattern.findall(datagram)
        # The pattern finds runs of the kinds that it knows. They are all there is if nothing is missing between them.
        if sum(map(len, runs)) == len(datagram):
            return runs
        rows = [_padded(datagram[message.start : message.end]) for message in messages(datagram)]
        self._learn(rows)
        return rows

    def _learn(self, rows: t.Iterable[bytes]) -> None:
        self._kinds.update((size_of(row), row[HEADER_LENGTH:ATTRIBUTES_AT]) for row in rows)
        patterns = [_pattern_of_run(size, family) for size, family in sorted(self._kinds)]
        self._pattern = re.compile(b"|".join(patterns), re.DOTALL)


def _pattern_of_run(size: int, family: bytes) -> bytes:
    """Return the pattern of a run: rows that begin with their size, and have this after the header, one or more."""
    length_word = re.escape(WORD.pack(size))
    rest = size - HEADER_LENGTH - len(family)
    return b"(?:%b.{%d}%b.{%d})+" % (length_word, HEADER_LENGTH - WORD.size, re.escape(family), rest)


kind_of: t.Callable[[bytes], bytes] = operator.itemgetter(slice(0, ATTRIBUTES_AT))
"""Return what tells a run from those of other sizes and families."""


def size_of(run: bytes) -> int:
    """Return the size of a run's rows."""
    size: int = WORD.unpack_from(run)[0]
    return (size + 3) & ~3


def _padded(message: bytes) -> bytes:
    return message.ljust((len(message) + 3) & ~3, b"\0")


def ends_dump(datagram: bytes | bytearray | memoryview, length: int) -> bool:
    """Say whether a datagram of ``length`` bytes is a dump's last: it is an error, or ends with NLMSG_DONE."""
    last = length - _DONE_LENGTH
    if last < 0 or _NLMSGHDR.unpack_from(datagram)[1] == _uapi.NLMSG_ERROR:
        return True
    size, kind, *_rest = _NLMSGHDR.unpack_from(datagram, last)
    return (size, kind) == (_DONE_LENGTH, _uapi.NLMSG_DONE) and _begins_message(datagram, last)


def _begins_message(datagram: bytes | bytearray | memoryview, position: int) -> bool:
    """Say whether a message begins at ``position``, and not in the middle of another one's value."""
    start = 0
    while start < position:
        start += max(HEADER_LENGTH, (WORD.unpack_from(datagram, start)[0] + 3) & ~3)
    return start == position


def encode_request(kind: int, flags: int, sequence: int, family: int = 0, attributes: bytes = b"") -> bytes:
    """Encode a request, such as a dump of the whole table (nfgenmsg version 0)."""
    header = _NLMSGHDR.pack(ATTRIBUTES_AT + len(attributes), kind, _uapi.NLM_F_REQUEST | flags, sequence, 0)
    return header + _NFGENMSG.pack(family, 0, 0) + attributes


def renumbered(message: bytes, sequence: int) -> bytes:
    """Return the message with another sequence number."""
    return message[:_SEQUENCE_AT] + WORD.pack(sequence) + message[_SEQUENCE_AT + WORD.size :]


def encode_attribute(kind: int, value: bytes) -> bytes:
    """Encode one attribute, padded to whole words."""
    data = _NLA.pack(4 + len(value), kind) + value
    return data + bytes(-len(data) % 4)

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The bytes of ctnetlink: decoding the entries of a dump, and encoding the deletes.

A netlink datagram is a row of messages; each is a header (length, type, flags, sequence, port), for conntrack four
bytes of nfgenmsg (family, version, resource), and a row of attributes. An attribute is a length, a type and a value,
padded to four bytes; some values are rows of attributes again. All numbers inside attributes are in network order,
except labels, which are the kernel's bitmap as it lies in memory.

Layouts and numbers: linux/netlink.h, linux/netfilter/nfnetlink.h, linux/netfilter/nfnetlink_conntrack.h,
linux/netfilter/nf_conntrack_common.h of the kernel's user API. An attribute that is not known here is stepped over.
"""

from __future__ import annotations

import socket
import struct
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._errors import MalformedError

# linux/netlink.h
NLMSG_ERROR = 2
NLMSG_DONE = 3
NLM_F_REQUEST = 0x001
NLM_F_ACK = 0x004
NLM_F_DUMP = 0x300
NLM_F_DUMP_INTR = 0x010
NLA_TYPE_MASK = 0x3FFF

# linux/netfilter/nfnetlink.h: the subsystem is the high byte of a message's type
_CTNETLINK = 1 << 8
CT_NEW = _CTNETLINK | 0
CT_GET = _CTNETLINK | 1
CT_DELETE = _CTNETLINK | 2
CT_GET_STATS_CPU = _CTNETLINK | 4

# linux/netfilter/nfnetlink_conntrack.h, enum ctattr_type
_TUPLE_ORIG, _TUPLE_REPLY, _STATUS, _PROTOINFO, _HELP = 1, 2, 3, 4, 5
_TIMEOUT, _MARK, _COUNTERS_ORIG, _COUNTERS_REPLY, _USE, _ID = 7, 8, 9, 10, 11, 12
_ZONE, _SECCTX, _TIMESTAMP, _LABELS = 18, 19, 20, 22

# linux/netfilter/nf_conntrack_common.h, enum ip_conntrack_status
EXPECTED = 1 << 0
SEEN_REPLY = 1 << 1
ASSURED = 1 << 2
SRC_NAT = 1 << 4
DST_NAT = 1 << 5
FIXED_TIMEOUT = 1 << 10
HELPER = 1 << 13
OFFLOAD = 1 << 14
HW_OFFLOAD = 1 << 15

STATUS_NAMES = {
    EXPECTED: "EXPECTED",
    SEEN_REPLY: "SEEN_REPLY",
    ASSURED: "ASSURED",
    1 << 3: "CONFIRMED",
    SRC_NAT: "SRC_NAT",
    DST_NAT: "DST_NAT",
    1 << 6: "SEQ_ADJUST",
    1 << 7: "SRC_NAT_DONE",
    1 << 8: "DST_NAT_DONE",
    1 << 9: "DYING",
    FIXED_TIMEOUT: "FIXED_TIMEOUT",
    1 << 11: "TEMPLATE",
    1 << 12: "NAT_CLASH",
    HELPER: "HELPER",
    OFFLOAD: "OFFLOAD",
    HW_OFFLOAD: "HW_OFFLOAD",
}

# linux/in.h; the names are those that conntrack(8) prints
ICMP, TCP, UDP, DCCP, GRE, ICMPV6, SCTP, UDPLITE = 1, 6, 17, 33, 47, 58, 132, 136
PROTOCOL_NAMES = {
    ICMP: "icmp",
    TCP: "tcp",
    UDP: "udp",
    DCCP: "dccp",
    GRE: "gre",
    ICMPV6: "icmpv6",
    SCTP: "sctp",
    UDPLITE: "udplite",
}
PORT_PROTOCOLS = frozenset({TCP, UDP, DCCP, SCTP, UDPLITE})
ICMP_PROTOCOLS = frozenset({ICMP, ICMPV6})

# nf_conntrack_tcp.h, nf_conntrack_sctp.h and net/netfilter/nf_conntrack_proto_dccp.c: the index is the state's number
STATE_NAMES: dict[int, tuple[str, ...]] = {
    TCP: (
        "NONE",
        "SYN_SENT",
        "SYN_RECV",
        "ESTABLISHED",
        "FIN_WAIT",
        "CLOSE_WAIT",
        "LAST_ACK",
        "TIME_WAIT",
        "CLOSE",
        "SYN_SENT2",
    ),
    SCTP: (
        "NONE",
        "CLOSED",
        "COOKIE_WAIT",
        "COOKIE_ECHOED",
        "ESTABLISHED",
        "SHUTDOWN_SENT",
        "SHUTDOWN_RECD",
        "SHUTDOWN_ACK_SENT",
        "HEARTBEAT_SENT",
    ),
    DCCP: ("NONE", "REQUEST", "RESPOND", "PARTOPEN", "OPEN", "CLOSEREQ", "CLOSING", "TIMEWAIT", "IGNORE", "INVALID"),
}
_PROTOINFO_PROTOCOL = {1: TCP, 2: DCCP, 3: SCTP}

FAMILY_NAMES = {int(socket.AF_INET): "ipv4", int(socket.AF_INET6): "ipv6"}

# linux/netfilter/nfnetlink_conntrack.h, enum ctattr_stats_cpu
CPU_STATS = {
    1: "searched",
    2: "found",
    3: "new",
    4: "invalid",
    5: "ignore",
    6: "delete",
    7: "delete_list",
    8: "insert",
    9: "insert_failed",
    10: "drop",
    11: "early_drop",
    12: "error",
    13: "search_restart",
    14: "clash_resolve",
    15: "chain_toolong",
}

_NLA_F_NESTED = 0x8000

_NLMSGHDR = struct.Struct("=IHHII")
_NFGENMSG = struct.Struct("!BBH")
_NLA = struct.Struct("=HH")
_ERRNO = struct.Struct("=i")
_U16 = struct.Struct("!H")
_U32 = struct.Struct("!I")
_U64 = struct.Struct("!Q")
# Nine in ten tuples are this one: IPv4 addresses and ports, in the kernel's order. Read at one go where each header is
# the expected one, which makes decoding a third faster; any other tuple is walked.
_IPV4_PORTS = struct.Struct("=4s4s4s4s4s4s4sB3x4s2s2x4s2s2x")
_IPV4_PORTS_HEADERS = tuple(
    _NLA.pack(size, kind)
    for size, kind in ((20, 1 | _NLA_F_NESTED), (8, 1), (8, 2), (28, 2 | _NLA_F_NESTED), (5, 1), (6, 2), (6, 3))
)
HEADER_LENGTH = _NLMSGHDR.size
_ATTRIBUTES_AT = HEADER_LENGTH + _NFGENMSG.size

Buffer = t.Union[bytes, bytearray, memoryview]


class Message(t.NamedTuple):
    """One netlink message inside a datagram: its type, flags and sequence number, and where it starts and ends."""

    type: int
    flags: int
    sequence: int
    start: int
    end: int


class Direction:
    """One direction's tuple: packed addresses, and whatever of ports (or GRE keys), ICMP numbers and zone it has."""

    __slots__ = (
        "destination",
        "destination_port",
        "icmp_code",
        "icmp_id",
        "icmp_type",
        "source",
        "source_port",
        "zone",
    )

    def __init__(self) -> None:
        self.source = b""
        self.destination = b""
        self.source_port: int | None = None
        self.destination_port: int | None = None
        self.icmp_type: int | None = None
        self.icmp_code: int | None = None
        self.icmp_id: int | None = None
        self.zone: int | None = None


class Entry:
    """One connection-tracking entry as the kernel sent it. None means that the message did not say.

    ``family`` is AF_INET or AF_INET6, ``protocol`` and ``state`` are numbers, ``remaining`` is in seconds, ``start``
    in nanoseconds since the epoch, ``labels`` the kernel's bitmap. ``zone`` is 0 unless sent, as in the kernel.
    ``identity`` are the attributes (original tuple, zone, id) that name this entry and no other in a delete.
    """

    __slots__ = (
        "bytes_original",
        "bytes_reply",
        "family",
        "helper",
        "id",
        "identity",
        "labels",
        "mark",
        "original",
        "packets_original",
        "packets_reply",
        "protocol",
        "remaining",
        "reply",
        "secctx",
        "start",
        "state",
        "status",
        "tcp_flags",
        "use",
        "zone",
    )

    def __init__(self, family: int) -> None:
        self.family = family
        self.protocol = 0
        self.original = Direction()
        self.reply = Direction()
        self.identity = b""
        self.zone = 0
        self.status: int | None = None
        self.state: int | None = None
        self.tcp_flags: int | None = None
        self.remaining: int | None = None
        self.mark: int | None = None
        self.packets_original: int | None = None
        self.bytes_original: int | None = None
        self.packets_reply: int | None = None
        self.bytes_reply: int | None = None
        self.start: int | None = None
        self.labels: bytes | None = None
        self.helper: str | None = None
        self.secctx: str | None = None
        self.use: int | None = None
        self.id: int | None = None

    @property
    def protocol_name(self) -> str:
        """The protocol's name as conntrack(8) prints it, or its number as text."""
        return PROTOCOL_NAMES.get(self.protocol, str(self.protocol))

    @property
    def state_name(self) -> str | None:
        """The protocol state's name as conntrack(8) prints it; None where the entry has none."""
        return state_name(self.protocol, self.state)


def state_name(protocol: int, state: int | None) -> str | None:
    """Give the name of a protocol's state as conntrack(8) prints it; None where there is none."""
    names = STATE_NAMES.get(protocol)
    if state is None or names is None:
        return None
    return names[state] if state < len(names) else names[0]


def messages(datagram: Buffer, length: int) -> t.Iterator[Message]:
    """Give the messages in the first ``length`` bytes of a datagram. Raises MalformedError where they do not add up."""
    start = 0
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


def error_of(datagram: Buffer, message: Message) -> int:
    """Give the errno that an NLMSG_ERROR or NLMSG_DONE message carries; 0 is success (and an empty NLMSG_DONE)."""
    if message.end - message.start < HEADER_LENGTH + _ERRNO.size:
        if message.type == NLMSG_DONE:
            return 0
        raise MalformedError("netlink: an error message without its number")
    code: int = _ERRNO.unpack_from(datagram, message.start + HEADER_LENGTH)[0]
    return -code


def _attributes(data: Buffer, start: int, end: int) -> t.Iterator[tuple[int, int, int]]:
    """Give type, start and end of each attribute's value in ``data[start:end]``."""
    while start < end:
        if end - start < 4:
            raise MalformedError(f"netlink: {end - start} bytes are left where an attribute header takes 4")
        size, kind = _NLA.unpack_from(data, start)
        if size < 4 or size > end - start:
            raise MalformedError(
                f"netlink: attribute {kind & NLA_TYPE_MASK} claims {size} bytes, {end - start} are there"
            )
        yield kind & NLA_TYPE_MASK, start + 4, start + size
        start += (size + 3) & ~3


def _number(data: Buffer, start: int, end: int, layout: struct.Struct) -> int:
    """Give the number of an attribute's value, which must have exactly the layout's size."""
    if end - start != layout.size:
        raise MalformedError(f"netlink: a value has {end - start} bytes instead of {layout.size}")
    number: int = layout.unpack_from(data, start)[0]
    return number


def _byte(data: Buffer, start: int, end: int) -> int:
    if end - start != 1:
        raise MalformedError(f"netlink: a value has {end - start} bytes instead of 1")
    return data[start]


def _text(data: Buffer, start: int, end: int) -> str:
    return bytes(data[start:end]).rstrip(b"\0").decode("utf-8", "backslashreplace")


def _address(data: Buffer, start: int, end: int, size: int) -> bytes:
    if end - start != size:
        raise MalformedError(f"netlink: an address has {end - start} bytes instead of {size}")
    return bytes(data[start:end])


def _read_addresses(direction: Direction, data: Buffer, start: int, end: int) -> None:
    """Read enum ctattr_ip."""
    for kind, at, until in _attributes(data, start, end):
        if kind == 1:
            direction.source = _address(data, at, until, 4)
        elif kind == 2:
            direction.destination = _address(data, at, until, 4)
        elif kind == 3:
            direction.source = _address(data, at, until, 16)
        elif kind == 4:
            direction.destination = _address(data, at, until, 16)


def _read_protocol(direction: Direction, data: Buffer, start: int, end: int) -> int | None:
    """Read enum ctattr_l4proto; gives the protocol's number."""
    protocol = None
    for kind, at, until in _attributes(data, start, end):
        if kind == 1:
            protocol = _byte(data, at, until)
        elif kind == 2:
            direction.source_port = _number(data, at, until, _U16)
        elif kind == 3:
            direction.destination_port = _number(data, at, until, _U16)
        elif kind in (4, 7):
            direction.icmp_id = _number(data, at, until, _U16)
        elif kind in (5, 8):
            direction.icmp_type = _byte(data, at, until)
        elif kind in (6, 9):
            direction.icmp_code = _byte(data, at, until)
    return protocol


def _read_tuple(direction: Direction, data: Buffer, start: int, end: int) -> int:
    """Read enum ctattr_tuple; gives the protocol's number."""
    if end - start == _IPV4_PORTS.size:
        ip, to_source, source, to_destination, destination, l4, to_number, number, to_port, port, to_other, other = (
            _IPV4_PORTS.unpack_from(data, start)
        )
        if (ip, to_source, to_destination, l4, to_number, to_port, to_other) == _IPV4_PORTS_HEADERS:
            direction.source, direction.destination = source, destination
            direction.source_port = int.from_bytes(port, "big")
            direction.destination_port = int.from_bytes(other, "big")
            return t.cast(int, number)
    protocol = None
    for kind, at, until in _attributes(data, start, end):
        if kind == 1:
            _read_addresses(direction, data, at, until)
        elif kind == 2:
            protocol = _read_protocol(direction, data, at, until)
        elif kind == 3:
            direction.zone = _number(data, at, until, _U16)
    if protocol is None or not direction.source or not direction.destination:
        raise MalformedError("netlink: a tuple without addresses or protocol")
    return protocol


def _read_state(entry: Entry, data: Buffer, start: int, end: int) -> None:
    """Read enum ctattr_protoinfo: the state, and TCP's flags of both directions joined (nf_conntrack_tcp.h)."""
    for kind, at, until in _attributes(data, start, end):
        if _PROTOINFO_PROTOCOL.get(kind) != entry.protocol:
            continue
        for inner, value, stop in _attributes(data, at, until):
            if inner == 1:
                entry.state = _byte(data, value, stop)
            elif entry.protocol == TCP and inner in (4, 5):
                if stop - value != 2:
                    raise MalformedError("netlink: TCP flags are not a pair of bytes")
                entry.tcp_flags = (entry.tcp_flags or 0) | data[value]


def _counters(data: Buffer, start: int, end: int) -> tuple[int | None, int | None]:
    """Read enum ctattr_counters: packets and bytes, of 64 bits or (old kernels) 32."""
    packets = octets = None
    for kind, at, until in _attributes(data, start, end):
        if kind == 1:
            packets = _number(data, at, until, _U64)
        elif kind == 2:
            octets = _number(data, at, until, _U64)
        elif kind == 3:
            packets = _number(data, at, until, _U32)
        elif kind == 4:
            octets = _number(data, at, until, _U32)
    return packets, octets


def _first(data: Buffer, start: int, end: int) -> tuple[int, int] | None:
    """Give start and end of the attribute of type 1: the helper's name, the security context, the starting time."""
    for kind, at, until in _attributes(data, start, end):
        if kind == 1:
            return at, until
    return None


def decode_entry(data: Buffer, message: Message) -> Entry:
    """Decode one entry of a dump. Raises MalformedError for a message whose lengths or sizes do not add up."""
    if message.end - message.start < _ATTRIBUTES_AT:
        raise MalformedError("netlink: an entry without its family")
    entry = Entry(data[message.start + HEADER_LENGTH])
    identity: dict[int, bytes] = {}
    protoinfo: tuple[int, int] | None = None
    for kind, at, until in _attributes(data, message.start + _ATTRIBUTES_AT, message.end):
        if kind == _TUPLE_ORIG:
            entry.protocol = _read_tuple(entry.original, data, at, until)
            identity[kind] = bytes(data[at - 4 : until])
        elif kind == _TUPLE_REPLY:
            _read_tuple(entry.reply, data, at, until)
        elif kind == _STATUS:
            entry.status = _number(data, at, until, _U32)
        elif kind == _TIMEOUT:
            entry.remaining = _number(data, at, until, _U32)
        elif kind == _PROTOINFO:
            protoinfo = at, until
        elif kind == _COUNTERS_ORIG:
            entry.packets_original, entry.bytes_original = _counters(data, at, until)
        elif kind == _COUNTERS_REPLY:
            entry.packets_reply, entry.bytes_reply = _counters(data, at, until)
        elif kind == _MARK:
            entry.mark = _number(data, at, until, _U32)
        elif kind == _ID:
            entry.id = _number(data, at, until, _U32)
            identity[kind] = bytes(data[at - 4 : until])
        elif kind == _ZONE:
            entry.zone = _number(data, at, until, _U16)
            identity[kind] = bytes(data[at - 4 : until]) + b"\0\0"
        elif kind == _USE:
            entry.use = _number(data, at, until, _U32)
        else:
            _read_rare(entry, kind, data, at, until)
    if not entry.original.source or not entry.reply.source:
        raise MalformedError("netlink: an entry without its two tuples")
    if protoinfo is not None:
        _read_state(entry, data, *protoinfo)
    entry.identity = b"".join(identity[kind] for kind in sorted(identity))
    return entry


def _read_rare(entry: Entry, kind: int, data: Buffer, at: int, until: int) -> None:
    """Read an attribute that few entries have, or step over one that is not known."""
    if kind == _LABELS:
        entry.labels = bytes(data[at:until])
    elif kind == _TIMESTAMP:
        value = _first(data, at, until)
        if value is not None:
            entry.start = _number(data, *value, _U64)
    elif kind == _HELP:
        value = _first(data, at, until)
        if value is not None:
            entry.helper = _text(data, *value)
    elif kind == _SECCTX:
        value = _first(data, at, until)
        if value is not None:
            entry.secctx = _text(data, *value)


def decode_cpu_stats(data: Buffer, message: Message) -> tuple[int, dict[str, int]]:
    """Decode one processor's counters: its number, and the counters that this kernel sends (32 bits: they wrap)."""
    if message.end - message.start < _ATTRIBUTES_AT:
        raise MalformedError("netlink: statistics without their processor")
    cpu = _NFGENMSG.unpack_from(data, message.start + HEADER_LENGTH)[2]
    counters = {
        CPU_STATS[kind]: _number(data, at, until, _U32)
        for kind, at, until in _attributes(data, message.start + _ATTRIBUTES_AT, message.end)
        if kind in CPU_STATS
    }
    return cpu, counters


def encode_request(kind: int, flags: int, sequence: int, family: int = socket.AF_UNSPEC) -> bytes:
    """Encode a request without attributes, such as a dump of the whole table (nfgenmsg version 0)."""
    return _NLMSGHDR.pack(_ATTRIBUTES_AT, kind, NLM_F_REQUEST | flags, sequence, 0) + _NFGENMSG.pack(family, 0, 0)


def encode_delete(family: int, identity: bytes, flags: int, sequence: int) -> bytes:
    """Encode the delete of the one entry that ``identity`` (see Entry) names.

    A delete without a tuple would flush the table: an identity that does not begin with one raises ValueError.
    """
    if len(identity) < 8 or _NLA.unpack_from(identity)[1] & NLA_TYPE_MASK != _TUPLE_ORIG:
        raise ValueError("a delete must begin with the original tuple of an entry")
    length = _ATTRIBUTES_AT + len(identity)
    header = _NLMSGHDR.pack(length, CT_DELETE, NLM_F_REQUEST | flags, sequence, 0)
    return header + _NFGENMSG.pack(family, 0, 0) + identity

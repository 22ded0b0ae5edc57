# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Where each field is in the message of a connection-tracking entry.

The kernel sends an entry as a message: headers of attributes, each with its value. Every header is one aligned word of
32 bits, and every value begins at a word. A row is such a message, padded to whole words. These are three rows,
simplified (H is a header, the other words are values):

           word 0  1  2  3         4  5            6  7
    row 0       H  H  H  10.0.0.5  H  ESTABLISHED  H  432000
    row 1       H  H  H  10.0.0.9  H  SYN_SENT     H  120
    row 2       H  H  H  10.0.0.5  H  ESTABLISHED  H  299
                         ^ source     ^ state         ^ remaining

A `Layout` is learned from one row by walking through its attributes. It says at which bytes each field is. The words
that decided this are its structure: the headers, the family and the protocols. Every row with the same structure has
the same layout, so it is not walked through again. There is no other way to decode an entry.

Many rows of one layout are a block (_table.block): a field of all of them is a column, a slice with the row's length as
its stride. Rows are sorted into blocks by their structure (_table.decoder). docs/glossary.md has these words.

All numbers inside attributes are in network order. Labels are not numbers but the kernel's bitmap, as it is in memory.
Attributes that are not in the schema below are stepped over. See linux/netfilter/nfnetlink_conntrack.h.
"""

from __future__ import annotations

import functools
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._entry.entry import FIELDS, Entry
from ansible_collections.netops.conntrack.plugins.module_utils._errors import MalformedError
from ansible_collections.netops.conntrack.plugins.module_utils._netlink import framing


class Encoding(t.NamedTuple):
    """What the bytes of a value mean, and the function that decodes them."""

    name: str
    decode: t.Callable[[bytes], t.Any]


def _decode_text(value: bytes) -> str:
    return value.rstrip(b"\0").decode("utf-8", "backslashreplace")


decode_number: t.Callable[[bytes], int] = functools.partial(int.from_bytes, byteorder="big")

NUMBER = Encoding("number", decode_number)
BYTES = Encoding("bytes", bytes)
TEXT = Encoding("text", _decode_text)


class Field(t.NamedTuple):
    """What the value of an attribute is: a field of the entry. It has one of the ``sizes``. Without any, every size."""

    name: str
    encoding: Encoding
    sizes: tuple[int, ...] = ()


Schema = t.Mapping[int, t.Union[Field, "Schema"]]
"""What the attributes of each type hold: a field, or attributes again."""


def _number(name: str, size: int) -> Field:
    return Field(name, NUMBER, (size,))


def _text(name: str) -> Field:
    return Field(name, TEXT)


def _address(name: str, size: int) -> Field:
    return Field(name, BYTES, (size,))


def tuple_schema(prefix: str, zone: str) -> Schema:
    """Return the schema of the tuple of one direction. The names of its fields begin with ``prefix``."""
    addresses = {
        _uapi.CTA_IP_V4_SRC: _address(f"{prefix}source", 4),
        _uapi.CTA_IP_V4_DST: _address(f"{prefix}destination", 4),
        _uapi.CTA_IP_V6_SRC: _address(f"{prefix}source", 16),
        _uapi.CTA_IP_V6_DST: _address(f"{prefix}destination", 16),
    }
    protocol = {
        _uapi.CTA_PROTO_NUM: _number(f"{prefix}protocol", 1),
        _uapi.CTA_PROTO_SRC_PORT: _number(f"{prefix}source_port", 2),
        _uapi.CTA_PROTO_DST_PORT: _number(f"{prefix}destination_port", 2),
        _uapi.CTA_PROTO_ICMP_ID: _number(f"{prefix}icmp_id", 2),
        _uapi.CTA_PROTO_ICMP_TYPE: _number(f"{prefix}icmp_type", 1),
        _uapi.CTA_PROTO_ICMP_CODE: _number(f"{prefix}icmp_code", 1),
        _uapi.CTA_PROTO_ICMPV6_ID: _number(f"{prefix}icmp_id", 2),
        _uapi.CTA_PROTO_ICMPV6_TYPE: _number(f"{prefix}icmp_type", 1),
        _uapi.CTA_PROTO_ICMPV6_CODE: _number(f"{prefix}icmp_code", 1),
    }
    return {
        _uapi.CTA_TUPLE_IP: addresses,
        _uapi.CTA_TUPLE_PROTO: protocol,
        _uapi.CTA_TUPLE_ZONE: _number(zone, 2),
    }


def _counters_schema(direction: str) -> Schema:
    """Return the schema of the counters of one direction: 64 bits, or 32 of old kernels."""
    packets, byte_count = f"packets_{direction}", f"bytes_{direction}"
    return {
        _uapi.CTA_COUNTERS_PACKETS: _number(packets, 8),
        _uapi.CTA_COUNTERS_BYTES: _number(byte_count, 8),
        _uapi.CTA_COUNTERS32_PACKETS: _number(packets, 4),
        _uapi.CTA_COUNTERS32_BYTES: _number(byte_count, 4),
    }


_STATE_FIELDS = {_uapi.TCP: "state_tcp", _uapi.DCCP: "state_dccp", _uapi.SCTP: "state_sctp"}

STOP = "stop"
"""What only the event of an entry's end has: when that was. No field of Entry, as entries of a table have none."""

_ENTRY: Schema = {
    _uapi.CTA_TUPLE_ORIG: tuple_schema("", "zone_original"),
    _uapi.CTA_TUPLE_REPLY: tuple_schema("reply_", "zone_reply"),
    _uapi.CTA_STATUS: _number("status", 4),
    _uapi.CTA_PROTOINFO: {
        _uapi.CTA_PROTOINFO_TCP: {_uapi.CTA_PROTOINFO_TCP_STATE: _number("state_tcp", 1)},
        _uapi.CTA_PROTOINFO_DCCP: {
            _uapi.CTA_PROTOINFO_DCCP_STATE: _number("state_dccp", 1),
            _uapi.CTA_PROTOINFO_DCCP_ROLE: _number("dccp_role", 1),
        },
        _uapi.CTA_PROTOINFO_SCTP: {
            _uapi.CTA_PROTOINFO_SCTP_STATE: _number("state_sctp", 1),
            _uapi.CTA_PROTOINFO_SCTP_VTAG_ORIGINAL: _number("vtag_original", 4),
            _uapi.CTA_PROTOINFO_SCTP_VTAG_REPLY: _number("vtag_reply", 4),
        },
    },
    _uapi.CTA_HELP: {_uapi.CTA_HELP_NAME: _text("helper")},
    _uapi.CTA_TIMEOUT: _number("remaining", 4),
    _uapi.CTA_MARK: _number("mark", 4),
    _uapi.CTA_COUNTERS_ORIG: _counters_schema("original"),
    _uapi.CTA_COUNTERS_REPLY: _counters_schema("reply"),
    _uapi.CTA_USE: _number("use", 4),
    _uapi.CTA_ID: _number("id", 4),
    _uapi.CTA_ZONE: _number("zone", 2),
    _uapi.CTA_SECCTX: {_uapi.CTA_SECCTX_NAME: _text("secctx")},
    _uapi.CTA_TIMESTAMP: {
        _uapi.CTA_TIMESTAMP_START: _number("start", 8),
        _uapi.CTA_TIMESTAMP_STOP: _number(STOP, 8),
    },
    _uapi.CTA_LABELS: Field("labels", BYTES),
}

_REQUIRED = ("source", "destination", "protocol", "reply_source", "reply_destination", "reply_protocol")
"""The fields without which a message is no entry."""

_IDENTITY = (_uapi.CTA_TUPLE_ORIG, _uapi.CTA_ID, _uapi.CTA_ZONE)
"""The attributes that name an entry in a request, in the order in which they are sent."""


class FieldSpan(t.NamedTuple):
    """Where a field's value begins and ends in a row, in bytes, and what these bytes mean."""

    start: int
    end: int
    encoding: Encoding


class Layout:
    """Where everything is in the rows of entries that have the same fields, of the same sizes and order.

    ``size`` is the number of bytes of such a row. ``fields`` has the span of each field that it has. ``constants`` is
    what all these entries have in common: the family, the protocol, whether they have ports, and the value of each
    field that they lack (None, and 0 of ``zone``).
    ``structure`` has number and bytes of each word that makes it this layout: the headers, the family and the
    protocols. ``identity`` are the numbers of the words that name an entry in a request: its original tuple, its id and
    its zone, as they were sent. Rows that are no messages of the kernel have neither.
    """

    def __init__(
        self,
        size: int,
        fields: dict[str, FieldSpan],
        constants: dict[str, t.Any],
        structure: tuple[tuple[int, bytes], ...] = (),
        identity: tuple[int, ...] = (),
    ) -> None:
        self.size = size
        self.fields = fields
        self.constants = constants
        self.structure = structure
        self.identity = identity

    @classmethod
    def of_message(cls, row: bytes) -> Layout:
        """Learn the layout of a message. Raises MalformedError if lengths or sizes in it do not add up."""
        learned = _Learned(row)
        structure = tuple((number, words_of(row, [number])) for number in sorted(learned.headers))
        identity = tuple(number for kind in _IDENTITY for number in learned.spans.get(kind, ()))
        return cls(len(row), learned.fields, learned.constants, structure, identity)

    def entry(self, row: bytes, names: t.Iterable[str] = FIELDS) -> Entry:
        """Decode the fields ``names`` of a row of this layout."""
        fields = {}
        for name in names:
            span = self.fields.get(name)
            if span is None:
                fields[name] = self.constants[name]
            else:
                fields[name] = span.encoding.decode(row[span.start : span.end])
        return Entry(**fields)

    def identity_of(self, row: bytes) -> bytes:
        """Return the bytes of a row that name its entry: its original tuple, id and zone."""
        return words_of(row, self.identity)


def constants_of(family: int, has_ports: bool) -> dict[str, t.Any]:
    """Return what entries have in common of whose fields nothing is known yet, but for their protocol."""
    return {**dict.fromkeys(FIELDS), "zone": 0, "has_ports": has_ports, "family": family}


class _Learned:
    """What a message says of its layout. ``headers`` are the numbers of the words that make it this layout.

    ``spans`` has the words of each attribute that names an entry. Raises MalformedError if lengths or sizes do not add
    up.
    """

    def __init__(self, row: bytes) -> None:
        if len(row) < framing.ATTRIBUTES_AT:
            raise MalformedError("netlink: an entry without its family")
        self.fields: dict[str, FieldSpan] = {}
        self.headers = set(range(framing.ATTRIBUTES_AT // framing.WORD.size))
        self.spans: dict[int, range] = {}
        message_length = _word(row, 0)
        self._walk(_ENTRY, row, framing.ATTRIBUTES_AT, message_length)
        self.constants = constants_of(row[framing.HEADER_LENGTH], "source_port" in self.fields)
        self._settle_protocol(row)
        settle_zone(self.fields)

    def _walk(self, schema: Schema, row: bytes, start: int, end: int) -> None:
        """Note each header and each known value between ``start`` and ``end``. Step over what is not known."""
        for kind, value_start, value_end in framing.walk(row, start, end):
            header = value_start // framing.WORD.size - 1
            self.headers.add(header)
            if schema is _ENTRY and kind in _IDENTITY:
                self.spans[kind] = range(header, _words(value_end))
            known = schema.get(kind)
            if isinstance(known, Field):
                self._note(known, value_start, value_end)
            elif known is not None:
                self._walk(known, row, value_start, value_end)

    def _note(self, field: Field, start: int, end: int) -> None:
        """Note the span of a field. Raises MalformedError if it has another size than it can have."""
        size = end - start
        if field.sizes and size not in field.sizes:
            raise MalformedError(f"netlink: {field.name} has {size} bytes instead of {field.sizes[0]}")
        self.fields[field.name] = FieldSpan(start, end, field.encoding)

    def _settle_protocol(self, row: bytes) -> None:
        """Make the protocol part of the structure, and take the state of this protocol alone."""
        for name in _REQUIRED:
            if name not in self.fields:
                raise MalformedError(f"netlink: an entry without its {name}")
        span = self.fields.pop("protocol")
        reply_span = self.fields.pop("reply_protocol")
        self.headers.add(span.start // framing.WORD.size)
        self.headers.add(reply_span.start // framing.WORD.size)
        protocol = row[span.start]
        self.constants["protocol"] = protocol
        states = {name: self.fields.pop(name) for name in _STATE_FIELDS.values() if name in self.fields}
        own_state = states.get(_STATE_FIELDS.get(protocol, ""))
        if own_state is not None:
            self.fields["state"] = own_state


def settle_zone(fields: dict[str, FieldSpan]) -> None:
    """Read the entry's zone from where it was sent.

    An entry has one zone (struct nf_conntrack_zone). The kernel sends it inside a tuple if it holds for that direction
    only (ctnetlink_fill_info() in net/netfilter/nf_conntrack_netlink.c).
    """
    for name in ("zone_original", "zone_reply"):
        if name in fields:
            fields.setdefault("zone", fields[name])


def _word(row: bytes, number: int) -> int:
    word: int = framing.WORD.unpack_from(row, number * framing.WORD.size)[0]
    return word


def words_of(row: bytes, numbers: t.Iterable[int]) -> bytes:
    """Return the words of a row that have these numbers."""
    return b"".join(row[4 * number : 4 * number + 4] for number in numbers)


def _words(byte_count: int) -> int:
    """Return how many words so many bytes take."""
    return (byte_count + framing.WORD.size - 1) // framing.WORD.size

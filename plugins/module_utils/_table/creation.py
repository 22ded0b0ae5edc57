# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The requests that make entries, and never change one that is there.

The entries of a block differ in a few words only, so a batch of requests is one template, repeated, with these words
put in as columns (as in _table.requests). Which attributes the kernel takes of a new entry is in
ctnetlink_create_conntrack() in net/netfilter/nf_conntrack_netlink.c.

With translation, the kernel has to be asked for it (ctnetlink_setup_nat()), as it sets the bits of the status itself,
and only where it changes the reply tuple (nf_nat_setup_info() in nf_nat_core.c). So the reply tuple that is sent has an
address that is not the translated one. The ranges of both directions are one address and one port, and the tuple that
is sent has these ports already. Then the kernel looks for no other port, and ends no entry that has the port: where
another entry has the reply tuple, the new one is refused (nf_conntrack_hash_check_insert()).
"""

from __future__ import annotations

import array
import contextlib
import itertools
import struct
import sys
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._netlink import framing
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block
from ansible_collections.netops.conntrack.plugins.module_utils._table.requests import BATCH, Batch, numbered

_WORD = framing.WORD.size
_ENCODED = 64 * BATCH
"""So many requests are encoded at once."""

_FLAGS = _uapi.NLM_F_CREATE | _uapi.NLM_F_EXCL
_KEPT_BITS = _uapi.SEEN_REPLY | _uapi.ASSURED | _uapi.FIXED_TIMEOUT
"""The bits of the status that a new entry can be given. The kernel sets the others itself, or refuses them."""

_NAT_BITS = _uapi.SRC_NAT | _uapi.DST_NAT
_TCP_CLOSED = frozenset(map(_uapi.STATE_NAMES[_uapi.TCP].index, ("TIME_WAIT", "CLOSE")))
_HELPER_BYTES = 16  # NF_CT_HELPER_NAME_LEN in net/netfilter/nf_conntrack_helper.h, with the byte that ends it
_CLIENT = b"\0"
"""The role in DCCP of who began the connection, in DCCP_ROLE_NAMES."""

_INVERTED = bytes(255 - byte for byte in range(256))


def parts_of(block: Block) -> t.Iterator[Block]:
    """Yield the rows in parts of one status and one state, which decide what a request is made of."""
    columns = [block.numbers(name) for name in ("status", "state") if name in block.layout.fields]
    if all(column.count(column[0]) == len(column) for column in columns):
        yield block
        return
    keys = list(zip(*columns))
    for key in set(keys):
        yield block.where(each == key for each in keys)


def batches(block: Block, sequence: int) -> t.Iterator[Batch]:
    """Yield the requests that make the entries of a part, numbered from ``sequence``.

    Each entry must have its remaining time. A request is refused with EEXIST where an entry has one of its tuples.
    """
    template = _Template(block, _uapi.CT_NEW, _FLAGS)
    _write_entry(template)
    yield from template.batches(sequence)


def look_ups(block: Block, sequence: int) -> t.Iterator[Batch]:
    """Yield the requests that look up the entries which have the original tuples of these, whatever their ids."""
    template = _Template(block, _uapi.CT_GET, 0)
    _write_original(template)
    _write_zone(template)
    yield from template.batches(sequence)


class _Template:
    """A request, with the words that differ from entry to entry."""

    def __init__(self, block: Block, kind: int, flags: int) -> None:
        self.block = block
        self.fields = block.layout.fields
        self.constants = block.layout.constants
        self.is_six = _uapi.FAMILY_NAMES[self.constants["family"]] == "ipv6"
        self.status = next(iter(block.column("status"))) or 0
        self._message = bytearray(framing.encode_request(kind, flags, 0, self.constants["family"]))
        self._columns: list[tuple[int, array.array[int]]] = []

    @property
    def protocol(self) -> int:
        """The protocol of all entries."""
        protocol: int = self.constants["protocol"]
        return protocol

    @contextlib.contextmanager
    def nest(self, kind: int) -> t.Iterator[None]:
        """Put what the body adds into an attribute of this type."""
        start = len(self._message)
        self._message += bytes(_WORD)
        yield
        struct.pack_into("=HH", self._message, start, len(self._message) - start, kind | _uapi.NLA_F_NESTED)

    def constant(self, kind: int, value: bytes) -> None:
        """Add an attribute that is the same for all entries."""
        self._message += framing.encode_attribute(kind, value)

    def columns(self, kind: int, size: int, columns: t.Iterable[array.array[int]]) -> None:
        """Add an attribute of ``size`` bytes, whose words are these columns."""
        self.constant(kind, bytes(size))
        columns = list(columns)
        first = len(self._message) // _WORD - len(columns)
        self._columns += zip(itertools.count(first), columns)

    def field(self, kind: int, name: str, most: int = sys.maxsize) -> None:
        """Add a field of the entries, at most so many bytes of it, if they have it."""
        if name in self.fields:
            span = self.fields[name]
            self.columns(kind, min(span.end - span.start, most), self.block.word_columns(name, most))

    def field_or(self, kind: int, name: str, default: bytes) -> None:
        """Add a field, or the same value for all entries if they do not have it."""
        if name in self.fields:
            self.field(kind, name)
        else:
            self.constant(kind, default)

    def batches(self, sequence: int) -> t.Iterator[Batch]:
        """Yield the requests for all entries, numbered from ``sequence``."""
        template = array.array("I", bytes(self._message))
        template[0] = len(self._message)
        width, size = len(template), len(self._message)
        for start in range(0, len(self.block), _ENCODED):
            number = min(_ENCODED, len(self.block) - start)
            words = template * number
            for place, column in self._columns:
                words[place::width] = column[start : start + number]
            datagrams = memoryview(numbered(words, width, number, sequence + start)).cast("B")
            for at in range(0, number, BATCH):
                until = min(at + BATCH, number)
                yield Batch(datagrams[at * size : until * size], sequence + start + at, until - at)


def _write_entry(template: _Template) -> None:
    """Write all that the kernel takes of a new entry."""
    _write_original(template)
    with template.nest(_uapi.CTA_TUPLE_REPLY):
        _write_addresses(template, *_untranslated(template))
        _write_protocol(template, "reply_")
        template.field(_uapi.CTA_TUPLE_ZONE, "zone_reply")
    _write_zone(template)
    template.field(_uapi.CTA_TIMEOUT, "remaining")
    template.constant(_uapi.CTA_STATUS, struct.pack("!I", template.status & _KEPT_BITS | _uapi.CONFIRMED))
    if template.status & _NAT_BITS:
        _write_translation(template, _uapi.CTA_NAT_DST, "reply_source")
        _write_translation(template, _uapi.CTA_NAT_SRC, "reply_destination")
    _write_state(template)
    template.field(_uapi.CTA_MARK, "mark")
    template.field(_uapi.CTA_LABELS, "labels")
    if "helper" in template.fields:
        with template.nest(_uapi.CTA_HELP):
            template.field(_uapi.CTA_HELP_NAME, "helper", _HELPER_BYTES)


def _write_original(template: _Template) -> None:
    with template.nest(_uapi.CTA_TUPLE_ORIG):
        _write_addresses(template, template.block.word_columns("source"), template.block.word_columns("destination"))
        _write_protocol(template, "")
        template.field(_uapi.CTA_TUPLE_ZONE, "zone_original")


def _write_zone(template: _Template) -> None:
    """Write a zone of both directions. One of a single direction is in its tuple."""
    if "zone_original" not in template.fields and "zone_reply" not in template.fields:
        template.field(_uapi.CTA_ZONE, "zone")


def _write_addresses(
    template: _Template, source: t.Sequence[array.array[int]], destination: t.Sequence[array.array[int]]
) -> None:
    kinds = (_uapi.CTA_IP_V4_SRC, _uapi.CTA_IP_V4_DST)
    if template.is_six:
        kinds = (_uapi.CTA_IP_V6_SRC, _uapi.CTA_IP_V6_DST)
    with template.nest(_uapi.CTA_TUPLE_IP):
        for kind, words in zip(kinds, (source, destination)):
            template.columns(kind, len(words) * _WORD, words)


def _untranslated(template: _Template) -> t.Iterator[list[array.array[int]]]:
    """Yield the addresses of the reply, each of which is another one where it is translated."""
    for name, bit in (("reply_source", _uapi.DST_NAT), ("reply_destination", _uapi.SRC_NAT)):
        *words, last = template.block.word_columns(name)
        if template.status & bit:
            last = array.array("I", last.tobytes().translate(_INVERTED))
        yield [*words, last]


def _write_protocol(template: _Template, prefix: str) -> None:
    """Write the protocol of a direction, with its ports, keys or the numbers of ICMP."""
    with template.nest(_uapi.CTA_TUPLE_PROTO):
        template.constant(_uapi.CTA_PROTO_NUM, bytes([template.protocol]))
        if "source_port" in template.fields:
            template.field(_uapi.CTA_PROTO_SRC_PORT, f"{prefix}source_port")
            template.field(_uapi.CTA_PROTO_DST_PORT, f"{prefix}destination_port")
        elif template.protocol in _uapi.ICMP_PROTOCOLS:
            _write_icmp(template, prefix)


def _write_icmp(template: _Template, prefix: str) -> None:
    is_icmp = template.protocol == _uapi.ICMP
    kinds = (_uapi.CTA_PROTO_ICMP_ID, _uapi.CTA_PROTO_ICMP_TYPE, _uapi.CTA_PROTO_ICMP_CODE)
    if not is_icmp:
        kinds = (_uapi.CTA_PROTO_ICMPV6_ID, _uapi.CTA_PROTO_ICMPV6_TYPE, _uapi.CTA_PROTO_ICMPV6_CODE)
    template.field(kinds[0], _of_icmp(template, f"{prefix}icmp_id"))
    if prefix:
        template.columns(kinds[1], 1, [reply_types(template.block)])
    else:
        template.field(kinds[1], "icmp_type")
    template.field(kinds[2], _of_icmp(template, f"{prefix}icmp_code"))


def _of_icmp(template: _Template, name: str) -> str:
    """Return the field of that name. Without one, the reply has that of the other direction."""
    return name if name in template.fields else name.removeprefix("reply_")


def reply_types(block: Block) -> array.array[int]:
    """Return the column with the types of the replies of ICMP. The kernel refuses a type that has none."""
    types = _uapi.ICMP_REPLY_TYPES[block.layout.constants["protocol"]]
    table = bytes(types.get(byte, byte) for byte in range(256))
    words = bytearray(_WORD * len(block))
    words[::_WORD] = bytes(block.numbers("icmp_type")).translate(table)
    return array.array("I", bytes(words))


def _write_translation(template: _Template, kind: int, address: str) -> None:
    """Write the one address and the one port that a direction is translated to, or stays at."""
    ends = (_uapi.CTA_NAT_V4_MINIP, _uapi.CTA_NAT_V4_MAXIP)
    if template.is_six:
        ends = (_uapi.CTA_NAT_V6_MINIP, _uapi.CTA_NAT_V6_MAXIP)
    port = f"{address}_port"
    if template.protocol in _uapi.ICMP_PROTOCOLS:
        port = _of_icmp(template, "reply_icmp_id")
    with template.nest(kind):
        for end in ends:
            template.field(end, address)
        if port in template.fields:
            with template.nest(_uapi.CTA_NAT_PROTO):
                template.field(_uapi.CTA_PROTONAT_PORT_MIN, port)
                template.field(_uapi.CTA_PROTONAT_PORT_MAX, port)


def _write_state(template: _Template) -> None:
    """Write the protocol's state, and what else the kernel needs to accept the next packet of the connection."""
    if "state" not in template.fields:
        return
    with template.nest(_uapi.CTA_PROTOINFO):
        if template.protocol == _uapi.TCP:
            _write_tcp(template)
        elif template.protocol == _uapi.SCTP:
            _write_sctp(template)
        elif template.protocol == _uapi.DCCP:
            with template.nest(_uapi.CTA_PROTOINFO_DCCP):
                template.field(_uapi.CTA_PROTOINFO_DCCP_STATE, "state")
                template.field_or(_uapi.CTA_PROTOINFO_DCCP_ROLE, "dccp_role", _CLIENT)


def _write_tcp(template: _Template) -> None:
    """Write the state of TCP. No listing has the windows, so a packet outside of them must not be invalid.

    These are the flags that conntrack(8) and conntrackd set. A connection that was closed may begin anew.
    """
    flags = _uapi.TCP_FLAG_BE_LIBERAL | _uapi.TCP_FLAG_SACK_PERM
    if next(iter(template.block.column("state"))) in _TCP_CLOSED:
        flags |= _uapi.TCP_FLAG_CLOSE_INIT
    with template.nest(_uapi.CTA_PROTOINFO_TCP):
        template.field(_uapi.CTA_PROTOINFO_TCP_STATE, "state")
        for kind in (_uapi.CTA_PROTOINFO_TCP_FLAGS_ORIGINAL, _uapi.CTA_PROTOINFO_TCP_FLAGS_REPLY):
            template.constant(kind, bytes([flags, flags]))


def _write_sctp(template: _Template) -> None:
    """Write the state of SCTP, and both tags. The kernel takes a tag of 0 from the next packet."""
    with template.nest(_uapi.CTA_PROTOINFO_SCTP):
        template.field(_uapi.CTA_PROTOINFO_SCTP_STATE, "state")
        tags = {
            _uapi.CTA_PROTOINFO_SCTP_VTAG_ORIGINAL: "vtag_original",
            _uapi.CTA_PROTOINFO_SCTP_VTAG_REPLY: "vtag_reply",
        }
        for kind, name in tags.items():
            template.field_or(kind, name, bytes(4))

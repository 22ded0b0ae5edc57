# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""An entry as people and programs read it: a dict, a line of NDJSON, or of CSV."""

from __future__ import annotations

import csv
import io
import json
import socket
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._entry.entry import Entry, label_bits
from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeouts import IDLE_FIELDS, age, idle
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block
from ansible_collections.netops.conntrack.plugins.module_utils._uapi import (
    ASSURED,
    DST_NAT,
    EXPECTED,
    GRE,
    HW_OFFLOAD,
    OFFLOAD,
    SEEN_REPLY,
    SRC_NAT,
    STATUS_NAMES,
)


class Reader(t.NamedTuple):
    """What gives a field of an entry, and the fields of Entry that it reads for that."""

    fields: tuple[str, ...]
    read: t.Callable[[Entry, Context], t.Any]


def _plain(name: str) -> Reader:
    return Reader((name,), lambda entry, _context: getattr(entry, name))


def _has(name: str, bits: int) -> Reader:
    return Reader(("status",), lambda e, c: c.has_bits(e, name, bits))


def _bits(name: str, names: t.Mapping[int, str]) -> Reader:
    def read(entry: Entry, context: Context) -> list[str] | None:
        status = entry.status
        if status is None or name in context.unlisted:
            return None
        return [bit_name for bit, bit_name in names.items() if status & bit]

    return Reader(("status",), read)


def _address(name: str) -> Reader:
    return Reader((name,), lambda e, _c: address_text(getattr(e, name)))


def address_text(address: bytes) -> str:
    """Return a packed address as text."""
    family = socket.AF_INET if len(address) == 4 else socket.AF_INET6
    return socket.inet_ntop(family, address)


# The kernel sends the keys of GRE in the attributes of ports.


def _port(name: str) -> Reader:
    return Reader(("protocol", name), lambda e, _c: None if e.protocol == GRE else getattr(e, name))


def _key(name: str) -> Reader:
    return Reader(("protocol", name), lambda e, _c: getattr(e, name) if e.protocol == GRE else None)


def _sum(original: str, reply: str) -> Reader:
    """Make the reader of a sum of both directions, which is None where one of them is unknown."""

    def read(entry: Entry, _context: Context) -> int | None:
        one, other = getattr(entry, original), getattr(entry, reply)
        return None if one is None or other is None else one + other

    return Reader((original, reply), read)


def _labels(entry: Entry, context: Context) -> list[int] | None:
    """Return the numbers of the entry's labels, which are the bits that are set in its bitmap."""
    if entry.labels is None and "labels" in context.unlisted:
        return None
    bits = label_bits(entry.labels)
    return [number for number in range(bits.bit_length()) if bits >> number & 1]


FIELDS: dict[str, Reader] = {
    "family": Reader(("family",), lambda e, _c: e.family_name),
    "protocol": Reader(("protocol",), lambda e, _c: e.protocol_name),
    "protocol_number": _plain("protocol"),
    "state": Reader(("protocol", "state"), lambda e, _c: e.state_name),
    "status": _bits("status", STATUS_NAMES),
    "replied": _has("replied", SEEN_REPLY),
    "assured": _has("assured", ASSURED),
    "offloaded": _has("offloaded", OFFLOAD | HW_OFFLOAD),
    "expected": _has("expected", EXPECTED),
    "nat": _bits("nat", {SRC_NAT: "snat", DST_NAT: "dnat"}),
    "source": _address("source"),
    "destination": _address("destination"),
    "source_port": _port("source_port"),
    "destination_port": _port("destination_port"),
    "reply_source": _address("reply_source"),
    "reply_destination": _address("reply_destination"),
    "reply_source_port": _port("reply_source_port"),
    "reply_destination_port": _port("reply_destination_port"),
    "icmp_type": _plain("icmp_type"),
    "icmp_code": _plain("icmp_code"),
    "icmp_id": _plain("icmp_id"),
    "reply_icmp_type": _plain("reply_icmp_type"),
    "reply_icmp_code": _plain("reply_icmp_code"),
    "reply_icmp_id": _plain("reply_icmp_id"),
    "mark": _plain("mark"),
    "zone": _plain("zone"),
    "zone_original": _plain("zone_original"),
    "zone_reply": _plain("zone_reply"),
    "labels": Reader(("labels",), _labels),
    "helper": _plain("helper"),
    "packets_original": _plain("packets_original"),
    "bytes_original": _plain("bytes_original"),
    "packets_reply": _plain("packets_reply"),
    "bytes_reply": _plain("bytes_reply"),
    "packets": _sum("packets_original", "packets_reply"),
    "bytes": _sum("bytes_original", "bytes_reply"),
    "remaining": _plain("remaining"),
    "idle": Reader(tuple(IDLE_FIELDS), lambda e, c: idle(e, c.timeouts)),
    "age": Reader(("start",), lambda e, c: age(e.start, c.timeouts)),
    "id": _plain("id"),
}
"""How each field of an entry is read; None is unknown, times are in seconds."""

GRE_FIELDS: dict[str, Reader] = {
    "source_key": _key("source_port"),
    "destination_key": _key("destination_port"),
    "reply_source_key": _key("reply_source_port"),
    "reply_destination_key": _key("reply_destination_port"),
}
"""The fields that only entries of GRE have."""

ALL_FIELDS = {**FIELDS, **GRE_FIELDS}


def as_dict(entry: Entry, context: Context) -> dict[str, t.Any]:
    """Return the entry as a dict with the keys of FIELDS, and for GRE those of GRE_FIELDS too."""
    fields = ALL_FIELDS if entry.protocol == GRE else FIELDS
    return {name: reader.read(entry, context) for name, reader in fields.items()}


def ndjson_lines(block: Block, context: Context) -> t.Iterator[str]:
    """Return the dict of each entry as one line of JSON."""
    return (json.dumps(as_dict(entry, context), separators=(",", ":")) for entry in block.entries())


def csv_header() -> str:
    """Return the names of the columns of ``csv_lines``."""
    return _csv_line(ALL_FIELDS)


def csv_lines(block: Block, context: Context) -> t.Iterator[str]:
    """Yield the fields of each entry as one line of CSV (RFC 4180): unknown is empty, a list is spaced items."""
    for entry in block.entries():
        values = (reader.read(entry, context) for reader in ALL_FIELDS.values())
        cells = (" ".join(map(str, value)) if isinstance(value, list) else value for value in values)
        yield _csv_line(cells)


def _csv_line(values: t.Iterable[t.Any]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(values)
    return line.getvalue()

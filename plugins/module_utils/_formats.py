# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""An entry as people and programs read it: a dict, a line of ``conntrack -L -o extended``, of NDJSON, or of CSV."""

from __future__ import annotations

import csv
import io
import json
import socket
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._idle import idle
from ansible_collections.netops.conntrack.plugins.module_utils._selector import Context, age, label_bits
from ansible_collections.netops.conntrack.plugins.module_utils._wire import (
    ASSURED,
    DST_NAT,
    EXPECTED,
    FAMILY_NAMES,
    GRE,
    HW_OFFLOAD,
    ICMP_PROTOCOLS,
    OFFLOAD,
    PORT_PROTOCOLS,
    PROTOCOL_NAMES,
    SEEN_REPLY,
    SRC_NAT,
    STATUS_NAMES,
    Direction,
    Entry,
)

NANOSECONDS = 1_000_000_000

Reader = t.Callable[[Entry, Context], t.Any]


def family_name(entry: Entry) -> str:
    """Give ``ipv4`` or ``ipv6``, or the number of an address family that conntrack does not know."""
    return FAMILY_NAMES.get(entry.family, str(entry.family))


def labels(entry: Entry) -> list[int]:
    """Give the numbers of the entry's labels, which are the bits that are set in its bitmap."""
    bits = label_bits(entry.labels)
    return [number for number in range(bits.bit_length()) if bits >> number & 1]


def total(original: int | None, reply: int | None) -> int | None:
    """Give the sum of both directions; None where one of them is unknown."""
    return None if original is None or reply is None else original + reply


def _has(entry: Entry, bits: int) -> bool | None:
    return None if entry.status is None else bool(entry.status & bits)


def _status(entry: Entry) -> list[str] | None:
    if entry.status is None:
        return None
    return [name for bit, name in STATUS_NAMES.items() if entry.status & bit]


def _nat(entry: Entry) -> list[str] | None:
    if entry.status is None:
        return None
    return [name for name, bit in (("snat", SRC_NAT), ("dnat", DST_NAT)) if entry.status & bit]


def _port(entry: Entry, port: int | None) -> int | None:
    # The kernel sends the keys of GRE in the attributes of ports.
    return None if entry.protocol == GRE else port


def _text(address: bytes) -> str:
    return socket.inet_ntop(socket.AF_INET if len(address) == 4 else socket.AF_INET6, address)


FIELDS: dict[str, Reader] = {
    "family": lambda e, _c: family_name(e),
    "protocol": lambda e, _c: e.protocol_name,
    "protocol_number": lambda e, _c: e.protocol,
    "state": lambda e, _c: e.state_name,
    "status": lambda e, _c: _status(e),
    "replied": lambda e, _c: _has(e, SEEN_REPLY),
    "assured": lambda e, _c: _has(e, ASSURED),
    "offloaded": lambda e, _c: _has(e, OFFLOAD | HW_OFFLOAD),
    "expected": lambda e, _c: _has(e, EXPECTED),
    "nat": lambda e, _c: _nat(e),
    "source": lambda e, _c: _text(e.original.source),
    "destination": lambda e, _c: _text(e.original.destination),
    "source_port": lambda e, _c: _port(e, e.original.source_port),
    "destination_port": lambda e, _c: _port(e, e.original.destination_port),
    "reply_source": lambda e, _c: _text(e.reply.source),
    "reply_destination": lambda e, _c: _text(e.reply.destination),
    "reply_source_port": lambda e, _c: _port(e, e.reply.source_port),
    "reply_destination_port": lambda e, _c: _port(e, e.reply.destination_port),
    "icmp_type": lambda e, _c: e.original.icmp_type,
    "icmp_code": lambda e, _c: e.original.icmp_code,
    "icmp_id": lambda e, _c: e.original.icmp_id,
    "mark": lambda e, _c: e.mark,
    "zone": lambda e, _c: e.zone,
    "labels": lambda e, _c: labels(e),
    "helper": lambda e, _c: e.helper,
    "packets_original": lambda e, _c: e.packets_original,
    "bytes_original": lambda e, _c: e.bytes_original,
    "packets_reply": lambda e, _c: e.packets_reply,
    "bytes_reply": lambda e, _c: e.bytes_reply,
    "packets": lambda e, _c: total(e.packets_original, e.packets_reply),
    "bytes": lambda e, _c: total(e.bytes_original, e.bytes_reply),
    "remaining": lambda e, _c: e.remaining,
    "idle": lambda e, c: idle(e, c.settings),
    "age": age,
    "id": lambda e, _c: e.id,
}
"""How each field of an entry is read; None is unknown, times are in seconds."""

GRE_FIELDS: dict[str, Reader] = {
    "source_key": lambda e, _c: e.original.source_port if e.protocol == GRE else None,
    "destination_key": lambda e, _c: e.original.destination_port if e.protocol == GRE else None,
    "reply_source_key": lambda e, _c: e.reply.source_port if e.protocol == GRE else None,
    "reply_destination_key": lambda e, _c: e.reply.destination_port if e.protocol == GRE else None,
}
"""The fields that only entries of GRE have."""

ALL_FIELDS = {**FIELDS, **GRE_FIELDS}


def as_dict(entry: Entry, context: Context) -> dict[str, t.Any]:
    """Give the entry as a dict with the keys of FIELDS, and for GRE those of GRE_FIELDS too."""
    fields = ALL_FIELDS if entry.protocol == GRE else FIELDS
    return {name: read(entry, context) for name, read in fields.items()}


def extended(entry: Entry, context: Context) -> str:
    """Give the line that ``conntrack -L -o extended`` of conntrack-tools 1.4.7 prints for the entry."""
    number = 2 if entry.family == socket.AF_INET else 10
    family = FAMILY_NAMES.get(entry.family, "unknown")
    protocol = PROTOCOL_NAMES.get(entry.protocol, "unknown")
    words = [f"{family:<8} {number} {protocol:<8} {entry.protocol}"]
    if entry.remaining is not None:
        words.append(str(entry.remaining))
    if entry.state_name is not None:
        words.append(entry.state_name)
    words += _direction(entry, entry.original, "orig", entry.packets_original, entry.bytes_original)
    if _has(entry, SEEN_REPLY) is False:
        words.append("[UNREPLIED]")
    words += _direction(entry, entry.reply, "reply", entry.packets_reply, entry.bytes_reply)
    words += _flag(entry.status or 0)
    values = {
        "mark": entry.mark,
        "secctx": entry.secctx,
        "zone": entry.zone or None,
        "delta-time": _delta(entry, context.now),
        "helper": entry.helper,
        "use": entry.use,
    }
    words += [f"{name}={value}" for name, value in values.items() if value is not None]
    return " ".join(words)


def _direction(entry: Entry, side: Direction, name: str, packets: int | None, octets: int | None) -> list[str]:
    words = [f"src={_text(side.source)}", f"dst={_text(side.destination)}"]
    # The tool prints 0 for a number that the kernel did not send.
    if entry.protocol in PORT_PROTOCOLS:
        words += [f"sport={side.source_port or 0}", f"dport={side.destination_port or 0}"]
    elif entry.protocol == GRE:
        words += [f"srckey=0x{side.source_port or 0:x}", f"dstkey=0x{side.destination_port or 0:x}"]
    elif entry.protocol in ICMP_PROTOCOLS:
        words += [f"type={side.icmp_type or 0}", f"code={side.icmp_code or 0}", f"id={side.icmp_id or 0}"]
    if side.zone is not None:
        words.append(f"zone-{name}={side.zone}")
    if packets is not None and octets is not None:
        words += [f"packets={packets}", f"bytes={octets}"]
    return words


def _delta(entry: Entry, now: int) -> int | None:
    # The tool cuts both times to whole seconds before it subtracts, unlike the field age.
    return None if entry.start is None else now // NANOSECONDS - entry.start // NANOSECONDS


def _flag(status: int) -> list[str]:
    """Give the one of these flags that the tool shows, the strongest first."""
    for bit, flag in ((HW_OFFLOAD, "[HW_OFFLOAD]"), (OFFLOAD, "[OFFLOAD]"), (ASSURED, "[ASSURED]")):
        if status & bit:
            return [flag]
    return []


def ndjson(entry: Entry, context: Context) -> str:
    """Give the entry's dict as one line of JSON."""
    return json.dumps(as_dict(entry, context), separators=(",", ":"))


def csv_header() -> str:
    """Give the names of the columns of ``csv_row``."""
    return _csv_line(ALL_FIELDS)


def csv_row(entry: Entry, context: Context) -> str:
    """Give the entry's fields as one line of CSV (RFC 4180): unknown is empty, a list is spaced items."""
    values = (read(entry, context) for read in ALL_FIELDS.values())
    return _csv_line(" ".join(map(str, value)) if isinstance(value, list) else value for value in values)


def _csv_line(values: t.Iterable[t.Any]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(values)
    return line.getvalue()

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Entries as the lines that ``conntrack -L`` of conntrack-tools 1.4.7 prints, with ``-o extended`` or without."""

from __future__ import annotations

import socket
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._entry.entry import Entry
from ansible_collections.netops.conntrack.plugins.module_utils._query.fields import address_text
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block
from ansible_collections.netops.conntrack.plugins.module_utils._table.layouts import Layout
from ansible_collections.netops.conntrack.plugins.module_utils._table.memo import Memo

Column = t.Callable[[Block], t.Iterable[t.Any]]

_NANOSECONDS = 1_000_000_000


def _state(entry: Entry) -> str:
    return "" if entry.state_name is None else f" {entry.state_name}"


def _unreplied(entry: Entry) -> str:
    return "" if entry.status is None or entry.status & _uapi.SEEN_REPLY else " [UNREPLIED]"


_FLAGS = {_uapi.HW_OFFLOAD: " [HW_OFFLOAD]", _uapi.OFFLOAD: " [OFFLOAD]", _uapi.ASSURED: " [ASSURED]"}


def _flag(entry: Entry) -> str:
    """Return the flag that the tool shows: it shows one, the first of these."""
    status = entry.status or 0
    for bit, flag in _FLAGS.items():
        if status & bit:
            return flag
    return ""


def _numbers_of(protocol: int) -> dict[str, str]:
    """Return what the tool prints of a tuple's numbers, by field."""
    if protocol in _uapi.PORT_PROTOCOLS:
        return {"source_port": " sport=%d", "destination_port": " dport=%d"}
    if protocol == _uapi.GRE:
        return {"source_port": " srckey=0x%x", "destination_port": " dstkey=0x%x"}
    if protocol in _uapi.ICMP_PROTOCOLS:
        return {"icmp_type": " type=%d", "icmp_code": " code=%d", "icmp_id": " id=%d"}
    return {}


class _Template:
    """The line of the entries of one layout: a text with gaps, and the columns that fill them."""

    def __init__(self, layout: Layout, context: Context, short: bool) -> None:
        self._layout = layout
        self._context = context
        self._text = self._protocol() if short else f"{self._family()} {self._protocol()}"
        self._columns: list[Column] = []
        self._value("remaining", " %d")
        self._word(Memo(("protocol", "state"), _state))
        self._direction("", "original", "orig")
        self._word(Memo(("status",), _unreplied))
        self._direction("reply_", "reply", "reply")
        self._word(Memo(("status",), _flag))
        self._value("mark", " mark=%d")
        self._value("secctx", " secctx=%s")
        if not layout.fields.keys() & {"zone_original", "zone_reply"}:
            self._value("zone", " zone=%d")
        if "start" in layout.fields:
            self._fill(" delta-time=%d", self._delta)
        self._value("helper", " helper=%s")
        self._value("use", " use=%d")

    def lines(self, block: Block) -> t.Iterator[str]:
        """Return the line of each entry."""
        return map(self._text.__mod__, zip(*(column(block) for column in self._columns)))

    def _family(self) -> str:
        number = 2 if self._layout.constants["family"] == socket.AF_INET else 10
        name = _uapi.FAMILY_NAMES.get(self._layout.constants["family"], "unknown")
        return f"{name:<8} {number}"

    def _protocol(self) -> str:
        protocol = self._layout.constants["protocol"]
        return f"{_uapi.PROTOCOL_NAMES.get(protocol, 'unknown'):<8} {protocol}"

    def _fill(self, text: str, column: Column) -> None:
        self._text += text
        self._columns.append(column)

    def _word(self, memo: Memo[str]) -> None:
        self._fill("%s", memo)

    def _value(self, field: str, text: str) -> None:
        if field in self._layout.fields:
            self._fill(text, lambda block: block.column(field))

    def _direction(self, prefix: str, amounts: str, zone: str) -> None:
        self._fill(" src=%s", lambda block: map(address_text, block.column(f"{prefix}source")))
        self._fill(" dst=%s", lambda block: map(address_text, block.column(f"{prefix}destination")))
        for field, text in _numbers_of(self._layout.constants["protocol"]).items():
            self._value(prefix + field, text)
            if prefix + field not in self._layout.fields:
                # The tool prints 0 for a number that the kernel did not send.
                self._text += text % 0
        self._value(f"zone_{amounts}", f" zone-{zone}=%d")
        if {f"packets_{amounts}", f"bytes_{amounts}"} <= self._layout.fields.keys():
            self._value(f"packets_{amounts}", " packets=%d")
            self._value(f"bytes_{amounts}", " bytes=%d")

    def _delta(self, block: Block) -> t.Iterator[int]:
        # The tool cuts both times to whole seconds before it subtracts, unlike the field age.
        now = self._context.now // _NANOSECONDS
        return (now - start // _NANOSECONDS for start in block.column("start"))


class ExtendedLines:
    """Gives the lines of blocks. What it learns of a layout is kept for the next block.

    ``short`` leaves out the address family, as the tool does without ``-o extended``.
    """

    def __init__(self, context: Context, short: bool = False) -> None:
        self._context = context
        self._short = short
        self._templates: dict[Layout, _Template] = {}

    def __call__(self, block: Block) -> t.Iterator[str]:
        """Return the line of each entry of the block."""
        template = self._templates.get(block.layout)
        if template is None:
            template = self._templates[block.layout] = _Template(block.layout, self._context, self._short)
        return template.lines(block)

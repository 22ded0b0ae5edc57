# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Entries as the lines that ``conntrack -L`` of conntrack-tools 1.4.7 prints, with ``-o extended`` or without."""

from __future__ import annotations

import socket
import time
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._entry.entry import Entry
from ansible_collections.netops.conntrack.plugins.module_utils._query.line_template import (
    NANOSECONDS,
    LineTemplate,
    Word,
)
from ansible_collections.netops.conntrack.plugins.module_utils._query.output import PLAIN, Output
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block
from ansible_collections.netops.conntrack.plugins.module_utils._table.layouts import Layout


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


_WORDS = (Word(("protocol", "state"), _state), Word(("status",), _unreplied), Word(("status",), _flag))
_STATE, _UNREPLIED, _FLAG, _LABELS = range(4)
"""Their numbers, and that of the labels, where they are shown."""


def _numbers_of(protocol: int) -> dict[str, str]:
    """Return what the tool prints of a tuple's numbers, by field."""
    if protocol in _uapi.PORT_PROTOCOLS:
        return {"source_port": " sport=%d", "destination_port": " dport=%d"}
    if protocol == _uapi.GRE:
        return {"source_port": " srckey=0x%x", "destination_port": " dstkey=0x%x"}
    if protocol in _uapi.ICMP_PROTOCOLS:
        return {"icmp_type": " type=%d", "icmp_code": " code=%d", "icmp_id": " id=%d"}
    return {}


class _Template(LineTemplate):
    """The line of the entries of one layout."""

    def __init__(self, layout: Layout, context: Context, short: bool, output: Output) -> None:
        self._output = output
        super().__init__(layout, context, [*_WORDS, Word(("labels",), self._labels)] if output.labels else _WORDS)
        self.add_text(self._protocol() if short else f"{self._family()} {self._protocol()}")
        self.add_value("remaining", " %d")
        self.add_word(_STATE)
        self._add_direction("", "original", "orig")
        self.add_word(_UNREPLIED)
        self._add_direction("reply_", "reply", "reply")
        self.add_word(_FLAG)
        self._add_own()

    def _family(self) -> str:
        number = 2 if self.layout.constants["family"] == socket.AF_INET else 10
        name = _uapi.FAMILY_NAMES.get(self.layout.constants["family"], "unknown")
        return f"{name:<8} {number}"

    def _protocol(self) -> str:
        protocol = self.layout.constants["protocol"]
        return f"{_uapi.PROTOCOL_NAMES.get(protocol, 'unknown'):<8} {protocol}"

    def _add_direction(self, prefix: str, amounts: str, zone: str) -> None:
        self.add_address(f"{prefix}source", " src=%s")
        self.add_address(f"{prefix}destination", " dst=%s")
        for field, text in _numbers_of(self.layout.constants["protocol"]).items():
            self.add_number(prefix + field, text)
        self.add_value(f"zone_{amounts}", f" zone-{zone}=%d")
        if self.has(f"packets_{amounts}", f"bytes_{amounts}"):
            self.add_value(f"packets_{amounts}", " packets=%d")
            self.add_value(f"bytes_{amounts}", " bytes=%d")

    def _add_own(self) -> None:
        """Add what is about the entry as a whole."""
        self.add_value("mark", " mark=%d")
        self.add_value("secctx", " secctx=%s")
        if not self.has("zone_original") and not self.has("zone_reply"):
            self.add_value("zone", " zone=%d")
        self.add_age(" delta-time=%d")
        if self._output.starts and self.has("start"):
            self.add_texts(" [start=%s]", _starts)
        self.add_value("helper", " helper=%s")
        self.add_value("use", " use=%d")
        if self._output.ids:
            self.add_value("id", " id=%d")
        if self._output.labels:
            self.add_word(_LABELS)

    def _labels(self, entry: Entry) -> str:
        labels = self._output.labels_of(entry)
        return f" labels={','.join(labels)}" if labels else ""


def _starts(block: Block) -> t.Iterator[str]:
    """Return when each entry began, as ctime(3) writes it: in the time zone of this machine."""
    return (time.ctime(start // NANOSECONDS) for start in block.column("start"))


class ExtendedLines:
    """Gives the lines of blocks. What it learns of a layout is kept for the next block.

    ``short`` leaves out the address family, as the tool does without ``-o extended``. ``output`` is what they show in
    addition.
    """

    def __init__(self, context: Context, short: bool = False, output: Output = PLAIN) -> None:
        self._context = context
        self._short = short
        self._output = output
        self._templates: dict[Layout, _Template] = {}

    def __call__(self, block: Block) -> list[str]:
        """Return the line of each entry of the block."""
        template = self._templates.get(block.layout)
        if template is None:
            template = _Template(block.layout, self._context, self._short, self._output)
            self._templates[block.layout] = template
        return template.lines(block)

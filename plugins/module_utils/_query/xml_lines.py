# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Entries as the lines that ``conntrack -L -o xml`` of conntrack-tools 1.4.7 prints.

The order of the elements is that of __snprintf_conntrack_xml() in src/conntrack/snprintf_xml.c of
libnetfilter_conntrack. Like the tool, it gives the states of SCTP and DCCP the names that TCP has for the same numbers,
and leaves out the numbers of ICMP. It differs from the tool in two things, so that a file always is XML:

* A file without entries has its first and its last lines.
* A character that a text of XML cannot have is a question mark. The tool writes the name of a helper as it is.
"""

from __future__ import annotations

import re

from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._entry.entry import Entry
from ansible_collections.netops.conntrack.plugins.module_utils._query.line_template import LineTemplate, Word
from ansible_collections.netops.conntrack.plugins.module_utils._query.output import PLAIN, Output
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block
from ansible_collections.netops.conntrack.plugins.module_utils._table.layouts import Layout

FIRST_LINES = '<?xml version="1.0" encoding="utf-8"?>\n<conntrack>'
LAST_LINE = "</conntrack>"

_UNSAFE = re.compile(r"[^!-~]|[<>&\"=]")
"""What no word of a line has, so that the file can be read by its words as well."""


def _state(entry: Entry) -> str:
    if entry.state is None or entry.protocol not in _uapi.STATE_NAMES:
        return ""
    names = _uapi.STATE_NAMES[_uapi.TCP]
    return f"<state>{names[entry.state] if entry.state < len(names) else names[0]}</state>"


def _flags(entry: Entry) -> str:
    if entry.status is None:
        return ""
    assured = "<assured/>" if entry.status & _uapi.ASSURED else ""
    unreplied = "" if entry.status & _uapi.SEEN_REPLY else "<unreplied/>"
    return assured + unreplied


_WORDS = (Word(("protocol", "state"), _state), Word(("status",), _flags))
_STATE, _STATUS, _LABELS = range(3)
"""Their numbers, and that of the labels, where they are shown."""


def _numbers_of(protocol: int) -> dict[str, str]:
    """Return what the tool prints of a tuple's numbers, by field."""
    if protocol in _uapi.PORT_PROTOCOLS:
        return {"source_port": "<sport>%d</sport>", "destination_port": "<dport>%d</dport>"}
    if protocol == _uapi.GRE:
        return {"source_port": "<srckey>0x%x</srckey>", "destination_port": "<dstkey>0x%x</dstkey>"}
    return {}


class _Template(LineTemplate):
    """The line of the entries of one layout."""

    def __init__(self, layout: Layout, context: Context, output: Output) -> None:
        self._output = output
        super().__init__(layout, context, [*_WORDS, Word(("labels",), self._labels)] if output.labels else _WORDS)
        self.add_text("<flow>")
        self._add_direction("", "original")
        self._add_direction("reply_", "reply")
        self.add_text('<meta direction="independent">')
        self._add_own()
        self.add_text("</meta>")
        self._add_name("helper")
        self.add_text("</flow>")

    def _add_direction(self, prefix: str, direction: str) -> None:
        family, protocol = self.layout.constants["family"], self.layout.constants["protocol"]
        self.add_text(f'<meta direction="{direction}">')
        self.add_text(f'<layer3 protonum="{family}" protoname="{_uapi.FAMILY_NAMES.get(family, "unknown")}">')
        self.add_address(f"{prefix}source", "<src>%s</src>")
        self.add_address(f"{prefix}destination", "<dst>%s</dst></layer3>")
        self.add_text(f'<layer4 protonum="{protocol}" protoname="{_uapi.PROTOCOL_NAMES.get(protocol, "unknown")}">')
        for field, text in _numbers_of(protocol).items():
            self.add_number(prefix + field, text)
        self.add_text("</layer4>")
        self.add_value(f"zone_{direction}", "<zone>%d</zone>")
        # The tool prints the counters of both directions or none.
        if self.has("packets_original", "bytes_original"):
            self.add_number(f"packets_{direction}", "<counters><packets>%d</packets>")
            self.add_number(f"bytes_{direction}", "<bytes>%d</bytes></counters>")
        self.add_text("</meta>")

    def _add_own(self) -> None:
        """Add what is about the entry as a whole."""
        self.add_word(_STATE)
        self.add_value("remaining", "<timeout>%d</timeout>")
        self.add_value("mark", "<mark>%d</mark>")
        if self._output.labels:
            self.add_word(_LABELS)
        self._add_name("secctx")
        if not self.has("zone_original") and not self.has("zone_reply"):
            self.add_value("zone", "<zone>%d</zone>")
        self.add_value("use", "<use>%d</use>")
        self.add_value("id", "<id>%d</id>")
        self.add_word(_STATUS)
        if self._output.starts:
            self.add_value("start", "<timestamp><start>%d</start></timestamp>")
        self.add_age("<deltatime>%d</deltatime>")

    def _add_name(self, field: str) -> None:
        if self.has(field):
            text = f"<{field}>%s</{field}>"
            self.add_texts(text, lambda block: (_UNSAFE.sub("?", name) for name in block.column(field)))

    def _labels(self, entry: Entry) -> str:
        labels = self._output.labels_of(entry)
        return f"<labels>{''.join(f'<label>{label}</label>' for label in labels)}</labels>" if labels else ""


class XmlLines:
    """Gives the lines of blocks. What it learns of a layout is kept for the next block."""

    def __init__(self, context: Context, output: Output = PLAIN) -> None:
        self._context = context
        self._output = output
        self._templates: dict[Layout, _Template] = {}

    def __call__(self, block: Block) -> list[str]:
        """Return the line of each entry of the block."""
        template = self._templates.get(block.layout)
        if template is None:
            template = self._templates[block.layout] = _Template(block.layout, self._context, self._output)
        return template.lines(block)

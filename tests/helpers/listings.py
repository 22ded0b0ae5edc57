# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lines of listings, decoded as files are."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._entry.entry import FIELDS, Entry
from ansible_collections.netops.conntrack.plugins.module_utils._listing.decoder import Decoded, Decoder
from ansible_collections.netops.conntrack.plugins.module_utils._listing.rows import RowWriter
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block
from helpers.encoded_messages import assert_columns_are_rows


def decoded(text: str | bytes, fields: frozenset[str] | None = None) -> Decoded:
    """Return what a decoder makes of a text that is one piece. Rows have the fields, or all of them."""
    return Decoder(fields).decode(text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text)


def blocks_of(found: Decoded) -> list[Block]:
    """Return the blocks of a piece, each of which has the same by rows and by columns."""
    blocks = [Block(RowWriter(form).layout, rows) for form, rows in found.rows]
    for block in blocks:
        assert_columns_are_rows(block)
    return blocks


def entries_of(text: str | bytes) -> list[Entry]:
    """Return the entries of a text, all of whose lines are understood."""
    found = decoded(text)
    assert found.not_understood == []
    return [entry for block in blocks_of(found) for entry in block.entries()]


def entry_of(line: str) -> dict[str, t.Any]:
    """Return what is known of the one entry in a line: every field that is not None."""
    [entry] = entries_of(line + "\n")
    return {name: getattr(entry, name) for name in FIELDS if getattr(entry, name) is not None}


def known(values: t.Mapping[str, t.Any]) -> str:
    """Return what is known of an entry as a text, which can be sorted."""
    return repr(sorted((name, value) for name, value in values.items() if value is not None))


def assert_each_line_is_counted(text: bytes) -> None:
    """Assert that each line is an entry, or nothing, or counted as not understood, and the same among others as alone.

    A comment may be about the entry in the line after it, so the two stay together. The first byte of a file says
    whether it is JSON, so lines of both kinds are not the same alone.
    """
    found = decoded(text)
    if len({line.startswith(b"{") for line in text.split(b"\n") if line}) > 1:
        return
    parts = re.findall(rb"(?:# [^\n]*\n)*[^\n]*(?:\n|\Z)", text)
    alone = [decoded(part) for part in parts if part]
    assert found.lines == sum(one.lines for one in alone) == text.count(b"\n") + (text[-1:] not in (b"", b"\n"))
    assert found.not_understood_number == sum(one.not_understood_number for one in alone)
    entries = [entry for block in blocks_of(found) for entry in block.entries()]
    entries_alone = [entry for one in alone for block in blocks_of(one) for entry in block.entries()]
    assert sorted(known(vars(entry)) for entry in entries) == sorted(known(vars(entry)) for entry in entries_alone)

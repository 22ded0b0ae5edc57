# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Columns are made the texts that each value alone would be, in blocks of any length."""

from __future__ import annotations

import ipaddress
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._query import column_texts
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block
from helpers.encoded_messages import blocks_of
from hypothesis import given
from hypothesis import strategies as st

LENGTHS = pytest.mark.parametrize("rows", [1, 2, 255, 256, 700])


def block_of(rows: int, value: t.Callable[[int], dict[str, t.Any]]) -> Block:
    [block] = blocks_of(*({"source_port": row % 60_000, "destination_port": 53, **value(row)} for row in range(rows)))
    return block


def texts(parts: list[column_texts.Part], block: Block) -> list[str]:
    return column_texts.joined(parts, len(block))


@LENGTHS
@pytest.mark.parametrize("different", [1, 7, 1000])
def test_addresses_of_ipv4(rows: int, different: int) -> None:
    block = block_of(rows, lambda row: {"source": bytes([10, row % different % 251, 255, row % different // 251])})
    expected = [f"10.{row % different % 251}.255.{row % different // 251}" for row in range(rows)]
    assert texts(column_texts.address(block, "source"), block) == expected


@LENGTHS
def test_addresses_of_ipv6(rows: int) -> None:
    addresses = [ipaddress.ip_address(f"2001:db8::{row % 300:x}") for row in range(rows)]
    block = block_of(
        rows,
        lambda row: {
            "family": 10,
            "source": addresses[row].packed,
            **dict.fromkeys(("destination", "reply_source", "reply_destination"), bytes(16)),
        },
    )
    assert texts(column_texts.address(block, "source"), block) == list(map(str, addresses))
    assert texts(column_texts.address(block, "destination"), block) == ["::"] * rows


@LENGTHS
@pytest.mark.parametrize("largest", [0, 1, 65_535, 65_536, 0xFFFFFFFF])
def test_numbers_of_any_size(rows: int, largest: int) -> None:
    block = block_of(rows, lambda row: {"mark": largest if row == rows - 1 else row % 5})
    expected = [str(row % 5) for row in range(rows - 1)] + [str(largest)]
    assert texts([column_texts.number(block, "mark")], block) == expected
    assert texts([column_texts.number(block, "source_port")], block) == [str(row) for row in range(rows)]


PARTS = st.lists(st.one_of(st.text(max_size=2), st.lists(st.text(max_size=2), min_size=3, max_size=3)), max_size=6)


@given(PARTS)
def test_lines_have_their_parts_in_order(parts: list[column_texts.Part]) -> None:
    expected = ["".join(part if isinstance(part, str) else part[row] for part in parts) for row in range(3)]
    assert column_texts.joined(parts, 3) == expected

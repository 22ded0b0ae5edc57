# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._table.port_rows import (
    ports_by_protocol,
    rows_with_ports,
)
from helpers.encoded_messages import blocks_of

ICMP, TCP, UDP = 1, 6, 17
ENDS = {"source_port": 40000, "destination_port": 80, "reply_source_port": 80, "reply_destination_port": 40000}
PORTS = ports_by_protocol([(TCP, 179), (UDP, 500), (UDP, 4500)])


def test_ports_by_their_protocol() -> None:
    assert {TCP: {179}, UDP: {500, 4500}} == PORTS


@pytest.mark.parametrize("field", ENDS)
def test_each_of_the_four_ports_counts(field: str) -> None:
    one, other = {**ENDS, "protocol": TCP, field: 179}, {**ENDS, "protocol": TCP}
    [block] = blocks_of(other, one, other)
    assert rows_with_ports(block, PORTS) == [False, True, False]


@pytest.mark.parametrize("entry", [{**ENDS, "protocol": TCP}, {**ENDS, "protocol": UDP, "source_port": 179}])
def test_there_are_no_rows_where_none_has_one(entry: dict[str, int]) -> None:
    [block] = blocks_of(entry)
    assert rows_with_ports(block, PORTS) == []


def test_the_first_byte_of_one_port_and_the_second_of_another_are_none() -> None:
    [block] = blocks_of({**ENDS, "protocol": UDP, "source_port": (500 & 0xFF00) | (4500 & 0xFF)})
    assert rows_with_ports(block, PORTS) == []


def test_a_protocol_without_ports_has_none() -> None:
    [block] = blocks_of({"protocol": ICMP, "icmp_type": 8, "icmp_code": 0, "icmp_id": 179})
    assert rows_with_ports(block, {ICMP: {179}}) == []
    assert rows_with_ports(block, PORTS) == []

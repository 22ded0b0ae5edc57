# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ports are counted as a plain counter counts them."""

from __future__ import annotations

import collections

from ansible_collections.netops.conntrack.plugins.module_utils._facts.port_counts import PortCounts
from helpers.encoded_messages import blocks_of
from hypothesis import given
from hypothesis import strategies as st

PORTS = st.lists(st.one_of(st.integers(0, 65535), st.sampled_from([0, 255, 256, 53, 443, 65535])), max_size=60)


@given(PORTS, st.integers(0, 70))
def test_the_largest_counts_come_first_and_the_smaller_port_of_equal_ones(ports: list[int], number: int) -> None:
    counts = PortCounts("source_port")
    for block in blocks_of(*({"source_port": port, "destination_port": 9} for port in ports)):
        counts.add(block)
    expected = sorted(collections.Counter(ports).items(), key=lambda item: (-item[1], item[0]))
    assert counts.most_common(number) == expected[:number]


def test_entries_that_all_have_one_port() -> None:
    counts = PortCounts("destination_port")
    for block in blocks_of(*({"source_port": port, "destination_port": 53} for port in range(1, 400))):
        counts.add(block)
    assert counts.most_common(3) == [(53, 399)]

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Values are counted exactly up to a number of them, and nobody knows the keys by which they are counted."""

from __future__ import annotations

import collections
import ipaddress
import os
import subprocess
import sys

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._facts.value_counts import ValueCounts
from helpers.encoded_messages import Fields, blocks_of
from helpers.support import COLLECTIONS
from hypothesis import given
from hypothesis import strategies as st

MOST = 8
SAME_HASH = 2**61 - 1
"""Python's hash of a number is the remainder of a division by this."""


def counted(name: str, size: int, *entries: Fields, most: int | None = None) -> ValueCounts:
    counts = ValueCounts(size, most)
    for entry in entries:
        for block in blocks_of(entry):
            counts.add(block, name)
    return counts


def keys_of(counts: ValueCounts) -> list[object]:
    return list(counts._counts)


@given(st.lists(st.integers(0, 40), max_size=300))
def test_what_was_left_out_is_told(ports: list[int]) -> None:
    counts = counted("source_port", 2, *({"source_port": port} for port in ports), most=MOST)
    true = collections.Counter(ports)
    found = dict(counts.most_common(MOST))
    assert counts.uncertainty <= len(ports) / (MOST // 2 + 1)
    assert len(keys_of(counts)) <= MOST
    for port, number in true.items():
        assert number - counts.uncertainty <= found.get(port, 0) <= number
    assert found.keys() <= true.keys()
    assert counts.distinct == (None if counts.uncertainty else len(true))


def test_up_to_the_most_all_is_exact() -> None:
    entries = [{"source_port": port} for port in range(1, MOST + 1)]
    counts = counted("source_port", 2, *entries, most=MOST)
    assert (counts.uncertainty, counts.distinct) == (0, MOST)
    assert counts.most_common(2) == [(1, 1), (2, 1)]


def test_a_value_that_is_frequent_stays() -> None:
    entries = [{"mark": mark} for number in range(1, 200) for mark in (number, 0xFFFF)]
    counts = counted("mark", 4, *entries, most=MOST)
    [(mark, number)] = counts.most_common(1)
    assert (mark, counts.distinct) == (0xFFFF, None)
    assert 0 < 199 - counts.uncertainty <= number <= 199


@pytest.mark.parametrize(
    ("field", "size", "first"), [("source_port", 2, 1), ("mark", 4, 1), ("source", 4, 0xC6120001)], ids=str
)
def test_numbers_are_not_their_own_keys(field: str, size: int, first: int) -> None:
    numbers = range(first, first + 200)
    values = [str(ipaddress.ip_address(number)) if field == "source" else number for number in numbers]
    counts = ValueCounts(size)
    for block in blocks_of(*({field: value} for value in values)):
        counts.add(block, field)
    assert counts.most_common(200) == [(number, 1) for number in numbers]
    assert len(set(keys_of(counts)) & set(numbers)) < 100
    counts.add_constant(first, 5)
    assert counts.most_common(1) == [(first, 6)]


def test_each_process_has_other_keys() -> None:
    module = "ansible_collections.netops.conntrack.plugins.module_utils._facts.value_counts"
    code = f"from {module} import ValueCounts; c = ValueCounts(4); c.add_constant(0x01020304, 1); print(*c._counts)"
    environment = {**os.environ, "PYTHONPATH": str(COLLECTIONS)}
    command = [sys.executable, "-c", code]
    keys = {subprocess.run(command, check=True, capture_output=True, env=environment).stdout for _run in range(3)}
    assert len(keys) > 1


def test_addresses_with_one_hash_as_numbers_have_many_as_keys() -> None:
    base = int(ipaddress.ip_address("2a00::1"))
    numbers = [base + step * SAME_HASH for step in range(100)]
    assert len({hash(number) for number in numbers}) == 1
    counts = ValueCounts(16)
    for block in blocks_of(*({"source": str(ipaddress.ip_address(number))} for number in numbers)):
        counts.add(block, "source")
    assert len({hash(key) for key in keys_of(counts)}) == 100
    assert counts.most_common(100) == [(number, 1) for number in numbers]


def test_there_is_no_constant_of_the_length_of_an_address() -> None:
    with pytest.raises(ValueError, match="as bytes"):
        ValueCounts(16).add_constant(1, 1)

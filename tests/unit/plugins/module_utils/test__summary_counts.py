# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Counting by blocks gives what counting entry by entry gives."""

from __future__ import annotations

import itertools
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._entry import Entry
from ansible_collections.netops.conntrack.plugins.module_utils._summary import HISTOGRAM_BOUNDS, Summary
from generated import SETTINGS, fields
from hypothesis import given, settings
from hypothesis import strategies as st
from messages import Fields, blocks_of, values_of
from reference import summary


def counted(entries: t.Sequence[Fields], sysctls: t.Mapping[str, int], top: int) -> dict[str, t.Any]:
    counts = Summary(sysctls, top)
    # In two parts, since the counts go on from block to block.
    for part in (entries[::2], entries[1::2]):
        for block in blocks_of(*part):
            counts.add(block)
    return counts.result()


def referred(entries: t.Sequence[Fields], sysctls: t.Mapping[str, int], top: int) -> dict[str, t.Any]:
    return summary([Entry(**values_of(one)) for one in entries], sysctls, top)


@settings(max_examples=150, deadline=None)
@given(entries=st.lists(fields(), max_size=40), top=st.integers(1, 4))
def test_any_entries(entries: list[dict[str, t.Any]], top: int) -> None:
    assert counted(entries, SETTINGS, top) == referred(entries, SETTINGS, top)


@settings(max_examples=100, deadline=None)
@given(
    timeouts=st.dictionaries(st.sampled_from(list(SETTINGS)), st.integers(0, 2 * 432000)),
    off=st.integers(-1, 1),
    status=st.sampled_from([0, _uapi.SEEN_REPLY, _uapi.FIXED_TIMEOUT]),
)
def test_times_on_every_edge(timeouts: dict[str, int], off: int, status: int) -> None:
    edges = {timeout - bound + off for timeout in (*timeouts.values(), 0) for bound in HISTOGRAM_BOUNDS}
    edges |= {bound + off for bound in (*HISTOGRAM_BOUNDS, *timeouts.values())}
    kinds = [(_uapi.TCP, 3), (_uapi.TCP, 1), (_uapi.SCTP, 4), (_uapi.UDP, None), (_uapi.ICMP, None), (99, None)]
    entries = [
        {"protocol": protocol, "state": state, "status": status, "remaining": remaining}
        for (protocol, state), remaining in itertools.product(kinds, sorted(edges))
        if remaining >= 0
    ]
    assert counted(entries, timeouts, 1) == referred(entries, timeouts, 1)


@pytest.mark.parametrize("top", [1, 2, 3, 4, 10])
def test_of_equal_counts_the_smaller_value_is_named(top: int) -> None:
    """Whatever order they come in, and of addresses whatever their family."""
    entries: list[Fields] = [
        {"protocol": _uapi.UDP, "source": source, "source_port": port, "mark": port, "zone": port}
        for source in ("198.18.0.9", "198.18.0.10", "2001:db8::1", "c700::", "c612:a::")
        for port in (9, 10, 8, 7, 20, 20, 19, 19, 18, 18)
    ]
    wanted = referred(entries, {}, top)
    assert counted(entries, {}, top) == counted(entries[::-1], {}, top) == wanted
    assert [one["entries"] for one in wanted["top"]["source"]] == [10] * min(top, 5)
    assert [one["value"] for one in wanted["top"]["source_port"]] == [18, 19, 20, 7, 8, 9, 10][:top]

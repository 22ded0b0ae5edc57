# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Counting by blocks gives what counting entry by entry gives."""

from __future__ import annotations

import itertools
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._entry.entry import Entry
from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeout_policies import Policy
from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeout_record import (
    Shortening,
    TimeoutChange,
    TimeoutRecord,
)
from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeouts import Timeouts
from ansible_collections.netops.conntrack.plugins.module_utils._facts.histogram import HISTOGRAM_BOUNDS
from ansible_collections.netops.conntrack.plugins.module_utils._facts.summary import Summary
from helpers.encoded_messages import Fields, blocks_of, values_of
from helpers.reference_summary import summary
from helpers.strategies import NOW, SECOND, SETTINGS, fields
from hypothesis import given, settings
from hypothesis import strategies as st


def counted(entries: t.Sequence[Fields], timeouts: Timeouts, top: int) -> dict[str, t.Any]:
    counts = Summary(timeouts, top)
    # In two parts, since the counts go on from block to block.
    for part in (entries[::2], entries[1::2]):
        for block in blocks_of(*part):
            counts.add(block)
    return counts.result()


def referred(entries: t.Sequence[Fields], timeouts: Timeouts, top: int) -> dict[str, t.Any]:
    return summary([Entry(**values_of(one)) for one in entries], timeouts, top)


SETTINGS_ONLY = Timeouts(SETTINGS, NOW)
WITH_A_HISTORY = Timeouts(
    SETTINGS,
    NOW,
    [Policy(None, _uapi.UDP, {"udp_timeout": 60, "udp_timeout_stream": 3600})],
    TimeoutRecord(
        (
            TimeoutChange("tcp_timeout_established", 432000, 54000, 900.0, 900.5),
            TimeoutChange("tcp_timeout_established", 54000, 432000, 990.0, 990.5),
            TimeoutChange("gre_timeout", 31, 200, 1.0, 1.5),
        ),
        (Shortening(700, 950.0, 951.5),),
        now=1000.0,
    ),
    uptime=1000.0,
)


@pytest.mark.slow
@pytest.mark.parametrize("timeouts", [SETTINGS_ONLY, WITH_A_HISTORY], ids=["settings only", "with a history"])
@settings(max_examples=150, deadline=None)
@given(entries=st.lists(fields(), max_size=40), top=st.integers(1, 4))
def test_any_entries(timeouts: Timeouts, entries: list[dict[str, t.Any]], top: int) -> None:
    assert counted(entries, timeouts, top) == referred(entries, timeouts, top)


@settings(max_examples=100, deadline=None)
@given(off=st.integers(-1, 1), remaining=st.integers(0, 432000), uptime=st.sampled_from([float("inf"), 5000.0]))
def test_starts_on_every_edge(off: int, remaining: int, uptime: float) -> None:
    timeouts = Timeouts(SETTINGS, NOW, uptime=uptime)
    starts = [NOW - bound * SECOND + off for bound in (*HISTOGRAM_BOUNDS, 5000, 5001, -59, -60, -61)]
    starts += [(NOW >> 32 << 32) + off, ((NOW >> 32) + 1 << 32) + off, 0]
    entries: list[Fields] = [
        {"protocol": _uapi.TCP, "source_port": 5, "state": 3, "status": 2, "remaining": remaining, "start": start}
        for start in starts
    ]
    assert counted(entries, timeouts, 1) == referred(entries, timeouts, 1)


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(
    timeouts=st.dictionaries(st.sampled_from(list(SETTINGS)), st.integers(0, 2 * 432000)),
    off=st.integers(-1, 1),
    status=st.sampled_from([0, _uapi.SEEN_REPLY, _uapi.FIXED_TIMEOUT]),
)
def test_times_on_every_edge(timeouts: dict[str, int], off: int, status: int) -> None:
    edges = {timeout - bound - 1 + off for timeout in (*timeouts.values(), 0) for bound in HISTOGRAM_BOUNDS}
    edges |= {bound + off for bound in (*HISTOGRAM_BOUNDS, *timeouts.values())}
    known = Timeouts(timeouts, NOW)
    kinds = [(_uapi.TCP, 3), (_uapi.TCP, 1), (_uapi.SCTP, 4), (_uapi.UDP, None), (_uapi.ICMP, None), (99, None)]
    entries = [
        {"protocol": protocol, "state": state, "status": status, "remaining": remaining, **ports}
        for ports in ({}, {"source_port": 5, "destination_port": 5})
        for (protocol, state), remaining in itertools.product(kinds, sorted(edges))
        if remaining >= 0
    ]
    assert counted(entries, known, 1) == referred(entries, known, 1)


@pytest.mark.parametrize("top", [1, 2, 3, 4, 10])
def test_of_equal_counts_the_smaller_value_is_named(top: int) -> None:
    """Whatever order they come in, and of addresses whatever their family."""
    entries: list[Fields] = [
        {"protocol": _uapi.UDP, "source": source, "source_port": port, "mark": port, "zone": port}
        for source in ("198.18.0.9", "198.18.0.10", "2001:db8::1", "c700::", "c612:a::")
        for port in (9, 10, 8, 7, 20, 20, 19, 19, 18, 18)
    ]
    nothing = Timeouts({}, NOW)
    wanted = referred(entries, nothing, top)
    assert counted(entries, nothing, top) == counted(entries[::-1], nothing, top) == wanted
    assert [one["entries"] for one in wanted["top"]["source"]] == [10] * min(top, 5)
    assert [one["value"] for one in wanted["top"]["source_port"]] == [18, 19, 20, 7, 8, 9, 10][:top]

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.last_look import (
    NONE_RECENT,
    Recent,
    may_change,
)
from ansible_collections.netops.conntrack.plugins.module_utils._selector.compiler import Selection, compile_selection
from ansible_collections.netops.conntrack.plugins.module_utils._selector.keys import KEYS
from helpers.encoded_messages import blocks_of

CONTEXT = Context({"udp_timeout": 30, "udp_timeout_stream": 120}, 0)
TCP, UDP = 6, 17

# What a packet, a rule or a program may change while the entry stays the same one.
CHANGES: dict[str, t.Any] = {
    "state": "SYN_SENT",
    "replied": False,
    "assured": True,
    "offloaded": False,
    "mark": 1,
    "label": 1,
    "helper": "ftp",
    "packets": {"max": 1},
    "packets_original": {"max": 1},
    "packets_reply": {"max": 1},
    "bytes": {"max": 1},
    "bytes_original": {"max": 1},
    "bytes_reply": {"max": 1},
    "remaining": {"min": 1},
    "idle": {"min": 1},
    "age": {"max": 1},
}
STAYS: dict[str, t.Any] = {
    "family": "ipv4",
    "protocol": "tcp",
    "source": "192.0.2.1",
    "address": "192.0.2.0/24",
    "destination_port": 53,
    "icmp_type": 8,
    "zone": 1,
    "zone_reply": 1,
    "id": 5,
    "nat": "snat",
    "expected": True,
}


def selection(match: t.Any, exclude: t.Any = None) -> Selection:
    return compile_selection(match, exclude, CONTEXT)


@pytest.mark.parametrize("key", CHANGES)
def test_what_may_change(key: str) -> None:
    assert may_change(selection({key: CHANGES[key]}))
    assert may_change(selection({"family": "ipv4"}, {key: CHANGES[key]}))


@pytest.mark.parametrize("key", STAYS)
def test_what_stays(key: str) -> None:
    assert not may_change(selection({key: STAYS[key]}))


def test_each_key_that_reads_no_more_than_names_stays() -> None:
    """A key that is new is taken for one that may change."""
    of_names = {"family", "protocol", "source", "destination", "zone", "id"}
    changing = {name for name, key in KEYS.items() if may_change(_with_key(name))}
    assert changing == set(CHANGES)
    assert not any(set(KEYS[name].fields) <= of_names for name in changing)


def _with_key(name: str) -> Selection:
    every = selection({"family": "ipv4"})
    return Selection(**{**vars(every), "every_key": frozenset({name})})


@pytest.mark.parametrize(
    ("remaining", "status", "is_recent"),
    [(30, 0, True), (27, 0, True), (25, 0, False), (1, 0, False), (119, 2, True), (31, 0, True), (None, 0, True)],
)
def test_who_saw_a_packet_shortly_before(remaining: int | None, status: int, is_recent: bool) -> None:
    """As far as that is known: without the time that is left, or with more than any timeout gives, it is not."""
    fields = {} if remaining is None else {"remaining": remaining}
    [block] = blocks_of({"protocol": UDP, "status": status, **fields})
    [entry] = block.entries()
    assert Recent.of(selection({"replied": False}), CONTEXT).test(entry) is is_recent


def test_who_cannot_cease_to_match_is_never_recent() -> None:
    assert Recent.of(selection({"protocol": "udp"}), CONTEXT) is NONE_RECENT
    assert NONE_RECENT.test(None) is False  # type: ignore[arg-type]  # It looks at no entry.

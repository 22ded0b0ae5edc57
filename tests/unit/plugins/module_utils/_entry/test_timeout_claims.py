# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which sysctls count as lowered, and which entries have their time from elsewhere."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._entry.entry import Entry
from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeout_claims import (
    CLAIM_FIELDS,
    Claims,
    lowered_bounds,
)
from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeout_policies import Policy
from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeout_record import TimeoutChange, TimeoutRecord

TCP, UDP, GRE, ICMP, OTHER = 6, 17, 47, 1, 99
IPV4, IPV6 = 2, 10
SEEN_REPLY, EXPECTED = 2, 1
ESTABLISHED = 3
NAME = "tcp_timeout_established"


SETTINGS = {
    NAME: 54000,
    "tcp_timeout_unacknowledged": 60,
    "udp_timeout": 10,
    "udp_timeout_stream": 60,
    "gre_timeout": 20,
    "gre_timeout_stream": 60,
    "generic_timeout": 120,
    "icmp_timeout": 10,
}


def entry(protocol: int, remaining: int, status: int | None = SEEN_REPLY, **more: t.Any) -> Entry:
    """Return an entry that has only the fields that are announced to be read."""
    fields = {
        "protocol": protocol,
        "remaining": remaining,
        "status": status,
        "family": IPV4,
        "state": ESTABLISHED if protocol == TCP else None,
        "helper": None,
        "has_ports": protocol in (TCP, UDP, GRE),
    }
    assert fields.keys() == CLAIM_FIELDS
    return Entry(**{**fields, **more})


@pytest.mark.parametrize(
    ("wanted", "present", "changes", "bound"),
    [
        (54000, 432000, [], 432000),
        (54000, 54000, [], None),
        (54000, 500, [(432000, 500, 10.0)], None),
        (54000, 54000, [(432000, 54000, 0.0)], 432001),
        (54000, 54000, [(432000, 54000, 0.5)], 432000),
        (54000, 54000, [(432000, 54000, 100.0)], 431901),
        (54000, 54000, [(432000, 54000, 400000.0)], 32001),
        (54000, 54000, [(54000, 54000, 100.0)], None),
        (54000, 54000, [(500, 54000, 100.0)], None),
        (54000, 54000, [(432000, 54001, 100.0)], None),
        (54000, 54000, [(432000, 54000, 200.0), (54000, 432000, 100.0)], None),
        (54000, 54000, [(432000, 86400, 200.0), (86400, 54000, 100.0)], 431801),
        (54000, 86400, [(432000, 86400, 200.0)], 431801),
        (54000, 86400, [(432000, 500, 300.0), (500, 86400, 200.0)], 86400),
        (54000, 54000, [(432000, 500, 300.0), (500, 90000, 200.0), (90000, 54000, 100.0)], 89901),
        (54000, 86400, [(432000, 90000, 200.0)], 86400),
    ],
)
def test_what_was_lowered(wanted: int, present: int, changes: list[tuple[int, int, float]], bound: int | None) -> None:
    now = 1_000_000.0
    others = TimeoutChange("udp_timeout", 9999999, wanted, now, now)
    record = TimeoutRecord(
        (*(TimeoutChange(NAME, old, new, now - ago, now) for old, new, ago in changes), others), (), now
    )
    assert lowered_bounds({NAME: wanted}, {NAME: present}, record).get(NAME) == bound


def test_only_timeouts_that_are_there_can_be_lowered() -> None:
    assert lowered_bounds({"max": 5, "udp_timeout": 5, "acct": 0}, {"max": 9, "acct": 1}, TimeoutRecord()) == {}


def test_each_timeout_is_looked_at() -> None:
    wanted = {"max": 5, "gone_timeout": 5, "udp_timeout": 50, NAME: 54_000}
    present = {"max": 9, "udp_timeout": 30, NAME: 432_000}
    assert lowered_bounds(wanted, present, TimeoutRecord()) == {NAME: 432_000}


STREAM = Policy(IPV4, UDP, {"udp_timeout": 60, "udp_timeout_stream": 3600})
BOTH = {"udp_timeout": 30, "udp_timeout_stream": 120}


@pytest.mark.parametrize(
    ("bounds", "policies", "one", "new", "reason"),
    [
        ({}, [], entry(UDP, 100), 60, "not_lowered"),
        ({"udp_timeout": 30}, [], entry(UDP, 100), 60, "longer_than_before"),
        (BOTH, [], entry(UDP, 100), 60, ""),
        (BOTH, [], entry(UDP, 120), 60, ""),
        (BOTH, [], entry(UDP, 121), 60, "longer_than_before"),
        (BOTH, [], entry(UDP, 100, status=0), 60, "longer_than_before"),
        (BOTH, [STREAM], entry(UDP, 100), 60, "rule"),
        (BOTH, [STREAM], entry(UDP, 3600), 60, "rule"),
        (BOTH, [STREAM], entry(UDP, 3601), 60, "longer_than_before"),
        (BOTH, [STREAM], entry(UDP, 100, family=IPV6), 60, ""),
        (BOTH, [STREAM], entry(UDP, 25, status=0), 10, "rule"),
        (BOTH, [STREAM], entry(UDP, 61, status=0), 10, "longer_than_before"),
        ({"udp_timeout": 90}, [STREAM], entry(UDP, 61, status=0), 60, ""),
        (BOTH, [STREAM._replace(family=None)], entry(UDP, 100, family=IPV6), 60, "rule"),
        (BOTH, [STREAM._replace(protocol=136)], entry(UDP, 100), 60, ""),
        ({NAME: 432000}, [STREAM], entry(TCP, 100000), 54000, ""),
        ({NAME: 432000}, [Policy(IPV4, TCP, {"tcp_timeout_fin_wait": 500000})], entry(TCP, 100000), 54000, ""),
        ({NAME: 432000}, [Policy(IPV4, TCP, {NAME: 54000})], entry(TCP, 54001), 54000, ""),
        ({"tcp_timeout_unacknowledged": 300}, [], entry(TCP, 290), 60, "not_lowered"),
        ({"generic_timeout": 600}, [], entry(OTHER, 500), 120, ""),
        ({"generic_timeout": 600}, [Policy(IPV4, 255, {"generic_timeout": 3600})], entry(OTHER, 500), 120, "rule"),
        ({"icmp_timeout": 30}, [Policy(IPV4, 255, {"generic_timeout": 3600})], entry(ICMP, 20), 10, ""),
        ({"gre_timeout_stream": 180}, [], entry(GRE, 170), 60, ""),
        ({"gre_timeout_stream": 180}, [], entry(GRE, 170, status=EXPECTED | SEEN_REPLY), 60, "helper"),
        ({"gre_timeout": 180}, [], entry(GRE, 170, status=0), 60, ""),
        ({"gre_timeout": 180}, [], entry(GRE, 170, status=None), 60, ""),
        (BOTH, [], entry(UDP, 100, helper="sip"), 60, "helper"),
        (BOTH, [], entry(UDP, 3599, helper="sip-5061"), 60, "helper"),
        (BOTH, [], entry(UDP, 100, helper="tftp"), 60, ""),
        ({}, [], entry(UDP, 100, helper="sip"), 60, "not_lowered"),
        ({"gre_timeout": 30}, [Policy(None, GRE, {"gre_timeout": 900})], entry(GRE, 29), 20, "rule"),
    ],
)
def test_the_reason_to_keep_an_entry(
    bounds: dict[str, int], policies: t.Sequence[Policy], one: Entry, new: int, reason: str
) -> None:
    assert Claims(bounds, policies).reason_to_keep(one, SETTINGS, new) == reason


def test_the_reason_can_change_right_after_each_bound_and_each_timeout_of_a_rule() -> None:
    assert Claims(BOTH, [STREAM]).breakpoints == {31, 121, 61, 3601}

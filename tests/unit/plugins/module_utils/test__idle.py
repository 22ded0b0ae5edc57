# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._entry import Entry
from ansible_collections.netops.conntrack.plugins.module_utils._idle import NEEDS, idle

ESTABLISHED, SYN_SENT, SYN_SENT2, TIME_WAIT = (
    _uapi.STATE_NAMES[_uapi.TCP].index(name) for name in ("ESTABLISHED", "SYN_SENT", "SYN_SENT2", "TIME_WAIT")
)
HEARTBEAT_SENT = _uapi.STATE_NAMES[_uapi.SCTP].index("HEARTBEAT_SENT")
PARTOPEN = _uapi.STATE_NAMES[_uapi.DCCP].index("PARTOPEN")
REPLIED = _uapi.SEEN_REPLY

SETTINGS = {
    "tcp_timeout_established": 432000,
    "tcp_timeout_syn_sent": 120,
    "tcp_timeout_time_wait": 125,
    "tcp_timeout_unacknowledged": 300,
    "tcp_timeout_max_retrans": 310,
    "sctp_timeout_heartbeat_sent": 35,
    "dccp_timeout_partopen": 480,
    "udp_timeout": 30,
    "udp_timeout_stream": 180,
    "gre_timeout": 31,
    "gre_timeout_stream": 181,
    "icmp_timeout": 32,
    "icmpv6_timeout": 33,
    "generic_timeout": 600,
}


def seconds(protocol: int, state: int | None, status: int | None, remaining: int | None, **settings: int) -> int | None:
    fields = {"protocol": protocol, "state": state, "status": status, "remaining": remaining}
    assert set(fields) == NEEDS
    return idle(Entry(**fields), {**SETTINGS, **settings})


@pytest.mark.parametrize(
    ("protocol", "state", "status", "remaining", "expected"),
    [
        (_uapi.TCP, ESTABLISHED, REPLIED, 432000, 0),
        (_uapi.TCP, ESTABLISHED, REPLIED, 431000, 1000),
        (_uapi.TCP, ESTABLISHED, REPLIED, 311, 431689),
        (_uapi.TCP, SYN_SENT, 0, 20, 100),
        (_uapi.TCP, SYN_SENT2, 0, 20, 100),
        (_uapi.TCP, TIME_WAIT, REPLIED, 20, 105),
        (_uapi.SCTP, HEARTBEAT_SENT, 0, 5, 30),
        (_uapi.DCCP, PARTOPEN, 0, 5, 475),
        (_uapi.UDP, None, 0, 5, 25),
        (_uapi.UDPLITE, None, 0, 5, 25),
        (_uapi.GRE, None, 0, 5, 26),
        (_uapi.ICMP, None, 0, 5, 27),
        (_uapi.ICMPV6, None, REPLIED, 5, 28),
        (99, None, 0, 5, 595),
    ],
)
def test_timeout_of_each_protocol(protocol: int, state: int | None, status: int, remaining: int, expected: int) -> None:
    assert seconds(protocol, state, status, remaining) == expected


@pytest.mark.parametrize(
    ("protocol", "state", "remaining", "expected"),
    [
        (_uapi.TCP, ESTABLISHED, 310, 0),
        (_uapi.TCP, ESTABLISHED, 301, 9),
        (_uapi.TCP, ESTABLISHED, 300, 0),
        (_uapi.TCP, ESTABLISHED, 10, 290),
        (_uapi.UDP, None, 170, 10),
        (_uapi.UDP, None, 31, 149),
        (_uapi.UDP, None, 30, 0),
        (_uapi.UDP, None, 10, 20),
        (_uapi.UDPLITE, None, 170, 10),
        (_uapi.GRE, None, 170, 11),
        (_uapi.GRE, None, 10, 21),
    ],
)
def test_of_several_timeouts_the_shortest_that_explains_it(
    protocol: int, state: int | None, remaining: int, expected: int
) -> None:
    assert seconds(protocol, state, REPLIED, remaining) == expected


def test_cap_counts_only_where_it_is_shorter_than_the_own_timeout() -> None:
    assert seconds(_uapi.TCP, SYN_SENT, 0, 200) is None
    assert seconds(_uapi.TCP, SYN_SENT, 0, 200, tcp_timeout_syn_sent=400) == 100


@pytest.mark.parametrize(
    ("protocol", "state", "status", "remaining"),
    [
        (_uapi.TCP, ESTABLISHED, REPLIED, None),
        (_uapi.TCP, ESTABLISHED, REPLIED | _uapi.FIXED_TIMEOUT, 100),
        (_uapi.TCP, ESTABLISHED, REPLIED, 432001),
        (_uapi.TCP, None, REPLIED, 100),
        (_uapi.TCP, 0, REPLIED, 100),
        (_uapi.SCTP, 1, REPLIED, 5),
        (_uapi.UDP, None, 0, 31),
        (_uapi.UDP, None, REPLIED, 181),
        (_uapi.ICMP, None, 0, 33),
        (99, None, 0, 601),
    ],
)
def test_what_cannot_be_known(protocol: int, state: int | None, status: int, remaining: int | None) -> None:
    assert seconds(protocol, state, status, remaining) is None


def test_timeouts_of_another_protocol_are_not_taken() -> None:
    entry = Entry(protocol=_uapi.ICMP, state=None, status=0, remaining=5)
    assert idle(entry, {"generic_timeout": 600, "udp_timeout": 30}) is None
    assert idle(entry, {"icmp_timeout": 30}) == 25


def test_entry_without_its_status_is_taken_as_unreplied() -> None:
    assert seconds(_uapi.UDP, None, None, 5) == 25
    assert seconds(_uapi.UDP, None, None, 100) is None

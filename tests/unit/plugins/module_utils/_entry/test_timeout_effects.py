# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What other timeouts would have made of entries of every kind."""

from __future__ import annotations

import math
import socket
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._entry.entry import Entry
from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeout_effects import (
    EFFECT_FIELDS,
    Effect,
    NewTimeouts,
    origins_of,
)
from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeout_policies import Policy
from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeout_record import (
    Shortening,
    TimeoutChange,
    TimeoutRecord,
)
from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeouts import CAPS, Timeouts
from helpers.strategies import NOW, SECOND

GONE, STAYS, UNKNOWN = Effect.GONE, Effect.STAYS, Effect.UNKNOWN
TCP, UDP, GRE, SCTP, ICMP, ESP = _uapi.TCP, _uapi.UDP, _uapi.GRE, _uapi.SCTP, _uapi.ICMP, 50
REPLIED, ASSURED, PICKED_UP = _uapi.SEEN_REPLY, _uapi.SEEN_REPLY | _uapi.ASSURED, 0

SETTINGS = {
    "tcp_timeout_established": 432000,
    "tcp_timeout_syn_sent": 120,
    "tcp_timeout_time_wait": 125,
    "tcp_timeout_close": 10,
    "tcp_timeout_unacknowledged": 300,
    "tcp_timeout_max_retrans": 300,
    "sctp_timeout_established": 210,
    "udp_timeout": 30,
    "udp_timeout_stream": 120,
    "gre_timeout": 30,
    "gre_timeout_stream": 180,
    "icmp_timeout": 30,
    "generic_timeout": 600,
}


def state_number(protocol: int, state: str) -> int:
    return _uapi.STATE_NAMES[protocol].index(state)


def entry(protocol: int, remaining: int | None, status: int = ASSURED, state: str = "", **fields: t.Any) -> Entry:
    """Return an entry that has only the fields that are announced to be read."""
    whole = {
        "family": int(socket.AF_INET),
        "protocol": protocol,
        "has_ports": protocol in (*_uapi.PORT_PROTOCOLS, GRE),
        "state": state_number(protocol, state) if state else None,
        "status": status,
        "remaining": remaining,
        "start": None,
        "helper": None,
        **fields,
    }
    assert whole.keys() == EFFECT_FIELDS
    return Entry(**whole)


def established(remaining: int | None, status: int = ASSURED, **fields: t.Any) -> Entry:
    return entry(TCP, remaining, status, "ESTABLISHED", **fields)


def effect(of: Entry, wanted: dict[str, int], **known: t.Any) -> Effect | None:
    timeouts = Timeouts(SETTINGS, NOW, **known)
    return NewTimeouts(wanted, timeouts).effect(origins_of(of, timeouts))


ESTABLISHED_15H = {"tcp_timeout_established": 54000}


@pytest.mark.parametrize(
    ("remaining", "expected"),
    [(432000, STAYS), (377_999 + 1, STAYS), (377_999, GONE), (301, GONE), (300, UNKNOWN), (5, UNKNOWN)],
)
def test_entry_that_got_its_time_longer_ago_than_the_new_timeout_would_be_gone(
    remaining: int, expected: Effect
) -> None:
    # From 300 s on, unanswered data may have given it the time that it has left.
    assert effect(established(remaining), ESTABLISHED_15H) is expected


@pytest.mark.parametrize(
    ("of", "wanted", "expected"),
    [
        (entry(TCP, 99, 0, "SYN_SENT"), {"tcp_timeout_syn_sent": 20}, GONE),
        (entry(TCP, 100, 0, "SYN_SENT"), {"tcp_timeout_syn_sent": 20}, STAYS),
        (entry(TCP, 5, 0, "SYN_SENT"), {"tcp_timeout_syn_sent": 20}, GONE),
        (entry(TCP, 60, ASSURED, "TIME_WAIT"), {"tcp_timeout_time_wait": 30}, GONE),
        (entry(SCTP, 100, ASSURED, "ESTABLISHED"), {"sctp_timeout_established": 60}, GONE),
        (entry(UDP, 10, 0), {"udp_timeout": 10}, GONE),
        (entry(UDP, 19, 0), {"udp_timeout": 10}, GONE),
        (entry(UDP, 20, 0), {"udp_timeout": 10}, STAYS),
        (entry(UDP, 10, ASSURED), {"udp_timeout_stream": 60}, GONE),
        (entry(UDP, 10, REPLIED), {"udp_timeout": 10}, GONE),
        (entry(UDP, 100, REPLIED), {"udp_timeout_stream": 10}, GONE),
        (entry(UDP, 10, ASSURED | _uapi.NAT_CLASH), {"udp_timeout_stream": 60}, UNKNOWN),
        (entry(GRE, 100, ASSURED), {"gre_timeout_stream": 60}, GONE),
        (entry(ICMP, 10), {"icmp_timeout": 10}, GONE),
        (entry(ESP, 300), {"generic_timeout": 120}, GONE),
        (entry(SCTP, 300, has_ports=False), {"generic_timeout": 120}, GONE),
    ],
)
def test_each_protocol(of: Entry, wanted: dict[str, int], expected: Effect) -> None:
    assert effect(of, wanted) is expected


@pytest.mark.parametrize(
    ("of", "wanted"),
    [
        (entry(UDP, 10, 0), ESTABLISHED_15H),
        (entry(UDP, 10, ASSURED), {"udp_timeout": 5}),
        (entry(UDP, 10, REPLIED), {"udp_timeout_stream": 60}),
        (entry(TCP, 60, ASSURED, "TIME_WAIT"), ESTABLISHED_15H),
        # It was picked up in the middle, and never gets more than 300 s.
        (established(200, PICKED_UP), ESTABLISHED_15H),
        (established(400_000), {"tcp_timeout_unacknowledged": 60}),
        (established(None), {"udp_timeout": 5}),
    ],
)
def test_timeout_that_does_not_give_the_entry_its_time_has_no_effect(of: Entry, wanted: dict[str, int]) -> None:
    assert effect(of, wanted) is None


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"tcp_timeout_unacknowledged": 60}, GONE),
        ({"tcp_timeout_unacknowledged": 150}, STAYS),
        # The shorter one of the two counts, whichever it is.
        ({"tcp_timeout_established": 60}, GONE),
        ({"tcp_timeout_unacknowledged": 60, "tcp_timeout_max_retrans": 60}, GONE),
        ({"tcp_timeout_max_retrans": 60}, UNKNOWN),
    ],
)
def test_picked_up_connection(wanted: dict[str, int], expected: Effect) -> None:
    assert effect(established(200, PICKED_UP), wanted) is expected


def test_picked_up_connection_with_more_left_than_its_cap_has_it_from_the_state() -> None:
    # It counts as what it would have got, which is the cap.
    assert effect(established(400_000, PICKED_UP), ESTABLISHED_15H) is GONE


def test_picked_up_connection_may_have_its_time_from_a_rule() -> None:
    policy = Policy(None, TCP, {"tcp_timeout_established": 432_000})
    assert effect(established(100_000, PICKED_UP), ESTABLISHED_15H, policies=[policy]) is UNKNOWN


def test_a_kernel_without_the_cap_gives_the_time_of_the_state() -> None:
    without = {name: seconds for name, seconds in SETTINGS.items() if name not in CAPS}
    timeouts = Timeouts(without, NOW)
    assert NewTimeouts(ESTABLISHED_15H, timeouts).effect(origins_of(established(100_000, PICKED_UP), timeouts)) is GONE


def test_all_that_may_have_given_it_its_time_together() -> None:
    alone = [{"tcp_timeout_unacknowledged": 60}, {"tcp_timeout_max_retrans": 60}, ESTABLISHED_15H]
    together = {name: seconds for wanted in alone for name, seconds in wanted.items()}
    assert [effect(established(200), wanted) for wanted in alone] == [UNKNOWN] * 3
    assert effect(established(200), together) is GONE


@pytest.mark.parametrize("seconds", [432000, 500_000])
def test_timeout_that_is_not_lowered_takes_nothing_away(seconds: int) -> None:
    for remaining in (None, 5, 100_000, 600_000):
        assert effect(established(remaining), {"tcp_timeout_established": seconds}) is STAYS


@pytest.mark.parametrize(
    "of",
    [
        established(None),
        established(100_000, ASSURED | _uapi.FIXED_TIMEOUT),
        established(100_000, helper="sip"),
        established(432_001),
    ],
)
def test_entry_whose_time_is_not_from_the_sysctl_is_unknown(of: Entry) -> None:
    assert effect(of, ESTABLISHED_15H) is UNKNOWN


def test_helper_without_timeouts_of_its_own() -> None:
    assert effect(established(100_000, helper="ftp"), ESTABLISHED_15H) is GONE


def test_rule_that_may_have_given_it_its_time() -> None:
    policy = Policy(None, UDP, {"udp_timeout": 3600, "udp_timeout_stream": 3600})
    wanted = {"udp_timeout_stream": 60}
    assert effect(entry(UDP, 10), wanted, policies=[policy]) is UNKNOWN
    assert effect(entry(UDP, 3000), wanted, policies=[policy]) is None
    assert effect(entry(UDP, 110), wanted, policies=[policy]) is STAYS


def test_a_reset_may_have_given_it_its_time_once_it_was_answered() -> None:
    assert effect(established(5), {"tcp_timeout_close": 2}) is UNKNOWN
    assert effect(established(5, PICKED_UP), {"tcp_timeout_close": 2}) is None


@pytest.mark.parametrize(("wanted", "expected"), [(1, STAYS), (0, GONE)])
def test_a_packet_that_came_just_now_is_no_second_ago(wanted: int, expected: Effect) -> None:
    assert effect(entry(UDP, 30, 0), {"udp_timeout": wanted}) is expected


def test_a_sysctl_that_the_kernel_lacks_is_not_lowered() -> None:
    assert NewTimeouts({"gone_timeout": 0, "udp_timeout": 29}, Timeouts(SETTINGS, NOW)).lowered == {"udp_timeout"}


@pytest.mark.parametrize(("elapsed", "expected"), [(160, GONE), (161, UNKNOWN)])
def test_a_packet_came_after_the_boot(elapsed: int, expected: Effect) -> None:
    """A minute more, because entries are read a while after the time was."""
    of = established(432_000 - 1 - elapsed)
    assert effect(of, {"tcp_timeout_established": 100}, uptime=100.5) is expected


SHORT = {
    "tcp_timeout_established": 400,
    "tcp_timeout_fin_wait": 90,
    "tcp_timeout_close": 10,
    "tcp_timeout_unacknowledged": 300,
    "tcp_timeout_max_retrans": 310,
    "udp_timeout": 30,
    "udp_timeout_stream": 120,
    "icmp_timeout": 25,
}


@pytest.mark.parametrize("uptime", [math.inf, 100.0])
@pytest.mark.parametrize(
    "wanted",
    [
        {"tcp_timeout_established": 200},
        {"tcp_timeout_unacknowledged": 250, "tcp_timeout_max_retrans": 100},
        {"udp_timeout": 10, "udp_timeout_stream": 50},
        {"icmp_timeout": 5, "tcp_timeout_close": 3},
    ],
)
def test_the_effect_changes_only_where_it_is_said_to(wanted: dict[str, int], uptime: float) -> None:
    timeouts = Timeouts(SHORT, NOW, uptime=uptime)
    new = NewTimeouts(wanted, timeouts)
    changes = new.remaining_changes()
    kinds = [(UDP, 0, ""), (UDP, ASSURED, ""), (ICMP, 0, ""), (TCP, ASSURED, "ESTABLISHED"), (TCP, 0, "ESTABLISHED")]
    for protocol, status, state in kinds:
        effects = [
            new.effect(origins_of(entry(protocol, remaining, status, state), timeouts)) for remaining in range(450)
        ]
        where = {number for number in range(1, 450) if effects[number] is not effects[number - 1]}
        assert where <= changes


def test_the_ages_at_which_the_effect_changes_are_the_timeouts() -> None:
    timeouts = Timeouts({**SHORT, "max": 5}, NOW)
    assert NewTimeouts({"udp_timeout": 7}, timeouts).age_bounds() == {400, 90, 10, 300, 310, 7, 120, 25}


def test_flow_table_that_may_have_lowered_what_it_has_left() -> None:
    timeouts = Timeouts({**SETTINGS, "flowtable_tcp_timeout": 30}, NOW, flow_tables=True)
    assert NewTimeouts(ESTABLISHED_15H, timeouts).effect(origins_of(established(100_000), timeouts)) is UNKNOWN


def test_no_entry_got_its_time_before_the_machine_was_up() -> None:
    # A program gave this one its time.
    assert effect(established(100_000), ESTABLISHED_15H, uptime=86_400.0) is UNKNOWN
    assert effect(established(360_000), ESTABLISHED_15H, uptime=86_400.0) is GONE
    # Only unanswered data can have given this one what it has left.
    assert effect(established(200), ESTABLISHED_15H, uptime=86_400.0) is None


@pytest.mark.parametrize(("seconds_old", "expected"), [(54_000, GONE), (53_999, STAYS), (10, STAYS)])
def test_entry_that_is_younger_than_the_new_timeout_stays(seconds_old: int, expected: Effect) -> None:
    assert effect(established(100_000, start=NOW - seconds_old * SECOND), ESTABLISHED_15H) is expected


def changed(old: int, new: int, seconds_ago: float) -> TimeoutRecord:
    change = TimeoutChange("tcp_timeout_established", old, new, 10_000.0 - seconds_ago, 10_000.0 - seconds_ago)
    return TimeoutRecord((change,), now=10_000.0)


def test_entries_from_before_a_timeout_was_lowered() -> None:
    timeouts = Timeouts({**SETTINGS, "tcp_timeout_established": 54000}, NOW, record=changed(432000, 54000, 100.0))
    shorter = NewTimeouts({"tcp_timeout_established": 30000}, timeouts)
    # It got 432000 s, and 30000 s of them are over.
    assert shorter.effect(origins_of(established(401_999), timeouts)) is GONE
    assert shorter.effect(origins_of(established(402_001), timeouts)) is STAYS
    # It may have got 54000 s just now.
    assert shorter.effect(origins_of(established(53_950), timeouts)) is UNKNOWN
    # Nothing is lowered any more.
    assert NewTimeouts(ESTABLISHED_15H, timeouts).effect(origins_of(established(53_950), timeouts)) is STAYS


def test_entry_that_an_update_shortened_is_gone_only_if_that_is_long_ago() -> None:
    record = TimeoutRecord((), (Shortening(1000, 0.0, 0.0),), now=10_000.0)
    assert effect(established(900), {"tcp_timeout_established": 500}, record=record) is GONE
    record = TimeoutRecord((), (Shortening(1000, 9_900.0, 9_900.0),), now=10_000.0)
    assert effect(established(900), {"tcp_timeout_established": 500}, record=record) is UNKNOWN

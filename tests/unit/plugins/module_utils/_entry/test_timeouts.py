# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import math
import os
import socket
import types
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._entry import timeouts as timeouts_module
from ansible_collections.netops.conntrack.plugins.module_utils._entry.entry import Entry
from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeout_policies import GENERIC, Policy
from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeout_record import (
    Shortening,
    TimeoutChange,
    TimeoutRecord,
)
from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeouts import (
    IDLE_FIELDS,
    STATES_OF_FIRST_PACKETS,
    TIMEOUT_FIELDS,
    Timeouts,
    age,
    age_changes,
    governing_sysctls,
    idle,
    idle_changes,
    longest_timeout,
)
from helpers.strategies import NOW, SECOND
from hypothesis import given, settings
from hypothesis import strategies as st

ESTABLISHED, SYN_SENT, SYN_RECV, SYN_SENT2, TIME_WAIT = (
    _uapi.STATE_NAMES[_uapi.TCP].index(name)
    for name in ("ESTABLISHED", "SYN_SENT", "SYN_RECV", "SYN_SENT2", "TIME_WAIT")
)
CLOSED, HEARTBEAT_SENT = (_uapi.STATE_NAMES[_uapi.SCTP].index(name) for name in ("CLOSED", "HEARTBEAT_SENT"))
PARTOPEN = _uapi.STATE_NAMES[_uapi.DCCP].index("PARTOPEN")
REPLIED = _uapi.SEEN_REPLY

SETTINGS = {
    "tcp_timeout_established": 432000,
    "tcp_timeout_syn_sent": 120,
    "tcp_timeout_syn_recv": 60,
    "tcp_timeout_time_wait": 125,
    "tcp_timeout_close": 9,
    "tcp_timeout_unacknowledged": 300,
    "tcp_timeout_max_retrans": 310,
    "sctp_timeout_closed": 11,
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
_WITH_PORTS = (*_uapi.PORT_PROTOCOLS, _uapi.GRE)


def entry(protocol: int, remaining: int | None, **fields: t.Any) -> Entry:
    whole = {
        "family": int(socket.AF_INET),
        "protocol": protocol,
        "has_ports": protocol in _WITH_PORTS,
        "state": None,
        "status": 0,
        "remaining": remaining,
        "start": None,
        "helper": None,
        **fields,
    }
    assert whole.keys() == IDLE_FIELDS
    return Entry(**whole)


def seconds(protocol: int, remaining: int | None, timeouts: Timeouts | None = None, **fields: t.Any) -> int | None:
    return idle(entry(protocol, remaining, **fields), timeouts or Timeouts(SETTINGS, NOW))


def of_established(timeouts: Timeouts) -> list[tuple[float, float, float]]:
    """Return the timeouts that an entry with a second left may have had by the sysctl of ESTABLISHED, and when."""
    found = timeouts.possible(entry(_uapi.TCP, 1, state=ESTABLISHED))
    own = [each for each in found if each.sysctl == "tcp_timeout_established"]
    return [(each.timeout, each.newest, each.oldest) for each in own]


def known(**fields: t.Any) -> Timeouts:
    sysctls = {**SETTINGS, **fields.pop("settings", {})}
    return Timeouts(sysctls, NOW, **fields)


@pytest.mark.parametrize(
    ("protocol", "state", "status", "remaining", "expected"),
    [
        (_uapi.TCP, ESTABLISHED, REPLIED, 432000, 0),
        (_uapi.TCP, ESTABLISHED, REPLIED, 431999, 0),
        (_uapi.TCP, ESTABLISHED, REPLIED, 431000, 999),
        (_uapi.TCP, ESTABLISHED, REPLIED, 311, 431688),
        (_uapi.TCP, SYN_SENT2, 0, 20, 99),
        (_uapi.TCP, TIME_WAIT, REPLIED, 20, 104),
        (_uapi.SCTP, HEARTBEAT_SENT, 0, 5, 29),
        (_uapi.DCCP, PARTOPEN, 0, 5, 474),
        (_uapi.UDP, None, 0, 5, 24),
        (_uapi.UDPLITE, None, 0, 5, 24),
        (_uapi.GRE, None, 0, 5, 25),
        (_uapi.ICMP, None, 0, 5, 26),
        (_uapi.ICMPV6, None, REPLIED, 5, 27),
        (99, None, 0, 5, 594),
    ],
)
def test_timeout_of_each_protocol(protocol: int, state: int | None, status: int, remaining: int, expected: int) -> None:
    assert seconds(protocol, remaining, state=state, status=status) == expected


@pytest.mark.parametrize(
    ("protocol", "state", "remaining", "expected"),
    [
        (_uapi.TCP, ESTABLISHED, 310, 0),
        (_uapi.TCP, ESTABLISHED, 301, 8),
        (_uapi.TCP, ESTABLISHED, 300, 0),
        (_uapi.TCP, ESTABLISHED, 12, 287),
        (_uapi.TCP, ESTABLISHED, 9, 0),
        (_uapi.TCP, ESTABLISHED, 3, 5),
        (_uapi.TCP, TIME_WAIT, 3, 5),
        (_uapi.UDP, None, 170, 9),
        (_uapi.UDP, None, 31, 148),
        (_uapi.UDP, None, 30, 0),
        (_uapi.UDP, None, 10, 19),
        (_uapi.UDPLITE, None, 170, 9),
        (_uapi.GRE, None, 170, 10),
        (_uapi.GRE, None, 10, 20),
    ],
)
def test_of_several_timeouts_the_shortest_that_explains_it(
    protocol: int, state: int | None, remaining: int, expected: int
) -> None:
    assert seconds(protocol, remaining, state=state, status=REPLIED) == expected


def test_cap_counts_only_where_it_is_shorter_than_the_own_timeout() -> None:
    assert seconds(_uapi.TCP, 200, state=SYN_SENT2) is None
    assert seconds(_uapi.TCP, 200, known(settings={"tcp_timeout_time_wait": 400}), state=TIME_WAIT) == 99


def test_reset_may_have_given_a_longer_time_than_the_own_timeout() -> None:
    longer = known(settings={"tcp_timeout_close": 500})
    assert seconds(_uapi.TCP, 450, longer, state=TIME_WAIT) == 49
    assert seconds(_uapi.TCP, 100, longer, state=TIME_WAIT) == 24


@pytest.mark.parametrize(("protocol", "state"), [(_uapi.TCP, SYN_SENT), (_uapi.TCP, SYN_RECV), (_uapi.SCTP, CLOSED)])
def test_repeated_first_packets_do_not_renew_so_that_the_last_may_just_have_come(protocol: int, state: int) -> None:
    assert seconds(protocol, 1, state=state) == 0


@pytest.mark.parametrize(
    ("protocol", "state", "status", "remaining"),
    [
        (_uapi.TCP, ESTABLISHED, REPLIED, None),
        (_uapi.TCP, ESTABLISHED, REPLIED | _uapi.FIXED_TIMEOUT, 100),
        (_uapi.TCP, ESTABLISHED, REPLIED, 432001),
        (_uapi.TCP, SYN_SENT, 0, 121),
        (_uapi.TCP, None, REPLIED, 100),
        (_uapi.TCP, 0, REPLIED, 100),
        (_uapi.SCTP, 2, REPLIED, 5),
        (_uapi.UDP, None, 0, 31),
        (_uapi.UDP, None, REPLIED, 181),
        (_uapi.ICMP, None, 0, 33),
        (99, None, 0, 601),
    ],
)
def test_what_cannot_be_known(protocol: int, state: int | None, status: int, remaining: int | None) -> None:
    assert seconds(protocol, remaining, state=state, status=status) is None


@pytest.mark.parametrize("protocol", [_uapi.DCCP, _uapi.SCTP, _uapi.UDPLITE, _uapi.GRE])
def test_protocol_that_the_kernel_was_built_without_is_generic(protocol: int) -> None:
    assert seconds(protocol, 500, has_ports=False) == 99


def test_old_kernel_has_timeouts_of_udplite() -> None:
    old = known(settings={"udplite_timeout": 40, "udplite_timeout_stream": 190})
    assert seconds(_uapi.UDPLITE, 35, old) == 4
    assert seconds(_uapi.UDP, 35, old) is None


def test_timeouts_of_another_protocol_are_not_taken() -> None:
    assert seconds(_uapi.ICMP, 5, Timeouts({"generic_timeout": 600, "udp_timeout": 30}, NOW)) is None
    assert seconds(_uapi.ICMP, 5, Timeouts({"icmp_timeout": 30}, NOW)) == 24


def test_entry_without_its_status_is_taken_as_unreplied() -> None:
    assert seconds(_uapi.UDP, 5, status=None) == 24
    assert seconds(_uapi.UDP, 100, status=None) is None


def test_old_kernel_renews_by_whole_seconds_only() -> None:
    assert seconds(_uapi.UDP, 10, known(slow_renewal=True)) == 18


@pytest.mark.parametrize(
    ("helper", "expected"),
    [
        ("ftp", 19),
        ("ftp-2121", 19),
        ("Q.931", 19),
        ("sip", None),
        ("sip-5070", None),
        ("RAS", None),
        ("netbios-ns", None),
        ("amanda", None),
        ("somebody's own", None),
    ],
)
def test_helper_that_may_set_timeouts(helper: str, expected: int | None) -> None:
    assert seconds(_uapi.UDP, 10, helper=helper) == expected


def test_expected_gre_entry_has_the_timeouts_of_pptp() -> None:
    assert seconds(_uapi.GRE, 500, status=_uapi.EXPECTED) == 99
    assert seconds(_uapi.GRE, 17_000, status=REPLIED | _uapi.EXPECTED) == 999
    assert seconds(_uapi.GRE, 500) is None
    assert seconds(_uapi.GRE, 500, status=None) is None


def test_entry_that_left_a_flow_table() -> None:
    """It may have counted down from any time, while its packets went through the flow table."""
    old_kernel = known(flow_tables=True)
    assert seconds(_uapi.TCP, 110, old_kernel, state=ESTABLISHED, status=REPLIED) == 0
    assert seconds(_uapi.TCP, 121, old_kernel, state=ESTABLISHED, status=REPLIED) == 178
    assert seconds(_uapi.UDP, 25, old_kernel, status=REPLIED) == 0
    offloading = known(flow_tables=True, settings={"flowtable_udp_timeout": 30, "flowtable_tcp_timeout": 30})
    assert seconds(_uapi.UDP, 100, offloading, status=REPLIED) == 0
    assert seconds(_uapi.UDP, 10, offloading) == 19
    assert seconds(_uapi.UDP, 155, offloading, status=REPLIED) == 24
    for remaining in (82_770, 428_370, 431_970):
        assert seconds(_uapi.TCP, remaining, offloading, state=ESTABLISHED, status=REPLIED) == 0
    assert seconds(_uapi.TCP, 431_975, offloading, state=ESTABLISHED, status=REPLIED) == 24
    assert seconds(_uapi.ICMP, 10, offloading) == 21
    # Nothing is left of a timeout that is as long as the flow table's.
    assert seconds(_uapi.UDP, 0, offloading, status=REPLIED) == 0
    as_long = known(flow_tables=True, settings={"flowtable_udp_timeout": 180})
    assert seconds(_uapi.UDP, 0, as_long, status=REPLIED) == 0
    assert seconds(_uapi.UDP, 0, known(), status=REPLIED) == 29


def test_states_of_first_packets_have_the_names_of_states() -> None:
    assert {"SYN_SENT", "SYN_RECV", "CLOSED"} == STATES_OF_FIRST_PACKETS


@pytest.mark.parametrize(
    ("release", "is_slow"),
    [
        ("3.16.0-4-amd64", True),
        ("4.8.17", True),
        ("4.9.0", False),
        ("4.19.0-rc1", False),
        ("5.4.0", False),
        ("10.0", False),
        ("5.custom", False),
    ],
)
def test_old_kernel_is_known_by_its_release(release: str, is_slow: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeouts_module, "read_record", TimeoutRecord)
    monkeypatch.setattr(timeouts_module, "list_policies", list)
    monkeypatch.setattr(timeouts_module, "has_flow_tables", lambda: False)
    monkeypatch.setattr(os, "uname", lambda: types.SimpleNamespace(release=release))
    assert Timeouts.read({}).slow_renewal is is_slow


def test_everything_has_what_flow_tables_leave() -> None:
    def found(**fields: t.Any) -> set[int]:
        return {each.timeout for each in known(**fields).everything() if not each.from_a_packet}

    offloading = {"flowtable_udp_timeout": 30, "flowtable_tcp_timeout": 40}
    assert found(settings=offloading) == set()
    assert {432_000 - 40, 180 - 30} <= found(settings=offloading, flow_tables=True)
    assert {120, 30} <= found(flow_tables=True)


def test_the_time_idle_begins_and_ends_at_known_remaining_times() -> None:
    """Of a timeout of 30 s, it begins with less than 30 s left. More than 30 s are not explained."""
    without_sysctl = {120, 121, 600, 601, 18_000, 18_001}
    assert idle_changes((), Timeouts({"udp_timeout": 30}, NOW)) == {30, 31, *without_sysctl}
    assert idle_changes((5,), Timeouts({"udp_timeout": 30}, NOW)) >= {25, 30, 31}


def test_everything_has_the_timeouts_of_policies() -> None:
    policies = [Policy(None, _uapi.UDP, {"udp_timeout": 71, "udp_timeout_stream": 72})]
    assert {71, 72} <= {each.timeout for each in known(policies=policies).everything()}


class TestPolicies:
    VOIP = Policy(int(socket.AF_INET), _uapi.UDP, {"udp_timeout": 60, "udp_timeout_stream": 3600})
    WEB = Policy(
        None,
        _uapi.TCP,
        {
            "tcp_timeout_syn_sent": 70,
            "tcp_timeout_established": 1000,
            "tcp_timeout_close": 7,
            "tcp_timeout_unacknowledged": 290,
            "tcp_timeout_max_retrans": 280,
        },
    )

    @pytest.mark.parametrize(
        ("remaining", "fields", "expected"),
        [
            (3590, {"status": REPLIED}, 9),
            (150, {"status": REPLIED}, 29),
            (50, {"status": REPLIED}, 9),
            (50, {}, 9),
            (3590, {}, None),
            (50, {"family": int(socket.AF_INET6)}, None),
        ],
    )
    def test_entry_of_their_protocol(self, remaining: int, fields: dict[str, t.Any], expected: int | None) -> None:
        assert seconds(_uapi.UDP, remaining, known(policies=[self.VOIP]), **fields) == expected

    @pytest.mark.parametrize(
        ("remaining", "expected"), [(990, 9), (285, 4), (275, 4), (65, 4), (6, 0), (8, 0), (2000, 429_999)]
    )
    def test_tcp_with_its_caps_and_the_first_packets_timeout(self, remaining: int, expected: int) -> None:
        timeouts = known(policies=[self.WEB])
        assert seconds(_uapi.TCP, remaining, timeouts, state=ESTABLISHED, status=REPLIED) == expected

    def test_of_a_protocol_with_states_only_the_own_state_counts(self) -> None:
        timeouts = known(policies=[Policy(None, _uapi.TCP, {"tcp_timeout_fin_wait": 800_000})])
        assert seconds(_uapi.TCP, 500_000, timeouts, state=ESTABLISHED, status=REPLIED) is None

    def test_those_of_another_protocol_do_not_count(self) -> None:
        assert seconds(_uapi.ICMP, 10, known(policies=[self.VOIP, self.WEB])) == 21

    @pytest.mark.parametrize("of", [99, GENERIC])
    def test_protocol_that_the_kernel_does_not_know(self, of: int) -> None:
        timeouts = known(policies=[Policy(None, of, {"generic_timeout": 700})])
        assert seconds(99, 650, timeouts) == 49
        assert seconds(_uapi.ICMP, 32, timeouts) == 0
        assert seconds(_uapi.ICMP, 650, timeouts) is None


class TestRecord:
    """Times are on the record's own clock, on which it is 1000 now."""

    @staticmethod
    def with_changes(*changes: TimeoutChange, present: int, shortenings: tuple[Shortening, ...] = ()) -> Timeouts:
        return known(
            settings={"tcp_timeout_established": present}, record=TimeoutRecord(changes, shortenings, now=1000.0)
        )

    @staticmethod
    def of(timeouts: Timeouts, remaining: int) -> int | None:
        return seconds(_uapi.TCP, remaining, timeouts, state=ESTABLISHED, status=REPLIED)

    RAISED = TimeoutChange("tcp_timeout_established", 54_000, 432_000, 899.5, 900.0)
    LOWERED = TimeoutChange("tcp_timeout_established", 432_000, 54_000, 899.5, 900.0)

    @pytest.mark.parametrize(
        ("remaining", "expected"),
        [
            (431_999, 0),
            (431_950, 49),
            (431_900, 99),
            (431_000, 999),  # an entry may be looked at an hour after the record was read
            (428_300, 3_699),
            (428_299, None),  # would have been idle for longer than the new value has been there
            (53_902, None),
            (53_901, 98),
            (53_899, 100),
            (53_000, 999),
            (53_950, None),  # would have had a packet since, which gives the new value
        ],
    )
    def test_raised_value_tells_packets_before_from_packets_after(self, remaining: int, expected: int | None) -> None:
        assert self.of(self.with_changes(self.RAISED, present=432_000), remaining) == expected

    @pytest.mark.parametrize(
        ("remaining", "expected"), [(431_000, 999), (431_899, 100), (53_990, 9), (53_900, 99), (431_950, None)]
    )
    def test_lowered_value_leaves_none_unknown(self, remaining: int, expected: int | None) -> None:
        assert self.of(self.with_changes(self.LOWERED, present=54_000), remaining) == expected

    def test_raised_by_somebody_else_after_our_change(self) -> None:
        timeouts = self.with_changes(self.LOWERED, present=86_400)
        assert self.of(timeouts, 53_950) == 49
        assert self.of(timeouts, 86_390) == 9

    def test_sysctl_that_this_kernel_has_no_more(self) -> None:
        without = {name: value for name, value in SETTINGS.items() if name != "tcp_timeout_established"}
        timeouts = Timeouts(without, NOW, record=TimeoutRecord((self.LOWERED,), now=1000.0))
        assert self.of(timeouts, 53_990) == 9

    def test_several_changes_in_a_row(self) -> None:
        there_and_back = self.with_changes(
            TimeoutChange("tcp_timeout_established", 432_000, 54_000, 100.0, 100.5),
            TimeoutChange("tcp_timeout_established", 54_000, 432_000, 400.0, 400.5),
            TimeoutChange("tcp_timeout_established", 7_200, 86_400, 700.0, 700.5),
            present=86_400,
        )
        assert self.of(there_and_back, 86_300) == 99
        assert self.of(there_and_back, 431_500) == 499
        assert self.of(there_and_back, 53_300) == 699
        assert self.of(there_and_back, 6_800) == 399
        assert self.of(there_and_back, 431_000) == 999

    @pytest.mark.parametrize("present", [5_000, 2_000])
    def test_each_value_holds_for_the_time_in_which_it_was_there(self, present: int) -> None:
        """Before 100, 1,000 s. Then 2,000, and from some time before 400 on 3,000. Then 4,000, and another."""
        timeouts = self.with_changes(
            TimeoutChange("tcp_timeout_established", 1_000, 2_000, 99.5, 100.0),
            TimeoutChange("tcp_timeout_established", 3_000, 4_000, 399.5, 400.0),
            present=present,
        )
        assert of_established(timeouts) == [
            (1_000, 900.0, math.inf),
            (2_000, 600.0, 900.5),
            (3_000, 600.0, 900.5),
            (4_000, 0.0, 600.5),
            (present, 0.0, 600.5),
        ]

    def test_a_value_of_somebody_else_that_came_again_holds_for_both_times(self) -> None:
        timeouts = self.with_changes(
            TimeoutChange("tcp_timeout_established", 1_000, 2_000, 99.5, 100.0),
            TimeoutChange("tcp_timeout_established", 3_000, 4_000, 399.5, 400.0),
            TimeoutChange("tcp_timeout_established", 4_000, 3_000, 699.5, 700.0),
            present=3_000,
        )
        assert of_established(timeouts) == [
            (1_000, 900.0, math.inf),
            (2_000, 600.0, 900.5),
            (3_000, 600.0, 900.5),
            (4_000, 300.0, 600.5),
            (3_000, 0.0, 300.5),
        ]

    def test_change_that_is_not_known_to_be_done(self) -> None:
        begun = TimeoutChange("tcp_timeout_established", 54_000, 432_000, 900.0, None)
        for present in (54_000, 432_000):
            timeouts = self.with_changes(begun, present=present)
            assert self.of(timeouts, 53_990) == 9
            assert self.of(timeouts, 431_990) == 9

    def test_gre_entries_keep_what_they_were_born_with(self) -> None:
        record = TimeoutRecord((TimeoutChange("gre_timeout_stream", 181, 9_000, 100.0, 100.5),), now=100_000.0)
        timeouts = known(settings={"gre_timeout_stream": 9_000}, record=record)
        assert seconds(_uapi.GRE, 170, timeouts, status=REPLIED) == 10
        assert seconds(_uapi.GRE, 8_000, timeouts, status=REPLIED) == 999
        assert seconds(_uapi.GRE, 9_500, timeouts, status=REPLIED) is None
        # Somebody else has raised it since.
        raised = known(settings={"gre_timeout_stream": 10_000}, record=record)
        assert seconds(_uapi.GRE, 9_500, raised, status=REPLIED) == 499
        without = {name: value for name, value in SETTINGS.items() if name != "gre_timeout_stream"}
        assert seconds(_uapi.GRE, 8_000, Timeouts(without, NOW, record=record), status=REPLIED) == 999

    def test_timeout_of_flow_tables_that_was_lowered(self) -> None:
        record = TimeoutRecord((TimeoutChange("flowtable_tcp_timeout", 3_600, 30, 990.0, 990.5),), now=1000.0)
        timeouts = known(record=record, flow_tables=True, settings={"flowtable_tcp_timeout": 30})
        assert self.of(timeouts, 428_380) == 0
        assert self.of(timeouts, 431_000) == 0
        assert self.of(timeouts, 431_975) == 24

    def test_cap_that_was_raised(self) -> None:
        record = TimeoutRecord((TimeoutChange("tcp_timeout_unacknowledged", 60, 300, 990.0, 990.5),), now=1000.0)
        timeouts = known(record=record)
        assert self.of(timeouts, 49) == 10
        assert self.of(timeouts, 295) == 4

    def test_entries_that_were_shortened(self) -> None:
        timeouts = self.with_changes(present=432_000, shortenings=(Shortening(3_600, 899.5, 901.0),))
        assert self.of(timeouts, 3_500) == 99
        assert self.of(timeouts, 3_550) == 428_449  # it would have been shortened since
        assert seconds(_uapi.UDP, 3_500, timeouts) == 99
        longer = self.with_changes(present=432_000, shortenings=(Shortening(36_000, 899.5, 901.0),))
        # It would have been shortened to that before the run.
        assert seconds(_uapi.UDP, 32_299, longer) is None
        assert math.ceil(36_000 - 100.5 - 3_600) in idle_changes((), longer)

    @pytest.mark.parametrize("into_the_run", [10, 61, 70, 1_200, 3_500])
    def test_what_is_looked_at_late_in_a_run_is_not_taken_for_longer_idle(self, into_the_run: int) -> None:
        """An older and longer timeout would explain it as well, and be taken for the cause."""
        shortened = self.with_changes(present=432_000, shortenings=(Shortening(54_000, 800.0, 801.0),))
        assert self.of(shortened, 54_000 - 200 - into_the_run) == 199 + into_the_run
        lowered = self.with_changes(self.LOWERED, present=54_000)
        assert self.of(lowered, 54_000 - 95 - into_the_run) == 94 + into_the_run


@pytest.mark.parametrize(("start", "expected"), [(NOW - 50 * SECOND, 50), (NOW - 2 * SECOND, 2), (NOW, 0)])
def test_never_more_than_the_age(start: int, expected: int) -> None:
    assert seconds(_uapi.TCP, 54_000, state=ESTABLISHED, status=REPLIED, start=start) == expected


def test_never_more_than_the_uptime() -> None:
    assert seconds(_uapi.TCP, 54_000, known(uptime=77.9), state=ESTABLISHED, status=REPLIED) == 77


def test_age_of_a_stepped_clock_does_not_count() -> None:
    stepped = known(uptime=100.0)
    before_boot, future = NOW - 400 * 86_400 * SECOND, NOW + 3_600 * SECOND
    for start in (before_boot, future):
        assert age(start, stepped) is None
        assert seconds(_uapi.TCP, 431_950, stepped, state=ESTABLISHED, status=REPLIED, start=start) == 49


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (None, None),
        (NOW, 0),
        (NOW - 1, 0),
        (NOW - SECOND, 1),
        (NOW - 100 * SECOND, 100),
        (NOW - 101 * SECOND + 1, 100),
        (NOW - 101 * SECOND, None),
        (NOW + SECOND, 0),  # made while the table was read
        (NOW + 61 * SECOND, None),
    ],
)
def test_age(start: int | None, expected: int | None) -> None:
    assert age(start, known(uptime=100.9)) == expected


def test_an_entry_may_be_as_old_as_the_machine_is_up() -> None:
    assert age(NOW - 50 * SECOND, Timeouts(SETTINGS, NOW, uptime=50.0)) == 50
    assert age(NOW - 51 * SECOND, Timeouts(SETTINGS, NOW, uptime=50.0)) is None


def test_fields_that_govern() -> None:
    replied = Entry(protocol=_uapi.UDP, has_ports=True, state=None, status=REPLIED)
    assert replied.__dict__.keys() == TIMEOUT_FIELDS
    assert governing_sysctls(replied, SETTINGS) == ["udp_timeout", "udp_timeout_stream"]
    assert longest_timeout(replied, SETTINGS) == 180
    assert longest_timeout(Entry(protocol=_uapi.TCP, has_ports=True, state=0, status=0), SETTINGS) is None


_CHANGES = st.builds(
    lambda old, new, begun, took: TimeoutChange("udp_timeout_stream", old, new, begun, begun + took),
    st.integers(1, 400),
    st.integers(1, 400),
    st.floats(0, 900),
    st.floats(0, 50),
)
_SHORTENINGS = st.builds(Shortening, st.integers(1, 400), st.floats(0, 900), st.floats(900, 1000))
_POLICIES = st.builds(lambda seconds: Policy(None, _uapi.UDP, {"udp_timeout": seconds}), st.integers(1, 400))


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(
    changes=st.lists(_CHANGES, max_size=4),
    shortenings=st.lists(
        st.builds(Shortening, st.integers(1, 400), st.floats(0, 900), st.floats(900, 1000)), max_size=2
    ),
    bounds=st.sets(st.integers(0, 300), max_size=3),
    policies=st.lists(
        st.builds(lambda n: Policy(None, _uapi.UDP, {"udp_timeout": n}), st.integers(1, 400)), max_size=1
    ),
    uptime=st.sampled_from([math.inf, 150.5]),
    status=st.sampled_from([0, REPLIED]),
)
def test_between_two_changes_the_answer_is_the_same(
    changes: list[TimeoutChange],
    shortenings: list[Shortening],
    bounds: set[int],
    policies: list[Policy],
    uptime: float,
    status: int,
) -> None:
    """What is counted by the bins of remaining time is what is told of every single entry."""
    record = TimeoutRecord(tuple(sorted(changes, key=lambda change: change.begun)), tuple(shortenings), now=1000.0)
    timeouts = known(record=record, policies=policies, uptime=uptime)
    breakpoints = idle_changes(bounds, timeouts)

    def answers(remaining: int) -> list[bool | None]:
        told = seconds(_uapi.UDP, remaining, timeouts, status=status)
        return [None if told is None else told >= bound for bound in sorted({0, *bounds})]

    for remaining in range(1, 420):
        if remaining not in breakpoints:
            assert answers(remaining) == answers(remaining - 1), remaining


@settings(max_examples=200, deadline=None)
@given(bound=st.integers(0, 200), off=st.integers(-2, 2), uptime=st.sampled_from([math.inf, 150.5]))
def test_between_two_changes_the_age_is_on_the_same_side(bound: int, off: int, uptime: float) -> None:
    timeouts = known(uptime=uptime)
    breakpoints = age_changes([bound], timeouts)
    for edge in (NOW - bound * SECOND, NOW - 151 * SECOND, NOW + 60 * SECOND):
        start = edge + off
        if start not in breakpoints:
            now, before = age(start, timeouts), age(start - 1, timeouts)
            assert (now is None) == (before is None)
            assert now is None or before is None or (now >= bound) == (before >= bound)

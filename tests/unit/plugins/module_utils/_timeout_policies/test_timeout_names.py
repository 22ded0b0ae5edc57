# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeout_policies import SYSCTL_NAMES
from ansible_collections.netops.conntrack.plugins.module_utils._errors import ConntrackError, OptionError
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.known_settings import KNOWN
from ansible_collections.netops.conntrack.plugins.module_utils._timeout_policies.timeout_names import (
    PROTOCOLS,
    by_sysctl,
    decode_timeouts,
    encode_timeouts,
    parse_timeouts,
    timeout_names,
)

TCP, UDP = PROTOCOLS["tcp"], PROTOCOLS["udp"]


def test_names_of_each_protocol() -> None:
    assert timeout_names(UDP) == timeout_names(PROTOCOLS["gre"]) == ("unreplied", "replied")
    assert timeout_names(PROTOCOLS["icmp"]) == timeout_names(PROTOCOLS["generic"]) == ("timeout",)
    for protocol in ("tcp", "sctp", "dccp"):
        sysctls = {f"{protocol}_timeout_{name}" for name in timeout_names(PROTOCOLS[protocol])}
        # No sysctl has the timeout of a connection that both ends opened at once.
        assert sysctls - KNOWN <= {"tcp_timeout_syn_sent2"}


@pytest.mark.parametrize("protocol", PROTOCOLS.values())
def test_every_notation_of_a_timeout_is_the_same(protocol: int) -> None:
    names = timeout_names(protocol)
    for sysctl, name in zip(SYSCTL_NAMES.get(protocol, ("generic_timeout",)), names):
        assert parse_timeouts(protocol, {sysctl: "15h"}) == parse_timeouts(protocol, {name: 54000}) == {name: 54000}


def test_names_of_nfct_and_nft() -> None:
    assert parse_timeouts(TCP, {"retrans": "5m", "unack": 299.0}) == {"max_retrans": 300, "unacknowledged": 299}
    with pytest.raises(ConntrackError, match="'unack' is no timeout"):
        parse_timeouts(UDP, {"unack": 5})


def test_timeouts_come_in_the_order_of_the_kernel() -> None:
    assert list(parse_timeouts(TCP, {"close": 5, "established": 6, "syn_sent": 7})) == [
        "syn_sent",
        "established",
        "close",
    ]


@pytest.mark.parametrize("value", [0, -1, "0s", 2147484, "soon", None, True, 1.5, [5]])
def test_value_that_cannot_be_used_is_named(value: t.Any) -> None:
    with pytest.raises(ConntrackError, match=r"timeouts\.replied: "):
        parse_timeouts(UDP, {"replied": value})


def test_every_problem_is_said_at_once() -> None:
    with pytest.raises(ConntrackError) as caught:
        parse_timeouts(UDP, {"replied": 0, "unreplyed": 5, "udp_timeout": 1, "unreplied": 2})
    for words in ("timeouts.replied: 0", "'unreplyed' is no timeout", "two values are given for unreplied"):
        assert words in caught.value.message


def test_no_timeout_at_all() -> None:
    with pytest.raises(OptionError, match="Give at least one of unreplied, replied"):
        parse_timeouts(UDP, {})


@pytest.mark.parametrize("protocol", PROTOCOLS.values())
def test_what_is_encoded_is_decoded(protocol: int) -> None:
    timeouts = {name: 1000 + number for number, name in enumerate(timeout_names(protocol))}
    assert decode_timeouts(protocol, encode_timeouts(protocol, timeouts)) == timeouts
    assert list(by_sysctl(protocol, timeouts).values()) == list(timeouts.values())


def test_encoded_bytes_are_those_of_the_kernel() -> None:
    assert encode_timeouts(UDP, {"replied": 258}) == b"\x08\x00\x02\x00\x00\x00\x01\x02"
    # The kernel may know one more, such as the last one of SCTP.
    assert decode_timeouts(UDP, b"\x08\x00\x09\x00\x00\x00\x01\x02") == {}

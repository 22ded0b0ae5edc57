# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.module_utils._timeout_policies.policy import (
    NamedPolicy,
    parse_name,
    parse_wanted,
)

OPTIONS: dict[str, t.Any] = {"name": "sip", "family": "ipv4", "protocol": "udp", "timeouts": {"replied": "1h"}}


def test_wanted_policy_has_the_given_timeouts_only() -> None:
    wanted = parse_wanted(OPTIONS)
    assert wanted == NamedPolicy("sip", 2, 17, {"replied": 3600})
    assert wanted.kind == "udp over ipv4"
    assert wanted.as_text() == "sip: udp over ipv4\n  replied: 3600\n"
    assert wanted.with_timeouts({"unreplied": 5}).timeouts == {"replied": 3600, "unreplied": 5}
    assert (wanted.own_timeouts.family, wanted.own_timeouts.timeouts) == (None, {"udp_timeout_stream": 3600})


@pytest.mark.parametrize("name", ["sip", "_x", ".x", "a/b-c.d_9", "p" * 31])
def test_name_that_can_be_used(name: str) -> None:
    assert parse_name(name) == name


@pytest.mark.parametrize("name", ["", "9a", "-a", "a b", 'a"', "a\n", "a;b", "p" * 32, "\u00e4"])
def test_name_that_cannot_be_used(name: str) -> None:
    with pytest.raises(OptionError, match="name: "):
        parse_name(name)


@pytest.mark.parametrize(("protocol", "family"), [("icmp", "ipv6"), ("icmpv6", "ipv4")])
def test_protocol_of_the_other_family(protocol: str, family: str) -> None:
    with pytest.raises(OptionError, match=f"'{protocol}' does not exist over {family}"):
        parse_wanted({**OPTIONS, "protocol": protocol, "family": family, "timeouts": {"timeout": 5}})


def test_policy_of_a_protocol_that_has_no_name_here() -> None:
    found = NamedPolicy("x", 7, 200, {})
    assert (found.family_name, found.protocol_name) == ("7", "200")

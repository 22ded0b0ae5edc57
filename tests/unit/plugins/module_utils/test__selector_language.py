# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What each key of a selector means, on entries made by hand."""

from __future__ import annotations

import ipaddress
import socket
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils import _wire
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError, UnavailableError
from ansible_collections.netops.conntrack.plugins.module_utils._selector import Context, compile_selection

SETTINGS = {"tcp_timeout_established": 1000, "udp_timeout": 30, "udp_timeout_stream": 120, "acct": 1, "timestamp": 1}
CONTEXT = Context(SETTINGS, now=10_000 * 10**9)


def entry(protocol: int = _wire.TCP, source: str = "198.51.100.7", **fields: t.Any) -> _wire.Entry:
    """Make a masqueraded, unanswered TCP entry from port 40000 to 203.0.113.9:80; ``fields`` replace its own."""
    made = _wire.Entry(int(socket.AF_INET6 if ":" in source else socket.AF_INET))
    made.protocol = protocol
    made.original.source = ipaddress.ip_address(source).packed
    made.original.destination = ipaddress.ip_address("2001:db8::9" if ":" in source else "203.0.113.9").packed
    made.reply.source, made.reply.destination = made.original.destination, ipaddress.ip_address("203.0.113.1").packed
    if protocol in _wire.PORT_PROTOCOLS:
        made.original.source_port, made.original.destination_port = 40000, 80
        made.reply.source_port, made.reply.destination_port = 80, 50000
    if protocol == _wire.ICMP:
        made.original.icmp_type, made.original.icmp_code, made.original.icmp_id = 8, 0, 77
    made.status = _wire.SRC_NAT
    made.state = 3 if protocol == _wire.TCP else None
    made.remaining, made.mark, made.zone = 400, 0x15, 5
    made.packets_original, made.bytes_original, made.packets_reply, made.bytes_reply = 1, 40, 0, 0
    made.start = 9_000 * 10**9
    for name, value in fields.items():
        setattr(made, name, value)
    return made


@pytest.mark.parametrize(
    ("selector", "answer"),
    [
        ({"family": "ipv4"}, True),
        ({"family": "ipv6"}, False),
        ({"protocol": "tcp"}, True),
        ({"protocol": 6}, True),
        ({"protocol": ["udp", "47"]}, False),
        ({"state": "established"}, True),
        ({"state": ["SYN_SENT", "CLOSE"]}, False),
        ({"replied": False}, True),
        ({"replied": True}, False),
        ({"assured": False, "expected": False, "offloaded": False}, True),
        ({"assured": True}, False),
        ({"nat": "snat"}, True),
        ({"nat": ["dnat", "none"]}, False),
        ({"source": "198.51.100.0/24"}, True),
        ({"source": ["192.0.2.1", "198.51.100.7"]}, True),
        ({"source": "2001:db8::/32"}, False),
        ({"destination": "203.0.113.9"}, True),
        ({"reply_source": "203.0.113.9"}, True),
        ({"reply_destination": "203.0.113.1"}, True),
        ({"address": "203.0.113.1"}, True),
        ({"address": "192.0.2.1"}, False),
        ({"source_port": "1024-65535", "destination_port": 80}, True),
        ({"destination_port": [22, "443-444"]}, False),
        ({"reply_source_port": 80, "reply_destination_port": 50000}, True),
        ({"icmp_type": 8}, False),
        ({"mark": "0x10/0xf0"}, True),
        ({"mark": 0x15}, True),
        ({"mark": "0x20/0xf0"}, False),
        ({"zone": [0, 5]}, True),
        ({"zone": 0}, False),
        ({"label": 3}, False),
        ({"helper": "ftp"}, False),
        ({"packets_original": {"max": 1}, "bytes_original": {"min": 40, "max": 40}}, True),
        ({"packets": {"min": 2}}, False),
        ({"bytes": {"max": 39}}, False),
        ({"packets_reply": {"max": 0}, "bytes_reply": {"max": 0}}, True),
        ({"remaining": {"min": "6m", "max": 400}}, True),
        ({"idle": {"min": 600, "max": "10m"}}, True),
        ({"idle": {"min": 601}}, False),
        ({"age": {"min": 1000, "max": 1000}}, True),
    ],
)
def test_a_key(selector: dict[str, t.Any], answer: bool) -> None:
    assert compile_selection([selector], [], CONTEXT).decide(entry()) is answer


@pytest.mark.parametrize(
    ("selector", "fields", "answer"),
    [
        ({"packets_original": {"max": 1}}, {"packets_original": None}, None),
        ({"packets_original": {"max": 1}, "protocol": "udp"}, {"packets_original": None}, False),
        ({"state": "ESTABLISHED"}, {"state": None}, None),
        ({"remaining": {"max": 10}}, {"remaining": None}, None),
        ({"idle": {"max": 10}}, {"remaining": 5000}, None),
        ({"age": {"max": 10}}, {"start": None}, None),
        ({"mark": 0}, {"mark": None}, None),
        ({"label": 33}, {"labels": (1 << 33).to_bytes(16, "little")}, True),
        ({"helper": ["sip", "ftp"]}, {"helper": "ftp"}, True),
        ({"assured": True, "replied": True}, {"status": _wire.ASSURED | _wire.SEEN_REPLY}, True),
        ({"offloaded": True}, {"status": _wire.OFFLOAD}, True),
        ({"nat": "none"}, {"status": 0}, True),
    ],
)
def test_a_field(selector: dict[str, t.Any], fields: dict[str, t.Any], answer: bool | None) -> None:
    assert compile_selection([selector], [], CONTEXT).decide(entry(**fields)) is answer


@pytest.mark.parametrize(
    ("selector", "protocol", "answer"),
    [
        ({"state": "ESTABLISHED"}, _wire.UDP, False),
        ({"destination_port": 80}, _wire.ICMP, False),
        ({"icmp_type": 8, "icmp_code": 0, "icmp_id": 77}, _wire.ICMP, True),
        ({"idle": {"max": 0}}, _wire.UDP, None),
    ],
)
def test_a_protocol_without_the_field(selector: dict[str, t.Any], protocol: int, answer: bool | None) -> None:
    assert compile_selection([selector], [], CONTEXT).decide(entry(protocol)) is answer


def test_match_and_exclude_are_three_valued() -> None:
    unknown = {"packets_original": {"max": 1}}
    without = entry(packets_original=None)
    assert compile_selection([unknown, {"protocol": "tcp"}], [], CONTEXT).decide(without) is True
    assert compile_selection([{"protocol": "tcp"}], [unknown], CONTEXT).decide(without) is None
    assert compile_selection([{"protocol": "udp"}], [unknown], CONTEXT).decide(without) is False
    assert compile_selection([{"protocol": "tcp"}], [{"zone": 5}], CONTEXT).decide(without) is False
    assert compile_selection(None, [], CONTEXT).decide(without) is True


@pytest.mark.parametrize(("own", "wanted", "answer"), [(3, 3, True), (3, 5, False)])
def test_the_zone_of_one_direction(own: int, wanted: int, answer: bool) -> None:
    made = entry()
    made.reply.zone = own
    assert compile_selection([{"zone": wanted}], [], CONTEXT).decide(made) is answer


@pytest.mark.parametrize(
    ("match", "words"),
    [
        ([], ["match", "selects nothing"]),
        ([{}], ["match[0]", "every entry"]),
        (["tcp"], ["match[0]", "'tcp'"]),
        ([{"protocl": "tcp"}], ["protocl", "Did you mean 'protocol'"]),
        ([{"protocol": []}], ["match[0].protocol", "empty"]),
        ([{"protocol": "tpc"}], ["tpc", "udplite"]),
        ([{"protocol": 256}], ["256", "255"]),
        ([{"state": "OPEN_WIDE"}], ["OPEN_WIDE", "ESTABLISHED"]),
        ([{"source": "10.0.0.1/8"}], ["10.0.0.1/8", "10.0.0.0/8"]),
        ([{"source": "10.0.0"}], ["10.0.0", "203.0.113.0/24"]),
        ([{"source_port": "90-80"}], ["90-80", "empty range"]),
        ([{"source_port": 65536}], ["65536", "65535"]),
        ([{"mark": "0x11/0x10"}], ["0x11/0x10", "mask"]),
        ([{"packets": 1}], ["packets", "{min: N}"]),
        ([{"packets": {}}], ["packets", "{min: N}"]),
        ([{"packets": {"min": 2, "max": 1}}], ["empty range"]),
        ([{"idle": {"min": "soon"}}], ["idle.min", "soon", "15h"]),
        ([{"replied": "perhaps"}], ["perhaps", "true or false"]),
        ([{"label": "no-such-label"}], ["no-such-label", "127"]),
    ],
)
def test_a_bad_selector(match: list[t.Any], words: list[str]) -> None:
    with pytest.raises(OptionError) as caught:
        compile_selection(match, [], CONTEXT)
    for word in words:
        assert word in caught.value.message


def test_a_bad_exclude_is_named() -> None:
    with pytest.raises(OptionError, match=r"exclude\[1\]"):
        compile_selection([{"protocol": "tcp"}], [{"zone": 1}, {"nonsense": 1}], CONTEXT)


@pytest.mark.parametrize(
    ("selector", "switch"),
    [({"bytes": {"max": 1}}, "acct"), ({"age": {"max": 1}}, "timestamp")],
)
def test_what_is_switched_off_is_named(selector: dict[str, t.Any], switch: str) -> None:
    selection = compile_selection([{"protocol": "tcp"}], [selector], CONTEXT)
    selection.require(SETTINGS)
    with pytest.raises(UnavailableError, match=f"nf_conntrack_{switch} is 0") as caught:
        selection.require({**SETTINGS, switch: 0})
    assert caught.value.result == {"unavailable": f"net.netfilter.nf_conntrack_{switch}"}

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import socket
import sys
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._entry.entry import label_bits
from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeouts import STATES_OF_FIRST_PACKETS
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError, UnavailableError
from ansible_collections.netops.conntrack.plugins.module_utils._selector.compiler import compile_selection, refuse_null
from ansible_collections.netops.conntrack.plugins.module_utils._selector.key import EVERY_KIND, Answer
from ansible_collections.netops.conntrack.plugins.module_utils._selector.keys import KEYS
from ansible_collections.netops.conntrack.plugins.module_utils._table.kernel_filter import Condition
from ansible_collections.netops.conntrack.plugins.module_utils._table.memo import Memo
from helpers.address_files import address_file
from helpers.encoded_messages import Fields, blocks_of, entry_of

SECOND = 1_000_000_000
NOW = 1_700_000_000 * SECOND
LIST = address_file("compiler", "198.51.100.0/24 # scanners", "203.0.113.77", "2001:db8:bad::/48")
ANOTHER_LIST = address_file("compiler-six", "2001:db8::1")
CONTEXT = Context({"tcp_timeout_established": 432000, "udp_timeout": 30}, NOW)
SCTP_ESTABLISHED = 4


def entry(protocol: int = _uapi.TCP, **fields: t.Any) -> Fields:
    return {"protocol": protocol, **fields}


def tcp(**fields: t.Any) -> Fields:
    """Make an entry from 198.18.0.1:40000 to 203.0.113.9:443 that was translated to 198.51.100.1:50000."""
    ends: dict[str, t.Any] = {
        "source": "198.18.0.1",
        "destination": "203.0.113.9",
        "source_port": 40000,
        "destination_port": 443,
        "reply_source": "203.0.113.9",
        "reply_destination": "198.51.100.1",
        "reply_source_port": 443,
        "reply_destination_port": 50000,
    }
    return entry(**{**ends, **fields})


def six(**fields: t.Any) -> Fields:
    """Make an entry from 2001:db8::1 to 2001:db8:ffff::9 without ports."""
    ends = {"source": "2001:db8::1", "destination": "2001:db8:ffff::9"}
    return entry(_uapi.ICMPV6, family=int(socket.AF_INET6), **{**ends, **fields})


def ping(**fields: t.Any) -> Fields:
    return entry(_uapi.ICMP, **{"icmp_type": 8, "icmp_code": 0, "icmp_id": 77, **fields})


def gre(**fields: t.Any) -> Fields:
    """Make an entry of GRE, whose keys stand where the ports of other protocols do."""
    return {**tcp(**fields), "protocol": _uapi.GRE}


def label_map(*labels: int) -> bytes:
    """Return a bitmap of 128 labels as the kernel keeps it: words of this machine's byte order."""
    bits = sum(1 << label for label in labels)
    return b"".join((bits >> 32 * word & 0xFFFFFFFF).to_bytes(4, sys.byteorder) for word in range(4))


def decide(selector: dict[str, t.Any], one: Fields) -> Answer:
    """Return the answer for the whole entry. Assert that the fields that the selection names give the same."""
    selection = compile_selection([selector], None, CONTEXT)
    answer = selection.decide(entry_of(one))
    [block] = blocks_of(one)
    assert Memo(selection.fields, selection.decide)(block) == [answer]
    return answer


def error_of(match: t.Any, exclude: t.Any = None, option: str = "") -> str:
    with pytest.raises(OptionError) as caught:
        compile_selection(match, exclude, CONTEXT, option)
    return caught.value.message


KINDS: list[tuple[dict[str, t.Any], Fields, Answer]] = [
    ({"family": "ipv4"}, tcp(), True),
    ({"family": "IPv6"}, tcp(), False),
    ({"family": "ipv6"}, six(), True),
    ({"family": ["ipv4", "ipv6"]}, six(), True),
    ({"protocol": "tcp"}, entry(_uapi.TCP), True),
    ({"protocol": "TCP"}, entry(_uapi.UDP), False),
    ({"protocol": "udp"}, entry(_uapi.UDP), True),
    ({"protocol": "icmp"}, entry(_uapi.ICMP), True),
    ({"protocol": "icmpv6"}, entry(_uapi.ICMPV6), True),
    ({"protocol": "sctp"}, entry(_uapi.SCTP), True),
    ({"protocol": "gre"}, entry(_uapi.GRE), True),
    ({"protocol": "dccp"}, entry(_uapi.DCCP), True),
    ({"protocol": "udplite"}, entry(_uapi.UDPLITE), True),
    ({"protocol": 47}, entry(_uapi.GRE), True),
    ({"protocol": "99"}, entry(99), True),
    ({"protocol": ["udp", 99]}, entry(99), True),
    ({"protocol": ["udp", 98]}, entry(99), False),
    ({"protocol": "esp"}, entry(50), True),
    ({"protocol": "AH"}, entry(51), True),
    ({"protocol": "ospf"}, entry(89), True),
    ({"protocol": "vrrp, igmp"}, entry(112), True),
    ({"protocol": "ipv6-icmp"}, entry(_uapi.ICMPV6), True),
    ({"protocol": 17.0}, entry(_uapi.UDP), True),
    ({"protocol": "hopopt"}, entry(0), True),
    ({"state": "ESTABLISHED"}, tcp(state=3), True),
    ({"state": "established"}, tcp(state=3), True),
    ({"state": "ESTABLISHED"}, tcp(state=2), False),
    ({"state": ["SYN_SENT", "SYN_RECV"]}, tcp(state=2), True),
    ({"state": "ESTABLISHED"}, entry(_uapi.SCTP, state=SCTP_ESTABLISHED), True),
    ({"state": "PARTOPEN"}, entry(_uapi.DCCP, state=3), True),
    ({"state": "ESTABLISHED"}, tcp(), None),
    ({"state": "ESTABLISHED"}, entry(_uapi.UDP), False),
    ({"state": "ESTABLISHED"}, entry(_uapi.SCTP), None),
    ({"state": "SYN_SENT"}, entry(_uapi.SCTP), False),
]

STATUS: list[tuple[dict[str, t.Any], Fields, Answer]] = [
    ({"replied": True}, entry(status=_uapi.SEEN_REPLY), True),
    ({"replied": False}, entry(status=_uapi.SEEN_REPLY), False),
    ({"replied": False}, entry(status=_uapi.ASSURED), True),
    ({"replied": "no"}, entry(status=0), True),
    ({"replied": "yes"}, entry(status=0), False),
    ({"replied": [True, False]}, entry(status=0), True),
    ({"replied": False}, entry(), None),
    ({"assured": True}, entry(status=_uapi.ASSURED), True),
    ({"assured": True}, entry(status=_uapi.SEEN_REPLY), False),
    ({"assured": "off"}, entry(status=_uapi.SEEN_REPLY), True),
    ({"offloaded": True}, entry(status=_uapi.OFFLOAD), True),
    ({"offloaded": True}, entry(status=_uapi.HW_OFFLOAD), True),
    ({"offloaded": False}, entry(status=_uapi.ASSURED), True),
    ({"expected": True}, entry(status=_uapi.EXPECTED), True),
    ({"expected": 1}, entry(status=_uapi.SEEN_REPLY), False),
    ({"expected": "0"}, entry(status=_uapi.SEEN_REPLY), True),
    ({"nat": "snat"}, entry(status=_uapi.SRC_NAT), True),
    ({"nat": "snat"}, entry(status=_uapi.DST_NAT), False),
    ({"nat": "dnat"}, entry(status=_uapi.DST_NAT | _uapi.SRC_NAT), True),
    ({"nat": "none"}, entry(status=_uapi.ASSURED), True),
    ({"nat": "none"}, entry(status=_uapi.SRC_NAT), False),
    ({"nat": "none"}, entry(status=_uapi.DST_NAT), False),
    ({"nat": ["none", "dnat"]}, entry(status=_uapi.DST_NAT), True),
    ({"nat": ["none", "dnat"]}, entry(status=_uapi.SRC_NAT), False),
    ({"nat": "none"}, entry(), None),
]

ADDRESSES: list[tuple[dict[str, t.Any], Fields, Answer]] = [
    ({"source": "198.18.0.1"}, tcp(), True),
    ({"source": "198.18.0.2"}, tcp(), False),
    ({"source": "203.0.113.9"}, tcp(), False),
    ({"source": "198.18.0.0/15"}, tcp(), True),
    ({"source": "198.18.0.0/15"}, tcp(source="198.19.255.255"), True),
    ({"source": "198.18.0.0/15"}, tcp(source="198.20.0.0"), False),
    ({"source": "0.0.0.0/0"}, tcp(), True),
    ({"source": "0.0.0.0/0"}, six(), False),
    ({"source": "::/0"}, six(), True),
    ({"source": "::/0"}, tcp(), False),
    ({"source": ["203.0.113.0/24", "198.18.0.1"]}, tcp(), True),
    ({"source": ["2001:db8::/64", "198.18.0.1"]}, six(), True),
    ({"source": ["2001:db8::/64", "198.18.0.1"]}, tcp(), True),
    ({"source": "2001:db8::/64"}, six(source="2001:db8:0:1::1"), False),
    ({"source": "2001:DB8:0::1"}, six(), True),
    ({"destination": "203.0.113.0/24"}, tcp(), True),
    ({"destination": "198.18.0.1"}, tcp(), False),
    ({"destination": "2001:db8:ffff::/48"}, six(), True),
    ({"reply_source": "203.0.113.9"}, tcp(destination="198.18.0.7"), True),
    ({"reply_source": "198.51.100.1"}, tcp(), False),
    ({"reply_destination": "198.51.100.1"}, tcp(), True),
    ({"reply_destination": "198.18.0.1"}, tcp(), False),
    ({"address": "198.18.0.1"}, tcp(), True),
    ({"address": "203.0.113.9"}, tcp(reply_source="198.18.0.7"), True),
    ({"address": "198.18.0.7"}, tcp(reply_source="198.18.0.7"), True),
    ({"address_list": LIST}, tcp(reply_destination="192.0.2.1"), False),
    ({"address_list": LIST}, tcp(source="198.51.100.200"), True),
    ({"address_list": LIST}, tcp(reply_destination="203.0.113.77"), True),
    ({"address_list": LIST}, six(), False),
    ({"address_list": LIST}, six(destination="2001:db8:bad::1"), True),
    ({"address_list": [LIST, ANOTHER_LIST]}, six(), True),
    ({"address_list": ANOTHER_LIST}, tcp(), False),
    ({"source_list": LIST}, tcp(destination="198.51.100.200"), False),
    ({"source_list": LIST}, tcp(source="198.51.100.0"), True),
    ({"destination_list": LIST}, tcp(source="198.51.100.200"), False),
    ({"destination_list": LIST}, tcp(destination="198.51.100.255"), True),
    ({"address": "198.51.100.1"}, tcp(), True),
    ({"address": "198.51.100.2"}, tcp(), False),
    ({"address": "2001:db8:ffff::9"}, six(), True),
    ({"source": "::ffff:198.18.0.1"}, tcp(), True),
    ({"source": "::ffff:198.18.0.0/111"}, tcp(source="198.19.255.255"), True),
    ({"source": "::ffff:198.18.0.0/111"}, tcp(source="198.20.0.0"), False),
    ({"source": "::/0"}, tcp(), False),
    ({"source": "203.0.113.0/24,198.18.0.1"}, tcp(), True),
]

NUMBERS: list[tuple[dict[str, t.Any], Fields, Answer]] = [
    ({"source_port": 40000}, tcp(), True),
    ({"source_port": 443}, tcp(), False),
    ({"source_port": "40000-40001"}, tcp(), True),
    ({"source_port": "39999-40000"}, tcp(), True),
    ({"source_port": "40001-65535"}, tcp(), False),
    ({"source_port": "40000-40000"}, tcp(), True),
    ({"destination_port": [80, "443"]}, tcp(), True),
    ({"destination_port": [80, "8000-9000"]}, tcp(), False),
    ({"reply_source_port": 443}, tcp(destination_port=80), True),
    ({"reply_source_port": 50000}, tcp(), False),
    ({"reply_destination_port": 50000}, tcp(), True),
    ({"reply_destination_port": 40000}, tcp(), False),
    ({"destination_port": 0}, tcp(destination_port=0), True),
    ({"destination_port": 53}, entry(_uapi.UDP, destination_port=53), True),
    ({"destination_port": 53}, entry(_uapi.SCTP, destination_port=53), True),
    ({"destination_port": 53}, entry(_uapi.DCCP, destination_port=53), True),
    ({"destination_port": 53}, entry(_uapi.UDPLITE, destination_port=53), True),
    ({"destination_port": 53}, entry(_uapi.GRE, destination_port=53), False),
    ({"destination_port": 443}, tcp(destination_port=None), None),
    ({"destination_port": 443}, ping(), False),
    ({"icmp_type": 8}, ping(), True),
    ({"icmp_type": "0-7"}, ping(), False),
    ({"icmp_type": 128}, six(icmp_type=128), True),
    ({"icmp_code": 0}, ping(), True),
    ({"icmp_code": 1}, ping(), False),
    ({"icmp_id": [76, 77]}, ping(), True),
    ({"icmp_id": 78}, ping(), False),
    ({"icmp_id": 77}, ping(icmp_id=None), None),
    ({"icmp_type": 8}, tcp(), False),
    ({"reply_icmp_type": 0}, ping(reply_icmp_type=0), True),
    ({"reply_icmp_type": 8}, ping(reply_icmp_type=0), False),
    ({"reply_icmp_code": "0-3"}, ping(reply_icmp_code=3), True),
    ({"reply_icmp_id": 78}, ping(reply_icmp_id=78), True),
    ({"reply_icmp_id": 77}, ping(reply_icmp_id=78), False),
    ({"reply_icmp_id": 77}, tcp(), False),
    ({"source_key": 40000}, tcp(), False),
    ({"source_key": 40000}, gre(), True),
    ({"source_key": 443}, gre(), False),
    ({"destination_key": "0:500"}, gre(), True),
    ({"reply_source_key": 443}, gre(), True),
    ({"reply_destination_key": 50000}, gre(), True),
    ({"destination_port": 443}, gre(), False),
    ({"id": 4026531840}, tcp(id=4026531840), True),
    ({"id": "1-5"}, tcp(id=6), False),
    ({"id": 6}, tcp(), None),
    ({"destination_port": "80,443"}, tcp(), True),
    ({"destination_port": ["80,8080", 22]}, tcp(), False),
    ({"destination_port": "400:500"}, tcp(), True),
    ({"destination_port": "https"}, tcp(), True),
    ({"destination_port": "HTTPS"}, tcp(), True),
    ({"destination_port": "ssh, http"}, tcp(), False),
    ({"destination_port": 443.0}, tcp(), True),
    ({"mark": 0x10}, entry(mark=0x10), True),
    ({"mark": "0x10"}, entry(mark=0x110), False),
    ({"mark": "0x10/0xff"}, entry(mark=0x110), True),
    ({"mark": "0x10/0xff"}, entry(mark=0x111), False),
    ({"mark": "0/0x1"}, entry(mark=0x110), True),
    ({"mark": ["1", "0x100/0x100"]}, entry(mark=0x110), True),
    ({"mark": 0}, entry(mark=0), True),
    ({"mark": 0}, entry(), None),
]

RARE: list[tuple[dict[str, t.Any], Fields, Answer]] = [
    ({"zone": 0}, entry(), True),
    ({"zone": 7}, entry(zone=7), True),
    ({"zone": 0}, entry(zone=7), False),
    ({"zone": [6, "7"]}, entry(zone=7), True),
    ({"zone": 7}, entry(zone_original=7), True),
    ({"zone": 7}, entry(zone_reply=7), True),
    ({"zone": 0}, entry(zone_original=7), False),
    ({"zone": 8}, entry(zone_original=7), False),
    ({"zone_original": 7}, entry(zone_original=7), True),
    ({"zone_original": 7}, entry(zone_reply=7), False),
    ({"zone_original": 7}, entry(zone=7), False),
    ({"zone_reply": [6, 7]}, entry(zone_reply=7), True),
    ({"zone_reply": 7}, entry(zone_original=7), False),
    ({"zone_reply": 7}, entry(), False),
    ({"label": 0}, entry(labels=label_map(0)), True),
    ({"label": 1}, entry(labels=label_map(0, 33)), False),
    ({"label": "33"}, entry(labels=label_map(0, 33)), True),
    ({"label": [5, 127]}, entry(labels=label_map(127)), True),
    ({"label": 5}, entry(), False),
    ({"helper": "ftp"}, entry(helper="ftp"), True),
    ({"helper": ["sip", "ftp"]}, entry(helper="ftp"), True),
    ({"helper": "sip"}, entry(helper="ftp"), False),
    ({"helper": "ftp"}, entry(), False),
]

COUNTED = {"packets_original": 10, "packets_reply": 5, "bytes_original": 1000, "bytes_reply": 500}

AMOUNTS: list[tuple[dict[str, t.Any], Fields, Answer]] = [
    ({"packets_original": {"min": 10}}, entry(**COUNTED), True),
    ({"packets_original": {"min": 11}}, entry(**COUNTED), False),
    ({"packets_original": {"max": 10}}, entry(**COUNTED), True),
    ({"packets_original": {"max": 9}}, entry(**COUNTED), False),
    ({"packets_original": {"min": 10, "max": "10"}}, entry(**COUNTED), True),
    ({"packets_original": [{"max": 1}, {"min": 10}]}, entry(**COUNTED), True),
    ({"packets_original": [{"max": 1}, {"min": 11}]}, entry(**COUNTED), False),
    ({"packets_original": {"max": 0}}, entry(packets_original=0), True),
    ({"packets_original": {"min": 0}}, entry(), None),
    ({"packets_original": {"max": 10.0}}, entry(**COUNTED), True),
    ({"bytes_original": {"max": "1K"}}, entry(**COUNTED), True),
    ({"bytes_original": {"min": "1K"}}, entry(**COUNTED), False),
    ({"packets_reply": {"min": 5, "max": 5}}, entry(**COUNTED), True),
    ({"packets_reply": {"min": 10}}, entry(**COUNTED), False),
    ({"bytes_original": {"min": 1000, "max": 1000}}, entry(**COUNTED), True),
    ({"bytes_original": {"max": 999}}, entry(**COUNTED), False),
    ({"bytes_original": {"min": 2**63}}, entry(bytes_original=2**64 - 1), True),
    ({"bytes_reply": {"min": 500, "max": 500}}, entry(**COUNTED), True),
    ({"bytes_reply": {"min": 0}}, entry(bytes_original=1), None),
    ({"packets": {"min": 15, "max": 15}}, entry(**COUNTED), True),
    ({"packets": {"max": 14}}, entry(**COUNTED), False),
    ({"packets": {"min": 1}}, entry(packets_original=5), None),
    ({"bytes": {"min": 1500, "max": 1500}}, entry(**COUNTED), True),
    ({"bytes": {"min": 1501}}, entry(**COUNTED), False),
    ({"bytes": {"min": 1}}, entry(bytes_reply=5), None),
    ({"remaining": {"min": 54000}}, entry(remaining=54000), True),
    ({"remaining": {"min": "15h"}}, entry(remaining=53999), False),
    ({"remaining": {"min": "1m", "max": "90s"}}, entry(remaining=90), True),
    ({"remaining": {"max": 0}}, entry(remaining=0), True),
    ({"remaining": {"max": "5d"}}, entry(), None),
    ({"idle": {"min": "4d"}}, tcp(state=3, status=0, remaining=86399), True),
    ({"idle": {"min": "4d"}}, tcp(state=3, status=0, remaining=86400), False),
    ({"idle": {"max": 10}}, entry(_uapi.UDP, status=0, remaining=19), True),
    ({"idle": {"max": 10}}, entry(_uapi.UDP, status=0, remaining=18), False),
    ({"idle": {"min": 0}}, entry(_uapi.UDP, status=0, remaining=31), None),
    ({"age": {"min": "1h", "max": "1h"}}, entry(start=NOW - 3600 * SECOND), True),
    ({"age": {"min": "1h"}}, entry(start=NOW - 3600 * SECOND + 1), False),
    ({"age": {"max": 0}}, entry(start=NOW + 5 * SECOND), True),
    ({"age": {"min": 0}}, entry(), None),
]

SELECTORS = [*KINDS, *STATUS, *ADDRESSES, *NUMBERS, *RARE, *AMOUNTS]


@pytest.mark.parametrize(("selector", "one", "answer"), SELECTORS, ids=lambda value: str(value)[:60])
def test_selector(selector: dict[str, t.Any], one: Fields, answer: Answer) -> None:
    assert decide(selector, one) is answer


def test_every_key_is_in_the_tables() -> None:
    remedy = error_of([{"?": 1}]).partition("The keys are ")[2].rstrip(".")
    assert sorted(KEYS) == remedy.split(", ")
    assert sorted({key for selector, _one, _answer in SELECTORS for key in selector}) == sorted(KEYS)


HOLDS: dict[str, t.Any] = {"protocol": "tcp"}
FAILS: dict[str, t.Any] = {"protocol": "udp"}
UNKNOWN: dict[str, t.Any] = {"mark": 1}
LOGIC: list[tuple[list[dict[str, t.Any]], list[dict[str, t.Any]], Answer]] = [
    ([HOLDS], [], True),
    ([FAILS], [], False),
    ([UNKNOWN], [], None),
    ([{**HOLDS, "family": "ipv4"}], [], True),
    ([{**HOLDS, "family": "ipv6"}], [], False),
    ([{**HOLDS, **UNKNOWN}], [], None),
    ([{**UNKNOWN, **HOLDS}], [], None),
    ([{**FAILS, **UNKNOWN}], [], False),
    ([{**UNKNOWN, **FAILS}], [], False),
    ([FAILS, HOLDS], [], True),
    ([FAILS, FAILS], [], False),
    ([UNKNOWN, HOLDS], [], True),
    ([FAILS, UNKNOWN], [], None),
    ([UNKNOWN, FAILS], [], None),
    ([HOLDS], [FAILS], True),
    ([HOLDS], [HOLDS], False),
    ([HOLDS], [UNKNOWN], None),
    ([HOLDS], [FAILS, UNKNOWN], None),
    ([HOLDS], [HOLDS, UNKNOWN], False),
    ([FAILS], [UNKNOWN], False),
    ([UNKNOWN], [HOLDS], False),
    ([UNKNOWN], [FAILS], None),
]


@pytest.mark.parametrize(("match", "exclude", "answer"), LOGIC)
def test_three_valued_logic(match: list[dict[str, t.Any]], exclude: list[dict[str, t.Any]], answer: Answer) -> None:
    assert compile_selection(match, exclude, CONTEXT).decide(entry_of(tcp())) is answer


@pytest.mark.parametrize("exclude", [None, []])
def test_without_match_every_entry(exclude: list[t.Any] | None) -> None:
    assert compile_selection(None, exclude, CONTEXT).decide(entry_of(tcp())) is True


def test_exclude_alone_is_no_selection() -> None:
    words = 'alone is no selection. Give match or select. For all entries but these: match="family=ipv4,ipv6".'
    assert error_of(None, [HOLDS]) == f"exclude: [{HOLDS}] {words}"
    assert error_of(None, "protocol=tcp", "selectors.x") == f"selectors.x.exclude: 'protocol=tcp' {words}"


NO_NETWORK = "is not an address or a network."
NO_RANGE = "is not a range. Give {min: N}, {max: N} or both; both are inclusive."


@pytest.mark.parametrize(
    ("selector", "words"),
    [
        ({}, ["match[0]: {} is empty and would select every entry"]),
        ("tcp", ["match[0]: 'tcp' is not one selector, because of 'tcp'."]),
        (5, ["match[0]: 5 is not a selector."]),
        (None, ["match[0]: None is null, which is never a selector."]),
        ([], ["match[0]: [] is not a selector."]),
        ({"protocl": "tcp"}, ["match[0]: 'protocl' is not a selector key. Did you mean 'protocol'?"]),
        ({"xyzzy": 1}, ["match[0]: 'xyzzy' is not a selector key. The keys are address, address_list, age, "]),
        ({1: 1}, ["match[0]: 1 is not a selector key."]),
        ({"protocol": "tcp", "port": []}, ["match[0]: 'port' is not a selector key."]),
        ({"protocol": []}, ["match[0].protocol: [] is empty. Give at least one value"]),
        ({"family": "ipx"}, ["match[0].family: 'ipx' is not known. Give one of ipv4, ipv6."]),
        ({"protocol": "tpc"}, ["match[0].protocol: 'tpc' is not a protocol. Did you mean 'tcp'?", "to 255."]),
        ({"protocol": "opsf"}, ["match[0].protocol: 'opsf' is not a protocol. Did you mean 'ospf'?"]),
        ({"protocol": "ip"}, ["match[0].protocol: 'ip' is not a protocol. Leave the key out for every protocol."]),
        ({"protocol": "t\0cp"}, ["match[0].protocol: 't\\x00cp' is not a protocol."]),
        ({"protocol": "t\ud800cp"}, ["is not a protocol."]),
        ({"source_port": "htt\0p"}, ["match[0].source_port: 'htt\\x00p' is neither a port nor a service"]),
        ({"source_port": "htt\ud800p"}, ["is neither a port nor a service"]),
        ({"protocol": "mptcp"}, ["match[0].protocol: 'mptcp' is not a protocol."]),
        ({"zone_original": 0}, ["match[0].zone_original: 0 is the default zone", "zone: 0 for"]),
        ({"zone_reply": 65536}, ["match[0].zone_reply: 65536 is too large"]),
        ({"id": 1 << 32}, ["match[0].id: 4294967296 is too large"]),
        ({"source_key": "ssh"}, ["match[0].source_key: 'ssh' is not a whole number"]),
        ({"source_port": "80,,443"}, ["match[0].source_port: '80,,443' is an empty text or has one in it"]),
        ({"source_port": "1K"}, ["match[0].source_port: '1K' is neither a port nor a service"]),
        ({"idle.min": "1h"}, ["match[0]: 'idle.min' is not a selector key. In a dict, write idle: {min: ...}."]),
        ({"protocol": 256}, ["match[0].protocol: 256 is too large"]),
        (
            {"state": "ESTABLISHD"},
            ["match[0].state: 'ESTABLISHD' is not a protocol state. Give one of ", " ESTABLISHED"],
        ),
        ({"state": ["ESTABLISHED", "NEW"]}, ["match[0].state: 'NEW' is not a protocol state"]),
        ({"replied": "maybe"}, ["match[0].replied: 'maybe' is neither true nor false"]),
        ({"replied": 2}, ["match[0].replied: 2 is neither true nor false"]),
        ({"nat": "both"}, ["match[0].nat: 'both' is not known. Give one of snat, dnat, none."]),
        ({"source": "198.18.0.1/15"}, [f"match[0].source: '198.18.0.1/15' {NO_NETWORK} Did you mean 198.18.0.0/15?"]),
        ({"source": "2001:db8::1/32"}, [f"'2001:db8::1/32' {NO_NETWORK} Did you mean 2001:db8::/32?"]),
        ({"source": "198.18.0.256"}, [f"'198.18.0.256' {NO_NETWORK} Give an address or a network such as "]),
        ({"source": "198.18.0.0/33"}, [f"'198.18.0.0/33' {NO_NETWORK} Give an address"]),
        ({"source": "router1"}, [f"'router1' {NO_NETWORK}"]),
        ({"address": 3232235521}, [f"match[0].address: 3232235521 {NO_NETWORK}"]),
        ({"source_port": 65536}, ["match[0].source_port: 65536 is too large. Give a number from 0 to 65535."]),
        ({"source_port": "shs"}, ["match[0].source_port: 'shs' is neither a port nor a service that this host knows."]),
        ({"source_port": -1}, ["match[0].source_port: -1 is not a whole number"]),
        ({"source_port": "9-8"}, ["match[0].source_port: '9-8' is an empty range. Write the lower number first."]),
        ({"source_port": "1-65536"}, ["match[0].source_port: '65536' is too large"]),
        ({"icmp_type": 256}, ["match[0].icmp_type: 256 is too large"]),
        ({"icmp_code": True}, ["match[0].icmp_code: True is not a whole number"]),
        ({"mark": "0x110/0xff"}, ["match[0].mark: '0x110/0xff' can never hold, the mark has bits outside its mask"]),
        ({"mark": "1/"}, ["match[0].mark: '' is not a whole number"]),
        ({"mark": 2**32}, ["match[0].mark: '4294967296' is too large"]),
        ({"zone": 65536}, ["match[0].zone: 65536 is too large"]),
        ({"label": 128}, ["match[0].label: 128 is too large"]),
        ({"label": "no-such-label"}, ["match[0].label: 'no-such-label' is not a label. Give a bit from 0 to 127"]),
        ({"helper": "ftp,state=CLOSE"}, ["match[0].helper: 'state=CLOSE' is not the name of a helper"]),
        ({"helper": "ftp sip"}, ["match[0].helper: 'ftp sip' is not the name of a helper"]),
        ({"helper": 21}, ["match[0].helper: 21 is not the name of a helper"]),
        ({"packets": 5}, [f"match[0].packets: 5 {NO_RANGE}"]),
        ({"packets": {}}, [f"match[0].packets: {{}} {NO_RANGE}"]),
        ({"packets": {"mni": 5}}, [f"match[0].packets: {{'mni': 5}} {NO_RANGE}"]),
        (
            {"packets": {"min": 2, "max": 1}},
            ["{'min': 2, 'max': 1} is an empty range. min must not be larger than max."],
        ),
        ({"bytes": {"max": -1}}, ["match[0].bytes.max: -1 is not a whole number"]),
        ({"packets": {"max": "15h"}}, ["match[0].packets.max: '15h' is not a whole number"]),
        ({"idle": {"min": "soon"}}, ["match[0].idle.min: 'soon' is not a duration"]),
        ({"age": {"min": "2h", "max": "1h"}}, ["match[0].age: ", "is an empty range"]),
    ],
)
def test_error(selector: t.Any, words: list[str]) -> None:
    message = error_of([selector])
    for word in words:
        assert word in message


def test_error_says_where_it_is() -> None:
    assert error_of([]).startswith("match: [] selects nothing. Give at least one selector")
    assert error_of("[]").startswith("match: '[]' selects nothing. Give at least one selector")
    assert error_of([], option="selectors.stale").startswith("selectors.stale.match: []")
    assert error_of([HOLDS, {"source": "x"}]).startswith("match[1].source: 'x'")
    assert error_of([HOLDS], [{"protokol": "tcp"}]).startswith("exclude[0]: 'protokol' is not a selector key.")
    assert error_of([HOLDS], [HOLDS, {}], "selectors.stale").startswith("selectors.stale.exclude[1]: {}")


def test_label_bits() -> None:
    assert label_bits(None) == 0
    assert label_bits(label_map(0, 31, 32, 127)) == 1 << 0 | 1 << 31 | 1 << 32 | 1 << 127


NOTHING = [
    *(pytest.param({key: None}, f"match[0].{key}: None is null", id=f"{key} null") for key in KEYS),
    *(pytest.param({key: [None]}, f"match[0].{key}: [None] is null", id=f"{key} null in a list") for key in KEYS),
    *(pytest.param({key: ""}, f"match[0].{key}: '' is an empty text", id=f"{key} empty") for key in KEYS),
    *(pytest.param({key: [" "]}, f"match[0].{key}: [' '] is an empty text", id=f"{key} blank") for key in KEYS),
    *(
        pytest.param({key: {end: nothing}}, f"match[0].{key}.{end}: {nothing!r} is ", id=f"{key} {end} {nothing}")
        for key in ("packets", "idle")
        for end in ("min", "max")
        for nothing in (None, "")
    ),
]


@pytest.mark.parametrize(("selector", "beginning"), NOTHING)
def test_nothing_is_never_a_value(selector: dict[str, t.Any], beginning: str) -> None:
    message = error_of([selector])
    assert message.startswith(beginning)
    assert "which is never a value" in message
    place = beginning.replace("match", "exclude")
    assert error_of([HOLDS], [selector]).startswith(place)


CONTRADICTIONS: list[tuple[dict[str, t.Any], str]] = [
    ({"protocol": "icmp", "destination_port": 80}, "destination_port is of tcp, udp, dccp, sctp, udplite."),
    ({"protocol": ["icmp", "gre"], "source_port": 80}, "protocol is of icmp, gre."),
    ({"protocol": "udp", "state": "ESTABLISHED"}, "state is of tcp, sctp."),
    ({"protocol": "sctp", "state": "SYN_SENT"}, "protocol is of sctp. state is of tcp."),
    ({"protocol": "dccp", "state": "ESTABLISHED"}, "protocol and state"),
    ({"protocol": "tcp", "icmp_id": 1}, "icmp_id is of icmp, icmpv6."),
    ({"protocol": "tcp", "source_key": 1}, "source_key is of gre."),
    ({"protocol": "gre", "source_port": 1}, "protocol is of gre."),
    ({"icmp_type": 8, "destination_port": 80}, "icmp_type and destination_port"),
    ({"icmp_type": 8, "state": "CLOSE"}, "icmp_type and state"),
    ({"source_key": 8, "reply_source_port": 5}, "source_key and reply_source_port"),
    ({"family": "ipv4", "source": "2001:db8::/32"}, "source is of ipv6."),
    ({"family": "ipv6", "address": ["198.18.0.0/15", "::ffff:203.0.113.1"]}, "address is of ipv4."),
    ({"source": "198.18.0.1", "destination": "2001:db8::1"}, "source and destination"),
    ({"protocol": "icmp", "family": "ipv6"}, "protocol is of ipv4 icmp."),
    ({"protocol": "icmpv6", "source": "198.18.0.1"}, "protocol is of ipv6 icmpv6."),
    ({"family": "ipv6", "protocol": ["icmp", "udp"], "icmp_type": 8}, "family and protocol and icmp_type"),
    ({"mark": 1, "protocol": "udp", "state": "ESTABLISHED", "icmp_type": 8}, "values of protocol and state. protocol"),
]


@pytest.mark.parametrize(("selector", "words"), CONTRADICTIONS)
def test_what_no_entry_can_have_is_an_error(selector: dict[str, t.Any], words: str) -> None:
    for message in (error_of([HOLDS, selector]), error_of([HOLDS], [HOLDS, selector])):
        assert f"[1]: {selector} contradicts itself: no entry can have these values of " in message
        assert words in message


@pytest.mark.parametrize(
    "selector",
    [
        {"protocol": ["icmp", "udp"], "destination_port": 53},
        {"protocol": ["udp", "tcp"], "state": "CLOSE"},
        {"state": ["SYN_SENT", "COOKIE_WAIT"], "protocol": "sctp"},
        {"family": "ipv6", "source": ["198.18.0.1", "2001:db8::1"]},
        {"family": "ipv6", "icmp_type": 128},
        {"protocol": "dccp", "state": "OPEN", "destination_port": 1},
    ],
)
def test_what_some_entry_can_have_is_none(selector: dict[str, t.Any]) -> None:
    compile_selection([selector], [selector], CONTEXT)


@pytest.mark.parametrize(("selector", "one", "answer"), SELECTORS, ids=lambda value: str(value)[:60])
def test_kinds_are_those_of_the_entries_that_it_can_hold_for(
    selector: dict[str, t.Any], one: Fields, answer: Answer
) -> None:
    selection = compile_selection([selector], None, CONTEXT)
    found = entry_of(one)
    if (found.family, found.protocol) in EVERY_KIND - selection.kinds:
        assert answer is False


def test_kinds_of_a_selection() -> None:
    assert len(EVERY_KIND) == 2 * 256
    udp6 = {"family": "ipv6", "protocol": "udp"}
    assert compile_selection([udp6, {"protocol": "esp"}], None, CONTEXT).kinds == {(10, 17), (10, 50), (2, 50)}
    assert compile_selection(None, None, CONTEXT).kinds == EVERY_KIND
    assert (2, 6) not in compile_selection(None, None, CONTEXT, select=["unanswered"]).kinds
    assert (2, 17) in compile_selection(None, None, CONTEXT, select=["unanswered"]).kinds


COUNTER_KEYS = ["packets_original", "packets_reply", "bytes_original", "bytes_reply", "packets", "bytes"]
RESULT = {"matched": 0, "undecidable": 3}


@pytest.mark.parametrize("place", ["match", "exclude"])
@pytest.mark.parametrize(("key", "switch"), [*((key, "acct") for key in COUNTER_KEYS), ("age", "timestamp")])
def test_switch_that_is_off_is_named_where_it_leaves_nothing_selected(key: str, switch: str, place: str) -> None:
    selector = {"protocol": "tcp", key: {"min": 1}}
    match, exclude = ([HOLDS, selector], []) if place == "match" else ([HOLDS], [selector])
    selection = compile_selection(match if exclude else [selector], exclude, CONTEXT)
    off = {"acct": 1, "timestamp": 1, switch: 0}
    assert selection.checked(RESULT, off) == RESULT
    assert selection.decide(entry_of(tcp())) is None
    with pytest.raises(UnavailableError) as caught:
        selection.checked(RESULT, off)
    sysctl = f"net.netfilter.nf_conntrack_{switch}"
    assert caught.value.result == {"unavailable": sysctl, "undecidable": 3}
    assert caught.value.message.startswith(f"{sysctl} is 0, ")
    assert f"'sysctl -w {sysctl}=1'" in caught.value.message
    assert key in caught.value.message
    some = {"matched": 1, "undecidable": 3}
    assert selection.checked(some, off) == {
        **some,
        "warnings": [f"3 entries cannot be decided. {caught.value.message}"],
    }
    for on in ({**off, switch: 1}, {}):
        assert selection.checked(RESULT, on) == RESULT


def test_entries_from_before_a_switch_was_turned_off_are_decided_by_what_they_have() -> None:
    selection = compile_selection([{"packets": {"max": 15}}], [{"age": {"max": "1h"}}], CONTEXT)
    off = {"acct": 0, "timestamp": 0}
    assert selection.decide(entry_of(tcp(**COUNTED, start=NOW - 7200 * SECOND))) is True
    assert selection.decide(entry_of(tcp(**COUNTED, start=NOW))) is False
    assert selection.checked(RESULT, off) == RESULT


def test_one_counter_of_two_is_not_enough() -> None:
    selection = compile_selection([{"packets": {"max": 15}}], None, CONTEXT)
    assert selection.decide(entry_of(tcp(packets_original=5))) is None
    assert selection.lacking == {"acct"}


def test_entry_that_another_key_leaves_undecidable_names_no_switch() -> None:
    selection = compile_selection([{"packets": {"max": 15}, "mark": 1}], None, CONTEXT)
    assert selection.decide(entry_of(tcp(**COUNTED))) is None
    assert selection.checked(RESULT, {"acct": 0}) == RESULT


def test_text_that_decides_is_never_guessed() -> None:
    assert compile_selection("protocol=tcp state=SYN_SENT", None, CONTEXT).every_key == {"protocol", "state"}
    with pytest.raises(OptionError):
        compile_selection("protocol=tcp,state=SYN_SENT", None, CONTEXT)


def test_select() -> None:
    syn, idle = tcp(state=1), tcp(state=3, status=_uapi.SEEN_REPLY, remaining=400000)
    assert compile_selection(None, None, CONTEXT, select=["half_open"]).decide(entry_of(syn)) is True
    assert compile_selection(None, None, CONTEXT, select=["half_open"]).decide(entry_of(idle)) is False
    either = compile_selection(None, None, CONTEXT, select="half_open, idle_hour")
    assert [either.decide(entry_of(one)) for one in (syn, idle, tcp(state=7))] == [True, True, False]
    with_match = compile_selection([{"state": "TIME_WAIT"}], None, CONTEXT, select=["half_open"])
    assert [with_match.decide(entry_of(one)) for one in (syn, idle, tcp(state=7))] == [True, False, True]
    without = compile_selection([], "source_port=40000", CONTEXT, select=["half_open"])
    assert [without.decide(entry_of(one)) for one in (syn, tcp(state=1, source_port=1))] == [False, True]
    assert with_match.every_key == {"protocol", "state"}


def test_own_exclude_of_a_name_holds_for_it_alone() -> None:
    answered_tcp = compile_selection([{"state": "CLOSE"}], None, CONTEXT, select=["unanswered"])
    assert answered_tcp.decide(entry_of(tcp(state=8, status=0))) is True
    assert answered_tcp.decide(entry_of(tcp(state=3, status=0))) is False
    assert answered_tcp.decide(entry_of(entry(_uapi.UDP, status=0))) is True


def test_conditions_are_those_of_a_single_selector() -> None:
    alone = compile_selection(None, None, CONTEXT, select=["unanswered"]).conditions
    assert alone == compile_selection("replied=false", None, CONTEXT).conditions != ()
    # What the kernel cannot be asked for is no condition.
    assert len(compile_selection("replied=false protocol=tcp", None, CONTEXT).conditions) == 1
    for match, select in ((["mark=1"], ["unanswered"]), (None, ["unanswered", "dns"]), (["mark=1", "mark=2"], [])):
        assert compile_selection(match, None, CONTEXT, select=select).conditions == ()


@pytest.mark.parametrize(
    ("selector", "fields"), [({"helper": "ftp"}, {"helper": "ftp"}), ({"label": 0}, {"labels": label_map(0)})]
)
def test_what_a_file_does_not_list_is_unknown(selector: dict[str, t.Any], fields: Fields) -> None:
    """From the kernel, an entry without a helper has none."""
    from_file = Context({}, NOW, unlisted=frozenset({"helper", "labels"}))
    for context, answer in ((from_file, None), (CONTEXT, False)):
        selection = compile_selection([selector], None, context)
        assert selection.decide(entry_of(tcp())) is answer
        assert selection.decide(entry_of(tcp(**fields))) is True


NAT = _uapi.SRC_NAT | _uapi.DST_NAT
OFFLOADED = _uapi.OFFLOAD | _uapi.HW_OFFLOAD


@pytest.mark.parametrize(
    ("selector", "condition"),
    [
        ({"family": "ipv4"}, Condition("family", socket.AF_INET)),
        ({"family": ["ipv4", "ipv6"]}, None),
        ({"replied": False}, Condition("status", 0, _uapi.SEEN_REPLY)),
        ({"replied": True}, Condition("status", _uapi.SEEN_REPLY, _uapi.SEEN_REPLY)),
        ({"replied": [True, False]}, None),
        ({"expected": True}, Condition("status", _uapi.EXPECTED, _uapi.EXPECTED)),
        ({"offloaded": False}, Condition("status", 0, OFFLOADED)),
        # Either bit is enough, which no condition says.
        ({"offloaded": True}, None),
        ({"nat": "snat"}, Condition("status", _uapi.SRC_NAT, _uapi.SRC_NAT)),
        ({"nat": "none"}, Condition("status", 0, NAT)),
        ({"nat": ["snat", "dnat"]}, None),
        ({"zone": 5}, Condition("zone", 5)),
        ({"zone": [5, 6]}, None),
        ({"mark": 7}, Condition("mark", 7)),
        ({"mark": "0x7/0xff"}, None),
        ({"source": "198.18.0.1"}, Condition("source", 0xC6120001)),
        ({"destination": "198.18.0.1"}, Condition("destination", 0xC6120001)),
        ({"source": "198.18.0.0/31"}, None),
        ({"source": "2001:db8::1"}, None),
        ({"source": ["198.18.0.1", "198.18.0.2"]}, None),
        ({"reply_source": "198.18.0.1"}, None),
        ({"address": "198.18.0.1"}, None),
        ({"source_port": 5}, None),
    ],
)
def test_conditions_of_a_key(selector: dict[str, t.Any], condition: Condition | None) -> None:
    """Who asks the kernel for less misses entries that are selected."""
    expected = () if condition is None else (condition,)
    assert compile_selection([selector], None, CONTEXT).conditions == expected


@pytest.mark.parametrize("protocol", [0, 255])
def test_entries_of_every_protocol_have_a_number(protocol: int) -> None:
    selection = compile_selection([{"id": 7}], None, CONTEXT)
    assert [selection.decide(entry_of(entry(protocol, id=number))) for number in (7, 8)] == [True, False]


@pytest.mark.parametrize(
    ("key", "most"),
    [
        ("zone", 0xFFFF),
        ("zone_reply", 0xFFFF),
        ("source_port", 0xFFFF),
        ("source_key", 0xFFFF),
        ("icmp_type", 0xFF),
        ("icmp_code", 0xFF),
        ("icmp_id", 0xFFFF),
        ("reply_icmp_type", 0xFF),
        ("reply_icmp_code", 0xFF),
        ("reply_icmp_id", 0xFFFF),
        ("id", 0xFFFFFFFF),
        ("mark", 0xFFFFFFFF),
        ("label", 127),
    ],
)
def test_the_greatest_number(key: str, most: int) -> None:
    compile_selection([{key: most}], None, CONTEXT)
    assert error_of([{key: most + 1}]).startswith(f"match[0].{key}: ")


def test_every_key_is_one_of_match_and_exclude() -> None:
    selection = compile_selection([{**HOLDS, "mark": 1}, {"zone": 0}], [{"packets": {"max": 1}}], CONTEXT)
    assert selection.every_key == {"protocol", "mark", "zone", "packets"}


@pytest.mark.parametrize("state", ["SYN_SENT", ["syn_recv", "SYN_SENT"], "CLOSED", sorted(STATES_OF_FIRST_PACKETS)])
@pytest.mark.parametrize("idle", [{"min": "20s"}, [{"min": 1, "max": 5}, {"min": 9}]])
def test_idle_of_states_in_which_it_is_never_known(state: t.Any, idle: t.Any) -> None:
    message = error_of([{"state": state, "idle": idle}])
    assert message.startswith(f"match[0].idle: {idle!r} holds for no entry in ")
    assert "Give remaining instead" in message


@pytest.mark.parametrize(
    "selector",
    [
        {"state": ["SYN_SENT", "ESTABLISHED"], "idle": {"min": "20s"}},
        {"state": "SYN_SENT", "idle": {"max": "20s"}},
        {"state": "SYN_SENT", "idle": [{"min": "20s"}, {"min": 0}]},
        {"state": "SYN_SENT2", "idle": {"min": "20s"}},
        {"state": "SYN_SENT", "remaining": {"max": "20s"}},
        {"idle": {"min": "20s"}},
    ],
)
def test_idle_of_which_some_entry_may_have_enough(selector: dict[str, t.Any]) -> None:
    compile_selection([selector], None, CONTEXT)


def test_keys_that_every_selector_has() -> None:
    both = [{"helper": "ftp", "protocol": "tcp"}, {"helper": "sip"}]
    assert compile_selection(both, None, CONTEXT).common_keys == {"helper"}
    mixed = compile_selection([*both, {"protocol": "udp"}], None, CONTEXT)
    assert not mixed.common_keys
    assert "helper" in mixed.every_key
    named = compile_selection(both, None, CONTEXT, select=["unanswered"])
    assert "helper" not in named.common_keys


def test_breakpoints_are_those_of_all_selectors() -> None:
    """With one of them missing, entries between two others would get the answer of a neighbour."""
    ports = compile_selection([{"source_port": 80}, {"source_port": "1000-2000"}], [{"source_port": 1500}], CONTEXT)
    assert set(ports.breakpoints["source_port"]) == {80, 81, 1000, 1500, 1501, 2001}
    two = compile_selection([{"source_port": 80}, {"source_port": 90}], None, CONTEXT)
    assert set(two.breakpoints["source_port"]) == {80, 81, 90, 91}
    networks = compile_selection([{"source": ["203.0.113.0/24", "198.18.0.1"]}], None, CONTEXT)
    assert set(networks.breakpoints["source"]) == {0xCB007100, 0xCB007200, 0xC6120001, 0xC6120002}
    five = {"packets_original": {"min": 5, "max": 5}}
    assert set(compile_selection([five], None, CONTEXT).breakpoints["packets_original"]) == {5, 6}
    # What is added up has no breakpoint of its own.
    added_up = compile_selection([five, {"packets": {"min": 9}}], None, CONTEXT)
    assert "packets_original" not in added_up.breakpoints


@pytest.mark.parametrize(("option", "at"), [("", "exclude"), ("match[0]", "match[0].exclude")])
def test_null_is_refused_where_it_is_given(option: str, at: str) -> None:
    refuse_null({"exclude": [], "match": None}, ("exclude", "select"), option)
    with pytest.raises(OptionError) as caught:
        refuse_null({"exclude": None}, ("exclude",), option)
    assert caught.value.message.startswith(f"{at}: None is null")


def test_a_field_of_several_selectors_has_the_breakpoints_of_all() -> None:
    selection = compile_selection([{"source_port": "1-5"}, {"source_port": "10-12"}], None, CONTEXT)
    assert set(selection.breakpoints["source_port"]) == {1, 6, 10, 13}


def test_a_protocol_is_a_number_of_eight_bits() -> None:
    assert {protocol for _family, protocol in EVERY_KIND} == set(range(256))

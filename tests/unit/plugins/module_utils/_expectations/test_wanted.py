# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is taken as an expectation, and what is said of mistakes in one."""

from __future__ import annotations

import socket
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.module_utils._expectations.wanted import Ends, parse_all

EXPECTED = {"protocol": "tcp", "source": "203.0.113.21", "destination": "198.51.100.7", "destination_port": 40021}
MASTER = {
    "protocol": "tcp",
    "source": "198.51.100.7",
    "source_port": 51939,
    "destination": "203.0.113.21",
    "destination_port": 21,
}
FTP: dict[str, t.Any] = {"expected": EXPECTED, "master": MASTER}
SIX = {"expected": {**EXPECTED, "source": "2001:db8::1", "destination": "2001:db8::2"}}


def test_what_is_not_given_is_what_a_helper_expects() -> None:
    [wanted] = parse_all([FTP])
    source, destination = socket.inet_aton("203.0.113.21"), socket.inet_aton("198.51.100.7")
    assert wanted.key.expected == Ends(2, 6, source, destination, 0, 40021)
    assert wanted.key.master == Ends(2, 6, destination, source, 51939, 21)
    assert (wanted.key.mask_source, wanted.key.mask_source_port) == (b"\xff" * 4, 0)
    assert (wanted.key.zone, wanted.key.class_number, wanted.flags) == (0, 0, 0)
    assert (wanted.helper, wanted.remaining, wanted.function, wanted.nat) == (None, None, None, None)


def test_a_port_to_expect_from_counts_unless_a_mask_says_otherwise() -> None:
    expected = {**EXPECTED, "source_port": 20}
    mask = {"source": "255.255.0.0", "source_port": 0, "destination": "255.255.255.255", "destination_port": 65535}
    whole, part = parse_all([{**FTP, "expected": expected}, {**FTP, "expected": expected, "mask": mask}])
    assert whole.key.mask_source_port == 0xFFFF
    assert (part.key.mask_source, part.key.mask_source_port) == (b"\xff\xff\0\0", 0)


def test_other_protocols() -> None:
    gre = {"protocol": 47, "source": "192.0.2.1", "destination": "192.0.2.2", "source_key": 3, "destination_key": 4}
    esp = {"protocol": "50", "source": "192.0.2.1", "destination": "192.0.2.2"}
    found = [one.key.expected[-2:] for one in parse_all([{**FTP, "expected": gre}, {**FTP, "expected": esp}])]
    assert found == [(3, 4), (None, None)]


def test_null_is_like_a_key_that_is_not_there() -> None:
    names = ("helper", "class", "remaining", "zone", "id", "flags", "function", "mask", "nat", "family")
    assert parse_all([{**FTP, **dict.fromkeys(names)}]) == parse_all([FTP])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"exepcted": {}}, ("[1].exepcted: {} is no field of an expectation", "Did you mean expected?")),
        ({"expected": None}, ("[1].expected: None is missing",)),
        ({"master": None}, ("[1].master: None is missing",)),
        ({"master": "tcp"}, ("[1].master: 'tcp' is not a tuple",)),
        ({"expected": {**EXPECTED, "sport": 1}}, ("[1].expected.sport: 1 is no field of a tuple",)),
        ({"expected": {**EXPECTED, "protocol": "icmp"}}, ("[1].expected.protocol: 'icmp'", "no helper expects")),
        ({"expected": {**EXPECTED, "source": "10.0.0.0/8"}}, ("[1].expected.source: '10.0.0.0/8' is no address",)),
        ({"expected": {**EXPECTED, "destination_port": None}}, ("[1].expected.destination_port: None is missing",)),
        ({"expected": {**EXPECTED, "destination_port": 65536}}, ("[1].expected.destination_port: 65536",)),
        ({"expected": {**EXPECTED, "source": "::1"}}, ("[1].expected.destination", "is of the other family")),
        (SIX, ("[1].expected.source: '2001:db8::1' is not of ipv4",)),
        ({"master": {**MASTER, "source_port": None}}, ("[1].master.source_port: None is missing",)),
        ({"family": "ipv6"}, ("[1].family: 'ipv6' is not ipv4",)),
        ({"mask": {"destination": "255.255.255.0"}}, ("[1].mask", "leaves a part of the destination out")),
        ({"mask": {"destination_port": 0}}, ("[1].mask", "leaves a part of the destination out")),
        ({"mask": {"source": "ffff::"}}, ("[1].mask.source: 'ffff::' is of the other family",)),
        ({"mask": {"source_prot": 1}}, ("[1].mask.source_prot: 1 is no field of a mask", "Did you mean source_port?")),
        ({"zone": 70000}, ("[1].zone: 70000",)),
        ({"class": -1}, ("[1].class: -1",)),
        ({"remaining": 0}, ("[1].remaining: 0 is out of range",)),
        ({"remaining": "25d"}, ("[1].remaining: '25d' is out of range", "24 days")),
        ({"remaining": "soon"}, ("[1].remaining: 'soon' is not a duration",)),
        ({"flags": [["PERMANENT"]]}, ("[1].flags: ['PERMANENT'] is no flag", "PERMANENT")),
        ({"flags": {"PERMANENT": True}}, ("[1].flags: {'PERMANENT': True} is no flag", "PERMANENT")),
        ({"flags": ["LIVE"]}, ("[1].flags: 'LIVE' is no flag", "PERMANENT")),
        ({"helper": "a" * 16}, ("[1].helper", "is no name of a helper")),
        ({"helper": "ftp\n"}, ("[1].helper", "is no name of a helper")),
        ({"function": ""}, ("[1].function: '' is no name of a function",)),
        ({"nat": {"source": "192.0.2.1"}}, ("[1].nat.direction: None is missing",)),
        ({"nat": {"direction": "both", "source": "192.0.2.1"}}, ("[1].nat.direction: 'both' is no direction",)),
        ({"nat": {"direction": "reply", "source": "::1"}}, ("[1].nat.source: '::1' is of the other family",)),
    ],
    ids=str,
)
def test_a_mistake_is_named(change: dict[str, t.Any], words: tuple[str, ...]) -> None:
    with pytest.raises(OptionError) as caught:
        parse_all([FTP, {**FTP, **change}])
    assert caught.value.message.startswith("expectations[1]")
    for word in words:
        assert word in caught.value.message


def test_what_is_no_dict() -> None:
    wrong: t.Any
    for wrong in None, [], "tcp", 7:
        with pytest.raises(OptionError, match="is not an expectation"):
            parse_all([wrong])

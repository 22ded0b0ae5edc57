# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Messages of expectations, well-formed and not, judged by an encoder of the tests' own."""

from __future__ import annotations

import socket
import struct
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._errors import MalformedError
from ansible_collections.netops.conntrack.plugins.module_utils._expectations.expectation import Expectation, decode
from ansible_collections.netops.conntrack.plugins.module_utils._expectations.fields import as_dict
from helpers.encoded_expectations import (
    CLASS,
    CLIENT,
    FLAGS,
    FN,
    HELP_NAME,
    ID,
    MASTER,
    NAT,
    SERVER,
    TIMEOUT,
    TUPLE,
    ZONE,
    ends,
    expectation_message,
)
from helpers.encoded_messages import GRE, attribute, changed, nested


def tuple_of(*values: t.Any) -> dict[str, t.Any]:
    names = ("source", "destination", "source_port", "destination_port", "source_key", "destination_key")
    return dict(zip(names, (*values, None, None)))


FTP = {
    "family": "ipv4",
    "helper": "ftp",
    "class": 0,
    "remaining": 287,
    "zone": None,
    "id": 2153820308,
    "flags": [],
    "function": None,
    "expected": {"protocol": "tcp", **tuple_of(SERVER, CLIENT, 0, 40021)},
    "mask": tuple_of("255.255.255.255", "255.255.255.255", 0, 65535),
    "master": {"protocol": "tcp", **tuple_of(CLIENT, SERVER, 51939, 21)},
    "nat": None,
}


def test_what_the_kernel_sends_of_a_transfer_of_ftp() -> None:
    assert as_dict(decode(expectation_message())) == FTP


def test_everything_that_can_be_sent() -> None:
    nat = attribute(1, struct.pack("!I", 1)) + nested(2, ends("10.0.0.9", "0.0.0.0", 2000, 0))
    fields: dict[str, t.Any] = {
        "zone": attribute(ZONE, b"\0\7"),
        "fn": attribute(FN, b"nat-follow-master\0"),
        "nat": nested(NAT, nat),
    }
    one = decode(expectation_message(**fields))
    assert as_dict(one) == {
        **FTP,
        "zone": 7,
        "function": "nat-follow-master",
        "nat": {"direction": "reply", "source": "10.0.0.9", "source_port": 2000},
    }
    assert one.in_zone(9).zone == 9


def test_ipv6_and_the_keys_of_gre() -> None:
    expected = nested(TUPLE, ends("2001:db8::1", "2001:db8::2", 5, 6, GRE))
    master = nested(MASTER, ends("2001:db8::2", "2001:db8::1", 1723, 9))
    one = as_dict(decode(expectation_message(version=6, tuple=expected, master=master, mask=None)))
    assert one["family"] == "ipv6"
    assert one["expected"] == {
        "protocol": "gre",
        **tuple_of("2001:db8::1", "2001:db8::2", None, None),
        "source_key": 5,
        "destination_key": 6,
    }
    assert set(one["mask"].values()) == {None}


def test_the_name_is_the_tuple_as_it_was_sent() -> None:
    assert decode(expectation_message()).name == ends(SERVER, CLIENT, 0, 40021)
    assert decode(expectation_message()).expected.family == socket.AF_INET


@pytest.mark.parametrize(
    ("left_out", "field"), [("timeout", "remaining"), ("help_name", "helper"), ("class_", "class"), ("mask", "mask")]
)
def test_what_may_be_missing_is_unknown(left_out: str, field: str) -> None:
    changes: dict[str, t.Any] = {left_out: None}
    one = as_dict(decode(expectation_message(**changes)))
    assert one[field] in (None, tuple_of(None, None, None, None))


def test_unknown_attributes_are_stepped_over_at_every_level() -> None:
    more = attribute(60, b"later")
    data = changed(expectation_message(), lambda attributes: [more, *attributes, more])
    assert as_dict(decode(data)) == FTP
    # The name is echoed with what is not known in it.
    assert more in decode(data).name


def test_unknown_flags_are_numbers() -> None:
    data = expectation_message(more=attribute(FLAGS, struct.pack("!I", 0b1101)))
    assert as_dict(decode(data))["flags"] == ["PERMANENT", "USERSPACE", "8"]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (expectation_message(tuple=None), "without its protocol"),
        (expectation_message(master=None), "without its master_protocol"),
        (expectation_message(id=None), "without its id"),
        (expectation_message(tuple=nested(TUPLE)), "without its protocol"),
        (expectation_message(id=attribute(ID, b"\0\0")), "id has 2 bytes instead of 4"),
        (expectation_message(timeout=attribute(TIMEOUT, bytes(8))), "remaining has 8 bytes instead of 4"),
        (expectation_message(more=attribute(CLASS, b"")), "class has 0 bytes instead of 4"),
        (expectation_message(zone=attribute(ZONE, bytes(4))), "zone has 4 bytes instead of 2"),
        (expectation_message(more=b"\xff\0\1\0"), "claims 255 bytes"),
        (expectation_message(more=b"\3\0\1\0"), "claims 3 bytes"),
        (expectation_message(more=b"\4\0"), "2 bytes are left"),
        (expectation_message(tuple=nested(TUPLE, b"\x09\0\1\0")), "claims 9 bytes"),
        (expectation_message()[:18], "without its family"),
    ],
)
def test_malformed_messages_are_an_error(data: bytes, says: str) -> None:
    with pytest.raises(MalformedError) as caught:
        decode(data)
    assert says in caught.value.message


def test_any_cut_is_an_error_and_no_crash() -> None:
    data = expectation_message(help_name=attribute(HELP_NAME, b"ftp\0"))
    for length in range(16, len(data)):
        try:
            one: Expectation = decode(data[:length])
        except MalformedError:
            continue
        # It was cut between two attributes, behind all that are needed.
        assert one.id == FTP["id"]

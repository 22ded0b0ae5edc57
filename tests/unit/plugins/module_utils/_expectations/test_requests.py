# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every request names one expectation: by its tuple, its zone and its id."""

from __future__ import annotations

import errno
import socket
import struct

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._errors import ConntrackError
from ansible_collections.netops.conntrack.plugins.module_utils._expectations import requests
from ansible_collections.netops.conntrack.plugins.module_utils._expectations.expectation import decode
from ansible_collections.netops.conntrack.plugins.module_utils._expectations.requests import Target
from helpers.encoded_expectations import CLIENT, ID, SERVER, TUPLE, ZONE, ends, expectation_message, numbered
from helpers.encoded_messages import attribute, attributes_of, message, nested

DELETE, GET, ERROR = 0x202, 0x201, 2
ACK_REQUEST = 5


def test_a_delete_has_tuple_zone_and_id() -> None:
    data = requests.encode(DELETE, Target(decode(expectation_message()), 7), 42)
    assert struct.unpack_from("=IHHII", data) == (len(data), DELETE, ACK_REQUEST, 42, 0)
    assert data[16:20] == bytes([socket.AF_INET, 0, 0, 0])
    assert attributes_of(data[20:]) == [
        nested(TUPLE, ends(SERVER, CLIENT, 0, 40021)),
        attribute(ZONE, b"\0\7"),
        attribute(ID, struct.pack("!I", 2153820308)),
    ]


def test_the_default_zone_is_not_named() -> None:
    """A kernel without CONFIG_NF_CONNTRACK_ZONES answers EOPNOTSUPP to any zone (ctnetlink_parse_zone())."""
    data = requests.encode(DELETE, Target(decode(expectation_message()), 0), 1)
    assert attributes_of(data[20:]) == [
        nested(TUPLE, ends(SERVER, CLIENT, 0, 40021)),
        attribute(ID, struct.pack("!I", 2153820308)),
    ]


def test_a_delete_without_a_tuple_is_never_encoded() -> None:
    without = decode(expectation_message())._replace(name=b"")
    with pytest.raises(ValueError, match="must begin with the expected tuple"):
        requests.encode(DELETE, Target(without, 0), 1)


def error(sequence: int, number: int) -> bytes:
    return message(ERROR, struct.pack("=i", -number) + bytes(16), sequence=sequence)


def asked(kind: str, *answers: bytes) -> tuple[list[int], list[tuple[int, int]]]:
    """Return what comes of asking for three expectations, and type and number of the requests."""
    targets = [Target(decode(numbered(number)), 0) for number in range(3)]
    kernel, ours = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with kernel, ours:
        ours.settimeout(0.2)
        for answer in answers:
            kernel.send(answer)
        results = getattr(requests, kind)(ours, targets, 5)
        sent = kernel.recv(1 << 16)
    headers = []
    while sent:
        size, number, _flags, sequence = struct.unpack_from("=IHHI", sent)
        headers.append((number, sequence))
        sent = sent[size:]
    return results, headers


def test_each_answer_belongs_to_its_request() -> None:
    answers = error(7, 0), error(5, errno.ENOENT) + error(6, errno.EBUSY)
    assert asked("delete", *answers) == ([errno.ENOENT, errno.EBUSY, 0], [(DELETE, 5), (DELETE, 6), (DELETE, 7)])


def test_a_lookup_steps_over_what_was_found() -> None:
    found = message(0x200, expectation_message()[16:], sequence=6)
    answers = error(5, errno.ENOENT), found + error(6, 0), error(7, errno.ENOENT)
    assert asked("look_up", *answers) == ([errno.ENOENT, 0, errno.ENOENT], [(GET, 5), (GET, 6), (GET, 7)])


def test_a_missing_answer_is_an_error() -> None:
    with pytest.raises(ConntrackError, match="cannot be counted"):
        asked("delete", error(5, 0), error(6, 0))


def test_batches_are_numbered_through() -> None:
    targets = [Target(decode(expectation_message()), zone) for zone in range(2 * requests.BATCH + 1)]
    found = list(requests.batches(targets))
    assert [first for first, _batch in found] == [1, 1 + requests.BATCH, 1 + 2 * requests.BATCH]
    assert [target for _first, batch in found for target in batch] == targets

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Datagrams are split into their messages, or found to be malformed; nothing in between."""

from __future__ import annotations

import struct

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._errors import MalformedError
from ansible_collections.netops.conntrack.plugins.module_utils._netlink import framing
from helpers.encoded_messages import attribute, done, entry_message, message
from hypothesis import given, settings
from hypothesis import strategies as st

SIZES = (16, 20, 24, 40, 96)
WORDS = st.sampled_from([*SIZES, 0, 3, 0xFFFFFFFF]) | st.integers(0, 0xFFFFFFFF)


@st.composite
def a_message(draw: st.DrawFn) -> bytes:
    """Draw a message whose words are sizes of messages, too, and whose length may be no whole number of words."""
    size = draw(st.sampled_from(SIZES))
    words = draw(st.lists(WORDS, min_size=size // 4 - 1, max_size=size // 4 - 1))
    extra = draw(st.sampled_from([b"", b"", b"", b"\x14", b"\x14\0\0"]))
    return struct.pack(f"={size // 4}I", size + len(extra), *words) + extra


def padded(one: bytes) -> bytes:
    return one.ljust((len(one) + 3) & ~3, b"\0")


def rows(splitter: framing.Splitter, datagram: bytes) -> list[bytes]:
    found = []
    for run in splitter.runs(datagram):
        size = framing.size_of(run)
        assert len(run) % size == 0
        found += [run[start : start + size] for start in range(0, len(run), size)]
    return found


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(a_message(), min_size=1, max_size=12), min_size=1, max_size=5))
def test_all_messages_in_their_order(datagrams: list[list[bytes]]) -> None:
    splitter = framing.Splitter()
    for messages in datagrams:
        datagram = b"".join(map(padded, messages))
        assert rows(splitter, datagram) == list(map(padded, messages))
        without_padding = b"".join(map(padded, messages[:-1])) + messages[-1]
        assert rows(splitter, without_padding) == list(map(padded, messages))


@settings(max_examples=100, deadline=None)
@given(messages=st.lists(a_message(), min_size=1, max_size=6), choice=st.data())
def test_a_datagram_that_is_cut(messages: list[bytes], choice: st.DataObject) -> None:
    splitter = framing.Splitter()
    datagram = b"".join(map(padded, messages))
    splitter.runs(datagram)
    start = len(datagram) - len(padded(messages[-1]))
    cut = choice.draw(st.integers(start + 1, start + len(messages[-1]) - 1))
    with pytest.raises(MalformedError):
        splitter.runs(datagram[:cut])


@pytest.mark.parametrize("size", [0, 3, 15, 97, 0x7FFFFFFF, 0xFFFFFFFF])
def test_a_message_of_a_wrong_length(size: int) -> None:
    good = entry_message({})
    wrong = struct.pack("=I", size) + bytes(92)
    splitter = framing.Splitter()
    splitter.runs(good)
    for datagram in (wrong, good + wrong, good * 9 + wrong):
        with pytest.raises(MalformedError):
            splitter.runs(datagram)


def test_an_empty_datagram_is_malformed() -> None:
    with pytest.raises(MalformedError, match="a datagram without a message"):
        next(framing.messages(b""))
    assert framing.Splitter().runs(b"") == []


NEARLY_DONE = struct.pack("=IHHII", 20, 3, 2, 1, 0) + bytes(4)


@pytest.mark.parametrize(
    ("datagram", "ends"),
    [
        (done(), True),
        (done(12), True),
        (entry_message({}) + done(), True),
        (message(2, struct.pack("=i", -1) + bytes(16)), True),
        (NEARLY_DONE, True),
        (entry_message({}), False),
        (entry_message({}) + done()[:-4], False),
        (entry_message({}) + struct.pack("=I", 24) + done()[4:] + bytes(4), False),
        (entry_message({}) + struct.pack("=IH", 20, 4) + done()[6:], False),
        # As near as the attributes of an entry can come: a header has a length of four or more where a type would be.
        (entry_message({"bytes_reply": 0x14000000, "packets_reply": 0x0300000014000000, "start": 0x0300 << 48}), False),
        (entry_message({"labels": b"\3\0" + bytes(14)}), False),
        (entry_message({"labels": b"\x14\0\0\0\3\0\2\0\1" + bytes(7)}), False),
        (entry_message({"helper": "\x14\0\0\0\3\0\2\0\1\0\0\0"}), False),
        # An attribute of twenty bytes that holds one whole.
        (entry_message({}, more=attribute(99, NEARLY_DONE)), False),
        (entry_message({}, more=attribute(99, NEARLY_DONE)) + done(), True),
    ],
)
def test_what_ends_a_dump(datagram: bytes, ends: bool) -> None:
    assert framing.ends_dump(datagram, len(datagram)) is ends
    buffer = bytearray(datagram + b"\xff" * 64)
    assert framing.ends_dump(memoryview(buffer), len(datagram)) is ends


@pytest.mark.parametrize("short", [b"", b"\x14\0\0\0", done()[:19]])
def test_a_datagram_that_is_too_short_ends_a_dump(short: bytes) -> None:
    assert framing.ends_dump(short, len(short)) is True


def test_errors_have_their_number() -> None:
    assert framing.error_of(done()) == 0
    assert framing.error_of(done(12)) == 12
    with pytest.raises(MalformedError, match="without its number"):
        framing.error_of(done()[:16])


@pytest.mark.parametrize(
    "data", [b"\4", b"\3\0\1\0", b"\x09\0\1\0abcd", attribute(1, b"abcd") + b"\0\0\0\0", attribute(1, b"") + b"\0"]
)
def test_malformed_attributes(data: bytes) -> None:
    with pytest.raises(MalformedError):
        list(framing.walk(data, 0, len(data)))


def test_attributes_have_the_flags_of_their_type_taken_off() -> None:
    data = attribute(0x8000 | 7, b"abc") + attribute(0x4000 | 8, b"")
    assert list(framing.walk(data, 0, len(data))) == [(7, 4, 7), (8, 12, 12)]

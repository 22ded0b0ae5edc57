# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import struct

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._errors import (
    DumpError,
    InterruptedDumpError,
    MalformedError,
)
from ansible_collections.netops.conntrack.plugins.module_utils._netlink import listed
from helpers.encoded_messages import NLM_F_MULTI, done, message

KIND, OTHER = 0x104, 0x105
NLMSG_ERROR = 2
NLM_F_DUMP_INTR = 0x10


def one(content: bytes, kind: int = KIND, flags: int = NLM_F_MULTI) -> bytes:
    return message(kind, content, flags=flags)


def raise_for(number: int) -> None:
    if number:
        raise DumpError(f"number {number}")


def contents(*datagrams: bytes) -> list[bytes]:
    return [content[16:] for content in listed.each(datagrams, KIND, raise_for)]


def test_all_messages_in_their_order() -> None:
    assert contents(one(b"1...") + one(b"2..."), one(b"3..."), done()) == [b"1...", b"2...", b"3..."]
    assert contents(one(b"1...") + done()) == [b"1..."]
    assert contents(done()) == []
    assert contents(message(NLMSG_ERROR, bytes(4))) == []


@pytest.mark.parametrize("datagrams", [(), (one(b"1..."),)])
def test_what_breaks_off_is_no_list(datagrams: tuple[bytes, ...]) -> None:
    with pytest.raises(InterruptedDumpError, match="broke off"):
        contents(*datagrams)


def test_what_changed_meanwhile_is_no_list() -> None:
    with pytest.raises(InterruptedDumpError, match="changed"):
        contents(one(b"1...", flags=NLM_F_MULTI | NLM_F_DUMP_INTR), done())


@pytest.mark.parametrize(
    "datagrams",
    [
        (one(b"1...", OTHER), done()),
        (done() + one(b"1..."),),
        (done(), one(b"1...")),
        (message(NLMSG_ERROR, bytes(4)) + done(),),
        (done(), b""),
    ],
)
def test_a_message_of_another_kind_and_one_behind_the_end_are_malformed(datagrams: tuple[bytes, ...]) -> None:
    with pytest.raises(MalformedError):
        contents(*datagrams)


@pytest.mark.parametrize("end", [done(5), message(NLMSG_ERROR, struct.pack("=i", -5) + bytes(16))])
def test_the_error_that_the_kernel_answered_is_raised(end: bytes) -> None:
    with pytest.raises(DumpError, match="number 5"):
        contents(one(b"1...") + end)

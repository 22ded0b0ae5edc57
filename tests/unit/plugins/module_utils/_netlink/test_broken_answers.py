# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An answer of the kernel that breaks off, or is another request's, is never taken for a whole one.

No kernel that is at hand sends one, so the datagrams are made here. See helpers/hostile_netlink.py for the readers.
"""

from __future__ import annotations

import struct

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._errors import DumpError, MalformedError
from helpers import hostile_netlink
from helpers.encoded_messages import NLM_F_MULTI, done, message
from helpers.hostile_netlink import joined, parted

LISTS = ("entries", "expectations", "policies", "statistics")
NLM_F_DUMP_INTR = 0x10


def honest(name: str) -> list[bytes]:
    """Return the datagrams of a whole list, the end of it in one of its own."""
    for data in hostile_netlink.seeds()[name]:
        datagrams = parted(data)
        if len(datagrams) > 1 and datagrams[-1] == done():
            return datagrams
    raise LookupError(name)


@pytest.mark.parametrize("name", LISTS)
def test_a_whole_list_is_taken(name: str) -> None:
    hostile_netlink.READERS[name](joined(*honest(name)))


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("end", [b"", b"\0", bytes(4), done()[:16], done()[:-1]], ids=len)
def test_a_list_whose_end_is_cut_is_an_error(name: str, end: bytes) -> None:
    """Nothing may come after it: whoever receives it has to tell by itself that it is not whole."""
    with pytest.raises((DumpError, MalformedError)):
        hostile_netlink.READERS[name](joined(*honest(name)[:-1], end))


@pytest.mark.parametrize("name", LISTS)
def test_a_list_that_ends_without_a_word_is_an_error(name: str) -> None:
    with pytest.raises(DumpError, match="did not answer"):
        hostile_netlink.READERS[name](joined(*honest(name)[:-1]))


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("position", [0, -1])
def test_a_datagram_that_is_cut_is_an_error(name: str, position: int) -> None:
    datagrams = honest(name)
    datagrams[position] = datagrams[position][:-2]
    with pytest.raises((DumpError, MalformedError)):
        hostile_netlink.READERS[name](joined(*datagrams))


@pytest.mark.parametrize("name", LISTS)
def test_a_list_that_changed_meanwhile_is_an_error(name: str) -> None:
    """The kernel says so in the end of a dump, or in any of its messages."""
    end = message(3, struct.pack("=i", 0), flags=NLM_F_MULTI | NLM_F_DUMP_INTR)
    with pytest.raises(DumpError):
        hostile_netlink.READERS[name](joined(*honest(name)[:-1], end))


@pytest.mark.parametrize("data", hostile_netlink.seeds()["events"])
def test_all_events_are_told_whatever_the_times_of_entries_that_ended(data: bytes) -> None:
    hostile_netlink.READERS["events"](data)


def test_the_answer_to_an_earlier_request_is_about_none_of_these() -> None:
    """It may come after the time in which it was waited for."""
    late = hostile_netlink.error(0, 77)
    answers = [hostile_netlink.error(2, number) for number in (1, 2, 3)]
    hostile_netlink.READERS["answers"](joined(late, *answers))
    hostile_netlink.READERS["answers"](joined(late * 3 + b"".join(answers)))

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real messages that were cut and changed: either a typed error, or an entry."""

from __future__ import annotations

import contextlib
import re
import struct
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._entry import Entry
from ansible_collections.netops.conntrack.plugins.module_utils._errors import ConntrackError, MalformedError
from ansible_collections.netops.conntrack.plugins.module_utils._extended import ExtendedLines
from ansible_collections.netops.conntrack.plugins.module_utils._formats import as_dict
from ansible_collections.netops.conntrack.plugins.module_utils._selector_keys import Context
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kinds import ACCOUNTING, captured, fill
from messages import decoded
from support import network_namespace, run

CONTEXT = Context({}, 0)


def decode(data: bytes) -> Entry:
    """Decode the one message in ``data``, and render it as every format does."""
    [block] = decoded(data)
    [entry] = block.entries()
    as_dict(entry, CONTEXT)
    line_of(data)
    return entry


def line_of(data: bytes) -> str:
    [block] = decoded(data)
    [line] = ExtendedLines(CONTEXT)(block)
    return line


def cut(data: bytes, length: int) -> bytes:
    """Give the first bytes of a message, with the length in its header made to fit."""
    return struct.pack("=I", length) + data[4:length]


@pytest.fixture(scope="module")
def dump() -> t.Iterator[list[bytes]]:
    with network_namespace("malformed") as netns:
        run(["sysctl", "-qw", *ACCOUNTING], netns=netns)
        fill(netns)
        yield captured(netns)


def test_a_dump_that_is_cut_short(dump: list[bytes]) -> None:
    for data in dump:
        decode(data)
        for length in range(1, len(data)):
            with pytest.raises(MalformedError):
                decode(data[:length])


def test_a_message_that_is_cut_short(dump: list[bytes]) -> None:
    """Only a cut between two attributes leaves something that can be decoded."""
    refused = 0
    for data in dump:
        for length in range(16, len(data)):
            try:
                decode(cut(data, length))
            except MalformedError:
                refused += 1
    assert refused > 20 * len(dump)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(choice=st.data())
def test_a_message_with_wrong_bytes(dump: list[bytes], choice: st.DataObject) -> None:
    data = bytearray(choice.draw(st.sampled_from(dump)))
    for _turn in range(choice.draw(st.integers(1, 4))):
        data[choice.draw(st.integers(0, len(data) - 1))] = choice.draw(st.integers(0, 255))
    with contextlib.suppress(ConntrackError):
        decode(bytes(data))


def offloaded(data: bytes, flag: int) -> bytes:
    """Give a captured message as the kernel sends it once a flow table has the flow: no timeout, no protocol state."""
    kept = data[:20]
    at = 20
    while at < len(data):
        size, kind = struct.unpack_from("=HH", data, at)
        attribute = data[at : at + (size + 3 & ~3)]
        if kind & _uapi.NLA_TYPE_MASK == 3:
            attribute = attribute[:4] + struct.pack("!I", struct.unpack("!I", attribute[4:])[0] | flag)
        if kind & _uapi.NLA_TYPE_MASK not in (4, 7):
            kept += attribute
        at += len(attribute)
    return struct.pack("=I", len(kept)) + kept[4:]


@pytest.mark.parametrize(("flag", "shown"), [(_uapi.OFFLOAD, "[OFFLOAD]"), (_uapi.HW_OFFLOAD, "[HW_OFFLOAD]")])
def test_an_offloaded_entry(dump: list[bytes], flag: int, shown: str) -> None:
    [own] = [data for data in dump if decode(data).helper == "ftp"]
    line = line_of(own)
    wanted = re.sub(r" 6 [0-9]+ ESTABLISHED ", " 6 ", line).replace("[ASSURED]", shown)
    assert line_of(offloaded(own, flag)) == wanted != line
    fields = as_dict(decode(offloaded(own, flag)), CONTEXT)
    assert (fields["offloaded"], fields["remaining"], fields["idle"], fields["state"]) == (True, None, None, None)

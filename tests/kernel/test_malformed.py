# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real messages, cut and changed: either a typed error, or all of them, by columns as by rows."""

from __future__ import annotations

import collections
import contextlib
import re
import struct
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._entry.entry import Entry
from ansible_collections.netops.conntrack.plugins.module_utils._errors import ConntrackError, MalformedError
from ansible_collections.netops.conntrack.plugins.module_utils._facts.summary import Summary
from ansible_collections.netops.conntrack.plugins.module_utils._netlink.framing import Splitter
from ansible_collections.netops.conntrack.plugins.module_utils._query.extended import ExtendedLines
from ansible_collections.netops.conntrack.plugins.module_utils._query.fields import as_dict, ndjson_lines
from ansible_collections.netops.conntrack.plugins.module_utils._selector.compiler import compile_selection
from ansible_collections.netops.conntrack.plugins.module_utils._selector.keys import Context
from ansible_collections.netops.conntrack.plugins.module_utils._table.dump import blocks
from ansible_collections.netops.conntrack.plugins.module_utils._table.layouts import Block, Decoder
from ansible_collections.netops.conntrack.plugins.module_utils._table.memo import Memo
from helpers.encoded_messages import SEQUENCE, assert_columns_are_rows, attribute, changed, decoded, done, nested
from helpers.kernel_entries import ACCOUNTING, captured, fill
from helpers.support import network_namespace, run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

CONTEXT = Context({"tcp_timeout_established": 432000, "udp_timeout": 30}, 0)


def decode(data: bytes) -> Entry:
    """Decode the one message in ``data``."""
    [block] = decoded(data)
    [entry] = block.entries()
    return entry


def line_of(data: bytes) -> str:
    [block] = decoded(data)
    [line] = ExtendedLines(CONTEXT)(block)
    return line


def use(blocks: t.Iterable[Block]) -> int:
    """Do with the blocks whatever is done with any, each in its way of reading them; give the number of entries."""
    counts, lines_of = Summary(CONTEXT.timeouts, 3), ExtendedLines(CONTEXT)
    selection = compile_selection(
        [{"remaining": {"min": 60}, "source_port": "1-99"}, {"packets": {"min": 1}}], None, CONTEXT
    )
    of_block = Memo(selection.needs, selection.decide, selection.steps)
    entries = 0
    for block in blocks:
        assert_columns_are_rows(block)
        assert [vars(entry) for entry in block.entries()] == [vars(decode(row)) for row in block.rows]
        counts.add(block)
        assert of_block(block) == [selection.decide(entry) for entry in block.entries()]
        assert len(list(lines_of(block))) == len(list(ndjson_lines(block, CONTEXT))) == len(block)
        entries += len(block)
    assert counts.result()["entries"] == entries
    return entries


def number_of_messages(datagram: bytes) -> int | None:
    """Return how many messages are in a datagram; None where their lengths do not add up."""
    number = 0
    while datagram:
        size = struct.unpack_from("=I", datagram)[0] if len(datagram) >= 16 else 0
        if not 16 <= size <= len(datagram):
            return None
        datagram = datagram[size + 3 & ~3 :]
        number += 1
    return number


@pytest.fixture(scope="module")
def dump() -> t.Iterator[list[bytes]]:
    with network_namespace("malformed") as netns:
        run(["sysctl", "-qw", *ACCOUNTING], netns=netns)
        fill(netns)
        yield captured(netns)


def test_a_dump_that_is_cut_short(dump: list[bytes]) -> None:
    for data in dump:
        assert use(decoded(data)) == 1
        for length in range(1, len(data)):
            with pytest.raises(MalformedError):
                decode(data[:length])


def cut(data: bytes, length: int) -> bytes:
    """Return the first bytes of a message, with the length in its header made to fit."""
    return struct.pack("=I", length) + data[4:length]


def test_a_message_that_is_cut_short(dump: list[bytes]) -> None:
    """Only a cut between two attributes leaves an entry, which lacks what came behind, and has nothing else."""
    refused = 0
    for data in dump:
        whole = vars(decode(data))
        for length in range(16, len(data)):
            try:
                left = vars(decode(cut(data, length)))
            except MalformedError:
                refused += 1
            else:
                assert all(value in (whole[name], None) or (name, value) == ("zone", 0) for name, value in left.items())
    assert refused > 20 * len(dump)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(choice=st.data())
def test_messages_in_any_order(dump: list[bytes], choice: st.DataObject) -> None:
    chosen = choice.draw(st.lists(st.sampled_from(dump), min_size=1, max_size=80))
    found = decoded(b"".join(chosen))
    assert use(found) == len(chosen)
    rows = collections.Counter(row for block in found for row in block.rows)
    assert rows == collections.Counter(chosen)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(choice=st.data())
def test_attributes_that_nobody_knows_yet(dump: list[bytes], choice: st.DataObject) -> None:
    def with_unknown(attributes: list[bytes]) -> list[bytes]:
        kind = choice.draw(st.integers(40, 0x3FFF))
        value = attribute(kind, choice.draw(st.binary(max_size=30)))
        at = choice.draw(st.integers(0, len(attributes)))
        return [*attributes[:at], *choice.draw(st.sampled_from([[], [value], [nested(kind, value)]])), *attributes[at:]]

    data = choice.draw(st.sampled_from(dump))
    assert vars(decode(changed(data, with_unknown))) == vars(decode(data))
    assert line_of(changed(data, with_unknown)) == line_of(data)


def damaged(choice: st.DataObject, datagram: bytes) -> bytes:
    """Return the datagram with some bytes that are others; seldom more or fewer."""
    data = bytearray(datagram)
    for _turn in range(choice.draw(st.integers(1, 4))):
        new = choice.draw(st.binary(max_size=4) | st.sampled_from([b"\0", b"\1", b"\4", b"\x08", b"\x14\0", b"\3\0"]))
        at = choice.draw(st.integers(0, len(data) - 1))
        # Headers have small numbers at the beginning of words and of half words: lengths, and types.
        at &= choice.draw(st.sampled_from([~0, ~1, ~3]))
        data[at : at + choice.draw(st.sampled_from([len(new)] * 9 + [0, 1, 4, 40]))] = new
    return bytes(data)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(choice=st.data())
def test_damaged_datagrams(dump: list[bytes], choice: st.DataObject) -> None:
    chosen = choice.draw(st.lists(st.sampled_from(dump), min_size=1, max_size=12))
    datagram = damaged(choice, b"".join(chosen))
    expected = number_of_messages(datagram)
    for datagrams in ([datagram], [b"".join(chosen), datagram]):
        before = len(chosen) * (len(datagrams) - 1)
        splitter = Splitter()
        try:
            runs = [run for one in datagrams for run in splitter.runs(one)]
            found = use(Decoder(SEQUENCE).blocks(runs))
        except ConntrackError:
            continue
        assert expected is not None
        assert found == before + expected


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(choice=st.data())
def test_damaged_dumps(dump: list[bytes], choice: st.DataObject) -> None:
    """Copies are dropped here, so that each message is there once."""
    datagrams = [b"".join(dump[start::3]) for start in range(3)]
    at = choice.draw(st.integers(0, 2))
    datagrams[at] = damaged(choice, datagrams[at])
    number = sum(number_of_messages(datagram) or 0 for datagram in datagrams)
    datagrams[2] += done()
    with contextlib.suppress(ConntrackError):
        assert use(blocks(datagrams, SEQUENCE, 0)) == number


@pytest.mark.parametrize("at", [0, 1, 2])
@pytest.mark.parametrize("where", [0, 3])
def test_an_end_before_the_end(dump: list[bytes], at: int, where: int) -> None:
    """What comes behind it is not given up for that."""
    datagrams = [dump[0:9], dump[9:20], [*dump[20:], done()]]
    datagrams[at].insert(where, done())
    with pytest.raises(MalformedError, match="another request"):
        list(blocks(map(b"".join, datagrams), SEQUENCE, 0))


def offloaded(data: bytes, flag: int) -> bytes:
    """Return a captured message as the kernel sends it for an offloaded flow: no timeout, no protocol state."""
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
    [own] = [data for data in dump if decode(data).destination_port == 2121]
    line = line_of(own)
    wanted = re.sub(r" 6 [0-9]+ ESTABLISHED ", " 6 ", line).replace("[ASSURED]", shown)
    assert line_of(offloaded(own, flag)) == wanted != line
    fields = as_dict(decode(offloaded(own, flag)), CONTEXT)
    assert (fields["offloaded"], fields["remaining"], fields["idle"], fields["state"]) == (True, None, None, None)

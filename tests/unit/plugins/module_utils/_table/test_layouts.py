# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From messages that the tests encode to entries: nothing is lost, nothing is taken for something else."""

from __future__ import annotations

import collections
import random
import struct
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._errors import MalformedError
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block
from ansible_collections.netops.conntrack.plugins.module_utils._table.layouts import Layout
from helpers.encoded_messages import (
    CT_NEW,
    Fields,
    assert_columns_are_rows,
    attribute,
    attributes_of,
    blocks_of,
    changed,
    decoded,
    entry_message,
    entry_of,
    nested,
    values_of,
)
from helpers.strategies import fields
from hypothesis import given, settings
from hypothesis import strategies as st

TCP, UDP, DCCP, SCTP = 6, 17, 33, 132


def as_set(entries: t.Iterable[Fields]) -> collections.Counter[tuple[t.Any, ...]]:
    """Return the entries as values that can be compared, whatever their order."""
    return collections.Counter(tuple(sorted(entry.items())) for entry in entries)


def found_in(blocks: t.Iterable[Block]) -> collections.Counter[tuple[t.Any, ...]]:
    return as_set(vars(entry) for block in blocks for entry in block.entries())


@settings(max_examples=200, deadline=None)
@given(fields())
def test_every_field_is_as_it_was_sent(one: dict[str, t.Any]) -> None:
    assert vars(entry_of(one)) == values_of(one)


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(st.lists(fields(), max_size=30))
def test_many_entries(entries: list[dict[str, t.Any]]) -> None:
    blocks = decoded(b"".join(map(entry_message, entries)))
    assert found_in(blocks) == as_set(map(values_of, entries))
    for block in blocks:
        assert_columns_are_rows(block)


# Each of these is an attribute of eight bytes, the zone with its padding.
OF_ONE_SIZE = ("status", "mark", "use", "id", "remaining", "zone")
HEADERS = [struct.unpack("!I", attribute(kind, bytes(4))[:4])[0] for kind in (3, 7, 8, 11, 12)]
"""Values that look like the headers of such attributes."""


@st.composite
def look_alikes(draw: st.DrawFn) -> dict[str, t.Any]:
    """Draw entries whose messages have one length, and hardly ever one layout."""
    chosen = draw(st.lists(st.sampled_from(OF_ONE_SIZE), min_size=2, max_size=2, unique=True))
    word = st.sampled_from(HEADERS) | st.integers(0, 0xFFFFFFFF)
    values = {name: draw(st.integers(1, 0xFFFF) if name == "zone" else word) for name in chosen}
    port = st.sampled_from([1, 0x800, 0xFFFF])
    ports = {name: draw(port) for name in ("source_port", "destination_port")}
    return {"protocol": draw(st.sampled_from([TCP, UDP, DCCP, SCTP])), **ports, **values}


@settings(max_examples=100, deadline=None)
@given(st.lists(look_alikes(), min_size=2, max_size=40))
def test_layouts_of_one_length_are_told_apart(entries: list[dict[str, t.Any]]) -> None:
    messages = list(map(entry_message, entries))
    assert len(set(map(len, messages))) == 1
    blocks = decoded(b"".join(messages))
    kinds = {(one["protocol"], *(name for name in OF_ONE_SIZE if name in one)) for one in entries}
    assert len(blocks) == len(kinds)
    assert found_in(blocks) == as_set(map(values_of, entries))
    for block in blocks:
        assert_columns_are_rows(block)


@settings(max_examples=60, deadline=None)
@given(one=fields(), order=st.randoms(use_true_random=False))
def test_the_order_of_attributes_does_not_matter(one: dict[str, t.Any], order: random.Random) -> None:
    def shuffled(attributes: list[bytes]) -> list[bytes]:
        order.shuffle(attributes)
        return attributes

    # All of one length, and all but the same.
    others = [changed(entry_message(one), shuffled) for _turn in range(5)]
    assert found_in(decoded(entry_message(one) + b"".join(others))) == as_set([values_of(one)] * 6)


UNKNOWN = st.builds(
    attribute,
    st.integers(40, 0x3FFF).flatmap(lambda kind: st.sampled_from([kind, kind | 0x4000, kind | 0x8000])),
    st.binary(max_size=40),
)


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(entries=st.lists(fields(), min_size=1, max_size=8), choice=st.data())
def test_unknown_attributes_anywhere_change_nothing(entries: list[dict[str, t.Any]], choice: st.DataObject) -> None:
    def with_unknown(attributes: list[bytes]) -> list[bytes]:
        for one in choice.draw(st.lists(UNKNOWN, max_size=2)):
            attributes.insert(choice.draw(st.integers(0, len(attributes))), one)
        return attributes

    blocks = decoded(b"".join(changed(entry_message(one), with_unknown) for one in entries))
    assert found_in(blocks) == as_set(map(values_of, entries))
    for block in blocks:
        assert_columns_are_rows(block)


def test_attributes_that_hold_other_entries_parts() -> None:
    """The master's tuple, adjusted sequences and the proxied handshake have what could be taken for the entry's own."""
    one = {"protocol": TCP, "source_port": 1, "destination_port": 2, "id": 3, "mark": 4}
    tuple_of_another = attributes_of(entry_message({"protocol": UDP, "source": "198.18.9.9"})[20:])[0]
    sequence = (attribute(1, b"\1\2\3\4"), attribute(2, b"\1\2\3\4"), attribute(3, b"\1\2\3\4"))
    more = (
        nested(14, tuple_of_another[4:]),
        nested(15, *sequence),
        nested(16, *sequence),
        nested(24, *sequence),
        attribute(21, b"\xff" * 4),
        attribute(23, b"\xff" * 16),
        attribute(17, b"\0\0\0\1"),
    )
    [block] = decoded(entry_message(one, more=b"".join(more)))
    [entry] = block.entries()
    assert vars(entry) == values_of(one)


@pytest.mark.parametrize(("protocol", "own"), [(TCP, 3), (DCCP, 4), (SCTP, 5), (UDP, None)])
def test_only_the_own_protocols_state_is_taken(protocol: int, own: int | None) -> None:
    states = nested(4, *(nested(kind, attribute(1, bytes([kind + 2]))) for kind in (1, 2, 3)))
    [block] = decoded(entry_message({"protocol": protocol}, more=states))
    assert [entry.state for entry in block.entries()] == list(block.column("state")) == [own]


def test_counters_of_old_kernels() -> None:
    """CTA_COUNTERS32_PACKETS and CTA_COUNTERS32_BYTES."""
    more = nested(9, attribute(3, b"\0\0\1\0"), attribute(4, b"\xff\0\0\0"))
    [block] = decoded(entry_message({}, more=more))
    [entry] = block.entries()
    assert (entry.packets_original, entry.bytes_original, entry.packets_reply) == (256, 0xFF000000, None)
    assert_columns_are_rows(block)


def test_counters_above_32_bits() -> None:
    entries = [{"packets_original": number} for number in (1, 1 << 32, (1 << 64) - 1, 0xFFFFFFFF)]
    [block] = decoded(b"".join(map(entry_message, entries)))
    assert list(block.column("packets_original")) == [1, 1 << 32, (1 << 64) - 1, 0xFFFFFFFF]


TUPLES = entry_message({"protocol": UDP})[20:]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        attributes_of(TUPLES)[0],
        attributes_of(TUPLES)[1],
        TUPLES + attribute(8, b"\0\0\1"),
        TUPLES + attribute(3, b""),
        TUPLES + attribute(18, b"\0\0\0\1"),
        TUPLES + nested(20, attribute(1, bytes(4))),
        TUPLES + nested(9, attribute(1, bytes(16))),
        TUPLES + struct.pack("=HH", 3, 8),
        TUPLES + struct.pack("=HH", 9, 8) + bytes(4),
        TUPLES + nested(20, struct.pack("=HH", 16, 1) + bytes(8)),
        TUPLES + b"\0\0",
    ],
)
def test_malformed_entries(body: bytes) -> None:
    message = struct.pack("=IHHIIBBH", 20 + len(body), CT_NEW, 2, 1, 0, 2, 0, 0) + body
    with pytest.raises(MalformedError):
        decoded(message)
    good = entry_message({"protocol": UDP})
    with pytest.raises(MalformedError):
        decoded(good + message.ljust((len(message) + 3) & ~3, b"\0") + good)


@pytest.mark.parametrize(("kind", "sequence"), [(CT_NEW + 2, 1), (CT_NEW, 2), (2, 1), (3, 1)])
def test_messages_that_are_no_entries_of_this_dump(kind: int, sequence: int) -> None:
    good = entry_message({"protocol": UDP})
    alien = struct.pack("=IHHI", len(good), kind, 2, sequence) + good[12:]
    for datagram in (alien, good + alien, good * 5 + alien + good * 5):
        with pytest.raises(MalformedError, match="another request"):
            decoded(datagram)


def test_rows_of_many_protocols_are_parted_in_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    make = Block.__init__

    def counting(block: Block, layout: Layout, data: bytes) -> None:
        made.append(len(data) // layout.size)
        make(block, layout, data)

    monkeypatch.setattr(Block, "__init__", counting)
    protocols = range(144, 254)
    blocks = blocks_of(*({"protocol": protocol, "mark": mark} for mark in range(5) for protocol in protocols))
    assert [block.layout.constants["protocol"] for block in blocks] == list(protocols)
    assert [list(block.numbers("mark")) for block in blocks] == [list(range(5))] * len(protocols)
    # One pass for each layout would make 55 times as many.
    assert sum(made) <= 4 * 5 * len(protocols)

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The bytes of the requests, read back by the layouts of linux/netlink.h and nfnetlink_conntrack.h."""

from __future__ import annotations

import struct
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._errors import UnavailableError
from ansible_collections.netops.conntrack.plugins.module_utils._netlink.clock import Moment
from ansible_collections.netops.conntrack.plugins.module_utils._table.requests import (
    DELETE,
    LOOK_UP,
    Batch,
    Request,
    Targets,
    low_word,
    update,
)
from helpers.encoded_messages import Fields, attribute, attributes_of, blocks_of, entry_message

CT_NEW, CT_GET, CT_DELETE = 0x100, 0x101, 0x102
REQUEST, ACK = 1, 4
TUPLE_ORIG, TIMEOUT, MARK, ID, ZONE, MARK_MASK = 1, 7, 8, 12, 18, 21


class Sent(t.NamedTuple):
    """A request as the kernel reads it: ``attributes`` are whole, each with its header."""

    kind: int
    flags: int
    sequence: int
    family: int
    attributes: list[bytes]


def read(batch: Batch) -> list[Sent]:
    """Return the requests in a datagram."""
    data, found = bytes(batch.datagram), []
    while data:
        size, kind, flags, sequence, port = struct.unpack_from("=IHHII", data)
        family, version, resource = struct.unpack_from("!BBH", data, 16)
        assert (port, version, resource) == (0, 0, 0)
        found.append(Sent(kind, flags, sequence, family, attributes_of(data[20:size])))
        data = data[size:]
    return found


def udp(number: int, **fields: t.Any) -> Fields:
    return {"protocol": 17, "source_port": number, "destination_port": 53, "status": 0, "id": 7000 + number, **fields}


def targets_of(*entries: Fields, noting: t.Sequence[str] = (), moment: Moment | None = None) -> Targets[str]:
    targets = Targets[str](noting)
    for block in blocks_of(*entries):
        targets.add(block, "tag", moment)
    return targets


def named(fields: Fields) -> list[bytes]:
    """Return what names an entry, as the kernel sent it."""
    sent = {struct.unpack_from("=H", each, 2)[0] & 0x3FFF: each for each in attributes_of(entry_message(fields)[20:])}
    return [sent[kind] for kind in (TUPLE_ORIG, ID, ZONE) if kind in sent]


@pytest.mark.parametrize("request_kind", [(DELETE, CT_DELETE), (LOOK_UP, CT_GET)])
@pytest.mark.parametrize(
    "more", [{}, {"zone": 7}, {"zone_original": 7}, {"source": "2001:db8::5"}, {"mark": 9, "packets_original": 3}]
)
def test_a_request_names_one_entry_as_the_kernel_did(more: Fields, request_kind: tuple[Request, int]) -> None:
    request, kind = request_kind
    entries = [udp(number, **more) for number in (1, 2, 3)]
    [(tag, batch)] = targets_of(*entries).batches(request, 50)
    sent = read(batch)
    assert tag == "tag"
    assert [each.attributes for each in sent] == [named(fields) for fields in entries]
    assert {(each.kind, each.family) for each in sent} == {(kind, 10 if "source" in more else 2)}
    assert [each.sequence for each in sent] == [50, 51, 52]
    # The last one asks for an answer even if it succeeds.
    assert [each.flags for each in sent] == [REQUEST, REQUEST, REQUEST | ACK]
    assert (batch.first, batch.size, batch.last, batch.notes) == (50, 3, 52, None)


@pytest.mark.parametrize(
    ("timeout", "mark", "expected"),
    [
        (1, None, [attribute(TIMEOUT, b"\0\0\0\1")]),
        (300, None, [attribute(TIMEOUT, b"\0\0\1\x2c")]),
        (None, (5, 0xFF), [attribute(MARK, b"\0\0\0\5"), attribute(MARK_MASK, b"\0\0\0\xff")]),
        (2, (0, 0), [attribute(TIMEOUT, b"\0\0\0\2"), attribute(MARK, bytes(4)), attribute(MARK_MASK, bytes(4))]),
        (None, None, []),
    ],
)
def test_an_update_sends_nothing_else(timeout: int | None, mark: tuple[int, int] | None, expected: list[bytes]) -> None:
    [(_tag, batch)] = targets_of(udp(1)).batches(update(timeout, mark), 1)
    [sent] = read(batch)
    assert sent.attributes == [*named(udp(1)), *expected]
    # No flag asks for an entry that is not there.
    assert (sent.kind, sent.flags) == (CT_NEW, REQUEST | ACK)


@pytest.mark.parametrize("timeout", [0, -1])
def test_a_timeout_that_would_end_the_entry_is_not_sent(timeout: int) -> None:
    with pytest.raises(ValueError, match="less than a second"):
        update(timeout, None)


@pytest.mark.parametrize("number", [1, 63, 64, 65, 128, 4170])
def test_requests_come_in_batches_of_64_of_which_each_asks_for_one_answer(number: int) -> None:
    [block] = blocks_of(*(udp(each) for each in range(number)))
    targets = Targets[str]()
    targets.add(block, "tag")
    assert len(targets) == number
    batches = [batch for _tag, batch in targets.batches(DELETE, 10)]
    assert [batch.size for batch in batches] == [64] * (number // 64) + [number % 64] * bool(number % 64)
    datagrams = [read(batch) for batch in batches]
    assert [len(requests) for requests in datagrams] == [batch.size for batch in batches]
    sent = [each for requests in datagrams for each in requests]
    assert [each.sequence for each in sent] == list(range(10, 10 + number))
    assert [batch.first for batch in batches] == list(range(10, 10 + number, 64))
    asking = [each.sequence for each in sent if each.flags == REQUEST | ACK]
    assert asking == [batch.last for batch in batches]
    assert [each.attributes for each in sent] == [named(udp(each)) for each in range(number)]


def test_each_tag_and_each_layout_has_requests_of_its_own() -> None:
    plain, in_zone = blocks_of(*map(udp, (1, 2, 3, 4)), udp(5, zone=7))
    targets = Targets[int]()
    for tag, ports in ((1, (1, 2)), (2, (3,)), (1, (4,))):
        targets.add(plain.where(port in ports for port in plain.column("source_port")), tag)
    targets.add(in_zone, 1)
    assert len(targets) == 5
    found = [(tag, batch.first, [each.attributes for each in read(batch)]) for tag, batch in targets.batches(DELETE, 1)]
    assert found == [
        (1, 1, [named(udp(1)), named(udp(2)), named(udp(4))]),
        (2, 4, [named(udp(3))]),
        (1, 5, [named(udp(5, zone=7))]),
    ]


def test_the_place_of_an_entry_is_found_by_its_name() -> None:
    entries = [udp(1), udp(2), udp(3)]
    [(_tag, batch)] = targets_of(*entries).batches(LOOK_UP, 1)
    names = batch.names()
    words = [struct.unpack(f"={len(b''.join(named(each))) // 4}I", b"".join(named(each))) for each in entries]
    assert names == {name: place for place, name in enumerate(words)}


FIRST, SECOND = Moment(1.0, 2.0), Moment(3.0, 4.0)


def test_what_is_noted_is_of_the_same_moment_and_the_same_entries() -> None:
    """A batch has entries of one moment, so that a look at them can be compared with it."""
    counted = {"packets_original": (1 << 32) + 5, "bytes_original": 9, "packets_reply": 1, "bytes_reply": 1}
    targets = Targets[str](["remaining", "packets_original", "helper"])
    [block] = blocks_of(*(udp(number, remaining=number, **counted) for number in range(81)))
    parts = ((FIRST, range(70)), (FIRST, range(70, 75)), (SECOND, range(75, 80)), (FIRST, [80]))
    for moment, numbers in parts:
        targets.add(block.where(number in numbers for number in range(81)), "tag", moment)
    batches = [batch for _tag, batch in targets.batches(LOOK_UP, 1)]
    assert [(batch.size, batch.notes and batch.notes.moment) for batch in batches] == [
        (64, FIRST),
        (11, FIRST),
        (5, SECOND),
        (1, FIRST),
    ]
    noted = [batch.notes.words for batch in batches if batch.notes]
    assert {name for words in noted for name in words} == {"remaining", "packets_original"}
    remaining = [word for words in noted for word in words["remaining"].tobytes()]
    assert bytes(remaining) == b"".join(struct.pack("!I", number) for number in range(81))
    # Of a counter, the low half is noted.
    assert {bytes(words["packets_original"][:1].tobytes()) for words in noted} == {struct.pack("!I", 5)}
    sequences = [each.sequence for batch in batches for each in read(batch)]
    assert sequences == list(range(1, 82))
    asking = [each.sequence for batch in batches for each in read(batch) if each.flags & ACK]
    assert asking == [batch.last for batch in batches]


def test_nothing_is_noted_without_a_moment() -> None:
    targets = targets_of(udp(1, remaining=5), noting=["remaining"])
    assert [batch.notes for _tag, batch in targets.batches(LOOK_UP, 1)] == [None]


@pytest.mark.parametrize(
    ("field", "value", "word"),
    [("remaining", 5, 5), ("packets_original", 5, 5), ("packets_original", (3 << 32) + 7, 7)],
)
def test_the_low_word_of_a_field(field: str, value: int, word: int) -> None:
    counters = dict.fromkeys(("packets_original", "bytes_original"), 0)
    [block] = blocks_of({**udp(1, remaining=1), **counters, field: value})
    number = low_word(block.layout, field)
    assert block.word_column(number).tobytes() == struct.pack("!I", word)


def test_a_delete_without_a_tuple_is_never_encoded() -> None:
    [block] = blocks_of(udp(1))
    for wrong in ((), block.layout.identity[-2:]):
        block.layout.identity = wrong
        with pytest.raises(ValueError, match="original tuple"):
            Targets[int]().add(block, 0)


def test_a_delete_without_an_id_is_never_encoded() -> None:
    [nameless] = blocks_of(udp(1, id=None))
    with pytest.raises(UnavailableError, match="ids of entries"):
        Targets[int]().add(nameless, 0)

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A function of an entry gives the same when it is applied to whole blocks, for every key of the selector language."""

from __future__ import annotations

import ipaddress
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._entry.entry import Entry
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.module_utils._query.fields import ALL_FIELDS
from ansible_collections.netops.conntrack.plugins.module_utils._selector.compiler import Selection, compile_selection
from ansible_collections.netops.conntrack.plugins.module_utils._selector.keys import KEYS
from ansible_collections.netops.conntrack.plugins.module_utils._table import memo as memo_module
from ansible_collections.netops.conntrack.plugins.module_utils._table.memo import Memo
from helpers.address_files import address_file
from helpers.encoded_messages import Fields, blocks_of
from helpers.strategies import NOW, SECOND, SETTINGS, fields
from hypothesis import given, reject, settings
from hypothesis import strategies as st

CONTEXT = Context(SETTINGS, NOW)
MANY = 200
"""More different values than are taken one by one."""

Values = st.SearchStrategy[t.Any]

_BOOLEAN = st.booleans()
_PORTS = st.integers(0, 300) | st.integers(0, 300).map(lambda low: f"{low}-{low + 20}")
_FOUR = st.integers(0, MANY).map(lambda number: str(ipaddress.ip_address(0xC6120000 + number)))
_NETWORKS = st.sampled_from(
    ["198.18.0.0/25", "198.18.0.64/26", "0.0.0.0/0", "2001:db8::/121", "2001:db8::40/122", "::/0"]
)
_ADDRESSES = _FOUR | _FOUR.map(lambda text: text + "/32") | _NETWORKS

_LISTS = st.sampled_from(
    [
        address_file("both", "198.18.0.64/26", "198.18.0.7", "2001:db8::40/122", "2001:db8::7"),
        address_file("four", *(f"198.18.0.{number}" for number in range(0, MANY, 3))),
        address_file("six", "2001:db8::/121"),
    ]
)


@st.composite
def _ranges(draw: st.DrawFn, highest: int) -> dict[str, int]:
    low, high = sorted((draw(st.integers(0, highest)), draw(st.integers(0, highest))))
    return draw(st.sampled_from([{"min": low}, {"max": high}, {"min": low, "max": high}]))


VALUES: dict[str, Values] = {
    "family": st.sampled_from(["ipv4", "ipv6"]),
    "protocol": st.sampled_from(["tcp", "udp", "icmp", "gre", 99]),
    "state": st.sampled_from(["ESTABLISHED", "SYN_SENT", "NONE", "COOKIE_WAIT"]),
    **dict.fromkeys(("replied", "assured", "offloaded", "expected"), _BOOLEAN),
    "nat": st.sampled_from(["snat", "dnat", "none"]),
    **dict.fromkeys(("source", "destination", "reply_source", "reply_destination", "address"), _ADDRESSES),
    **dict.fromkeys(("source_list", "destination_list", "address_list"), _LISTS),
    **dict.fromkeys(("source_port", "destination_port", "reply_source_port", "reply_destination_port"), _PORTS),
    **dict.fromkeys(("source_key", "destination_key", "reply_source_key", "reply_destination_key"), _PORTS),
    **dict.fromkeys(("icmp_type", "reply_icmp_type"), st.integers(0, 255) | st.just("8-128")),
    **dict.fromkeys(("icmp_code", "reply_icmp_code"), st.integers(0, 255) | st.just("1-20")),
    **dict.fromkeys(("icmp_id", "reply_icmp_id", "id"), _PORTS),
    "mark": st.integers(0, MANY) | st.integers(0, 0xFF).map(lambda mark: f"{mark}/0xff"),
    "zone": st.sampled_from([0, 1, 2, 65535]),
    **dict.fromkeys(("zone_original", "zone_reply"), st.sampled_from([1, 2, 65535])),
    "label": st.integers(0, 127),
    "helper": st.sampled_from(["ftp", "sip"]),
    **dict.fromkeys(("packets_original", "packets_reply", "bytes_original", "bytes_reply"), _ranges(MANY)),
    **dict.fromkeys(("packets", "bytes"), _ranges(2 * MANY)),
    **dict.fromkeys(("remaining", "idle", "age"), _ranges(MANY + 120)),
}


def different_entries() -> list[Fields]:
    """Return entries of which each number has more different values than are taken one by one."""
    return [
        {
            "protocol": protocol,
            "state": 3 if protocol == _uapi.TCP else None,
            "source": ipaddress.ip_address(base + number).packed,
            "destination": ipaddress.ip_address(base + MANY - number).packed,
            **(icmp if protocol == _uapi.ICMP else ports),
            "status": _uapi.SEEN_REPLY * (number // 50 % 2),
            "mark": number,
            "id": shuffled,
            "packets_original": number,
            "packets_reply": shuffled,
            "bytes_original": shuffled,
            "bytes_reply": number,
            "remaining": number,
            "start": NOW - number * SECOND - number % 2,
        }
        for protocol in (_uapi.TCP, _uapi.UDP, _uapi.GRE, _uapi.ICMP)
        for base in (0xC6120000, 0x20010DB8 << 96)
        for number in range(MANY + 1)
        for shuffled in [37 * number % (MANY + 1)]
        for ports in [{"source_port": number, "destination_port": MANY - number}]
        for icmp in [{"icmp_type": number, "icmp_code": number, "icmp_id": number}]
    ]


BLOCKS = blocks_of(*different_entries())
ENTRIES = [list(block.entries()) for block in BLOCKS]


def judge(selection: Selection) -> Memo[bool | None]:
    return Memo(selection.fields, selection.decide, selection.breakpoints)


def possible(match: list[t.Any], exclude: list[t.Any] | None) -> Selection:
    """Compile a selection that was made up; one that no entry can match is no example."""
    try:
        return compile_selection(match, exclude, CONTEXT)
    except OptionError as error:
        if not any(reason in error.message for reason in ("contradicts itself", "holds for no entry")):
            raise
        return reject()


def test_the_entries_are_many() -> None:
    for block in BLOCKS:
        for name in ("source", "mark", "packets_reply", "remaining", "start"):
            assert len(set(block.numbers(name))) > MANY


def test_every_key_has_values() -> None:
    assert VALUES.keys() == KEYS.keys()


@pytest.mark.slow
@pytest.mark.parametrize("key", KEYS)
@settings(max_examples=25, deadline=None)
@given(choice=st.data())
def test_a_key(key: str, choice: st.DataObject) -> None:
    values = choice.draw(st.lists(VALUES[key], min_size=1, max_size=3))
    selection = possible([{key: values}], None)
    of_block = judge(selection)
    for block, entries in zip(BLOCKS, ENTRIES):
        assert of_block(block) == list(map(selection.decide, entries))


RELATED = [
    ["packets", "packets_original", "packets_reply"],
    ["bytes", "bytes_original", "bytes_reply"],
    ["remaining", "idle", "state"],
    ["address", "source", "reply_destination"],
    ["address_list", "source_list", "address", "destination"],
    ["source_port", "reply_destination_port", "protocol"],
    ["source_key", "source_port", "id"],
]
"""Keys that read the same fields, some in steps and some not."""


def selectors(keys: t.Iterable[str]) -> Values:
    """Return lists of selectors, each with one or two of the keys."""
    pairs = st.dictionaries(st.sampled_from(sorted(keys)), st.none(), min_size=1, max_size=2)
    one = pairs.flatmap(lambda pair: st.fixed_dictionaries({key: VALUES[key] for key in pair}))
    return st.lists(one, min_size=1, max_size=3)


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(
    selected=st.sampled_from([*RELATED, list(KEYS)]).flatmap(lambda keys: st.tuples(selectors(keys), selectors(keys))),
    others=st.lists(fields(), max_size=10),
)
def test_several_keys(selected: tuple[list[t.Any], list[t.Any]], others: list[dict[str, t.Any]]) -> None:
    for exclude in ([], selected[1]):
        selection = possible(selected[0], exclude)
        of_block = judge(selection)
        for block, entries in zip(BLOCKS, ENTRIES):
            assert of_block(block) == list(map(selection.decide, entries))
        for block in blocks_of(*others):
            assert of_block(block) == list(map(selection.decide, block.entries()))


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL_FIELDS)
@settings(max_examples=8, deadline=None)
@given(others=st.lists(fields(), max_size=20))
def test_a_field_that_is_grouped_by(name: str, others: list[dict[str, t.Any]]) -> None:
    reader = ALL_FIELDS[name]
    of_block = Memo(reader.fields, lambda entry: reader.read(entry, CONTEXT))
    for block in blocks_of(*others):
        assert of_block(block) == [reader.read(entry, CONTEXT) for entry in block.entries()]


def test_a_field_that_was_not_asked_for_is_an_error() -> None:
    with pytest.raises(AttributeError, match="mark"):
        Memo(["status"], lambda entry: entry.mark)(BLOCKS[0])


def test_it_is_called_once_for_each_combination() -> None:
    calls: list[Entry] = []
    of_block = Memo(["status", "protocol"], calls.append)
    for block in BLOCKS * 2:
        of_block(block)
    assert len(calls) == 2 * len(BLOCKS)


def test_more_combinations_than_are_remembered() -> None:
    [whole] = blocks_of(*({"mark": mark} for mark in range(20000)))
    of_block = Memo(["mark"], lambda entry: entry.mark)
    for turn in range(5):
        block = whole.where(mark // 4000 == turn or mark < 10 for mark in range(20000))
        assert of_block(block) == list(block.column("mark"))


def test_many_values_that_come_late_are_told_apart_by_steps() -> None:
    [whole] = blocks_of(*({"source_port": port} for port in range(6000)))
    calls: list[Entry] = []

    def small(entry: Entry) -> bool:
        calls.append(entry)
        return (entry.source_port or 0) < 100

    of_block = Memo(["source_port"], small, {"source_port": [100]})
    few = whole.where(port < 60 for port in range(6000))
    assert of_block(few) == [True] * 60
    assert of_block(whole) == [True] * 100 + [False] * 5900
    assert len(calls) == 60 + 2


def test_steps_of_which_there_are_none() -> None:
    [block] = blocks_of(*({"source_port": port} for port in range(100)))
    assert Memo(["source_port"], lambda _entry: 1, {"source_port": []})(block) == [1] * 100


def test_what_is_remembered_of_all_layouts_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memo_module, "_MOST_REMEMBERED", 20)
    memo = Memo(["source_port"], lambda entry: entry.source_port)
    for protocol in (_uapi.TCP, _uapi.UDP, _uapi.SCTP, _uapi.DCCP):
        [block] = blocks_of(*({"protocol": protocol, "source_port": port} for port in range(15)))
        for _again in range(3):
            assert memo(block) == list(range(15))
            assert sum(len(results.by_key) for results in memo._by_layout.values()) <= 20 + 15


def test_more_can_be_remembered_than_usual(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memo_module, "_MOST_REMEMBERED", 5)
    asked: list[int | None] = []

    def ask(entry: Entry) -> None:
        asked.append(entry.mark)

    memo = Memo(["mark"], ask, most=100)
    [block] = blocks_of(*({"mark": mark} for mark in range(100)))
    for _again in range(3):
        for start in range(0, 100, 10):
            memo(block.where(start <= number < start + 10 for number in range(100)))
    assert asked == list(range(100))


@pytest.mark.parametrize("fields", [["mark"], ["source_port"], ["status", "mark"], ["source"]])
def test_rows_that_are_all_the_same(fields: list[str]) -> None:
    same = {"mark": 7, "source_port": 0x0102, "status": 0x0A000001, "source": b"\x01\x01\x02\x01"}
    other = {"mark": 7 << 8, "source_port": 0x0201, "status": 0x0A000101, "source": b"\x01\x02\x02\x01"}
    for rows in ([same] * 5, [same, other, same], [same, same, other], [same]):
        [block] = blocks_of(*rows)
        memo = Memo(fields, lambda entry: [getattr(entry, name) for name in fields])
        assert memo(block) == [[row[name] for name in fields] for row in rows]
        assert block.is_uniform(fields) == all(row is same for row in rows)


def test_what_is_forgotten_is_asked_again() -> None:
    asked: list[int | None] = []
    memo = Memo(["mark"], lambda entry: asked.append(entry.mark))
    [block] = blocks_of({"mark": 1}, {"mark": 2, "source": "198.18.0.9"})
    memo(block)
    memo(block)
    memo.forget()
    memo(block)
    assert asked == [1, 2, 1, 2]


def test_keys_begin_with_a_secret() -> None:
    memo = Memo(["source_port", "destination_port"], lambda _entry: None)
    [block] = blocks_of({"source_port": 1, "destination_port": 2})
    memo(block)
    [key] = [key for results in memo._by_layout.values() for key in results.by_key]
    assert sorted(key[1:]) == [1, 2]
    assert key[0] == memo_module._SECRET > 0xFFFF

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each field of each entry beside the XML of conntrack(8), by rows and by columns; and the encoder of the tests."""

from __future__ import annotations

import struct
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._entry.entry import FIELDS
from ansible_collections.netops.conntrack.plugins.module_utils._query.fields import as_dict
from ansible_collections.netops.conntrack.plugins.module_utils._table import layouts
from helpers.conntrack_xml import entries_of
from helpers.encoded_messages import assert_columns_are_rows, attributes_of, decoded, entry_message
from helpers.kernel_entries import ACCOUNTING, MADE, captured, fill, read_beside
from helpers.support import network_namespace, run


class Beside(t.NamedTuple):
    """The table by rows, with the fields that people see too, by their names; and as the tool listed them."""

    blocks: list[layouts.Block]
    entries: list[dict[str, t.Any]]
    listed: list[dict[str, t.Any]]


@pytest.fixture(scope="module", params=["accounting", "plain"])
def beside(request: pytest.FixtureRequest) -> Beside:
    with network_namespace("xml") as netns:
        if request.param == "accounting":
            run(["sysctl", "-qw", *ACCOUNTING], netns=netns)
        fill(netns)
        blocks, context, text = read_beside(netns, "xml,id,labels,ktimestamp")
    entries = [{**vars(entry), **as_dict(entry, context)} for block in blocks for entry in block.entries()]
    return Beside(blocks, entries, entries_of(text))


def test_each_field_of_each_entry(beside: Beside) -> None:
    listed = {entry["id"]: entry for entry in beside.listed}
    entries = {entry["id"]: entry for entry in beside.entries}
    assert entries.keys() == listed.keys()
    assert len(beside.entries) == len(beside.listed) > len(MADE) + 20
    for own, wanted in listed.items():
        assert {name: entries[own][name] for name in wanted} == wanted


@pytest.mark.parametrize(
    "name", ["zone", "zone_original", "zone_reply", "labels", "replied", "assured", "state", "helper", "mark"]
)
def test_the_xml_covers(beside: Beside, name: str) -> None:
    found = [bool(entry.get(name)) for entry in beside.listed]
    assert any(found)
    assert not all(found)


def test_accounting_shows_in_the_xml(beside: Beside, request: pytest.FixtureRequest) -> None:
    for name in ("start", "packets_original", "bytes_reply"):
        assert {entry[name] is not None for entry in beside.listed} == {"[accounting]" in request.node.name}


def test_columns_are_rows(beside: Beside) -> None:
    assert len(beside.blocks) > 10
    for block in beside.blocks:
        assert_columns_are_rows(block)


@pytest.fixture(scope="module")
def dump() -> t.Iterator[list[bytes]]:
    with network_namespace("xml") as netns:
        run(["sysctl", "-qw", *ACCOUNTING], netns=netns)
        fill(netns)
        yield captured(netns)


def kinds_of(data: bytes) -> list[int]:
    """Return the types of an entry's attributes."""
    return [struct.unpack_from("=H", one, 2)[0] & 0x3FFF for one in attributes_of(data[20:])]


PROTOINFO = 4
NO_FIELDS = {"master": 14, "adjusted sequence": 15, "of the reply": 16, "proxied handshake": 24}


def test_the_kernel_sends_what_is_no_field(dump: list[bytes]) -> None:
    assert set(NO_FIELDS.values()) < {kind for data in dump for kind in kinds_of(data)}


def comparable(data: bytes) -> list[bytes]:
    """Return an entry's attributes without those that are no field; the protocol's only up to the state, 13 bytes."""
    named = zip(kinds_of(data), attributes_of(data[20:]))
    return [one[:13] if kind == PROTOINFO else one for kind, one in named if kind not in NO_FIELDS.values()]


def test_the_tests_encode_as_the_kernel_does(dump: list[bytes]) -> None:
    for data in dump:
        [entry] = decoded(data)[0].entries()
        encoded = entry_message({name: getattr(entry, name) for name in FIELDS})
        assert comparable(encoded) == comparable(data)

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Many selections that are counted together count what each counts alone, entry by entry."""

from __future__ import annotations

import collections
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._entry.entry import Entry
from ansible_collections.netops.conntrack.plugins.module_utils._facts.tallies import Tallies
from ansible_collections.netops.conntrack.plugins.module_utils._selector.compiler import Selection, compile_selection
from ansible_collections.netops.conntrack.plugins.module_utils._selector.named_selectors import NAMED
from ansible_collections.netops.conntrack.plugins.module_utils._table.layouts import Layout
from helpers.encoded_messages import Fields, blocks_of
from helpers.strategies import NOW, SETTINGS, fields
from hypothesis import given, settings
from hypothesis import strategies as st

CONTEXT = Context(SETTINGS, NOW)
SELECTIONS = {
    **{name: compile_selection(None, None, CONTEXT, select=[name]) for name in NAMED},
    "all": compile_selection(None, None, CONTEXT),
    "many_packets": compile_selection("packets.min=2", "mark=1", CONTEXT),
    "syn": compile_selection("state=SYN_SENT", None, CONTEXT),
    "ping": compile_selection("icmp_type=8 source=198.18.0.0/24", None, CONTEXT),
    "one_mark": compile_selection("mark=0x10/0xff", None, CONTEXT),
    "gre": compile_selection(["protocol=gre source_key=53", "protocol=gre remaining.max=60"], None, CONTEXT),
    "not_tcp6": compile_selection("family=ipv4,ipv6", "protocol=tcp family=ipv6", CONTEXT),
}
PROTOCOLS = {6: "tcp", 17: "udp", 1: "icmp", 58: "icmpv6", 33: "dccp", 47: "gre", 132: "sctp", 136: "udplite"}


def counted(selections: t.Mapping[str, Selection], entries: list[Fields], **off: int) -> dict[str, t.Any]:
    tallies = Tallies(selections)
    for block in blocks_of(*entries):
        tallies.add(block)
    return tallies.result({"acct": 1, "timestamp": 1, **off})


def expected(selection: Selection, entries: list[Fields]) -> dict[str, t.Any]:
    """Count entry by entry."""
    answers = [(entry, selection.decide(entry)) for block in blocks_of(*entries) for entry in block.entries()]
    protocols = collections.Counter(
        PROTOCOLS.get(entry.protocol, str(entry.protocol)) for entry, answer in answers if answer
    )
    return {
        "entries": protocols.total(),
        "percent": pytest.approx(100 * protocols.total() / len(entries), abs=0.01),
        "protocols": dict(protocols),
        "undecidable": sum(answer is None for _entry, answer in answers),
        "unavailable": None,
    }


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(entries=st.lists(fields(), min_size=1, max_size=40))
def test_together_is_each_alone(entries: list[Fields]) -> None:
    result = counted(SELECTIONS, entries)
    assert result == {name: expected(selection, entries) for name, selection in SELECTIONS.items()}
    assert list(result) == list(SELECTIONS)


def test_named_selectors_are_decided_with_one_decoding_of_each_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cost of another selector is that of its answer for the few kinds of entries, not that of another pass."""
    decoded: list[bytes] = []
    decode = Layout.entry

    def noting(self: Layout, row: bytes, names: t.Iterable[str]) -> Entry:
        decoded.append(row)
        return decode(self, row, names)

    monkeypatch.setattr(Layout, "entry", noting)
    one = {"state": 3, "status": 0, "packets_original": 1, "bytes_original": 52, "remaining": 300}
    entries: list[Fields] = [{**one, "source_port": port, "destination_port": 80} for port in range(500)]
    names = {name: SELECTIONS[name] for name in NAMED}
    assert counted(names, entries)["stale"]["entries"] == 500
    assert len(decoded) == 1


def test_protocols_are_ordered_by_their_numbers() -> None:
    udp, esp = {"protocol": 17, "status": 0}, {"protocol": 50, "status": 0}
    result = counted(SELECTIONS, [udp, esp, esp])["unanswered"]
    assert list(result["protocols"].items()) == [("50", 2), ("udp", 1)]


def test_unknown_is_not_zero_and_what_is_known_is_counted() -> None:
    selections = {"small": compile_selection("packets.max=9", None, CONTEXT)}
    unknown, known = {"source_port": 1}, {"packets_original": 1, "packets_reply": 1, "source_port": 2}
    result = counted(selections, [unknown], acct=0)["small"]
    message = result.pop("unavailable")
    assert message.startswith("net.netfilter.nf_conntrack_acct is 0")
    assert result == {"entries": None, "percent": None, "protocols": None, "undecidable": 1}
    selections = {"small": compile_selection("packets.max=9", None, CONTEXT)}
    assert counted(selections, [unknown, known], acct=0)["small"] == {
        "entries": 1,
        "percent": 50.0,
        "protocols": {"tcp": 1},
        "undecidable": 1,
        "unavailable": None,
    }


def test_empty_table() -> None:
    assert counted(SELECTIONS, [])["stale"] == {
        "entries": 0,
        "percent": 0.0,
        "protocols": {},
        "undecidable": 0,
        "unavailable": None,
    }

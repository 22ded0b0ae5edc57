# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The kernel leaves entries out of a dump: those that are not selected, all of them where it can, and no others."""

from __future__ import annotations

import collections
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._netns import inside
from ansible_collections.netops.conntrack.plugins.module_utils._selector.compiler import Selection, compile_selection
from ansible_collections.netops.conntrack.plugins.module_utils._selector.keys import Context
from ansible_collections.netops.conntrack.plugins.module_utils._table import kernel_filter, layouts
from ansible_collections.netops.conntrack.plugins.module_utils._table.kernel_filter import Condition
from ansible_collections.netops.conntrack.plugins.module_utils._table.table import Table
from helpers.support import network_namespace, run

FOUR = "-s 198.18.0.{source} -d 203.0.113.1 --sport {port} --dport 443 -t 900"
SIX = "-s 2001:db8::{source} -d 2001:db8::ffff --sport {port} --dport 443 -t 900"
KINDS = (
    f"-p tcp {FOUR} --state ESTABLISHED -u SEEN_REPLY,ASSURED",
    f"-p tcp {FOUR} --state ESTABLISHED --mark 0x12",
    f"-p udp {FOUR} --mark 0x10",
    f"-p udp {FOUR} -u SEEN_REPLY -w 7",
    f"-p tcp {FOUR} --state SYN_SENT --orig-zone 7",
    f"-p tcp {FOUR} --state SYN_SENT --reply-zone 8",
    f"-p tcp {FOUR} --state ESTABLISHED -g 198.51.100.1",
    f"-p tcp {FOUR} --state ESTABLISHED -n 198.51.100.2",
    f"-p tcp {SIX} --state ESTABLISHED -u SEEN_REPLY,ASSURED --mark 0x12",
    f"-p udp {SIX}",
)
FILTERED: list[tuple[dict[str, t.Any], Condition]] = [
    ({"family": "ipv6"}, Condition("family", 10)),
    ({"family": "ipv4"}, Condition("family", 2)),
    ({"replied": True}, Condition("status", 2, 2)),
    ({"replied": False}, Condition("status", 0, 2)),
    ({"assured": "yes"}, Condition("status", 4, 4)),
    ({"assured": False}, Condition("status", 0, 4)),
    ({"expected": True}, Condition("status", 1, 1)),
    ({"nat": "snat"}, Condition("status", 0x10, 0x10)),
    ({"nat": "dnat"}, Condition("status", 0x20, 0x20)),
    ({"nat": "none"}, Condition("status", 0, 0x30)),
    ({"mark": "0x12"}, Condition("mark", 0x12)),
    ({"mark": 0}, Condition("mark", 0)),
    ({"zone": 7}, Condition("zone", 7)),
    ({"zone": [8]}, Condition("zone", 8)),
    ({"zone": 0}, Condition("zone", 0)),
    ({"source": "198.18.0.2"}, Condition("source", 0xC6120002)),
    ({"destination": "203.0.113.1/32"}, Condition("destination", 0xCB007101)),
]
LEFT_WHOLE: list[dict[str, t.Any]] = [
    {"source": "2001:db8::2"},
    {"source": "198.18.0.0/30"},
    {"address": "198.18.0.2"},
    {"mark": ["0x10", "0x12"]},
    {"mark": "0x10/0x10"},
    {"reply_source": "198.51.100.1"},
    {"reply_destination": "198.51.100.2"},
    {"offloaded": True},
    {"protocol": "tcp"},
    {"destination_port": 443},
]


def compiled(*match: dict[str, t.Any]) -> Selection:
    return compile_selection(list(match), None, Context({}, 0))


def answers(table: Table, selection: Selection, conditions: t.Sequence[Condition]) -> collections.Counter[t.Any]:
    """Return the number of entries that came, by what the selection says of them."""

    def collect(blocks: t.Iterator[layouts.Block]) -> collections.Counter[t.Any]:
        return collections.Counter(selection.decide(entry) for block in blocks for entry in block.entries())

    return table.read(collect, conditions)


@pytest.fixture(scope="module")
def table() -> t.Iterator[Table]:
    """Yield a table with each of KINDS four times, from four sources."""
    with network_namespace("filter") as name:
        lines = [
            f"-I {kind.format(source=1 + turn, port=1000 + 10 * turn + number)}\n"
            for number, kind in enumerate(KINDS)
            for turn in range(4)
        ]
        run(["conntrack", "-R", "-"], netns=name, text="".join(lines))
        with inside(name), Table() as opened:
            assert opened.count() == len(lines)
            yield opened


@pytest.mark.parametrize(("selector", "condition"), FILTERED)
def test_what_is_not_selected_does_not_come(table: Table, selector: dict[str, t.Any], condition: Condition) -> None:
    selection = compiled(selector)
    assert selection.conditions == (condition,)
    whole = answers(table, selection, ())
    filtered = answers(table, selection, selection.conditions)
    assert filtered[True] == whole[True]
    assert filtered[None] == whole[None] == 0
    assert (whole[True] > 0) is (selector != {"expected": True})
    assert whole[False] > 0
    assert filtered[False] == 0


@pytest.mark.parametrize("selector", LEFT_WHOLE)
def test_what_the_kernel_cannot_be_trusted_with(table: Table, selector: dict[str, t.Any]) -> None:
    selection = compiled(selector)
    assert selection.conditions == ()
    whole = answers(table, selection, ())
    assert whole[False] + whole[True] == table.count()


def test_several_conditions_hold_together(table: Table) -> None:
    selection = compiled({"family": "ipv4", "replied": False, "nat": "none", "mark": 0x12, "source": "198.18.0.3"})
    assert len(selection.conditions) == 5
    assert answers(table, selection, selection.conditions) == {True: 1}
    both = compiled({"source": "198.18.0.2", "destination": "203.0.113.1"})
    assert answers(table, both, both.conditions) == {True: answers(table, both, ())[True]}


def test_one_of_several_selectors_is_no_condition() -> None:
    assert compiled({"mark": 1}, {"zone": 2}).conditions == ()


def test_a_kernel_that_refuses_is_asked_for_everything(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    selection = compiled({"source": "198.18.0.2"})
    encode = kernel_filter.encode
    # An address without its family is what this kernel refuses (EOPNOTSUPP).
    monkeypatch.setattr(kernel_filter, "encode", lambda conditions: (0, encode(conditions)[1]))
    seen = answers(table, selection, selection.conditions)
    assert seen[True] == answers(table, selection, ())[True] > 0
    assert sum(seen.values()) == table.count()

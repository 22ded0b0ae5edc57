# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which filters of a dump another kernel obeys, and that the answer is right whether it does or not."""

from __future__ import annotations

import dataclasses
import json
import typing as t

import pytest
from helpers.guest_tables import guest_table, kernel_version
from vm import VirtualMachine

FOUR = "-s 198.18.0.{source} -d 203.0.113.1 --sport {port} --dport 443 -t 900"
SIX = "-s 2001:db8::{source} -d 2001:db8::ffff --sport {port} --dport 443 -t 900"
KINDS = (
    f"-p tcp {FOUR} --state ESTABLISHED -u SEEN_REPLY,ASSURED",
    f"-p tcp {FOUR} --state ESTABLISHED --mark 0x12",
    f"-p udp {FOUR} --mark 0x10",
    f"-p udp {FOUR} -u SEEN_REPLY -w 7",
    f"-p tcp {FOUR} --state SYN_SENT --orig-zone 7",
    f"-p tcp {FOUR} --state ESTABLISHED -g 198.51.100.1",
    f"-p tcp {SIX} --state ESTABLISHED -u SEEN_REPLY,ASSURED --mark 0x12",
    f"-p udp {SIX}",
)

Listed = dict[str, t.Any]


@dataclasses.dataclass(frozen=True)
class Asked:
    """A selector, the filter that it makes, since when kernels obey that, and what the tool's XML says of an entry."""

    selector: dict[str, t.Any]
    since: tuple[int, int]
    selects: t.Callable[[Listed], bool]


# The versions are those in module_utils/_table/kernel_filter.py.
FILTERS = {
    "family": Asked({"family": "ipv6"}, (4, 20), lambda entry: entry["family"] == "ipv6"),
    "mark": Asked({"mark": "0x12"}, (3, 4), lambda entry: entry["mark"] == 0x12),
    "no mark": Asked({"mark": 0}, (3, 4), lambda entry: entry["mark"] == 0),
    "source": Asked({"source": "198.18.0.2"}, (5, 8), lambda entry: entry["source"] == "198.18.0.2"),
    "destination": Asked({"destination": "203.0.113.1"}, (5, 8), lambda entry: entry["destination"] == "203.0.113.1"),
    "replied": Asked({"replied": True}, (5, 15), lambda entry: entry["replied"]),
    "not assured": Asked({"assured": False}, (5, 15), lambda entry: not entry["assured"]),
    "translated": Asked({"nat": "dnat"}, (5, 15), lambda entry: entry["reply_source"] != entry["destination"]),
    "zone": Asked({"zone": 7}, (6, 8), lambda entry: entry["zone"] == 7),
    "no zone": Asked({"zone": 0}, (6, 8), lambda entry: entry["zone"] == 0),
}
NEVER = {
    "IPv6 address": Asked({"source": "2001:db8::2"}, (0, 0), lambda entry: entry["source"] == "2001:db8::2"),
    "network": Asked({"source": "198.18.0.2/31"}, (0, 0), lambda entry: entry["source"][-4:] in (".0.2", ".0.3")),
    "port": Asked({"source_port": 1000}, (0, 0), lambda entry: entry["source_port"] == 1000),
    "one of two": Asked({"mark": ["0x10", "0x12"]}, (0, 0), lambda entry: entry["mark"] in (0x10, 0x12)),
}
"""No kernel is asked for these."""

PROGRAM = """
import json, sys
from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._selector.compiler import compile_selection
from ansible_collections.netops.conntrack.plugins.module_utils._table.table import Table

found = {}
with Table() as table:
    for name, selector in json.load(sys.stdin).items():
        selection = compile_selection([selector], None, Context({}, 0))
        entries = table.read(lambda blocks: [e for block in blocks for e in block.entries()], selection.conditions)
        selected = [entry.id for entry in entries if selection.decide(entry)]
        found[name] = {"conditions": len(selection.conditions), "came": len(entries), "selected": selected}
print(json.dumps(found))
"""


@dataclasses.dataclass(frozen=True)
class Answers:
    """What came when the kernel was asked for each of the selectors, and the table as the tool lists it."""

    found: dict[str, dict[str, t.Any]]
    listed: dict[int, Listed]


@pytest.fixture(scope="module")
def answers(router: VirtualMachine) -> Answers:
    asked = {name: one.selector for name, one in {**FILTERS, **NEVER}.items()}
    with guest_table(router, "filtered") as table:
        table.insert(
            *(
                kind.format(source=1 + turn, port=1000 + 10 * turn + number)
                for number, kind in enumerate(KINDS)
                for turn in range(4)
            )
        )
        found = json.loads(table.python(PROGRAM, json.dumps(asked)))
        return Answers(found, table.entries())


@pytest.mark.parametrize("name", [*FILTERS, *NEVER])
def test_the_answer_is_right(answers: Answers, name: str) -> None:
    selects = {**FILTERS, **NEVER}[name].selects
    wanted = [own for own, entry in answers.listed.items() if selects(entry)]
    assert 0 < len(wanted) < len(answers.listed) == 4 * len(KINDS)
    assert sorted(answers.found[name]["selected"]) == sorted(wanted)


@pytest.mark.parametrize("name", FILTERS)
def test_the_kernel_obeys_since_the_version_that_is_documented(
    router: VirtualMachine, answers: Answers, name: str
) -> None:
    obeyed = kernel_version(router) >= FILTERS[name].since
    found = answers.found[name]
    assert found["conditions"] == 1
    assert found["came"] == (len(found["selected"]) if obeyed else len(answers.listed))


@pytest.mark.parametrize("name", NEVER)
def test_no_kernel_is_asked(answers: Answers, name: str) -> None:
    assert answers.found[name]["conditions"] == 0
    assert answers.found[name]["came"] == len(answers.listed)

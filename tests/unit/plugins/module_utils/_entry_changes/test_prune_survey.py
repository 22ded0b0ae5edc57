# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.guards import Guards
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.prune_plan import PrunePlan
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.prune_survey import PruneSurvey
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.second_look import StateAndStatus
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.ssh_connections import Connection
from ansible_collections.netops.conntrack.plugins.module_utils._selector.compiler import compile_selection
from helpers.encoded_messages import blocks_of


def test_what_stays_is_told_with_the_option_that_would_take_it() -> None:
    """The connection that the module runs in comes first, so that no other option alone would take it."""
    ssh = Connection(b"\xc6\x12\0\1", 40000, b"\xcb\0q\1", 22)
    first_look = StateAndStatus(None, 0x4008)
    offloaded = {"status": 0x4008, "destination_port": 22}
    [block] = blocks_of({**offloaded, "source_port": 40000}, {**offloaded, "source_port": 40001})
    parts = dict(Guards({ssh}, helpers=True).divide(block, first_look))
    assert {reason: [entry.source_port for entry in part.entries()] for reason, part in parts.items()} == {
        "management": [40000],
        "offloaded": [40001],
    }
    context = Context({}, 0)
    selection = compile_selection([{"protocol": "tcp"}], None, context)
    plan = PrunePlan(selection, Guards({ssh}, helpers=True), context, sample=1, whole=True, confirm_idle=30)
    found = PruneSurvey(plan, None, {})
    assert list(found.sort_out(block)) == []
    told = [(kept["reason"], kept["option"], kept["entries"], len(kept["sample"])) for kept in found.counts()["kept"]]
    assert told == [("management", "protect_management: false", 1, 1), ("offloaded", "confirm_idle: 0", 1, 1)]


def test_an_entry_that_cannot_be_decided_stays_and_is_counted() -> None:
    """Its counters are unknown, because the kernel does not keep any."""
    context = Context({}, 0)
    selection = compile_selection([{"packets": {"max": 1}}], None, context)
    found = PruneSurvey(PrunePlan(selection, Guards((), helpers=True), context, sample=1, whole=True), None, {})
    [block] = blocks_of({"source_port": 1}, {"source_port": 2})
    assert list(found.sort_out(block)) == []
    counts = found.counts()
    assert (counts["matched"], counts["undecidable"], counts["protected"]) == (0, 2, 0)

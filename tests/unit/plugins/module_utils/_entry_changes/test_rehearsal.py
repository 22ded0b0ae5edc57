# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.guards import Guards
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.prune_plan import PrunePlan
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.rehearsal import Pruned
from ansible_collections.netops.conntrack.plugins.module_utils._selector.compiler import compile_selection
from helpers.encoded_messages import blocks_of

HELPED = {"protocol": 17, "helper": "tftp"}


def pruned(match: dict[str, object]) -> Pruned:
    context = Context({}, 0)
    selection = compile_selection([match], None, context)
    return Pruned(PrunePlan(selection, Guards((), helpers=True), context, sample=0, whole=True))


@pytest.mark.parametrize(("ports", "left"), [("1-3", [4, 5]), ("1-5", []), ("9", [1, 2, 3, 4, 5])])
def test_what_the_prune_deletes_is_left_out(ports: str, left: list[int]) -> None:
    [block] = blocks_of(*({"protocol": 17, "source_port": port, "id": 100 + port} for port in range(1, 6)))
    remaining = pruned({"source_port": ports})(block)
    assert [entry.source_port for entry in remaining.entries()] == left


def test_what_a_guard_keeps_is_there() -> None:
    [block] = blocks_of({**HELPED, "id": 1}, {**HELPED, "id": 2})
    assert pruned({"protocol": "udp"})(block).rows == block.rows

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Groups are exact up to a number of them, and what is left out beyond that is told."""

from __future__ import annotations

import collections
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._query import query as query_module
from ansible_collections.netops.conntrack.plugins.module_utils._selector.compiler import compile_selection
from helpers.encoded_messages import blocks_of
from helpers.strategies import NOW, SETTINGS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

MOST = 8
CONTEXT = Context(SETTINGS, NOW)


class MemoryTable:
    """A table with an entry from each of the ports, of which each comes in a block of its own."""

    def __init__(self, ports: t.Sequence[int]) -> None:
        self._ports = ports

    def read(self, collect: t.Callable[[t.Any], t.Any], _conditions: object, **_fields: object) -> t.Any:
        return collect(block for port in self._ports for block in blocks_of(_entry(port)))


def _entry(port: int) -> dict[str, t.Any]:
    return {"source_port": port, **dict.fromkeys(("packets_original", "packets_reply"), 1), "bytes_original": 40}


def grouped(ports: t.Sequence[int], limit: int = 100) -> dict[str, t.Any]:
    every = compile_selection(None, None, CONTEXT)
    query = query_module.Query(["source_port"], [], limit, entries=False)
    return query_module.run_query(t.cast(t.Any, MemoryTable(ports)), every, CONTEXT, query)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 40), max_size=200))
def test_what_was_left_out_is_told(monkeypatch: pytest.MonkeyPatch, ports: list[int]) -> None:
    monkeypatch.setattr(query_module, "_MOST_GROUPS", MOST)
    result = grouped(ports)
    true = collections.Counter(ports)
    found = {group["source_port"]: group["entries"] for group in result["groups"]}
    uncertainty = result["groups_uncertainty"]
    assert uncertainty <= len(ports) / (MOST // 2 + 1)
    assert len(found) <= MOST
    for port, number in true.items():
        assert number - uncertainty <= found.get(port, 0) <= number
    assert result["groups_distinct"] == (None if uncertainty else len(true))
    assert result["matched"] == len(ports)


def test_a_group_that_always_was_among_the_largest_is_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query_module, "_MOST_GROUPS", MOST)
    result = grouped([port for number in range(1, 100) for port in (number, 7777)], limit=1)
    assert [(group["source_port"], group["entries"]) for group in result["groups"]] == [(7777, 99)]
    assert (result["groups_distinct"], result["groups_uncertainty"] > 0) == (None, True)


def test_up_to_the_most_groups_nothing_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query_module, "_MOST_GROUPS", MOST)
    result = grouped([*range(1, MOST + 1), *range(1, MOST + 1)])
    assert (result["groups_distinct"], result["groups_uncertainty"]) == (MOST, 0)
    assert {group["entries"] for group in result["groups"]} == {2}

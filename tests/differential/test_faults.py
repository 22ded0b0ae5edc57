# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The oracle can fail: with a fault in what selects, deletes or changes entries, it reports a pair."""

from __future__ import annotations

import dataclasses
import pathlib
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes import update_plan
from ansible_collections.netops.conntrack.plugins.module_utils._selector import compiler
from ansible_collections.netops.conntrack.plugins.module_utils._selector.keys import KEYS
from ansible_collections.netops.conntrack.plugins.module_utils._selector.values import Network, Range, parse_network
from helpers.differential import PAIRS_OF_A_TABLE, Tally, random_table

SEED = 2


def _without_the_most(monkeypatch: pytest.MonkeyPatch) -> None:
    """A range that leaves its upper end out."""

    def contains(self: Range, number: int) -> bool:
        return self.least <= number and (self.most is None or number < self.most or number == self.least)

    monkeypatch.setattr(Range, "contains", contains)


def _unknown_is_not_excluded(monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry is selected although nobody knows whether ``exclude`` holds for it."""
    monkeypatch.setattr(compiler, "_negated", lambda test: lambda entry: not test(entry))


def _one_bit_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network of IPv4 is taken to be half as large."""

    def halved(value: t.Any, option: str) -> Network:
        network = parse_network(value, option)
        return next(iter(network.subnets())) if network.version == 4 and network.prefixlen < 32 else network

    for name in ("source", "destination", "reply_source", "reply_destination", "address"):
        monkeypatch.setitem(KEYS, name, dataclasses.replace(KEYS[name], parse=halved))


def _every_bit_of_the_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mask of a mark that is set is ignored."""
    parse = update_plan.parse_mark

    def without_mask(value: t.Any) -> t.Any:
        mark = parse(value)
        return None if mark is None else (mark[0], 0xFFFFFFFF)

    # conntrack_update checks the option by its own import, and acts on what update_plan reads.
    monkeypatch.setattr(update_plan, "parse_mark", without_mask)


FAULTS = [_without_the_most, _unknown_is_not_excluded, _one_bit_more, _every_bit_of_the_mark]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__.strip("_"))
def test_a_fault_is_reported(
    fault: t.Callable[[pytest.MonkeyPatch], None], tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with random_table(SEED, 0, tmp_path, Tally()) as pairs:
        fault(monkeypatch)
        with pytest.raises(AssertionError) as report:
            # Not each few selectors have what the fault is about.
            pairs.try_some(4 * PAIRS_OF_A_TABLE)
    for words in ("selector: {", "entries that differ: ", f"make differential SEED={SEED} TABLE=0"):
        assert words in str(report.value)

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What two looks at a table tell, with tables that are given."""

from __future__ import annotations

import array
import time
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._facts import rates as rates_module
from ansible_collections.netops.conntrack.plugins.module_utils._facts.rates import Rates, kept_ids
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block
from ansible_collections.netops.conntrack.plugins.module_utils._table.table import Table
from helpers.encoded_messages import Fields, blocks_of
from hypothesis import given
from hypothesis import strategies as st

TCP, UDP = _uapi.TCP, _uapi.UDP
ANY_IDS = st.sets(st.integers(0, 2**32 - 1) | st.integers(0, 2000), max_size=300)


class Shown(t.NamedTuple):
    """What a table shows at one look."""

    entries: t.Sequence[Fields]
    counted: int | None
    counters: dict[int, dict[str, int]]


class FakeTable:
    """A table that shows something else at each look, on a clock of its own."""

    def __init__(self, *shown: Shown) -> None:
        self._shown = list(shown)
        self.seconds = 100.0

    def read(self, collect: t.Callable[[t.Iterator[Block]], t.Any]) -> t.Any:
        # The first dump was disturbed, so that it counts for nothing.
        collect(iter(blocks_of(entry(TCP, 5))))
        self.seconds += 1
        result = collect(iter(blocks_of(*self._shown[0].entries)))
        self.seconds += 2
        self._shown.pop(0)
        return result

    def count(self) -> int | None:
        return self._shown[0].counted

    def cpu_stats(self) -> list[tuple[int, dict[str, int]]]:
        return list(self._shown[0].counters.items())

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


def entry(protocol: int, number: int, **fields: t.Any) -> Fields:
    ends = {"source": "198.18.0.1", "destination": "198.18.0.2", "source_port": number & 0xFFFF, "destination_port": 53}
    return {"protocol": protocol, **ends, "status": 0, "remaining": 9, "id": number, **fields}


def measure(
    monkeypatch: pytest.MonkeyPatch, first: Shown, second: Shown, limit: int | None = 1000, explain: int = 5
) -> dict[str, t.Any]:
    table = FakeTable(first, second)
    monkeypatch.setattr(time, "monotonic", lambda: table.seconds)
    monkeypatch.setattr(time, "sleep", table.sleep)
    return Rates(t.cast(Table, table), 10, explain).result(limit)


def test_every_key(monkeypatch: pytest.MonkeyPatch) -> None:
    stay = [entry(TCP, number) for number in range(10)]
    gone = [entry(TCP, number) for number in range(100, 104)]
    new = [entry(UDP, number, destination="192.0.2.54") for number in range(200, 220)]
    first = Shown([*stay, *gone], 300, {0: {"drop": 2**32 - 1, "found": 7}, 1: {"drop": 4}})
    second = Shown([*new, *stay, entry(TCP, 300)], 350, {0: {"drop": 2, "found": 9}, 1: {"drop": 5}})
    result = measure(monkeypatch, first, second)
    [group] = result.pop("new_filled_by")
    assert (group["match"]["destination"], group["percent"], group["per_second"]) == ("192.0.2.54", 95.24, 1.82)
    assert "entries" not in group
    assert result == {
        # The disturbed dump of the second look took one more second.
        "seconds": 11.0,
        "count_before": 300,
        "count_after": 350,
        "new": 21,
        "gone": 4,
        "new_per_second": 1.91,
        "gone_per_second": 0.36,
        "growth_per_second": 1.55,
        "full_in_seconds": 420,
        "new_protocols": {"udp": 20, "tcp": 1},
        "gone_protocols": {"tcp": 4},
        "counters": {"drop": 4},
    }


@pytest.mark.parametrize(
    ("new", "gone", "count", "limit", "expected"),
    [
        (60, 10, 350, 1000, 143),
        (10, 10, 350, 1000, None),
        (10, 60, 350, 1000, None),
        (60, 10, 350, 0, None),
        (60, 10, 1000, 1000, 0),
        (10, 60, 1001, 1000, 0),
        (1, 0, 301, 2**31 - 1, None),
        (60, 10, None, 1000, None),
        (60, 10, 350, None, None),
    ],
)
def test_time_until_the_table_is_full(
    monkeypatch: pytest.MonkeyPatch, new: int, gone: int, count: int | None, limit: int | None, expected: int | None
) -> None:
    before = [entry(TCP, number) for number in range(gone)]
    after = [entry(UDP, 1000 + number) for number in range(new)]
    # The kernel had counted expired entries until the first dump freed them.
    result = measure(monkeypatch, Shown(before, 5000, {}), Shown(after, count, {}), limit)
    assert result["full_in_seconds"] == expected
    assert (result["new"], result["gone"], result["count_after"]) == (new, gone, count)


def test_an_empty_table_and_no_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    result = measure(monkeypatch, Shown([], 0, {}), Shown([entry(UDP, 1)], 1, {}), explain=0)
    assert (result["new"], result["gone"], result["new_filled_by"]) == (1, 0, [])


@pytest.mark.parametrize("part", [1 << 17, 7, 100])
@given(before=st.dictionaries(st.sampled_from([TCP, UDP]), ANY_IDS), after=st.dictionaries(st.just(TCP), ANY_IDS))
def test_ids_are_compared_in_parts(part: int, before: dict[int, set[int]], after: dict[int, set[int]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rates_module, "_PART", part)
        kept = kept_ids(as_arrays(before), as_arrays(after))
    assert kept == {protocol: len(before[protocol] & after[protocol]) for protocol in before.keys() & after.keys()}


def as_arrays(ids: dict[int, set[int]]) -> dict[int, array.array[int]]:
    return {protocol: array.array("I", sorted(numbers)) for protocol, numbers in ids.items()}


def test_an_entry_that_was_there_before_is_never_new(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates_module, "_LEAST_SLOTS", 8)
    before = [entry(TCP, number) for number in range(0, 5000, 2)]
    after = [*before, *(entry(UDP, number) for number in range(1, 5000, 2))]
    result = measure(monkeypatch, Shown(before, 2500, {}), Shown(after, 5000, {}))
    # Some of the new ones may be taken for old ones, but these are the only ones that may.
    assert (result["new"], result["gone"]) == (2500, 0)
    assert {group["match"]["protocol"] for group in result["new_filled_by"]} == {"udp"}
    assert sum(group["percent"] for group in result["new_filled_by"]) == 100

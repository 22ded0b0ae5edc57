# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The benchmark of files: its lines are entries, awk counts them, and its table has the medians."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from bench import bench_listing
from bench.bench_listing import FILES, awk_run, engine_run, row_of
from helpers.listings import entries_of


@pytest.mark.parametrize("name", FILES)
def test_every_line_is_an_entry(name: str) -> None:
    assert len(entries_of("".join(FILES[name](500)))) == 500


def test_the_mix_has_every_kind() -> None:
    entries = entries_of("".join(FILES["mix"](2000)))
    assert {entry.protocol_name for entry in entries} == {"tcp", "udp", "icmp"}
    assert {entry.family_name for entry in entries} == {"ipv4", "ipv6"}
    assert len({entry.state_name for entry in entries}) == 9


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_both_read_the_file(tmp_path: pathlib.Path, processes: int) -> None:
    path = tmp_path / "story"
    path.write_text("".join(FILES["story"](1000)))
    rounds = [(awk_run(str(path)), engine_run(str(path), processes))]
    assert row_of("story", 1000, rounds, "here").startswith("| story | 1,000 | here | ")
    with pytest.raises(ValueError, match="not every line"):
        row_of("story", 1001, rounds, "here")


def test_the_table_has_medians_of_rounds() -> None:
    def run(seconds: float) -> dict[str, t.Any]:
        return {
            "seconds": seconds,
            "processor_seconds": 2 * seconds,
            "kilobytes": 10_000,
            "entries": 5,
            "not_understood": 0,
        }

    rounds = [(run(1.0), run(1.5)), (run(2.0), run(5.0)), (run(1.0), run(2.0))]
    assert row_of("x", 5, rounds, "one") == "| x | 5 | one | 1.00 | 2.00 | 2.00 | 2.00 | 10 | met |"
    assert bench_listing.HEAD.splitlines()[0].count("|") == 10

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files that bench_restore.py restores, and its table."""

from __future__ import annotations

import pathlib

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._listing.listing import Listing
from ansible_collections.netops.conntrack.plugins.module_utils._table.presence import Presence
from bench.bench_restore import FILES, HEAD, Round, Run, row_of

LINES = 60_000
"""More than a host has ports in these files."""


@pytest.mark.parametrize("name", FILES)
def test_every_line_is_an_entry_of_its_own(tmp_path: pathlib.Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("".join(f"{line}\n" for line in FILES[name](LINES)))
    presence = Presence()
    with Listing(str(path)) as listing:
        assert listing.read(lambda blocks: sum(map(presence.add_new, blocks))) == LINES
    assert listing.not_understood == 0


def test_the_row_has_the_median_of_the_ratios() -> None:
    rounds = [
        Round(Run(10.0, 8.0, 1000.0), Run(module, module / 2, 70.0 + module), Run(20.0, 9.0, 300.0))
        for module in (5.0, 7.0, 12.0)
    ]
    row = row_of("mix", 1_000_000, rounds)
    assert row == "| mix | 1,000,000 | 10.0 | 7.0 | 0.70 | 0.44 | met | 20.0 | 82 |"
    assert row_of("mix", 1, rounds[2:]).split(" | ")[4:7] == ["1.20", "0.75", "missed"]
    assert HEAD.splitlines()[0].count("|") == row.count("|")

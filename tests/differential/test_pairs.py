# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Random selectors on random tables: the modules against a plain reading of what conntrack(8) lists, and its filters.

``make differential`` runs any number of pairs of a selector and a table. A pair that differs names the table, which
``make differential SEED=... TABLE=...`` makes again.
"""

from __future__ import annotations

import os
import pathlib
import random
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._selector.keys import KEYS
from ansible_collections.netops.conntrack.plugins.module_utils._selector.named_selectors import NAMED
from helpers.differential import PAIRS_OF_A_TABLE, Tally, random_table
from helpers.random_selectors import NAMES
from helpers.selector_oracle import KEYS as KEYS_OF_THE_ORACLE
from helpers.support import DERANDOMIZE

PAIRS = int(os.environ.get("PAIRS") or 300)
SEED = int(os.environ.get("SEED") or (1 if DERANDOMIZE else random.randrange(1_000_000)))
TABLE = os.environ.get("TABLE")
TABLES = [int(TABLE)] if TABLE else list(range(-(-PAIRS // PAIRS_OF_A_TABLE)))

MOST_DOUBTFUL = 0.05
"""So large a share of the answers may change while the table is read."""

ENOUGH_FOR_EVERY_KEY = 2000
"""Few entries have a label or a helper, so that fewer pairs may not ask for them."""


@pytest.fixture(scope="module")
def tally() -> t.Iterator[Tally]:
    counted = Tally()
    yield counted
    print(f"\n{counted}")


@pytest.mark.parametrize("table", TABLES, ids=lambda number: f"SEED={SEED} TABLE={number}")
def test_every_pair_is_as_the_oracle_says(table: int, tally: Tally, tmp_path: pathlib.Path) -> None:
    with random_table(SEED, table, tmp_path, tally) as pairs:
        pairs.try_some(PAIRS_OF_A_TABLE)


@pytest.mark.skipif(TABLE is not None, reason="one table alone")
def test_the_pairs_are_of_every_kind(tally: Tally) -> None:
    """Without this, a fault of what makes the pairs would look like agreement."""
    assert tally.pairs >= PAIRS
    assert len(tally.keys) >= (len(KEYS) if PAIRS >= ENOUGH_FOR_EVERY_KEY else 40)
    assert {1, 6, 17, 33, 47, 50, 58, 132, 136, 253} <= tally.protocols.keys()
    assert 0.05 < tally.selected / tally.answers < 0.6
    assert tally.doubtful < MOST_DOUBTFUL * tally.answers
    assert tally.refused < 0.2 * tally.pairs
    assert min(tally.undecidable, tally.by_the_tool, tally.deleted, tally.restored, tally.updated) > 0


def test_the_oracle_knows_every_key_and_every_name() -> None:
    assert KEYS_OF_THE_ORACLE.keys() == KEYS.keys()
    assert NAMES.keys() == NAMED.keys()

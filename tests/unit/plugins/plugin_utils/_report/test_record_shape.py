# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import typing as t

from ansible_collections.netops.conntrack.plugins.plugin_utils._report.record_shape import sound
from helpers.support import CHECKOUT

TABLE = json.loads((CHECKOUT / "tests" / "unit" / "roles" / "facts" / "sick.json").read_text())["table"]
MOST = 10_000


def test_a_sample_of_any_size_loses_no_account_of_a_prune() -> None:
    entries: list[t.Any] = [{}] * (MOST + 1)
    kept = [{"reason": "bgp", "option": "unprotect", "entries": 3, "sample": entries}]
    record: t.Any = sound({"prune": {"deleted": 20_000, "sample": entries, "kept": kept}})
    assert "failure" not in record
    assert record["prune"]["deleted"] == 20_000
    assert len(record["prune"]["sample"]) == len(record["prune"]["kept"][0]["sample"]) == MOST


def test_a_table_with_many_of_the_largest_loses_no_facts() -> None:
    talkers = [{"value": "192.0.2.1", "entries": 1, "percent": 0.1}] * (MOST + 1)
    marks = {str(mark): 1 for mark in range(MOST + 1)}
    table = {**TABLE, "marks": marks, "top": {**TABLE["top"], "source": talkers}}
    record: t.Any = sound({"before": {"usage": {"count": 5}, "selectors": {}, "findings": [], "table": table}})
    assert "failure" not in record
    kept = record["before"]["table"]
    assert len(kept["top"]["source"]) == len(kept["marks"]) == MOST
    assert next(iter(kept["marks"])) == "0"


def test_what_is_no_list_or_mapping_is_still_refused() -> None:
    record: t.Any = sound({"prune": {"deleted": 1, "sample": "text"}})
    assert "sample" in record["failure"]["message"]

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the metrics say of a table. What they do not say is an error, or not known, and never 0."""

from __future__ import annotations

import pytest
from _conntrack_pressure.readings import Reading, ReadingError, Report, from_node_exporter

NODE = """\
node_nf_conntrack_entries 900
node_nf_conntrack_entries_limit 1000
node_nf_conntrack_stat_drop 4
node_nf_conntrack_stat_early_drop 5
node_nf_conntrack_stat_insert_failed 6
"""
REPORT = """\
netops_conntrack_report_timestamp_seconds 1000
netops_conntrack_entries{host="r1"} 900
netops_conntrack_entries_limit{host="r1"} 1000
netops_conntrack_drop_total{host="r1"} 4
netops_conntrack_entries{host="r2"} 7
netops_conntrack_entries_limit{host="r2"} 0
"""


def test_a_node_exporter_on_the_router() -> None:
    reading = from_node_exporter(NODE, 12.5)
    assert reading == Reading(at=12.5, entries=900, limit=1000, drops=4, evictions=5, insert_failures=6)
    assert reading.percent == 90


def test_counters_that_are_not_there_are_not_known() -> None:
    reading = from_node_exporter("".join(NODE.splitlines(keepends=True)[:2]), 1)
    assert (reading.drops, reading.evictions, reading.insert_failures) == (None, None, None)


@pytest.mark.parametrize("missing", ["entries", "entries_limit"])
@pytest.mark.parametrize("instead", ["", "node_nf_conntrack_{} NaN", "node_nf_conntrack_{} -1"])
def test_a_table_that_is_not_told_is_an_error(missing: str, instead: str) -> None:
    lines = [line for line in NODE.splitlines() if not line.startswith(f"node_nf_conntrack_{missing} ")]
    with pytest.raises(ReadingError, match=f"node_nf_conntrack_{missing} is missing"):
        from_node_exporter("\n".join([*lines, instead.format(missing)]), 1)


def test_a_report_has_its_own_time() -> None:
    assert Report(REPORT).reading("r1", 1600, 3600) == Reading(at=1000, entries=900, limit=1000, drops=4)


def test_no_limit_is_no_percentage() -> None:
    assert Report(REPORT).reading("r2", 1600, 3600).percent is None


def test_an_old_report_tells_nothing() -> None:
    with pytest.raises(ReadingError, match="the report is 3601 seconds old"):
        Report(REPORT).reading("r1", 4601, 3600)


def test_the_report_of_another_router_is_not_taken_for_it() -> None:
    with pytest.raises(ReadingError, match="netops_conntrack_entries is missing"):
        Report(REPORT + NODE).reading("r3", 1600, 3600)


def test_metrics_without_a_report_are_not_taken_for_one() -> None:
    with pytest.raises(ReadingError, match="there is no report"):
        Report(NODE).reading("r1", 1600, 3600)

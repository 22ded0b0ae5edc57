# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import types
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.restore_plan import RestorePlan
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.restore_survey import RestoreSurvey
from ansible_collections.netops.conntrack.plugins.module_utils._selector.compiler import compile_selection
from helpers.encoded_messages import Fields, blocks_of

UDP, ICMP = 17, 1
EVERY: t.Mapping[str, t.Any] = types.MappingProxyType({"family": ["ipv4", "ipv6"]})


def survey_of(
    *entries: Fields,
    selector: t.Mapping[str, t.Any] = EVERY,
    elapsed: int = 0,
    needed: t.Mapping[int, str] | None = None,
) -> RestoreSurvey:
    """Return what is found in the entries."""
    selection = compile_selection([dict(selector)], None, Context({}, 0))
    found = RestoreSurvey(RestorePlan(selection, 0, elapsed, needed=needed or {}))
    for block in blocks_of(*entries):
        found.add(block)
    return found


def kept(found: RestoreSurvey) -> list[tuple[int | None, int | None]]:
    """Return the source port and the remaining time of each entry to be made, in their order."""
    return [(entry.source_port, entry.remaining) for _group, block in found.parts() for entry in block.entries()]


def udp(port: int, remaining: int | None = 30, **fields: t.Any) -> Fields:
    return {"protocol": UDP, "source_port": port, "remaining": remaining, "status": 0, **fields}


def test_only_what_is_selected_is_kept() -> None:
    found = survey_of(udp(1), udp(2), udp(3), selector={"source_port": [1, 3]})
    assert (found.entries, found.matched, found.wanted, found.undecidable) == (3, 2, 2, 0)
    assert kept(found) == [(1, 30), (3, 30)]


def test_what_cannot_be_decided_is_counted_and_not_kept() -> None:
    counted = {"packets_original": 1, "packets_reply": 1, "bytes_original": 1, "bytes_reply": 1}
    found = survey_of(udp(1), udp(2, **counted), selector={"packets": {"max": 5}})
    assert (found.entries, found.matched, found.wanted, found.undecidable) == (2, 1, 1, 1)
    assert kept(found) == [(2, 30)]


def test_each_entry_has_the_time_that_it_has_left() -> None:
    """What would end now has ended."""
    found = survey_of(udp(1, 40), udp(2, 30), udp(3, 31), udp(4, 0), elapsed=30)
    assert (found.matched, found.expired, found.wanted) == (4, 2, 2)
    assert kept(found) == [(1, 10), (3, 1)]


def test_what_has_no_time_left_when_it_is_read_has_ended() -> None:
    found = survey_of(udp(1, 1), udp(2, 0))
    assert (found.expired, found.wanted) == (1, 1)
    assert kept(found) == [(1, 1)]


def test_what_all_has_ended_is_nothing() -> None:
    found = survey_of(udp(1, 5), udp(2, 5), elapsed=5)
    assert (found.expired, found.wanted, kept(found)) == (2, 0, [])


def test_what_was_offloaded_has_no_time() -> None:
    found = survey_of(udp(1, None), udp(2, None), udp(3))
    assert (found.matched, found.without_timeout, found.wanted) == (3, 2, 1)
    assert kept(found) == [(3, 30)]


def test_entries_without_what_the_kernel_needs_are_counted_by_protocol() -> None:
    icmp = {"protocol": ICMP, "remaining": 30, "status": 0}
    with_type = {**icmp, "icmp_type": 8, "icmp_code": 0, "icmp_id": 5}
    assert survey_of(udp(1), with_type, needed={ICMP: "icmp_type"}).incomplete == {}
    assert survey_of(udp(1), udp(2), needed={UDP: "label"}).incomplete == {UDP: 2}
    assert survey_of(udp(1, 5), needed={UDP: "label"}, elapsed=5).incomplete == {}


def test_a_zone_of_one_direction_comes_first() -> None:
    """Afterwards, the kernel would take the entry of zone 0 for the same."""
    found = survey_of(udp(1), udp(2, zone_original=7), udp(3), udp(4, zone_reply=7))
    assert [port for port, _remaining in kept(found)] == [2, 4, 1, 3]

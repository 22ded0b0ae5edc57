# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What two looks at a router tell."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.plugin_utils._watch.look import (
    TOP,
    Look,
    Reading,
    arguments_for,
    look_at,
    movers,
    window_since,
)

Facts = dict[str, t.Any]

STORM = {"protocol": "udp", "replied": False, "destination": "192.0.2.54", "destination_port": 53}
WEB = {"protocol": "tcp", "replied": True, "destination_port": 443}
LOSSES = {"drop": 0, "early_drop": 0, "insert_failed": 0, "invalid": 0}
NO_COUNTERS = [{"cpu": 0, **LOSSES}]


def cluster(match: Facts, entries: int) -> Facts:
    return {"match": match, "entries": entries, "percent": 50.0, "prunable": 0}


def ranked(addresses: t.Mapping[str, int]) -> list[Facts]:
    return [{"value": address, "entries": entries} for address, entries in addresses.items()]


def facts(
    count: int | None,
    per_cpu: list[dict[str, int]] | None = None,
    *,
    clusters: t.Sequence[Facts] = (),
    sources: t.Mapping[str, int] | None = None,
    destinations: t.Mapping[str, int] | None = None,
    selectors: t.Mapping[str, int | None] | None = None,
    timestamp: int = 1,
    **table: t.Any,
) -> Facts:
    """Return facts as conntrack_facts returns them, as far as a look at a router needs them."""
    processors = per_cpu or NO_COUNTERS
    total = {name: sum(each[name] for each in processors) for name in processors[0] if name != "cpu"}
    return {
        "usage": {"count": count, "max": 1000, "percent": None if count is None else count / 10},
        "settings": {"timestamp": timestamp},
        "stats": {"total": total, "per_cpu": processors},
        "table": {
            "entries": count,
            "filled_by": list(clusters),
            "top": {"source": ranked(sources or {}), "destination": ranked(destinations or {})},
            **table,
        },
        "selectors": {name: {"entries": entries} for name, entries in (selectors or {}).items()},
    }


def second_look(before: Facts, now: Facts, seconds: float = 5.0) -> Look:
    return look_at(Reading(now, 100.0 + seconds, 1.0, 5), Reading(before, 100.0, 1.0, 1))


def test_the_first_look_has_no_rates() -> None:
    look = look_at(Reading(facts(300), 100.0, 1.0, 1), None)
    assert (look["entries"], look["max"], look["percent"]) == (300, 1000, 30.0)
    assert (look["seconds"], look["rates"], look["movers"]) == (None, None, [])


def test_rates_are_of_the_time_between_the_two_looks() -> None:
    before = [{"cpu": 0, **LOSSES, "drop": 100}, {"cpu": 1, **LOSSES, "drop": 7}]
    now = [{"cpu": 0, **LOSSES, "drop": 140, "early_drop": 8}, {"cpu": 1, **LOSSES, "drop": 7, "invalid": 2}]
    look = second_look(facts(300, before), facts(200, now), seconds=8.0)
    assert look["seconds"] == 8.0
    assert look["rates"] is not None
    expected = {"change": -12.5, "drop": 5.0, "early_drop": 1.0, "insert_failed": 0.0, "invalid": 0.25}
    assert {name: rate for name, rate in look["rates"].items() if name in expected} == expected


def test_a_counter_that_wrapped_is_no_reset() -> None:
    before, now = [{"cpu": 0, **LOSSES, "drop": 2**32 - 10}], [{"cpu": 0, **LOSSES, "drop": 40}]
    rates = second_look(facts(1, before), facts(1, now))["rates"]
    assert rates is not None
    assert rates["drop"] == 10.0


def test_counters_that_began_anew_are_unknown() -> None:
    before, now = [{"cpu": 0, **LOSSES, "drop": 500}], [{"cpu": 0, **LOSSES, "drop": 40}]
    rates = second_look(facts(1, before), facts(11, now))["rates"]
    assert rates is not None
    assert (rates["drop"], rates["early_drop"], rates["invalid"]) == (None, None, None)
    assert rates["change"] == 2.0


def test_an_old_kernel_counts_what_is_new_and_what_goes() -> None:
    before = [{"cpu": 0, **LOSSES, "new": 1000, "delete": 400}]
    now = [{"cpu": 0, **LOSSES, "new": 1050, "delete": 420}]
    rates = second_look(facts(100, before), facts(130, now, selectors={"young": 1}))["rates"]
    assert rates is not None
    assert (rates["new"], rates["gone"]) == (10.0, 4.0)


def test_what_is_new_is_known_by_its_age() -> None:
    rates = second_look(facts(100), facts(130, selectors={"young": 50}))["rates"]
    assert rates is not None
    assert (rates["new"], rates["change"], rates["gone"]) == (10.0, 6.0, 4.0)


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (facts(1, timestamp=0), facts(1, selectors={"young": 0}, timestamp=0)),
        (facts(1, timestamp=0), facts(1, selectors={"young": 0})),
        (facts(1), facts(1, selectors={"young": None})),
        (facts(1), facts(1)),
    ],
)
def test_without_times_nobody_knows_what_is_new(before: Facts, now: Facts) -> None:
    rates = second_look(before, now)["rates"]
    assert rates is not None
    assert (rates["new"], rates["gone"]) == (None, None)


@pytest.mark.parametrize(("before", "now"), [(None, 130), (100, None), (None, None)])
def test_without_a_count_nobody_knows_how_many_went(before: int | None, now: int | None) -> None:
    look = second_look(facts(before), facts(now, selectors={"young": 50}))
    assert (look["entries"], look["max"]) == (now, 1000)
    assert look["rates"] is not None
    assert [look["rates"]["change"], look["rates"]["new"], look["rates"]["gone"]] == [None, 10.0, None]


@pytest.mark.parametrize(("took", "waited", "window"), [(0.5, 5.0, 6), (0.4, 2.0, 2), (30.0, 30.0, 60), (0.1, 0.0, 1)])
def test_what_began_since_the_last_look(took: float, waited: float, window: int) -> None:
    assert window_since(Reading(facts(1), 100.0, took, 1), 100.0 + waited) == window
    assert window_since(None, 100.0) == 1


def test_the_next_look_counts_the_clusters_again_and_what_is_young() -> None:
    reading = Reading(facts(9, clusters=[cluster(STORM, 4), cluster(WEB, 5)]), 1.0, 1.0, 1)
    assert arguments_for(None, 5)["selectors"] == {"young": {"match": {"age": {"max": "4s"}}}}
    assert arguments_for(reading, 5)["selectors"] == {
        "young": {"match": {"age": {"max": "4s"}}},
        "cluster_0": {"match": STORM},
        "cluster_1": {"match": WEB},
    }
    json.dumps(arguments_for(reading, 5))


def test_clusters_move_by_what_the_next_look_counted() -> None:
    before = facts(900, clusters=[cluster(WEB, 500), cluster(STORM, 300)])
    # The clusters of the second look are others, and do not count.
    now = facts(900, clusters=[cluster(WEB, 1)], selectors={"cluster_0": 495, "cluster_1": 360})
    assert movers(now, before) == [
        {"what": "udp, unanswered, to 192.0.2.54 port 53", "entries": 360, "change": 60, "at_least": False},
        {"what": "tcp, answered, to port 443", "entries": 495, "change": -5, "at_least": False},
    ]


def test_a_cluster_that_stood_still_or_could_not_be_counted_did_not_move() -> None:
    before = facts(900, clusters=[cluster(WEB, 500), cluster(STORM, 300)])
    assert movers(facts(900, selectors={"cluster_0": 500, "cluster_1": None}), before) == []


def test_an_address_moves() -> None:
    before = facts(9, sources={"10.0.0.1": 5, "10.0.0.2": 4})
    now = facts(20, sources={"10.0.0.2": 16, "10.0.0.3": 4})
    assert movers(now, before) == [
        {"what": "from 10.0.0.2", "entries": 16, "change": 12, "at_least": False},
        {"what": "from 10.0.0.1", "entries": 0, "change": -5, "at_least": False},
        {"what": "from 10.0.0.3", "entries": 4, "change": 4, "at_least": False},
    ]


def test_an_address_of_a_cluster_that_moved_is_not_said_twice() -> None:
    before = facts(300, clusters=[cluster(STORM, 300)], destinations={"192.0.2.54": 300, "192.0.2.1": 1})
    now = facts(361, selectors={"cluster_0": 360}, destinations={"192.0.2.54": 360, "192.0.2.1": 2})
    assert [mover["what"] for mover in movers(now, before)] == [
        "udp, unanswered, to 192.0.2.54 port 53",
        "to 192.0.2.1",
    ]


def full_list(more: t.Mapping[str, int], least: int) -> dict[str, int]:
    """Return as many addresses as are asked for, of which the others have ``least`` entries each."""
    return {**more, **{f"10.9.0.{number}": least for number in range(TOP - len(more))}}


def test_an_address_that_was_not_among_the_most_frequent_ones_had_few_entries() -> None:
    before = facts(9, sources=full_list({}, 3))
    now = facts(9, sources=full_list({"10.0.0.1": 20}, 3))
    assert movers(now, before) == [{"what": "from 10.0.0.1", "entries": 20, "change": 17, "at_least": True}]


def test_an_address_that_is_no_longer_among_the_most_frequent_ones_has_few_entries() -> None:
    before = facts(9, sources=full_list({"10.0.0.1": 20}, 3))
    now = facts(9, sources=full_list({}, 3))
    assert movers(now, before) == [{"what": "from 10.0.0.1", "entries": 0, "change": -17, "at_least": True}]


def test_no_address_moves_for_what_was_not_counted_exactly() -> None:
    uncertain: Facts = {"uncertainty": {"marks": 0, "source": 5, "destination": 0}}
    before = facts(9, sources={"10.0.0.1": 100, "10.0.0.2": 100}, **uncertain)
    now = facts(9, sources={"10.0.0.1": 105, "10.0.0.2": 112}, **uncertain)
    assert movers(now, before) == [{"what": "from 10.0.0.2", "entries": 112, "change": 7, "at_least": True}]

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The dashboard, by Grafana's own types. test_prometheus.py asks a real Prometheus what each panel asks."""

from __future__ import annotations

import itertools
import json
import typing as t

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
from helpers.monitoring import DASHBOARD

SHOWN: dict[str, t.Any] = json.loads(DASHBOARD.read_text(encoding="utf-8"))
PANELS = [panel for panel in SHOWN["panels"] if panel["type"] != "row"]


def without_nothing(value: t.Any) -> t.Any:
    """Return ``value`` without what is null, which is the same as what is missing."""
    if isinstance(value, dict):
        return {key: without_nothing(item) for key, item in value.items() if item is not None}
    return [without_nothing(item) for item in value] if isinstance(value, list) else value


def test_grafana_knows_each_key_and_keeps_its_value() -> None:
    register_default_plugins()
    kept = json.loads(JSONEncoder().encode(Dashboard.from_json(json.loads(json.dumps(SHOWN)))))
    assert_contains(without_nothing(kept), without_nothing(SHOWN), "")


def assert_contains(whole: t.Any, part: t.Any, place: str) -> None:
    if isinstance(part, dict):
        assert part.keys() <= whole.keys(), place
        for key, value in part.items():
            assert_contains(whole[key], value, f"{place}/{key}")
    elif isinstance(part, list):
        assert len(whole) == len(part), place
        for number, (one, other) in enumerate(zip(whole, part)):
            assert_contains(one, other, f"{place}[{number}]")
    else:
        assert whole == part, place


def test_each_panel_says_what_it_shows_and_in_which_unit() -> None:
    for panel in PANELS:
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"] in {"percentunit", "short", "s"}
        assert panel["targets"]
    assert len({panel["id"] for panel in SHOWN["panels"]}) == len(SHOWN["panels"])


def test_no_panel_covers_another_one_or_leaves_the_grid() -> None:
    places = [panel["gridPos"] for panel in SHOWN["panels"]]
    for place in places:
        assert 0 <= place["x"] < place["x"] + place["w"] <= 24
    for one, other in itertools.combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or above, (one, other)


def test_every_query_is_about_the_routers_that_were_chosen() -> None:
    variables = {variable["name"] for variable in SHOWN["templating"]["list"]}
    assert variables == {"datasource", "instance", "host"}
    for target in itertools.chain.from_iterable(panel["targets"] for panel in PANELS):
        is_of_the_report = "report_timestamp" in target["expr"]
        assert is_of_the_report or "$instance" in target["expr"] or "$host" in target["expr"]

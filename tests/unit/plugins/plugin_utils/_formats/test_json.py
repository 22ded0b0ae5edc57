# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import math
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.plugin_utils._formats.json import json_parts
from helpers.documents import Document, fleet_document, kinds_of_fleets

KINDS = kinds_of_fleets()


def written(document: Document) -> str:
    return "".join(json_parts(document))


@pytest.mark.parametrize("kind", KINDS)
def test_the_parts_are_what_python_writes_at_once(kind: str) -> None:
    assert written(KINDS[kind]) == json.dumps(KINDS[kind], sort_keys=True, separators=(",", ":")) + "\n"


def test_no_part_has_two_routers() -> None:
    document = fleet_document(20)
    largest = max(len(json.dumps(host)) for host in document["hosts"].values())
    assert max(map(len, json_parts(document))) <= largest
    assert largest < len(written(document)) / 10


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (math.nan, None),
        (math.inf, None),
        (object(), None),
        ({1: "a", "b": 2}, {"1": "a", "b": 2}),
        ({1: {"c": 3}}, {"1": {"c": 3}}),
        ({}, {}),
        ([], []),
    ],
)
@pytest.mark.parametrize("place", [("time",), ("hosts",), ("hosts", "r1"), ("hosts", "r1", "before", "usage")])
def test_what_json_does_not_have_is_null_and_the_rest_kept(place: tuple[str, ...], value: t.Any, read: t.Any) -> None:
    document: Document = {"time": "now", "hosts": {"r0": {"verdict": "done"}, "r1": {"before": {"usage": {}}}}}
    expected = json.loads(json.dumps(document))
    for changed, new in ((document, value), (expected, read)):
        for key in place[:-1]:
            changed = changed[key]
        changed[place[-1]] = new
    assert json.loads(written(document)) == expected


def test_what_is_nested_without_end_is_cut() -> None:
    endless: list[t.Any] = []
    endless.append(endless)
    assert json.loads(written(t.cast("Document", {"time": endless, "hosts": {"r1": {"verdict": "done"}}})))["hosts"]

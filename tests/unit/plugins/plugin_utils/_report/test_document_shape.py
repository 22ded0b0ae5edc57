# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is wrong in a document that was read is named with its place. The types decide what is wrong."""

from __future__ import annotations

import copy
import json
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document_shape import (
    ShapeError,
    check_document,
    fields_of,
    without_null,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document_types import Document as Typed
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document_types import Host
from helpers.documents import Document, fleet_document

FLEET = fleet_document(24)
ROUTER = next(name for name, host in FLEET["hosts"].items() if host["after"] and host["prune"] and host["settings"])


@pytest.mark.parametrize("hostile", [False, True])
def test_a_document_is_found_sound(hostile: bool) -> None:
    document = fleet_document(24, hostile=hostile)
    assert check_document(document) is document
    check_document(json.loads(json.dumps(document)))


def wrong(path: str, value: t.Any) -> Document:
    document = copy.deepcopy(FLEET)
    *keys, last = path.replace("ROUTER", ROUTER).split("/")
    place: t.Any = document
    for key in keys:
        place = place[int(key)] if isinstance(place, list) else place[key]
    place[last] = value
    return document


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        ("time", None, "should be a text, and is null"),
        ("check_mode", 1, "should be true or false, and is 1"),
        ("unreachable", "r1", "should be a list, and is 'r1'"),
        ("totals/hosts", -1, "should be a whole number from 0 on, and is -1"),
        pytest.param(
            "totals/hosts",
            -(10**400),
            "a whole number from 0 on, and is a number of more than 40 digits",
            id="too small",
        ),
        pytest.param("time", 10**400, "should be a text, and is a number of more than 40 digits", id="no text"),
        pytest.param(
            "hosts/ROUTER/before/usage/percent",
            10**400,
            "a number from 0 on, and is a number of more than 40 digits",
            id="no float",
        ),
        ("totals/done", True, "should be a whole number from 0 on, and is true"),
        ("hosts/ROUTER/verdict", "fine", "should be one of unreachable, failed, not_started, .*, and is 'fine'"),
        ("hosts/ROUTER/before/usage/count", "5", "should be a whole number from 0 on, and is '5'"),
        ("hosts/ROUTER/before/usage/percent", float("nan"), "should be a number from 0 on, and is nan"),
        (
            "hosts/ROUTER/before/table/top/source",
            [{"value": None, "entries": 1, "percent": 1}],
            "an address or a port, and is null",
        ),
        ("hosts/ROUTER/before/table/protocols", [1], "should be an object, and is a list"),
        ("hosts/ROUTER/before/explanation", {"filled_by": "udp", "advice": []}, "lacks prunes"),
        ("hosts/ROUTER/settings/sizing", {}, "lacks max, buckets, .*"),
        ("hosts/ROUTER/prune/kept", [5], "should be an object, and is 5"),
        ("rollout/stopped/batch", 0, "should be a whole number from 1 on, and is 0"),
        ("checks", {}, "has a check that is not among the checks"),
    ],
)
def test_a_wrong_value_is_named(path: str, value: t.Any, problem: str) -> None:
    with pytest.raises(ShapeError, match=f"{problem}$"):
        check_document(wrong(path, value))


@pytest.mark.parametrize("path", ["surplus", "hosts/ROUTER/surplus", "hosts/ROUTER/before/usage/surplus"])
def test_a_key_that_the_types_do_not_have_is_left_alone(path: str) -> None:
    check_document(wrong(path, object()))


def test_a_place_is_the_keys_that_lead_there() -> None:
    with pytest.raises(ShapeError) as caught:
        check_document(wrong("hosts/ROUTER/before/findings/0/status", "maybe"))
    assert caught.value.place == ("hosts", ROUTER, "before", "findings", "0", "status")


def test_fields_say_what_came_later_and_what_can_be_null() -> None:
    fields = fields_of(Typed)
    assert {key for key, field in fields.items() if field.is_later} == {
        "baseline",
        "not_started",
        "no_conntrack",
        "rollout",
    }
    assert without_null(fields["baseline"].kind)[1]
    assert not without_null(fields["time"].kind)[1]
    assert all(field.is_required for field in fields_of(Host).values())

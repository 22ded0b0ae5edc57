# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The JSON report is what docs/report.schema.json says, and the schema is strict enough to notice when it is not."""

from __future__ import annotations

import copy
import json
import operator
import typing as t

import jsonschema
import pytest
from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.check import SEVERITIES, STATUSES
from ansible_collections.netops.conntrack.plugins.plugin_utils._formats.render import render
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document import SCHEMA_VERSION, roll_up
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document_types import VERDICTS
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.merge import merge
from helpers.documents import Document, OnDemand, fleet_document
from helpers.support import CHECKOUT

SCHEMA = json.loads((CHECKOUT / "docs" / "report.schema.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA, format_checker=jsonschema.FormatChecker())

STOPPED: Document = fleet_document(20, hostile=True)
HELD_UP = STOPPED["rollout"]["stopped"]["gates"][0]["host"]
FULL: Document = {**STOPPED, "hosts": {HELD_UP: STOPPED["hosts"][HELD_UP]}}
"""A document with something under every key: one router went through all of a run, and a gate held it up."""

DOCUMENTS = OnDemand(
    {
        "a run that was stopped": lambda: STOPPED,
        "a run that was not": lambda: fleet_document(20, stops=False),
        "an audit": lambda: fleet_document(20, after=False),
        "without a baseline": lambda: fleet_document(20, with_trend=False),
        "check mode": lambda: fleet_document(20, check_mode=True),
        "no routers": lambda: fleet_document(0),
        "slices": lambda: merge([fleet_document(1), {**fleet_document(1), "hosts": {"other": only_router()}}]),
        "no record of a router": lambda: roll_up({}, ["r1"], "2026-05-01T03:00:00Z"),
        "a record with next to nothing": lambda: roll_up(
            {"r1": {"failure": {"step": "Measure", "message": "", "unreachable": True}}}, ["r1"], "2026-05-01T03:00:00Z"
        ),
    }
)


def only_router() -> Document:
    """Return the report of the router in a document of one."""
    report: Document = next(iter(fleet_document(1)["hosts"].values()))
    return report


Path = tuple[t.Any, ...]


def problems(document: t.Any) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in VALIDATOR.iter_errors(document)]


def objects(value: t.Any, path: Path = ()) -> t.Iterator[tuple[Path, dict[str, t.Any]]]:
    """Yield every dict inside ``value``, with the path to it."""
    if isinstance(value, dict):
        yield path, value
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from objects(item, (*path, key))


def changed(path: Path, change: t.Callable[[t.Any], None]) -> Document:
    """Return a copy of FULL in which ``change`` was made to what stands at ``path``."""
    document = copy.deepcopy(FULL)
    place: t.Any = document
    for key in path:
        place = place[key]
    change(place)
    return document


def a_path(*path: str) -> Path:
    """Return ``path`` in FULL, each ``*`` replaced by the first key or place below which the rest is something."""

    def follow(value: t.Any, rest: tuple[str, ...]) -> t.Iterator[Path]:
        if not rest:
            if value not in (None, {}):
                yield ()
            return
        keys = list(value) if isinstance(value, dict) else list(range(len(value or ())))
        for key in keys if rest[0] == "*" else [key for key in keys if key == rest[0]]:
            for found in follow(value[key], rest[1:]):
                yield (key, *found)

    return next(follow(FULL, path))


KEYS_THAT_THE_COLLECTION_DECIDES = {
    "the document": (),
    "totals": a_path("totals"),
    "baseline": a_path("baseline"),
    "rollout": a_path("rollout"),
    "stopped": a_path("rollout", "stopped"),
    "a gate": a_path("rollout", "stopped", "gates", "*"),
    "a check": a_path("checks", "*"),
    "a host": a_path("hosts", "*"),
    "an audit": a_path("hosts", "*", "after"),
    "a finding": a_path("hosts", "*", "before", "findings", "*"),
    "health": a_path("hosts", "*", "health", "*"),
    "amounts": a_path("hosts", "*", "before", "table", "packets"),
    "a histogram": a_path("hosts", "*", "before", "table", "idle"),
    "a range": a_path("hosts", "*", "before", "table", "idle", "histogram", "*"),
    "top": a_path("hosts", "*", "before", "table", "top"),
    "uncertainty": a_path("hosts", "*", "before", "table", "uncertainty"),
    "a talker": a_path("hosts", "*", "before", "table", "top", "source", "*"),
    "a listener": a_path("hosts", "*", "before", "usage", "listeners", "*"),
    "the selector of a single packet": a_path(
        "hosts", "*", "before", "table", "filled_by", "*", "match", "packets_original"
    ),
    "ports of NAT": a_path("hosts", "*", "before", "table", "nat_ports", "*"),
    "explanation": a_path("hosts", "*", "before", "explanation"),
    "a namespace": a_path("hosts", "*", "before", "namespaces", "*"),
    "all namespaces": a_path("hosts", "*", "before", "across_namespaces"),
    "stats": a_path("hosts", "*", "before", "stats"),
    "table_full": a_path("hosts", "*", "before", "stats", "table_full"),
    "settings": a_path("hosts", "*", "settings"),
    "a change": a_path("hosts", "*", "settings", "changes", "*"),
    "sizing": a_path("hosts", "*", "settings", "sizing"),
    "shortened": a_path("hosts", "*", "settings", "shortened"),
    "kept": a_path("hosts", "*", "prune", "kept", "*"),
    "failure": a_path("hosts", "*", "failure"),
    "trend": a_path("hosts", "*", "trend"),
    "a course": a_path("hosts", "*", "trend", "entries"),
    "new_top": a_path("hosts", "*", "trend", "new_top"),
    "news": a_path("hosts", "*", "trend", "findings"),
}
WITH_OPTIONAL_KEYS = {
    "usage": (a_path("hosts", "*", "before", "usage"), {"entry_bytes", "memory_total_bytes", "listeners"}),
    "table": (
        a_path("hosts", "*", "before", "table"),
        {
            "filled_by",
            "explained_percent",
            "not_listed",
            "nat_ports",
            "uncertainty",
            *(f"{name}{end}" for name in ("zones_original", "zones_reply") for end in ("", "_distinct")),
        },
    ),
    "a cluster": (
        a_path("hosts", "*", "before", "table", "filled_by", "*"),
        {
            f"{start}{peer}{end}"
            for peer in ("source", "destination")
            for start, end in (("", "s"), ("more_", "s"), ("", "_network"))
        },
    ),
    "a selector": (a_path("hosts", "*", "before", "selectors", "*"), {"protocols"}),
    "prune": (a_path("hosts", "*", "prune"), {"count_before", "count_after", "sample"}),
}


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_is_valid(name: str) -> None:
    assert problems(DOCUMENTS[name]) == []
    assert problems(json.loads(render(DOCUMENTS[name], "json"))) == []


def test_the_schema_names_what_the_code_names() -> None:
    definitions = SCHEMA["$defs"]
    assert SCHEMA["properties"]["schema_version"]["const"] == SCHEMA_VERSION
    assert definitions["verdict"]["enum"] == list(VERDICTS)
    assert definitions["severity"]["enum"] == list(SEVERITIES)
    assert definitions["finding"]["properties"]["status"]["enum"] == list(STATUSES)


def test_each_object_decides_on_other_keys() -> None:
    undecided = [
        path for path, node in objects(SCHEMA) if node.get("type") == "object" and "additionalProperties" not in node
    ]
    assert undecided == [("$defs", "entries", "items")]


@pytest.mark.parametrize("name", KEYS_THAT_THE_COLLECTION_DECIDES)
def test_no_key_can_be_removed_and_none_added(name: str) -> None:
    path = KEYS_THAT_THE_COLLECTION_DECIDES[name]
    place: t.Any = FULL
    for key in path:
        place = place[key]
    for key in place:
        assert problems(changed(path, operator.methodcaller("pop", key))), key
    assert problems(changed(path, lambda found: found.update(surplus=1)))


def test_a_finding_may_have_cures() -> None:
    finding = KEYS_THAT_THE_COLLECTION_DECIDES["a finding"]
    assert not problems(changed(finding, lambda found: found.update(cures=["Reboot."])))
    assert problems(changed(finding, lambda found: found.update(cures="Reboot.")))
    assert problems(changed(finding, lambda found: found.update(cures=[5])))


@pytest.mark.parametrize("name", WITH_OPTIONAL_KEYS)
def test_a_key_that_came_later_may_be_missing(name: str) -> None:
    path, optional = WITH_OPTIONAL_KEYS[name]
    place: t.Any = FULL
    for key in path:
        place = place[key]
    required = {key for key in place if problems(changed(path, operator.methodcaller("pop", key)))}
    assert required == set(place) - optional
    assert problems(changed(path, lambda found: found.update(surplus=1)))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("schema_version",), 1),
        (("schema_version",), "3"),
        (("time",), 5),
        (("check_mode",), None),
        (("checks",), []),
        (("unreachable",), [1]),
        (a_path("checks", "*", "severity"), "worse"),
        (a_path("hosts", "*", "verdict"), "fine"),
        (a_path("hosts", "*", "before", "usage", "count"), "5"),
        (a_path("hosts", "*", "before", "usage", "count"), -1),
        (a_path("hosts", "*", "before", "usage", "count"), True),
        (a_path("hosts", "*", "before", "usage", "percent"), "?"),
        (a_path("hosts", "*", "before", "findings", "*", "status"), "maybe"),
        (a_path("hosts", "*", "before", "table", "protocols"), [1]),
        (a_path("hosts", "*", "before", "selectors", "unanswered", "protocols"), [1]),
        (a_path("hosts", "*", "before", "selectors", "unanswered", "protocols", "udp"), -1),
        (a_path("hosts", "*", "settings", "sizing", "limited_by"), "mood"),
        (a_path("hosts", "*", "failure", "message"), None),
        (a_path("hosts", "*", "trend", "new_top", "source"), [None]),
    ],
)
def test_a_wrong_value_is_noticed(path: Path, value: t.Any) -> None:
    *place, key = path
    assert problems(changed(tuple(place), lambda found: found.__setitem__(key, value)))


@pytest.mark.parametrize("key", ["before", "after", "settings", "prune", "health", "failure", "trend"])
def test_what_a_router_does_not_have_is_null(key: str) -> None:
    host = a_path("hosts", "*")
    assert problems(changed(host, lambda found: found.update({key: None}))) == []
    assert problems(changed(host, lambda found: found.update({key: {}})))


@pytest.mark.parametrize("key", ["table", "stats", "drift", "explanation", "namespaces", "across_namespaces"])
def test_an_audit_of_an_earlier_version_may_have_null(key: str) -> None:
    audit = a_path("hosts", "*", "before")
    assert problems(changed(audit, lambda found: found.update({key: None}))) == []


@pytest.mark.parametrize("name", ["document", "host", "audit", "trend", "settings", "prune", "rollout", "totals"])
def test_the_documentation_names_every_key(name: str) -> None:
    page = (CHECKOUT / "docs" / "report.md").read_text(encoding="utf-8")
    section = page.split("## The document")[1]
    keys = (SCHEMA if name == "document" else SCHEMA["$defs"][name])["properties"]
    assert [key for key in keys if f"`{key}`" not in section] == []

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The types of the document say the same as its JSON schema: each key, whether it is required, and what its value is.

Both are turned into one plain form, and compared. A key that is on one side only is a difference.
"""

from __future__ import annotations

import copy
import json
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.audit_types import AT_LEAST_0, AT_LEAST_1
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document_shape import fields_of, without_null
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document_types import Document
from helpers.support import CHECKOUT

SCHEMA = json.loads((CHECKOUT / "docs" / "report.schema.json").read_text(encoding="utf-8"))

Schema = dict[str, t.Any]
Form = dict[str, t.Any]
"""What a value can be: ``null`` whether it can be null, ``kind``, and what that kind consists of."""

PLAIN = {str: "string", bool: "boolean", int: "integer", float: "number"}
MINIMA = {AT_LEAST_0: 0, AT_LEAST_1: 1}


def form_of_type(kind: t.Any) -> Form:
    kind, is_nullable = without_null(kind)
    return {"null": is_nullable, **_form_of_type(kind)}


def _form_of_type(kind: t.Any) -> Form:
    origin, arguments = t.get_origin(kind), t.get_args(kind)
    if kind is t.Any:
        return {"kind": "anything"}
    if t.is_typeddict(kind):
        fields = fields_of(kind)
        keys = {key: form_of_type(field.kind) for key, field in fields.items()}
        return {"kind": "keys", "keys": keys, "required": {key for key in fields if fields[key].is_required}}
    if origin is dict:
        return _form_of_mapping(*arguments)
    if origin is list:
        return {"kind": "list", "items": form_of_type(arguments[0])}
    if origin is t.Literal:
        return {"kind": "word", "words": list(arguments)}
    if origin is t.Annotated:
        return {**_form_of_type(arguments[0]), "minimum": MINIMA[arguments[1]]}
    if origin is t.Union:
        return {"kind": sorted(PLAIN[argument] for argument in arguments)}
    return {"kind": PLAIN[kind], "minimum": None} if kind in (int, float) else {"kind": PLAIN[kind]}


def _form_of_mapping(key: t.Any, value: t.Any) -> Form:
    if value is t.Any:
        return {"kind": "facts"}
    names = list(t.get_args(key)) if t.get_origin(key) is t.Literal else None
    return {"kind": "mapping", "names": names, "values": form_of_type(value)}


def form_of_schema(schema: Schema | bool, definitions: Schema) -> Form:
    """Return the form of a schema. What says nothing but ``true`` or a description is anything."""
    if isinstance(schema, bool):
        return {"null": False, "kind": "anything"}
    if "$ref" in schema:
        return form_of_schema(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if "anyOf" in schema:
        some, null = schema["anyOf"]
        assert null == {"type": "null"}
        return {**form_of_schema(some, definitions), "null": True}
    if "enum" in schema:
        return {"null": False, "kind": "word", "words": schema["enum"]}
    if "const" in schema:
        return {"null": False, "kind": "integer", "minimum": None}
    if "type" not in schema:
        return {"null": False, "kind": "anything"}
    names = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    some = [name for name in names if name != "null"]
    return {"null": "null" in names, **_form_of_some(some, schema, definitions)}


def _form_of_some(names: list[str], schema: Schema, definitions: Schema) -> Form:
    if len(names) > 1:
        return {"kind": sorted(names)}
    (name,) = names
    if name == "array":
        return {"kind": "list", "items": form_of_schema(schema["items"], definitions)}
    if name in ("integer", "number"):
        return {"kind": name, "minimum": schema.get("minimum")}
    if name != "object":
        return {"kind": name}
    if "properties" in schema:
        assert schema["additionalProperties"] is False
        keys = {key: form_of_schema(value, definitions) for key, value in schema["properties"].items()}
        return {"kind": "keys", "keys": keys, "required": set(schema["required"])}
    if "additionalProperties" not in schema:
        return {"kind": "facts"}
    words = schema.get("propertyNames", {}).get("enum")
    values = form_of_schema(schema["additionalProperties"], definitions)
    return {"kind": "mapping", "names": words, "values": values}


def differences(ours: t.Any, theirs: t.Any, place: str = "") -> list[str]:
    if not isinstance(ours, dict) or not isinstance(theirs, dict):
        return [] if ours == theirs else [f"{place}: {ours} and {theirs}"]
    found = [f"{place}.{key}: is on one side only" for key in ours.keys() ^ theirs.keys()]
    for key in ours.keys() & theirs.keys():
        found += differences(ours[key], theirs[key], f"{place}.{key}")
    return found


def compared(schema: Schema) -> list[str]:
    return differences(form_of_type(Document), form_of_schema(schema, schema["$defs"]))


def test_the_types_are_those_of_the_schema() -> None:
    assert compared(SCHEMA) == []


def objects(schema: t.Any, path: tuple[t.Any, ...] = ()) -> t.Iterator[tuple[t.Any, ...]]:
    """Yield the way to each object in the schema that has keys of its own."""
    if isinstance(schema, dict):
        if schema.get("type") == "object" and "properties" in schema:
            yield path
        for key, value in schema.items():
            yield from objects(value, (*path, key))
    elif isinstance(schema, list):
        for place, value in enumerate(schema):
            yield from objects(value, (*path, place))


OBJECTS = list(objects(SCHEMA))


@pytest.mark.parametrize("path", OBJECTS, ids=lambda path: ".".join(map(str, path)) or "document")
def test_a_key_on_one_side_is_noticed_and_so_is_what_it_holds(path: tuple[t.Any, ...]) -> None:
    schema = copy.deepcopy(SCHEMA)
    place: t.Any = schema
    for key in path:
        place = place[key]
    properties, required = place["properties"], place["required"]
    properties["surplus"] = {"type": "string"}
    assert any("surplus" in difference for difference in compared(schema))
    del properties["surplus"]
    for key in list(properties):
        kept = properties.pop(key)
        assert compared(schema), f"{key} is missing in the schema"
        properties[key] = {"anyOf": [{"type": "array", "items": {"type": "boolean"}}, {"type": "null"}]}
        assert compared(schema), f"{key} has another type"
        properties[key] = kept
        place["required"] = [each for each in required if each != key] if key in required else [*required, key]
        assert compared(schema), f"{key} is required on one side only"
        place["required"] = required
    assert compared(schema) == []


@pytest.mark.parametrize(
    ("definition", "change"),
    [
        ("count", {"type": "integer"}),
        ("count", {"minimum": 1}),
        ("number", {"type": ["integer", "null"]}),
        ("reason", {"type": "string"}),
        ("severity", {"enum": ["critical", "high", "medium", "low"]}),
        ("verdict", {"enum": ["done"]}),
    ],
)
def test_another_kind_of_value_is_noticed(definition: str, change: Schema) -> None:
    schema = copy.deepcopy(SCHEMA)
    schema["$defs"][definition] |= change
    assert compared(schema)

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""Values of the wrong type for an option of a role, explained in the words of whoever wrote them."""

from __future__ import annotations

import json
import math
import typing as t

import yaml
from ansible.module_utils.parsing.convert_bool import BOOLEANS
from ansible_collections.netops.conntrack.plugins.plugin_utils._preflight.variables import OPTIONS

_NULL_TAKEN = ("conntrack_tune_peak",)
"""Options whose default is null."""

_TEXTS_TAKEN = (
    "conntrack_audit_report_formats",
    "conntrack_audit_slices",
    "conntrack_prune_assume_enabled",
    "conntrack_prune_turned_on",
)
"""Lists that may as well be a text with commas between the items."""

_SECRETS = ("conntrack_audit_report_webhook",)
"""Options whose values no message shows."""

_LONGEST = 100
"""Characters of a value that a message shows."""

_NOUNS = {
    "bool": "a yes or no",
    "dict": "a dictionary",
    "float": "a number",
    "int": "a whole number",
    "list": "a list",
    "path": "a text",
    "str": "a text",
}


def explain(name: str, value: t.Any, on_command_line: bool) -> str | None:
    """Return what is wrong with the type of ``value`` for the option ``name`` of a role, and how to write it instead.

    The text goes on after the option's name. None if the value can be used, or if that is for the role to say. Values
    are in the types of JSON.
    """
    kind, _of, elements = OPTIONS[name].partition(" of ")
    if kind == "raw" or (value is None and name in _NULL_TAKEN):
        return None
    if value is None:
        return f"is null, and {_NOUNS[kind]} is needed. Leave the variable out for its default."
    if _is(kind, value) or (name in _TEXTS_TAKEN and isinstance(value, str)):
        return _explain_items(value, elements) if isinstance(value, list) else None
    if name in _SECRETS:
        return f"is {_noun_of(value)}, and {_NOUNS[kind]} is needed."
    problem = f"is {_noun_of(value)}, {_shown(value)}, and {_NOUNS[kind]} is needed."
    return f"{problem} {_remedy(name, kind, elements, value, on_command_line)}"


def _explain_items(items: list[t.Any], elements: str) -> str | None:
    for number, item in enumerate(items, 1):
        if not _is(elements, item):
            noun, needed = _noun_of(item), _NOUNS[elements]
            return f"has {noun}, {_shown(item)}, for its item {number}, and {needed} is needed in its place."
    return None


def _is(kind: str, value: t.Any) -> bool:
    """Return whether Ansible and the roles take ``value`` for that kind."""
    if kind in ("dict", "list"):
        return isinstance(value, dict if kind == "dict" else list)
    if kind == "bool":
        return not isinstance(value, (dict, list)) and _lower(value) in BOOLEANS
    if kind in ("int", "float"):
        number = _number(value)
        return number is not None and (kind == "float" or number.is_integer())
    return not isinstance(value, (dict, list))


def _lower(value: t.Any) -> t.Any:
    return value.strip().lower() if isinstance(value, str) else value


def _number(value: t.Any) -> float | None:
    if isinstance(value, (bool, dict, list)):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _noun_of(value: t.Any) -> str:
    for kind, noun in ((bool, "bool"), (dict, "dict"), (list, "list"), (str, "str")):
        if isinstance(value, kind):
            return "true or false" if noun == "bool" else _NOUNS[noun]
    return "null" if value is None else "a number"


def _shown(value: t.Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _remedy(name: str, kind: str, elements: str, value: t.Any, on_command_line: bool) -> str:
    """Return how to write what was probably meant."""
    if kind == "bool":
        return "Give true or false."
    if kind in ("int", "float"):
        return f"Give {_NOUNS[kind]}, such as 10."
    if kind not in ("dict", "list"):
        return "Give a text."
    meant = _meant(kind, elements, value)
    if not on_command_line:
        return f"Write it as in {name}: {json.dumps(meant)}."
    return f"Ansible takes -e NAME=VALUE for a text. Write -e '{json.dumps({name: meant})}'."


def _meant(kind: str, elements: str, value: t.Any) -> t.Any:
    """Return the dictionary or list that ``value`` may have been meant for, or one that shows how they are written."""
    read = _read(value) if isinstance(value, str) else value
    if kind == "dict":
        return read if isinstance(read, dict) and read else {"KEY": "VALUE"}
    if isinstance(read, list):
        return read
    if elements == "dict":
        return [read if isinstance(read, dict) and read else {"KEY": "VALUE"}]
    return [word.strip() for word in str(value).split(",")] if isinstance(value, (str, int, float)) else ["VALUE"]


def _read(text: str) -> t.Any:
    """Return what a text is as YAML (JSON is YAML too), or as ``key=value`` words, or else the text."""
    words = [word.partition("=") for word in text.replace(",", " ").split()]
    if words and all(key and equals for key, equals, _value in words) and "{" not in text:
        return {key: value for key, _equals, value in words}
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text

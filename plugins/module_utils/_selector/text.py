# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""What people give as match or exclude, made a list of selectors: a list, one dict, or a text that is one selector.

A text has blanks between its keys, as in ``protocol=tcp state=SYN_SENT``. A text decides what is deleted, and so it is
never guessed what one with a comma between two keys means.
"""

from __future__ import annotations

import ast
import collections
import json
import re
import shlex
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError

_BETWEEN_KEYS = re.compile(r"\s*[,;&|]\s*(?=[A-Za-z_.]+=)")
_NO_KEY = re.compile(r"[,;:&|]")
_RANGE_KEY = re.compile(r"([^.]+)\.(min|max)")


class Given(t.NamedTuple):
    """A selector, and the option's name for errors in it."""

    selector: dict[t.Any, t.Any]
    option: str


def selectors_of(value: t.Any, option: str) -> list[Given]:
    """Return the selectors of a value of match or exclude. Raises OptionError for what is none."""
    if isinstance(value, str) and value.lstrip().startswith(("[", "{")):
        value = _from_literal(value, option)
    if not isinstance(value, list):
        return [_selector(value, option)]
    return [_selector(each, f"{option}[{at}]") for at, each in enumerate(value)]


def _selector(value: t.Any, option: str) -> Given:
    if isinstance(value, str):
        return Given(_from_text(value, option), option)
    if value is None:
        remedy = "YAML reads an empty value as null. Give a selector such as {protocol: tcp, replied: false}."
        raise OptionError(option, value, "is null, which is never a selector", remedy)
    if not isinstance(value, dict):
        remedy = "Give a dict such as {protocol: tcp, replied: false}, or a text such as 'protocol=tcp replied=false'."
        raise OptionError(option, value, "is not a selector", remedy)
    if not value:
        raise OptionError(option, value, "is empty and would select every entry", "Give at least one key.")
    return Given(value, option)


def _from_literal(text: str, option: str) -> t.Any:
    """Return the list or dict that a text is, in JSON or as a template prints it."""
    for parse in (_from_json, _from_python):
        try:
            return parse(text.strip())
        # TypeError: a key that is a list or a dict.
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            continue
    remedy = (
        'Names and texts need quotes there, as in \'[{"protocol": "tcp", "state": "SYN_SENT"}]\'. '
        "One selector is simpler as a text: 'protocol=tcp state=SYN_SENT'."
    )
    raise OptionError(option, text, "looks like a list or a dict, and is no JSON", remedy)


def _from_json(text: str) -> t.Any:
    """Return what the JSON is. Raises OptionError for a key that is given twice."""

    def unique(pairs: list[tuple[str, t.Any]]) -> dict[str, t.Any]:
        _refuse_twice((key for key, _value in pairs), text)
        return dict(pairs)

    return json.loads(text, object_pairs_hook=unique)


def _from_python(text: str) -> t.Any:
    """Return what the list or dict is in Python's syntax. Raises OptionError for a key that is given twice."""
    tree = ast.parse(text, mode="eval")
    value = ast.literal_eval(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            _refuse_twice((ast.literal_eval(key) for key in node.keys if key is not None), text)
    return value


def _refuse_twice(keys: t.Iterable[t.Any], text: str) -> None:
    for key, count in collections.Counter(keys).items():
        if count > 1:
            raise OptionError(str(key), text, "is given twice", "Give a list of its values, such as [tcp, udp].")


def _from_text(text: str, option: str) -> dict[str, t.Any]:
    """Return the selector that a text with blanks between its keys is."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise OptionError(option, text, "has a quotation mark without its partner", "Add it.") from error
    if not words:
        remedy = "Give a selector such as 'protocol=tcp replied=false'."
        raise OptionError(option, text, "is empty and would select every entry", remedy)
    selector: dict[str, t.Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or _NO_KEY.search(key) or "=" in value or value.startswith(",") or value.endswith(","):
            raise OptionError(option, text, f"is not one selector, because of {word!r}", _remedy(text, option))
        _add(selector, key, value, option)
    return selector


def _remedy(text: str, option: str) -> str:
    apart = _BETWEEN_KEYS.sub(" ", text).strip(" ,;")
    example = apart if "=" in apart and apart != text.strip() else "protocol=tcp state=SYN_SENT idle.min=1h"
    return (
        "Write each key as key=value, with blanks between the keys and commas only between the values of one key, and "
        f'quotes around all of it: {option.partition("[")[0]}="{example}".'
    )


def _add(selector: dict[str, t.Any], key: str, value: str, option: str) -> None:
    """Add a key of a text. KEY.min and KEY.max are the ends of a range."""
    range_key = _RANGE_KEY.fullmatch(key)
    name, end = range_key.groups() if range_key else (key, None)
    present = selector.get(name)
    if end is None and present is None:
        selector[name] = value
    elif end is not None and (present is None or isinstance(present, dict)) and end not in (present or {}):
        selector.setdefault(name, {})[end] = value
    else:
        remedy = f"Write all of its values in one place, such as {name}=FIRST,SECOND."
        raise OptionError(f"{option}.{name}", value, "is given when the key has a value already", remedy)

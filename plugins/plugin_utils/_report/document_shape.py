# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""Checking a document that was read against its types, so that a wrong one is refused before anything is done with it.

The types are in ``document_types``. A key that they do not have is left alone.
"""

from __future__ import annotations

import functools
import sys
import types
import typing as t

from ansible_collections.netops.conntrack.plugins.plugin_utils._report.audit_types import AT_LEAST_0, AT_LEAST_1, LATER
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document_types import PHASES, Document

_LONGEST_VALUE = 60
"""Characters of a wrong value that a message shows."""

_MOST_DIGITS = 40
"""Digits of a wrong whole number that is shown."""

_LEAST = {AT_LEAST_0: 0, AT_LEAST_1: 1}

Keys = tuple[str, ...]
"""The keys that lead to a value."""

Shape = t.Callable[[t.Any], None]
"""Looks at a value. Raises ShapeError if it is not as it should be."""


class ShapeError(Exception):
    """A value is not as in a document. ``place`` is the keys that lead to it, ``problem`` what is wrong.

    The keys are added on the way out. On the way in they would cost more than all that is looked at.
    """

    def __init__(self, problem: str, place: Keys = ()) -> None:
        super().__init__(problem)
        self.place = place
        self.problem = problem

    def below(self, key: str) -> ShapeError:
        """Return the error with the key that leads to where it is from."""
        self.place = (key, *self.place)
        return self


class Field(t.NamedTuple):
    """A key of a type: what its value is, whether it is there today, and whether earlier versions lack it."""

    kind: t.Any
    is_required: bool
    is_later: bool


def check_document(document: t.Any) -> Document:
    """Return a ``document`` of any version. Raises ShapeError for the first value that is not as in a report."""
    _shape_of(Document)(document)
    for name, host in document["hosts"].items():
        for phase in PHASES:
            audit = host[phase]
            for finding in audit["findings"] if audit else []:
                if finding["id"] not in document["checks"]:
                    place = ("hosts", name, phase, "findings")
                    raise ShapeError("has a check that is not among the checks", place)
    return t.cast("Document", document)


@functools.cache
def fields_of(kind: type) -> dict[str, Field]:
    """Return the fields of a TypedDict, by key."""
    required: frozenset[str] = kind.__required_keys__  # type: ignore[attr-defined]  # TypedDicts have it, not all types
    fields = {}
    for key, annotation in t.get_type_hints(kind, include_extras=True).items():
        some_kind, is_later = _without_later(annotation)
        fields[key] = Field(some_kind, key in required, is_later)
    return fields


def _without_later(annotation: t.Any) -> tuple[t.Any, bool]:
    """Return a type without the mark ``Later``, and whether it had it. Python keeps it with the other marks."""
    if t.get_origin(annotation) is not t.Annotated:
        return annotation, False
    others = tuple(mark for mark in annotation.__metadata__ if mark != LATER)
    is_later = len(others) < len(annotation.__metadata__)
    if not others:
        return annotation.__origin__, is_later
    annotated: t.Any = t.Annotated
    parts = (annotation.__origin__, *others)
    return annotated[parts], is_later


def without_null(kind: t.Any) -> tuple[t.Any, bool]:
    """Return a type without None, and whether it had it."""
    if t.get_origin(kind) not in (t.Union, types.UnionType):
        return kind, False
    members = t.get_args(kind)
    others = tuple(member for member in members if member is not types.NoneType)
    return (others[0] if len(others) == 1 else t.Union[others]), len(others) < len(members)


@functools.cache
def _shape_of(kind: t.Any) -> Shape:
    """Return the shape that values of a type have."""
    kind, may_be_null = without_null(kind)
    shape = _shape_of_some(kind)
    return _or_null(shape) if may_be_null else shape


def _shape_of_some(kind: t.Any) -> Shape:
    """Return the shape that values of a type have, None not being one of them."""
    origin, arguments = t.get_origin(kind), t.get_args(kind)
    if kind is t.Any:
        return _anything
    if t.is_typeddict(kind):
        return _mapping_with(fields_of(kind))
    if origin is dict:
        return _mapping_of(_shape_of(arguments[1]))
    if origin is list:
        return _list_of(_shape_of(arguments[0]))
    if origin is t.Literal:
        return _one_of(arguments)
    if origin is t.Annotated:
        number, mark = arguments
        return _number_from(_LEAST[mark], number)
    if origin is t.Union:
        return _ADDRESS_OR_PORT
    return _PLAIN[kind]


def _is(wanted: str, is_right: t.Callable[[t.Any], bool]) -> Shape:
    def look(value: t.Any) -> None:
        if not is_right(value):
            raise ShapeError(f"should be {wanted}, and is {_in_words(value)}")

    return look


def _one_of(words: t.Collection[str]) -> Shape:
    return _is(f"one of {', '.join(words)}", lambda value: isinstance(value, str) and value in words)


def _number_from(least: int, kind: type) -> Shape:
    is_number, name = _NUMBERS[kind]
    return _is(f"{name} from {least} on", lambda value: is_number(value) and value >= least)


def _or_null(shape: Shape) -> Shape:
    def look(value: t.Any) -> None:
        if value is not None:
            shape(value)

    return look


def _list_of(shape: Shape) -> Shape:
    def look(value: t.Any) -> None:
        _LIST(value)
        for number, item in enumerate(value):
            try:
                shape(item)
            except ShapeError as error:
                raise error.below(str(number)) from None

    return look


def _mapping_of(shape: Shape) -> Shape:
    def look(value: t.Any) -> None:
        _MAPPING(value)
        for name, item in value.items():
            try:
                shape(item)
            except ShapeError as error:
                raise error.below(name) from None

    return look


def _mapping_with(fields: dict[str, Field]) -> Shape:
    """Return the shape of what has these ``fields``. What is not there today, or came later, may be missing."""
    shapes = {key: _shape_of(field.kind) for key, field in fields.items()}
    needed = {key for key, field in fields.items() if field.is_required and not field.is_later}

    def look(value: t.Any) -> None:
        _MAPPING(value)
        if not needed <= value.keys():
            missing = (key for key in shapes if key in needed and key not in value)
            raise ShapeError(f"lacks {', '.join(missing)}")
        for key, shape in shapes.items():
            if key in value:
                try:
                    shape(value[key])
                except ShapeError as error:
                    raise error.below(key) from None

    return look


def _in_words(value: t.Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, str):
        return repr(value if len(value) <= _LONGEST_VALUE else f"{value[:_LONGEST_VALUE]}...")
    if isinstance(value, int) and abs(value) >= 10**_MOST_DIGITS:
        # What no float can hold has no form with an exponent.
        return f"a number of more than {_MOST_DIGITS} digits"
    return f"{value:.3g}"


def _is_whole(value: t.Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: t.Any) -> bool:
    """Return whether it is a number that a float can hold. NaN and infinity are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _anything(_value: t.Any) -> None:
    """Let any value be."""


_LIST = _is("a list", lambda value: isinstance(value, list))
_MAPPING = _is("an object", lambda value: isinstance(value, dict))
_ADDRESS_OR_PORT = _is("an address or a port", lambda value: isinstance(value, str) or _is_whole(value))
_NUMBERS: dict[type, tuple[t.Callable[[t.Any], bool], str]] = {
    int: (_is_whole, "a whole number"),
    float: (_is_number, "a number"),
}
_PLAIN: dict[t.Any, Shape] = {
    str: _is("a text", lambda value: isinstance(value, str)),
    bool: _is("true or false", lambda value: isinstance(value, bool)),
    int: _is("a whole number", _is_whole),
    float: _is("a number", _is_number),
}

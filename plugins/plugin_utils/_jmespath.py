# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""JMESPath in which what is not known stays unknown.

Standard JMESPath calls ``missing == `0` `` false and ``!missing`` true, so that a check on a field that a router does
not report would pass, or be a finding, without anybody having looked. Here a comparison, a function, a *not*, an *and*
and an *or* follow the three-valued logic of Kleene, with null for unknown. A comparison with a literal null still asks
whether something is there.
"""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError, UnavailableError

JMESPATH_ERROR: ImportError | None = None
_Library: t.Any = object
_Evaluator: t.Any = object
try:
    from jmespath import exceptions, functions, parser, visitor
except ImportError as error:
    JMESPATH_ERROR = error
else:
    _Library = functions.Functions
    _Evaluator = visitor.TreeInterpreter

_NULL_LITERAL: dict[str, t.Any] = {"type": "literal", "value": None, "children": []}
_ON_THE_ROOT = {"comparator", "and_expression", "or_expression", "not_expression", "function_expression"}
"""Nodes that evaluate all of their children on the document that they themselves are given."""


class Expression:
    """A compiled expression. ``option`` names in the errors where its text came from."""

    def __init__(self, text: t.Any, option: str) -> None:
        """Compile ``text``; OptionError if it is not JMESPath, UnavailableError without the library for it."""
        if JMESPATH_ERROR is not None:
            raise UnavailableError(
                f"Checks need the Python library jmespath on the controller ({JMESPATH_ERROR}). Install it where "
                "ansible-core is installed: python3 -m pip install jmespath."
            )
        self._text, self._option = text, option
        try:
            self._tree = parser.Parser().parse(text).parsed
        except (exceptions.JMESPathError, TypeError, AttributeError) as error:
            raise self._error("is not a JMESPath expression", error) from error

    def evaluate(self, document: t.Any) -> t.Any:
        """Give the value that the expression has on ``document``, None for unknown.

        Raises OptionError for a function that does not exist, or is given what it cannot take, and where a text is
        compared with a number.
        """
        options = visitor.Options(custom_functions=_Functions())
        try:
            return _Interpreter(options).visit(self._tree, document)
        except (exceptions.JMESPathError, TypeError) as error:
            raise self._error("cannot be evaluated", error) from error

    def unknowns(self, document: t.Any) -> list[str]:
        """Give the fields that the expression asks of ``document`` and that have no value there, as dotted paths."""
        return sorted({".".join(path) for path in _paths(self._tree, document) if follow(document, path) is None})

    def _error(self, problem: str, error: Exception) -> OptionError:
        # Further lines of a parse error repeat the expression and point at a column of it.
        reason = str(error).splitlines()[0].removesuffix(", for expression:").rstrip(":.")
        return OptionError(self._option, self._text, f"{problem} ({reason})", "See jmespath.org.")


def is_true(value: t.Any) -> bool:
    """Tell whether JMESPath takes ``value`` for true: all but null, false, and an empty string, list or object."""
    return value is not None and value is not False and value not in ("", [], {})


def follow(document: t.Any, path: t.Iterable[str]) -> t.Any:
    """Give what stands at ``path`` (a sequence of keys) in ``document``; None where there is no such thing."""
    for key in path:
        document = document.get(key) if isinstance(document, dict) else None
    return document


def _paths(node: dict[str, t.Any], document: t.Any) -> t.Iterator[tuple[str, ...]]:
    """Yield the fields that an expression asks of the ``document``; of ``(a || b).c`` either a.c or b.c."""
    children = [child for child in node["children"] if isinstance(child, dict)]
    if node["type"] == "field":
        yield (node["value"],)
    elif node["type"] == "subexpression" and all(child["type"] == "field" for child in children):
        yield tuple(child["value"] for child in children)
    elif node["type"] == "subexpression" and children[0]["type"] == "or_expression":
        chosen = _alternative(children[0], document)
        first = chosen["children"] if chosen["type"] == "subexpression" else [chosen]
        yield from _paths({**node, "children": [*first, *children[1:]]}, document)
    else:
        for child in children if node["type"] in _ON_THE_ROOT else children[:1]:
            yield from _paths(child, document)


def _alternative(node: dict[str, t.Any], document: t.Any) -> dict[str, t.Any]:
    """Return the part of an *or* that decides: the first if the ``document`` has it, the second otherwise."""
    first: dict[str, t.Any]
    second: dict[str, t.Any]
    first, second = node["children"]
    is_there = any(follow(document, path) is not None for path in _paths(first, document))
    return first if is_there else second


class _Functions(_Library):  # type: ignore[misc]
    def _func_percent(self, part: float, whole: float) -> float | None:
        return 100 * part / whole if whole else None

    _func_percent.signature = ({"types": ["number"]}, {"types": ["number"]})  # type: ignore[attr-defined]


class _Interpreter(_Evaluator):  # type: ignore[misc]
    def visit_comparator(self, node: dict[str, t.Any], value: t.Any) -> bool | None:
        asks_for_null = _NULL_LITERAL in node["children"]
        if not asks_for_null and any(self.visit(child, value) is None for child in node["children"]):
            return None
        return t.cast("bool | None", super().visit_comparator(node, value))

    def visit_function_expression(self, node: dict[str, t.Any], value: t.Any) -> t.Any:
        try:
            return super().visit_function_expression(node, value)
        except exceptions.JMESPathTypeError as error:
            if error.current_value is None:
                return None
            raise

    def visit_not_expression(self, node: dict[str, t.Any], value: t.Any) -> bool | None:
        operand = self.visit(node["children"][0], value)
        return None if operand is None else not is_true(operand)

    def visit_and_expression(self, node: dict[str, t.Any], value: t.Any) -> t.Any:
        left, right = (self.visit(child, value) for child in node["children"])
        if is_true(left):
            return right
        return left if left is not None or right is None or is_true(right) else right

    def visit_or_expression(self, node: dict[str, t.Any], value: t.Any) -> t.Any:
        left, right = (self.visit(child, value) for child in node["children"])
        if is_true(left):
            return left
        return right if left is not None or is_true(right) else None

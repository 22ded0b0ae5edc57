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

import contextlib
import math
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError, UnavailableError
from ansible_collections.netops.conntrack.plugins.plugin_utils._bounds import VALUE, shorten
from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.functions import Functions

JMESPATH_ERROR: ImportError | None = None
_Evaluator: t.Any = object
try:
    from jmespath import exceptions, parser, visitor
except ImportError as error:
    JMESPATH_ERROR = error
else:
    _Evaluator = visitor.TreeInterpreter

Node = dict[str, t.Any]
Path = tuple[str, ...]

_NULL_LITERAL: Node = {"type": "literal", "value": None, "children": []}
_ON_THE_ROOT = {"comparator", "and_expression", "or_expression", "not_expression", "function_expression"}
"""Nodes that evaluate all of their children on the document that they themselves are given."""

_DEEPEST = 100
"""Levels of an expression: a part in a part in a part."""

_STEP, _MOST = 10, 5_000_000
"""What evaluating one part costs besides the items or characters that it results in, and what all may cost: a second.

An expression is the operator's, but the data is a router's, and some expressions double what they are given each time.
"""

_MOST_VALUES = 100_000
"""Values in the value of an expression."""

_TYPES = {"str": "string", "int": "number", "float": "number", "bool": "boolean", "NoneType": "null"} | {
    "dict": "object",
    "list": "array",
}
"""What JMESPath calls the types that the library names as Python does."""

_REMEDY = "See jmespath.org."
_ORDERINGS = {"lt", "lte", "gt", "gte"}


class Expression:
    """A compiled expression. ``option`` names in the errors where its text came from."""

    def __init__(self, text: t.Any, option: str) -> None:
        """Compile ``text``. Raises OptionError if it is not JMESPath, UnavailableError without the library for it."""
        if JMESPATH_ERROR is not None:
            raise UnavailableError(
                f"Checks need the Python library jmespath on the controller ({JMESPATH_ERROR}). Install it where "
                "ansible-core is installed: python3 -m pip install jmespath."
            )
        self._text, self._option = text, option
        if not isinstance(text, str):
            raise self._error("is not a JMESPath expression", "it is no text")
        with self._explained("is not a JMESPath expression", "it cannot be read"):
            self._tree = parser.Parser().parse(text).parsed
        if _is_deeper(self._tree, _DEEPEST):
            raise self._too_deep()

    def evaluate(self, document: t.Any) -> t.Any:
        """Return the value that the expression has on ``document``, None for unknown.

        Raises OptionError for a function that does not exist, or is given what it cannot take, where a text is compared
        with a number, and where it takes too long or gets too large.
        """
        options = visitor.Options(custom_functions=Functions(document))
        with self._explained("cannot be evaluated", "a part of it cannot take what it was given"):
            value = _Interpreter(options).visit(self._tree, document)
            _refuse_what_is_no_value(value)
        return value

    def unknowns(self, document: t.Any) -> list[str]:
        """Return the fields that the expression asks of ``document`` and that have no value there, as dotted paths."""
        paths = _Asked(document).paths(self._tree)
        return sorted({".".join(path) for path in paths if follow(document, path) is None})

    @contextlib.contextmanager
    def _explained(self, problem: str, otherwise: str) -> t.Iterator[None]:
        """Raise OptionError for whatever the library raises, with a reason in words: ``otherwise`` if it has none."""
        try:
            yield
        except RecursionError as error:
            raise self._too_deep() from error
        except _ExpressionError as error:
            raise self._error(problem, str(error)) from error
        except exceptions.JMESPathError as error:
            raise self._error(problem, _reason(error) or otherwise) from error
        except Exception as error:
            raise self._error(problem, otherwise) from error

    def _too_deep(self) -> OptionError:
        problem = f"has more than {_DEEPEST} levels of parts in parts"
        remedy = "Take it apart. For a long list of alternatives there is contains()."
        return OptionError(self._option, self._shown_text(), problem, remedy)

    def _error(self, problem: str, reason: str) -> OptionError:
        return OptionError(self._option, self._shown_text(), f"{problem} ({reason})", _REMEDY)

    def _shown_text(self) -> t.Any:
        return shorten(self._text, VALUE) if isinstance(self._text, str) else self._text


class _ExpressionError(Exception):
    """Why an expression has no value on some data, in words."""


def _reason(error: t.Any) -> str:
    """Return what the library says of an expression, in words. Some of its messages show lists and types of Python."""
    if isinstance(error, exceptions.JMESPathTypeError):
        given = _TYPES.get(error.actual_type, error.actual_type)
        return f"{error.function_name}() takes {', '.join(error.expected_types)}, and was given {given}"
    if isinstance(error, exceptions.IncompleteExpressionError):
        return "it is not complete"
    if isinstance(error, exceptions.ParseError) and not isinstance(error, exceptions.ArityError):
        token = repr(shorten(str(error.token_value), VALUE)) if error.token_value else "its end"
        return f"{token} at column {error.lex_position + 1} is not expected there"
    # Further lines repeat the expression and point at a column of it.
    return shorten(str(error).partition("\n")[0].removesuffix(", for expression:").rstrip(":."), VALUE)


def _is_deeper(tree: Node, most: int) -> bool:
    """Return whether parts stand in parts more than so many times. The tree may be too deep for a recursion."""
    level = [tree]
    for _depth in range(most):
        level = [child for node in level for child in node["children"] if isinstance(child, dict)]
        if not level:
            return False
    return True


def _refuse_what_is_no_value(value: t.Any) -> None:
    """Raise _ExpressionError if ``value`` is no data, or too much of it. The same list may be there many times."""
    waiting, counted = [value], 0
    while waiting:
        counted += 1
        if counted > _MOST_VALUES:
            raise _ExpressionError(f"its value has more than {_MOST_VALUES:,} parts")
        item = waiting.pop()
        if isinstance(item, dict):
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
        elif item is not None and not isinstance(item, (str, int, float)):
            raise _ExpressionError("its value is another expression")


def is_true(value: t.Any) -> bool:
    """Return whether JMESPath takes ``value`` for true: all but null, false, and an empty string, list or object."""
    return value is not None and value is not False and value not in ("", [], {})


def follow(document: t.Any, path: t.Iterable[str]) -> t.Any:
    """Return what stands at ``path`` (a sequence of keys) in ``document``. None where there is no such thing."""
    for key in path:
        document = document.get(key) if isinstance(document, dict) else None
    return document


class _Asked:
    """Which fields an expression asks of a document. Each part of it is looked at once."""

    def __init__(self, document: t.Any) -> None:
        self._document = document
        self._known: dict[int, list[Path]] = {}

    def paths(self, node: Node) -> list[Path]:
        """Return the fields that a part asks for. Of ``(a || b).c`` that is either a.c or b.c."""
        if id(node) not in self._known:
            self._known[id(node)] = list(dict.fromkeys(self._look(node)))
        return self._known[id(node)]

    def _look(self, node: Node) -> t.Iterator[Path]:
        chain = self._chain(node)
        if chain is not None:
            yield chain
            return
        children = [child for child in node["children"] if isinstance(child, dict)]
        if node["type"] == "subexpression":
            children[0] = self._chosen(children[0])
        for child in children if node["type"] in _ON_THE_ROOT else children[:1]:
            yield from self.paths(child)

    def _chain(self, node: Node) -> Path | None:
        """Return the path if a part is nothing but fields, or an *or* of such. None otherwise."""
        if node["type"] == "field":
            return (node["value"],)
        if node["type"] != "subexpression":
            return None
        first, *others = node["children"]
        beginning = self._chain(self._chosen(first))
        if beginning is None or any(other["type"] != "field" for other in others):
            return None
        return (*beginning, *(other["value"] for other in others))

    def _chosen(self, node: Node) -> Node:
        """Return the part of an *or* that decides: the first if the document has it, the second otherwise."""
        while node["type"] == "or_expression":
            first, second = node["children"]
            is_there = any(follow(self._document, path) is not None for path in self.paths(first))
            node = first if is_there else second
        return node


class _Interpreter(_Evaluator):  # type: ignore[misc]
    """The library's interpreter, with unknown, and with an end to what one expression may cost."""

    def __init__(self, options: t.Any) -> None:
        super().__init__(options)
        self._left = _MOST

    def visit(self, node: Node, *args: t.Any, **kwargs: t.Any) -> t.Any:
        value = super().visit(node, *args, **kwargs)
        self._left -= _STEP + (len(value) if isinstance(value, (str, list, dict)) else 0)
        if self._left < 0:
            raise _ExpressionError("it takes too long on what this router sent")
        # Such as what becomes of the text "nan".
        return value if not isinstance(value, float) or math.isfinite(value) else None

    def visit_comparator(self, node: Node, value: t.Any) -> bool | None:
        operands = [self.visit(child, value) for child in node["children"]]
        if None in operands and _NULL_LITERAL not in node["children"]:
            return None
        if node["value"] in _ORDERINGS and {isinstance(operand, str) for operand in operands} == {True, False}:
            _refuse_to_compare(operands)
        literals = [{"type": "literal", "value": operand, "children": []} for operand in operands]
        return t.cast("bool | None", super().visit_comparator({**node, "children": literals}, value))

    def visit_function_expression(self, node: Node, value: t.Any) -> t.Any:
        try:
            return super().visit_function_expression(node, value)
        except exceptions.JMESPathTypeError as error:
            if error.current_value is None:
                return None
            raise

    def visit_not_expression(self, node: Node, value: t.Any) -> bool | None:
        operand = self.visit(node["children"][0], value)
        return None if operand is None else not is_true(operand)

    def visit_and_expression(self, node: Node, value: t.Any) -> t.Any:
        left, right = (self.visit(child, value) for child in node["children"])
        if is_true(left):
            return right
        return left if left is not None or right is None or is_true(right) else right

    def visit_or_expression(self, node: Node, value: t.Any) -> t.Any:
        left, right = (self.visit(child, value) for child in node["children"])
        if is_true(left):
            return left
        return right if left is not None or is_true(right) else None


def _refuse_to_compare(operands: list[t.Any]) -> None:
    """Raise _ExpressionError for a text and a number, of which neither is the larger one."""
    if any(isinstance(operand, (int, float)) and not isinstance(operand, bool) for operand in operands):
        raise _ExpressionError("a text is compared with a number")

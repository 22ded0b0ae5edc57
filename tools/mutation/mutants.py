# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The mutants of a module: its source with one fault each, by the operators of cosmic-ray and some of our own.

cosmic-ray has eleven mutants for each ``+``, of which ten fail at once, and none for a ``not in``, for a call that is
left out, or for the condition of a comprehension. So only some of its operators are used, and those are added.
"""

from __future__ import annotations

import ast
import difflib
import typing as t

import cosmic_ray.plugins
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.operator import Operator
from parso.python.tree import Keyword, Name, PythonNode

_OF_COSMIC_RAY = [
    "AddNot",
    "ReplaceTrueWithFalse",
    "ReplaceFalseWithTrue",
    "ReplaceAndWithOr",
    "ReplaceOrWithAnd",
    "ReplaceUnaryOperator_Delete_Not",
    "ReplaceUnaryOperator_USub_UAdd",
    "ReplaceBreakWithContinue",
    "ReplaceContinueWithBreak",
    "ZeroIterationForLoop",
    "ExceptionReplacer",
    "NumberReplacer",
    *(
        f"ReplaceComparisonOperator_{before}_{after}"
        for before, others in {
            "Eq": ["NotEq"],
            "NotEq": ["Eq"],
            "Lt": ["LtE", "GtE"],
            "LtE": ["Lt", "Gt"],
            "Gt": ["GtE", "LtE"],
            "GtE": ["Gt", "Lt"],
            "Is": ["IsNot"],
            "IsNot": ["Is"],
        }.items()
        for after in others
    ),
    *(
        f"ReplaceBinaryOperator_{before}_{after}"
        for before, after in {
            "Add": "Sub",
            "Sub": "Add",
            "Mul": "FloorDiv",
            "FloorDiv": "Mul",
            "Mod": "Mul",
            "BitOr": "BitAnd",
            "BitAnd": "BitOr",
            "LShift": "RShift",
            "RShift": "LShift",
        }.items()
    ),
]
"""A comparison becomes its opposite, or moves its boundary. An operation becomes one other."""


class Mutant(t.NamedTuple):
    """A module with one fault. ``before`` and ``after`` are the lines that differ, from ``line`` on."""

    module: str
    line: int
    before: str
    after: str
    source: str


class _Added(Operator):  # type: ignore[misc]  # mypy does not see cosmic-ray
    """An operator of ours: it replaces the nodes for which ``replacement`` returns source text."""

    def replacement(self, node: t.Any) -> str | None:
        """Return the text that takes the place of the node, or None if it stays."""
        raise NotImplementedError

    def mutation_positions(self, node: t.Any) -> t.Iterator[tuple[t.Any, t.Any]]:
        if self.replacement(node) is not None:
            yield node.start_pos, node.end_pos

    def mutate(self, node: t.Any, index: int) -> t.Any:
        text = self.replacement(node)
        return Name(text, node.start_pos, node.get_first_leaf().prefix)

    @classmethod
    def examples(cls) -> tuple[()]:
        return ()


class SwapMembership(_Added):
    """``in`` becomes ``not in``, and the other way round."""

    def replacement(self, node: t.Any) -> str | None:
        """See the class."""
        if node.parent is None or node.parent.type != "comparison":
            return None
        if isinstance(node, Keyword) and node.value == "in":
            return "not in"
        return "in" if node.type == "comp_op" and node.children[0].value == "not" else None


class SwapBuiltin(_Added):
    """``any`` becomes ``all``, ``min`` becomes ``max``, and the other way round."""

    names: t.ClassVar = {"any": "all", "all": "any", "min": "max", "max": "min"}

    def replacement(self, node: t.Any) -> str | None:
        """See the class."""
        if not isinstance(node, Name) or node.parent.type not in ("atom_expr", "power"):
            return None
        return self.names.get(node.value) if node.parent.children[0] is node else None


class LeaveOutStatement(_Added):
    """A call, an augmented assignment, a ``raise``, ``del`` or ``yield`` is left out."""

    def replacement(self, node: t.Any) -> str | None:
        """See the class."""
        if node.parent is None or node.parent.type != "simple_stmt" or node.parent.children[0] is not node:
            return None
        is_augmented = node.type == "expr_stmt" and getattr(node.children[1], "type", "") == "operator"
        is_augmented = is_augmented and node.children[1].value not in ("=", ":")
        is_call = node.type in ("atom_expr", "power") and node.children[-1].type == "trailer"
        return "pass" if is_augmented or is_call or node.type in ("raise_stmt", "del_stmt", "yield_expr") else None


class LeaveOutCondition(_Added):
    """A comprehension takes all, not only what its ``if`` lets in."""

    def replacement(self, node: t.Any) -> str | None:
        """See the class."""
        is_condition = isinstance(node.parent, PythonNode) and node.parent.type in ("comp_if", "old_comp_if")
        return "True" if is_condition and node.parent.children[1] is node else None


ADDED = (SwapMembership, SwapBuiltin, LeaveOutStatement, LeaveOutCondition)


def mutants_of(module: str, source: str) -> t.Iterator[Mutant]:
    """Yield the mutants of a module, each once. What changes only annotations or a class's decorator is none."""
    nodes, seen = list(ast_nodes(get_ast(source))), {_meaning(source)}
    for operator in (*(cosmic_ray.plugins.get_operator(f"core/{name}") for name in _OF_COSMIC_RAY), *ADDED):
        places = sum(1 for node in nodes for _place in operator().mutation_positions(node))
        for occurrence in range(places):
            mutated = mutate_code(source, operator(), occurrence)
            meaning = _meaning(mutated)
            if meaning and meaning not in seen:
                seen.add(meaning)
                yield Mutant(module, *_difference(source, mutated), mutated)


class _Plain(ast.NodeTransformer):
    """Leaves out what no test can see, and writes the same condition in one way."""

    _OPPOSITES: t.ClassVar[dict[type[ast.cmpop], type[ast.cmpop]]] = {
        ast.Eq: ast.NotEq, ast.Lt: ast.GtE, ast.Gt: ast.LtE, ast.Is: ast.IsNot, ast.In: ast.NotIn,
    }  # fmt: skip

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.annotation = ast.Constant(None)
        return self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        node.decorator_list = []
        return self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        node = t.cast(ast.UnaryOp, self.generic_visit(node))
        inner = node.operand
        if isinstance(node.op, ast.Not) and isinstance(inner, ast.UnaryOp) and isinstance(inner.op, ast.Not):
            return inner.operand
        if isinstance(node.op, ast.Not) and isinstance(inner, ast.Compare) and len(inner.ops) == 1:
            return ast.Compare(inner.left, [self._opposite(inner.ops[0])], inner.comparators)
        return node

    def _opposite(self, operator: ast.cmpop) -> ast.cmpop:
        backwards = {after: before for before, after in self._OPPOSITES.items()}
        return {**self._OPPOSITES, **backwards}[type(operator)]()


def _meaning(source: str) -> str:
    """Return what the source says to Python, or "" if that is nothing. A lone ``*`` in a signature is no product."""
    try:
        return ast.dump(_Plain().visit(ast.parse(source)))
    except SyntaxError:
        return ""


def _difference(source: str, mutated: str) -> tuple[int, str, str]:
    """Return the first line that differs, and the text of all that differ, before and after."""
    before, after = source.splitlines(), mutated.splitlines()
    changed = [code for code in difflib.SequenceMatcher(None, before, after).get_opcodes() if code[0] != "equal"]
    first, last = changed[0], changed[-1]
    return first[1] + 1, _one_line(before[first[1] : last[2]]), _one_line(after[first[3] : last[4]])


def _one_line(lines: t.Iterable[str]) -> str:
    return " ".join(line.strip() for line in lines)

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Prints how long and how dense code and prose are: a mirror next to other projects, and no quota.

python tools/code_statistics.py measures this checkout. python tools/code_statistics.py DIRECTORY... measures others.
"""

from __future__ import annotations

import argparse
import ast
import collections
import pathlib
import re
import statistics
import typing as t

CHECKOUT = pathlib.Path(__file__).resolve().parent.parent
OURS = (CHECKOUT / "plugins" / "module_utils", CHECKOUT / "plugins" / "plugin_utils")

Function = t.Union[ast.FunctionDef, ast.AsyncFunctionDef]

_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_NO_PROSE = re.compile(r"^```.*?^```$|^\|.*?$|`[^`\n]*`|<!--.*?-->", re.MULTILINE | re.DOTALL)
_YOU = re.compile(r"\byour?\b", re.IGNORECASE)
_MOST_FIRST_WORDS = 6


class Code(t.NamedTuple):
    """What is measured of the Python files of a directory. Files without any line are left out."""

    file_lines: list[int]
    function_lines: list[int]
    """From ``def`` to the last line, without the docstring."""

    nodes_per_body_line: list[float]
    """Of each function: syntax nodes of its statements by the lines that these take, without the docstring."""

    names: list[str]
    """Of all functions."""

    comprehensions: list[int]
    """Of each file."""

    first_words: collections.Counter[str]
    """Of docstrings."""

    @property
    def row(self) -> list[str]:
        """The cells of a table: lines of files and functions, density, comprehensions, names of one word."""
        one_word = [name for name in self.names if "_" not in name.strip("_")]
        return [
            spread(self.file_lines),
            spread(self.function_lines),
            f"{statistics.median(self.nodes_per_body_line):.1f}",
            f"{1000 * sum(self.comprehensions) / sum(self.file_lines):.0f}",
            f"{100 * len(one_word) / len(self.names):.0f} %",
        ]


class Prose(t.NamedTuple):
    """What is measured of a README and the pages of documentation, without code, tables and comments."""

    words: int
    semicolons: int
    addresses: int
    """How often the reader is spoken to: you, your."""

    @property
    def row(self) -> list[str]:
        """The cells of a table, each for 1,000 words."""
        return [f"{1000 * count / self.words:.1f}" for count in (self.semicolons, self.addresses)]


def spread(lengths: list[int]) -> str:
    """Return median, the value that 90 percent do not exceed, and maximum."""
    ordered = sorted(lengths)
    return f"{statistics.median(ordered):.0f}/{ordered[len(ordered) * 9 // 10]}/{ordered[-1]}"


def measure_code(directory: pathlib.Path) -> Code:
    """Return what is measured of all Python files below a directory."""
    code = Code([], [], [], [], [], collections.Counter())
    for path in sorted(directory.rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        if not source.strip():
            continue
        code.file_lines.append(len(source.splitlines()))
        nodes = list(ast.walk(ast.parse(source)))
        code.comprehensions.append(sum(isinstance(node, _COMPREHENSIONS) for node in nodes))
        for node in nodes:
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                code.first_words.update((ast.get_docstring(node) or "").split()[:1])
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                _add_function(code, node)
    return code


def _add_function(code: Code, function: Function) -> None:
    has_docstring = ast.get_docstring(function) is not None
    body = function.body[1:] if has_docstring else function.body
    docstring_lines = _lines(function.body[0], function.body[0]) if has_docstring else 0
    code.names.append(function.name)
    code.function_lines.append(_lines(function, function) - docstring_lines)
    if body:
        nodes = sum(1 for statement in body for _node in ast.walk(statement))
        code.nodes_per_body_line.append(nodes / _lines(body[0], body[-1]))


def _lines(first: ast.stmt, last: ast.stmt) -> int:
    return (last.end_lineno or last.lineno) - first.lineno + 1


def pages_of(project: pathlib.Path) -> list[pathlib.Path]:
    """Return the README of a project, those of its roles, and the pages of its documentation."""
    return [
        path
        for pattern in ("README*", "docs/**/*.md", "docs/**/*.rst", "roles/*/README.md")
        for path in sorted(project.glob(pattern))
    ]


def measure_prose(pages: t.Iterable[pathlib.Path]) -> Prose | None:
    """Return what is measured of pages; None where they have no words."""
    text = "\n".join(_NO_PROSE.sub(" ", page.read_text(encoding="utf-8")) for page in pages)
    words = len(text.split())
    return Prose(words, text.count(";"), len(_YOU.findall(text))) if words else None


def table(heading: t.Sequence[str], rows: t.Iterable[t.Sequence[str]]) -> str:
    """Return a table in Markdown."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [heading, ["---"] * len(heading), *rows])


def report(directories: t.Sequence[pathlib.Path], project: pathlib.Path) -> str:
    """Return the tables for the code of each directory, and for the prose of a project."""
    measured = {str(directory): measure_code(directory) for directory in directories}
    measured = {name: code for name, code in measured.items() if code.names}
    heading = [
        "code",
        "file lines, median/p90/max",
        "function lines, median/p90/max",
        "syntax nodes per body line",
        "comprehensions per 1,000 lines",
        "one-word function names",
    ]
    parts = [table(heading, [[name, *code.row] for name, code in measured.items()])]
    prose = measure_prose(pages_of(project))
    if prose:
        parts.append(table(["prose", "semicolons per 1,000 words", "you, your"], [[str(project), *prose.row]]))
    firsts = [
        [name, str(code.first_words.total()), ", ".join(f"{word} {count}" for word, count in common)]
        for name, code in measured.items()
        for common in [code.first_words.most_common(_MOST_FIRST_WORDS)]
    ]
    return "\n\n".join([*parts, table(["code", "docstrings", "their first words"], firsts)])


def main() -> None:
    """Print the tables of this checkout, or of other directories."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directories", nargs="*", type=pathlib.Path, metavar="DIRECTORY")
    parser.add_argument("--project", type=pathlib.Path, default=CHECKOUT, help="where README and docs are")
    arguments = parser.parse_args()
    print(report(arguments.directories or OURS, arguments.project))


if __name__ == "__main__":
    main()

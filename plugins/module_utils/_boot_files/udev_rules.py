# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The rules of udev(7), as udev reads them when the kernel tells that a module was loaded.

The rules are those of systemd's src/udev/udev-rules.c, which eudev shares.
"""

from __future__ import annotations

import fnmatch
import re
import shlex
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._boot_files.config_tree import Tree
from ansible_collections.netops.conntrack.plugins.module_utils._boot_files.sysctl_d import Source

_TOKEN = re.compile(
    r"""\s*,?\s*
    (?P<key>[A-Z_]+) (?:\{(?P<attribute>[^}]*)\})?
    \s* (?P<operator>==|!=|\+=|-=|:=|=) \s*
    (?P<escaped>e?)" (?P<value>(?:[^"\\]|\\.)*) "
    """,
    re.VERBOSE,
)
_DECIDES = re.compile(r"sysctl|/proc/sys/|RUN(?:\{program\})?\s*:?=")
"""What a file has to have in it to matter here: it calls sysctl, or it takes back the programs of other rules."""

_DIRECTORY = "/usr/lib/udev"
"""Where udev looks for a program without a path."""

_KEYS = frozenset(
    [
        *("ACTION", "DEVPATH", "KERNEL", "KERNELS", "SUBSYSTEM", "SUBSYSTEMS", "DRIVER", "DRIVERS", "ATTR", "ATTRS"),
        *("SYSCTL", "ENV", "CONST", "TAG", "TAGS", "TEST", "PROGRAM", "RESULT", "IMPORT", "NAME", "SYMLINK", "OWNER"),
        *("GROUP", "MODE", "SECLABEL", "RUN", "GOTO", "LABEL", "OPTIONS"),
    ]
)
_WITHOUT_VALUE = frozenset({"NAME", "SYMLINK", "DRIVER", "DRIVERS"})
_TAGS = frozenset({"TAG", "TAGS"})


class Program(t.NamedTuple):
    """A program that a rule runs: its words, and whether all that the rule asks for is known to hold."""

    source: Source
    words: tuple[str, ...]
    certain: bool


class _Token(t.NamedTuple):
    key: str
    attribute: str
    operator: str
    value: str


class _Rule(t.NamedTuple):
    source: Source
    tokens: list[_Token]


def _after_goto(rule: _Rule, rules: t.Sequence[_Rule], place: int) -> int:
    """Return the place of the rule that follows ``rule``, which stands before ``place``: that of its LABEL, if any."""
    label = next((token.value for token in rule.tokens if token.key == "GOTO"), None)
    for later in range(place, len(rules) if label is not None else place):
        if any(token.key == "LABEL" and token.value == label for token in rules[later].tokens):
            return later
    return place


class _Event:
    """The kernel's event for a module that was loaded, and what the rules make of it."""

    def __init__(self, tree: Tree, module: str) -> None:
        self._tree = tree
        self._properties = {"ACTION": "add", "SUBSYSTEM": "module", "DEVPATH": f"/module/{module}"}
        self._fields = {**self._properties, "KERNEL": module, "KERNELS": module, "SUBSYSTEMS": "module"}
        self.programs: list[Program] = []
        self._final = False

    def apply(self, rules: t.Iterable[_Rule]) -> None:
        """Take the rules of one file in their order. A GOTO that holds leads to its LABEL further down.

        A GOTO without such a LABEL is ignored.
        """
        listed = list(rules)
        place = 0
        while place < len(listed):
            rule = listed[place]
            place += 1
            holds = self._holds(rule)
            if holds is not False:
                self._run(rule, certain=holds is True)
            if holds:
                place = _after_goto(rule, listed, place)

    def _holds(self, rule: _Rule) -> bool | None:
        """Return whether all that a rule asks for holds, None where that is not known."""
        answers = [self._matches(token) for token in rule.tokens if token.operator in ("==", "!=")]
        if False in answers:
            return False
        # A program that is asked, or a file that is imported, can end the rule with any of its assignments.
        asks = any(token.key in ("PROGRAM", "IMPORT") for token in rule.tokens)
        return None if None in answers or asks else True

    def _matches(self, token: _Token) -> bool | None:
        if token.key in _TAGS:
            return token.operator == "!="
        if token.key == "TEST" and token.value.startswith("/"):
            return self._tree.exists(token.value) == (token.operator == "==")
        if token.key == "ENV":
            held: str | None = self._properties.get(token.attribute, "")
        elif token.key in _WITHOUT_VALUE:
            held = ""
        else:
            held = self._fields.get(token.key)
        if held is None:
            return None
        matches = any(fnmatch.fnmatchcase(held, pattern) for pattern in token.value.split("|"))
        return matches == (token.operator == "==")

    def _run(self, rule: _Rule, certain: bool) -> None:
        for token in rule.tokens:
            if token.key == "ENV" and token.operator in ("=", ":=") and certain:
                self._properties[token.attribute] = token.value
            if token.key != "RUN" or token.attribute not in ("", "program") or self._final:
                continue
            program = Program(rule.source, self._found(_words(token.value)), certain)
            if token.operator in ("=", ":=") and certain:
                self.programs = []
            if program.words:
                self.programs.append(program)
            self._final = self._final or (token.operator == ":=" and certain)

    def _found(self, words: tuple[str, ...]) -> tuple[str, ...]:
        """Return the command with the program's path. A program without one is looked for in udev's own directory."""
        if not words or "/" in words[0]:
            return words
        path = f"{_DIRECTORY}/{words[0]}"
        return (path, *words[1:]) if self._tree.is_file(path) else ()


def programs_for(tree: Tree, module: str) -> list[Program]:
    """Return the programs that udev runs when a module was loaded, as far as they matter for sysctls."""
    event = _Event(tree, module)
    for path in tree.fragments("udev/rules.d", ".rules"):
        text = tree.read(path) or ""
        # There are a hundred files and more, and hardly one of them matters.
        if _DECIDES.search(text):
            event.apply(_rules(path, text))
    return event.programs


def _rules(path: str, text: str) -> t.Iterator[_Rule]:
    """Yield the rules of a file. A rule's place is its first line, also where a backslash continues it."""
    begun, first = "", 0
    for number, line in enumerate(text.split("\n"), start=1):
        line = line.strip()
        if line.startswith("#") or not (line or begun):
            continue
        first = first or number
        if line.endswith("\\"):
            begun += line[:-1]
            continue
        tokens = _tokens(begun + line)
        if tokens:
            yield _Rule(Source(path, first), tokens)
        begun, first = "", 0


def _tokens(line: str) -> list[_Token]:
    """Return what a line says, or nothing for one that udev does not understand, and leaves out."""
    tokens: list[_Token] = []
    place = 0
    while line[place:].strip(" \t,"):
        match = _TOKEN.match(line, place)
        if match is None:
            return []
        if match["key"] not in _KEYS or (match["key"] == "RUN" and match["operator"] == "-="):
            return []
        value = match["value"].replace('\\"', '"')
        tokens.append(_Token(match["key"], match["attribute"] or "", match["operator"], value))
        place = match.end()
    return tokens


def _words(command: str) -> tuple[str, ...]:
    """Return the words of a command, which no shell reads: udev itself takes single quotes off."""
    lexer = shlex.shlex(command, posix=True)
    lexer.whitespace_split = True
    lexer.quotes = "'"
    lexer.escape = ""
    lexer.commenters = ""
    try:
        return tuple(lexer)
    except ValueError:
        return tuple(command.split())

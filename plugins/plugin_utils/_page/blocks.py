# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""Blocks of a page that know nothing of markup, and one writer for each format."""

from __future__ import annotations

import dataclasses
import re
import textwrap
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._printable import visible

WIDTH = 110
"""Columns of a terminal to which running text is broken."""

_NARROWEST = 40
"""Columns that running text gets beside the longest of labels."""

_MARKDOWN = re.compile(r"[\\`*<>\[\]|&~]|(?<!\w)_|_(?!\w)")
"""What Markdown (with tables, as on GitHub) takes for markup in the middle of a line."""

_COMMAND = re.compile(r"`(?:ansible|nft)\b[^`]*`")
"""A command in backticks."""

_WORD = re.compile(r"(?:'[^']*'|\"[^\"]*\"|\S)+")
"""A word of a command, with what is quoted in it."""

_INDENT = "  "
"""What the lines of a command begin with on a screen. There is no room for more in front of IPv6 addresses."""

_NO_BREAK = "\N{NO-BREAK SPACE}"
"""A blank at which no line is broken. None is in a text that is visible."""


@dataclasses.dataclass(frozen=True)
class Heading:
    """A line that opens the page (level 1) or a section (level 2)."""

    level: int
    text: str


@dataclasses.dataclass(frozen=True)
class Paragraph:
    """One line of plain text."""

    text: str


@dataclasses.dataclass(frozen=True)
class Table:
    """Rows of short cells. The first row is the header."""

    rows: list[list[str]]


Item = tuple[str, list[str]]
"""A label with some lines of text."""


@dataclasses.dataclass(frozen=True)
class Items:
    """Labels, each with some lines of text."""

    items: list[Item]


Block = t.Union[Heading, Paragraph, Table, Items]


def as_markdown(block: Block) -> str:
    """Return ``block`` as Markdown, what is special in it escaped."""
    if isinstance(block, Table):
        header, *rows = [[_escaped(cell) for cell in row] for row in block.rows]
        below_header = ["---"] * len(header)
        return "\n".join(f"| {' | '.join(row)} |" for row in (header, below_header, *rows))
    if isinstance(block, Items):
        return "\n".join(_markdown_item(label, lines) for label, lines in block.items)
    return f"{'#' * block.level} {_escaped(block.text)}" if isinstance(block, Heading) else _escaped(block.text)


def _markdown_item(label: str, lines: list[str]) -> str:
    first, *others = [_escaped_around_commands(line) for line in lines]
    return "\n".join([f"- **{_escaped(label)}** {first}", *(f"  - {line}" for line in others)])


def _escaped_around_commands(text: str) -> str:
    """Escape ``text``, but for a command in backticks. Markdown shows what is in there as it is."""
    shown, parts, end = visible(text), [], 0
    for command in _COMMAND.finditer(shown):
        parts += [_escaped(shown[end : command.start()]), command.group()]
        end = command.end()
    return "".join([*parts, _escaped(shown[end:])])


def _escaped(text: str) -> str:
    return _MARKDOWN.sub(lambda match: f"\\{match.group()}", visible(text))


def as_text(block: Block) -> str:
    """Return ``block`` for a terminal: columns aligned, running text broken into lines."""
    if isinstance(block, Table):
        return _aligned([[visible(cell) for cell in row] for row in block.rows])
    if isinstance(block, Items):
        margin = max(len(visible(label)) for label, _lines in block.items) + 2
        return "\n".join(_text_item(label, lines, margin) for label, lines in block.items)
    text = visible(block.text)
    return f"{text}\n{'=-'[block.level - 1] * len(text)}" if isinstance(block, Heading) else text


def _text_item(label: str, lines: list[str], margin: int) -> str:
    width = max(WIDTH - margin, _NARROWEST)
    wrapped = [part for line in lines for part in _wrapped(visible(line), width)]
    labels = [visible(label), *[""] * len(wrapped)]
    return "\n".join(f"{left:{margin}}{right}" for left, right in zip(labels, wrapped, strict=False))


def _wrapped(text: str, width: int) -> list[str]:
    """Break ``text`` into lines. A command in backticks stays on one line, however long, because it is to be copied."""
    whole = _COMMAND.sub(lambda command: command.group().replace(" ", _NO_BREAK), text)
    # The names of routers have hyphens, and are to be copied, too.
    lines = textwrap.wrap(whole, width, break_on_hyphens=False, break_long_words=whole == text)
    return [line.replace(_NO_BREAK, " ") for line in lines]


def _aligned(rows: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def as_screen(block: Block, width: int = WIDTH) -> str:
    """Return ``block`` for a terminal as ``as_text`` does, with lines that fit it: commands and columns, too.

    A command has lines of its own, which end as a shell takes them, and a table leaves out its last columns.
    """
    if isinstance(block, Paragraph):
        return "\n".join(_wrapped(visible(block.text), width))
    if isinstance(block, Table):
        rows = [[visible(cell) for cell in row] for row in block.rows]
        while len(rows[0]) > 2 and max(map(len, _aligned(rows).splitlines())) > width:
            rows = [row[:-1] for row in rows]
        return _aligned(rows)
    if not isinstance(block, Items):
        return as_text(block)
    margin = max(len(visible(label)) for label, _lines in block.items) + 2
    return "\n".join(_screen_item(label, lines, margin, width) for label, lines in block.items)


def _screen_item(label: str, lines: list[str], margin: int, width: int) -> str:
    shown = [part for line in lines for part in _with_commands_apart(visible(line), margin, width)]
    first = f"{visible(label):{margin}}{shown[0].removeprefix(' ' * margin)}"
    return "\n".join([first, *shown[1:]])


def _with_commands_apart(text: str, margin: int, width: int) -> list[str]:
    """Return ``text`` in lines that begin at the margin, and each of its commands in lines of its own."""
    lines, end = [], 0
    for command in _COMMAND.finditer(text):
        lines += _indented(text[end : command.start()], margin, width)
        lines += _broken_command(command.group().strip("`"), width)
        end = command.end()
    return lines + _indented(text[end:].removeprefix(".").strip(), margin, width)


def _indented(text: str, margin: int, width: int) -> list[str]:
    lines = textwrap.wrap(text, max(width - margin, _NARROWEST), break_on_hyphens=False)
    return [" " * margin + line for line in lines]


def _broken_command(command: str, width: int) -> list[str]:
    """Return a command in lines that a shell takes as one. A word that is longer than a line stays whole."""
    lines: list[str] = []
    for word in _WORD.findall(command):
        if lines and len(lines[-1]) + len(word) + len("  \\") <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(f"{_INDENT}{word}")
    return [*(f"{line} \\" for line in lines[:-1]), *lines[-1:]]

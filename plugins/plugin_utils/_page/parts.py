# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.
"""What the sections of the page share: how routers, numbers and values stand in a line."""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.plugin_utils._bounds import listed, shorten
from ansible_collections.netops.conntrack.plugins.plugin_utils._display import counted as counted_with
from ansible_collections.netops.conntrack.plugins.plugin_utils._display import plain_number, spoken, value_in_line
from ansible_collections.netops.conntrack.plugins.plugin_utils._page.blocks import (
    Block,
    Heading,
    Items,
    Paragraph,
    Table,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.audit_types import Anything, Audit
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document_types import Document, Host
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.view import course, has_after

SHOWN = 10
"""Routers named in one line."""

MOST = 25
"""Rows of a table, or items of a list: more than that nobody reads. The JSON document has all."""

COURSE = 1_000
"""Characters of what is said of one router among others."""


def section(title: str, block: Table | Items, most: int = MOST) -> list[Block]:
    """Return a section with the first of the ``block``, and how many more there are. Nothing if it is empty."""
    count = len(block.rows) - 1 if isinstance(block, Table) else len(block.items)
    if not count:
        return []
    shown = Table(block.rows[: most + 1]) if isinstance(block, Table) else Items(block.items[:most])
    return [Heading(2, title), shown, *more_in_document(count - most)]


def more_in_document(count: int) -> list[Block]:
    """Return a line about what a section leaves out. Nothing if it leaves out none."""
    return [Paragraph(f"{count} more are in the JSON document of this report.")] if count > 0 else []


def title_of(document: Document, what: str) -> str:
    """Return a table's title, which says whether its cells have one audit or two."""
    return f"{what}, before → after" if has_after(document) else f"{what} now"


def verdict_of(host: Host) -> str:
    """Return a router's verdict in words."""
    return spoken(host["verdict"])


def course_of(host: Host, text_of: t.Callable[[Audit], str]) -> str:
    """Return what ``text_of`` says of a router's audits, before and after."""
    return arrow(course(host, text_of))


def arrow(texts: t.Iterable[str]) -> str:
    """Return ``before → after``, or one text if both are the same."""
    return " → ".join(dict.fromkeys(texts))


def counted(count: int | None, one: str, many: str = "") -> str:
    """Return a number with its noun, such as ``3 routers``. Its digits are not set apart."""
    return counted_with(count, one, many, plain_number)


def few_names(names: list[str]) -> str:
    """Return the first names as a list, and how many more there are."""
    return listed(names, most=SHOWN, longest=COURSE)


def problem_of(result: t.Mapping[str, t.Any] | None, needed: str) -> str | None:
    """Return why a router gave no answer, from the registered result of a module that returns ``needed``. None: it did.

    Without a result it was not asked.
    """
    if result is None:
        return "It was not asked."
    if not result.get("failed") and not result.get("unreachable") and needed in result:
        return None
    message = str(result.get("msg") or "It gave no answer.")
    return f"Unreachable: {message}" if result.get("unreachable") else message


def without_answer(problems: t.Mapping[str, str]) -> list[Block]:
    """Return a section with the routers that gave no answer, and why. Nothing if all did."""
    items = [(name, [shorten(problem, COURSE)]) for name, problem in problems.items()]
    return [Heading(2, "Not asked, or without an answer"), Items(items)] if items else []


def how_many_more(names: list[str]) -> list[str]:
    """Return an item that says how many names a list leaves out. Nothing if it has them all."""
    return [f"and {len(names) - SHOWN} more"] if len(names) > SHOWN else []


def finding_value(value: Anything) -> str:
    """Return a finding's value, as many names of it as a line has room for."""
    return value_in_line(value, SHOWN)


def table_of_routers(columns: t.Sequence[str], rows: t.Iterable[list[str]]) -> Table:
    """Return a table with a row for each router, whose columns are called like keys of the document."""
    return Table([["router", *map(spoken, columns)], *rows])

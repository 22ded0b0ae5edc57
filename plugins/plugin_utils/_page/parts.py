# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""What the sections of the page share: how routers, numbers and values stand in a line."""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.plugin_utils._bounds import VALUE, listed, plain_text, short
from ansible_collections.netops.conntrack.plugins.plugin_utils._page.blocks import (
    Block,
    Heading,
    Items,
    Paragraph,
    Table,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document import Record

SHOWN = 10
"""Routers named in one line."""

MOST = 25
"""Rows of a table, or items of a list: more than that nobody reads. The JSON document has all."""

COURSE = 1_000
"""Characters of what is said of one router among others."""

NOT_DONE = {
    "unreachable": "unreachable",
    "failed": "failed",
    "not_begun": "not begun",
    "no_conntrack": "no conntrack",
}
"""Keys of the document that list the routers which were not done, and how the page calls them."""


def section(title: str, block: Table | Items, most: int = MOST) -> list[Block]:
    """Return a section with the first of the ``block``, and how many more there are; nothing if it is empty."""
    count = len(block.rows) - 1 if isinstance(block, Table) else len(block.items)
    if not count:
        return []
    shown = Table(block.rows[: most + 1]) if isinstance(block, Table) else Items(block.items[:most])
    return [Heading(2, title), shown, *more_in_document(count - most)]


def more_in_document(count: int) -> list[Block]:
    """Return where so many more are that a section leaves out; nothing if it leaves out none."""
    return [Paragraph(f"{count} more are in the JSON document of this report.")] if count > 0 else []


def title_of(document: Record, what: str) -> str:
    """Return a table's title, which says whether its cells have one audit or two."""
    return f"{what}, before → after" if has_after(document) else f"{what} now"


def has_after(document: Record) -> bool:
    """Return whether a router was audited twice."""
    return any(host["after"] for host in document["hosts"].values())


def recap_of(host: Record) -> Record | None:
    """Return the account of the entries of a router whose timeouts were shortened, if there is one."""
    return host["settings"]["recap"] if host["settings"] else None


def verdict_of(host: Record) -> str:
    """Return a router's verdict, or why it was not done."""
    return NOT_DONE.get(host["verdict"]) or str(host["verdict"])


def course_of(host: Record, text_of: t.Callable[[Record], str]) -> str:
    """Return what ``text_of`` says of a router's audits, before and after."""
    return arrow(text_of(host[phase]) for phase in ("before", "after") if host[phase])


def arrow(texts: t.Iterable[str]) -> str:
    """Return ``before → after``; one text if both are the same."""
    return " → ".join(dict.fromkeys(texts))


def counted(count: int | None, one: str, many: str = "") -> str:
    """Return a number with its noun, such as ``3 routers``. Without ``many`` the plural is ``one`` with an s."""
    return f"{shown_number(count)} {one if count == 1 else many or one + 's'}"


def few_names(names: list[str]) -> str:
    """Return the first names as a list, and how many more there are."""
    return listed(names, most=SHOWN, longest=COURSE)


def how_many_more(names: list[str]) -> list[str]:
    """Return an item that says how many names a list leaves out. Nothing if it has them all."""
    return [f"and {len(names) - SHOWN} more"] if len(names) > SHOWN else []


def shown_value(value: t.Any) -> str:
    """Return a finding's value; names in brackets, because the routers stand between commas."""
    if not isinstance(value, list):
        return short(shown_number(value), VALUE)
    names = listed(map(plain_text, value), most=SHOWN, longest=VALUE)
    return f"({names})" if len(value) > 1 else names or "none"


def shown_number(value: t.Any) -> str:
    """Return a number with at most one decimal, another value as plain text, and ``?`` for None."""
    if value is None:
        return "?"
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else plain_text(value)

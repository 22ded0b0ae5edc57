# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""What a terminal shows of the fleet's document at first: what fits a screen, and where the rest is."""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._printable import visible
from ansible_collections.netops.conntrack.plugins.plugin_utils._page.blocks import (
    Block,
    Heading,
    Item,
    Items,
    Paragraph,
    Table,
    as_screen,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._page.explanations import (
    HOW_TO_PRUNE,
    Group,
    groups_of,
    own_sentences,
    shared_items,
    shared_sentences,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._page.findings import titles_found
from ansible_collections.netops.conntrack.plugins.plugin_utils._page.parts import few_names, title_of
from ansible_collections.netops.conntrack.plugins.plugin_utils._page.routers import (
    headline,
    not_done,
    overview,
    rollout,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document_types import Document
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.ranking import worst_first
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.view import findings_by_check

LINES = 40
"""Lines of a screen."""

_LABEL, _LINE, _HALF_LINE = 30, 190, 60
"""Characters of a label, of what takes two lines of the screen next to it, and of what takes less than one."""

_TWO_CLUSTERS = 290
"""Characters of what fills a table: two clusters of IPv6 with the numbers of their sources."""


class _Room(t.NamedTuple):
    """How many items of each section there is room for."""

    routers: int
    tables: int
    commands: int
    sentences: bool
    """Whether all is said that helps, and not just how to free entries."""
    items: int
    """Of any other section."""

    findings: int


_ROOMS = (
    _Room(10, 5, 3, True, 5, 5),
    _Room(10, 3, 3, True, 5, 5),
    _Room(10, 3, 3, True, 3, 3),
    _Room(10, 3, 3, False, 5, 5),
    _Room(8, 3, 3, False, 3, 3),
    _Room(5, 3, 2, False, 3, 3),
    _Room(5, 3, 1, False, 3, 3),
    _Room(3, 3, 1, False, 2, 2),
    _Room(3, 3, 1, False, 1, 1),
    _Room(3, 3, 1, False, 1, 0),
    _Room(3, 2, 1, False, 2, 2),
    _Room(3, 1, 1, False, 1, 1),
    _Room(3, 1, 1, False, 1, 0),
)
"""From the most to the least that is shown. The first one whose screen is short enough is taken."""


class _Parts(t.NamedTuple):
    """All that there is to be shown, before it is cut to the room that there is."""

    title: Block
    done: list[str]
    stop: Items
    routers: tuple[str, Table]
    tables: list[Group]
    failures: Items
    findings: Items


def first_screen(document: Document) -> str:
    """Return of the fleet's ``document`` what fits a screen: verdicts, what fills the tables, what is found.

    What to do about each finding and all else stand on the page.
    """
    document = {**document, "hosts": dict(worst_first(document))}
    title, *done = headline(document)
    parts = _Parts(
        title,
        [block.text for block in done if isinstance(block, Paragraph)],
        _stop(document),
        (title_of(document, "The routers"), overview(document)),
        groups_of(document),
        _failures(document),
        titles_found(document, findings_by_check(document)),
    )
    screen = ""
    for room in _ROOMS:
        screen = _screen(parts, room)
        if screen.count("\n") <= LINES:
            break
    return screen


def _screen(parts: _Parts, room: _Room) -> str:
    title, routers = parts.routers
    blocks = [
        parts.title,
        *(Paragraph(_cut(text, 2 * _LINE if room.sentences else _LINE)) for text in parts.done),
        *_section("The roll-out", parts.stop, room.items),
        *_section(title, routers, room.routers),
        *_tables(parts.tables, room),
        *_section("Not done", parts.failures, room.items),
        *_section("Found now", parts.findings, room.findings),
        Paragraph("The files of this report have all else, and what to do about each finding."),
    ]
    return "\n\n".join(map(as_screen, blocks)) + "\n"


def _section(title: str, block: Table | Items, most: int) -> list[Block]:
    """Return a section with the first of the ``block``, and in its title how many more there are."""
    count = len(block.rows) - 1 if isinstance(block, Table) else len(block.items)
    if not count or not most:
        return []
    more = f", and {count - most:,} more in the files" if count > most else ""
    heading = Heading(2, f"{title}{more}")
    if isinstance(block, Table):
        return [heading, Table([[_cut(cell, _LABEL) for cell in row] for row in block.rows[: most + 1]])]
    items: list[Item] = []
    for label, lines in block.items[:most]:
        items.append((_cut(label, _LABEL), [_cut(" ".join(lines), _LINE)]))
    return [heading, Items(items)]


def _stop(document: Document) -> Items:
    """Return the stop of a roll-out with its reasons, and how to go on. Nothing if it went through."""
    items = rollout(document).items
    return Items([item for item in items if item[0] in ("stopped", "to go on")])


def _failures(document: Document) -> Items:
    """Return who was not done and why, each in a line."""
    items: list[Item] = []
    for name, (verdict, reason) in not_done(document).items:
        items.append((name, [f"{verdict}: {_cut(reason, _HALF_LINE)}"]))
    return Items(items)


def _cut(text: str, most: int) -> str:
    """Return ``text`` as it is shown in so many characters at most, without its middle."""
    shown = visible(text)
    if len(shown) <= most:
        return shown
    end = most // 3
    beginning = most - end - 1
    return f"{shown[:beginning]}…{shown[-end:]}"


def _tables(groups: list[Group], room: _Room) -> list[Block]:
    """Return what fills the tables and what helps. Where there is little room, only how to free entries."""
    shown = groups[: room.tables]
    if not shown:
        return []
    shared = shared_sentences(shown)
    items: list[Item] = []
    if any(group.explanation["prunes"] for group in shown):
        items.append(("", [HOW_TO_PRUNE]))
    for group in shown:
        lines = [_cut(group.explanation["filled_by"], _TWO_CLUSTERS), *_what_helps(group, shared, room)]
        items.append((_cut(few_names(group.names), _LABEL), lines))
    if room.sentences:
        items += shared_items(shared)
    more = len(groups) - len(shown)
    title = f"What fills the tables{f', and {more:,} more in the files' if more else ''}"
    return [Heading(2, title), Items(items)]


def _what_helps(group: Group, shared: t.Container[str], room: _Room) -> list[str]:
    commands = group.commands(room.commands)
    if room.sentences:
        return [*commands, *own_sentences(group, shared)]
    is_in_files = group.explanation["advice"] and not group.explanation["prunes"]
    return [*commands, "The files say what helps."] if is_in_files else commands

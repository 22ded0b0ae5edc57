# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""A page about what fills some tables, each by itself, for a terminal."""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.cluster_words import Facts
from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.explanation import Explanation, explain
from ansible_collections.netops.conntrack.plugins.plugin_utils._display import limit_and_share, number
from ansible_collections.netops.conntrack.plugins.plugin_utils._page.blocks import (
    Block,
    Heading,
    Paragraph,
    Table,
    as_screen,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._page.explanations import Group, items_of
from ansible_collections.netops.conntrack.plugins.plugin_utils._page.parts import counted, without_answer
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.view import key_of

SHOWN = 10
"""Tables in the overview, and explanations that are not the same. That is what a screen has room for."""

_COLUMNS = ("router", "entries", "max", "% full")

Tables = t.Mapping[str, Facts]
"""The facts of each table, by the name that is shown for it."""

Paste = t.Callable[[Explanation, list[str]], Explanation]
"""Returns what fills the tables of these routers with its commands as they can be pasted for them."""


def text_of(tables: Tables, problems: t.Mapping[str, str] | None = None, paste: Paste | None = None) -> str:
    """Return the page about ``tables``, the fullest first, and about the routers that gave none.

    ``problems`` are the reasons of these, by router. Raises OptionError if there is neither a table nor a problem, and
    for a table that was not measured.
    """
    if not tables and not problems:
        raise OptionError("tables", tables, "has no table", "Give the facts of at least one, by its name.")
    for name, facts in tables.items():
        problem = why_unexplained(facts)
        if problem is not None:
            raise OptionError("tables", name, "has no facts about what is in its table", problem)
    ranked = dict(sorted(tables.items(), key=_fullest_first))
    blocks: list[Block] = [Heading(1, _title(ranked)), *_overview(ranked)]
    blocks += [Paragraph(text) for name, facts in ranked.items() for text in _remarks(name, facts)]
    groups = _groups(ranked)
    if groups:
        shown = groups[:SHOWN]
        blocks.append(items_of([_pasteable(group, paste) for group in shown] if paste else shown))
        blocks += _left_out(len(groups) - SHOWN, "more of these")
    blocks += without_answer(problems or {})
    return "\n\n".join(map(as_screen, blocks)) + "\n"


def why_unexplained(facts: t.Any) -> str | None:
    """Return why ``facts`` do not tell what fills a table, and what to ask for. None: they do."""
    table = facts.get("table") if isinstance(facts, t.Mapping) else None
    if not isinstance(table, t.Mapping) or table.get("entries") is None:
        return "Its table was not measured. Give conntrack_facts gather_subset: [usage, settings, table]."
    if table.get("filled_by") is None:
        return "What fills its table was not looked for. Give conntrack_facts no explain, or one from 1 on."
    return None


def _title(tables: Tables) -> str:
    if not tables:
        return "What fills the tables"
    entries = sum(facts["table"]["entries"] for facts in tables.values())
    return f"What fills {counted(len(tables), 'table')} with {number(entries)} entries"


def _fullest_first(item: tuple[str, Facts]) -> float:
    """Return what tables are sorted by. Where it is not known how full they are, they keep their order."""
    percent = (item[1].get("usage") or {}).get("percent")
    return 0.0 if percent is None else -float(percent)


def _overview(tables: Tables) -> list[Block]:
    """Return a table that says how full each is. A file does not tell its limit, so there is none for files."""
    rows = [_row(name, facts["usage"]) for name, facts in tables.items() if facts.get("usage")]
    return [Table([list(_COLUMNS), *rows[:SHOWN]]), *_left_out(len(rows) - SHOWN, "more routers")] if rows else []


def _row(name: str, usage: Facts) -> list[str]:
    return [name, number(usage["count"]), *limit_and_share(usage["max"], usage["percent"])]


def _left_out(count: int, what: str) -> list[Block]:
    return [Paragraph(f"{count:,} {what} are not shown. Choose fewer routers with -e target=PATTERN.")] * (count > 0)


def _groups(tables: Tables) -> list[Group]:
    """Return what fills the tables, each explanation with the tables that it is the same for.

    Where these are too many to be named in a command, each is alone.
    """
    groups: dict[t.Hashable, Group] = {}
    for name, facts in tables.items():
        explanation = explain(facts)
        if explanation:
            groups.setdefault(key_of(explanation), Group([], explanation)).names.append(name)
    found: list[Group] = []
    for group in groups.values():
        is_alone = len(group.names) > SHOWN and (group.explanation["prunes"] or group.explanation["advice"])
        found += [Group([name], group.explanation) for name in group.names] if is_alone else [group]
    return found


def _pasteable(group: Group, paste: Paste) -> Group:
    return Group(group.names, paste(group.explanation, group.names))


def _remarks(name: str, facts: Facts) -> t.Iterator[str]:
    """Yield what has to be known of a table besides: what of it was not read."""
    if facts["table"]["entries"] == 0:
        yield f"{name}: no entries."
    lines = facts.get("not_understood")
    if lines:
        yield f"{name}: {counted(lines, 'line')} not understood, so not counted. Look at them with -v."

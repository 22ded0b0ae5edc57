# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""A page about what fills some tables, each by itself, for a terminal."""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.cluster_words import Facts
from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.explanation import explain
from ansible_collections.netops.conntrack.plugins.plugin_utils._display import number
from ansible_collections.netops.conntrack.plugins.plugin_utils._page.blocks import Block, Heading, Paragraph, as_screen
from ansible_collections.netops.conntrack.plugins.plugin_utils._page.explanations import Group, items_of
from ansible_collections.netops.conntrack.plugins.plugin_utils._page.parts import counted


def text_of(tables: t.Mapping[str, Facts]) -> str:
    """Return the page about ``tables``: the facts of each, by its name. Raises OptionError if there is none."""
    if not tables:
        raise OptionError("tables", tables, "has no table", "Give the facts of at least one, by its name.")
    explanations = {name: explain(facts) for name, facts in tables.items()}
    blocks: list[Block] = [Heading(1, _title(tables))]
    blocks += [Paragraph(text) for name, facts in tables.items() for text in _remarks(name, facts)]
    groups = [Group([name], explanation) for name, explanation in explanations.items() if explanation]
    if groups:
        blocks.append(items_of(groups))
    return "\n\n".join(map(as_screen, blocks)) + "\n"


def _title(tables: t.Mapping[str, Facts]) -> str:
    entries = sum(facts["table"]["entries"] for facts in tables.values() if facts.get("table"))
    return f"What fills {counted(len(tables), 'table')} with {number(entries)} entries"


def _remarks(name: str, facts: Facts) -> t.Iterator[str]:
    """Yield what has to be known of a table besides: what of it was not read."""
    if not (facts.get("table") or {}).get("entries"):
        yield f"{name}: no entries."
    lines = facts.get("not_understood")
    if lines:
        yield f"{name}: {counted(lines, 'line')} not understood, so not counted. Look at them with -v."

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""What fills the tables and what helps there, on the page: what is the same for several routers is said once."""

from __future__ import annotations

import itertools
import re
import shlex
import typing as t

from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.explanation import Explanation
from ansible_collections.netops.conntrack.plugins.plugin_utils._display import number
from ansible_collections.netops.conntrack.plugins.plugin_utils._page.blocks import Item, Items
from ansible_collections.netops.conntrack.plugins.plugin_utils._page.parts import SHOWN, counted, few_names
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document_types import Document
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.ranking import explanations

HOW_TO_PRUNE = "Run each of these with --check first, then without. None of the entries was ever answered."
"""What is said once of all commands that free entries, before the first of them."""

_ROUTERS = "\0"
"""Where a sentence has the router that its command is limited to. No text that is shown has this character."""


class Group(t.NamedTuple):
    """Some routers, and what fills the tables of all of them."""

    names: list[str]
    explanation: Explanation

    def commands(self, most: int | None = None) -> list[str]:
        """Return what the first ``most`` commands free, each with the command in the line after it."""
        prunes = self.explanation["prunes"]
        on_each = " on each" if len(self.names) > 1 else ""
        lines = []
        for prune in prunes[:most]:
            lines += [f"This frees {number(prune['frees'])} entries{on_each}:", f"`{prune['command']}`"]
        left_out = len(prunes[most:]) if most is not None else 0
        if left_out:
            lines.append(f"And {counted(left_out, 'more command')} in the files.")
        return lines


def groups_of(document: Document) -> list[Group]:
    """Return what fills the tables that something is known of, the worst routers first."""
    return [Group(names, explanation) for explanation, names in explanations(document)]


def what_fills_tables(document: Document, most: int) -> tuple[Items, int]:
    """Return the first ``most`` explanations that are not the same, and how many more there are."""
    groups = groups_of(document)
    shown = groups[:most]
    return items_of(shown), len(groups) - len(shown)


def items_of(groups: list[Group]) -> Items:
    """Return the explanations of some routers, with what is said of several of them once."""
    shared = shared_sentences(groups)
    items: list[Item] = []
    if any(group.explanation["prunes"] for group in groups):
        items.append(("prune", [HOW_TO_PRUNE]))
    for group in groups:
        lines = [group.explanation["filled_by"], *group.commands(), *own_sentences(group, shared)]
        items.append((few_names(group.names), lines))
    items += shared_items(shared)
    return Items(items)


def shared_sentences(groups: list[Group]) -> dict[str, list[str]]:
    """Return the sentences that are said of the tables of several routers, each with these.

    A sentence has _ROUTERS where its command is limited to a router.
    """
    routers: dict[str, list[list[str]]] = {}
    for group in groups:
        sentences = [_of_any_router(sentence, group.names) for sentence in group.explanation["advice"]]
        for sentence in dict.fromkeys(sentences):
            routers.setdefault(sentence, []).append(group.names)
    return {
        sentence: list(itertools.chain.from_iterable(names)) for sentence, names in routers.items() if len(names) > 1
    }


def own_sentences(group: Group, shared: t.Container[str]) -> list[str]:
    """Return the sentences that are said of these routers alone."""
    return [each for each in group.explanation["advice"] if _of_any_router(each, group.names) not in shared]


def shared_items(shared: dict[str, list[str]]) -> list[Item]:
    """Return the sentences that are said of several routers, those of the same routers together."""
    items: dict[tuple[str, ...], list[str]] = {}
    for sentence, names in shared.items():
        items.setdefault(tuple(names), []).append(_of_routers(sentence, names))
    return [("several", [f"{few_names(list(names))}:", *sentences]) for names, sentences in items.items()]


def _of_any_router(sentence: str, names: list[str]) -> str:
    """Return a sentence without the router that its command is limited to."""
    if len(names) != 1:
        return sentence
    name = re.escape(shlex.quote(names[0]))
    return re.sub(rf"(--limit|`ansible) {name}(?= |`)", rf"\1 {_ROUTERS}", sentence)


def _of_routers(sentence: str, names: list[str]) -> str:
    """Return a sentence with its command for these routers, or for the first if they are too many to be named."""
    if _ROUTERS not in sentence:
        return sentence
    routers = shlex.quote(",".join(names[:SHOWN]))
    more = f" The same for {len(names) - SHOWN:,} more." if len(names) > SHOWN else ""
    return sentence.replace(_ROUTERS, routers) + more

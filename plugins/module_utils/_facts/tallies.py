# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Counting the entries of many selections in one pass over the table."""

from __future__ import annotations

import collections
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._entry.entry import Entry
from ansible_collections.netops.conntrack.plugins.module_utils._selector.compiler import Selection
from ansible_collections.netops.conntrack.plugins.module_utils._selector.key import Answer, Kind, common_breakpoints
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block
from ansible_collections.netops.conntrack.plugins.module_utils._table.memo import Memo
from ansible_collections.netops.conntrack.plugins.module_utils._uapi import PROTOCOL_NAMES
from ansible_collections.netops.conntrack.plugins.module_utils._units import percent

_FEW_VALUES = frozenset(
    {"family", "protocol", "has_ports", "state", "status", "zone", "zone_original", "zone_reply", "helper"}
)
"""Fields that have few values in any table."""

Answers = tuple[Answer, ...]


class _Group:
    """Selections that are decided together, by one function of the fields that any of them reads.

    The function returns where in ``answers`` their answers are, because a number is counted faster than a tuple.
    """

    def __init__(self, selections: t.Mapping[str, Selection]) -> None:
        self.names = list(selections)
        self.answers: list[Answers] = []
        self._tests = [selection.decide for selection in selections.values()]
        fields = frozenset(field for selection in selections.values() for field in selection.fields)
        self.decide = Memo(fields, self._decide, common_breakpoints(selections.values()))

    def _decide(self, entry: Entry) -> int:
        answers = tuple(test(entry) for test in self._tests)
        if answers not in self.answers:
            self.answers.append(answers)
        return self.answers.index(answers)


def _grouped(selections: t.Mapping[str, Selection]) -> t.Iterator[_Group]:
    """Yield groups of the selections: those together that tell only few kinds of entries apart, all others alone."""
    together = {
        name: selection
        for name, selection in selections.items()
        if selection.fields <= _FEW_VALUES.union(selection.breakpoints)
    }
    if together:
        yield _Group(together)
    for name, selection in selections.items():
        if name not in together:
            yield _Group({name: selection})


class Tallies:
    """How many entries each of the selections has, by protocol."""

    def __init__(self, selections: t.Mapping[str, Selection]) -> None:
        self._selections = selections
        self._groups: dict[frozenset[str], list[_Group]] = {}
        self._counts = {name: collections.Counter[tuple[int, Answer]]() for name in selections}
        self._total = 0

    def add(self, block: Block) -> None:
        """Count the entries of a block."""
        self._total += len(block)
        family = block.layout.constants["family"]
        protocol = block.layout.constants["protocol"]
        for group in self._groups_of((family, protocol)):
            numbers = collections.Counter(group.decide(block))
            for number, entries in numbers.items():
                for name, answer in zip(group.names, group.answers[number]):
                    self._counts[name][protocol, answer] += entries

    def _groups_of(self, kind: Kind) -> list[_Group]:
        """Return the groups of the selections that can have entries of the kind. They are few of all that there are."""
        names = frozenset(name for name, selection in self._selections.items() if kind in selection.kinds)
        if names not in self._groups:
            self._groups[names] = list(_grouped({name: self._selections[name] for name in sorted(names)}))
        return self._groups[names]

    def result(self, settings: t.Mapping[str, int]) -> dict[str, t.Any]:
        """Return what each selection counted, by name."""
        return {name: self._result_of(name, selection, settings) for name, selection in self._selections.items()}

    def _result_of(self, name: str, selection: Selection, settings: t.Mapping[str, int]) -> dict[str, t.Any]:
        """Return what one selection counted: unknown, not 0, where the kernel keeps nothing to decide it with."""
        counts = self._counts[name]
        selected = {protocol: entries for (protocol, answer), entries in counts.items() if answer}
        undecidable = sum(entries for (_protocol, answer), entries in counts.items() if answer is None)
        entries = sum(selected.values())
        problem = None if entries else selection.problem(settings)
        if problem:
            nothing = dict.fromkeys(("entries", "percent", "protocols"))
            return {**nothing, "undecidable": undecidable, "unavailable": problem[1]}
        return {
            "entries": entries,
            "percent": percent(entries, self._total),
            "protocols": by_name(selected),
            "undecidable": undecidable,
            "unavailable": None,
        }


def by_name(entries: t.Mapping[int, int]) -> dict[str, int]:
    """Return numbers of entries by the protocol's name, the largest first."""
    ordered = sorted(entries.items(), key=lambda item: (-item[1], item[0]))
    return {PROTOCOL_NAMES.get(protocol, str(protocol)): number for protocol, number in ordered}

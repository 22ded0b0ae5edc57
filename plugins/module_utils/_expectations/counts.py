# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Expectations, counted: against their limit, by helper, by class and by master."""

from __future__ import annotations

import collections
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._expectations.expectation import Expectation
from ansible_collections.netops.conntrack.plugins.module_utils._expectations.fields import as_dict, tuple_dict
from ansible_collections.netops.conntrack.plugins.module_utils._units import percent

if t.TYPE_CHECKING:
    from ansible_collections.netops.conntrack.plugins.module_utils._expectations.selection import ExpectationSelection

_Read = t.Callable[[Expectation], t.Any]

_GROUPS: dict[str, _Read] = {
    "helper": lambda one: one.expected.helper,
    "master": lambda one: tuple(tuple_dict(one.master).items()),
    "class": lambda one: one.class_number,
    "zone": lambda one: one.zone,
    "protocol": lambda one: one.expected.protocol_name,
    "family": lambda one: one.expected.family_name,
}
GROUP_FIELDS = tuple(_GROUPS)
"""What expectations can be grouped by."""


def usage(count: int, limit: int | None) -> dict[str, t.Any]:
    """Return how full the table is. Percent is None where the limit is 0, which lets nothing in, or not known."""
    return {"count": count, "max": limit, "percent": percent(count, limit) if limit else None}


def summarize(expectations: t.Sequence[Expectation], limit: int | None, top: int) -> dict[str, t.Any]:
    """Return the facts about the expectations, with at most ``top`` masters and sources, those with most first."""
    helpers = collections.Counter(one.expected.helper for one in expectations)
    classes = collections.Counter(one.class_number for one in expectations)
    sources = collections.Counter(tuple_dict(one.master)["source"] for one in expectations)
    return {
        **usage(len(expectations), limit),
        "helpers": {str(name): number for name, number in helpers.most_common() if name is not None},
        "without_helper": helpers[None],
        "classes": {str(number): count for number, count in classes.most_common() if number is not None},
        "masters": groups_of(expectations, ["master", "helper"], top),
        "masters_distinct": len({_GROUPS["master"](one) for one in expectations}),
        "sources": [{"source": source, "expectations": number} for source, number in sources.most_common(top)],
        "unavailable": None,
    }


def query(
    listed: t.Sequence[Expectation], selection: ExpectationSelection, group_by: t.Sequence[str], limit: int
) -> dict[str, t.Any]:
    """Return which expectations are selected: their number, groups, and at most ``limit`` of each.

    Those that end last come first.
    """
    answers = [selection.decide(one) for one in listed]
    selected = [one for one, answer in zip(listed, answers) if answer]
    selected.sort(key=lambda one: -(one.expected.remaining or 0))
    return {
        "total": len(listed),
        "matched": len(selected),
        "undecidable": answers.count(None),
        "expectations": [as_dict(one) for one in selected[:limit]],
        "groups": groups_of(selected, group_by, limit) if group_by else [],
        "groups_distinct": len({_values_of(one, group_by) for one in selected}) if group_by else 0,
    }


def unavailable(limit: int | None, reason: str) -> dict[str, t.Any]:
    """Return the same facts where the kernel does not list its expectations, with the reason."""
    unknown = ("count", "percent", "helpers", "without_helper", "classes", "masters", "masters_distinct", "sources")
    return {**dict.fromkeys(unknown), "max": limit, "unavailable": reason}


def groups_of(expectations: t.Iterable[Expectation], group_by: t.Sequence[str], most: int) -> list[dict[str, t.Any]]:
    """Return at most so many groups with their number of expectations, the largest first."""
    counted = collections.Counter(_values_of(one, group_by) for one in expectations)
    return [_group_dict(values, group_by, number) for values, number in counted.most_common(most)]


def _values_of(expectation: Expectation, group_by: t.Sequence[str]) -> tuple[t.Any, ...]:
    return tuple(_GROUPS[name](expectation) for name in group_by)


def _group_dict(values: t.Sequence[t.Any], group_by: t.Sequence[str], number: int) -> dict[str, t.Any]:
    group: dict[str, t.Any] = dict(zip(group_by, values))
    if "master" in group:
        group["master"] = dict(group["master"])
    return {**group, "expectations": number}

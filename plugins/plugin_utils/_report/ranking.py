# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""What comes first wherever the fleet is shown: the routers and the checks that need somebody most."""

from __future__ import annotations

import math
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._selector.named_selectors import NAMED
from ansible_collections.netops.conntrack.plugins.plugin_utils._bounds import SELECTORS, is_finite
from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.check import SEVERITIES
from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.explanation import Explanation
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.audit_types import Audit, Count, Selector
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document_types import (
    VERDICTS,
    Check,
    Document,
    Host,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.view import (
    audits_of,
    batches_of,
    explanation_of,
    key_of,
    last_audit,
)

_PRUNE, _STALE = "prune", "stale"
"""The selector of what the prune deletes, which the role counts where that is not what is stale; and what is stale."""


def worst_first(document: Document) -> list[tuple[str, Host]]:
    """Return the routers of the fleet's ``document`` (see roll_up) as name and host, the worst first.

    They are ordered by verdict, then by how full the table is (unknown or without a limit last), then by name.
    """
    return sorted(document["hosts"].items(), key=_rank)


def worst_checks_first(document: Document) -> list[tuple[str, Check]]:
    """Return the checks of the ``document`` as id and check, by severity and then by id."""
    return sorted(document["checks"].items(), key=lambda item: (SEVERITIES.index(item[1]["severity"]), item[0]))


def batch_numbers(document: Document) -> dict[str, int]:
    """Return for each router of a roll-out the number of its batch, from 1."""
    return {host: number for number, batch in enumerate(batches_of(document), 1) for host in batch}


def selector_names(document: Document) -> list[str]:
    """Return the names of all selectors that were counted on any router, the most important one first."""
    audits = (audit for host in document["hosts"].values() for audit in audits_of(host))
    return _in_order({name for audit in audits for name in audit["selectors"]})


def overview_of(names: t.Iterable[str]) -> list[str]:
    """Return those of the ``names`` of selectors that an overview has room for, the most important one first.

    That is what the prune deletes, and all selectors that are not the collection's own.
    """
    ordered = _in_order(set(names))
    return [name for place, name in enumerate(ordered) if place == 0 or name not in NAMED][:SELECTORS]


def _in_order(names: set[str]) -> list[str]:
    """Return what the prune deletes first, then what is stale, then the others by name."""
    return sorted(names, key=lambda name: (name != _PRUNE, name != _STALE, name))


def selector_counts(audit: Audit, name: str) -> Selector | None:
    """Return what a selector counted in an ``audit``. None if it was not counted.

    Where ``prune`` was not counted by itself, what is stale is what the prune deletes.
    """
    counted = audit["selectors"]
    return counted.get(name) or (counted.get(_STALE) if name == _PRUNE else None)


def selected(audit: Audit, name: str) -> Count:
    """Return how many entries a selector counted in an ``audit``. None if that is not known."""
    counts = selector_counts(audit, name)
    return counts["entries"] if counts else None


def protocols_of(counts: Selector | None) -> list[tuple[str, Count]]:
    """Return what a selector counted by protocol, the most first. Nothing where all of it is TCP, as mostly it is."""
    protocols = (counts.get("protocols") if counts else None) or {}
    if set(protocols) <= {"tcp"}:
        return []
    return sorted(protocols.items(), key=lambda item: (-(item[1] or 0), item[0]))


def explanations(document: Document) -> list[tuple[Explanation, list[str]]]:
    """Return what fills the tables now, each explanation with the routers that it is the same for, the worst first."""
    groups: dict[t.Hashable, tuple[Explanation, list[str]]] = {}
    for name, host in worst_first(document):
        explanation = explanation_of(last_audit(host))
        if explanation:
            _explanation, names = groups.setdefault(key_of(explanation), (explanation, []))
            names.append(name)
    return list(groups.values())


def _rank(item: tuple[str, Host]) -> tuple[int, float, str]:
    name, host = item
    audit = last_audit(host)
    percent = audit["usage"]["percent"] if audit else None
    # The least room first. What was not measured comes last.
    room = 100 - percent if percent is not None and is_finite(percent) else math.inf
    return VERDICTS.index(host["verdict"]), room, name

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""The network namespaces of a router, as the report has them: how full each is, and what fills its table, in words."""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.cluster_words import Facts
from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.explanation import explain

_Count = t.Optional[t.Annotated[int, "at least 0"]]
_Number = t.Optional[t.Annotated[float, "at least 0"]]


class NamespaceAccount(t.TypedDict):
    """A network namespace. ``own`` is the one that all the rest of the audit is about."""

    title: str
    own: bool
    count: _Count
    max: _Count
    percent: _Number
    filled_by: str | None
    unavailable: str | None


class AcrossNamespaces(t.TypedDict):
    """What is known of all of them together. ``complete`` is None if it is not known whether these are all."""

    namespaces: t.Annotated[int, "at least 0"]
    left_out: t.Annotated[int, "at least 0"]
    hidden_processes: t.Annotated[int, "at least 0"]
    count: _Count
    buckets: _Count
    load_factor: _Number
    complete: bool | None
    unavailable: str | None


def accounts_of(facts: Facts) -> dict[str, NamespaceAccount] | None:
    """Return the namespaces in the ``facts`` of a router, by name. None where they were not measured.

    Commands that help are left out. They would have to name the namespace as well.
    """
    if "across_namespaces" not in facts:
        return None
    return {name: _account(namespace, facts) for name, namespace in facts["namespaces"].items()}


def _account(namespace: Facts, facts: Facts) -> NamespaceAccount:
    # The table of its own namespace is not there a second time.
    explanation = explain(facts if namespace["own"] else {**namespace, "usage": {"percent": namespace["percent"]}})
    return {
        "title": namespace["title"],
        "own": namespace["own"],
        "count": namespace["count"],
        "max": namespace["max"],
        "percent": namespace["percent"],
        "filled_by": explanation["filled_by"] if explanation else None,
        "unavailable": namespace["unavailable"],
    }

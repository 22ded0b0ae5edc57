# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""What comes first wherever the fleet is shown: the routers and the checks that need somebody most."""

from __future__ import annotations

import math

from ansible_collections.netops.conntrack.plugins.plugin_utils._checks import SEVERITIES
from ansible_collections.netops.conntrack.plugins.plugin_utils._report import VERDICTS, Record, last_audit


def worst_first(document: Record) -> list[tuple[str, Record]]:
    """Give the routers of the fleet's ``document`` (see roll_up) as name and host, the worst first.

    They are ordered by verdict, then by how full the table is (unknown or without a limit last), then by name.
    """
    return sorted(document["hosts"].items(), key=_rank)


def worst_checks_first(document: Record) -> list[tuple[str, Record]]:
    """Give the checks of the ``document`` as id and check, by severity and then by id."""
    return sorted(document["checks"].items(), key=lambda item: (SEVERITIES.index(item[1]["severity"]), item[0]))


def batch_numbers(document: Record) -> dict[str, int]:
    """Give for each router of a roll-out the number of its batch, from 1; nothing if there was no roll-out."""
    batches = document["rollout"]["batches"] if document["rollout"] else []
    return {host: number for number, batch in enumerate(batches, 1) for host in batch}


def selector_names(document: Record) -> list[str]:
    """Give the names of all selectors that were counted on any router: ``stale`` first, then by name."""
    audits = (host[phase] for host in document["hosts"].values() for phase in ("before", "after") if host[phase])
    return sorted({name for audit in audits for name in audit["selectors"]}, key=lambda name: (name != "stale", name))


def _rank(item: tuple[str, Record]) -> tuple[int, float, str]:
    name, host = item
    percent = (last_audit(host) or {"usage": {}})["usage"].get("percent")
    return VERDICTS.index(host["verdict"]), math.inf if percent is None else -percent, name

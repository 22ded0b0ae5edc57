# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""How many entries each named network namespace has. One that cannot be entered is unknown, and holds up no other."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils import _netns
from ansible_collections.netops.conntrack.plugins.module_utils._errors import ConntrackError, NotPermittedError
from ansible_collections.netops.conntrack.plugins.module_utils._facts.fullness import percent_full
from ansible_collections.netops.conntrack.plugins.module_utils._facts.namespaces import reason_of, shown
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.limits import (
    limit_that_holds,
    read_machine_limit,
)
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.sysctl import read_count, read_settings

Facts = dict[str, t.Any]


def count_named() -> dict[str, Facts]:
    """Return count and share of the limit, in percent, for each named network namespace of the machine.

    ``unavailable`` says why one is unknown. A name that goes meanwhile is left out. Raises UnavailableError without the
    library that enters namespaces, and NotPermittedError without the right to enter any of them.
    """
    try:
        names = _netns.names()
    except OSError as error:
        return {_netns.NETNS_DIRECTORY: _unknown(str(error.strerror))}
    machine_limit = read_machine_limit()
    counted: dict[str, Facts] = {}
    refusals = []
    for name in names:
        _netns.library(name)
        # Two names can look the same once they are made printable.
        key = f"{shown(name)} ({len(counted)})" if shown(name) in counted else shown(name)
        try:
            counted[key] = _count(name, machine_limit)
        except ConntrackError as error:
            if not os.path.lexists(_netns.path_of(name)):
                continue
            counted[key] = _unknown(reason_of(error.message))
            if isinstance(error, NotPermittedError):
                refusals.append(error)
    if refusals and all(one["unavailable"] for one in counted.values()):
        raise refusals[0]
    return counted


def _count(name: str, machine_limit: int | None) -> Facts:
    with _netns.inside(_netns.reference_to(name)):
        count, limit = read_count(), limit_that_holds(read_settings().get("max"), machine_limit)
    if count is None:
        return _unknown("the kernel does not say how many entries it has")
    return {"count": count, "percent": percent_full(count, limit), "unavailable": None}


def _unknown(reason: str) -> Facts:
    return {"count": None, "percent": None, "unavailable": reason}

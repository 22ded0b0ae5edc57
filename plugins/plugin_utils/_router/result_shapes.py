# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""The shape of what each module returns, as its documentation says.

A router that was taken over can put anything into its answer. What has no place here reaches nobody. Each limit is well
above what an honest router has, and where an option says how much is returned, that is the limit.
"""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.plugin_utils._router.change_shapes import (
    CHANGED_SETTINGS,
    RESTORE,
    TIMEOUT_POLICY,
    UPDATE,
    create,
    prune,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._router.common_shapes import COUNT, Arguments, Fields
from ansible_collections.netops.conntrack.plugins.plugin_utils._router.expectation_shapes import (
    expect_info,
    expect_prune,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._router.facts_shapes import facts
from ansible_collections.netops.conntrack.plugins.plugin_utils._router.info_shapes import events, info
from ansible_collections.netops.conntrack.plugins.plugin_utils._router.shape import mapping, text

_UNAVAILABLE: Fields = {"unavailable": text()}
_OF_FAILURES: dict[str, Fields] = {
    "conntrack_create": {"failures": mapping(COUNT, 256)},
    "conntrack_expect_prune": {"failures": mapping(COUNT, 256)},
    "conntrack_events": _UNAVAILABLE,
    "conntrack_info": _UNAVAILABLE,
    "conntrack_prune": {"failures": mapping(COUNT, 256), **_UNAVAILABLE},
    "conntrack_restore": {"failures": mapping(COUNT, 256)},
    "conntrack_update": {"failures": mapping(COUNT, 256), **_UNAVAILABLE},
}

_OF_SUCCESS: dict[str, t.Callable[[Arguments], Fields]] = {
    "conntrack_create": create,
    "conntrack_events": events,
    "conntrack_expect_info": expect_info,
    "conntrack_expect_prune": expect_prune,
    "conntrack_facts": facts,
    "conntrack_info": info,
    "conntrack_prune": prune,
    "conntrack_restore": lambda _arguments: RESTORE,
    "conntrack_settings": lambda _arguments: CHANGED_SETTINGS,
    "conntrack_timeout_policy": lambda _arguments: TIMEOUT_POLICY,
    "conntrack_update": lambda _arguments: UPDATE,
}


def fields_of_success(module: str, arguments: Arguments) -> Fields:
    """Return the fields that a module returns for these ``arguments`` when it succeeds."""
    return _OF_SUCCESS[module](arguments) if module in _OF_SUCCESS else {}


def fields_of_failure(module: str, arguments: Arguments) -> Fields:
    """Return the fields that a module may return when it fails, besides those that any module has."""
    fields = {**fields_of_success(module, arguments), **_OF_FAILURES.get(module, {})}
    return {name: shape for name, shape in fields.items() if name != "ansible_facts"}

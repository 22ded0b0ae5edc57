# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The options that modules share which change entries, and the names of what protects entries."""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._entry.control_traffic import PORTS, PROTOCOLS
from ansible_collections.netops.conntrack.plugins.module_utils._module import MATCH_OPTIONS

MANAGEMENT, HELPER = "management", "helper"
ADDRESS, EXPECTATION, CONNTRACKD = "address", "expectation", "conntrackd"

CONTROL = tuple(sorted({*PROTOCOLS.values(), *(name for ports in PORTS.values() for name in ports.values())}))
"""The names of the protocols that are protected."""

NAMES = (MANAGEMENT, HELPER, EXPECTATION, ADDRESS, *CONTROL, CONNTRACKD)
"""The names of all protections."""

PROTECT_OPTIONS: dict[str, t.Any] = {
    "protect_management": {"type": "bool", "default": True},
    "protect": {"type": "list", "elements": "str", "default": []},
    "unprotect": {"type": "list", "elements": "str", "choices": list(NAMES), "default": []},
}
"""The options that protect entries. They are documented in the fragment ``netops.conntrack._protect``."""

GUARD_OPTIONS: dict[str, t.Any] = {
    **PROTECT_OPTIONS,
    "protect_helpers": {"type": "bool", "default": True},
    "confirm_idle": {"type": "str", "default": "0"},
    "confirm_idle_when": {"type": "str", "choices": ["always", "idle"], "default": "always"},
}
"""The options that let selected entries stay."""

ASSUME_DELETED_OPTION: dict[str, t.Any] = {
    "assume_deleted": {"type": "dict", "options": {**MATCH_OPTIONS, **GUARD_OPTIONS}},
}
"""The option with the options of a prune that comes before."""

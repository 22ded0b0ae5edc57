# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""What the next boot sets, next to the settings of now and to what this collection has changed."""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._boot.drift import compare
from ansible_collections.netops.conntrack.plugins.module_utils._boot.next_boot import next_boot
from ansible_collections.netops.conntrack.plugins.module_utils._boot.owners import competing_owners
from ansible_collections.netops.conntrack.plugins.module_utils._settings.record import describe_records
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.sysctl import read_settings

_MOST_UNREADABLE = 64
"""So many files that may not be read are named at most."""


def boot_facts() -> dict[str, t.Any]:
    """Return the facts ``boot``. What a boot sets, it sets for the machine, outside of any other namespace."""
    unreadable: set[str] = set()
    boot = next_boot()
    facts = compare(read_settings(), boot, competing_owners(unreadable=unreadable))
    denied = sorted(unreadable | boot.unreadable)
    return {**facts, "records": describe_records(), "unreadable": denied[:_MOST_UNREADABLE]}

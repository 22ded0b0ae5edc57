# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""What is needed besides an entry to tell its age, its idle time and the like: the settings, and the time."""

from __future__ import annotations

import dataclasses
import functools
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._entry.entry import Entry
from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeouts import Timeouts


@dataclasses.dataclass(frozen=True)
class Context:
    """The sysctls by short name, and the time in nanoseconds since the epoch.

    ``given`` is what is known of timeouts. Without it, nothing but the sysctls is. ``unlisted`` is what the entries do
    not tell, although every entry has it, or has it or not: names of selector keys, ``status`` for the bits of the
    status that no key asks for, and "assured of offloaded" where an entry that is offloaded does not tell whether it is
    assured. The kernel tells all of that, a file does not (see _listing.listing).
    """

    settings: t.Mapping[str, int]
    now: int
    given: Timeouts | None = None
    unlisted: frozenset[str] = frozenset()

    @classmethod
    def read(cls, settings: t.Mapping[str, int]) -> Context:
        """Return the context of this moment in the present network namespace, whose sysctls are ``settings``.

        Raises what Timeouts.read raises.
        """
        timeouts = Timeouts.read(settings)
        return cls(settings, timeouts.now, timeouts)

    @functools.cached_property
    def timeouts(self) -> Timeouts:
        """What is known of the timeouts that entries may have got."""
        return self.given or Timeouts(self.settings, self.now)

    def has_bits(self, entry: Entry, name: str, bits: int) -> bool | None:
        """Return whether the entry's status has any of these bits, which are called ``name``. None if it is unknown."""
        status = entry.status
        if status is None or name in self.unlisted:
            return None
        if f"{name} of offloaded" in self.unlisted and status & (_uapi.OFFLOAD | _uapi.HW_OFFLOAD):
            return True if status & bits else None
        return bool(status & bits)

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""What is needed besides an entry to tell its age, its idle time and the like: the settings, and the time."""

from __future__ import annotations

import dataclasses
import functools
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeouts import Timeouts


@dataclasses.dataclass(frozen=True)
class Context:
    """The sysctls by short name, and the time in nanoseconds since the epoch.

    ``given`` is what is known of timeouts. Without it, nothing but the sysctls is.
    """

    settings: t.Mapping[str, int]
    now: int
    given: Timeouts | None = None

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

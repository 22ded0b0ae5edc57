# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""What the controller knows of a run that is interrupted: what was done by then, and which modules were at work."""

from __future__ import annotations

import collections.abc
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._printable import visible

_COUNTS = {
    "conntrack_create": "created",
    "conntrack_expect_prune": "deleted",
    "conntrack_prune": "deleted",
    "conntrack_restore": "restored",
    "conntrack_update": "updated",
}
"""Modules that change entries or expectations, and what their results call those."""

_EXPECTATIONS = "conntrack_expect_prune"

_DONE_AS_A_WHOLE = {
    "conntrack_settings": "the settings were changed.",
    "conntrack_timeout_policy": "timeout policies were changed.",
}
"""Modules whose changes are not counted, and what is said of a router that they changed."""

_MOST_NAMES = 10


class Unfinished:
    """Which modules that change routers are at work, and what those before them did."""

    def __init__(self) -> None:
        self._at_work: dict[str, str] = {}
        self._counts: dict[tuple[str, str], int] = {}
        self._changed: dict[str, set[str]] = {}

    def begin(self, router: str, action: t.Any) -> None:
        """Note that a task begins on a router."""
        module = _module_of(action)
        if module in _COUNTS or module in _DONE_AS_A_WHOLE:
            self._at_work[router] = module

    def end(self, router: str, action: t.Any, result: t.Any) -> None:
        """Note the result of a task on a router."""
        self.note(router, action, result)
        self._at_work.pop(router, None)

    def note(self, router: str, action: t.Any, result: t.Any) -> None:
        """Note a result of the task that is at work on a router, such as that of one item of its loop."""
        module = _module_of(action)
        if self._at_work.get(router) != module or not isinstance(result, collections.abc.Mapping):
            return
        if module in _DONE_AS_A_WHOLE:
            if result.get("changed"):
                self._changed.setdefault(module, set()).add(router)
            return
        number = result.get(_COUNTS[module])
        if isinstance(number, int) and number:
            what = "expectations" if module == _EXPECTATIONS else "entries"
            key = router, f"{what} were {_COUNTS[module]}"
            self._counts[key] = self._counts.get(key, 0) + number

    def lines(self) -> list[str]:
        """Return what is known of it, line by line. Nothing where no router was changed."""
        messages = []
        for (router, done), number in sorted(self._counts.items()):
            messages.append(f"{router}: {number:,} {done}.")
        for module, changed in sorted(self._changed.items()):
            messages.append(f"{_named(changed)}: {_DONE_AS_A_WHOLE[module]}")
        for module in sorted(set(self._at_work.values())):
            routers = [router for router, at_work in self._at_work.items() if at_work == module]
            messages.append(f"{_named(routers)}: {module} was at work. {_NOT_KNOWN} {_LATER[module]}")
        if not messages:
            return []
        return [visible(line) for line in ["The run was interrupted. What is known of it here:", *messages]]


_NOT_KNOWN = (
    "What it did by then is not known here, and it may go on to its end there. If its connection ended it, the system "
    "log of the router says what it did (journalctl -t netops.conntrack)."
)
_LATER = {
    _EXPECTATIONS: "Deleted expectations do not come back by themselves. Run the playbook again for the rest.",
    "conntrack_prune": "Deleted entries do not come back by themselves. Run the playbook again for the rest.",
    "conntrack_create": "Entries that were created stay. Run the playbook again for the rest.",
    "conntrack_restore": "Entries that were restored stay. Run the playbook again for the rest.",
    "conntrack_settings": (
        "With confirm_within, the router restores its old values by itself when that time is over. Without it, "
        "state: absent restores what was there before."
    ),
    "conntrack_timeout_policy": "Timeout policies are finished as a whole. Run the playbook again for the rest.",
    "conntrack_update": "Entries that were updated keep what they were given. Run the playbook again for the rest.",
}
"""By module, what happens by itself, and what does not."""


def _module_of(action: t.Any) -> str:
    return str(action).rpartition(".")[2]


def _named(routers: t.Collection[str]) -> str:
    more = len(routers) - _MOST_NAMES
    return f"{', '.join(sorted(routers)[:_MOST_NAMES])}{f' and {more} more' if more > 0 else ''}"

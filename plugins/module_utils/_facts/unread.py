# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""What is unknown in the facts because a process without root may not read it, in words."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils import _netns
from ansible_collections.netops.conntrack.plugins.module_utils._errors import BECOME_ROOT, NotPermittedError

_ROOT = 0
_OF_ENTRIES = ("table", "selectors", "forecast", "rates")
"""The facts that tell how long entries have been idle."""

_SHOWN = 3


def unread(facts: t.Mapping[str, t.Any], netns: str | None) -> t.Iterator[str]:
    """Yield what is unknown in the facts of the namespace ``netns`` for lack of a right, with the right that it takes.

    Raises what ``read_record`` raises, and as ``inside`` does.
    """
    if os.geteuid() == _ROOT:
        return
    boot = facts.get("boot")
    if boot and boot["unreadable"]:
        paths = boot["unreadable"]
        more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
        yield (
            f"boot: {', '.join(paths[:_SHOWN])}{more} may not be read, and count as not there. So the next boot may "
            f"set other values than the facts say. It takes root, or CAP_DAC_READ_SEARCH. {BECOME_ROOT}"
        )
    if any(name in facts for name in _OF_ENTRIES):
        # Root has got this far never, and should not have to compile it.
        from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeout_record import read_record

        with _netns.inside(netns):
            problem = read_record().unreadable
        if problem:
            yield f"table: {problem} All idle times are unknown. {BECOME_ROOT}"
    groups = facts.get("table", {}).get("filled_by", ())
    if any(group["prunable"] is None for group in groups):
        with _netns.inside(netns):
            problem = _why_ports_are_unknown()
        if problem:
            yield f"table: how many entries of a group a prune can delete is unknown. {problem}"
    full = facts.get("stats", {}).get("table_full", {}).get("unreadable")
    if full:
        yield (
            f"stats: how often the kernel logged that the table was full is unknown ({full}). It takes root, or "
            f"CAP_SYSLOG. {BECOME_ROOT}"
        )


def _why_ports_are_unknown() -> str:
    """Return why the ports of conntrackd in the present namespace are unknown, or "" where they are known."""
    from ansible_collections.netops.conntrack.plugins.module_utils._pair.sync_ports import sync_ports

    try:
        sync_ports()
    except NotPermittedError as error:
        return error.message
    return ""

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Which selected entries are looked up once more right before their delete, because they may not match any more.

A handshake that was under way when the table was read is an established connection a moment later. The kernel compares
tuple, zone and id before it deletes, and nothing else. So what is selected by anything that a packet or a program may
change is looked up and judged again.

Where the whole table is read before the first delete, seconds lie between the two, and all of those are looked up.
Where each part of the table is pruned once it is read, it is a fraction of a second. Then only those are looked up that
saw a packet shortly before, or of which nobody knows: a look takes longer than the delete.
"""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._entry.entry import Entry
from ansible_collections.netops.conntrack.plugins.module_utils._selector.compiler import Selection, compile_selection
from ansible_collections.netops.conntrack.plugins.module_utils._selector.key import Breakpoints

RECENT_SECONDS = 3
"""Within this time after a packet, its answer may still come. It is longer than the round trip of any live connection,
and than the time from the reading of a part to its deletes."""

_LASTING_KEYS = frozenset(
    (
        "family",
        "protocol",
        "source",
        "destination",
        "reply_source",
        "reply_destination",
        "address",
        "source_list",
        "destination_list",
        "address_list",
        "source_port",
        "destination_port",
        "reply_source_port",
        "reply_destination_port",
        "source_key",
        "destination_key",
        "reply_source_key",
        "reply_destination_key",
        "icmp_type",
        "icmp_code",
        "icmp_id",
        "reply_icmp_type",
        "reply_icmp_code",
        "reply_icmp_id",
        "zone",
        "zone_original",
        "zone_reply",
        "id",
        "nat",
        "expected",
    )
)
"""What an entry keeps from its birth to its end: tuples, zone and id, and how it came about."""


class Recent(t.NamedTuple):
    """The test whether an entry saw a packet shortly before, or may have. It reads ``fields``, with ``breakpoints``."""

    test: t.Callable[[Entry], bool]
    fields: frozenset[str]
    breakpoints: Breakpoints

    @classmethod
    def of(cls, selection: Selection, context: Context) -> Recent:
        """Return the test for entries of the selection, which is true of none if they cannot cease to match."""
        if not may_change(selection):
            return NONE_RECENT
        quiet = compile_selection([{"idle": {"min": RECENT_SECONDS}}], None, context)
        return cls(lambda entry: quiet.decide(entry) is not True, quiet.fields, quiet.breakpoints)


NONE_RECENT = Recent(lambda _entry: False, frozenset(), {})


def may_change(selection: Selection) -> bool:
    """Return whether an entry that is selected may cease to be, while it stays the same entry."""
    return not selection.every_key <= _LASTING_KEYS

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The keys of a selector that take ``{min: , max: }``: counters and times.

Both ends are inclusive, and one of them may be left out.
"""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._entry.entry import Entry
from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeouts import (
    IDLE_FIELDS,
    age,
    age_changes,
    idle,
    idle_changes,
)
from ansible_collections.netops.conntrack.plugins.module_utils._selector.key import Answer, Breakpoints, Compiled, Key
from ansible_collections.netops.conntrack.plugins.module_utils._selector.values import (
    Range,
    breakpoints_of,
    parse_count,
    parse_range,
)
from ansible_collections.netops.conntrack.plugins.module_utils._units import parse_duration

_Read = t.Callable[[Entry, Context], t.Optional[int]]
_BreakpointsOf = t.Callable[[t.Sequence[Range], Context], Breakpoints]


def counter_key(field: str) -> Key[Range]:
    """Make a key for a counter of one direction."""

    def read(entry: Entry, _context: Context) -> int | None:
        amount: int | None = getattr(entry, field)
        return amount

    return _amount_key(read, parse_count, (field,), _of_field(field))


def both_counters_key(original: str, reply: str) -> Key[Range]:
    """Make a key for the sum of the counters of both directions. It has no breakpoints, because it reads two fields."""

    def read(entry: Entry, _context: Context) -> int | None:
        of_original, of_reply = getattr(entry, original), getattr(entry, reply)
        return None if of_original is None or of_reply is None else of_original + of_reply

    return _amount_key(read, parse_count, (original, reply), _none)


def remaining_key() -> Key[Range]:
    """Make the key for the time until the entry ends."""
    return _amount_key(lambda entry, _context: entry.remaining, parse_duration, ("remaining",), _of_field("remaining"))


def idle_key() -> Key[Range]:
    """Make the key for the time without a packet. It is worked out from several fields, each with breakpoints."""

    def breakpoints(ranges: t.Sequence[Range], context: Context) -> Breakpoints:
        bounds = breakpoints_of(ranges)
        return {
            "remaining": idle_changes(bounds, context.timeouts),
            "start": age_changes(bounds, context.timeouts),
        }

    return _amount_key(
        lambda entry, context: idle(entry, context.timeouts), parse_duration, tuple(IDLE_FIELDS), breakpoints
    )


def age_key() -> Key[Range]:
    """Make the key for the time since the entry was made."""

    def breakpoints(ranges: t.Sequence[Range], context: Context) -> Breakpoints:
        return {"start": age_changes(breakpoints_of(ranges), context.timeouts)}

    return _amount_key(
        lambda entry, context: age(entry.start, context.timeouts), parse_duration, ("start",), breakpoints
    )


def _none(_ranges: t.Sequence[Range], _context: Context) -> Breakpoints:
    return {}


def _of_field(field: str) -> _BreakpointsOf:
    """Return the breakpoints of an amount that is the field itself."""

    def breakpoints(ranges: t.Sequence[Range], _context: Context) -> Breakpoints:
        return {field: breakpoints_of(ranges)}

    return breakpoints


def _amount_key(
    read: _Read, parse: t.Callable[[t.Any, str], int], fields: tuple[str, ...], breakpoints: _BreakpointsOf
) -> Key[Range]:
    """Make a key that compares what is ``read`` with ranges, both ends of which are read by ``parse``."""

    def compiled(ranges: list[Range], context: Context) -> Compiled:
        def test(entry: Entry) -> Answer:
            amount = read(entry, context)
            return None if amount is None else any(each.contains(amount) for each in ranges)

        return Compiled(test, breakpoints=breakpoints(ranges, context))

    return Key(lambda value, option: parse_range(value, option, parse), compiled, fields)

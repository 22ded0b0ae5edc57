# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""What a prune is to delete: the selection, the guards that keep some of it, and the limit."""

from __future__ import annotations

import dataclasses
import fractions
import re
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeout_record import refuse_changed
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.guards import Guards, guards_of
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.module_utils._selector.compiler import Selection
from ansible_collections.netops.conntrack.plugins.module_utils._table.kernel_filter import Condition
from ansible_collections.netops.conntrack.plugins.module_utils._units import parse_duration, parse_number

_PERCENT = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*%", re.ASCII)
_MOST_ENTRIES = 0xFFFFFFFF
_LONGEST_WAIT = 600


@dataclasses.dataclass(frozen=True)
class Limit:
    """How many entries may be deleted at most: a number, or a share of the table in percent."""

    given: t.Any
    number: int | None = None
    percent: fractions.Fraction | None = None

    def number_of(self, total: int) -> int:
        """Return the limit as a number for a table of ``total`` entries, rounded down."""
        if self.percent is not None:
            return int(self.percent * total / 100)
        return total if self.number is None else self.number


def parse_limit(value: t.Any) -> Limit:
    """Read the option max_delete: a whole number, a share such as "40%". None and "100%" are no limit.

    Raises OptionError.
    """
    if value is None:
        return Limit(value)
    share = _PERCENT.fullmatch(str(value).strip())
    if share is None:
        return Limit(value, number=_parse_most(value))
    percent = fractions.Fraction(share.group(1))
    if percent > 100:
        raise OptionError("max_delete", value, "is more than the whole table", 'Give a share from "0%" to "100%".')
    return Limit(None) if percent == 100 else Limit(value, percent=percent)


def _parse_most(value: t.Any) -> int:
    try:
        return parse_number(value, "max_delete", _MOST_ENTRIES)
    except OptionError:
        remedy = f'Give a number of entries from 0 to {_MOST_ENTRIES}, or a share of the table such as "10%".'
        raise OptionError("max_delete", value, "is neither a number nor a share", remedy) from None


def parse_confirm_idle(value: t.Any) -> int:
    """Return the option confirm_idle in seconds. Raises OptionError."""
    seconds = parse_duration(value, "confirm_idle")
    if seconds > _LONGEST_WAIT:
        raise OptionError("confirm_idle", value, "is longer than 10 minutes", "Give 0 to 10m, such as 30s.")
    return seconds


@dataclasses.dataclass(frozen=True)
class PrunePlan:
    """What to delete, with the ``context`` that the selection was compiled for.

    ``sample`` of the entries are shown, as lines, and as dicts where ``entries`` says so.
    ``whole`` says that the numbers of all groups are wanted, and not only of the entries that are selected.
    ``confirm_idle`` is the number of seconds after which they are looked at a second time. 0 is for no second look.
    """

    selection: Selection
    guards: Guards
    context: Context
    sample: int
    whole: bool
    confirm_idle: int = 0
    entries: bool = True

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """What the kernel may be asked for instead of the whole table."""
        return () if self.whole else self.selection.conditions

    def refuse_changed_timeouts(self) -> None:
        """Raise UnavailableError if idle times that were read are wrong, because a timeout was changed since the start.

        A shorter timeout makes an entry that just saw a packet look as if it had been idle for long.
        """
        if "idle" in self.selection.every_key:
            refuse_changed(self.context.timeouts.record)


def plan_of(
    params: t.Mapping[str, t.Any],
    selection: Selection,
    context: Context,
    sample: int = 0,
    whole: bool = False,
    entries: bool = True,
) -> PrunePlan:
    """Return the plan of a prune of the selection with the GUARD_OPTIONS in ``params``.

    Raises OptionError, and what ``guards_of`` raises.
    """
    confirm_idle = parse_confirm_idle(params["confirm_idle"])
    if params["confirm_idle_when"] == "idle" and "idle" not in selection.every_key:
        confirm_idle = 0
    guards = guards_of(params, helpers=params["protect_helpers"] and "helper" not in selection.common_keys)
    return PrunePlan(selection, guards, context, sample, whole, confirm_idle, entries)

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""What the selected entries are to have: how much time left at most, and which mark."""

from __future__ import annotations

import dataclasses
import os
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._entry.entry import Entry
from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeout_claims import (
    CLAIM_FIELDS,
    NOTHING_CLAIMED,
    Claims,
    lowered_bounds,
)
from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeout_record import (
    TimeoutRecord,
    refuse_changed,
)
from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeouts import (
    Timeouts,
    kernel_release,
    longest_timeout,
)
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.guards import Guards
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.outcome import (
    GROUP_FIELDS,
)
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.rehearsal import Pruned
from ansible_collections.netops.conntrack.plugins.module_utils._errors import (
    OptionError,
    UnavailableError,
)
from ansible_collections.netops.conntrack.plugins.module_utils._selector.compiler import Selection
from ansible_collections.netops.conntrack.plugins.module_utils._selector.key import Breakpoints
from ansible_collections.netops.conntrack.plugins.module_utils._selector.values import mark_and_mask
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.sysctl import short_name_of
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.values import kernel_takes, parse_value
from ansible_collections.netops.conntrack.plugins.module_utils._uapi import FIXED_TIMEOUT
from ansible_collections.netops.conntrack.plugins.module_utils._units import parse_duration

SETTINGS = "settings"
"""The timeout that the sysctls give an entry."""

Mark = tuple[int, int]
"""Value and mask."""

_WHOLE = 0xFFFFFFFF
_MASK_SINCE = (3, 14)
"""Since then the kernel heeds the mask of a mark that is set (ctnetlink_change_mark(), nf_conntrack_netlink.c)."""


def parse_timeout(value: t.Any) -> int | str | None:
    """Read the option timeout: ``settings``, or {max: DURATION}, which is given in seconds. Raises OptionError.

    For {settings: {...}}, whose values ``wanted_timeouts`` returns, it is ``settings`` as well.
    """
    if value is None or value == SETTINGS:
        return t.cast(t.Optional[str], value)
    if isinstance(value, dict) and set(value) == {SETTINGS} and isinstance(value[SETTINGS], dict):
        return SETTINGS
    if not isinstance(value, dict) or set(value) != {"max"}:
        raise OptionError("timeout", value, "is not a timeout", "Give settings, {settings: {...}}, or {max: 15h}.")
    most = parse_duration(value["max"], "timeout.max")
    if most < 1:
        raise OptionError("timeout.max", value["max"], "would end the entries", "Use netops.conntrack.conntrack_prune.")
    return most


def wanted_timeouts(value: t.Any, present: t.Mapping[str, int], dry_run: bool = False) -> dict[str, int]:
    """Return the timeouts that entries are to have, by short name, as the option timeout names them.

    For ``settings`` these are the ``present`` values of the sysctls, for {settings: {...}} those that it gives. In a
    dry run it may give any number that the kernel takes, and otherwise also the one that the kernel has. Raises
    OptionError for a value that cannot be used, and for a name that the sysctls do not have.
    """
    if value == SETTINGS:
        return dict(present)
    if not isinstance(value, dict):
        return {}
    wanted = {}
    for name, given in value.get(SETTINGS, {}).items():
        short_name = short_name_of(name) or name
        if short_name not in present:
            remedy = "ansible_facts['conntrack'].settings lists those that it has."
            raise OptionError("timeout.settings", name, "is no connection-tracking setting of this kernel", remedy)
        # What was there before the first run is restored as it was, such as a timeout of 0 or of 30 days.
        is_number = isinstance(given, int) and not isinstance(given, bool)
        restored = is_number and (given == present[short_name] or (dry_run and kernel_takes(short_name, given)))
        wanted[short_name] = given if restored else parse_value(short_name, given, f"timeout.{SETTINGS}.{name}")
    return wanted


def parse_mark(value: t.Any) -> Mark | None:
    """Read the option mark: a number, also with a mask. Raises OptionError."""
    if value is None:
        return None
    mark, mask = mark_and_mask(value, "mark")
    if mask == 0:
        raise OptionError("mark", value, "changes no bit", "Give a mask that is not 0, such as 0x10/0xff.")
    return mark, mask


class EntryUpdate(t.NamedTuple):
    """What an entry lacks, or is to be sent: the seconds that it may have left at most, and a mark.

    None is for nothing of that kind.
    """

    timeout: int | None
    mark: Mark | None

    def __bool__(self) -> bool:
        return self != NO_UPDATE

    def descriptions(self) -> t.Iterator[str]:
        """Say what entries are like that lack it."""
        if self.timeout is not None:
            yield f"more than {self.timeout} s left"
        if self.mark is not None:
            yield "mark other than {:#x}/{:#x}".format(*self.mark)


NO_UPDATE = EntryUpdate(None, None)


@dataclasses.dataclass(frozen=True)
class Aim:
    """What the entries are to have: at most so many seconds left (SETTINGS: as the sysctls say), and a mark.

    ``settings`` are the sysctls with the timeouts that are wanted. ``claims`` decide which entries these shorten.
    """

    timeout: int | str | None
    mark: Mark | None
    settings: t.Mapping[str, int]
    claims: Claims = NOTHING_CLAIMED

    @property
    def fields(self) -> frozenset[str]:
        """The fields of an entry that ``cap``, ``claims`` and ``lacking_mark`` read."""
        return (CLAIM_FIELDS if self.timeout is not None else frozenset()) | ({"mark"} if self.mark else frozenset())

    def caps(self) -> set[int]:
        """Return every number that ``cap`` may give."""
        if isinstance(self.timeout, int):
            return {self.timeout}
        return {max(1, value) for name, value in self.settings.items() if "timeout" in name}

    def obstacle(self, entry: Entry, cap: int) -> str:
        """Return what an entry that keeps more than ``cap`` is counted as. "" means that it does not keep it."""
        if (entry.status or 0) & FIXED_TIMEOUT:
            return "fixed_timeout"
        return "" if isinstance(self.timeout, int) else self.claims.reason_to_keep(entry, self.settings, cap)

    def cap(self, entry: Entry) -> int | None:
        """Return the most seconds that the entry may have left, or None where no sysctl tells."""
        if isinstance(self.timeout, int):
            return self.timeout
        longest = longest_timeout(entry, self.settings)
        # The kernel takes -1, too, which is no time that can be waited for.
        return None if longest is None or longest < 0 else max(1, longest)

    def lacking_mark(self, entry: Entry) -> Mark | None:
        """Return the mark if the entry does not have it. Raises UnavailableError where its mark is not known."""
        if self.mark is None:
            return None
        if entry.mark is None:
            raise UnavailableError(
                "mark: the kernel does not show the mark of an entry, so that none can be set safely. It has no marks "
                "(CONFIG_NF_CONNTRACK_MARK), or is one of the versions around 6.1 that hide a mark of 0: update it."
            )
        value, mask = self.mark
        return None if entry.mark & mask == value else self.mark


def aim_of(timeout: t.Any, mark: t.Any, timeouts: Timeouts, dry_run: bool) -> Aim:
    """Return what the options ``timeout`` and ``mark`` aim at on a router of which ``timeouts`` are known.

    Raises OptionError, also for timeouts that are not the present ones unless it is a dry run.
    """
    most, number, present = parse_timeout(timeout), parse_mark(mark), timeouts.settings
    if number and number[1] != _WHOLE and kernel_release() < _MASK_SINCE:
        problem = f"has a mask, which this kernel ({os.uname().release}) does not heed: it would replace the whole mark"
        raise OptionError("mark", mark, problem, "Give the whole mark, without a mask. Linux 3.14 and later heed it.")
    if most != SETTINGS:
        return Aim(most, number, present)
    wanted = wanted_timeouts(timeout, present, dry_run)
    for name in () if dry_run else sorted(wanted):
        if "timeout" in name and wanted[name] != present[name]:
            problem = f"is not what the kernel has now, which is {present[name]}"
            remedy = "Set it with netops.conntrack.conntrack_settings first, or give --check to see what it would do."
            raise OptionError(f"timeout.{SETTINGS}.{name}", wanted[name], problem, remedy)
    timeouts.record.require("timeout")
    claims = Claims(lowered_bounds(wanted, present, timeouts.record), timeouts.policies)
    return Aim(most, number, {**present, **wanted}, claims)


@dataclasses.dataclass(frozen=True)
class UpdatePlan:
    """Which entries get what. What the ``guards`` protect keeps its timeout, and the SSH connection also its mark.

    With ``pruned``, the entries that it leaves out are taken for deleted. ``record`` is what the selection was compiled
    with.
    """

    selection: Selection
    aim: Aim
    guards: Guards
    record: TimeoutRecord
    pruned: Pruned | None = None

    @property
    def fields(self) -> frozenset[str]:
        """The fields of an entry that decide."""
        return GROUP_FIELDS | self.selection.fields | self.aim.fields

    @property
    def breakpoints(self) -> Breakpoints:
        """As Selection.breakpoints, for what is decided here."""
        breakpoints = dict(self.selection.breakpoints)
        if "remaining" in breakpoints or "remaining" not in self.selection.fields:
            breakpoints["remaining"] = {
                *breakpoints.get("remaining", ()),
                *(cap + 1 for cap in self.aim.caps()),
                *self.aim.claims.breakpoints,
            }
        return breakpoints

    def refuse_changed_timeouts(self) -> None:
        """Raise UnavailableError if idle times that were read are wrong (see PrunePlan.refuse_changed_timeouts)."""
        if "idle" in self.selection.every_key:
            refuse_changed(self.record)

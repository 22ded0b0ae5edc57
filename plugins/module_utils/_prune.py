# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Deleting the selected entries: one survey of the table, the guards, and then the deletes."""

from __future__ import annotations

import collections
import dataclasses
import errno
import fractions
import os
import re
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._errors import (
    ConntrackError,
    OptionError,
    RefusedError,
)
from ansible_collections.netops.conntrack.plugins.module_utils._formats import as_dict
from ansible_collections.netops.conntrack.plugins.module_utils._management import Connection, is_management
from ansible_collections.netops.conntrack.plugins.module_utils._selector import Context, Selection
from ansible_collections.netops.conntrack.plugins.module_utils._table import Table
from ansible_collections.netops.conntrack.plugins.module_utils._units import parse_number
from ansible_collections.netops.conntrack.plugins.module_utils._wire import FAMILY_NAMES, SEEN_REPLY, Entry

_PERCENT = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*%", re.ASCII)
_MOST_ENTRIES = 0xFFFFFFFF


@dataclasses.dataclass(frozen=True)
class Limit:
    """How many entries may be deleted at most: a number, or a share of the table in percent."""

    given: t.Any
    number: int | None = None
    percent: fractions.Fraction | None = None

    def of(self, total: int) -> int:
        """Give the limit as a number for a table of ``total`` entries, rounded down."""
        if self.percent is not None:
            return int(self.percent * total / 100)
        return total if self.number is None else self.number


def parse_limit(value: t.Any) -> Limit:
    """Read the option max_delete: a whole number, a share such as "40%", or None for no limit. Raises OptionError."""
    if value is None:
        return Limit(value)
    share = _PERCENT.fullmatch(str(value).strip())
    if share is None:
        return Limit(value, number=parse_number(value, "max_delete", _MOST_ENTRIES))
    percent = fractions.Fraction(share.group(1))
    if percent > 100:
        raise OptionError("max_delete", value, "is more than the whole table", 'Give a share from "0%" to "100%".')
    return Limit(value, percent=percent)


class Group(t.NamedTuple):
    """What the diff counts by."""

    family: str
    protocol: str
    state: str
    replied: str

    @classmethod
    def of(cls, entry: Entry) -> Group:
        """Give the group that the entry is in."""
        replied = "" if entry.status is None or entry.status & SEEN_REPLY else "unreplied"
        family = FAMILY_NAMES.get(entry.family, str(entry.family))
        return cls(family, entry.protocol_name, entry.state_name or "", replied)

    def __str__(self) -> str:
        return " ".join(word for word in self if word)


@dataclasses.dataclass
class Survey:
    """What one reading of the table found, and which of its entries are to be deleted."""

    total: int = 0
    matched: int = 0
    protected: int = 0
    undecidable: int = 0
    groups: collections.Counter[Group] = dataclasses.field(default_factory=collections.Counter)
    targets: list[tuple[int, bytes]] = dataclasses.field(default_factory=list)
    target_groups: list[Group] = dataclasses.field(default_factory=list)
    sample: list[dict[str, t.Any]] = dataclasses.field(default_factory=list)

    def counts(self) -> dict[str, t.Any]:
        """Give what the result says about the table before the first delete."""
        return {
            "matched": self.matched,
            "protected": self.protected,
            "would_delete": len(self.targets),
            "undecidable": self.undecidable,
            "count_before": self.total,
            "sample": self.sample,
        }


@dataclasses.dataclass(frozen=True)
class Guards:
    """Which of the selected entries stay all the same: those of ``connections``, and those with a helper."""

    connections: t.Collection[Connection]
    helpers: bool

    def protect(self, entry: Entry) -> bool:
        """Say whether the entry stays. Deleting one that has a helper would delete what the helper expects, too."""
        return (self.helpers and entry.helper is not None) or is_management(entry, self.connections)


def survey(table: Table, selection: Selection, guards: Guards, context: Context, sample: int) -> Survey:
    """Read the table once. The first ``sample`` entries to be deleted are described in full.

    Raises what Table.read raises.
    """

    def collect(entries: t.Iterator[Entry]) -> Survey:
        found = Survey()
        names: dict[Group, Group] = {}
        for entry in entries:
            group = Group.of(entry)
            # One object for each group, however many entries are in it.
            group = names.setdefault(group, group)
            found.total += 1
            found.groups[group] += 1
            decision = selection.decide(entry)
            if decision is None:
                found.undecidable += 1
            if not decision:
                continue
            found.matched += 1
            if guards.protect(entry):
                found.protected += 1
                continue
            found.targets.append((entry.family, entry.identity))
            found.target_groups.append(group)
            if len(found.sample) < sample:
                found.sample.append(as_dict(entry, context))
        return found

    return table.read(collect)


def enforce(limit: Limit, found: Survey) -> None:
    """Raise RefusedError if more entries would be deleted than ``limit`` allows."""
    allowed, wanted = limit.of(found.total), len(found.targets)
    if wanted > allowed:
        raise RefusedError(
            f"max_delete: {limit.given!r} allows {allowed} of the table's {found.total} entries to be deleted, "
            f"but {wanted} would be. Nothing was deleted. Look at some of them in the result's sample, "
            "then narrow match or raise max_delete.",
            **found.counts(),
            deleted=0,
        )


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of each entry that was to be deleted: its errno, in the survey's order, 0 being deleted.

    None instead of the numbers means that nothing was tried, as in check mode.
    """

    found: Survey
    errors: t.Sequence[int] | None

    def result(self, count_after: int | None, with_diff: bool) -> dict[str, t.Any]:
        """Give the module's result. Raises ConntrackError, with all counts, if the kernel refused a delete."""
        errors = self.errors or ()
        deleted = errors.count(0)
        result = {
            "changed": bool(self.found.targets if self.errors is None else deleted),
            **self.found.counts(),
            "deleted": deleted,
            "already_gone": errors.count(errno.ENOENT),
            "count_after": count_after,
            **({"diff": self.diff()} if with_diff else {}),
        }
        failures = collections.Counter(os.strerror(error) for error in errors if error not in (0, errno.ENOENT))
        if failures:
            reasons = ", ".join(f"{number} times {reason!r}" for reason, number in sorted(failures.items()))
            raise ConntrackError(
                f"The kernel refused {sum(failures.values())} of {len(errors)} deletes: {reasons}. "
                f"{deleted} entries were deleted. Run the module again for the rest.",
                **result,
                failures=dict(failures),
            )
        return {**result, "failed": 0}

    def diff(self) -> dict[str, str]:
        """Give the groups that change, with their numbers before and after; those predicted, if nothing was tried."""
        groups = self.found.target_groups
        if self.errors is not None:
            groups = [group for group, error in zip(groups, self.errors) if error == 0]
        deleted = collections.Counter(groups)
        before = {group: self.found.groups[group] for group in deleted}
        return {
            "before": _lines(before),
            "after": _lines({group: number - deleted[group] for group, number in before.items()}),
        }


def _lines(groups: t.Mapping[Group, int]) -> str:
    return "".join(f"{number}  {group}\n" for group, number in sorted(groups.items()))

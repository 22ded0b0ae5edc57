# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""A change of the kernel's settings: written as a whole, in the order that the kernel takes, or not at all."""

from __future__ import annotations

import contextlib
import dataclasses
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeout_record import changing
from ansible_collections.netops.conntrack.plugins.module_utils._errors import ConntrackError
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.sysctl import ROOT, Sysctl
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.values import stored_value


@dataclasses.dataclass(frozen=True)
class Change:
    """A setting, the value that is ``wanted``, and the one that the kernel held ``before`` (None: unreadable).

    With ``least``, more than the wanted value is as good. ``limit`` is the setting max, for a change of the buckets.
    With ``boot_only``, the value is for the next boot, and the kernel that runs now is neither asked nor told.
    """

    sysctl: Sysctl
    wanted: int
    before: int | None
    least: bool = False
    limit: Sysctl | None = None
    boot_only: bool = False

    def _made_of(self, value: int) -> int:
        return stored_value(self.sysctl.short_name, value)

    @property
    def reached(self) -> int:
        """The value that the kernel has after the change."""
        return self.before if self.before is not None and not self.needed else self._made_of(self.wanted)

    def holds(self, value: int | None) -> bool:
        """Whether a kernel that holds ``value``, or gets it at boot, has what is wanted."""
        if value is None:
            return False
        # A max of 0 is no limit.
        is_more = value >= self.wanted or (value == 0 and self.sysctl.short_name == "max")
        return self._made_of(value) == self._made_of(self.wanted) or (self.least and is_more)

    @property
    def needed(self) -> bool:
        """Whether the kernel has to be told."""
        return not self.boot_only and not self.holds(self.before)

    @property
    def now(self) -> int | None:
        """The value that the kernel has at this moment, or None if it cannot be read, or is not to be asked."""
        return None if self.boot_only else self.sysctl.read()

    @property
    def after(self) -> int | None:
        """The value that the kernel will have after the change, or None where it is not to be asked."""
        return None if self.boot_only else self.reached

    def write(self, value: int) -> None:
        """Write a value, and record a timeout. Raises what Sysctl.write and ``changing`` raise."""
        self._write(value, record_required=True)

    def restore(self, value: int) -> None:
        """Write a value that the kernel had before, also where that cannot be recorded. Raises as Sysctl.write."""
        self._write(value, record_required=False)

    def _write(self, value: int, record_required: bool) -> None:
        current_value = self.limit.read() if self.limit else None
        with self._recorded(value, record_required):
            _write(self.sysctl, value)
        # Some kernels set max when they resize the hash table.
        if self.limit and current_value is not None and self.limit.read() != current_value:
            _write(self.limit, current_value)

    @property
    def is_recorded(self) -> bool:
        """Whether it has to be known later that the value was changed, as of a timeout."""
        return "timeout" in self.sysctl.short_name and self.sysctl.path.startswith(f"{ROOT}/")

    def _recorded(self, value: int, required: bool) -> contextlib.AbstractContextManager[None]:
        if not self.is_recorded:
            return contextlib.nullcontext()
        return changing(self.sysctl.short_name, self.sysctl.read(), value, required)


def _write(sysctl: Sysctl, value: int) -> None:
    """Give a setting a new value. An error names the option that asks for it. Raises what Sysctl.write raises."""
    try:
        sysctl.write(value)
    except ConntrackError as error:
        error.message = f"settings.{sysctl.short_name}: {error.message}"
        raise


def change_of(
    sysctls: t.Mapping[str, Sysctl], short_name: str, wanted: int, before: int | None, least: bool = False
) -> Change:
    """Return the change of the setting ``short_name``, which must be one of ``sysctls``."""
    limit = sysctls.get("max") if short_name == "buckets" else None
    return Change(sysctls[short_name], wanted, before, least, limit)


def apply(changes: t.Iterable[Change], finish: t.Callable[[], None]) -> None:
    """Write what is needed, read each back, then call ``finish``. If any of it fails, restore everything.

    Raises ConntrackError, which says what was restored.
    """
    written: list[Change] = []
    try:
        for change in in_order(changes):
            written.append(change)
            change.write(change.wanted)
            current_value = change.sysctl.read()
            if not change.holds(current_value):
                raise ConntrackError(
                    f"{change.sysctl.name}: {change.wanted} was written, but the kernel holds {current_value}."
                )
        finish()
    except ConntrackError as error:
        report = restore_values(written)
        changed = any(change.sysctl.read() != change.before for change in written)
        raise ConntrackError(f"{error.message} {report}", **{"changed": changed, **error.result}) from error
    except BaseException:
        restore_values(written)
        raise


def in_order(changes: t.Iterable[Change]) -> list[Change]:
    """Return what is needed in the order in which the kernel takes it.

    The table never outgrows its buckets, and no lower threshold ever passes the upper one.
    """

    def rank(change: Change) -> tuple[int, str]:
        grows = change.wanted > (change.before or 0)
        last_when_growing = {"max": 1, "frag6_high_thresh": -1}.get(change.sysctl.short_name, 0)
        return last_when_growing if grows else -last_when_growing, change.sysctl.short_name

    return sorted((change for change in changes if change.needed), key=rank)


def restore_values(written: t.Sequence[Change]) -> str:
    """Give the kernel the values from before where it has others, and say in words which of them it has again."""
    changed = [change for change in written if change.sysctl.read() != change.before]
    for change in reversed(changed):
        if change.before is not None:
            with contextlib.suppress(ConntrackError):
                change.restore(change.before)
    left = [change for change in changed if change.sysctl.read() != change.before]
    if left:
        return "NOT restored: " + ", ".join(f"{change.sysctl.name} (was {change.before})" for change in left) + "."
    if changed:
        return "Restored: " + ", ".join(f"{change.sysctl.name} = {change.before}" for change in changed) + "."
    return "Nothing was changed."

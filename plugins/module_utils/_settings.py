# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""What is wanted of the kernel's settings: checked as a whole before the first write, then written all or nothing."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import os
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._errors import (
    ConntrackError,
    NotPermittedError,
    OptionError,
    UnavailableError,
)
from ansible_collections.netops.conntrack.plugins.module_utils._setting_values import kept_as, parse_value
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl import (
    GAUGE,
    ROOT,
    Sysctl,
    find_sysctls,
    held,
    short_of,
)
from ansible_collections.netops.conntrack.plugins.module_utils._timeout_record import changing

_MACHINE_WIDE = frozenset({"max", "buckets", "expect_max"})


@dataclasses.dataclass(frozen=True)
class Change:
    """A setting, the value that is ``wanted``, and the one that the kernel held ``before`` (None: unreadable).

    With ``least``, more than the wanted value is as good. ``limit`` is the setting max, for a change of the buckets.
    """

    sysctl: Sysctl
    wanted: int
    before: int | None
    least: bool = False
    limit: Sysctl | None = None

    def _made_of(self, value: int) -> int:
        return kept_as(self.sysctl.short, value)

    @property
    def reached(self) -> int:
        """The value that the kernel has after the change."""
        return self.before if self.before is not None and not self.needed else self._made_of(self.wanted)

    def holds(self, value: int | None) -> bool:
        """Whether a kernel that holds ``value``, or gets it at boot, has what is wanted."""
        if value is None:
            return False
        return self._made_of(value) == self._made_of(self.wanted) or (self.least and value >= self.wanted)

    @property
    def needed(self) -> bool:
        """Whether the kernel has to be told."""
        return not self.holds(self.before)

    def write(self, value: int) -> None:
        """Give the kernel a value, and record a timeout. Raises what Sysctl.write and ``changing`` raise."""
        self._write(value, record_required=True)

    def restore(self, value: int) -> None:
        """Give the kernel a value that it had before, also where that cannot be recorded. Raises as Sysctl.write."""
        self._write(value, record_required=False)

    def _write(self, value: int, record_required: bool) -> None:
        held = self.limit.read() if self.limit else None
        with self._recorded(value, record_required):
            self.sysctl.write(value)
        # Some kernels set max when they resize the hash table.
        if self.limit and held is not None and self.limit.read() != held:
            self.limit.write(held)

    def _recorded(self, value: int, required: bool) -> contextlib.AbstractContextManager[None]:
        if "timeout" not in self.sysctl.short or not self.sysctl.path.startswith(f"{ROOT}/"):
            return contextlib.nullcontext()
        return changing(self.sysctl.short, self.sysctl.read(), value, required)


class Wish(t.NamedTuple):
    """What an option wants of a setting: its name in any notation, the value, and whether more is as good."""

    option: str
    name: str
    value: t.Any
    least: bool

    @property
    def label(self) -> str:
        """How an error names it."""
        return f"{self.option}.{self.name}"

    @property
    def short(self) -> str:
        """The short name of the setting, or what was given if that is no name at all."""
        return short_of(self.name) or self.name


def wishes(settings: t.Mapping[str, t.Any], at_least: t.Mapping[str, t.Any]) -> list[Wish]:
    """Give the wishes of the two options of these names."""
    return [Wish("settings", name, value, False) for name, value in settings.items()] + [
        Wish("at_least", name, value, True) for name, value in at_least.items()
    ]


def plan(wanted: t.Sequence[Wish], root: str = ROOT) -> list[Change]:
    """Give what has to become of each setting that is wanted, sorted by short name.

    Nothing is written. Raises UnavailableError without nf_conntrack, NotPermittedError without the right to write, and
    ConntrackError with every problem of every setting; its result lists ``unsupported`` and ``read_only`` ones.
    """
    sysctls = _writable_sysctls(root)
    unsupported = [wish for wish in wanted if wish.short not in sysctls]
    supported = [wish for wish in wanted if wish.short in sysctls]
    read_only = sorted({wish.short for wish in supported if sysctls[wish.short].read_only})
    numbers, problems = _parse_all(supported)
    changes = [
        change_of(sysctls, short, number, sysctls[short].read(), least)
        for short, (number, least) in sorted(numbers.items())
    ]
    problems += [_unsupported_problem(wish, sysctls) for wish in unsupported]
    problems += _read_only_problems(read_only)
    problems += [
        f"at_least.{change.sysctl.short}: the present value cannot be read, so that it might be lowered. Use settings."
        for change in changes
        if change.least and change.before is None
    ]
    problems += _small_max_problems(changes, held(sysctls, GAUGE))
    if problems:
        raise ConntrackError(" ".join(problems), unsupported=[wish.short for wish in unsupported], read_only=read_only)
    return changes


def plan_unloaded(wanted: t.Sequence[Wish]) -> list[Change]:
    """Give what will become of the settings once nf_conntrack is loaded, under the names of today's kernels.

    Raises ConntrackError with the problems of their values. Whether the kernel has them cannot be told.
    """
    numbers, problems = _parse_all(wanted)
    if problems:
        raise ConntrackError(" ".join(problems))
    changes = []
    for short, (number, least) in sorted(numbers.items()):
        name = f"net.netfilter.nf_conntrack_{short}"
        changes.append(Change(Sysctl(short, name, os.path.join(ROOT, name.replace(".", "/"))), number, None, least))
    return changes


def plan_values(values: t.Mapping[str, int], root: str = ROOT) -> list[Change]:
    """Give what has to become of the settings (short name to value) that a kernel had before; others are left out.

    Raises ConntrackError where they cannot be written here, or max would be below the number of entries.
    """
    sysctls = find_sysctls(root)
    changes = [
        change_of(sysctls, short, values[short], sysctls[short].read()) for short in sorted(values.keys() & sysctls)
    ]
    needed = [change for change in changes if change.needed]
    problems = _read_only_problems(sorted(change.sysctl.short for change in needed if change.sysctl.read_only))
    problems += _small_max_problems((change for change in needed if change.wanted), held(sysctls, GAUGE))
    if problems:
        raise ConntrackError(" ".join(problems))
    return changes


def change_of(
    sysctls: t.Mapping[str, Sysctl], short: str, wanted: int, before: int | None, least: bool = False
) -> Change:
    """Give the change of the setting ``short``, which must be one of ``sysctls``."""
    limit = sysctls.get("max") if short == "buckets" else None
    return Change(sysctls[short], wanted, before, least, limit)


def _writable_sysctls(root: str) -> dict[str, Sysctl]:
    sysctls = find_sysctls(root)
    if not sysctls:
        raise UnavailableError(
            f"nf_conntrack is not there: {root}/net/netfilter has no nf_conntrack_* settings. Load it with "
            "'modprobe nf_conntrack' (a firewall rule that matches on ct state loads it too); for every boot, write "
            "the line nf_conntrack into /etc/modules-load.d/nf_conntrack.conf.",
            no_conntrack=True,
        )
    if all(sysctl.read_only for sysctl in sysctls.values()):
        raise NotPermittedError(
            f"{root} is mounted read-only here, as in a container. Run the task on the machine itself."
            if os.geteuid() == 0
            else "Changing the connection-tracking settings needs root (CAP_NET_ADMIN). Set become: true."
        )
    return sysctls


def _parse_all(wanted: t.Iterable[Wish]) -> tuple[dict[str, tuple[int, bool]], list[str]]:
    """Give number and ``least`` of each setting by its short name, and every problem with them."""
    numbers: dict[str, tuple[int, bool]] = {}
    first_wishes: dict[str, Wish] = {}
    problems = []
    for wish in wanted:
        try:
            number = parse_value(wish.short, wish.value, wish.label), wish.least
        except OptionError as error:
            problems.append(error.message)
            continue
        first = first_wishes.setdefault(wish.short, wish)
        if numbers.setdefault(wish.short, number) != number:
            problems.append(
                f"{first.label} ({first.value!r}) and {wish.label} ({wish.value!r}) mean the same setting. "
                "Give one of them."
            )
    return numbers, problems


def _unsupported_problem(wish: Wish, sysctls: t.Mapping[str, Sysctl]) -> str:
    close = difflib.get_close_matches(wish.short, sysctls)
    remedy = f"Did you mean {', '.join(close)}?" if close else "See the ones it has: sysctl -a | grep conntrack."
    return f"{wish.option}: {wish.name!r} is no connection-tracking setting of this kernel. {remedy}"


def _read_only_problems(read_only: t.Sequence[str]) -> list[str]:
    if not read_only:
        return []
    problem = f"settings: {', '.join(read_only)}: cannot be written here, the kernel offers this for reading only."
    machine_wide = ", ".join(sorted(_MACHINE_WIDE.intersection(read_only)))
    if not machine_wide:
        return [problem]
    return [
        f"{problem} There is one value of {machine_wide} for the whole machine: set it in the first network namespace, "
        "on the host itself. (Old kernels take buckets only as /sys/module/nf_conntrack/parameters/hashsize.)"
    ]


def _small_max_problems(changes: t.Iterable[Change], count: int | None) -> list[str]:
    return [
        f"settings.max: {change.wanted} is below the {count} entries in the table now, and every new connection would "
        "be dropped. Give more, or prune the table first (netops.conntrack.conntrack_prune)."
        for change in changes
        if change.sysctl.short == "max" and change.needed and count is not None and change.wanted < count
    ]


def apply(changes: t.Iterable[Change], finish: t.Callable[[], None]) -> None:
    """Write what is needed, read each back, then call ``finish``; if any of it fails, put everything back.

    Raises ConntrackError, which says what was put back.
    """
    written: list[Change] = []
    try:
        for change in in_order(changes):
            written.append(change)
            change.write(change.wanted)
            held = change.sysctl.read()
            if not change.holds(held):
                raise ConntrackError(f"{change.sysctl.name}: {change.wanted} was written, but the kernel holds {held}.")
        finish()
    except ConntrackError as error:
        said = put_back(written)
        changed = any(change.sysctl.read() != change.before for change in written)
        raise ConntrackError(f"{error.message} {said}", **{"changed": changed, **error.result}) from error
    except BaseException:
        put_back(written)
        raise


def in_order(changes: t.Iterable[Change]) -> list[Change]:
    """Give what is needed in the order in which the kernel takes it.

    The table never outgrows its buckets, and no lower threshold ever passes the upper one.
    """

    def rank(change: Change) -> tuple[int, str]:
        grows = change.wanted > (change.before or 0)
        last_when_growing = {"max": 1, "frag6_high_thresh": -1}.get(change.sysctl.short, 0)
        return last_when_growing if grows else -last_when_growing, change.sysctl.short

    return sorted((change for change in changes if change.needed), key=rank)


def put_back(written: t.Sequence[Change]) -> str:
    """Give the kernel the values from before where it has others, and say in words which of them it has again."""
    changed = [change for change in written if change.sysctl.read() != change.before]
    for change in reversed(changed):
        if change.before is not None:
            with contextlib.suppress(ConntrackError):
                change.restore(change.before)
    left = [change for change in changed if change.sysctl.read() != change.before]
    if left:
        return "NOT put back: " + ", ".join(f"{change.sysctl.name} (was {change.before})" for change in left) + "."
    if changed:
        return "Put back: " + ", ".join(f"{change.sysctl.name} = {change.before}" for change in changed) + "."
    return "Nothing was changed."

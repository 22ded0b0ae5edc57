# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""From what the options want to the changes that it takes, all of it checked before the first write."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._errors import (
    BECOME_ROOT,
    ConntrackError,
    NotPermittedError,
    OptionError,
    UnavailableError,
)
from ansible_collections.netops.conntrack.plugins.module_utils._settings.change import Change, change_of
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.known_settings import KNOWN, nearest, todays_name
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.sysctl import (
    GAUGE,
    ROOT,
    Sysctl,
    current_value,
    find_sysctls,
    short_name_of,
)
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.values import parse_value

_MACHINE_WIDE = frozenset({"max", "buckets", "expect_max"})

_NEARLY_FULL = 0.95
"""The part of the limit from which on a table is full, as the check table_full has it."""


class Desired(t.NamedTuple):
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
    def short_name(self) -> str:
        """The short name of the setting, or what was given if that is no name at all."""
        return short_name_of(self.name) or self.name


def desired_settings(settings: t.Mapping[str, t.Any], at_least: t.Mapping[str, t.Any]) -> list[Desired]:
    """Return the wishes of the two options of these names."""
    return [Desired("settings", name, value, False) for name, value in settings.items()] + [
        Desired("at_least", name, value, True) for name, value in at_least.items()
    ]


def lacking(wanted: t.Iterable[Desired], root: str = ROOT) -> set[str]:
    """Return the short names of the settings that other kernels have and this one has not.

    It is empty without nf_conntrack, because then nobody knows.
    """
    sysctls = find_sysctls(root)
    return (
        {desired.short_name for desired in wanted if desired.short_name in KNOWN and desired.short_name not in sysctls}
        if sysctls
        else set()
    )


def plan(wanted: t.Sequence[Desired], root: str = ROOT) -> list[Change]:
    """Return what has to become of each setting that is wanted, sorted by short name.

    Nothing is written. Raises UnavailableError without nf_conntrack, NotPermittedError without the right to write, and
    ConntrackError with every problem of every setting. Its result lists ``unsupported`` and ``read_only`` ones.
    """
    sysctls = _present_sysctls(root)
    unsupported = [desired for desired in wanted if desired.short_name not in sysctls]
    numbers, problems = _parse_all(desired for desired in wanted if desired.short_name in sysctls)
    changes = [
        change_of(sysctls, name, number, sysctls[name].read(), least)
        for name, (number, least) in sorted(numbers.items())
    ]
    _refuse_without_any_right(changes, sysctls, root)
    # What holds already needs no writing. A measurement is never a setting, whatever it happens to be now.
    read_only = [
        change.sysctl.short_name
        for change in changes
        if change.sysctl.read_only and (change.needed or change.sysctl.short_name == GAUGE)
    ]
    problems += [_unsupported_problem(desired, sysctls) for desired in unsupported]
    problems += _read_only_problems(read_only)
    problems += [
        f"at_least.{change.sysctl.short_name}: the present value cannot be read, so that it might be lowered. "
        "Use settings."
        for change in changes
        if change.least and change.before is None
    ]
    problems += _small_max_problems(changes, current_value(sysctls, GAUGE), "settings.max: {}", "Give more, or")
    if problems:
        raise ConntrackError(
            " ".join(problems), unsupported=[desired.short_name for desired in unsupported], read_only=read_only
        )
    return changes


def plan_unloaded(wanted: t.Sequence[Desired]) -> list[Change]:
    """Return what will become of the settings once nf_conntrack is loaded, under the names of today's kernels.

    Raises ConntrackError with the problems of their names and values. Which of them the kernel has cannot be told.
    """
    numbers = _numbers_of_known(wanted)
    return [Change(_todays_sysctl(name), number, None, least) for name, (number, least) in sorted(numbers.items())]


def plan_boot_only(wanted: t.Sequence[Desired]) -> list[Change]:
    """Return what the next boot is to set, whatever kernel runs now, under the names of today's kernels.

    Raises ConntrackError with every problem. Its result lists the ``unsupported`` ones, which no kernel has.
    """
    return [_boot_only(name, number) for name, (number, _least) in sorted(_numbers_of_known(wanted).items())]


def _numbers_of_known(wanted: t.Sequence[Desired]) -> dict[str, tuple[int, bool]]:
    """Return number and ``least`` of each setting by its short name, all of which some kernel has to have."""
    unsupported = [desired for desired in wanted if desired.short_name not in KNOWN]
    numbers, problems = _parse_all(desired for desired in wanted if desired.short_name in KNOWN)
    problems += [_unknown_problem(desired, KNOWN) for desired in unsupported]
    if problems:
        raise ConntrackError(" ".join(problems), unsupported=[desired.short_name for desired in unsupported])
    return numbers


def requested_values(settings: t.Mapping[str, t.Any], option: str, root: str = ROOT) -> dict[str, int]:
    """Return the numbers that the ``settings`` of an option mean, by short name. Nothing is to be written.

    Raises UnavailableError without nf_conntrack, and ConntrackError with every problem of every name and value. Whether
    they can be written here does not matter.
    """
    sysctls = {name: sysctl for name, sysctl in _present_sysctls(root).items() if name != GAUGE}
    wanted = [Desired(option, name, value, False) for name, value in settings.items()]
    numbers, problems = _parse_all(desired for desired in wanted if desired.short_name in sysctls)
    unsupported = [desired for desired in wanted if desired.short_name not in sysctls]
    problems += [_unsupported_problem(desired, sysctls, "Leave it out.") for desired in unsupported]
    unreadable = [name for name in numbers if sysctls[name].read() is None]
    problems += [f"{option}.{name}: the present value cannot be read. Leave it out." for name in unreadable]
    if problems:
        raise ConntrackError(" ".join(problems))
    return {name: number for name, (number, _least) in numbers.items()}


def refuse_unknown(settings: t.Iterable[str], recorded: t.Iterable[str], kernel: t.Collection[str]) -> None:
    """Refuse names of the option settings that mean nothing: they may be misspelt, and would be passed over.

    A name has a meaning if it is among those ``recorded``, those that the running ``kernel`` has (both by short name),
    or those that any kernel has. Raises ConntrackError, whose result lists the others as ``unsupported``.
    """
    names = {*recorded, *KNOWN, *kernel} - {GAUGE}
    unknown = [desired for desired in desired_settings(dict.fromkeys(settings), {}) if desired.short_name not in names]
    if unknown:
        problems = " ".join(_unknown_problem(desired, names) for desired in unknown)
        raise ConntrackError(problems, unsupported=[desired.short_name for desired in unknown])


def plan_restored(values: t.Mapping[str, int], root: str = ROOT) -> list[Change]:
    """Return what has to become of the settings (short name to value) that a kernel had before. Others are left out.

    Raises ConntrackError where they cannot be written here, or max would be below the number of entries.
    """
    sysctls = find_sysctls(root)
    changes = _changes_back(values, sysctls)
    problems = _read_only_problems(_stuck(changes))
    words = "settings.max: {}, which was there before,"
    remedy = "Set max to what it shall be, or restore the other settings by their names, or"
    problems += _small_max_problems(changes, current_value(sysctls, GAUGE), words, remedy)
    if problems:
        raise ConntrackError(" ".join(problems))
    return changes


def read_only_among(values: t.Mapping[str, int], root: str = ROOT) -> list[str]:
    """Return the names of the settings that would have to become what they were before, and can only be read here."""
    return _stuck(_changes_back(values, find_sysctls(root)))


def restored_at_boot_only(values: t.Mapping[str, int]) -> list[Change]:
    """Return what becomes of settings whose files are restored while the kernel that runs now is left alone."""
    return [_boot_only(name, value) for name, value in sorted(values.items())]


def _changes_back(values: t.Mapping[str, int], sysctls: t.Mapping[str, Sysctl]) -> list[Change]:
    short_names = sorted(values.keys() & sysctls)
    return [change_of(sysctls, name, values[name], sysctls[name].read()) for name in short_names]


def _stuck(changes: t.Iterable[Change]) -> list[str]:
    return [change.sysctl.short_name for change in changes if change.needed and change.sysctl.read_only]


def _todays_sysctl(short_name: str) -> Sysctl:
    name = todays_name(short_name)
    return Sysctl(short_name, name, os.path.join(ROOT, name.replace(".", "/")))


def _boot_only(short_name: str, number: int) -> Change:
    return Change(_todays_sysctl(short_name), number, None, boot_only=True)


def _present_sysctls(root: str) -> dict[str, Sysctl]:
    sysctls = find_sysctls(root)
    if not sysctls:
        raise UnavailableError(
            f"nf_conntrack is not there: {root}/net/netfilter has no nf_conntrack_* settings. Load it with "
            "'modprobe nf_conntrack' (a firewall rule that matches on ct state loads it too); for every boot, write "
            "the line nf_conntrack into /etc/modules-load.d/nf_conntrack.conf.",
            no_conntrack=True,
        )
    return sysctls


def _refuse_without_any_right(changes: t.Iterable[Change], sysctls: t.Mapping[str, Sysctl], root: str) -> None:
    """Raise NotPermittedError where something has to be written, and none of the settings can be."""
    if not any(change.needed for change in changes) or not all(sysctl.read_only for sysctl in sysctls.values()):
        return
    raise NotPermittedError(
        f"{root} is mounted read-only here, as in a container. Run the task on the machine itself."
        if os.geteuid() == 0 or _is_mounted_read_only(root)
        else f"Changing the connection-tracking settings needs root (CAP_NET_ADMIN). {BECOME_ROOT}"
    )


def _is_mounted_read_only(root: str) -> bool:
    """Return whether nobody can write there, so that becoming root would not help."""
    return bool(os.statvfs(root).f_flag & os.ST_RDONLY)


def _parse_all(wanted: t.Iterable[Desired]) -> tuple[dict[str, tuple[int, bool]], list[str]]:
    """Return number and ``least`` of each setting by its short name, and every problem with them."""
    numbers: dict[str, tuple[int, bool]] = {}
    first_wishes: dict[str, Desired] = {}
    problems = []
    for desired in wanted:
        try:
            number = parse_value(desired.short_name, desired.value, desired.label), desired.least
        except OptionError as error:
            problems.append(error.message)
            continue
        first = first_wishes.setdefault(desired.short_name, desired)
        if numbers.setdefault(desired.short_name, number) != number:
            problems.append(
                f"{first.label} ({first.value!r}) and {desired.label} ({desired.value!r}) mean the same setting. "
                "Give one of them."
            )
    return numbers, problems


def _unsupported_problem(
    desired: Desired, sysctls: t.Mapping[str, Sysctl], way_out: str = "Leave it out, or set unsupported: warn."
) -> str:
    remedy = _did_you_mean(desired, sysctls) or "See the ones it has: sysctl -a | grep conntrack."
    if desired.short_name in KNOWN:
        remedy = f"Other kernels have it. {way_out}"
    return f"{desired.option}: {desired.name!r} is no connection-tracking setting of this kernel. {remedy}"


def _unknown_problem(desired: Desired, names: t.Iterable[str]) -> str:
    problem = "is no connection-tracking setting of any kernel that is known here"
    return f"{desired.option}: {desired.name!r} {problem}. {_did_you_mean(desired, names)}".rstrip()


def _did_you_mean(desired: Desired, names: t.Iterable[str]) -> str:
    close = nearest(desired.short_name, names)
    return f"Did you mean {', '.join(close)}?" if close else ""


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


def _small_max_problems(changes: t.Iterable[Change], count: int | None, words: str, remedy: str) -> list[str]:
    return [
        f"{words.format(limit)} is below the {count} entries in the table now, and every new connection would be "
        f"dropped. {remedy} prune the table first (netops.conntrack.conntrack_prune)."
        for limit in _new_limits(changes)
        if count is not None and limit < count
    ]


def nearly_full_warnings(changes: t.Iterable[Change], root: str = ROOT) -> list[str]:
    """Return that the table is nearly full as soon as the changes are made, if it is."""
    count = current_value(find_sysctls(root), GAUGE)
    return [
        f"With max {limit}, the table is {100 * count / limit:.0f} % full: it has {count} entries now."
        for limit in _new_limits(changes)
        if count is not None and _NEARLY_FULL * limit <= count
    ]


def _new_limits(changes: t.Iterable[Change]) -> t.Iterator[int]:
    """Yield the limit that the changes give the table. No limit at all, which a kernel may have had before, is 0."""
    for change in changes:
        if change.sysctl.short_name == "max" and change.needed and change.wanted > 0:
            yield change.wanted

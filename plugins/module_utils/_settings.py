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
import re
import struct
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._errors import (
    ConntrackError,
    NotPermittedError,
    OptionError,
    UnavailableError,
)
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl import (
    GAUGE,
    ROOT,
    Sysctl,
    find_sysctls,
    short_of,
)
from ansible_collections.netops.conntrack.plugins.module_utils._units import parse_duration

_INT_MAX = 2**31 - 1
_SWITCH = (0, 1)
_LONGEST_TIMEOUT = _INT_MAX // 1000
"""Seconds: the kernel takes up to INT_MAX/HZ (proc_dointvec_jiffies, kernel/sysctl.c), and HZ may be 1000."""

_LIMITS = {
    "acct": _SWITCH,
    "buckets": (1, _INT_MAX // 8),
    "checksum": _SWITCH,
    "dccp_loose": _SWITCH,
    "events": (0, 2),
    "expect_max": (1, _INT_MAX),
    "helper": _SWITCH,
    "log_invalid": (0, 255),
    "max": (1, _INT_MAX),
    "tcp_be_liberal": _SWITCH,
    "tcp_ignore_invalid_rst": _SWITCH,
    "tcp_loose": _SWITCH,
    "tcp_max_retrans": (0, 255),
    "tcp_no_window_check": _SWITCH,
    "timestamp": _SWITCH,
}
"""The values that make sense (net/netfilter/nf_conntrack_standalone.c; buckets: nf_ct_alloc_hashtable)."""

_WORDS = {"yes": "1", "true": "1", "on": "1", "no": "0", "false": "0", "off": "0"}
_INTEGER = re.compile(r"-?[0-9]{1,10}", re.ASCII)

_MACHINE_WIDE = frozenset({"max", "buckets", "expect_max"})
_PAGE_OF_BUCKETS = os.sysconf("SC_PAGE_SIZE") // struct.calcsize("P")


@dataclasses.dataclass(frozen=True)
class Change:
    """A setting, the value that is ``wanted``, and the one that the kernel held ``before`` (None: unreadable)."""

    sysctl: Sysctl
    wanted: int
    before: int | None

    @property
    def _step(self) -> int:
        # The kernel rounds the hash table up to whole pages; every other value is kept as it is written.
        return _PAGE_OF_BUCKETS if self.sysctl.short == "buckets" else 1

    @property
    def reached(self) -> int:
        """The value that the kernel makes of the wanted one."""
        return -(-self.wanted // self._step) * self._step

    def holds(self, value: int | None) -> bool:
        """Whether a kernel that holds ``value`` has what is wanted."""
        return value is not None and self.wanted <= value < self.wanted + self._step

    @property
    def needed(self) -> bool:
        """Whether the kernel has to be told."""
        return not self.holds(self.before)


def read_settings(root: str = ROOT) -> dict[str, int]:
    """Give every setting's present value by short name; one that is not a whole number is left out."""
    values = {short: sysctl.read() for short, sysctl in find_sysctls(root).items() if short != GAUGE}
    return {short: value for short, value in values.items() if value is not None}


def read_count(root: str = ROOT) -> int | None:
    """Give the number of entries in this network namespace; None where the kernel does not say."""
    gauge = find_sysctls(root).get(GAUGE)
    return gauge.read() if gauge else None


def parse_value(short: str, value: t.Any, option: str) -> int:
    """Give the number that ``value`` means for the setting ``short``: a timeout in seconds, a limit, or a switch.

    Raises OptionError, which names ``option``, for a value that the setting cannot usefully have.
    """
    if "timeout" in short:
        return _parse_timeout(value, option)
    lowest, highest = _LIMITS.get(short, (0, _INT_MAX))
    text = str(value).strip().lower()
    if highest <= 2:
        text = _WORDS.get(text, text)
    if not _INTEGER.fullmatch(text) or not lowest <= int(text) <= highest:
        allowed = "true or false" if highest == 1 else f"a whole number from {lowest} to {highest}"
        reason = "; 0 would mean no limit, and the table could take all memory" if short == "max" else ""
        raise OptionError(option, value, "cannot be used", f"Give {allowed}{reason}.")
    return int(text)


def _parse_timeout(value: t.Any, option: str) -> int:
    seconds = parse_duration(value, option)
    if not 1 <= seconds <= _LONGEST_TIMEOUT:
        remedy = f"Give 1 to {_LONGEST_TIMEOUT} seconds (24 days); with 0 every entry would expire at once."
        raise OptionError(option, value, "cannot be used", remedy)
    return seconds


def plan(settings: t.Mapping[str, t.Any], root: str = ROOT) -> list[Change]:
    """Give what has to become of each setting in ``settings`` (name in any notation, value), sorted by short name.

    Nothing is written. Raises UnavailableError without nf_conntrack, NotPermittedError without the right to write, and
    ConntrackError with every problem of every setting; its result lists ``unsupported`` and ``read_only`` ones.
    """
    sysctls = _writable_sysctls(root)
    shorts = {name: short_of(name) or name for name in settings}
    unsupported = [name for name in shorts if shorts[name] not in sysctls]
    read_only = sorted({short for short in shorts.values() if short in sysctls and sysctls[short].read_only})
    wanted, problems = _parse_all(settings, {name: short for name, short in shorts.items() if short in sysctls})
    changes = [Change(sysctls[short], wanted[short], sysctls[short].read()) for short in sorted(wanted)]
    problems += [_unsupported_problem(name, sysctls) for name in unsupported]
    problems += _read_only_problems(read_only)
    problems += _small_max_problems(changes, read_count(root))
    if problems:
        raise ConntrackError(
            " ".join(problems), unsupported=[shorts[name] for name in unsupported], read_only=read_only
        )
    return changes


def _writable_sysctls(root: str) -> dict[str, Sysctl]:
    sysctls = find_sysctls(root)
    if not sysctls:
        raise UnavailableError(
            f"nf_conntrack is not there: {root}/net/netfilter has no nf_conntrack_* settings. Load it with "
            "'modprobe nf_conntrack' (a firewall rule that matches on ct state loads it too); for every boot, write "
            "the line nf_conntrack into /etc/modules-load.d/nf_conntrack.conf."
        )
    if all(sysctl.read_only for sysctl in sysctls.values()):
        raise NotPermittedError(
            f"{root} is mounted read-only here, as in a container. Run the task on the machine itself."
            if os.geteuid() == 0
            else "Changing the connection-tracking settings needs root (CAP_NET_ADMIN). Set become: true."
        )
    return sysctls


def _parse_all(settings: t.Mapping[str, t.Any], shorts: t.Mapping[str, str]) -> tuple[dict[str, int], list[str]]:
    wanted: dict[str, int] = {}
    first_names: dict[str, str] = {}
    problems = []
    for name, short in shorts.items():
        try:
            number = parse_value(short, settings[name], f"settings.{name}")
        except OptionError as error:
            problems.append(error.message)
            continue
        first = first_names.setdefault(short, name)
        if wanted.setdefault(short, number) != number:
            problems.append(
                f"settings: {first!r} ({settings[first]!r}) and {name!r} ({settings[name]!r}) are two names of one "
                "setting. Give one of them."
            )
    return wanted, problems


def _unsupported_problem(name: str, sysctls: t.Mapping[str, Sysctl]) -> str:
    close = difflib.get_close_matches(short_of(name) or name, sysctls)
    remedy = f"Did you mean {', '.join(close)}?" if close else "See the ones it has: sysctl -a | grep conntrack."
    return f"settings: {name!r} is no connection-tracking setting of this kernel. {remedy}"


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
        for change in _in_order(changes):
            change.sysctl.write(change.wanted)
            written.append(change)
            held = change.sysctl.read()
            if not change.holds(held):
                raise ConntrackError(f"{change.sysctl.name}: {change.wanted} was written, but the kernel holds {held}.")
        finish()
    except ConntrackError as error:
        raise ConntrackError(f"{error.message} {_put_back(written)}", **error.result) from error


def _in_order(changes: t.Iterable[Change]) -> list[Change]:
    """Sort so that the table never outgrows its buckets, and no lower threshold ever passes the upper one."""

    def rank(change: Change) -> tuple[int, str]:
        grows = change.wanted > (change.before or 0)
        last_when_growing = {"max": 1, "frag6_high_thresh": -1}.get(change.sysctl.short, 0)
        return last_when_growing if grows else -last_when_growing, change.sysctl.short

    return sorted((change for change in changes if change.needed), key=rank)


def _put_back(written: t.Sequence[Change]) -> str:
    for change in reversed(written):
        if change.before is not None:
            with contextlib.suppress(ConntrackError):
                change.sysctl.write(change.before)
    left = [change for change in written if change.sysctl.read() != change.before]
    if left:
        return "NOT put back: " + ", ".join(f"{change.sysctl.name} (was {change.before})" for change in left) + "."
    if written:
        return "Put back: " + ", ".join(f"{change.sysctl.name} = {change.before}" for change in written) + "."
    return "Nothing was changed."

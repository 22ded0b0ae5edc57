# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The kernel's connection-tracking sysctls: which ones there are, what they are called, and what they hold.

A setting has one short name (``max``, ``tcp_timeout_established``, ``flowtable_tcp_timeout``) whatever the kernel calls
it: ``net.netfilter.nf_conntrack_*`` today, ``net.ipv4.netfilter.ip_conntrack_*`` on old kernels.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import re
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._errors import (
    ConntrackError,
    NotPermittedError,
)

ROOT = "/proc/sys"
"""The tree of the network namespace that the process is in (proc(5))."""

GAUGE = "count"
"""The one sysctl of the subsystem that is a measurement: the entries of this network namespace."""

HASHSIZE = "/sys/module/nf_conntrack/parameters/hashsize"
"""The module's parameter, which resizes the table; on old kernels it is the only file that does (buckets is 0444)."""

DIRECTORIES = ("net/netfilter", "net", "net/ipv4/netfilter", "net/ipv4")
"""Where kernels keep the settings; of two names for the same one, the first is used."""

_LONGEST_NUMBER = 32
"""Bytes of the longest number of 64 bits with its sign and line feed, and some."""

_DIRECTORY = r"net[./](?:netfilter[./]|ipv4[./](?:netfilter[./])?)?"
_PREFIX = r"(?:nf_conntrack_|ip_conntrack_|nf_(?=flowtable_))"
_FULL_NAME = re.compile(_DIRECTORY + _PREFIX + r"([a-z0-9_]+)", re.ASCII)
_BARE_NAME = re.compile(_PREFIX + r"?([a-z][a-z0-9_]*)", re.ASCII)


@dataclasses.dataclass(frozen=True)
class Sysctl:
    """One setting as this kernel has it: the ``short_name`` name, the kernel's dotted ``name``, and its file.

    ``parameter`` is the file that takes a new value where the kernel offers its own for reading only.
    """

    short_name: str
    name: str
    path: str
    parameter: str | None = None

    @property
    def read_only(self) -> bool:
        """Whether it cannot be written here."""
        return not writable(self.parameter or self.path)

    def read(self) -> int | None:
        """Return the present value, or None when it is not one whole number, or cannot be read."""
        try:
            with open(self.path, encoding="ascii") as file:
                return int(file.read())
        except (OSError, ValueError):
            return None

    @contextlib.contextmanager
    def watched(self) -> t.Iterator[t.Callable[[], int | None]]:
        """Yield what returns the present value, as ``read`` does, from a file that stays open."""
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            yield lambda: None
            return
        try:
            yield lambda: _number_in(descriptor)
        finally:
            os.close(descriptor)

    def write(self, value: int) -> None:
        """Give the setting a new value.

        Raises NotPermittedError when it may not be written, ConntrackError when the kernel does not take the value.
        """
        try:
            with open(self.parameter or self.path, "w", encoding="ascii") as file:
                file.write(f"{value}\n")
        except OSError as error:
            message = f"{self.name} does not take {value} ({error.strerror})."
            if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise NotPermittedError(message, read_only=[self.short_name]) from error
            raise ConntrackError(message) from error


def writable(path: str) -> bool:
    """Say whether the kernel takes a new value in this file."""
    # The mode says what the kernel offers; only access() knows of a read-only mount.
    return os.path.exists(path) and bool(os.stat(path).st_mode & 0o222) and os.access(path, os.W_OK)


def short_name_of_sysctl(name: str) -> str | None:
    """Return the short name of a sysctl's full name, with dots or slashes. None: it is not one of the subsystem."""
    match = _FULL_NAME.fullmatch(name)
    return match.group(1) if match else None


def short_name_of(name: str) -> str | None:
    """Return the short name of a setting written in any way: short, bare (``nf_conntrack_max``) or full. Else None."""
    match = _FULL_NAME.fullmatch(name) or _BARE_NAME.fullmatch(name)
    return match.group(1) if match else None


def find_sysctls(root: str = ROOT) -> dict[str, Sysctl]:
    """Return what this kernel has, by short name, the gauge ``count`` included. Empty without nf_conntrack."""
    found: dict[str, Sysctl] = {}
    for directory in DIRECTORIES:
        for file in _names(os.path.join(root, directory)):
            path = f"{directory}/{file}"
            short_name = short_name_of_sysctl(path)
            if short_name is not None:
                found.setdefault(short_name, Sysctl(short_name, path.replace("/", "."), os.path.join(root, path)))
    limit, buckets = found.get("max"), found.get("buckets")
    if limit and buckets and writable(limit.path) and not writable(buckets.path) and writable(HASHSIZE):
        found["buckets"] = dataclasses.replace(buckets, parameter=HASHSIZE)
    return found


def _names(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except OSError:
        return []


def _number_in(descriptor: int) -> int | None:
    """Return the number that a file of /proc/sys has now, or None."""
    try:
        return int(os.pread(descriptor, _LONGEST_NUMBER, 0))
    except (OSError, ValueError):
        return None


def current_value(sysctls: t.Mapping[str, Sysctl], short_name: str) -> int | None:
    """Return the present value of the setting ``short_name``, or None where the kernel lacks it, or does not say."""
    sysctl = sysctls.get(short_name)
    return sysctl.read() if sysctl else None


def read_settings(root: str = ROOT) -> dict[str, int]:
    """Return every setting's present value by short name. One that is not a whole number is left out."""
    values = {name: sysctl.read() for name, sysctl in find_sysctls(root).items() if name != GAUGE}
    return {name: value for name, value in values.items() if value is not None}


def read_count(root: str = ROOT) -> int | None:
    """Return the number of entries in this network namespace, or None where the kernel does not say."""
    return current_value(find_sysctls(root), GAUGE)

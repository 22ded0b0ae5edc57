# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Working inside a network namespace: sockets, /proc/net and /proc/sys/net are then those of the namespace."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._errors import (
    NotPermittedError,
    UnavailableError,
)

NETNS_DIRECTORY = "/run/netns"
"""Where ``ip netns add`` keeps the named namespaces (ip-netns(8))."""


def names() -> list[str]:
    """Give the names of the host's named network namespaces, sorted."""
    try:
        return sorted(os.listdir(NETNS_DIRECTORY))
    except FileNotFoundError:
        return []


def path_of(netns: str) -> str:
    """Give the file of ``netns``: a name as ``ip netns`` knows it, or a path as it is."""
    return netns if "/" in netns else os.path.join(NETNS_DIRECTORY, netns)


@contextlib.contextmanager
def inside(netns: str | None) -> t.Iterator[None]:
    """Run the body in the namespace ``netns``, and return to the present one after it; None stays where it is.

    Raises UnavailableError for a namespace that is not there or without pyroute2, which only this needs,
    NotPermittedError without the right to enter it.
    """
    if netns is None:
        yield
        return
    try:
        from pyroute2 import netns as pyroute2_netns
    except ImportError as error:
        raise UnavailableError(
            f"netns: entering the network namespace {netns!r} needs the Python library pyroute2 >= 0.7.2, which "
            f"{sys.executable} on the target does not have. On Debian and Ubuntu its package is python3-pyroute2; "
            "else install it with pip for that interpreter."
        ) from error
    path = path_of(netns)
    try:
        target = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        known = ", ".join(names()) or "none"
        raise UnavailableError(
            f"netns: the network namespace {netns!r} cannot be opened ({path}: {error.strerror}). "
            f"Give the name of one that 'ip netns list' shows (now: {known}), or a path such as /proc/PID/ns/net."
        ) from error
    home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        try:
            pyroute2_netns.setns(target)
        except OSError as error:
            if error.errno == errno.EPERM:
                raise NotPermittedError(
                    f"netns: entering the network namespace {netns!r} needs root (CAP_SYS_ADMIN). Set become: true."
                ) from error
            raise UnavailableError(
                f"netns: {path} is not a network namespace ({os.strerror(error.errno or 0)}). "
                "Give the name of one that 'ip netns list' shows, or a path such as /proc/PID/ns/net."
            ) from error
        try:
            yield
        finally:
            pyroute2_netns.setns(home)
    finally:
        os.close(home)
        os.close(target)

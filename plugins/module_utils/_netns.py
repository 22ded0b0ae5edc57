# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Working inside a network namespace: sockets, /proc/net and /proc/sys/net are then those of the namespace."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import sys
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._errors import (
    BECOME_ROOT,
    NotPermittedError,
    OptionError,
    UnavailableError,
)
from ansible_collections.netops.conntrack.plugins.module_utils._files.paths import place_of
from ansible_collections.netops.conntrack.plugins.module_utils._files.regular_files import open_regular

NETNS_DIRECTORY = "/run/netns"
"""Where ``ip netns add`` keeps the named namespaces (ip-netns(8))."""

_OWN = "/proc/self/ns/net"
_OF_PROCESS = re.compile(r"/proc/(?:self|thread-self|[0-9]+)(?:/task/[0-9]+)?/ns/net")
_REMEDY = "Give the name of one that 'ip netns list' shows, or a path such as /proc/PID/ns/net."


def names() -> list[str]:
    """Return the names of the host's named network namespaces, sorted."""
    try:
        return sorted(os.listdir(NETNS_DIRECTORY))
    except FileNotFoundError:
        return []


def path_of(netns: str) -> str:
    """Return the file of ``netns``: a name as ``ip netns`` knows it, or a path as it is."""
    return netns if "/" in netns else os.path.join(NETNS_DIRECTORY, netns)


@contextlib.contextmanager
def inside(netns: str | None) -> t.Iterator[None]:
    """Run the body in the namespace ``netns``, and return to the present one after it. None stays where it is.

    Raises UnavailableError for a namespace that is not there or without pyroute2, which only this needs, OptionError
    for a path that others can redirect, NotPermittedError without the right to enter it.
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
    target = _open(netns)
    home = os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)
    try:
        try:
            # The kernel takes a network namespace only, and no other kind.
            pyroute2_netns.setns(target)
        except OSError as error:
            if error.errno == errno.EPERM:
                raise NotPermittedError(
                    f"netns: entering the network namespace {netns!r} needs root (CAP_SYS_ADMIN). {BECOME_ROOT}"
                ) from error
            raise _no_namespace(netns, os.strerror(error.errno or 0)) from error
        try:
            yield
        finally:
            pyroute2_netns.setns(home)
    finally:
        os.close(home)
        os.close(target)


def _open(netns: str) -> int:
    """Return a descriptor of the namespace, which is one of some kind. Nothing else is even opened."""
    if netns in ("", ".", "..") or ("/" in netns and not os.path.isabs(netns)):
        raise OptionError("netns", netns, "is neither the name of a network namespace nor a whole path", _REMEDY)
    try:
        descriptor = _open_file(path_of(netns))
    except OSError as error:
        if error.errno == errno.EINVAL:
            raise _no_namespace(netns, str(error.strerror)) from error
        known = ", ".join(names()) or "none"
        raise UnavailableError(
            f"netns: the network namespace {netns!r} cannot be opened ({path_of(netns)}: {error.strerror}). "
            f"Give the name of one that 'ip netns list' shows (now: {known}), or a path such as /proc/PID/ns/net."
        ) from error
    # All namespaces are files of one file system, which has no others (nsfs, fs/nsfs.c).
    if os.fstat(descriptor).st_dev == os.stat(_OWN).st_dev:
        return descriptor
    status = os.fstat(descriptor)
    os.close(descriptor)
    if "/" not in netns and status.st_size == 0:
        raise _not_mounted(netns)
    raise _no_namespace(netns, "it is another file")


def _open_file(path: str) -> int:
    if _OF_PROCESS.fullmatch(path):
        # What looks like a link there is the namespace itself, and only the kernel makes entries in /proc.
        return open_regular(path)
    with place_of(path, "netns") as place:
        if place.missing:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return open_regular(place.name, dir_fd=place.directory.descriptor, flags=os.O_NOFOLLOW)


def _not_mounted(netns: str) -> UnavailableError:
    """Return the error for the empty file that a namespace of that name is mounted on, where none is."""
    return UnavailableError(
        f"netns: the network namespace {netns!r} is not mounted: {path_of(netns)} is only an empty file here. If it is "
        f"left over, make the namespace anew with 'ip netns delete {netns}' and 'ip netns add {netns}'. If it was "
        "made in a container or a service with mounts of its own, give /proc/PID/ns/net of a process in it."
    )


def _no_namespace(netns: str, why: str) -> UnavailableError:
    return UnavailableError(f"netns: {path_of(netns)} is not a network namespace ({why}). {_REMEDY}")

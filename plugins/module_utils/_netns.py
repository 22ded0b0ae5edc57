# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Working inside a network namespace: sockets, /proc/net and /proc/sys/net are then those of the namespace."""

from __future__ import annotations

import contextlib
import errno
import functools
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

OLDEST_LIBRARY = (0, 5, 14)
"""The oldest pyroute2 that the collection is tested with: that of Debian 11 and Ubuntu 22.04."""

Identity = tuple[int, int]
"""What a namespace is told by as long as it is there: the numbers of its file system and its file (namespaces(7))."""

_OWN = "/proc/self/ns/net"
_PID = re.compile(r"pid:([1-9][0-9]{0,9})")
_OF_PROCESS = re.compile(r"/proc/(?:self|thread-self|[0-9]+)(?:/task/[0-9]+)?/ns/net")
_REMEDY = "Give the name of one that 'ip netns list' shows, pid:PID of a process in it, or a path of one."


def names() -> list[str]:
    """Return the names of the host's named network namespaces, sorted."""
    try:
        return sorted(os.listdir(NETNS_DIRECTORY))
    except FileNotFoundError:
        return []


def pid_of(netns: str) -> int | None:
    """Return the number of the process that ``netns`` names as ``pid:1234``. None for a name or a path."""
    match = _PID.fullmatch(netns)
    return int(match[1]) if match else None


def reference_to(name: str) -> str:
    """Return what stands for the namespace of this name. A name that reads like ``pid:1234`` is given as a path."""
    return os.path.join(NETNS_DIRECTORY, name) if pid_of(name) else name


def path_of(netns: str) -> str:
    """Return the file of ``netns``: a name as ``ip netns`` knows it, a process as ``pid:1234``, or a path as it is."""
    pid = pid_of(netns)
    if pid is not None:
        return f"/proc/{pid}/ns/net"
    return netns if "/" in netns else os.path.join(NETNS_DIRECTORY, netns)


def identity(status: os.stat_result) -> Identity:
    """Return what tells a namespace from the others, from what stat(2) says of its file."""
    return status.st_dev, status.st_ino


def own_identity() -> Identity:
    """Return which namespace this process is in."""
    return identity(os.stat(_OWN))


def identity_of(netns: str) -> Identity:
    """Return which namespace ``netns`` is now. Raises as ``inside`` does, without a need to enter it."""
    descriptor = _open(netns)
    try:
        return identity(os.fstat(descriptor))
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def inside(netns: str | None, expected: Identity | None = None) -> t.Iterator[None]:
    """Run the body in the namespace ``netns``, and return to the present one after it. None stays where it is.

    With ``expected``, it is the namespace that was looked at before, or none is entered: a name can be given to
    another namespace, and the number of a process to another process.
    Raises UnavailableError for a namespace that is not there or without pyroute2, which only this needs, OptionError
    for a path that others can redirect, NotPermittedError without the right to enter it.
    """
    if netns is None:
        yield
        return
    pyroute2_netns = library(netns)
    target = _open(netns)
    if expected is not None and identity(os.fstat(target)) != expected:
        os.close(target)
        raise UnavailableError(f"netns: the network namespace {netns!r} was replaced by another one at the same time.")
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


def library(netns: str) -> t.Any:
    """Return the library that enters ``netns``. Raises UnavailableError where none is installed that can do it."""
    try:
        pyroute2_netns, release = _imported()
    except (ImportError, AttributeError, SyntaxError) as error:
        # One that is too old for its Python misses a module that Python has no more.
        missing = getattr(error, "name", None) == "pyroute2"
        raise _no_library(netns, "does not have" if missing else f"cannot import ({error})") from error
    if release is not None and release < OLDEST_LIBRARY:
        raise _no_library(netns, f"has in version {'.'.join(map(str, release))} only")
    return pyroute2_netns


@functools.cache
def _imported() -> tuple[t.Any, tuple[int, ...] | None]:
    """Return the part of pyroute2 that enters namespaces, and which release it is. None if it does not say so."""
    import pyroute2
    from pyroute2 import netns as pyroute2_netns

    return pyroute2_netns, _release(str(getattr(pyroute2, "__version__", ""))) or _installed_release()


def _installed_release() -> tuple[int, ...] | None:
    """Return the release of pyroute2 that its package names. That of Debian 12 says "unknown" of itself."""
    from importlib import metadata

    try:
        return _release(metadata.version("pyroute2"))
    except metadata.PackageNotFoundError:
        return None


def _release(text: str) -> tuple[int, ...] | None:
    numbers = re.match(r"([0-9]{1,9})\.([0-9]{1,9})\.([0-9]{1,9})", text)
    return tuple(map(int, numbers.groups())) if numbers else None


def _no_library(netns: str, why: str) -> UnavailableError:
    oldest = ".".join(map(str, OLDEST_LIBRARY))
    return UnavailableError(
        f"netns: entering the network namespace {netns!r} needs the Python library pyroute2 >= {oldest}, which "
        f"{sys.executable} on the target {why}. On Debian and Ubuntu its package is python3-pyroute2. "
        "Elsewhere, ansible-playbook netops.conntrack.prepare installs it, also without internet."
    )


def _open(netns: str) -> int:
    """Return a descriptor of the namespace, which is one of some kind. Nothing else is even opened."""
    if netns in ("", ".", "..") or ("/" in netns and not os.path.isabs(netns)):
        raise OptionError("netns", netns, "is neither the name of a network namespace nor a whole path", _REMEDY)
    try:
        descriptor = _open_file(path_of(netns))
    except OSError as error:
        if error.errno == errno.EINVAL:
            raise _no_namespace(netns, str(error.strerror)) from error
        known = ", ".join(_names_to_choose()) or "none"
        raise UnavailableError(
            f"netns: the network namespace {netns!r} cannot be opened ({path_of(netns)}: {error.strerror}). "
            f"Give the name of one that 'ip netns list' shows (now: {known}), pid:PID of a process in it, or a path "
            "such as /proc/PID/ns/net."
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


def _names_to_choose() -> list[str]:
    """Return the names for a message, none of which may be seen."""
    try:
        return names()
    except OSError:
        return []


def _not_mounted(netns: str) -> UnavailableError:
    """Return the error for the empty file that a namespace of that name is mounted on, where none is."""
    return UnavailableError(
        f"netns: the network namespace {netns!r} is not mounted: {path_of(netns)} is only an empty file here. If it is "
        f"left over, make the namespace anew with 'ip netns delete {netns}' and 'ip netns add {netns}'. If it was "
        "made in a container or a service with mounts of its own, give /proc/PID/ns/net of a process in it."
    )


def _no_namespace(netns: str, why: str) -> UnavailableError:
    return UnavailableError(f"netns: {path_of(netns)} is not a network namespace ({why}). {_REMEDY}")

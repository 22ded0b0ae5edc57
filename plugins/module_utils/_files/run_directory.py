# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The directory on the router for what must not outlive a boot, with a file of its own for each network namespace."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
import struct

from ansible_collections.netops.conntrack.plugins.module_utils._errors import BECOME_ROOT, UnavailableError
from ansible_collections.netops.conntrack.plugins.module_utils._files.paths import ForeignPathError, place_of
from ansible_collections.netops.conntrack.plugins.module_utils._files.regular_files import read_regular
from ansible_collections.netops.conntrack.plugins.module_utils._files.replacement import has_room, remove
from ansible_collections.netops.conntrack.plugins.module_utils._files.text import MOST_BYTES_OF_RECORD, text_of

DIRECTORY = "/run/netops-conntrack"
_MODE = 0o711
"""A file whose mode lets everybody read it can be read by its name. Nobody but root sees which files there are."""

_BOOT_ID = "/proc/sys/kernel/random/boot_id"
_SO_NETNS_COOKIE = 71  # asm-generic/socket.h


def make() -> None:
    """Make the directory if it is not there. Raises OSError, or UnavailableError for one of somebody else."""
    _check()
    os.makedirs(DIRECTORY, mode=_MODE, exist_ok=True)
    if stat.S_IMODE(os.stat(DIRECTORY).st_mode) != _MODE:
        os.chmod(DIRECTORY, _MODE)


def path_of(what: str) -> str:
    """Return the path of the file ``what`` of the network namespace that the process is in.

    Raises UnavailableError where the directory is somebody else's, who could have made that file. In one of root's own,
    nobody else can exchange what is looked at.
    """
    _check()
    return os.path.join(DIRECTORY, f"{what}-{_namespace()}")


def _check() -> None:
    """Raise UnavailableError for a directory in which others could have made files."""
    try:
        # One that cannot be looked at is an error to whoever opens what is in it.
        with contextlib.suppress(OSError), place_of(os.path.join(DIRECTORY, "any"), DIRECTORY):
            pass
    except ForeignPathError as error:
        raise UnavailableError(
            f"The path of the files in {DIRECTORY} {error.problem}. Find out who made that directory, and remove it. "
            "Nothing was changed."
        ) from error


def write(path: str, text: str, mode: int = 0o600) -> None:
    """Write the file in full next to the old one, then replace that atomically. Raises OSError, and leaves no part."""
    whole = f"{path}.new"
    try:
        with open(whole, "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), mode)
            file.write(text)
        os.replace(whole, path)
    except OSError:
        with contextlib.suppress(OSError):
            remove(whole)
        raise


def require_room(*sizes: int) -> None:
    """Raise UnavailableError if files of so many bytes each do not fit in the directory. Nothing is written.

    Another process can still fill the file system before they are written.
    """
    present = os.path.isdir(DIRECTORY)
    directory, new = (DIRECTORY, sizes) if present else (os.path.dirname(DIRECTORY), (0, *sizes))
    # A directory that cannot be looked at is an error to whoever writes to it.
    with contextlib.suppress(OSError):
        if not has_room(directory, *new):
            raise not_written(DIRECTORY, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))


def not_written(path: str, error: OSError, consequence: str = "Nothing was changed.") -> UnavailableError:
    """Return the error for a file of the directory that could not be written. ``consequence`` says what that means."""
    return UnavailableError(f"{path} cannot be written ({error.strerror}). {consequence} {_remedy(error)}".rstrip())


def _remedy(error: OSError) -> str:
    parent = os.path.dirname(DIRECTORY)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"Make room: df {parent} and df -i {parent} show what is left."
    if error.errno == errno.EROFS:
        return f"Mount {parent} with write access."
    return BECOME_ROOT if isinstance(error, PermissionError) else ""


def read(path: str) -> str | None:
    """Return the text of the file, bytes that are no UTF-8 escaped, or None where there is none.

    A change that waits has the texts of whole files in it, as a record has. Raises OSError, also for what is no regular
    file.
    """
    try:
        return text_of(read_regular(path, MOST_BYTES_OF_RECORD))
    except FileNotFoundError:
        return None


def boot_id() -> str:
    """Return the name that the kernel has given to this boot, or "" where it has none (random(4))."""
    try:
        with open(_BOOT_ID, encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def _namespace() -> int:
    """Return the number of the network namespace that the process is in."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as any_socket:
            cookie: int = struct.unpack("=Q", any_socket.getsockopt(socket.SOL_SOCKET, _SO_NETNS_COOKIE, 8))[0]
            return cookie
    except OSError:
        # A kernel before 5.14; the number of a namespace's file comes again once the namespace is deleted.
        return os.stat("/proc/self/ns/net").st_ino

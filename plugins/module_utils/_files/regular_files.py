# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Reading regular files and nothing else, up to a bound, and an open directory, with what is done to its files.

What is looked at is always what was opened, so that nobody can exchange it in between.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat

MOST_BYTES = 1 << 20
"""The largest file that is read, unless the reader says otherwise. Configuration is a thousandth of that."""

_CHUNK = 1 << 16
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def open_regular(path: str, *, dir_fd: int | None = None, flags: int = 0) -> int:
    """Return a descriptor for reading a regular file. Raises OSError, also for what is none.

    A FIFO, a device or a socket is not even opened: that can wait for ever, and opening a watchdog starts it.
    """
    looked_at = os.open(path, os.O_PATH | os.O_CLOEXEC | flags, dir_fd=dir_fd)
    try:
        if not stat.S_ISREG(os.fstat(looked_at).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", path)
        try:
            return os.open(f"/proc/self/fd/{looked_at}", _READ)
        except FileNotFoundError:
            # There is no /proc in the directory of an image.
            return _open_same(path, dir_fd, flags, looked_at)
    finally:
        os.close(looked_at)


def _open_same(path: str, dir_fd: int | None, flags: int, looked_at: int) -> int:
    descriptor = os.open(path, _READ | flags, dir_fd=dir_fd)
    if os.path.samestat(os.fstat(descriptor), os.fstat(looked_at)):
        return descriptor
    os.close(descriptor)
    raise OSError(errno.EAGAIN, "it was replaced at the same time", path)


def read_regular(path: str, most: int = MOST_BYTES, *, dir_fd: int | None = None, flags: int = 0) -> bytes:
    """Return the bytes of a regular file. Raises OSError, also for what is none, or is larger than ``most`` bytes."""
    start = read_start(path, most + 1, dir_fd=dir_fd, flags=flags)
    if len(start) > most:
        raise OSError(errno.EFBIG, f"it is larger than {most} bytes", path)
    return start


def read_start(path: str, most: int, *, dir_fd: int | None = None, flags: int = 0) -> bytes:
    """Return the first bytes of a regular file, at most so many. Raises OSError, also for what is none."""
    descriptor = open_regular(path, dir_fd=dir_fd, flags=flags)
    try:
        chunks = []
        left = most
        while left > 0:
            chunk = os.read(descriptor, min(left, _CHUNK))
            if not chunk:
                break
            chunks.append(chunk)
            left -= len(chunk)
        return b"".join(chunks)
    finally:
        os.close(descriptor)


class Directory:
    """An open directory, and what is done to the files in it, by their names alone. No link is followed."""

    def __init__(self, descriptor: int, path: str) -> None:
        """Take over the ``descriptor``. ``path`` is what the directory is called, without symbolic links."""
        self.descriptor = descriptor
        self.path = path

    def close(self) -> None:
        """Close it. No other method can be used then."""
        os.close(self.descriptor)

    def status(self, name: str) -> os.stat_result | None:
        """Return what lstat(2) says of a name, None where there is nothing. Raises OSError."""
        try:
            return os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def read(self, name: str, most: int = MOST_BYTES) -> bytes | None:
        """Return the bytes of a regular file, None where there is nothing. Raises OSError, as ``read_regular`` does."""
        try:
            return read_regular(name, most, dir_fd=self.descriptor, flags=os.O_NOFOLLOW)
        except FileNotFoundError:
            return None

    def create(self, name: str, mode: int = 0o600) -> int:
        """Make a file that was not there, and return its descriptor for writing. Raises OSError."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.open(name, flags, mode, dir_fd=self.descriptor)

    def link(self, name: str, new_name: str) -> None:
        """Add a second name for a file. Raises OSError."""
        os.link(name, new_name, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor, follow_symlinks=False)

    def replace(self, name: str, new_name: str) -> None:
        """Rename a file atomically. A file that has the new name is dropped. Raises OSError."""
        os.replace(name, new_name, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)

    def remove(self, name: str) -> None:
        """Remove a name, which may be gone already. Raises OSError."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self.descriptor)

    def readable(self) -> int:
        """Return another descriptor of the directory, with which it can be read and synced. Raises OSError."""
        return os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self.descriptor)

    def sync(self) -> None:
        """Put the names on the disk, as far as it can be done."""
        with contextlib.suppress(OSError):
            descriptor = self.readable()
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

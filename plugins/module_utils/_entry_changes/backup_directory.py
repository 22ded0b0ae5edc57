# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The directory of the backups: who may write to it, what the files are called, and which of them stay."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import errno
import fcntl
import hashlib
import os
import re
import secrets
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._errors import ConntrackError, OptionError
from ansible_collections.netops.conntrack.plugins.module_utils._files.paths import make_directory, place_of
from ansible_collections.netops.conntrack.plugins.module_utils._files.regular_files import Directory, open_regular

DIRECTORY = "/var/lib/netops-conntrack/backups"

BACKUP_OPTIONS: dict[str, t.Any] = {
    "backup": {"type": "bool", "default": False},
    "backup_dir": {"type": "path", "default": DIRECTORY},
    "backup_keep": {"type": "int"},
}
"""The options of a backup."""

_UNSAFE = re.compile(r"[^A-Za-z0-9_.]")
_MOST_OF_LABEL = 100
_HASH_DIGITS = 8

_LAST_LINE = re.compile(rb"\n# complete [0-9]+\n\Z")
_MOST_OF_LAST_LINE = 64


@dataclasses.dataclass(frozen=True)
class BackupPlan:
    """Where a backup goes, and of how many the newest ones stay: ``keep``, or None for all.

    ``label`` tells the network namespace in the names of the files. It is empty for that of the connection. Backups of
    another one are left alone.
    """

    directory: str
    keep: int | None = None
    label: str = ""

    def new_name(self) -> str:
        """Return a name that no other backup has. Sorted, the names are in the order of their time in UTC."""
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%S.%fZ")
        return "-".join(filter(None, (now, self.label, f"{secrets.token_hex(4)}.save")))

    def is_own(self, name: str) -> bool:
        """Return whether a file of this name is a backup of the same network namespace."""
        label = f"{re.escape(self.label)}-" if self.label else ""
        return re.fullmatch(rf"[0-9]{{8}}T[0-9]{{6}}\.[0-9]{{6}}Z-{label}[0-9a-f]{{8}}\.save", name) is not None


def backup_plan_of(params: t.Mapping[str, t.Any]) -> BackupPlan | None:
    """Return the plan of the BACKUP_OPTIONS in ``params``, None where no backup is wanted. Raises OptionError."""
    directory, keep = params["backup_dir"], params["backup_keep"]
    if directory is None or not os.path.isabs(directory):
        raise OptionError("backup_dir", directory, "is not absolute", f"Give the whole path, such as {DIRECTORY}.")
    if keep is not None and keep < 1:
        raise OptionError("backup_keep", keep, "is less than 1", "Give 1 or more, or leave it out to keep them all.")
    return BackupPlan(directory, keep, _label_of(params["netns"] or "")) if params["backup"] else None


def _label_of(netns: str) -> str:
    """Return what tells the namespace in the names of files. It has a hash of a name that does not fit as it is."""
    readable = _UNSAFE.sub("_", netns)[-_MOST_OF_LABEL:]
    if readable == netns:
        return netns
    digest = hashlib.sha256(netns.encode("utf-8", "surrogateescape")).hexdigest()
    # No name that fits has a hyphen, so none is taken for one with a hash.
    return f"{readable}-{digest[:_HASH_DIGITS]}"


@contextlib.contextmanager
def directory_of(plan: BackupPlan, dry_run: bool) -> t.Iterator[Directory]:
    """Yield the directory of the plan. It is made with all above it, and only its owner can look into it.

    In a dry run, nothing is made: then it is the last directory of the path that is there. Raises ConntrackError where
    nothing can be written in it, or somebody else decides what is there.
    """
    with contextlib.ExitStack() as stack:
        with writing(plan):
            # What is refused in a dry run is refused in the real run, too: a directory that had to be made in /tmp.
            with place_of(os.path.join(plan.directory, "any"), "backup_dir") as place:
                _require_writable(place.directory)
            if place.missing and not dry_run:
                _make(plan.directory)
            directory = stack.enter_context(place_of(os.path.join(plan.directory, "any"), "backup_dir")).directory
        yield directory


def _require_writable(directory: Directory) -> None:
    if not os.access(".", os.W_OK | os.X_OK, dir_fd=directory.descriptor):
        is_read_only = os.fstatvfs(directory.descriptor).f_flag & os.ST_RDONLY
        number = errno.EROFS if is_read_only else errno.EACCES
        raise OSError(number, os.strerror(number))


def _make(path: str) -> None:
    with place_of(path, "backup_dir", make=True) as place:
        make_directory(place.directory, place.name, 0o700)


@contextlib.contextmanager
def new_file(directory: Directory, name: str) -> t.Iterator[t.BinaryIO]:
    """Yield a new file for its owner only. It is locked (flock(2)) as long as it is open. Raises OSError."""
    file = open(directory.create(name), "wb")  # noqa: SIM115  (see the closing below)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file.fileno()).st_nlink:
            yield file
            return
    finally:
        # On a full disk, closing fails once more; what is complete was written before.
        with contextlib.suppress(OSError):
            file.close()
    # Before it was locked, another process took it for what a killed one left, and removed it.
    with new_file(directory, name) as another:
        yield another


@contextlib.contextmanager
def writing(plan: BackupPlan, size: int = 0) -> t.Iterator[None]:
    """Turn an OSError into a ConntrackError that says what to do. ``size`` is how many bytes are needed by then."""
    try:
        yield
    except OSError as error:
        is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        needed = f" It needs {size} bytes or more." if is_full and size else ""
        raise ConntrackError(
            f"backup_dir: {plan.directory!r} cannot take the backup ({error.strerror}), so nothing was deleted. "
            f"Give a directory that can be written, on a disk with room.{needed} Or set backup: false."
        ) from error


def remove_old(directory: Directory, plan: BackupPlan) -> t.Iterator[str]:
    """Remove all backups of the plan but the newest, and those that are not whole, because a process was killed.

    One that is still written, or whose entries are still deleted, is locked and stays. Yield what could not be removed,
    in words.
    """
    stay = 0
    for name in sorted(filter(plan.is_own, _names(directory)), reverse=True):
        try:
            with _opened(directory, name) as descriptor:
                locked = not _can_lock(descriptor)
                if (locked or _is_whole(descriptor)) and (plan.keep is None or stay < plan.keep):
                    stay += 1
                elif not locked:
                    directory.remove(name)
        except OSError as error:
            yield f"backup_keep: {os.path.join(directory.path, name)!r} could not be removed ({error.strerror})."


def _names(directory: Directory) -> list[str]:
    descriptor = directory.readable()
    try:
        return os.listdir(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _opened(directory: Directory, name: str) -> t.Iterator[int]:
    descriptor = open_regular(name, dir_fd=directory.descriptor, flags=os.O_NOFOLLOW)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _can_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_whole(descriptor: int) -> bool:
    """Return whether the file ends with its last line."""
    start = max(0, os.fstat(descriptor).st_size - _MOST_OF_LAST_LINE)
    return _LAST_LINE.search(os.pread(descriptor, _MOST_OF_LAST_LINE, start)) is not None

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Paths that are walked part by part, so that no local user can lead root to a file of his choice.

The modules run as root, and a path that an operator names may lead through places where others can write. A user who
puts a symbolic link there would have root read or replace whatever he likes. So each directory of a path is opened
relative to the one before it (openat(2)), and what is looked at is always what was opened:

* A symbolic link is followed only where nobody but root and the running user can have put it there. It has to belong
  to one of them. So has its directory, and nobody else may write to that. The sticky bit is not enough there: another
  user can still have made the entry, or have moved it into the directory.
* A directory of another user is not passed, as he decides what is in it. Neither is one to which others may write,
  because they can rename what is in it. The sticky bit prevents that, so directories of root below ``/tmp`` are passed.
* ``for_new_file`` lowers this for a file that is only made, and whose old text is never read. Then the path may end in
  directories of one other user, or in one to which others may write. What root does there is no more than that user
  can do himself: no link is followed, a new file gets a name, and an old one of that name is dropped. Every further
  directory has to be his as well, as he may have moved one of somebody else's into the way.

The group root counts as root, because only administrators are in it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.module_utils._files.regular_files import (
    MOST_BYTES,
    Directory,
    open_regular,
)
from ansible_collections.netops.conntrack.plugins.module_utils._files.writers import (
    has_access_list,
    other_writers,
    user_text,
)

_MOST_LINKS = 40  # MAXSYMLINKS in linux/namei.h
_OPEN = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

_LINK_RULE = "A link is followed only where nobody but root and the running user can have put it there"
_FILE_ITSELF = "Give the path of the file itself, or have root make that link in a directory of its own."


class ForeignPathError(OptionError):
    """Others can decide what is at a path. ``problem`` says where, and who."""

    def __init__(self, option: str, path: str, problem: str, remedy: str) -> None:
        super().__init__(option, path, problem, remedy)
        self.problem = problem


class Place(t.NamedTuple):
    """Where a file is or will be: its ``name`` in the last directory that is there, and the directories ``missing``."""

    directory: Directory
    missing: tuple[str, ...]
    name: str

    @property
    def path(self) -> str:
        """The path of the file, without symbolic links."""
        return os.path.join(self.directory.path, *self.missing, self.name)

    def status(self) -> os.stat_result | None:
        """Return what lstat(2) says of the file, None where there is nothing. Raises OSError."""
        return None if self.missing else self.directory.status(self.name)

    def read(self, most: int = MOST_BYTES) -> bytes | None:
        """Return the bytes of the regular file, None where there is nothing. Raises OSError."""
        return None if self.missing else self.directory.read(self.name, most)

    @contextlib.contextmanager
    def opened(self) -> t.Iterator[int]:
        """Yield a descriptor of the regular file, for reading. Raises OSError, also where there is none."""
        if self.missing:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self.path)
        descriptor = open_regular(self.name, dir_fd=self.directory.descriptor, flags=os.O_NOFOLLOW)
        try:
            yield descriptor
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def place_of(
    path: str, option: str, *, make: bool = False, follow: bool = True, for_new_file: bool = False
) -> t.Iterator[Place]:
    """Yield the place of the file ``path``, its directory opened by the rules at the top.

    With ``make``, directories that are missing are made. Without ``follow``, the file itself may be a link, which is
    not followed. ``for_new_file`` says that nothing which is there is read.

    Raises OptionError, which names ``option``, for what is no path, and its subclass ForeignPathError for one that
    others can redirect, and OSError where it cannot be walked.
    """
    walk = _Walk(path, option, for_new_file)
    try:
        yield walk.to_file(make, follow)
    finally:
        walk.here.close()


class _Walk:
    """Walks a path. ``here`` is the directory that it has come to."""

    def __init__(self, path: str, option: str, for_new_file: bool) -> None:
        self._path = path
        self._option = option
        self._for_new_file = for_new_file
        self._parts = _parts(os.path.join(os.getcwd(), _sound(path, option)))
        self._links = 0
        self._trusted = {0, os.geteuid()}
        # The other user whose directories the walk has come to.
        self._user: int | None = None
        self.here = Directory(os.open("/", _OPEN), "/")

    def to_file(self, make: bool, follow: bool) -> Place:
        """Walk to the directory of the file."""
        self._check_owner(self.here)
        while self._parts:
            part = self._parts.pop()
            status = self.here.status(part)
            if status is not None and stat.S_ISLNK(status.st_mode) and (self._parts or follow):
                self._follow(part, status)
            elif not self._parts:
                self._check_last()
                return Place(self.here, (), part)
            elif status is None and not make:
                self._check_last()
                name, *directories = self._parts
                return Place(self.here, (part, *reversed(directories)), name)
            else:
                self._enter(part, is_new=status is None)
        return Place(self.here, (), ".")

    def _follow(self, part: str, status: os.stat_result) -> None:
        """Go on where a symbolic link leads. Nobody who is not trusted can exchange it meanwhile."""
        problem = f"leads over the symbolic link {os.path.join(self.here.path, part)}"
        writers = self._other_writers()
        if status.st_uid not in self._trusted:
            raise self._refusal(f"{problem}, which belongs to {user_text(status.st_uid)}. {_LINK_RULE}", _FILE_ITSELF)
        if writers:
            raise self._refusal(f"{problem}, where {writers} may put one. {_LINK_RULE}", _FILE_ITSELF)
        if self.here.path.startswith("/proc/"):
            # What such a link says is not where it leads (proc(5), /proc/pid/fd/).
            raise self._refusal(f"{problem} of a process", "Give the path of the file itself.")
        self._links += 1
        if self._links > _MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), self._path)
        target = os.readlink(part, dir_fd=self.here.descriptor)
        if target.startswith("/"):
            self._come_to(Directory(os.open("/", _OPEN), "/"))
        self._parts += _parts(target)

    def _enter(self, part: str, is_new: bool) -> None:
        writers = self._other_writers()
        if self._user is None and writers and not self._is_sticky:
            problem = f"leads through {self.here.path}, to which {writers} may write: they decide what {part} in it is"
            raise self._refusal(problem, self._remedy_for_writers())
        if is_new:
            make_directory(self.here, part, 0o755)
        path = os.path.dirname(self.here.path) if part == ".." else os.path.join(self.here.path, part)
        entered = Directory(os.open(part, _OPEN, dir_fd=self.here.descriptor), path)
        try:
            self._check_owner(entered)
        except BaseException:
            entered.close()
            raise
        self._come_to(entered)

    def _come_to(self, directory: Directory) -> None:
        self.here.close()
        self.here = directory

    def _check_owner(self, directory: Directory) -> None:
        """Raise ForeignPathError for a directory of another user who decides what is in it."""
        owner = os.fstat(directory.descriptor).st_uid
        if self._user is None and owner in self._trusted:
            return
        problem = f"leads through {directory.path}, which belongs to {user_text(owner)}"
        if not self._for_new_file:
            remedy = "Give a path through directories of root, or give that one to root."
            raise self._refusal(f"{problem}, who decides what is in it", remedy)
        if self._user is not None and self._user != owner:
            problem += f" and lies in a directory of {user_text(self._user)}, who can put another one there"
            raise self._refusal(problem, "Give a path through directories of root, or of one user only.")
        self._user = owner

    def _check_last(self) -> None:
        """Raise ForeignPathError for the directory of the file, if others could exchange what is read there."""
        writers = None if self._for_new_file else self._other_writers()
        if writers:
            problem = f"lies in {self.here.path}, to which {writers} may write: they decide what is there"
            raise self._refusal(problem, self._remedy_for_writers())

    def _remedy_for_writers(self) -> str:
        remedy = "Give a path through directories to which only root may write"
        # In a sticky directory, such as /tmp, everybody is meant to write.
        return f"{remedy}." if self._is_sticky else f"{remedy}, or run: chmod go-w {self.here.path}."

    @property
    def _is_sticky(self) -> bool:
        return bool(os.fstat(self.here.descriptor).st_mode & stat.S_ISVTX)

    def _other_writers(self) -> str | None:
        """Return who may make entries in the directory besides root and the running user, in words."""
        return other_writers(os.fstat(self.here.descriptor), lambda: _has_access_list(self.here))

    def _refusal(self, problem: str, remedy: str) -> ForeignPathError:
        return ForeignPathError(self._option, self._path, problem, remedy)


def make_directory(directory: Directory, name: str, mode: int) -> None:
    """Make a directory, unless another process does so first. Raises OSError."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, mode, dir_fd=directory.descriptor)


def _has_access_list(directory: Directory) -> bool:
    """Return whether single users may have rights of their own in the directory. Raises OSError."""
    descriptor = directory.readable()
    try:
        return has_access_list(descriptor)
    finally:
        os.close(descriptor)


def _sound(path: str, option: str) -> str:
    """Return the path. Raises OptionError for one that no file can have."""
    with contextlib.suppress(ValueError):
        if b"\0" not in os.fsencode(path):
            return path
    raise OptionError(option, path, "has a character that no path can have", "Give a path without it.")


def _parts(path: str) -> list[str]:
    """Return the parts of a path, the last one first."""
    return [part for part in reversed(path.split("/")) if part not in ("", ".")]

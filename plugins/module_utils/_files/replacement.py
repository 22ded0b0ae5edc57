# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Files that are replaced together: each at one stroke, and all of them or none.

The new text lies complete beside a file, under a name that no loader reads, before the file itself is touched. A
process that is killed at any point leaves the old file or the new one, and perhaps such a text, which the next one
overwrites.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import stat
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._errors import (
    BECOME_ROOT,
    ConntrackError,
    NotPermittedError,
    OptionError,
    UnavailableError,
)
from ansible_collections.netops.conntrack.plugins.module_utils._files.paths import Place, place_of
from ansible_collections.netops.conntrack.plugins.module_utils._files.regular_files import MOST_BYTES, Directory
from ansible_collections.netops.conntrack.plugins.module_utils._files.text import (
    MOST_BYTES_OF_RECORD,
    text_of,
    unreadable,
)

Prepare = t.Callable[[str, str], None]
"""Gives a staged file the owner, mode and security context that it shall have in the place of another (the second)."""


@dataclasses.dataclass(frozen=True)
class FileChange:
    """A file: the text that it holds, and the text that it shall hold. None is that there is no file.

    ``option`` is what asked for the file, for errors. ``again`` is for a second change of a file, from the first one's
    new text. It is put after the first one.
    """

    path: str
    text: str | None
    new_text: str | None
    option: str
    again: bool = False

    @property
    def changed(self) -> bool:
        """Whether anything has to be done."""
        return self.text != self.new_text

    @property
    def _name(self) -> str:
        return os.path.basename(self.path)

    @property
    def _staged(self) -> str:
        return self._beside("new")

    @property
    def _old(self) -> str:
        return self._beside("old")

    def _beside(self, ending: str) -> str:
        return f".{self._name}.{ending}{'-again' if self.again else ''}"

    def stage(self, prepare: Prepare) -> None:
        """Lay the new text complete beside the file. Raises UnavailableError when the disk does not take it."""
        with self._directory(make=True) as directory:
            directory.remove(self._staged)
            directory.remove(self._old)
            if self.new_text is None:
                return
            handle = directory.create(self._staged)
            with open(handle, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
                file.write(self.new_text)
                file.flush()
                os.fchmod(handle, 0o644)
                os.fsync(handle)
        prepare(os.path.join(os.path.dirname(self.path), self._staged), self.path)

    def put(self) -> None:
        """Put what is staged in the place of the file, which is kept aside. Raises UnavailableError."""
        with self._directory() as directory:
            present = text_of(directory.read(self._name, MOST_BYTES_OF_RECORD))
            if present == self.new_text or (present != self.text and directory.status(self._old)):
                # A process that was killed came so far before, or even to the second change of this file.
                return
            if self.text is not None:
                directory.remove(self._old)
                directory.link(self._name, self._old)
            if self.new_text is None:
                directory.remove(self._name)
            else:
                directory.replace(self._staged, self._name)
            # The file is in force; without this, only a power cut in the next seconds could still lose it.
            directory.sync()

    def restore(self) -> None:
        """Put the file that was kept aside in its place again, or remove the new one. Raises UnavailableError."""
        with self._directory() as directory:
            if directory.status(self._old):
                directory.replace(self._old, self._name)
            elif self.text is None and text_of(directory.read(self._name, MOST_BYTES_OF_RECORD)) == self.new_text:
                directory.remove(self._name)

    def check(self) -> None:
        """Raise UnavailableError if somebody has changed the file since."""
        with self._directory() as directory:
            if self.again or directory.status(self._old):
                # The first change of this file has been looked at, or it was put in its place, and perhaps the second.
                return
            if text_of(directory.read(self._name, MOST_BYTES_OF_RECORD)) not in (self.text, self.new_text):
                raise UnavailableError(
                    f"{self.path} was changed by somebody else in the meantime; it is left as it is."
                )

    def clean_up(self) -> None:
        """Remove what lies beside the file."""
        with contextlib.suppress(ConntrackError), self._directory() as directory:
            for name in (self._staged, self._old):
                with contextlib.suppress(OSError):
                    directory.remove(name)

    @contextlib.contextmanager
    def _directory(self, make: bool = False) -> t.Iterator[Directory]:
        """Yield the directory of the file, in which all is done by names alone. Raises ConntrackError.

        The directory is looked at again each time: a process that rolls the change back may do so much later.
        """
        try:
            with place_of(self.path, self.option, make=make, follow=False) as place:
                if place.missing:
                    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self.path)
                yield place.directory
        except OSError as error:
            raise UnavailableError(
                f"{self.option}: {self.path!r} cannot be written ({error.strerror}); it is as it was."
            ) from error


class Purpose(t.NamedTuple):
    """What asked for a file: the ``option``, and what else can be done if the file cannot be written (a remedy)."""

    option: str
    otherwise: str


NewText = t.Callable[[t.Optional[str]], t.Optional[str]]
"""Makes the new text of a file from the present one. None is that there is no file."""


def plan_file(path: str, new_text: NewText, purpose: Purpose, most: int = MOST_BYTES) -> FileChange:
    """Return the change of the file ``path``, links followed, to what ``new_text`` makes of its text.

    Nothing is written. Raises OptionError, NotPermittedError or UnavailableError, which name the option, when the file
    could not be read or replaced, or has more than ``most`` bytes.
    """
    try:
        with place_of(path, purpose.option) as place:
            return _plan_at(place, path, new_text, purpose, most)
    except OSError as error:
        raise unreadable(path, purpose.option, error) from error


def _plan_at(place: Place, path: str, new_text: NewText, purpose: Purpose, most: int) -> FileChange:
    option, otherwise = purpose
    status = place.status()
    if status is not None and not stat.S_ISREG(status.st_mode):
        raise OptionError(option, path, "is not a regular file", "Give another file, or remove what is there.")
    text = text_of(place.read(most))
    change = FileChange(place.path, text, new_text(text), option)
    if change.changed:
        _require_writable(place.directory, change, f"{option}: {path!r} cannot be written", otherwise)
    return change


def _require_writable(directory: Directory, change: FileChange, problem: str, otherwise: str) -> None:
    """Raise NotPermittedError or UnavailableError if the directory does not take the new text."""
    if not os.access(".", os.W_OK | os.X_OK, dir_fd=directory.descriptor):
        raise _not_writable(directory, problem, f"give another file, or {otherwise}")
    if change.new_text is not None and not has_room(directory.path, max(1, len(change.new_text))):
        reason = os.strerror(errno.ENOSPC)
        raise UnavailableError(
            f"{problem} ({reason}). Make room on the file system of {directory.path}, or {otherwise}."
        )


def _not_writable(directory: Directory, problem: str, otherwise: str) -> ConntrackError:
    """Return why no file can be written there. Becoming another user is no remedy for a file system, nor for root."""
    if os.fstatvfs(directory.descriptor).f_flag & os.ST_RDONLY:
        remedy = f"Mount it with write access, {otherwise}."
        return UnavailableError(f"{problem}, the file system of {directory.path} is mounted read-only. {remedy}")
    if os.geteuid() == 0:
        remedy = f"Look at it with lsattr -d and ls -ldZ, {otherwise}."
        return NotPermittedError(f"{problem}, nothing can be written in {directory.path}, not even by root. {remedy}")
    return NotPermittedError(f"{problem} in {directory.path} by this user. {BECOME_ROOT} Or {otherwise}.")


def has_room(directory: str, *sizes: int) -> bool:
    """Return whether new files of so many bytes each fit on the disk (statvfs(3)). True where the disk does not say.

    A file of 0 bytes takes an inode and no block.
    Raises OSError for a directory that cannot be looked at.
    """
    disk = os.statvfs(directory)
    blocks_left = disk.f_bfree if os.geteuid() == 0 else disk.f_bavail
    blocks_needed = sum(-(-size // disk.f_frsize) for size in sizes)
    no_block = disk.f_blocks > 0 and blocks_left < blocks_needed
    no_inode = disk.f_files > 0 and disk.f_ffree < len(sizes)
    return not no_block and not no_inode


def put_all(files: t.Iterable[FileChange]) -> None:
    """Put the staged files in their places. If one fails, restore the others. Raises UnavailableError."""
    done: list[FileChange] = []
    try:
        for file in files:
            done.append(file)
            file.put()
    except ConntrackError as error:
        raise UnavailableError(" ".join([error.message, *restore_all(done)])) from error
    except BaseException:
        restore_all(done)
        raise


def restore_all(files: t.Sequence[FileChange]) -> list[str]:
    """Restore the files from before. Return, in words, which of them the disk did not take."""
    not_restored = []
    for file in reversed(files):
        try:
            file.restore()
        except ConntrackError:
            not_restored.append(f"NOT restored: {file.path}, it has the new text.")
    return not_restored


@contextlib.contextmanager
def staged(files: t.Iterable[FileChange], prepare: Prepare) -> t.Iterator[list[FileChange]]:
    """Stage those of the ``files`` that change, and yield them. Nothing remains beside any of them at the end."""
    files = list(files)
    changed = [file for file in files if file.changed]
    try:
        for file in changed:
            file.stage(prepare)
        yield changed
    finally:
        for file in files:
            file.clean_up()


def remove(path: str) -> None:
    """Remove a file, which may be gone already. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)

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
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._errors import (
    NotPermittedError,
    OptionError,
    UnavailableError,
)
from ansible_collections.netops.conntrack.plugins.module_utils._text import read_text

Prepare = t.Callable[[str, str], None]
"""Gives a staged file the owner, mode and security context that it shall have in the place of another (the second)."""


@dataclasses.dataclass(frozen=True)
class FileChange:
    """A file: the text that it holds, and the text that it shall hold. None is that there is no file.

    ``again`` is for a second change of a file, from the first one's new text. It is put after the first one.
    """

    path: str
    text: str | None
    new_text: str | None
    again: bool = False

    @property
    def changed(self) -> bool:
        """Whether anything has to be done."""
        return self.text != self.new_text

    @property
    def _staged(self) -> str:
        return self._beside("new")

    @property
    def _kept(self) -> str:
        return self._beside("old")

    def _beside(self, ending: str) -> str:
        directory, name = os.path.split(self.path)
        return os.path.join(directory, f".{name}.{ending}{'-again' if self.again else ''}")

    def stage(self, prepare: Prepare) -> None:
        """Lay the new text complete beside the file. Raises UnavailableError when the disk does not take it."""
        with self._explained():
            os.makedirs(os.path.dirname(self.path), mode=0o755, exist_ok=True)
            remove(self._staged)
            remove(self._kept)
            if self.new_text is None:
                return
            handle = os.open(self._staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with open(handle, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
                file.write(self.new_text)
                file.flush()
                os.fchmod(handle, 0o644)
                os.fsync(handle)
        prepare(self._staged, self.path)

    def put(self) -> None:
        """Put what is staged in the place of the file, which is kept aside. Raises UnavailableError."""
        present = read_text(self.path)
        if present == self.new_text or (present != self.text and os.path.exists(self._kept)):
            # A process that was killed came so far before, or even to the second change of this file.
            return
        with self._explained():
            if self.text is not None:
                remove(self._kept)
                os.link(self.path, self._kept)
            if self.new_text is None:
                remove(self.path)
            else:
                os.replace(self._staged, self.path)
        _sync(os.path.dirname(self.path))

    def put_back(self) -> None:
        """Put the file that was kept aside in its place again, or remove the new one. Raises UnavailableError."""
        with self._explained():
            if os.path.exists(self._kept):
                os.replace(self._kept, self.path)
            elif self.text is None and read_text(self.path) == self.new_text:
                remove(self.path)

    def check(self) -> None:
        """Raise UnavailableError if somebody has changed the file since."""
        if self.again or os.path.exists(self._kept):
            # The first change of this file has been looked at, or it was put in its place, and perhaps the second one.
            return
        if read_text(self.path) not in (self.text, self.new_text):
            raise UnavailableError(f"{self.path} was changed by somebody else in the meantime; it is left as it is.")

    def clean_up(self) -> None:
        """Remove what lies beside the file."""
        for path in (self._staged, self._kept):
            with contextlib.suppress(OSError):
                remove(path)

    @contextlib.contextmanager
    def _explained(self) -> t.Iterator[None]:
        try:
            yield
        except OSError as error:
            raise UnavailableError(
                f"sysctl_file: {self.path!r} cannot be written ({error.strerror}); it is as it was."
            ) from error


def plan_file(path: str, new_text: t.Callable[[str | None], str | None], option: str = "sysctl_file") -> FileChange:
    """Give the change of the file ``path``, links followed to what ``new_text`` makes of its text. Nothing is written.

    Raises OptionError, NotPermittedError or UnavailableError, which name ``option``, when the file could not be read or
    replaced.
    """
    target = os.path.realpath(path)
    directory = os.path.dirname(target)
    if os.path.lexists(target) and not os.path.isfile(target):
        raise OptionError(option, path, "is not a regular file", "Give another file, or remove what is there.")
    text = read_text(target)
    change = FileChange(target, text, new_text(text))
    present = directory if os.path.isdir(directory) else os.path.dirname(directory)
    if change.changed and not os.access(present, os.W_OK | os.X_OK):
        raise NotPermittedError(
            f"{option}: {path!r} cannot be written, {present} is read-only for this user. "
            "Set become: true, give another file, or set persist: false."
        )
    if change.changed and change.new_text is not None and not _has_room(present, len(change.new_text)):
        raise UnavailableError(
            f"{option}: {path!r} cannot be written ({os.strerror(errno.ENOSPC)}). Make room on the file system of "
            f"{present}, or set persist: false."
        )
    return change


def _has_room(directory: str, size: int) -> bool:
    """Tell whether a new file of so many bytes fits on the disk (statvfs(3)). True where the disk does not say."""
    disk = os.statvfs(directory)
    blocks_left = disk.f_bfree if os.geteuid() == 0 else disk.f_bavail
    blocks_needed = max(1, -(-size // disk.f_frsize))
    no_block = disk.f_blocks > 0 and blocks_left < blocks_needed
    no_inode = disk.f_files > 0 and disk.f_ffree == 0
    return not no_block and not no_inode


def put_all(files: t.Iterable[FileChange]) -> None:
    """Put the staged files in their places; if one fails, put the others back. Raises UnavailableError."""
    done: list[FileChange] = []
    try:
        for file in files:
            done.append(file)
            file.put()
    except UnavailableError as error:
        raise UnavailableError(" ".join([error.message, *put_back_all(done)])) from error
    except BaseException:
        put_back_all(done)
        raise


def put_back_all(files: t.Sequence[FileChange]) -> list[str]:
    """Put the files from before in their places; say in words which of them the disk did not take."""
    said = []
    for file in reversed(files):
        try:
            file.put_back()
        except UnavailableError:
            said.append(f"NOT put back: {file.path}, it has the new text.")
    return said


@contextlib.contextmanager
def staged(files: t.Iterable[FileChange], prepare: Prepare) -> t.Iterator[list[FileChange]]:
    """Stage those of the ``files`` that change, and give them; nothing remains beside any of them at the end."""
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


def _sync(path: str) -> None:
    # The file is in force; without this, only a power cut in the next seconds could still lose it.
    with contextlib.suppress(OSError):
        directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Configuration that is put together from directories such as ``sysctl.d``: which files count, and in which order.

One set of rules serves sysctl.d(5), modules-load.d(5), modprobe.d(5) and the rules of udev(7).
"""

from __future__ import annotations

import fnmatch
import os
import re
import stat
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._files.regular_files import MOST_BYTES, read_start
from ansible_collections.netops.conntrack.plugins.module_utils._files.text import printable

PLACES = ("/etc", "/run", "/usr/local/lib", "/usr/lib", "/lib")
"""Highest precedence first; ``/lib`` is mostly the same directory as ``/usr/lib``, and then adds nothing."""

_NO_FILE = (OSError, ValueError)
"""What tells that there is no such file, or no such path: one that a script names may hold any character."""

_WILDCARD = re.compile(r"[*?\[]")
_EXECUTABLE = stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH


class Tree:
    """The files of a machine: below ``root``, and as they will be once ``overlay`` is written.

    ``overlay`` maps a full path, as the machine itself calls it, to the text that will stand there, or to None where
    there will be no file. What cannot be read counts as not there. ``unreadable`` has what may not be read, for lack of
    a right.
    """

    def __init__(self, root: str = "/", overlay: t.Mapping[str, str | None] | None = None) -> None:
        """Only remember where to look. Nothing is read yet."""
        self._root = root.rstrip("/")
        self._overlay = overlay or {}
        self.unreadable: set[str] = set()

    def path(self, path: str) -> str:
        """Return where the file that the machine calls ``path`` is found from here."""
        return self._root + path

    def read(self, path: str) -> str | None:
        """Return the text of a file, at most MOST_BYTES of it, what is no UTF-8 replaced.

        None where there is none, or none that can be read. A file that is no regular one counts as not there: a pipe
        could keep the reader waiting for ever.
        """
        for name in (path, self._target(path)) if self._overlay else ():
            if name in self._overlay:
                text = self._overlay[name]
                return text and printable(text)
        return self.start(path, MOST_BYTES)

    def start(self, path: str, most: int) -> str | None:
        """Return the start of a file that is there now, at most so many bytes, or None as ``read`` does."""
        try:
            start = read_start(self.path(path), most)
        except _NO_FILE as error:
            self._note(path, error)
            return None
        return start.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")

    def names(self, directory: str) -> list[str]:
        """Return the names in a directory, or None where there is none, or none that can be listed."""
        try:
            return os.listdir(self.path(directory))
        except _NO_FILE as error:
            self._note(directory, error)
            return []

    def exists(self, path: str) -> bool:
        """Return whether the machine has ``path``, be it a file or a directory. A link that leads nowhere counts."""
        return os.path.lexists(self.path(path))

    def is_file(self, path: str) -> bool:
        """Return whether there is, or will be, a regular file, also behind a link."""
        for name in (path, self._target(path)) if self._overlay else ():
            if name in self._overlay:
                return self._overlay[name] is not None
        status = self._status(path)
        return status is not None and stat.S_ISREG(status.st_mode)

    def is_executable(self, path: str) -> bool:
        """Return whether there is a regular file that may be run."""
        status = self._status(path)
        return status is not None and stat.S_ISREG(status.st_mode) and bool(status.st_mode & _EXECUTABLE)

    def changed_at(self, path: str) -> float | None:
        """Return when the file was last changed, None where there is none."""
        status = self._status(path)
        return status.st_mtime if status else None

    def link(self, path: str) -> str | None:
        """Return what the symbolic link ``path`` says, None if it is none."""
        try:
            return os.readlink(self.path(path))
        except _NO_FILE:
            return None

    def is_masked(self, path: str) -> bool:
        """Return whether the file is a link to /dev/null, which hides the files of its name in lower directories."""
        return self.link(path) == os.devnull

    def fragments(self, kind: str, ending: str = ".conf", places: t.Sequence[str] = PLACES) -> list[str]:
        """Return the files of a ``kind`` such as ``sysctl.d``, in the order in which they are read.

        They are sorted by their names alone. Of two with the same name, the one in the higher of the ``places`` hides
        the other one, also when it is empty, or a symbolic link to /dev/null.
        """
        chosen: dict[str, str] = {}
        for directory in (f"{place}/{kind}" for place in places):
            for name in self.files_in(directory, ending):
                chosen.setdefault(name, f"{directory}/{name}")
        return [chosen[name] for name in sorted(chosen)]

    def files_in(self, directory: str, ending: str = ".conf") -> list[str]:
        """Return the sorted names of the files in a directory that have this ``ending``, without the hidden ones."""
        try:
            with os.scandir(self.path(directory)) as entries:
                names = {entry.name for entry in entries if entry.is_symlink() or entry.is_file()}
        except _NO_FILE as error:
            self._note(directory, error)
            names = set()
        for path, text in self._overlay.items():
            parent, name = os.path.split(path)
            if parent in (directory, self._target(directory)):
                (names.discard if text is None else names.add)(name)
        return sorted(name for name in names if name.endswith(ending) and not name.startswith("."))

    def paths_in(self, directory: str, ending: str = ".conf") -> list[str]:
        """Return the paths of the files that ``files_in`` names."""
        return [f"{directory}/{name}" for name in self.files_in(directory, ending)]

    def matching(self, pattern: str) -> list[str]:
        """Return the sorted files of a directory that match a pattern of the shell such as ``/etc/x.d/*``.

        A path without wildcards is returned as it is.
        """
        if not _WILDCARD.search(pattern):
            return [pattern]
        directory, name = os.path.split(pattern)
        names = fnmatch.filter(self.files_in(directory, ""), name)
        return [f"{directory}/{each}" for each in names]

    def same_file(self, one: str, other: str) -> bool:
        """Return whether two paths lead to the same file."""
        return self._target(one) == self._target(other)

    def _note(self, path: str, error: Exception) -> None:
        if isinstance(error, PermissionError):
            self.unreadable.add(path)

    def _status(self, path: str) -> os.stat_result | None:
        try:
            return os.stat(self.path(path))
        except _NO_FILE:
            return None

    def _target(self, path: str) -> str:
        """Return what ``path`` is without symbolic links, as the machine calls it."""
        try:
            target = os.path.realpath(self.path(path))
        except ValueError:
            return path
        return target.removeprefix(os.path.realpath(self._root or "/").rstrip("/"))

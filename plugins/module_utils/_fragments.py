# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Configuration that is put together from directories such as ``sysctl.d``: which files count, and in which order.

One set of rules serves sysctl.d(5), modules-load.d(5) and modprobe.d(5).
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._text import printable

_PLACES = ("/etc", "/run", "/usr/local/lib", "/usr/lib", "/lib")
"""Highest precedence first; ``/lib`` is mostly the same directory as ``/usr/lib``, and then adds nothing."""


class Tree:
    """The files of a machine: below ``root``, and as they will be once ``overlay`` is written.

    ``overlay`` maps a full path, as the machine itself calls it, to the text that will stand there, or to None where
    there will be no file. What cannot be read counts as not there.
    """

    def __init__(self, root: str = "/", overlay: t.Mapping[str, str | None] | None = None) -> None:
        """Only remember where to look; nothing is read yet."""
        self._root = root.rstrip("/")
        self._overlay = overlay or {}

    def path(self, path: str) -> str:
        """Give where the file that the machine calls ``path`` is found from here."""
        return self._root + path

    def read(self, path: str) -> str | None:
        """Give the text of a file, what is no UTF-8 replaced; None where there is none, or none that can be read."""
        for name in (path, self._target(path)) if self._overlay else ():
            if name in self._overlay:
                text = self._overlay[name]
                return text and printable(text)
        try:
            with open(self.path(path), encoding="utf-8", errors="replace") as file:
                return file.read()
        except OSError:
            return None

    def names(self, directory: str) -> list[str]:
        """Give the names in a directory; none where there is none, or none that can be listed."""
        try:
            return os.listdir(self.path(directory))
        except OSError:
            return []

    def fragments(self, kind: str) -> list[str]:
        """Give the ``*.conf`` files of a ``kind`` such as ``sysctl.d``, in the order in which they are read.

        They are sorted by their names alone. Of two with the same name, the one in the higher directory hides the other
        one, also when it is empty, or a symbolic link to /dev/null.
        """
        chosen: dict[str, str] = {}
        for directory in (f"{place}/{kind}" for place in _PLACES):
            for name in self._fragment_names(directory):
                chosen.setdefault(name, f"{directory}/{name}")
        return [chosen[name] for name in sorted(chosen)]

    def _fragment_names(self, directory: str) -> set[str]:
        try:
            with os.scandir(self.path(directory)) as entries:
                names = {entry.name for entry in entries if entry.is_symlink() or entry.is_file()}
        except OSError:
            names = set()
        for path, text in self._overlay.items():
            parent, name = os.path.split(path)
            if parent in (directory, self._target(directory)):
                (names.discard if text is None else names.add)(name)
        return {name for name in names if name.endswith(".conf") and not name.startswith(".")}

    def _target(self, path: str) -> str:
        """Give what ``path`` is without symbolic links, as the machine calls it."""
        return os.path.realpath(self.path(path)).removeprefix(os.path.realpath(self._root or "/").rstrip("/"))

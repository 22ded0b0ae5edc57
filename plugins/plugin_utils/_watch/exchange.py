# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""Files in which the processes of a task, one for each router, tell each other what they saw.

Each process writes its own file, and replaces it as a whole. One of them draws the page of all.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import typing as t

from ansible_collections.netops.conntrack.plugins.plugin_utils._watch.look import Look


class State(t.TypedDict):
    """How far the process for one router is."""

    looks: int
    """How many looks were made, also those that failed."""

    look: Look | None
    """The last one that did not fail."""

    at: float | None
    """When that was, in seconds of the machine's monotonic clock."""

    problem: str | None
    """Why the last look failed."""

    ended: bool


BEGUN: State = {"looks": 0, "look": None, "at": None, "problem": None, "ended": False}


class Exchange:
    """The files of one task, seen by the process for one of its ``routers``."""

    def __init__(self, directory: str, routers: t.Sequence[str], own: str) -> None:
        self._directory = directory
        self._routers = routers
        self._own = own
        self._state = BEGUN
        self._drawing = os.path.join(directory, "drawing")
        os.makedirs(directory, mode=0o700, exist_ok=True)

    def tell(self, **changes: t.Any) -> None:
        """Tell the others what changed."""
        self._state = t.cast("State", {**self._state, **changes})
        path = self._path(self._own)
        with open(f"{path}.new", "w", encoding="utf-8") as file:
            json.dump(self._state, file)
        os.replace(f"{path}.new", path)

    def states(self) -> dict[str, State | None]:
        """Return what is known of each router. None: its process has not begun."""
        return {router: self._read(router) for router in self._routers}

    def is_first(self) -> bool:
        """Return whether no other process asked this before."""
        try:
            os.close(os.open(self._drawing, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except FileExistsError:
            return False
        return True

    def end_drawing(self) -> None:
        """Let the next process that asks be the first again, after the last page was drawn."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._drawing)

    def _read(self, router: str) -> State | None:
        try:
            with open(self._path(router), encoding="utf-8") as file:
                return t.cast("State", json.load(file))
        except FileNotFoundError:
            return None

    def _path(self, router: str) -> str:
        # The name of a host can have any character, so it is no name for a file.
        name = hashlib.sha256(router.encode("utf-8", "surrogateescape")).hexdigest()
        return os.path.join(self._directory, f"{name}.json")

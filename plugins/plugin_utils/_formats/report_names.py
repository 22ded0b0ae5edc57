# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""The names of reports in their directory: one for each run, ``latest`` for the newest, and which old ones go."""

from __future__ import annotations

import contextlib
import datetime
import itertools
import os
import re
import shutil
import tempfile
import typing as t

from ansible_collections.netops.conntrack.plugins.plugin_utils._formats.render import ENDINGS

RETRY = "retry"
"""The ending of the list of routers that are not done, for ``--limit @FILE``."""

LATEST = "latest"
"""The name, without ending, under which the newest report can be found."""

PLAYBOOKS = ("audit", "prune", "report", "site", "tune")
"""What can stand in a name. It is ``report`` where a play of the user's own makes the report."""

_TIME = "%Y%m%dT%H%M%SZ"
_ENDINGS = (*ENDINGS.values(), RETRY)
_OURS = re.compile(
    rf"(?P<name>conntrack(?:-(?P<playbook>{'|'.join(PLAYBOOKS)}))?-(?P<time>[0-9]{{8}}T[0-9]{{6}}Z)(?:-(?P<number>[0-9]+))?)"
    rf"\.(?P<ending>{'|'.join(_ENDINGS)})"
)
"""The files of reports that this collection named. Before 1.0.0 there was no playbook in their names."""


class _Name(t.NamedTuple):
    """A report's name without ending, in the order of the reports: by time, then by number."""

    time: str
    number: int
    text: str
    playbook: str


Found = dict[_Name, set[str]]
"""The endings of the files in a directory, by the name of their report."""


@contextlib.contextmanager
def own_name(directory: str, playbook: str) -> t.Iterator[str]:
    """Yield a name that no other report in the directory has, nor gets while the files are written.

    Another process on another controller may be looking for a name at the same time. What holds the name is a file that
    only one of them can make. Raises OSError where none can be made.
    """
    now = datetime.datetime.now(datetime.timezone.utc).strftime(_TIME)
    first = f"conntrack-{playbook}-{now}"
    for number in itertools.count(1):
        name = first if number == 1 else f"{first}-{number}"
        holder = os.path.join(directory, f".{name}.name")
        try:
            os.close(os.open(holder, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        except FileExistsError:
            continue
        try:
            if not any(os.path.lexists(os.path.join(directory, f"{name}.{ending}")) for ending in _ENDINGS):
                yield name
                return
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(holder)


def point_latest(directory: str, ending: str) -> str | None:
    """Let ``latest`` with this ending be the newest report's file, and return its path. None if there is none.

    A list of routers that are not done is none of the newest report if that has none. Raises OSError.
    """
    latest = os.path.join(directory, f"{LATEST}.{ending}")
    newest = _newest(directory, ending)
    while newest is not None:
        _put(os.path.join(directory, f"{newest.text}.{ending}"), latest)
        # Another run may have looked before this one, and put an older file there after it.
        before, newest = newest, _newest(directory, ending)
        if newest == before:
            return latest
    with contextlib.suppress(FileNotFoundError):
        os.unlink(latest)
    return None


def remove_old(directory: str, playbook: str, keep: int, own: str) -> None:
    """Remove all reports of the playbook but the newest ``keep``. The one with the name ``own`` always stays.

    Nothing is removed but files that this collection named. Raises OSError.
    """
    reports = _reports_in(directory)
    names = sorted(name for name in reports if name.playbook == playbook and name.text != own)
    others = keep - 1
    for name in names[: max(0, len(names) - others)]:
        for ending in reports[name]:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(directory, f"{name.text}.{ending}"))


def _newest(directory: str, ending: str) -> _Name | None:
    """Return the newest report that has a file with this ending. None if there is none."""
    reports = _reports_in(directory)
    if ending == RETRY:
        newest = max(reports, default=None)
        return newest if newest is not None and RETRY in reports[newest] else None
    return max((name for name, endings in reports.items() if ending in endings), default=None)


def _reports_in(directory: str) -> Found:
    """Return the reports in the directory that this collection named. What is no regular file is none."""
    found: Found = {}
    with os.scandir(directory) as entries:
        for entry in entries:
            ours = _OURS.fullmatch(entry.name)
            if ours and entry.is_file(follow_symlinks=False):
                name = _Name(ours["time"], int(ours["number"] or 1), ours["name"], ours["playbook"] or "")
                found.setdefault(name, set()).add(ours["ending"])
    return found


def _put(path: str, latest: str) -> None:
    """Let ``latest`` be the file at ``path`` in one step. What stood there, a link for example, is never followed.

    It is a second name of that file, and a copy where the file system has no such names. A symbolic link would not be
    shown by every web server, and not be kept by every archive.
    """
    with tempfile.TemporaryDirectory(dir=os.path.dirname(latest), prefix=".latest.") as room:
        whole = os.path.join(room, "file")
        try:
            os.link(path, whole, follow_symlinks=False)
        except OSError:
            shutil.copy2(path, whole, follow_symlinks=False)
        os.replace(whole, latest)

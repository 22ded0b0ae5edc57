# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Taking down all that belongs to a lab, which is found by its names: it needs no record and no order."""

from __future__ import annotations

import contextlib
import pathlib
import shutil
import time
import typing as t

import access
from processes import NETNS_DIRECTORY, LabError, Process, end, end_inside, run
from topology import owned_by

_INTERFACES = pathlib.Path("/sys/class/net")
_SWEEPS = 5


def remains(prefix: str) -> list[str]:
    """Return the paths of all that there is of the lab ``prefix`` outside of its directory."""
    places = (NETNS_DIRECTORY, _INTERFACES, access.ETC_NETNS)
    found = [path for place in places for path in _owned(place, prefix)]
    directories = (access.masters_directory(prefix), access.backups_directory(prefix))
    return [str(path) for path in (*found, *(path for path in directories if path.exists()))]


def take_down(prefix: str, recorded: t.Iterable[Process]) -> None:
    """Remove all of the lab ``prefix`` outside of its directory, and the ``recorded`` processes.

    Raises LabError when something stays.
    """
    access.end_masters(prefix)
    end(recorded)
    for _round in range(_SWEEPS):
        _sweep(prefix)
        left = remains(prefix)
        if not left:
            return
        time.sleep(0.2)
    raise LabError(f"could not be removed: {', '.join(left)}")


def _sweep(prefix: str) -> None:
    namespaces = [path.name for path in _owned(NETNS_DIRECTORY, prefix)]
    links = [path.name for path in _owned(_INTERFACES, prefix)]
    end_inside(namespaces)
    commands = [*(f"link delete {name}" for name in links), *(f"netns delete {name}" for name in namespaces)]
    # What is gone already is no error, and what stays is seen afterwards.
    with contextlib.suppress(LabError):
        run(["ip", "-force", "-batch", "-"], text="\n".join(commands))
    for directory in _owned(access.ETC_NETNS, prefix):
        shutil.rmtree(directory)
    shutil.rmtree(access.backups_directory(prefix), ignore_errors=True)


def _owned(place: pathlib.Path, prefix: str) -> list[pathlib.Path]:
    return sorted(path for path in place.glob("*") if owned_by(prefix, path.name))

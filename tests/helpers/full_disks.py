# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""File systems that have room for so much and no more. Run as a script, this file fills one."""

from __future__ import annotations

import os
import pathlib
import sys

_FILLER = "of-others"


def leave_room(disk: pathlib.Path, scarce: str, room: int) -> None:
    """Fill a small tmpfs until it has room for so many more ``blocks``, or ``inodes``, and no more.

    What an earlier call filled it with is removed first.
    """
    for path in disk.glob(f"{_FILLER}*"):
        path.unlink()
    if scarce == "inodes":
        for number in range(os.statvfs(disk).f_ffree - room):
            (disk / f"{_FILLER}-{number}").touch()
        return
    filler = disk / _FILLER
    filler.touch()
    left = os.statvfs(disk)
    filler.write_bytes(bytes((left.f_bfree - room) * left.f_bsize))


def disk_with_room(scarce: str, room: int) -> list[str]:
    """Return a command that runs another one with a /run of its own that has room for so much."""
    fill = f"{sys.executable} {__file__} {scarce} {room}"
    script = f'mount --make-rprivate /; mount -t tmpfs -o {SMALL} tmpfs /run; {fill}; exec "$@"'
    return ["unshare", "--mount", "sh", "-ec", script, "sh"]


SMALL = "size=256k,nr_inodes=64,mode=755"
"""The options of a tmpfs that is quickly full."""


if __name__ == "__main__":
    leave_room(pathlib.Path("/run"), sys.argv[1], int(sys.argv[2]))

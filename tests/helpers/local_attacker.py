# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A local user without rights, who prepares the places that root will use, and what is root's there."""

from __future__ import annotations

import contextlib
import os
import pathlib
import stat
import subprocess
import sys
import typing as t

from helpers.support import PATIENCE

USER = 65534
AS_USER = ("setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups")

_EXCHANGE = """
import os, sys
name, target = sys.argv[1:]
moved, link, file = name + ".moved", name + ".link", name + ".file"
os.mkdir(name)
print(flush=True)
while True:
    os.rename(name, moved)
    os.symlink(target, name)
    os.unlink(name)
    os.rename(moved, name)
"""
_REPLACE = """
import os, sys
name, target = sys.argv[1:]
print(flush=True)
while True:
    os.symlink(target, name + ".next")
    os.rename(name + ".next", name)
    open(name + ".next", "w").close()
    os.rename(name + ".next", name)
"""


class Ground:
    """Directories in which that user may make what he likes, next to a file and a directory of root's.

    ``sticky`` is as /tmp, ``open`` has no sticky bit, ``his`` is his own. In ``roots`` only root makes entries.
    """

    def __init__(self, directory: pathlib.Path) -> None:
        # So that the user comes to what is below.
        directory.chmod(0o755)
        self.sticky, self.open, self.his, self.roots = (directory / name for name in ("sticky", "open", "his", "roots"))
        for place, mode in ((self.sticky, 0o1777), (self.open, 0o777), (self.his, 0o755), (self.roots, 0o755)):
            place.mkdir()
            place.chmod(mode)
        os.chown(self.his, USER, USER)
        self.file = self.roots / "file"
        self.file.write_text("secret")
        self.file.chmod(0o600)
        self.directory = self.roots / "directory"
        self.directory.mkdir()

    def of_root(self) -> dict[str, tuple[int, int, str]]:
        """Return what is root's: inode, mode and text of each."""
        found = {}
        for place in (self.roots, self.sticky, self.open, self.his):
            for path in place.rglob("*"):
                about = path.lstat()
                text = path.read_text() if stat.S_ISREG(about.st_mode) else ""
                if about.st_uid == 0:
                    found[str(path)] = about.st_ino, about.st_mode, text
        return found


def as_user(*command: str) -> None:
    """Run a command as the user."""
    subprocess.run([*AS_USER, *command], check=True, timeout=PATIENCE)


def link_to_file(ground: Ground, path: pathlib.Path) -> None:
    as_user("ln", "-s", str(ground.file), str(path))


def link_to_nothing(ground: Ground, path: pathlib.Path) -> None:
    as_user("ln", "-s", str(ground.directory / "new.conf"), str(path))


def link_to_directory(ground: Ground, path: pathlib.Path) -> None:
    as_user("ln", "-s", str(ground.directory), str(path))


def hard_link(ground: Ground, path: pathlib.Path) -> None:
    # Kernels with fs.protected_hardlinks=0 let him do it himself.
    path.hardlink_to(ground.file)


def fifo(_ground: Ground, path: pathlib.Path) -> None:
    as_user("mkfifo", str(path))


def unix_socket(_ground: Ground, path: pathlib.Path) -> None:
    as_user(sys.executable, "-c", "import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])", str(path))


def device(_ground: Ground, path: pathlib.Path) -> None:
    # Only root can make one; who reads this gets zeros without end.
    os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5))


def directory(_ground: Ground, path: pathlib.Path) -> None:
    as_user("mkdir", str(path))


LINKS: dict[str, t.Callable[[Ground, pathlib.Path], None]] = {
    "link to root's file": link_to_file,
    "dangling link": link_to_nothing,
    "link to a directory": link_to_directory,
}
NO_FILES: dict[str, t.Callable[[Ground, pathlib.Path], None]] = {
    "FIFO": fifo,
    "socket": unix_socket,
    "device": device,
    "directory": directory,
}
TRAPS = {**LINKS, **NO_FILES, "hard link to root's file": hard_link}


@contextlib.contextmanager
def exchanging(name: pathlib.Path, target: pathlib.Path) -> t.Iterator[None]:
    """Let the user make ``name`` a link to ``target``, and a file or a directory of his as that is, all the time."""
    script = _EXCHANGE if target.is_dir() else _REPLACE
    command = [*AS_USER, sys.executable, "-c", script, str(name), str(target)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd="/") as process:
        assert process.stdout
        process.stdout.readline()
        try:
            yield
            assert process.poll() is None
        finally:
            process.kill()

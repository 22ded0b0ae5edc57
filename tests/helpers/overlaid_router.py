# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A router with the files of this machine, on which everything can be changed: nothing of it reaches the machine.

It is a network namespace and a mount namespace, in which overlays are over the directories that packages, users and
settings are in.
"""

from __future__ import annotations

import contextlib
import json
import pathlib
import subprocess
import typing as t

from helpers.support import SYSTEM_PYTHON, network_namespace

_CHANGED = ("etc", "usr", "var", "home", "root")
_LIST = """
import hashlib, json, os, stat, sys
place = sys.argv[1]
found = {}
for name in sorted(os.listdir(place)):
    top = os.path.join(place, name, "upper")
    for directory, names, files in os.walk(top):
        names[:] = [each for each in names if each not in ("__pycache__", ".ansible", "cache", "log", "backups")]
        for each in [*files, *(each for each in names if not os.listdir(os.path.join(directory, each)))]:
            path = os.path.join(directory, each)
            status = os.lstat(path)
            kind = stat.filemode(status.st_mode)
            content = hashlib.sha256(open(path, "rb").read()).hexdigest() if kind[0] == "-" else ""
            found["/" + name + path[len(top):]] = f"{kind} {content}"
print(json.dumps(found))
"""
_SETUP = """
mount --make-rprivate /
mount -t tmpfs none "$1"
for name in {names}; do
  mkdir -p "$1/$name/upper" "$1/$name/work"
  mount -t overlay overlay -o "lowerdir=/$name,upperdir=$1/$name/upper,workdir=$1/$name/work" "/$name"
done
echo ready
exec sleep infinity
"""


class OverlaidRouter:
    """A router whose processes see its own files."""

    def __init__(self, netns: str, pid: int, directory: pathlib.Path, place: pathlib.Path) -> None:
        self.netns = netns
        self._place = place
        self._enter = ["nsenter", f"--mount=/proc/{pid}/ns/mnt", f"--net=/run/netns/{netns}"]
        self.python = directory / "python"
        self.python.write_text(f'#!/bin/sh\nexec {" ".join(self._enter)} {SYSTEM_PYTHON} "$@"\n')
        self.python.chmod(0o755)
        self.variables: dict[str, t.Any] = {
            "ansible_connection": "local",
            "ansible_python_interpreter": str(self.python),
            "ansible_remote_tmp": str(directory / "remote"),
        }
        """What an inventory says of it."""

    def run(self, command: str) -> str:
        """Run a command of the shell on the router, and return what it prints. AssertionError if it fails."""
        done = self.attempt(command)
        assert done.returncode == 0, f"{command}: rc {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def attempt(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the shell on the router, however it ends."""
        return subprocess.run([*self._enter, "sh", "-ec", command], capture_output=True, text=True, check=False)

    def has(self, path: str) -> bool:
        """Return whether the path is there on the router."""
        return self.attempt(f"[ -e {path} ] || [ -L {path} ]").returncode == 0

    def changes(self) -> dict[str, str]:
        """Return what the router has of its own, by path: the contents of files, and what is hidden of the machine.

        Without what any program leaves behind: logs, caches and bytecode.
        """
        found: dict[str, str] = json.loads(self.run(f"{SYSTEM_PYTHON} -c '{_LIST}' {self._place}"))
        # A directory of the machine's is copied once something in it was changed.
        return {path: told for path, told in found.items() if told[0] != "d" or not pathlib.Path(path).is_dir()}


@contextlib.contextmanager
def overlaid_router(directory: pathlib.Path) -> t.Iterator[OverlaidRouter]:
    """Make a router, yield it, and remove it with all its files."""
    place = directory / "overlays"
    place.mkdir()
    script = _SETUP.format(names=" ".join(_CHANGED))
    with network_namespace("overlaid") as netns:
        command = ["unshare", "--mount", "sh", "-ec", script, "sh", str(place)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                assert process.stdout.readline() == "ready\n"
                yield OverlaidRouter(netns, process.pid, directory, place)
            finally:
                process.kill()

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lets this machine run the programs of another architecture, for as long as a disk with them is built."""

from __future__ import annotations

import contextlib
import os
import pathlib
import subprocess
import typing as t

from hardware import Hardware
from processes import LabError

FORMATS = pathlib.Path("/usr/lib/binfmt.d")
"""How the package of QEMU's interpreters would have them registered (binfmt.d(5))."""

# The kernel has one list for all mount namespaces, so what is registered is taken back. That is left to a process that
# nothing but the end of its input ends, and its input ends with this process, however that ends.
_HOLD = """
trap '' HUP INT TERM
mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
cd /proc/sys/fs/binfmt_misc
printf %s "$1" >register
echo registered
cat >/dev/null
echo -1 >"$0"
"""


@contextlib.contextmanager
def runnable(hardware: Hardware) -> t.Iterator[None]:
    """Make programs of ``hardware`` run on this machine, if they do not by themselves. Raises LabError."""
    if not hardware.interpreter:
        yield
        return
    name = f"ncvm-{hardware.name}-{os.getpid()}"
    command = ["unshare", "--mount", "sh", "-ec", _HOLD, name, format_line(hardware, name)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True, text=True) as holder:
        assert holder.stdin
        assert holder.stdout
        assert holder.stderr
        if holder.stdout.readline() != "registered\n":
            raise LabError(f"programs of {hardware.name} cannot be run: {holder.stderr.read().strip()}")
        try:
            yield
        finally:
            holder.stdin.close()
            if holder.wait() != 0:
                raise LabError(f"the binary format {name} is still registered: {holder.stderr.read().strip()}")


def format_line(hardware: Hardware, name: str) -> str:
    """Return the line that registers the interpreter of ``hardware`` under this ``name``. Raises LabError."""
    file = FORMATS / f"qemu-{hardware.name}.conf"
    try:
        [_empty, _name, *rest] = file.read_text().strip().split(":")
    except (OSError, ValueError) as error:
        raise LabError(f"{file} does not say how programs of {hardware.name} are run: {error}") from error
    return ":".join(["", name, *rest])

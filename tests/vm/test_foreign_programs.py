# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""While a disk of another architecture is built, this machine runs its programs. Afterwards, no list tells of it."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import foreign
import pytest
from hardware import S390X
from helpers.support import CHECKOUT, wait_until
from processes import LabError

LIST = "mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc && cd /proc/sys/fs/binfmt_misc && ls"
PROGRAM = """
import pathlib, sys, time
import foreign
from hardware import S390X

foreign.FORMATS = pathlib.Path(sys.argv[1])
with foreign.runnable(S390X):
    print("registered", flush=True)
    time.sleep(600)
"""


@pytest.fixture(autouse=True)
def formats(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """Have another format than that of s390x registered, which only a file of these tests has."""
    if "binfmt_misc" not in pathlib.Path("/proc/filesystems").read_text():
        pytest.skip("not run: this kernel has no binfmt_misc")
    (tmp_path / "qemu-s390x.conf").write_text(":qemu-s390x:M::ncvm-program::/bin/cat:\n")
    monkeypatch.setattr(foreign, "FORMATS", tmp_path)
    return tmp_path


def registered() -> set[str]:
    """Return the names of the formats of this module's that the kernel has."""
    names = subprocess.run(["unshare", "--mount", "sh", "-c", LIST], capture_output=True, text=True, check=True)
    return {name for name in names.stdout.split() if name.startswith("ncvm-")}


def test_programs_run_while_they_are_needed(tmp_path: pathlib.Path) -> None:
    program = tmp_path / "program"
    program.write_text("ncvm-program\n")
    program.chmod(0o755)
    before = registered()
    with foreign.runnable(S390X):
        done = subprocess.run([program], capture_output=True, text=True, check=True)
        [_own] = registered() - before
    assert done.stdout == "ncvm-program\n"
    assert registered() <= before
    with pytest.raises(OSError, match="Exec format error"):
        subprocess.run([program], check=False)


def test_a_failed_build_leaves_nothing_registered() -> None:
    before = registered()
    with pytest.raises(LabError, match="mmdebstrap"), foreign.runnable(S390X):
        raise LabError("mmdebstrap: exit status 1")
    assert registered() <= before


def test_a_build_that_is_killed_leaves_nothing_registered(formats: pathlib.Path) -> None:
    before = registered()
    path = f"{CHECKOUT}/tools/vm:{CHECKOUT}/tools/lab"
    command = [sys.executable, "-c", PROGRAM, str(formats)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": path}) as build:
        assert build.stdout
        assert build.stdout.readline() == "registered\n"
        own = registered() - before
        build.kill()
    assert own
    wait_until(lambda: not own & registered(), "it is still registered")


def test_what_the_kernel_refuses_is_an_error(formats: pathlib.Path) -> None:
    (formats / "qemu-s390x.conf").write_text(":qemu-s390x:no such kind::::\n")
    with pytest.raises(LabError, match="programs of s390x cannot be run"), foreign.runnable(S390X):
        pass

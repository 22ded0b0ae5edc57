# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A router in a virtual machine, with another kernel than this machine's, that can be rebooted.

`vm.py ssh` starts one and opens a shell in it; README.md in this directory shows what it is.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import platform
import socket
import subprocess
import sys
import tempfile
import time
import typing as t

import access
import qemu
from debian import KERNELS, MANAGEMENT_PORT, SSH_PORT, choose_kernel, recipe
from image import Image
from prerequisites import NotRun, get_image
from processes import LabError, run

CACHE = pathlib.Path(__file__).resolve().parent.parent.parent / ".work" / "vm"
NAME = "router"
"""The machine's name in the inventory, and the one that its ssh key is known by."""

_HERE = "127.0.0.1"
_BOOT_SECONDS = 240.0
"""Without KVM a boot takes 11 to 33 s, a reboot up to 73 s, and more while others use the processors."""
_ANSWER_SECONDS = 15
_PROBE_SECONDS = 8.0
"""A kernel without a disk gives up within 2 s of its start."""
_BOOT_ID = "/proc/sys/kernel/random/boot_id"


class VirtualMachine:
    """A machine that runs from ``image`` in ``directory``, in which it leaves what it printed and the inventory."""

    def __init__(self, image: Image, directory: pathlib.Path) -> None:
        self.image = image
        self.inventory = directory / "inventory.yml"
        self._console, self._log = directory / "console.log", directory / "emulator.log"
        self._ports = dict(zip((SSH_PORT, MANAGEMENT_PORT), _free_ports(2), strict=True))
        self._prefix = f"ncvm-{self._ports[SSH_PORT]}"
        variables = {
            "ansible_host": _HERE,
            "ansible_port": self._ports[SSH_PORT],
            "ansible_ssh_extra_args": f"-o HostKeyAlias={NAME}",
            "ansible_timeout": _ANSWER_SECONDS,
        }
        self.inventory.write_text(access.inventory_of(image.ssh, self._prefix, {NAME: variables}))
        access.masters_directory(self._prefix).mkdir(mode=0o700, exist_ok=True)
        command = qemu.command(image, self._console, self._ports, kvm=_kvm_works(image))
        # The disk's changes lie in a nameless file of the emulator's there, and the emulator dies with its caller.
        with self._log.open("w") as log:
            self._emulator = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *command],
                env={**os.environ, "TMPDIR": str(directory)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def stop(self) -> None:
        """End the machine as a power failure does, and what Ansible left behind on this side."""
        self._emulator.kill()
        self._emulator.wait()
        access.end_masters(self._prefix)

    def ssh_command(self, command: t.Sequence[str] = (), port: int = MANAGEMENT_PORT) -> list[str]:
        """Return the ssh command that runs ``command``, or a shell, in the machine, through that ``port`` of its."""
        patience = ("-o", f"ConnectTimeout={_ANSWER_SECONDS}", "-o", f"HostKeyAlias={NAME}")
        options = [*patience, *access.ssh_options(self.image.ssh), "-i", f"{self.image.ssh}/id"]
        return ["ssh", *options, "-p", str(self._ports[port]), f"root@{_HERE}", *command]

    def sh(self, script: str, *, text: str = "", port: int = MANAGEMENT_PORT) -> str:
        """Run the shell ``script`` in the machine with ``text`` as its input, and give what it prints, or LabError."""
        return run(self.ssh_command([script], port), text=text)

    def boot_id(self) -> str:
        """Return what tells one boot of the machine from another (random(4)); LabError while it does not answer."""
        return self.sh(f"cat {_BOOT_ID}").strip()

    def wait(self, boot_before: str = "") -> float:
        """Wait until the machine answers, in another boot than ``boot_before``; give the seconds, or raise LabError."""
        began, last_problem = time.monotonic(), "the same boot"
        # A connection opens before there is an sshd behind it, for the emulator takes it: only an answer counts.
        while time.monotonic() < began + _BOOT_SECONDS:
            if self._emulator.poll() is not None:
                raise LabError(f"{qemu.PROGRAM} has ended: {self._log.read_text().strip()}")
            try:
                if self.boot_id() != boot_before:
                    return time.monotonic() - began
            except LabError as error:
                last_problem = str(error)
            time.sleep(0.5)
        raise LabError(
            f"the virtual machine does not answer after {_BOOT_SECONDS:.0f} s, but: {last_problem}\n"
            f"It printed: {self._console.read_text(errors='replace')[-2000:]}"
        )

    def reboot(self) -> float:
        """Reboot the machine in order, and give the seconds until it answers again. Raises LabError."""
        before = self.boot_id()
        access.end_masters(self._prefix)
        access.masters_directory(self._prefix).mkdir(mode=0o700)
        # The connection may end before the command does.
        with contextlib.suppress(LabError):
            self.sh("systemctl reboot")
        return self.wait(before)


@contextlib.contextmanager
def started(cache: pathlib.Path = CACHE) -> t.Iterator[VirtualMachine]:
    """Start a machine as freshly installed, wait until it answers, and end it; images are kept in ``cache``.

    VM_KERNEL in the environment names its kernel, one of KERNELS. Raises NotRun where this machine lacks what it takes,
    and LabError.
    """
    kernel = os.environ.get("VM_KERNEL") or choose_kernel(platform.release())
    if kernel not in KERNELS:
        raise LabError(f"VM_KERNEL: {kernel!r} is none of {', '.join(KERNELS)}.")
    image = get_image(cache, recipe(kernel))
    with tempfile.TemporaryDirectory(prefix="run-", dir=cache) as directory:
        machine = VirtualMachine(image, pathlib.Path(directory))
        try:
            machine.wait()
            yield machine
        finally:
            machine.stop()


def _kvm_works(image: Image) -> bool:
    try:
        run(qemu.probe_command(image), patience=_PROBE_SECONDS)
    except LabError:
        return False
    return True


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server((_HERE, 0))) for _number in range(count)]
        return [each.getsockname()[1] for each in sockets]


def main() -> int:
    """Open a shell in a fresh machine, or run a command there, and return the exit status."""
    try:
        if sys.argv[1:2] != ["ssh"]:
            raise LabError("usage: vm.py ssh [COMMAND]")
        with started() as machine:
            print(f"inventory: {machine.inventory}", file=sys.stderr)
            return subprocess.run(machine.ssh_command(sys.argv[2:]), check=False).returncode
    except (LabError, NotRun) as error:
        print(f"vm.py: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())

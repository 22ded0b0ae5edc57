# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A router in a virtual machine, with another kernel than this machine's, that can be rebooted.

`vm.py ssh` starts one and opens a shell in it. README.md in this directory shows what it is.
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
from debian import MANAGEMENT_PORT, SSH_PORT, recipe
from guests import Guest, choose_guests
from hardware import Hardware
from image import Image
from prerequisites import NotRun, get_image
from processes import LabError, run

CACHE = pathlib.Path(__file__).resolve().parent.parent.parent / ".work" / "vm"
NAME = "router"
"""The machine's name in the inventory, and the one that its ssh key is known by."""

_HERE = "127.0.0.1"
_BOOT_SECONDS = 600.0
"""Without KVM a boot takes 11 to 33 s, a reboot up to 73 s, and many times as much while others use the processors."""
_COMMAND_SECONDS = 300.0
_ANSWER_SECONDS = 15
_ANSIBLE_SECONDS = 60  # a busy machine emulates a slow one
_PROBE_SECONDS = 8.0
"""A kernel without a disk gives up within 2 s of its start."""
_CPUINFO = pathlib.Path("/proc/cpuinfo")
_FOR_KVM = {"vmx", "svm"}
"""What a processor of Intel or AMD has for KVM, as /proc/cpuinfo names it."""
_BOOT_ID = "/proc/sys/kernel/random/boot_id"
_PANIC = "Kernel panic - not syncing"
_PANICS = 2
"""Under emulation, one boot in a dozen ends in a panic in the kernel's random numbers. Two in turn are no accident."""


class VirtualMachine:
    """The ``guest`` as it runs from ``image`` in ``directory``, where it leaves what it printed and the inventory."""

    def __init__(self, guest: Guest, image: Image, directory: pathlib.Path) -> None:
        self.guest = guest
        self.image = image
        self._panics_of_boots = self._restarts = 0
        self.inventory = directory / "inventory.yml"
        self._console, self._log = directory / "console.log", directory / "emulator.log"
        self._ports = dict(zip((SSH_PORT, MANAGEMENT_PORT), _free_ports(2), strict=True))
        self._prefix = f"ncvm-{self._ports[SSH_PORT]}"
        variables = {
            "ansible_host": _HERE,
            "ansible_port": self._ports[SSH_PORT],
            "ansible_ssh_extra_args": f"-o HostKeyAlias={NAME}",
            "ansible_timeout": _ANSIBLE_SECONDS,
        }
        self.inventory.write_text(access.inventory_of(image.ssh, self._prefix, {NAME: variables}))
        access.masters_directory(self._prefix).mkdir(mode=0o700, exist_ok=True)
        kvm = _kvm_works(guest.hardware, image)
        self._command = qemu.command(guest.hardware, image, self._console, self._ports, kvm=kvm)
        self._emulator = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        # The disk's changes lie in a nameless file of the emulator's there, and the emulator dies with its caller.
        with self._log.open("w") as log:
            return subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *self._command],
                env={**os.environ, "TMPDIR": str(self._log.parent)},
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
        return run(self.ssh_command([script], port), text=text, patience=_COMMAND_SECONDS)

    def versions(self) -> str:
        """Return the guest's name, and the versions of its kernel, Python, pyroute2 and conntrack, in a line."""
        # That of Debian 12 does not know its own version.
        pyroute2 = "dpkg-query --show python3-pyroute2"
        found = self.sh(f"uname -r; python3 --version; {pyroute2}; conntrack --version").splitlines()
        kernel, python, library, tool = (line.split("(")[0].split()[-1] for line in found)
        return f"{self.guest.name}: kernel {kernel}, Python {python}, pyroute2 {library}, conntrack {tool}"

    def boot_id(self) -> str:
        """Return what tells one boot of the machine from another (random(4)); LabError while it does not answer."""
        return self.sh(f"cat {_BOOT_ID}").strip()

    def wait(self, boot_before: str = "") -> float:
        """Wait until the machine answers, in another boot than ``boot_before``; give the seconds, or raise LabError."""
        began, last_problem = time.monotonic(), "the same boot"
        # A connection opens before there is an sshd behind it, for the emulator takes it: only an answer counts.
        while time.monotonic() < began + _BOOT_SECONDS:
            self._check_emulator(fresh=not boot_before)
            try:
                if self.boot_id() != boot_before:
                    self._panics_of_boots, self._restarts = self._panics(), 0
                    return time.monotonic() - began
            except LabError as error:
                last_problem = str(error)
            time.sleep(0.5)
        raise LabError(
            f"the virtual machine does not answer after {_BOOT_SECONDS:.0f} s, but: {last_problem}\n"
            f"It printed: {self._printed()[-2000:]}"
        )

    def _check_emulator(self, *, fresh: bool) -> None:
        """Start the emulator again if a panic ended it, and nothing is lost with a ``fresh`` disk. Raises LabError."""
        panics = self._panics() - self._panics_of_boots
        if panics >= _PANICS:
            raise LabError(f"the kernel panics at each boot. It printed: {self._printed()[-6000:]}")
        if self._emulator.poll() is None:
            return
        if panics == self._restarts or not fresh:
            raise LabError(f"the emulator has ended: {self._log.read_text().strip()}\n{self._printed()[-2000:]}")
        self._restarts += 1
        self._emulator = self._start()

    def check_kernel(self) -> None:
        """Raise LabError if the kernel panicked since the last boot that a test waited for."""
        if self._panics() > self._panics_of_boots:
            raise LabError(f"the kernel panicked while the tests ran. It printed: {self._printed()[-6000:]}")

    def _panics(self) -> int:
        return self._printed().count(_PANIC)

    def _printed(self) -> str:
        return self._console.read_text(errors="replace") if self._console.exists() else ""

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
def started(guest: Guest, cache: pathlib.Path = CACHE) -> t.Iterator[VirtualMachine]:
    """Start a ``guest`` as freshly installed, wait until it answers, and end it; images are kept in ``cache``.

    Raises NotRun where this machine lacks what it takes, and LabError.
    """
    image = get_image(cache, recipe(guest))
    with tempfile.TemporaryDirectory(prefix="run-", dir=cache) as directory:
        machine = VirtualMachine(guest, image, pathlib.Path(directory))
        try:
            machine.wait()
            yield machine
            machine.check_kernel()
        finally:
            machine.stop()


def wanted_guests() -> list[Guest]:
    """Return the guests that GUESTS in the environment names, or the first one. Raises LabError."""
    return choose_guests(os.environ.get("GUESTS", ""), platform.release())


def _kvm_works(hardware: Hardware, image: Image) -> bool:
    # A machine inside another one may have KVM without a processor for it (Documentation/virt/kvm). A probe would hang.
    if hardware.name != platform.machine() or not _FOR_KVM & set(_CPUINFO.read_text().split()):
        return False
    try:
        run(qemu.probe_command(hardware, image), patience=_PROBE_SECONDS)
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
        [guest, *_others] = wanted_guests()
        with started(guest) as machine:
            print(f"inventory: {machine.inventory}", file=sys.stderr)
            return subprocess.run(machine.ssh_command(sys.argv[2:]), check=False).returncode
    except (LabError, NotRun) as error:
        print(f"vm.py: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())

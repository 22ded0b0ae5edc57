# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the emulator is told. Nothing in here touches the machine."""

from __future__ import annotations

import pathlib
import typing as t

from debian import MANAGEMENT_PORT, SSH_PORT
from image import Image

PROGRAM = "qemu-system-x86_64"
MEMORY_MEGABYTES = 768

_MACHINE = (
    *(PROGRAM, "-nodefaults", "-no-user-config", "-display", "none"),
    *("-smp", "2", "-m", str(MEMORY_MEGABYTES)),
)
_KVM = ("-accel", "kvm", "-cpu", "host")
_EMULATION = ("-accel", "tcg,thread=multi", "-cpu", "qemu64,-svm")


def probe_command(image: Image) -> list[str]:
    """Return the command that starts the kernel of ``image`` with KVM and without a disk, so that it panics and ends.

    Where KVM is not to be had the command fails at once; where it is broken, as inside some virtual machines, it hangs.
    """
    return [*_MACHINE, *_KVM, "-no-reboot", "-kernel", str(image.kernel), "-append", "panic=-1"]


def command(image: Image, console: pathlib.Path, ports: t.Mapping[int, int], *, kvm: bool) -> list[str]:
    """Return the command that runs the machine on ``image``, which it leaves as it is.

    What the machine writes outlives its reboots and ends with the emulator. ``console`` is the file for what it prints,
    ``ports`` gives for each of its ports one on this machine's loopback. The network has nobody else on it. A kernel
    that panics resets the machine after a second.
    """
    forwards = ",".join(f"hostfwd=tcp:127.0.0.1:{ports[port]}-:{port}" for port in (SSH_PORT, MANAGEMENT_PORT))
    return [
        *_MACHINE,
        *(_KVM if kvm else _EMULATION),
        *("-serial", f"file:{console}"),
        *("-kernel", str(image.kernel), "-initrd", str(image.initramfs)),
        *("-append", "root=/dev/vda rw console=ttyS0 quiet panic=1 mitigations=off"),
        *("-drive", f"file={image.disk},if=none,id=disk,format=raw,cache=unsafe,snapshot=on"),
        *("-device", "virtio-blk-pci,drive=disk"),
        *("-netdev", f"user,id=net,restrict=on,{forwards}", "-device", "virtio-net-pci,netdev=net,romfile="),
        *("-device", "virtio-rng-pci"),
    ]

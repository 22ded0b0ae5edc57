# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which machines the emulator imitates: what Debian calls each, and what QEMU must be told of it."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Hardware:
    """A processor, and a machine with it."""

    name: str
    """What `uname -m` says."""

    architecture: str
    """What Debian calls it."""

    kernel_package: str
    """The package that always needs the newest build of the kernel."""

    emulator: str
    emulator_package: str
    """QEMU's program for such a machine, and the Debian package of it."""

    cpu: str
    """The processor that is emulated, as `-cpu` of the emulator names it."""

    bus: str
    """How QEMU ends the names of its virtio devices."""

    console_device: str
    """The device of the emulator that the console writes to."""

    boot_options: str
    """What the kernel is told, but for its disk: the name of the console is part of it."""

    modules: tuple[str, ...]
    """What the kernel needs for its disk, and does not have built in."""

    machine_options: tuple[str, ...] = ()
    network_options: str = ""
    interpreter: str = ""
    """QEMU's program that runs single programs of this architecture; empty where this machine runs them itself."""


X86_64 = Hardware(
    "x86_64",
    architecture="amd64",
    kernel_package="linux-image-cloud-amd64",
    emulator="qemu-system-x86_64",
    emulator_package="qemu-system-x86",
    cpu="qemu64,-svm",
    bus="pci",
    console_device="isa-serial",
    boot_options="console=ttyS0",
    modules=("virtio_pci", "virtio_blk", "virtio_net", "ext4"),
    # It starts from no network, and a package of its own has what that takes.
    network_options=",romfile=",
)
S390X = Hardware(
    "s390x",
    architecture="s390x",
    kernel_package="linux-image-s390x",
    emulator="qemu-system-s390x",
    emulator_package="qemu-system-misc",
    cpu="max",
    bus="ccw",
    console_device="sclpconsole",
    # The module crashes under emulation, and each reboot takes 90 s more.
    boot_options="console=ttysclp0 modprobe.blacklist=chacha_s390",
    modules=("virtio_ccw", "virtio_blk", "virtio_net", "ext4"),
    machine_options=("-machine", "s390-ccw-virtio"),
    interpreter="qemu-s390x-static",
)
"""Big-endian."""

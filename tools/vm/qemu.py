# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the emulator is told. Nothing in here touches the machine."""

from __future__ import annotations

import pathlib
import typing as t

from debian import MANAGEMENT_PORT, SSH_PORT
from hardware import Hardware
from image import Image

MEMORY_MEGABYTES = 768

_KVM = ("-accel", "kvm", "-cpu", "host")


def probe_command(hardware: Hardware, image: Image) -> list[str]:
    """Return the command that starts the kernel of ``image`` with KVM and without a disk, so that it panics and ends.

    Where KVM is not to be had the command fails at once; where it is broken, as inside some virtual machines, it hangs.
    """
    return [*_machine(hardware, kvm=True), *_KVM, "-no-reboot", "-kernel", str(image.kernel), "-append", "panic=-1"]


def command(
    hardware: Hardware, image: Image, console: pathlib.Path, ports: t.Mapping[int, int], *, kvm: bool
) -> list[str]:
    """Return the command that runs the machine on ``image``, which it leaves as it is.

    What the machine writes outlives its reboots and ends with the emulator. What it prints is added to the file
    ``console``. ``ports`` gives for each of its ports one on this machine's loopback. The network has nobody else on
    it. A kernel that panics resets the machine after a second, or ends the emulator.
    """
    forwards = ",".join(f"hostfwd=tcp:127.0.0.1:{ports[port]}-:{port}" for port in (SSH_PORT, MANAGEMENT_PORT))
    return [
        *_machine(hardware, kvm=kvm),
        *(_KVM if kvm else ("-accel", "tcg,thread=multi", "-cpu", hardware.cpu)),
        *(
            "-chardev",
            f"file,id=console,path={console},append=on",
            "-device",
            f"{hardware.console_device},chardev=console",
        ),
        *("-kernel", str(image.kernel), "-initrd", str(image.initramfs)),
        *("-append", f"root=/dev/vda rw quiet panic=1 mitigations=off {hardware.boot_options}"),
        *("-drive", f"file={image.disk},if=none,id=disk,format=raw,cache=unsafe,snapshot=on"),
        *("-device", f"virtio-blk-{hardware.bus},drive=disk"),
        *("-netdev", f"user,id=net,restrict=on,{forwards}"),
        *("-device", f"virtio-net-{hardware.bus},netdev=net{hardware.network_options}"),
        *("-device", f"virtio-rng-{hardware.bus}"),
    ]


def _machine(hardware: Hardware, *, kvm: bool) -> list[str]:
    alone = ("-nodefaults", "-no-user-config", "-display", "none")
    # Two that are emulated take 15 to 35 % more of the machine for the same, because each has to wait for the other.
    processors = "2" if kvm else "1"
    return [hardware.emulator, *hardware.machine_options, *alone, "-smp", processors, "-m", str(MEMORY_MEGABYTES)]

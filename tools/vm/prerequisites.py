# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What this machine must have for a virtual machine: the only reasons for which its tests are not run."""

from __future__ import annotations

import os
import pathlib
import platform
import re
import shutil
import tempfile

import image
from debian import KEYRING, Mirrors, Recipe, find_mirrors
from guests import Guest
from hardware import Hardware
from processes import LabError, run
from qemu import MEMORY_MEGABYTES

_PACKAGES = {
    "mmdebstrap": "mmdebstrap",
    "mke2fs": "e2fsprogs",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "systemctl": "systemd",
    "unshare": "util-linux",
    "apt-config": "apt",
}
"""The commands that are called for each guest, and the Debian packages that hold them."""
_FOREIGN_PACKAGES = {"arch-test": "arch-test"}
"""Those for programs of another architecture, but for what runs them."""
_INTERPRETER_PACKAGE = "qemu-user-static"
FREE_GIGABYTES = 3

_APT = pathlib.Path("/etc/apt")
_APT_HELPER = "/usr/lib/apt/apt-helper"
_MIRROR_SECONDS = 60.0


class NotRun(Exception):
    """A prerequisite is missing; the message says which, and begins with "not run: "."""

    def __init__(self, why: str) -> None:
        super().__init__(f"not run: {why}")


def needed_packages(hardware: Hardware) -> dict[str, str]:
    """Return the commands that are called for a guest on this ``hardware``, and the Debian packages that hold them."""
    needed = {**_PACKAGES, hardware.emulator: hardware.emulator_package}
    if hardware.interpreter:
        needed |= {**_FOREIGN_PACKAGES, hardware.interpreter: _INTERPRETER_PACKAGE}
    return needed


def check_machine(cache: pathlib.Path, hardware: Hardware) -> None:
    """Raise NotRun when this machine cannot run a guest on this ``hardware``, or has no room for one in ``cache``."""
    if platform.machine() != "x86_64":
        raise NotRun(f"this machine is {platform.machine()}, and the virtual ones are made on x86_64")
    if os.geteuid() != 0:
        raise NotRun("building the virtual machine's disk needs root")
    needed = needed_packages(hardware)
    missing = [name for name in needed if shutil.which(name) is None]
    if missing:
        packages = " ".join(sorted({needed[name] for name in missing}))
        raise NotRun(f"{', '.join(missing)}: not found. Install what is missing: apt-get install {packages}")
    available = _available_megabytes()
    if available < 2 * MEMORY_MEGABYTES:
        raise NotRun(f"{available} MB of memory are available, and {2 * MEMORY_MEGABYTES} MB are needed")
    cache.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(cache).free / 1e9
    if free < FREE_GIGABYTES:
        raise NotRun(f"{free:.1f} GB are free in {cache}, and {FREE_GIGABYTES} GB are needed")


def reachable_mirrors(guest: Guest) -> Mirrors:
    """Return the mirrors that this machine's own apt sources name. Raises NotRun if they do not have the guest."""
    if not pathlib.Path(KEYRING).exists():
        raise NotRun(f"{KEYRING}: not found. Install what is missing: apt-get install debian-archive-keyring")
    release = platform.freedesktop_os_release()
    codename = release.get("VERSION_CODENAME", "")
    files = [_APT / "sources.list", *sorted(_APT.glob("sources.list.d/*.list"))]
    files += sorted(_APT.glob("sources.list.d/*.sources"))
    texts = [file.read_text() for file in files if file.exists()]
    mirrors = find_mirrors(texts, codename) if release.get("ID") == "debian" else None
    if mirrors is None:
        raise NotRun("the apt sources of this machine name no Debian mirror with its security updates")
    for address in mirrors.releases(guest):
        _check_answer(address, guest)
    return mirrors


def _check_answer(address: str, guest: Guest) -> None:
    with tempfile.TemporaryDirectory() as directory:
        try:
            run([_APT_HELPER, "-qq", "download-file", address, f"{directory}/InRelease"], patience=_MIRROR_SECONDS)
        except LabError:
            raise NotRun(
                "a Debian mirror that the apt sources of this machine name does not answer, or no longer has "
                f"{guest.suite}, which the virtual machine {guest.name} is made of"
            ) from None


def get_image(cache: pathlib.Path, wanted: Recipe) -> image.Image:
    """Return this recipe's image from ``cache``. Build it if need be. Raises NotRun, and LabError if that fails."""
    check_machine(cache, wanted.guest.hardware)
    return image.find(cache, wanted) or image.build(cache, wanted, reachable_mirrors(wanted.guest))


def _available_megabytes() -> int:
    found = re.search(r"^MemAvailable: +(\d+) kB$", pathlib.Path("/proc/meminfo").read_text(), re.MULTILINE)
    return int(found.group(1)) // 1024 if found else 0

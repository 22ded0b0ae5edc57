# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a virtual machine is made of: Debian, its kernel, and the files that make it a router.

Nothing in here touches the machine.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import typing as t

from guests import Guest

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
"""The keys that Debian signs its archive with (package debian-archive-keyring)."""
SSH_PORT, MANAGEMENT_PORT = 22, 2222
"""Two ways in: a test may cut the first one and look through the second."""
IMAGE_MEGABYTES = 1500

_PACKAGES = (
    "conntrack",
    "initramfs-tools",
    "iproute2",
    "kmod",
    "nftables",
    "openssh-server",
    "procps",
    "python3",
    "python3-pyroute2",
    "systemd-sysv",
    "udev",
    "zstd",
)
_ENABLED = ("systemd-networkd.service", "nftables.service")
_MASKED = (
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dev-hugepages.mount",
    "dev-mqueue.mount",
    "e2scrub_reap.service",
    "getty.target",
    "modprobe@.service",
    "proc-sys-fs-binfmt_misc.automount",
    "sys-fs-fuse-connections.mount",
    "sys-kernel-config.mount",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "systemd-binfmt.service",
    "systemd-network-generator.service",
    "systemd-networkd-wait-online.service",
    "systemd-update-utmp.service",
)
"""What a router does without, and an emulated processor takes seconds for."""
_FILES = {
    "etc/fstab": "/dev/vda / ext4 noatime 0 0\n",
    "etc/hostname": "router\n",
    "etc/hosts": "127.0.0.1 localhost router\n",
    # Empty, not missing: else systemd takes each boot for the first one and enables what is disabled.
    "etc/machine-id": "",
    # PAM takes more than half of the time of a login.
    "etc/ssh/sshd_config.d/vm.conf": f"Port {SSH_PORT}\nPort {MANAGEMENT_PORT}\nUseDNS no\nUsePAM no\n",
    # The addresses that the emulator's own network has. Interfaces that a test makes are none of systemd's.
    "etc/systemd/network/vm.network": (
        "[Match]\nDriver=virtio_net\n\n[Network]\nAddress=10.0.2.15/24\nGateway=10.0.2.2\nLinkLocalAddressing=no\n"
    ),
    # Where this file is, on s390x, a kernel that panics stops. It is to start again, as it does elsewhere.
    "etc/tmpfiles.d/vm.conf": "w /sys/firmware/shutdown_actions/on_panic - - - - reipl\n",
    # Debian orders the two not at all, and the firewall mostly comes second: here it always does.
    "etc/systemd/system/nftables.service.d/late.conf": "[Unit]\nAfter=systemd-sysctl.service\n",
    # The first rule with a `ct state` is what loads nf_conntrack.
    "etc/nftables.conf": """#!/usr/sbin/nft -f
flush ruleset
table inet filter {
  chain input { type filter hook input priority filter; ct state invalid counter drop; }
  chain forward { type filter hook forward priority filter; ct state established,related accept; }
}
""",
}


@dataclasses.dataclass(frozen=True)
class Mirrors:
    """Where Debian packages and their security updates come from."""

    archive: str
    security: str

    def sources(self, guest: Guest) -> str:
        """Return the mirrors of the guest's release, in the one-line format of sources.list(5)."""
        return "".join(f"deb {address} {suite} main\n" for address, suite in self._suites(guest))

    def releases(self, guest: Guest) -> list[str]:
        """Return the addresses of the signed index of each mirror, with which everything begins."""
        return [f"{address.rstrip('/')}/dists/{suite}/InRelease" for address, suite in self._suites(guest)]

    def _suites(self, guest: Guest) -> list[tuple[str, str]]:
        security = [(self.security, f"{guest.suite}-security")] if guest.security else []
        return [(self.archive, guest.suite), *security]


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Everything that decides what is on the disk, but for what the mirrors hold that day and for the ssh keys."""

    guest: Guest
    packages: tuple[str, ...]
    initramfs: t.Mapping[str, str]
    files: t.Mapping[str, str] = dataclasses.field(default_factory=lambda: dict(_FILES))
    enabled: tuple[str, ...] = _ENABLED
    masked: tuple[str, ...] = _MASKED
    megabytes: int = IMAGE_MEGABYTES

    @property
    def name(self) -> str:
        """The guest's name and a hash of the recipe: two recipes have the same name only if they are the same."""
        guest = (self.guest.suite, self.guest.security, self.guest.hardware.architecture)
        text = json.dumps({**dataclasses.asdict(self), "guest": guest}, sort_keys=True)
        return f"{self.guest.name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def recipe(guest: Guest) -> Recipe:
    """Return the recipe of a router that is this ``guest``."""
    initramfs = {
        "etc/initramfs-tools/conf.d/vm": "MODULES=list\n",
        "usr/share/initramfs-tools/modules.d/vm": "".join(f"{name}\n" for name in guest.hardware.modules),
    }
    return Recipe(guest, tuple(sorted((*_PACKAGES, guest.hardware.kernel_package))), initramfs)


def find_mirrors(sources: t.Iterable[str], codename: str) -> Mirrors | None:
    """Return the mirrors that a Debian with this ``codename`` names in the texts of its ``sources``; None without both.

    The texts are in either format of sources.list(5). The mirrors hold the guest's release too, whatever the codename.
    """
    entries = [entry for text in sources for entry in _entries(text)]
    # The last one of a dictionary display wins, and apt takes the first.
    found = {suite: uri for uri, suite in reversed(entries)}
    archive, security = found.get(codename), found.get(f"{codename}-security")
    return Mirrors(archive, security) if archive and security else None


def kept_apt_options(dump: str) -> str:
    """Return of what `apt-config dump` says the options that tell how to reach a mirror: proxies, retries, validity."""
    return "".join(re.findall(r"^Acquire::(?:https?|Retries|Check-)\S* \".*\";\n", dump, re.MULTILINE))


def bootstrap_command(wanted: Recipe, root: str, apt_options: str, initramfs: str) -> list[str]:
    """Return the command that makes the directory ``root`` with the packages. It reads the mirrors' lines from stdin.

    ``apt_options`` is a file in the format of apt.conf(5), ``initramfs`` a directory whose files are there before the
    kernel is installed, which makes its initial RAM disk. All that the command mounts and starts ends with it.
    """
    return [
        *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
        *("mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", "--format=directory"),
        f"--architectures={wanted.guest.hardware.architecture}",
        f"--keyring={KEYRING}",
        f"--aptopt={apt_options}",
        *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "locale", "man")),
        f"--essential-hook=copy-in {initramfs}/etc {initramfs}/usr /",
        f"--include={','.join(wanted.packages)}",
        *(wanted.guest.suite, root, "-"),
    ]


def _entries(text: str) -> list[tuple[str, str]]:
    """Return the (address, suite) pairs of binary packages in ``text``, in their order."""
    text = re.sub(r"^\s*#.*\n?", "", text, flags=re.MULTILINE)
    one_line = re.findall(r"^deb\s+(?:\[[^]]*\]\s+)?(\S+)\s+(\S+)", text, re.MULTILINE)
    stanzas = [entry for stanza in re.split(r"\n\s*\n", text) for entry in _stanza_entries(stanza)]
    return [*one_line, *stanzas]


def _stanza_entries(stanza: str) -> list[tuple[str, str]]:
    fields = {
        name.lower(): value.split()
        for name, value in re.findall(r"^([A-Za-z-]+):((?:.*\n?)(?:[ \t].*\n?)*)", stanza, re.MULTILINE)
    }
    if "deb" not in fields.get("types", []) or fields.get("enabled") == ["no"]:
        return []
    return [(uri, suite) for uri in fields.get("uris", []) for suite in fields.get("suites", [])]

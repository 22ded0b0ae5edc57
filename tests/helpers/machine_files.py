# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A machine whose /etc and /proc are a directory, for the tests of the files that keep settings."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import shutil
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._boot import next_boot as next_boot_module
from ansible_collections.netops.conntrack.plugins.module_utils._files.replacement import put_all, staged
from ansible_collections.netops.conntrack.plugins.module_utils._settings import persistence
from ansible_collections.netops.conntrack.plugins.module_utils._settings.change import Change
from ansible_collections.netops.conntrack.plugins.module_utils._settings.persistence import BootFiles, keep
from ansible_collections.netops.conntrack.plugins.module_utils._settings.record import read_record
from ansible_collections.netops.conntrack.plugins.module_utils._settings.setting_plan import desired_settings, plan

PREFIX = "net.netfilter.nf_conntrack_"
MAX, BUCKETS, ACCT, GENERIC = (f"{PREFIX}{short}" for short in ("max", "buckets", "acct", "generic_timeout"))
KERNEL = {"acct": 0, "buckets": 65536, "count": 3, "generic_timeout": 600, "max": 65536, "tcp_loose": 1}
DROPIN = "sysctl.d/90.conf"
RECORD = f"{DROPIN}.before"
LOAD, OPTIONS = "modules-load.d/90.conf", "modprobe.d/90.conf"
HEAD = "# Kept by Ansible (netops.conntrack.conntrack_settings) for the settings in {}.\n"


class Machine:
    """A machine below ``root``: its files are read and written there, and its kernel never takes anything."""

    def __init__(self, root: pathlib.Path) -> None:
        self.root = root
        self.sysctl_file = f"{root}/etc/{DROPIN}"
        for short, value in KERNEL.items():
            self.write(f"proc/sys/net/netfilter/nf_conntrack_{short}", f"{value}\n")
        for directory in ("sysctl.d", "modules-load.d", "modprobe.d"):
            (root / "etc" / directory).mkdir(parents=True)
        self.write("run/systemd/system/x", "")

    def write(self, name: str, text: str) -> None:
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        (self.root / name).write_bytes(text.encode())

    def has_a_module(self) -> None:
        """nf_conntrack is a module, which nothing loads early."""
        self.write("proc/modules", "nf_conntrack 200704 1 nft_ct, Live 0x0\n")

    def has_procd(self) -> None:
        """The machine is started as OpenWrt is."""
        shutil.rmtree(self.root / "run/systemd")
        self.write("sbin/procd", "")
        (self.root / "etc/modules.d").mkdir()

    def next_boot(self, overlay: t.Mapping[str, str | None] | None = None) -> next_boot_module.NextBoot:
        inside = {path.removeprefix(str(self.root)): text for path, text in (overlay or {}).items()}
        return next_boot_module.next_boot(inside, str(self.root))

    def changes(self, settings: dict[str, object], at_least: dict[str, object] | None = None) -> list[Change]:
        return plan(desired_settings(settings, at_least or {}), f"{self.root}/proc/sys")

    def set(
        self,
        settings: dict[str, object],
        at_least: dict[str, object] | None = None,
        load: bool = True,
        restored: t.Collection[str] = (),
    ) -> BootFiles:
        """Carry out what is wanted, in the files and in the kernel; of what is restored, in the files only."""
        changes = self.changes(settings, at_least)
        boot_files = keep(self.sysctl_file, changes, load, restored)
        self._put(boot_files)
        for change in changes:
            if change.needed:
                change.write(change.wanted)
        return boot_files

    @contextlib.contextmanager
    def in_charge(self) -> t.Iterator[None]:
        """Let the code that plans files look at this machine."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(persistence, "_MODULES_LOAD", f"{self.root}/etc/modules-load.d")
            patch.setattr(persistence, "_MODULES_OF_PROCD", f"{self.root}/etc/modules.d")
            patch.setattr(persistence, "_MODPROBE", f"{self.root}/etc/modprobe.d")
            patch.setattr(persistence, "next_boot", self.next_boot)
            patch.setattr(os, "fsync", lambda _handle: None)  # no power cut will come
            yield

    def forget(self, *shorts: str) -> dict[str, int]:
        """Restore the files of these settings, or of all; give what the kernel held before."""
        recorded = read_record(self.sysctl_file).settings
        gone = {short: before for short, before in recorded.items() if not shorts or short in shorts}
        self._put(keep(self.sysctl_file, [], False, gone if shorts else None))
        return {short: before.runtime for short, before in gone.items() if before.runtime is not None}

    def _put(self, boot_files: BootFiles) -> None:
        with staged(boot_files.in_order, lambda _staged, _path: None) as files:
            put_all(files)

    @property
    def files(self) -> dict[str, str]:
        """The texts in /etc, by their names below it."""
        etc = self.root / "etc"
        return {
            str(path.relative_to(etc)): path.read_bytes().decode() for path in sorted(etc.rglob("*")) if path.is_file()
        }

    @property
    def kernel(self) -> dict[str, int]:
        """What the kernel holds, by short name."""
        return {
            short: int((self.root / f"proc/sys/net/netfilter/nf_conntrack_{short}").read_text()) for short in KERNEL
        }

    @property
    def record(self) -> dict[str, t.Any]:
        data: dict[str, t.Any] = json.loads(self.files[RECORD])
        return data

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module conntrack_settings on a router with an /etc of its own, in a network namespace."""

from __future__ import annotations

import pathlib
import typing as t

from helpers.support import ModuleResult, run, run_module

PREFIX = "net.netfilter.nf_conntrack_"

KEPT = ["sysctl.d/90-netops-conntrack.conf", "sysctl.d/90-netops-conntrack.conf.before"]
"""The files of a router whose nf_conntrack is built in: the drop-in, and the record of what was there before."""


def sysctl(netns: str | None, short: str) -> int:
    return int(run(["sysctl", "-n", PREFIX + short], netns=netns))


def all_sysctls(netns: str) -> str:
    """Return all settings of the namespace as text, to be compared with a later state."""
    lines = run(["sysctl", "-a", "--pattern", "conntrack"], netns=netns).splitlines()
    assert len(lines) > 25
    return "\n".join(line for line in lines if not line.startswith(f"{PREFIX}count"))


_BUILT_IN = "test ! -e /proc/modules || mount --bind /dev/null /proc/modules"

LATE = """
from ansible_collections.netops.conntrack.plugins.module_utils._boot_files.config_tree import Tree

read = Tree.read
Tree.read = lambda self, path: "nf_conntrack 1 0 - Live 0x0\\n" if path == "/proc/modules" else read(self, path)
"""
"""A sitecustomize with which nf_conntrack is a module, whatever kernel this is."""


class Settings:
    """Calls the module on a router with an /etc of its own, which is ``etc`` here; ``dropin`` is the drop-in in it."""

    name = "/etc/sysctl.d/90-netops-conntrack.conf"

    def __init__(self, etc: pathlib.Path) -> None:
        self.etc = etc
        for directory in ("sysctl.d", "modules-load.d", "modprobe.d"):
            (etc / directory).mkdir(parents=True)
        self.dropin = etc / "sysctl.d" / "90-netops-conntrack.conf"
        self.record = etc / "sysctl.d" / "90-netops-conntrack.conf.before"

    def __call__(
        self, args: dict[str, t.Any], *, netns: str | None = None, mount: str = ":", **options: t.Any
    ) -> ModuleResult:
        """Run the module with ``args``; ``mount`` is a command for the mount namespace that it runs in."""
        script = f'mount --make-rprivate /; {_BUILT_IN}; mount --bind {self.etc} /etc; {mount}; exec "$@"'
        wrapper = ["unshare", "--mount", "sh", "-ec", script, "sh", *options.pop("wrapper", [])]
        return run_module("conntrack_settings", args, netns=netns, wrapper=wrapper, **options)

    @property
    def files(self) -> list[str]:
        """The files in /etc."""
        return sorted(self.texts)

    @property
    def texts(self) -> dict[str, str]:
        """The texts of the files in /etc."""
        paths = [path for path in self.etc.rglob("*") if not path.is_dir()]
        return {str(path.relative_to(self.etc)): path.read_bytes().decode() for path in paths}

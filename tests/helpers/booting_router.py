# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A router in a network namespace that systemd would boot, with an /etc of its own.

Its modules run in a mount namespace, where nf_conntrack is a module of the kernel, and nothing loads it early.
"""

from __future__ import annotations

import dataclasses
import pathlib
import re

from ansible_collections.netops.conntrack.plugins.action.conntrack_audit import audit_of
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.audit_types import Finding
from helpers.audited_router import CHECKS, answer_of, document_for, findings_of, inventory_of, printed_by_shell
from helpers.support import SYSTEM_PYTHON

_DIRECTORIES = ("sysctl.d", "modules-load.d", "modprobe.d")
_INTERPRETER = f"""#!/bin/sh
export ROOT={{root}}
exec ip netns exec {{netns}} unshare --mount sh -ec '
  mount --make-rprivate /
  for name in {" ".join(_DIRECTORIES)}; do mount --bind "$ROOT/etc/$name" "/etc/$name"; done
  mount --rbind /proc "$ROOT/proc"
  mount -t tmpfs none /proc
  for path in "$ROOT"/proc/*; do ln -s "$path" /proc/; done
  rm -f /proc/modules
  echo "nf_conntrack 200704 1 nft_ct, Live 0x0" > /proc/modules
  mount --bind "$ROOT/run" /run
  exec {SYSTEM_PYTHON} "$@"
' sh "$@"
"""
_FACTS = "-m netops.conntrack.conntrack_facts -a gather_subset=all"
_COMMAND = re.compile("`([^`]+)`")


@dataclasses.dataclass(frozen=True)
class BootingRouter:
    """A router, of which ``directory`` has the files. The ``inventory`` knows it as r1."""

    netns: str
    directory: pathlib.Path
    inventory: pathlib.Path

    @classmethod
    def make(cls, directory: pathlib.Path, netns: str) -> BootingRouter:
        """Make a router of a namespace, without any setting for the next boot."""
        for name in (*(f"etc/{name}" for name in _DIRECTORIES), "proc", "run/systemd/system", "home"):
            (directory / name).mkdir(parents=True)
        interpreter = directory / "python"
        interpreter.write_text(_INTERPRETER.format(root=directory, netns=netns))
        interpreter.chmod(0o755)
        return cls(netns, directory, inventory_of(directory, str(interpreter)))

    def sysctl_d(self, text: str) -> None:
        """Write a file that the next boot reads."""
        (self.directory / "etc" / "sysctl.d" / "50-router.conf").write_text(text)

    def run(self, command: str) -> None:
        """Run a command as a report prints it. Its own report goes to the files of the router."""
        report = f"-e conntrack_audit_report_directory={self.directory}"
        printed_by_shell(f"{command} {report}", None, self.directory / "home")

    def audit(self) -> dict[str, Finding]:
        """Return what is found on the router, for which the inventory names no profile."""
        facts = answer_of(f"ansible r1 -i {self.inventory} {_FACTS}", None, self.directory / "home")
        audit = audit_of(facts["ansible_facts"]["conntrack"], CHECKS, {})
        return findings_of(document_for(self.inventory, audit))

    def cured_of(self, check_id: str) -> tuple[Finding, dict[str, Finding]]:
        """Return a finding, and what is found once the command of its cure was run as it is printed."""
        finding = self.audit()[check_id]
        [cure] = finding["cures"]
        [command] = _COMMAND.findall(cure)
        self.run(command)
        return finding, self.audit()

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""What else applies sysctls at boot than the service for it: when the module is loaded, or in a script further on."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._boot.boot_scripts import boot_commands
from ansible_collections.netops.conntrack.plugins.module_utils._boot.init_system import SYSCTL_CONF, InitSystem
from ansible_collections.netops.conntrack.plugins.module_utils._boot.module_loading import MODULE, Loading
from ansible_collections.netops.conntrack.plugins.module_utils._boot_files.config_tree import Tree
from ansible_collections.netops.conntrack.plugins.module_utils._boot_files.modprobe_d import CMDLINE, ModprobeConfig
from ansible_collections.netops.conntrack.plugins.module_utils._boot_files.shell_commands import (
    SysctlCall,
    sysctl_calls,
    sysctl_calls_of,
)
from ansible_collections.netops.conntrack.plugins.module_utils._boot_files.sysctl_d import (
    Line,
    Source,
    assignments,
    read_lines,
    relevant,
)
from ansible_collections.netops.conntrack.plugins.module_utils._boot_files.udev_rules import programs_for

_UDEV = (
    "/usr/lib/systemd/systemd-udevd",
    "/lib/systemd/systemd-udevd",
    "/usr/sbin/udevd",
    "/sbin/udevd",
    "/usr/bin/udevadm",
    "/bin/udevadm",
)
_KERNEL_PREFIX = re.compile(r"sysctl[./]")


class Replay(t.NamedTuple):
    """A line that applies sysctls: modprobe.d(5) ``install``, a udev rule, or a command of a script.

    ``lines`` are those that it applies. ``certain`` tells that it runs when the module is there.
    """

    source: Source
    lines: tuple[Line, ...]
    certain: bool = True


def find_replays(
    tree: Tree, system: InitSystem, modprobe: ModprobeConfig, loading: Loading, system_lines: t.Sequence[Line]
) -> list[Replay]:
    """Return what applies sysctls besides the system's own service, in the order in which it happens.

    Where the module is there in time, only what is set by ``install`` lines and udev rules directly makes a difference.
    """
    if loading.when == "builtin":
        return []
    finder = _Finder(tree, system, system_lines)
    replays = [
        *finder.of_install_line(modprobe),
        *(finder.of_udev(loading.when) if _has_udev(tree, system) else []),
        *(finder.of_scripts() if loading.when == "late" and system_lines else []),
    ]
    return [replay for replay in replays if replay]


def kernel_lines(modprobe: ModprobeConfig) -> list[Line]:
    """Return what the kernel's command line sets by ``sysctl.NAME=VALUE`` (process_sysctl_arg in fs/proc)."""
    source = Source(CMDLINE, 1)
    # The kernel makes a slash of each dot.
    pairs = [word[len("sysctl.") :].partition("=") for word in modprobe.words if _KERNEL_PREFIX.match(word)]
    texts = [name.replace(".", "/") + equals + value for name, equals, value in pairs]
    return relevant(Line(source, each, each.key) for text in texts for each in assignments(text))


def _has_udev(tree: Tree, system: InitSystem) -> bool:
    return system.name == "systemd" or any(tree.exists(path) for path in _UDEV)


class _Finder:
    def __init__(self, tree: Tree, system: InitSystem, system_lines: t.Sequence[Line]) -> None:
        self._tree = tree
        self._system = system
        self._system_lines = system_lines

    def of_install_line(self, modprobe: ModprobeConfig) -> t.Iterator[Replay | None]:
        """Yield what the first ``install`` line for the module applies: modprobe runs that one only."""
        line = modprobe.first("install", MODULE)
        if line:
            yield self._replay(line.source, sysctl_calls(line.rest), certain=True)

    def of_udev(self, when: str) -> t.Iterator[Replay | None]:
        for program in programs_for(self._tree, MODULE):
            calls = sysctl_calls_of(program.words)
            # In time or not, nobody knows which of the two writes last.
            yield self._replay(program.source, calls, certain=program.certain and when == "late")

    def of_scripts(self) -> t.Iterator[Replay | None]:
        """Yield what scripts apply of the system's own lines. What they set themselves is theirs (see _boot.owners)."""
        for command in boot_commands(self._tree, self._system):
            call = command.call._replace(assignments=())
            if call != SysctlCall():
                yield self._replay(command.source, [call], certain=command.module_is_there)

    def _replay(self, source: Source, calls: t.Sequence[SysctlCall], certain: bool) -> Replay | None:
        if not calls:
            return None
        lines = [line for call in calls for line in self._lines_of(call, source)]
        return Replay(source, tuple(lines), certain and not any(call.unclear for call in calls))

    def _lines_of(self, call: SysctlCall, source: Source) -> list[Line]:
        lines: list[Line] = []
        if call.everything:
            lines = read_lines(self._tree, self._tree.fragments("sysctl.d"))
            if call.conf:
                lines += read_lines(self._tree, [SYSCTL_CONF])
        if call.unclear:
            # It may be about any of them.
            lines += self._system_lines
        lines += read_lines(self._tree, [path for file in call.files for path in self._paths(file)])
        lines = [line for line in lines if _covers(call, line)]
        own = [Line(source, each._replace(line=source.line), each.key) for each in call.assignments]
        return lines + relevant(own)

    def _paths(self, file: str) -> list[str]:
        if "/" in file:
            return self._tree.matching(file)
        # systemd-sysctl looks for a name without a path in the directories of sysctl.d(5).
        return [path for path in self._tree.fragments("sysctl.d") if path.endswith(f"/{file}")]


def _covers(call: SysctlCall, line: Line) -> bool:
    """Return whether a call applies a line of the files that it reads."""
    dash = "-" if line.assignment.dash else ""
    if call.pattern and not re.search(call.pattern, f"{dash}{line.assignment.name}"):
        return False
    parts = line.key.split("/")
    wanted = [prefix.split("/") for prefix in call.prefixes]
    return not wanted or any(parts[: len(prefix)] == prefix for prefix in wanted)

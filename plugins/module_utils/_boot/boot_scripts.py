# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""What people let run at boot, or when the network comes up, and which sysctls it writes.

Only places that are there for it are looked at, and only so many files of so much text.
"""

from __future__ import annotations

import itertools
import os
import re
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._boot.init_system import InitSystem
from ansible_collections.netops.conntrack.plugins.module_utils._boot_files.config_tree import Tree
from ansible_collections.netops.conntrack.plugins.module_utils._boot_files.shell_commands import (
    SysctlCall,
    logical_lines,
    modprobes,
    sysctl_calls,
)
from ansible_collections.netops.conntrack.plugins.module_utils._boot_files.sysctl_d import Source
from ansible_collections.netops.conntrack.plugins.module_utils._boot_files.systemd_units import enabled_commands

_MOST_FILES = 300
_MOST_CHARACTERS = 200_000

_DISPATCHED = {
    "NetworkManager": tuple(
        f"{place}/NetworkManager/dispatcher.d{part}" for place in ("/etc", "/usr/lib") for part in ("", "/pre-up.d")
    ),
    "networkd-dispatcher": tuple(
        f"{place}/networkd-dispatcher/{state}.d"
        for place in ("/etc", "/usr/lib")
        for state in ("carrier", "configured", "configuring", "degraded", "routable")
    ),
    "ifupdown": ("/etc/network/if-pre-up.d", "/etc/network/if-up.d"),
}
"""Directories whose executable files run when an interface comes up, by the program that runs them."""

_IFUP = ("/sbin/ifup", "/usr/sbin/ifup")
_INTERFACES = "/etc/network/interfaces"
_UP = re.compile(r"\s*(?:pre-up|up|post-up)\s+(.*)")
_SOURCE = re.compile(r"\s*(source|source-directory)\s+(\S+)")

_CRONTABS = ("/var/spool/cron/crontabs", "/var/spool/cron", "/etc/crontabs")
_REBOOT = re.compile(r"\s*@reboot\s+(.*)")
_REBOOT_AS_ROOT = re.compile(r"\s*@reboot\s+root\s+(.*)")

_BOOTCMD = re.compile(r"bootcmd\s*:")
_CLOUD_CONFIGS = ("/etc/cloud/cloud.cfg", "/var/lib/cloud/instance/user-data.txt")

_FIRST_LINE = 80
_STOPS = re.compile(r"exit(?:\s+\d+)?\s*(?:#.*)?")
_MENTIONS = re.compile(r"conntrack|sysctl")
_SHELL = re.compile(r"#!.*\b(?:ba|da|a)?sh\b")


class Script(t.NamedTuple):
    """A text for the shell: who runs it, and the lines, each with its place."""

    owner: str
    lines: tuple[tuple[Source, str], ...]


class BootCommand(t.NamedTuple):
    """A command of a script that writes sysctls. ``module_is_there`` tells that the script loads the module first."""

    owner: str
    source: Source
    call: SysctlCall
    module_is_there: bool


def boot_commands(tree: Tree, system: InitSystem) -> list[BootCommand]:
    """Return the commands that write sysctls and run at boot by themselves."""
    commands: list[BootCommand] = []
    for script in itertools.islice(_scripts(tree, system), _MOST_FILES):
        loaded = False
        for source, text in script.lines:
            loaded = loaded or any("conntrack" in each.name for each in modprobes(text))
            commands += [BootCommand(script.owner, source, call, loaded) for call in sysctl_calls(text)]
    return commands


def _scripts(tree: Tree, system: InitSystem) -> t.Iterator[Script]:
    if system.name == "systemd":
        yield from _of_units(tree)
    yield from _rc_local(tree, system)
    yield from _ifupdown(tree)
    yield from _dispatched(tree)
    yield from _cron(tree)
    yield from _cloud_init(tree)
    yield from _of_firewalls(tree)
    if system.name == "openrc" and tree.exists("/etc/runlevels/default/local"):
        yield from _executables(tree, "local.d", "/etc/local.d", ".start")
    if system.name == "sysvinit":
        yield from _init_scripts(tree)


def _script(tree: Tree, owner: str, path: str) -> t.Iterator[Script]:
    """Yield a script, if it says anything about sysctls. What stands behind an ``exit`` of its own is not run."""
    text = (tree.read(path) or "")[:_MOST_CHARACTERS]
    if not _MENTIONS.search(text):
        return
    lines = itertools.takewhile(lambda line: not _STOPS.fullmatch(line[1]), logical_lines(text))
    yield Script(owner, tuple((Source(path, number), line) for number, line in lines if _MENTIONS.search(line)))


def _executables(tree: Tree, owner: str, directory: str, ending: str = "") -> t.Iterator[Script]:
    for path in tree.paths_in(directory, ending):
        if tree.is_executable(path):
            yield from _script(tree, owner, path)


def _rc_local(tree: Tree, system: InitSystem) -> t.Iterator[Script]:
    """Yield rc.local, which has to be executable, but for OpenWrt, whose /etc/init.d/done gives it to a shell."""
    places = ["/etc/rc.local", "/etc/rc.d/rc.local", "/etc/sysconfig/rc.local"]
    seen: list[str] = []
    for path in places:
        runs = tree.is_executable(path) or (system.name == "procd" and path == places[0])
        if runs and not any(tree.same_file(path, other) for other in seen):
            seen.append(path)
            yield from _script(tree, "rc.local", path)


def _of_units(tree: Tree) -> t.Iterator[Script]:
    for unit, source, command in enabled_commands(tree):
        if _MENTIONS.search(command):
            yield Script(f"unit {unit}", ((source, command),))
        program = command.split()[0] if command.split() else ""
        if program.startswith("/") and not program.startswith(("/usr/bin/", "/usr/sbin/", "/bin/", "/sbin/")):
            yield from _shell_script(tree, f"unit {unit}", program)


def _shell_script(tree: Tree, owner: str, path: str) -> t.Iterator[Script]:
    if _SHELL.match(tree.start(path, _FIRST_LINE) or ""):
        yield from _script(tree, owner, path)


def _ifupdown(tree: Tree) -> t.Iterator[Script]:
    """Yield what interfaces(5) runs when an interface comes up."""
    if not any(tree.exists(path) for path in _IFUP):
        return
    waiting: list[str] = [_INTERFACES]
    seen: set[str] = set()
    while waiting and len(seen) < _MOST_FILES:
        path = waiting.pop(0)
        seen.add(path)
        lines = []
        for number, line in logical_lines((tree.read(path) or "")[:_MOST_CHARACTERS]):
            up, other = _UP.match(line), _SOURCE.match(line)
            if up and _MENTIONS.search(up[1]):
                lines.append((Source(path, number), up[1]))
            elif other:
                waiting += [each for each in _sourced(tree, path, *other.groups()) if each not in seen]
        if lines:
            yield Script("ifupdown", tuple(lines))


def _sourced(tree: Tree, path: str, kind: str, pattern: str) -> list[str]:
    place = pattern if pattern.startswith("/") else f"{os.path.dirname(path)}/{pattern}"
    if kind == "source-directory":
        return [f"{place}/{name}" for name in tree.files_in(place, "") if re.fullmatch(r"[\w-]+", name)]
    return tree.matching(place)


def _dispatched(tree: Tree) -> t.Iterator[Script]:
    for owner, directories in _DISPATCHED.items():
        for directory in directories:
            yield from _executables(tree, owner, directory)


def _cron(tree: Tree) -> t.Iterator[Script]:
    """Yield the lines that cron runs once, when it starts, as root: nobody else can write a sysctl.

    The lines of the machine name a user before the command. The other files belong to the user whose name they have.
    """
    for path in ["/etc/crontab", *tree.paths_in("/etc/cron.d", "")]:
        yield from _at_reboot(tree, path, _REBOOT_AS_ROOT)
    for directory in _CRONTABS:
        yield from _at_reboot(tree, f"{directory}/root", _REBOOT)


def _at_reboot(tree: Tree, path: str, pattern: re.Pattern[str]) -> t.Iterator[Script]:
    lines = []
    for number, line in enumerate((tree.read(path) or "")[:_MOST_CHARACTERS].split("\n"), start=1):
        match = pattern.match(line)
        if match and _MENTIONS.search(match[1]):
            lines.append((Source(path, number), match[1]))
    if lines:
        yield Script("cron", tuple(lines))


def _cloud_init(tree: Tree) -> t.Iterator[Script]:
    """Yield the commands of ``bootcmd``, which cloud-init runs at each boot."""
    if tree.exists("/etc/cloud/cloud-init.disabled"):
        return
    for path in [*_CLOUD_CONFIGS, *tree.paths_in("/etc/cloud/cloud.cfg.d", ".cfg")]:
        lines = []
        inside = False
        for number, line in enumerate((tree.read(path) or "")[:_MOST_CHARACTERS].split("\n"), start=1):
            if line[:1].strip() and not line.startswith(("-", "#")):
                inside = bool(_BOOTCMD.match(line))
            elif inside and _MENTIONS.search(line):
                lines.append((Source(path, number), _of_yaml(line)))
        if lines:
            yield Script("cloud-init", tuple(lines))


def _of_yaml(line: str) -> str:
    """Return the command of an item, which is a text or a list of words."""
    item = line.strip().removeprefix("-").strip()
    if item.startswith("["):
        return " ".join(re.sub(r"""[\[\],"']""", " ", item).split())
    return item.strip("\"'")


def _of_firewalls(tree: Tree) -> t.Iterator[Script]:
    """Yield the scripts that firewalls run for their users when they start."""
    if re.search(r"^STARTUP_ENABLED=[\"']?[Yy]es", tree.read("/etc/shorewall/shorewall.conf") or "", re.MULTILINE):
        for name in ("init", "start", "started"):
            yield from _script(tree, "shorewall", f"/etc/shorewall/{name}")
    if tree.exists("/etc/csf/csf.conf"):
        for directory in ("/usr/local/csf/bin", "/etc/csf"):
            for name in ("csfpre.sh", "csfpost.sh"):
                yield from _script(tree, "csf", f"{directory}/{name}")
    if tree.exists("/etc/openwrt_release"):
        yield from _script(tree, "firewall.user", "/etc/firewall.user")
    if tree.exists("/var/ipfire"):
        yield from _script(tree, "firewall.local", "/etc/sysconfig/firewall.local")


def _init_scripts(tree: Tree) -> t.Iterator[Script]:
    """Yield the scripts that init starts. Those that apply sysctls and load modules are known elsewhere."""
    for directory in ("/etc/rcS.d", "/etc/rc2.d"):
        for name in tree.files_in(directory, ""):
            if name.startswith("S") and name[3:] not in ("procps", "kmod", "rc.local"):
                yield from _script(tree, f"init script {name[3:]}", f"{directory}/{name}")

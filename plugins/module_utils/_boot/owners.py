# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Who else writes connection-tracking settings: services that set them when they start, whatever sysctl.d(5) says.

Only what is known to write such settings is looked for. dockerd is not among them: it writes forwarding and bridge
settings, and ``docker run --sysctl`` is about the container's own namespace (daemon/libnetwork in moby). What people
put into scripts is looked for as well, in the places from which a machine runs them by itself.
"""

from __future__ import annotations

import contextlib
import os
import re
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._boot.appliances import proxmox, vyos
from ansible_collections.netops.conntrack.plugins.module_utils._boot.boot_scripts import boot_commands
from ansible_collections.netops.conntrack.plugins.module_utils._boot.init_system import InitSystem, init_system
from ansible_collections.netops.conntrack.plugins.module_utils._boot_files.config_tree import Tree
from ansible_collections.netops.conntrack.plugins.module_utils._boot_files.sysctl_d import assignments

_KUBE_PROXY = {
    "max": "--conntrack-max-per-core",
    "buckets": "--conntrack-max-per-core",
    "tcp_timeout_close_wait": "--conntrack-tcp-timeout-close-wait",
    "tcp_timeout_established": "--conntrack-tcp-timeout-established",
}
"""What kube-proxy writes unless the option is 0 (SetSysctls; before that, cmd/kube-proxy/app/conntrack.go)."""

_KUBE_PROXY_IF_ASKED = {
    "tcp_be_liberal": "--conntrack-tcp-be-liberal",
    "udp_timeout": "--conntrack-udp-timeout",
    "udp_timeout_stream": "--conntrack-udp-timeout-stream",
}
_TAKE_A_VALUE = {*_KUBE_PROXY.values(), *_KUBE_PROXY_IF_ASKED.values()} - {"--conntrack-tcp-be-liberal"}
"""The options whose value may be the next word. That of a boolean stands behind a = only."""

_OFF = ("0", "0s", "false")

_WITH_KUBE_PROXY = {"k3s-server": "k3s", "k3s-agent": "k3s", "kubelite": "microk8s"}
"""Processes with a kube-proxy inside, which write what it writes by default (pkg/agent/syssetup/setup.go in k3s)."""

_FIREWALLD_CONF = "/etc/firewalld/firewalld.conf"
_TUNED_ACTIVE = "/etc/tuned/active_profile"
_TUNED_PROFILES = ("/etc/tuned/profiles", "/etc/tuned", "/usr/lib/tuned/profiles", "/usr/lib/tuned")
"""Highest precedence first: the places of tuned 2.24 and later, and those before it (tuned.conf(5))."""

_UFW_ENABLED, _UFW_DEFAULTS, _UFW_SYSCTLS = "/etc/ufw/ufw.conf", "/etc/default/ufw", "/etc/ufw/sysctl.conf"


class Owner(t.NamedTuple):
    """A service, the short names of the settings that it writes, and the process or the line that shows it."""

    owner: str
    settings: tuple[str, ...]
    evidence: str


def competing_owners(root: str = "/", unreadable: set[str] | None = None) -> list[Owner]:
    """Return the services that write settings of connection tracking when they start.

    ``unreadable`` gets the files and directories that may not be read.
    """
    tree = Tree(root)
    owners = _owners(tree)
    if unreadable is not None:
        unreadable.update(tree.unreadable)
    return owners


def _owners(tree: Tree) -> list[Owner]:
    processes = _processes(tree)
    included = [(name, owner) for name, owner in _WITH_KUBE_PROXY.items() if name in processes]
    return [
        *(owner for pid in processes.get("kube-proxy", []) for owner in _kube_proxy(tree, pid)),
        *(Owner(owner, tuple(_KUBE_PROXY), f"process {pid}") for name, owner in included for pid in processes[name]),
        *(_firewalld(tree) if "firewalld" in processes else []),
        *(_tuned(tree) if "tuned" in processes else []),
        *_ufw(tree),
        *(Owner(*written) for written in proxmox(tree, processes)),
        *(Owner(*written) for written in vyos(tree)),
        *_scripts(tree, init_system(tree)),
    ]


def _processes(tree: Tree) -> dict[str, list[int]]:
    """Return the processes of root by their names (comm in proc(5)). Anybody can give his own such a name."""
    found: dict[str, list[int]] = {}
    trusted = {0, os.geteuid()}
    for pid in sorted(int(name) for name in tree.names("/proc") if name.isdecimal()):
        # Some have ended by now. Unbuffered, because there may be thousands.
        with contextlib.suppress(OSError), open(tree.path(f"/proc/{pid}/comm"), "rb", buffering=0) as file:
            if os.fstat(file.fileno()).st_uid in trusted:
                found.setdefault(file.read().decode(errors="replace").strip(), []).append(pid)
    return found


def _kube_proxy(tree: Tree, pid: int) -> list[Owner]:
    """Return the settings that kube-proxy writes, as the options on its command line say."""
    given = _options(tree.read(f"/proc/{pid}/cmdline") or "")
    by_default = [name for name, option in _KUBE_PROXY.items() if given.get(option) not in _OFF]
    if_asked = [name for name, option in _KUBE_PROXY_IF_ASKED.items() if given.get(option, "0") not in _OFF]
    settings = (*by_default, *if_asked)
    return [Owner("kube-proxy", settings, f"process {pid}")] if settings else []


def _options(command_line: str) -> dict[str, str]:
    """Return the options of a command line (proc(5)) with their values. One without a value is ``true``."""
    options: dict[str, str] = {}
    words = command_line.split("\0")
    for word, following in zip(words, [*words[1:], ""]):
        option, _equals, value = word.partition("=")
        options[option] = value or (following if word in _TAKE_A_VALUE else "true")
    return options


def _firewalld(tree: Tree) -> list[Owner]:
    """Return the one setting that firewalld before 1.0 writes, if it is told to (firewalld.conf(5))."""
    lines = _numbered(tree, _FIREWALLD_CONF)
    found = [number for number, line in lines if re.fullmatch(r"\s*AutomaticHelpers\s*=\s*(yes|no)\s*", line)]
    return [Owner("firewalld", ("helper",), f"{_FIREWALLD_CONF}:{number}") for number in found[-1:]]


def _tuned(tree: Tree) -> list[Owner]:
    """Return what the sysctl plugin of tuned writes for the active profile, and the profiles that it includes."""
    owners: dict[str, Owner] = {}
    waiting = (tree.read(_TUNED_ACTIVE) or "").split()
    while waiting:
        name = os.path.basename(waiting.pop())
        paths = [f"{directory}/{name}/tuned.conf" for directory in _TUNED_PROFILES]
        # A profile may include the one that it hides, so the first that was not read yet is meant.
        path = next((path for path in paths if path not in owners and tree.read(path) is not None), None)
        if path:
            owners[path], included = _tuned_profile(tree, path)
            waiting += included
    return [owner for owner in owners.values() if owner.settings]


def _tuned_profile(tree: Tree, path: str) -> tuple[Owner, list[str]]:
    """Return what a profile writes itself, with its first line about it, and the names of those that it includes."""
    section = ""
    included: list[str] = []
    places: dict[str, int] = {}
    for number, line in _numbered(tree, path):
        name, _equals, value = (part.strip() for part in line.partition("="))
        if line.startswith("["):
            section = line.strip(" []\t")
        elif (section, name) == ("main", "include"):
            included = re.split(r"\s*[,;]\s*", value)
        elif section == "sysctl":
            places.update({each.short_name: number for each in assignments(line) if each.short_name})
    return Owner("tuned", tuple(sorted(places)), f"{path}:{min(places.values(), default=0)}"), included


def _ufw(tree: Tree) -> list[Owner]:
    """Return what ufw writes when it starts: the sysctls in a file of its own (ufw-framework(8))."""
    if not re.search(r"^ENABLED=[\"']?yes", tree.read(_UFW_ENABLED) or "", re.MULTILINE):
        return []
    match = re.search(r"^IPT_SYSCTL=[\"']?([^\s\"']*)", tree.read(_UFW_DEFAULTS) or "", re.MULTILINE)
    path = match[1] if match else _UFW_SYSCTLS
    places = {each.short_name: each.line for each in assignments(tree.read(path) or "") if each.short_name}
    return [Owner("ufw", tuple(sorted(places)), f"{path}:{min(places.values())}")] if places else []


def _scripts(tree: Tree, system: InitSystem) -> list[Owner]:
    """Return what scripts write by themselves, or from files that the machine does not read as its sysctls."""
    owners = []
    for command in boot_commands(tree, system):
        written = {each.short_name for each in command.call.assignments}
        for file in (path for pattern in command.call.files for path in tree.matching(pattern)):
            if not any(tree.same_file(file, other) for other in system.sysctl_files):
                written |= {each.short_name for each in assignments(tree.read(file) or "")}
        settings = tuple(sorted(name for name in written if name))
        if settings:
            owners.append(Owner(command.owner, settings, f"{command.source.file}:{command.source.line}"))
    return owners


def _numbered(tree: Tree, path: str) -> t.Iterator[tuple[int, str]]:
    return enumerate((tree.read(path) or "").split("\n"), start=1)

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""What router and hypervisor systems write from a configuration of their own, whatever sysctl.d(5) says."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._boot_files.config_tree import Tree
from ansible_collections.netops.conntrack.plugins.module_utils._boot_files.sysctl_d import Source, assignments

_PVE_CLUSTER = "/etc/pve/firewall/cluster.fw"
_PVE_HOST = "/etc/pve/local/host.fw"
_PVE_OPTION = re.compile(r"\s*([a-z_]+)\s*:\s*(\S+)", re.IGNORECASE)
_PVE_SETTINGS = {
    "nf_conntrack_max": ("max", "buckets"),
    "nf_conntrack_tcp_timeout_established": ("tcp_timeout_established",),
    "nf_conntrack_tcp_timeout_syn_recv": ("tcp_timeout_syn_recv",),
}
"""What the options of host.fw(5) set. Without them pve-firewall writes values of its own (PVE/Firewall.pm)."""

_VYOS_SYSCTLS = "/run/sysctl"


class Written(t.NamedTuple):
    """The settings that a system writes, and the file or the line that shows it."""

    owner: str
    settings: tuple[str, ...]
    evidence: str


def proxmox(tree: Tree, processes: t.Container[str]) -> list[Written]:
    """Return what the firewall of Proxmox VE writes every ten seconds, if it is on for the cluster and the host."""
    cluster, host = _pve_options(tree, _PVE_CLUSTER), _pve_options(tree, _PVE_HOST)
    on = _is_on(cluster, "enable", False) and _is_on(host, "enable", True)
    if not on:
        return []
    if _is_on(host, "nftables", False):
        # The other one, proxmox-firewall, writes what host.fw sets.
        names, runs = [name for name in _PVE_SETTINGS if name in host], "proxmox-firewal" in processes
    else:
        names, runs = list(_PVE_SETTINGS), "pve-firewall" in processes
    if not (names and runs):
        return []
    settings = [short_name for name in names for short_name in _PVE_SETTINGS[name]]
    places = [host[name][1] for name in names if name in host]
    evidence = _place(places[0]) if places else _place(cluster["enable"][1])
    if _is_on(host, "nftables", False):
        # This one leaves the hash size alone.
        return [Written("proxmox-firewall", tuple(name for name in settings if name != "buckets"), evidence)]
    return [Written("pve-firewall", tuple(settings), evidence)]


def _pve_options(tree: Tree, path: str) -> dict[str, tuple[str, Source]]:
    """Return the options of a firewall's configuration, each with its place."""
    section = ""
    options: dict[str, tuple[str, Source]] = {}
    for number, line in enumerate((tree.read(path) or "").split("\n"), start=1):
        match = _PVE_OPTION.match(line)
        if line.startswith("["):
            section = line.strip("[] \t").lower()
        elif section == "options" and match:
            options[match[1].lower()] = (match[2], Source(path, number))
    return options


def _is_on(options: t.Mapping[str, tuple[str, Source]], name: str, default: bool) -> bool:
    return options[name][0] not in ("0", "no", "off") if name in options else default


def vyos(tree: Tree) -> list[Written]:
    """Return what VyOS writes when its configuration is loaded: the sysctls that its scripts put below /run."""
    if not (tree.exists("/etc/vyos-release") or tree.exists("/usr/libexec/vyos")):
        return []
    found = []
    for path in tree.paths_in(_VYOS_SYSCTLS):
        places = {each.short_name: each.line for each in assignments(tree.read(path) or "") if each.short_name}
        if places:
            settings = tuple(sorted(name for name in places if name))
            found.append(Written("vyos", settings, f"{path}:{min(places.values())}"))
    return found


def _place(source: Source) -> str:
    return f"{source.file}:{source.line}"

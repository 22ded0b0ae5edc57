# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""When nf_conntrack is loaded at boot, by which line, and with which parameters."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._boot.init_system import InitSystem, ModuleRequest
from ansible_collections.netops.conntrack.plugins.module_utils._boot.initramfs import initramfs_requests
from ansible_collections.netops.conntrack.plugins.module_utils._boot_files.config_tree import Tree
from ansible_collections.netops.conntrack.plugins.module_utils._boot_files.modprobe_d import (
    CMDLINE,
    ModprobeConfig,
    module_name,
    parameters_in,
)
from ansible_collections.netops.conntrack.plugins.module_utils._boot_files.sysctl_d import BootValue, Source, number_of

MODULE = "nf_conntrack"

_EXPECT_FACTOR = 4
"""nf_conntrack_expect_init() in net/netfilter/nf_conntrack_expect.c"""

_SWITCHES = {"acct": "acct", "tstamp": "timestamp", "nf_conntrack_helper": "helper"}
"""The parameters that are the first value of a sysctl, which has the other name."""

_ON, _OFF = ("1", "y", "t", "on"), ("0", "n", "f", "off")


class Loading(t.NamedTuple):
    """When the module is there: ``builtin``, ``early`` (before the sysctls are applied), ``late`` or ``unknown``.

    ``request`` is what loads it early. ``why_late`` says why it is late, None if it is not.
    """

    when: str
    request: ModuleRequest | None
    why_late: str | None


def module_loading(tree: Tree, system: InitSystem, modprobe: ModprobeConfig, present: bool) -> Loading:
    """Return when the module is loaded. ``present`` tells whether the kernel has its sysctls now."""
    loadable = re.search(rf"^{MODULE} ", tree.read("/proc/modules") or "", re.MULTILINE)
    if not loadable and (present or f"/{MODULE}.ko" in modprobe.kernel_list("modules.builtin")):
        return Loading("builtin", None, None)
    if modprobe.is_banned(MODULE):
        return Loading("late", None, f"module_blacklist= in {CMDLINE} keeps it out")
    requests = [*initramfs_requests(tree, modprobe.release), *system.requests]
    for request in requests:
        if modprobe.loads(request.name, MODULE, request.blacklist):
            return Loading("early", request, None)
    if not system.known:
        return Loading("unknown", None, system.why_not)
    return Loading("late", None, _why_late(system, modprobe, requests))


def _why_late(system: InitSystem, modprobe: ModprobeConfig, requests: t.Sequence[ModuleRequest]) -> str:
    for request in requests:
        asks = f"{request.source.file}:{request.source.line} asks for it, but"
        if modprobe.loads(request.name, MODULE, "none"):
            return f"{asks} a blacklist line of modprobe.d keeps it out"
        line = modprobe.first("install", MODULE)
        if line and module_name(request.name) == MODULE:
            return f"{asks} the install line {line.source.file}:{line.source.line} keeps it out"
    if system.name == "systemd":
        return "no file in modules-load.d loads it"
    return f"nothing that this system ({system.name}) loads before brings it along"


def load_values(modprobe: ModprobeConfig, loading: Loading) -> dict[str, BootValue]:
    """Return the values that the module's parameters give its settings when it is loaded, by short name.

    The last parameter of a name counts. What is built into the kernel has those of the kernel's command line only.
    """
    if loading.when == "builtin":
        parameters = modprobe.kernel_parameters(MODULE)
    else:
        request = loading.request
        names = [module_name(request.name)] if request else []
        parameters = modprobe.parameters(MODULE, names)
        if request and module_name(request.name) == MODULE:
            parameters += parameters_in(request.parameters, request.source)
    values: dict[str, BootValue] = {}
    for name, text, source in parameters:
        if name == "hashsize":
            values["buckets"] = BootValue(number_of(text), text, source)
        elif name == "expect_hashsize":
            size = number_of(text)
            if size:
                values["expect_max"] = BootValue(_EXPECT_FACTOR * size, str(_EXPECT_FACTOR * size), source)
        elif name in _SWITCHES:
            switch = _switch(text)
            values[_SWITCHES[name]] = BootValue(switch, text, source)
    return values


def _switch(text: str) -> int | None:
    """Return 1 or 0 as kstrtobool() in lib/kstrtox.c does, None for what the kernel refuses."""
    lowered = text.lower()
    start = lowered if lowered.startswith("o") else lowered[:1]
    if start in _ON or start.startswith("on"):
        return 1
    if start in _OFF or start.startswith("of"):
        return 0
    return None


def source_of(loading: Loading) -> Source | None:
    """Return the line that loads the module early."""
    return loading.request.source if loading.request else None

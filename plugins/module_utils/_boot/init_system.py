# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Which init starts the machine, which files it reads sysctls from, and which modules it loads before that.

Each function for an init has the name of the script that was read for it. An init that is not here is ``unknown``:
nobody can tell which files it reads, so nothing is promised.
"""

from __future__ import annotations

import os
import re
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._boot_files.config_tree import PLACES, Tree
from ansible_collections.netops.conntrack.plugins.module_utils._boot_files.modprobe_d import CMDLINE
from ansible_collections.netops.conntrack.plugins.module_utils._boot_files.sysctl_d import Source

SYSCTL_CONF = "/etc/sysctl.conf"
_ETC_MODULES = "/etc/modules"
_OBEYS_ALL, _OBEYS_ALIASES = "all", "aliases"

_OPENRC_PLACES = ("/etc", "/run", "/usr/lib")
_OPENRC_LEVELS = ("sysinit", "boot", "default")
_ALPINE_MODULE_PLACES = ("/etc", "/run", "/usr/lib", "/lib")
_VOID_SYSCTL = "/etc/runit/core-services/08-sysctl.sh"
_VOID_SYSCTL_PLACES = ("/run", "/etc", "/usr/local/lib", "/usr/lib")
_VOID_MODULE_PLACES = ("/etc", "/run", "/usr/lib")
_IPFIRE_START = "/etc/rc.d/rcsysinit.d"
_RCS = "/etc/rcS.d"
_SYSTEMD_UNITS = tuple(f"{place}/systemd/system" for place in PLACES)


class ModuleRequest(t.NamedTuple):
    """A module that is loaded before the sysctls are applied, with its parameters, and the line that asks for it.

    ``blacklist`` says which requests a ``blacklist`` line of modprobe.d stops: ``all``, or those for ``aliases`` only.
    """

    name: str
    parameters: str
    source: Source
    blacklist: str = _OBEYS_ALL


class InitSystem(t.NamedTuple):
    """An init, and what it does at boot.

    ``sysctl_files`` are the files that it applies, in this order. ``patterns`` tells whether the program that applies
    them knows wildcards, ``file_by_file`` that it is called for each file by itself. ``why_not`` says why nothing is
    applied, or None. ``known`` is False where all this is a guess.
    """

    name: str
    sysctl_files: tuple[str, ...]
    requests: tuple[ModuleRequest, ...]
    patterns: bool = True
    file_by_file: bool = False
    why_not: str | None = None
    known: bool = True


def init_system(tree: Tree) -> InitSystem:
    """Return what starts this machine."""
    if _has_systemd(tree):
        return _systemd(tree)
    if tree.exists("/sbin/procd") or tree.exists("/etc/openwrt_release"):
        return _procd(tree)
    if tree.exists("/run/openrc") or tree.exists("/sbin/openrc") or tree.exists("/usr/sbin/openrc"):
        return _openrc(tree)
    if tree.exists("/etc/runit/1"):
        return _runit(tree)
    if tree.exists(_IPFIRE_START):
        return _ipfire(tree)
    if tree.exists("/etc/init.d/procps") and (tree.exists("/etc/inittab") or tree.exists(_RCS)):
        return _sysvinit(tree)
    for name, place in (("dinit", "/etc/dinit.d"), ("s6", "/etc/s6-linux-init")):
        if tree.exists(place):
            return _unknown(tree, name)
    return _unknown(tree, "unknown")


def _has_systemd(tree: Tree) -> bool:
    """Return whether systemd runs (sd_booted(3)), or is what the kernel starts, also in a tree that does not run."""
    if os.path.isdir(tree.path("/run/systemd/system")):
        return True
    links = [tree.link(path) or "" for path in ("/sbin/init", "/usr/sbin/init", "/init")]
    return any(os.path.basename(link) == "systemd" for link in links)


def _systemd(tree: Tree) -> InitSystem:
    """systemd-modules-load.service, then systemd-sysctl.service (src/modules-load, src/sysctl)."""
    requests = [*_from_kernel_command_line(tree, ("modules_load",)), *_listed(tree, tree.fragments("modules-load.d"))]
    if _is_masked_unit(tree, "systemd-modules-load.service"):
        requests = []
    why = None
    if _is_masked_unit(tree, "systemd-sysctl.service"):
        why = "systemd-sysctl.service is masked, so no file of sysctl.d is applied"
    files = _present(tree, tree.fragments("sysctl.d"))
    return InitSystem("systemd", files, tuple(requests), why_not=why)


def _is_masked_unit(tree: Tree, name: str) -> bool:
    return any(tree.is_masked(f"{directory}/{name}") for directory in _SYSTEMD_UNITS)


def _procd(tree: Tree) -> InitSystem:
    """Kmodloader on /etc/modules.d in /etc/init.d/boot (START=10), then /etc/init.d/sysctl (START=11) of OpenWrt."""
    lists = [*tree.paths_in("/etc/modules-boot.d", ""), *tree.paths_in("/etc/modules.d", "")]
    files = _present(tree, [*tree.paths_in("/etc/sysctl.d"), SYSCTL_CONF])
    requests = _listed(tree, lists, with_parameters=True, blacklist=_OBEYS_ALIASES)
    return InitSystem("procd", files, tuple(requests), patterns=False, file_by_file=True)


def _openrc(tree: Tree) -> InitSystem:
    """Return what the services ``modules`` and ``sysctl`` do. OpenRC starts them by runlevel, and within it by name."""
    levels = {name: _openrc_level(tree, name) for name in ("modules", "sysctl")}
    sysctl_level, modules_level = levels["sysctl"], levels["modules"]
    script = tree.read("/etc/init.d/sysctl") or ""
    alpine = "--system" not in script
    files = _alpine_sysctl_files(tree) if alpine else _sysctl_system_files(tree)
    why = None if sysctl_level is not None else "No runlevel of OpenRC has the service sysctl"
    before = modules_level is not None and sysctl_level is not None and modules_level <= sysctl_level
    requests = _openrc_modules(tree) if before else []
    patterns = not _is_busybox(tree)
    return InitSystem("openrc", files, tuple(requests), patterns, file_by_file=alpine, why_not=why)


def _openrc_level(tree: Tree, service: str) -> int | None:
    """Return in which of the runlevels, counted in their order, a service is, or None where it is in none."""
    for number, level in enumerate(_OPENRC_LEVELS):
        if tree.exists(f"/etc/runlevels/{level}/{service}"):
            return number
    return None


def _openrc_modules(tree: Tree) -> list[ModuleRequest]:
    script = tree.read("/etc/init.d/modules") or ""
    if _ETC_MODULES in script:
        # Alpine reads all files, also those with the same name.
        files = [_ETC_MODULES]
        for place in _ALPINE_MODULE_PLACES:
            files += tree.paths_in(f"{place}/modules-load.d")
        return _listed(tree, files, with_parameters=True, blacklist=_OBEYS_ALIASES)
    listed = _listed(tree, tree.fragments("modules-load.d", places=_OPENRC_PLACES), with_parameters=True)
    return listed + _from_conf_d(tree)


def _from_conf_d(tree: Tree) -> list[ModuleRequest]:
    """Return the modules in Gentoo's /etc/conf.d/modules. A list for certain kernels only is not read."""
    path = "/etc/conf.d/modules"
    requests = []
    for number, line in _numbered(tree, path):
        match = re.fullmatch(r"\s*modules=[\"']?([^\"'#]*)[\"']?\s*(?:#.*)?", line)
        if match:
            requests = [ModuleRequest(name, "", Source(path, number)) for name in match[1].split()]
    return requests


def _alpine_sysctl_files(tree: Tree) -> tuple[str, ...]:
    """Return the files in the order of Alpine's own script: directory after directory, each file by itself."""
    names = {place: tree.files_in(f"{place}/sysctl.d") for place in PLACES}
    hidden = {*names["/etc"], *names["/run"]}
    files: list[str] = []
    for place in ("/lib", "/usr/lib"):
        files += [f"{place}/sysctl.d/{name}" for name in names[place] if name not in hidden]
    files += [f"/etc/sysctl.d/{name}" for name in names["/etc"] if name not in names["/run"]]
    files += [SYSCTL_CONF, *(f"/run/sysctl.d/{name}" for name in names["/run"])]
    return _present(tree, files)


def _is_busybox(tree: Tree) -> bool:
    places = [f"{directory}/sysctl" for directory in ("/sbin", "/usr/sbin", "/bin", "/usr/bin")]
    links = [tree.link(path) for path in places]
    return any(os.path.basename(link or "") == "busybox" for link in links)


def _runit(tree: Tree) -> InitSystem:
    """core-services/02-kmods.sh with modules-load(8), then 08-sysctl.sh, of Void."""
    if not tree.exists(_VOID_SYSCTL):
        return _unknown(tree, "runit")
    files = (*tree.fragments("sysctl.d", places=_VOID_SYSCTL_PLACES), SYSCTL_CONF)
    requests = _from_kernel_command_line(tree, ("modules-load", "rd.modules-load"))
    requests += _listed(tree, tree.fragments("modules-load.d", places=_VOID_MODULE_PLACES))
    return InitSystem("runit", _present(tree, files), tuple(requests), file_by_file=True)


def _ipfire(tree: Tree) -> InitSystem:
    """/etc/rc.d/rcsysinit.d of IPFire, in which S01sysctl comes before S05modules."""
    links = sorted(tree.names(_IPFIRE_START))
    order = {name[3:]: place for place, name in enumerate(links) if name.startswith("S")}
    files = _present(tree, [SYSCTL_CONF, f"/etc/sysctl-{os.uname().machine}.conf"])
    if "sysctl" not in order:
        return InitSystem("sysvinit", files, (), why_not=f"{_IPFIRE_START} does not start sysctl")
    early = order.get("modules", len(links)) < order["sysctl"]
    lists = ["/etc/sysconfig/modules"] if early else []
    requests = _listed(tree, lists, with_parameters=True, blacklist=_OBEYS_ALIASES)
    return InitSystem("sysvinit", files, tuple(requests), file_by_file=True)


def _sysvinit(tree: Tree) -> InitSystem:
    """/etc/init.d/kmod and /etc/init.d/procps of Debian and Devuan, in the order of their links in /etc/rcS.d."""
    numbers = {name[3:]: name[1:3] for name in tree.names(_RCS) if re.fullmatch(r"S[0-9]{2}.+", name)}
    why = None if "procps" in numbers else f"No link in {_RCS} starts procps, which applies the sysctls"
    # What has the same number may run at the same time.
    early = "kmod" in numbers and numbers["kmod"] < numbers.get("procps", "")
    requests = _debian_modules(tree) if early else []
    return InitSystem("sysvinit", _sysctl_system_files(tree), tuple(requests), why_not=why)


def _debian_modules(tree: Tree) -> list[ModuleRequest]:
    files = tree.fragments("modules-load.d")
    if not any(tree.link(path) and tree.same_file(path, _ETC_MODULES) for path in files):
        files.append(_ETC_MODULES)
    return _listed(tree, files, with_parameters=True, blacklist=_OBEYS_ALIASES)


def _unknown(tree: Tree, name: str) -> InitSystem:
    """Return what most systems would do, as a guess."""
    why = "the init of this system is not known, and so which files it reads at boot is not known either"
    if name != "unknown":
        why = f"which files this system reads at boot is not known: it is started by {name}"
    return InitSystem(name, _sysctl_system_files(tree), (), why_not=why, known=False)


def _sysctl_system_files(tree: Tree) -> tuple[str, ...]:
    """Return the files of ``sysctl --system`` (procps), in its order."""
    return _present(tree, [*tree.fragments("sysctl.d"), SYSCTL_CONF])


def _present(tree: Tree, paths: t.Iterable[str]) -> tuple[str, ...]:
    return tuple(path for path in paths if tree.is_file(path))


def _from_kernel_command_line(tree: Tree, options: t.Container[str]) -> list[ModuleRequest]:
    """Return the modules that the kernel's command line asks for. A dash is an underscore where the option has one."""
    requests = []
    for word in (tree.read(CMDLINE) or "").split():
        option, equals, names = word.partition("=")
        if equals and (option in options or option.replace("-", "_") in options):
            requests += [ModuleRequest(name, "", Source(CMDLINE, 1)) for name in names.split(",")]
    return requests


def _listed(
    tree: Tree, paths: t.Iterable[str], with_parameters: bool = False, blacklist: str = _OBEYS_ALL
) -> list[ModuleRequest]:
    """Return the modules that files list, one a line. Systemd takes no parameters behind the name."""
    requests = []
    for path in paths:
        for number, line in _numbered(tree, path):
            text = line.strip()
            if not text or text.startswith(("#", ";")):
                continue
            name, _blank, parameters = text.replace("\t", " ").partition(" ") if with_parameters else (text, "", "")
            requests.append(ModuleRequest(name, parameters.partition("#")[0], Source(path, number), blacklist))
    return requests


def _numbered(tree: Tree, path: str) -> t.Iterator[tuple[int, str]]:
    return enumerate((tree.read(path) or "").split("\n"), start=1)

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""What the next boot makes of the connection-tracking settings, read from the files that it will read.

Two things decide: which line of which file wins, and whether ``nf_conntrack`` is loaded when the lines are applied. The
settings of a module that is not there cannot be written, and are lost (https://github.com/systemd/systemd/issues/1113).
"""

from __future__ import annotations

import dataclasses
import os
import re
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._fragments import Tree
from ansible_collections.netops.conntrack.plugins.module_utils._setting_values import whole_pages
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl_d import (
    BootValue,
    Line,
    Source,
    kernel_keys,
    losers,
    number_of,
    read_lines,
    winners,
)

_MODULE = "nf_conntrack"
_ETC_MODULES = "/etc/modules"
_SYSCTL_CONF = "/etc/sysctl.conf"

_MAX_FACTOR = 8
_UDEV_RULES = ("/etc/udev/rules.d", "/run/udev/rules.d")
_REPLAY = re.compile(r"\bsysctl\b.*--system\b|\bsystemd-sysctl\b")
_REPLAYED_PATTERN = re.compile(r"(?:--pattern|-r)[= ](?:'([^']*)'|\"([^\"]*)\"|(\S+))")
_REPLAYED_PREFIX = re.compile(r"--prefix[= ]/?(?:proc/sys/)?([^\s'\",]+)")


class Replay(t.NamedTuple):
    """A line that applies sysctls when the module is loaded, however late: modprobe.d(5) ``install``, or a udev rule.

    ``with_sysctl_conf`` tells that it reads /etc/sysctl.conf, too. ``pattern`` is the regular expression that a line
    has to match (sysctl(8)), ``prefixes`` are the directories below /proc/sys one of which it has to be in
    (systemd-sysctl(8)); empty for no such condition.
    """

    source: Source
    with_sysctl_conf: bool
    pattern: str
    prefixes: tuple[str, ...]

    def covers(self, line: Line) -> bool:
        """Whether it applies this line, too."""
        dash = "-" if line.assignment.dash else ""
        if self.pattern and not re.search(self.pattern, f"{dash}{line.assignment.name}"):
            return False
        parts = line.key.split("/")
        wanted = [prefix.split("/") for prefix in self.prefixes]
        return not wanted or any(parts[: len(prefix)] == prefix for prefix in wanted)


@dataclasses.dataclass(frozen=True)
class NextBoot:
    """What the next boot sets, by short names.

    ``values`` has the assignment that wins for each setting, whether or not it can be carried out; those that lose are
    in ``overridden``. ``module`` is when nf_conntrack is there: ``builtin``, ``early`` (before the sysctls are applied)
    or ``late``; ``module_source`` is the line of modules-load.d(5) that loads it, None where it is none of those lines.
    ``replay`` is what applies the sysctls again once a late module is loaded. ``hashsize`` is the module's option.
    ``lost`` names the ``values`` that are lost, because nothing applies them when the module is there.
    """

    values: t.Mapping[str, BootValue]
    overridden: t.Mapping[str, t.Sequence[BootValue]]
    module: str
    module_source: Source | None
    replay: Replay | None
    hashsize: BootValue | None
    lost: frozenset[str]

    def in_force(self, short: str) -> BootValue | None:
        """Give what will be in force, and where it comes from; None where it will be the kernel's own default.

        Numbers are as they are written, but for the ``max`` that comes of a hash size.
        """
        if short in self.values and short not in self.lost:
            return self.values[short]
        if self.hashsize and short == "buckets":
            return self.hashsize
        if self.hashsize and self.hashsize.value and short == "max":
            # nf_conntrack_init_start() in net/netfilter/nf_conntrack_core.c
            limit = _MAX_FACTOR * whole_pages(self.hashsize.value)
            return BootValue(limit, str(limit), self.hashsize.source)
        return None

    @property
    def why_lost(self) -> str | None:
        """Why ``lost`` is lost, for people; None if nothing is."""
        if not self.lost:
            return None
        if self.replay:
            file, line = self.replay.source
            return f"{_MODULE} is loaded after the sysctls are applied, and {file}:{line} applies others again"
        return f"{_MODULE} is loaded after the sysctls are applied: no file in modules-load.d loads it"


def next_boot(overlay: t.Mapping[str, str | None] | None = None, root: str = "/") -> NextBoot:
    """Give what the next boot makes of the files below ``root``, and of the ``overlay`` over them (see Tree)."""
    tree = Tree(root, overlay)
    keys = kernel_keys(tree)
    commands = list(_modprobe_commands(tree))
    module, module_source = _loading(tree, bool(keys))
    replay = _replay(tree, commands) if module == "late" else None
    dropins, sysctl_conf = read_lines(tree, tree.fragments("sysctl.d")), read_lines(tree, [_SYSCTL_CONF])
    lines = dropins if _has_systemd(tree) else dropins + sysctl_conf
    applied = lines if module != "late" else []
    if replay:
        applied = [line for line in dropins + sysctl_conf * replay.with_sysctl_conf if replay.covers(line)]
    applied_values = winners(applied, keys)
    values = {**winners(lines, keys), **applied_values}
    return NextBoot(
        values=values,
        overridden=losers(lines, keys, values),
        module=module,
        module_source=module_source,
        replay=replay,
        hashsize=_hashsize(tree, commands, module),
        lost=frozenset(values.keys() - applied_values.keys()),
    )


def _has_systemd(tree: Tree) -> bool:
    """Whether systemd applies the sysctls; any other init calls ``sysctl --system``, which reads /etc/sysctl.conf too.

    It runs now (sd_booted(3)), or is what the kernel starts, also in a tree that is not running.
    """
    if os.path.isdir(tree.path("/run/systemd/system")):
        return True
    try:
        return os.path.basename(os.readlink(tree.path("/sbin/init"))) == "systemd"
    except OSError:
        return False


def _loading(tree: Tree, present: bool) -> tuple[str, Source | None]:
    """Give when the module is there, and the line that loads it; ``present`` tells whether it is there now."""
    loadable = re.search(rf"^{_MODULE} ", tree.read("/proc/modules") or "", re.MULTILINE)
    release = (tree.read("/proc/sys/kernel/osrelease") or "").strip()
    if not loadable and (present or f"/{_MODULE}.ko" in (tree.read(f"/lib/modules/{release}/modules.builtin") or "")):
        return "builtin", None
    asked = list(_asked_for(tree))
    for name, source in asked:
        if name == _MODULE:
            return "early", source
    dependents = _dependents(tree, release) if asked else set()
    for name, source in asked:
        if name in dependents:
            return "early", source
    return "late", None


def _asked_for(tree: Tree) -> t.Iterator[tuple[str, Source | None]]:
    """Give the modules that are loaded before the sysctls are applied (systemd-modules-load.service(8))."""
    for word in (tree.read("/proc/cmdline") or "").split():
        option, equals, names = word.partition("=")
        if equals and option.replace("-", "_") == "modules_load":
            for name in names.split(","):
                yield _module_name(name), None
    for path in [*tree.fragments("modules-load.d"), *([] if _has_systemd(tree) else [_ETC_MODULES])]:
        for number, line in enumerate((tree.read(path) or "").split("\n"), start=1):
            name = line.strip()
            if name and not name.startswith(("#", ";")):
                yield _module_name(name), Source(path, number)


def _module_name(name: str) -> str:
    return name.replace("-", "_")


def _dependents(tree: Tree, release: str) -> set[str]:
    """Give the modules that bring nf_conntrack along (modules.dep(5))."""
    lines = (tree.read(f"/lib/modules/{release}/modules.dep") or "").split("\n")
    files = [line.partition(":")[0] for line in lines if f"/{_MODULE}.ko" in line]
    return {_module_name(os.path.basename(file).partition(".ko")[0]) for file in files}


class _Command(t.NamedTuple):
    """A command of modprobe.d(5) for nf_conntrack: its name, the rest of the line behind the module's name."""

    source: Source
    name: str
    rest: str


def _modprobe_commands(tree: Tree) -> t.Iterator[_Command]:
    for path in tree.fragments("modprobe.d"):
        # A backslash at the end of a line goes on with the next one; the line keeps its number.
        text = re.sub(r"\\\n", "\\\v", tree.read(path) or "")
        number = 1
        for line in text.split("\n"):
            words = line.replace("\\\v", " ").split(None, 2)
            if len(words) == 3 and _module_name(words[1]) == _MODULE:
                yield _Command(Source(path, number), words[0], words[2])
            number += 1 + line.count("\v")


def _hashsize(tree: Tree, commands: t.Iterable[_Command], module: str) -> BootValue | None:
    """Give the hash size that the module is loaded with: the last one given, the kernel's command line last of all."""
    given: list[BootValue] = []
    for command in commands:
        # Nothing reads modprobe.d for what is built into the kernel.
        if command.name == "options" and module != "builtin":
            given += _hashsizes(command.rest, "hashsize", command.source)
    given += _hashsizes(tree.read("/proc/cmdline") or "", f"{_MODULE}.hashsize", Source("/proc/cmdline", 1))
    return given[-1] if given else None


def _hashsizes(text: str, name: str, source: Source) -> list[BootValue]:
    pairs = [word.partition("=") for word in text.split()]
    texts = [value.strip('"') for option, equals, value in pairs if equals and _module_name(option) == name]
    return [BootValue(number_of(value), value, source) for value in texts]


def _replay(tree: Tree, commands: t.Iterable[_Command]) -> Replay | None:
    """Give what applies the sysctls when the module is loaded, as firewalld's file in modprobe.d and udev rules do."""
    for command in commands:
        if command.name == "install" and _REPLAY.search(command.rest):
            return _parse_replay(command.source, command.rest)
    for path in (f"{directory}/{name}" for directory in _UDEV_RULES for name in sorted(tree.names(directory))):
        for number, line in enumerate((tree.read(path) or "").split("\n"), start=1):
            if path.endswith(".rules") and f'"{_MODULE}"' in line and _REPLAY.search(line):
                return _parse_replay(Source(path, number), line)
    return None


def _parse_replay(source: Source, text: str) -> Replay:
    match = _REPLAYED_PATTERN.search(text)
    pattern = next(filter(None, match.groups()), "") if match else ""
    prefixes = tuple(prefix.strip("/").replace(".", "/") for prefix in _REPLAYED_PREFIX.findall(text))
    return Replay(source, "--system" in text, _sound(pattern), prefixes)


def _sound(pattern: str) -> str:
    """Give the regular expression; none for one that only sysctl(8) understands."""
    try:
        re.compile(pattern)
    except re.error:
        return ""
    return pattern

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""What the next boot makes of the connection-tracking settings, read from the files that it will read.

Three things decide: which files this system reads, which line of which file wins, and whether ``nf_conntrack`` is
loaded when the lines are applied. The settings of a module that is not there cannot be written, and are lost
(https://github.com/systemd/systemd/issues/1113).
"""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._boot.init_system import InitSystem, init_system
from ansible_collections.netops.conntrack.plugins.module_utils._boot.module_loading import (
    MODULE,
    Loading,
    load_values,
    module_loading,
    source_of,
)
from ansible_collections.netops.conntrack.plugins.module_utils._boot.replay import Replay, find_replays, kernel_lines
from ansible_collections.netops.conntrack.plugins.module_utils._boot_files.config_tree import Tree
from ansible_collections.netops.conntrack.plugins.module_utils._boot_files.modprobe_d import ModprobeConfig
from ansible_collections.netops.conntrack.plugins.module_utils._boot_files.sysctl_d import (
    BootValue,
    Line,
    Source,
    kernel_keys,
    losers,
    read_lines,
    winners,
    written_in_order,
)
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.values import whole_pages

_MAX_FACTOR = 8


@dataclasses.dataclass(frozen=True)
class NextBoot:
    """What the next boot sets, by short names.

    ``values`` has the assignment that wins for each setting, whether or not it can be carried out. Those that lose are
    in ``overridden``. ``module`` is when nf_conntrack is there (see Loading), and ``module_source`` the line that loads
    it early. ``replay`` is what applies the sysctls again once a late module is loaded. ``hashsize`` is the module's
    option. ``lost`` names the ``values`` that are lost, because nothing applies them when the module is there.
    ``undecided`` names those of which nobody can tell. ``loaded_with`` has what the other options of the module set.
    ``init`` is what starts the machine, and ``sysctl_files`` what it reads, None where that is not known.
    ``unreadable`` are the files and directories that may not be read. They count as not there.
    """

    values: t.Mapping[str, BootValue]
    overridden: t.Mapping[str, t.Sequence[BootValue]]
    module: str
    module_source: Source | None
    replay: Replay | None
    hashsize: BootValue | None
    lost: frozenset[str]
    undecided: frozenset[str] = frozenset()
    loaded_with: t.Mapping[str, BootValue] = dataclasses.field(default_factory=dict)
    init: str = "unknown"
    sysctl_files: t.Sequence[str] | None = None
    reasons: t.Sequence[str] = ()
    why_undecided: str | None = None
    unreadable: frozenset[str] = frozenset()

    def effective(self, short_name: str) -> BootValue | None:
        """Return what will be in force, and where it comes from, or None where it will be the kernel's own default.

        Also None where it cannot be told. Numbers are as they are written, but for those that the kernel works out of
        a hash size.
        """
        if short_name in self.undecided:
            return None
        if short_name in self.values and short_name not in self.lost:
            return self.values[short_name]
        if self.hashsize and short_name == "buckets":
            return self.hashsize
        if self.hashsize and self.hashsize.value and short_name == "max":
            # nf_conntrack_init_start() in net/netfilter/nf_conntrack_core.c
            limit = _MAX_FACTOR * whole_pages(self.hashsize.value)
            return BootValue(limit, str(limit), self.hashsize.source)
        return self.loaded_with.get(short_name)

    @property
    def why_lost(self) -> str | None:
        """Why ``lost`` is lost, for people, or None if nothing is."""
        if not self.lost:
            return None
        if self.reasons:
            return ". ".join(self.reasons)
        return f"{MODULE} is loaded after the sysctls are applied: no file in modules-load.d loads it"


def next_boot(overlay: t.Mapping[str, str | None] | None = None, root: str = "/") -> NextBoot:
    """Return what the next boot makes of the files below ``root``, and of the ``overlay`` over them (see Tree)."""
    return _Reader(Tree(root, overlay)).next_boot()


def reads_at_boot(path: str, root: str = "/") -> bool | None:
    """Return whether this system applies the sysctls in the file ``path``, once it is there. None: nobody can tell.

    A file that another one of the same name hides is not read.
    """
    tree = Tree(root, {path: ""})
    system = init_system(tree)
    if not system.known:
        return None
    return any(tree.same_file(path, file) for file in system.sysctl_files)


class _Reader:
    """Reads a tree once, and works out of it what the next boot sets."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._keys = kernel_keys(tree)
        self._system = init_system(tree)
        self._modprobe = ModprobeConfig(tree)
        self._loading = module_loading(tree, self._system, self._modprobe, bool(self._keys))
        self._lines = _understood(read_lines(tree, self._system.sysctl_files), self._system)

    def next_boot(self) -> NextBoot:
        loading, system = self._loading, self._system
        replays = find_replays(self._tree, system, self._modprobe, loading, self._lines)
        kernel = kernel_lines(self._modprobe)
        unread = self._unread_lines()
        at_load = [line for replay in replays if replay.certain for line in replay.lines]
        at_boot = self._lines if self._are_applied else []
        # What the kernel itself sets comes first, before any module is loaded.
        applied = [*(kernel if loading.when == "builtin" else []), *at_load, *at_boot]
        applied_values = self._winners(applied)
        wished = [*unread, *kernel, *(line for replay in replays for line in replay.lines), *self._lines]
        values = {**self._winners(wished), **applied_values}
        open_values = frozenset(values.keys() - applied_values.keys())
        undecided, why_undecided = self._undecided(open_values, applied_values, replays)
        lost = open_values - undecided
        there = set(self._keys.values())
        loaded_with = load_values(self._modprobe, loading)
        # Some parameters are gone from newer kernels, along with their settings.
        loaded_with = {name: value for name, value in loaded_with.items() if not there or name in there}
        certain = [replay for replay in replays if replay.certain]
        return NextBoot(
            values=values,
            overridden=losers(dict.fromkeys(wished), self._keys, values),
            module=loading.when,
            module_source=source_of(loading),
            replay=certain[0] if certain and loading.when == "late" else None,
            hashsize=loaded_with.pop("buckets", None),
            lost=lost,
            undecided=undecided,
            loaded_with=loaded_with,
            init=system.name,
            sysctl_files=system.sysctl_files if system.known else None,
            reasons=tuple(self._reasons(lost, unread, certain, loading)),
            why_undecided=why_undecided if undecided else None,
            unreadable=frozenset(self._tree.unreadable),
        )

    @property
    def _are_applied(self) -> bool:
        """Whether the lines of the system's files can be written when they are applied."""
        return self._system.why_not is None and self._loading.when in ("builtin", "early")

    def _winners(self, lines: t.Sequence[Line]) -> dict[str, BootValue]:
        """Return what wins. Where each file is applied by itself, a later file wins over the names in earlier ones."""
        if not self._system.file_by_file:
            return winners(lines, self._keys)
        values: dict[str, BootValue] = {}
        for file in dict.fromkeys(line.source.file for line in lines):
            own = [line for line in lines if line.source.file == file]
            found = written_in_order(own, self._keys, stops_at_errors=not self._system.patterns)
            # What the kernel refuses changes nothing.
            values.update((name, new) for name, new in found.items() if new.value is not None or name not in values)
        return values

    def _unread_lines(self) -> list[Line]:
        """Return the lines of those drop-ins of /etc/sysctl.d that this system does not read."""
        if not self._system.known:
            return []
        files = self._system.sysctl_files
        paths = self._tree.paths_in("/etc/sysctl.d")
        hidden = [path.rpartition("/")[2] for path in files]
        return read_lines(self._tree, [path for path in paths if path.rpartition("/")[2] not in hidden])

    def _undecided(
        self, open_names: frozenset[str], applied: t.Mapping[str, BootValue], replays: t.Iterable[Replay]
    ) -> tuple[frozenset[str], str | None]:
        """Return the settings of which nobody can tell what is set, and why."""
        if not self._system.known:
            return open_names, self._system.why_not
        undecided: set[str] = set()
        reasons: list[str] = []
        for replay in replays:
            if replay.certain:
                continue
            values = self._winners(replay.lines)
            others = {name for name in values.keys() & applied.keys() if applied[name].text != values[name].text}
            found = (values.keys() & open_names) | others
            if found:
                undecided |= found
                names = " and ".join(sorted(found))
                reasons.append(f"{replay.source.file}:{replay.source.line} sets {names} at a time that is not known")
        return frozenset(undecided), ". ".join(reasons) or None

    def _reasons(
        self, lost: frozenset[str], unread: t.Sequence[Line], replays: t.Sequence[Replay], loading: Loading
    ) -> t.Iterator[str]:
        """Yield why values are lost, each as a sentence without its full stop."""
        of_unread = self._winners(unread).keys() & lost
        if of_unread:
            read = " and ".join(self._system.sysctl_files) or "no file of sysctls"
            names = " and ".join(sorted({line.source.file for line in unread}))
            yield f"This system does not read {names} at boot: it reads {read}"
        others = lost - of_unread
        if not others:
            return
        if replays:
            file, line = replays[0].source
            yield f"{MODULE} is loaded after the sysctls are applied, and {file}:{line} applies others again"
        elif loading.when == "late":
            yield f"{MODULE} is loaded after the sysctls are applied: {loading.why_late}"
        if self._system.why_not:
            yield self._system.why_not


def _understood(lines: list[Line], system: InitSystem) -> list[Line]:
    """Return the lines that the program which applies them understands.

    The one of busybox has no wildcards, no leading dash and no empty value, and names have to be written plainly.
    """
    if system.patterns:
        return lines
    plain = [line for line in lines if line.assignment.name in (line.key, line.key.replace("/", "."))]
    return [line for line in plain if line.assignment.value and not line.is_pattern and not line.assignment.dash]

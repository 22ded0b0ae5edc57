# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The settings now beside those of the next boot: what differs, what is lost, who else writes it."""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._boot.next_boot import NextBoot
from ansible_collections.netops.conntrack.plugins.module_utils._boot.owners import Owner
from ansible_collections.netops.conntrack.plugins.module_utils._boot_files.sysctl_d import BootValue, Source
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.values import stored_value


def compare(runtime: t.Mapping[str, int], boot: NextBoot, owners: t.Sequence[Owner]) -> dict[str, t.Any]:
    """Return the facts about the next ``boot`` of a kernel that holds ``runtime`` now, both by short names.

    Where one of two values is not known, such as the kernel's own default, their difference is None: unknown.
    """
    settings = {name: _setting(name, runtime, boot, owners) for name in _shorts(boot, owners)}
    return {
        "settings": settings,
        "drift": [name for name, setting in settings.items() if setting["drift"]],
        "lost": boot.why_lost,
        "lost_settings": sorted(boot.lost),
        "undecided": boot.why_undecided,
        "undecided_settings": sorted(boot.undecided),
        "invalid": sorted(name for name, value in boot.values.items() if value.value is None),
        "overridden": [name for name, value in boot.values.items() if _others(value, boot.overridden.get(name, ()))],
        "contested": [name for name in boot.values if settings[name]["owners"]],
        "init": boot.init,
        "sysctl_files": None if boot.sysctl_files is None else list(boot.sysctl_files),
        "module": boot.module,
        "module_file": _place(boot.module_source),
        "replayed_by": _place(boot.replay.source if boot.replay else None),
        "hashsize": {"value": boot.hashsize.value, **_file_and_line(boot.hashsize)} if boot.hashsize else None,
        "owners": [{**owner._asdict(), "settings": list(owner.settings)} for owner in owners],
    }


def _shorts(boot: NextBoot, owners: t.Iterable[Owner]) -> list[str]:
    """Return the settings that something sets when the machine starts, sorted."""
    of_module = {name for name in ("buckets", "max", *boot.loaded_with) if boot.effective(name)}
    return sorted(of_module.union(boot.values, boot.overridden, *(owner.settings for owner in owners)))


def _setting(
    short_name: str, runtime: t.Mapping[str, int], boot: NextBoot, owners: t.Iterable[Owner]
) -> dict[str, t.Any]:
    now, coming = runtime.get(short_name), boot.effective(short_name)
    wanted = coming.value if coming else None
    return {
        "runtime": now,
        "boot": wanted,
        **_file_and_line(coming or boot.values.get(short_name)),
        "drift": None if now is None or wanted is None else stored_value(short_name, wanted) != now,
        "owners": sorted({owner.owner for owner in owners if short_name in owner.settings}),
        "overridden": [{"value": lost.value, **_file_and_line(lost)} for lost in boot.overridden.get(short_name, ())],
    }


def _others(value: BootValue, overridden: t.Iterable[BootValue]) -> bool:
    """Whether a line that loses asks for something else. The same twice does no harm."""
    return any(lost.text != value.text for lost in overridden)


def _file_and_line(value: BootValue | None) -> dict[str, t.Any]:
    return _place(value.source if value else None) or {"file": None, "line": None}


def _place(source: Source | None) -> dict[str, t.Any] | None:
    return source._asdict() if source else None

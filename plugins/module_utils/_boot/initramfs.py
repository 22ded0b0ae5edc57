# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The modules that the initial RAM disk loads: those that its configuration lists for loading, not only for copying.

The configuration counts once the image was built from it. So an image that is older than the file does not count.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._boot.init_system import ModuleRequest
from ansible_collections.netops.conntrack.plugins.module_utils._boot_files.config_tree import Tree
from ansible_collections.netops.conntrack.plugins.module_utils._boot_files.sysctl_d import Source

_INITRAMFS_TOOLS = "/etc/initramfs-tools/modules"
_DRACUT = ("/etc/dracut.conf", "/etc/dracut.conf.d", "/usr/lib/dracut/dracut.conf.d")
_MKINITCPIO = ("/etc/mkinitcpio.conf", "/etc/mkinitcpio.conf.d")
_FORCED = re.compile(r"\s*force_drivers\+?=[\"']([^\"']*)[\"']")
_MODULES = re.compile(r"\s*MODULES\+?=[(\"']([^)\"'#]*)")
_IMAGE = re.compile(r"(?:initrd|initramfs)[-.].*")


def initramfs_requests(tree: Tree, release: str) -> list[ModuleRequest]:
    """Return the modules that the image for the kernel ``release`` loads, with the lines that ask for them."""
    requests = [
        *_plain(tree, _INITRAMFS_TOOLS),
        *_matching(tree, _DRACUT, _FORCED),
        *_matching(tree, _MKINITCPIO, _MODULES),
    ]
    if not requests:
        return []
    built = _image_built_at(tree, release)
    return [request for request in requests if built >= (tree.changed_at(request.source.file) or 0)]


def _plain(tree: Tree, path: str) -> t.Iterator[ModuleRequest]:
    """Yield the modules of a list, one a line, with their parameters."""
    for number, line in enumerate((tree.read(path) or "").split("\n"), start=1):
        words = line.partition("#")[0].split(None, 1)
        if words:
            yield ModuleRequest(words[0], " ".join(words[1:]), Source(path, number), "aliases")


def _matching(tree: Tree, places: t.Sequence[str], pattern: re.Pattern[str]) -> t.Iterator[ModuleRequest]:
    """Yield the modules in the lines that match, in a file and in the ``*.conf`` files of the directories behind it."""
    main, *directories = places
    paths = [main, *(path for place in directories for path in tree.paths_in(place))]
    for path in paths:
        for number, line in enumerate((tree.read(path) or "").split("\n"), start=1):
            match = pattern.match(line)
            for name in match[1].split() if match else ():
                yield ModuleRequest(name, "", Source(path, number), "aliases")


def _image_built_at(tree: Tree, release: str) -> float:
    """Return when the newest image was built that can be for this kernel. Arch names images after packages."""
    names = [name for name in tree.names("/boot") if _IMAGE.match(name) and "fallback" not in name]
    fitting = [name for name in names if release in name] or [name for name in names if "-linux" in name]
    return max((tree.changed_at(f"/boot/{name}") or 0 for name in fitting), default=0)

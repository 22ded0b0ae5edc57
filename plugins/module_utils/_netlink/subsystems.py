# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Which subsystems of netfilter the kernel has, told without a question to one of them, which would load it."""

from __future__ import annotations

import os

_LOADED = "/sys/module"
_LOADABLE = "/lib/modules"


def is_there(module: str) -> bool:
    """Return whether the kernel has the module loaded or built in, as far as that can be told."""
    if os.path.isdir(os.path.join(_LOADED, module)):
        return True
    try:
        with open(os.path.join(_LOADABLE, os.uname().release, "modules.dep"), encoding="utf-8") as file:
            return not any(f"/{module}.ko" in line.partition(":")[0] for line in file)
    except OSError:
        return True

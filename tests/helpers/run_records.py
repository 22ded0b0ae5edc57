# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the collection keeps in /run for each network namespace, until the next boot."""

from __future__ import annotations

import os
import pathlib

from ansible_collections.netops.conntrack.plugins.module_utils._files import run_directory
from ansible_collections.netops.conntrack.plugins.module_utils._netns import inside


def remove_records(netns: str | None) -> None:
    """Remove what is kept for a namespace that is about to be deleted, or for that of the tests."""
    with inside(netns):
        suffix = os.path.basename(run_directory.path_of(""))
    for path in pathlib.Path(run_directory.DIRECTORY).glob(f"*{suffix}*"):
        if path.name.split(".")[0].endswith(suffix):
            path.unlink()

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files of addresses whose paths are the same in every process, as they are in the names of tests."""

from __future__ import annotations

import os

from helpers.support import CHECKOUT

_DIRECTORY = CHECKOUT / ".work" / "address-files"


def address_file(name: str, *lines: str) -> str:
    """Write a file of addresses, and return its path. No two files have the same name."""
    _DIRECTORY.mkdir(parents=True, exist_ok=True)
    path = _DIRECTORY / name
    new = path.with_suffix(f".{os.getpid()}")
    new.write_text("\n".join(lines), encoding="utf-8")
    # Another process may be reading the same file.
    new.replace(path)
    return str(path)

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The processes that /proc lists, and their files (proc(5)).

A process can end at any time, and its number can be given to another one.
"""

from __future__ import annotations

import os

PROC = "/proc"

_MOST_BYTES = 1 << 16
"""The bytes of a file that are read. The path of a control group has 4,096 at most, and there are about a dozen."""


def process_numbers(proc: str = PROC) -> list[int]:
    """Return the numbers of the processes that this one may see, in ascending order. Raises OSError."""
    return sorted(int(name) for name in os.listdir(proc) if name.isdecimal())


def read_of_process(pid: int, name: str, proc: str = PROC) -> str:
    """Return the text of a file of a process, 64 KiB at most. Raises OSError, also for a process that has ended."""
    # Unbuffered, because there may be thousands.
    with open(f"{proc}/{pid}/{name}", "rb", buffering=0) as file:
        return file.read(_MOST_BYTES).decode(errors="replace")

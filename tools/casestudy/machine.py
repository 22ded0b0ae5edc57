# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the machine is, for the figures mean nothing without it."""

from __future__ import annotations

import os
import pathlib
import platform
import re

from processes import run


def describe() -> dict[str, str | int]:
    """Return processor, cores, kernel, Python, conntrack and buckets of the machine. The host name is left out."""
    version = re.search(r"v(\S+)", run(["conntrack", "--version"]))
    model = re.search(r"^model name\s*: (.+)$", pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    buckets = pathlib.Path("/proc/sys/net/netfilter/nf_conntrack_buckets").read_text(encoding="ascii")
    return {
        "processor": model.group(1) if model else platform.machine(),
        "cores": os.cpu_count() or 0,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "conntrack": version.group(1) if version else "unknown",
        "buckets": int(buckets),
    }

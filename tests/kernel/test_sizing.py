# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The kernel takes no more memory for an entry than the sizing counts for it."""

from __future__ import annotations

import re
import time
import typing as t

from ansible_collections.netops.conntrack.plugins.plugin_utils._tuning.sizing import EXTENSION_BYTES
from helpers.support import network_namespace, run

ENTRIES = 30_000
ENTRY_SLAB = "nf_conntrack"
EXTENSION_SLABS = re.compile(r"kmalloc-(?:64|96|128|192|256)")


def active_bytes() -> dict[str, int]:
    """Return the bytes of the objects in use, by slab (slabinfo(5)); others on the machine have a part in them."""
    with open("/proc/slabinfo", encoding="ascii") as file:
        slabs = [line.split() for line in file][2:]
    return {slab[0]: int(slab[1]) * int(slab[3]) for slab in slabs}


def entries() -> t.Iterator[str]:
    for number in range(ENTRIES):
        source, port = f"198.18.{number >> 8}.{number & 255}", 1024 + number
        yield (
            f"-A -t 600 -u ASSURED,SEEN_REPLY -s {source} -d 198.51.100.7 -p tcp --sport {port} --dport 443 "
            f"--state ESTABLISHED -n 203.0.113.9:{port}\n"
        )


def settled_bytes() -> dict[str, int]:
    """Return the bytes once the kernel is done with the entries of namespaces that were deleted before."""
    for _attempt in range(20):
        first = active_bytes()
        time.sleep(0.5)
        if active_bytes()[ENTRY_SLAB] == first[ENTRY_SLAB]:
            break
    return active_bytes()


def test_an_entry_takes_no_more_than_is_counted() -> None:
    with network_namespace("sizing") as netns:
        for short in ("acct", "timestamp", "events"):
            run(["sysctl", "-qw", f"net.netfilter.nf_conntrack_{short}=1"], netns=netns)
        before = settled_bytes()
        run(["conntrack", "-R", "-"], netns=netns, text="".join(entries()))
        growth = {slab: size - before.get(slab, 0) for slab, size in active_bytes().items()}
    made = growth[ENTRY_SLAB] / ENTRIES
    extensions = sum(size for slab, size in growth.items() if EXTENSION_SLABS.fullmatch(slab)) / ENTRIES
    assert 200 < made < 400
    assert 100 < extensions < EXTENSION_BYTES * 1.1

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""How many entries a network namespace may have, on kernels with one limit for the machine or one for each namespace.

Where a namespace has a limit of its own, its entries are held against that of the first namespace as well. 0 is no
limit (nf_conntrack_max() in include/net/netfilter/nf_conntrack.h).
"""

from __future__ import annotations

import os

from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.sysctl import ROOT, current_value, find_sysctls


def read_machine_limit(root: str = ROOT) -> int | None:
    """Return the limit of the first network namespace, or None if the process is in another one.

    Only in the first one the kernel lets buckets be written (nf_conntrack_standalone_init_sysctl() in
    net/netfilter/nf_conntrack_standalone.c). Old kernels let nobody write them, and have one limit for the machine.
    """
    sysctls = find_sysctls(root)
    buckets = sysctls.get("buckets")
    try:
        is_first = buckets is not None and bool(os.stat(buckets.path).st_mode & 0o222)
    except OSError:
        is_first = False
    return current_value(sysctls, "max") if is_first else None


def limit_that_holds(own: int | None, machine: int | None) -> int | None:
    """Return the lower one of the limits of a namespace and of the machine, 0 for none, or None if both are unknown."""
    limits = [limit for limit in (own, machine) if limit is not None]
    return min((limit for limit in limits if limit), default=0) if limits else None

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""The batches of a roll-out: their sizes are data, and the routers of one HA pair are never in the same batch."""

from __future__ import annotations

import collections
import re
import typing as t

from ansible.utils.helpers import pct_to_int
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError

_SIZE = re.compile(r"[1-9][0-9]*|([1-9][0-9]?|100)%")
_REMEDY = "Give a number of routers from 1, a share of them from 1% to 100%, or a list of those."


def batches(hosts: list[str], sizes: t.Any, pairs: t.Mapping[str, t.Any] | None = None) -> list[list[str]]:
    """Return the batches in which ``hosts`` are worked on, each host once, in their order.

    ``sizes`` is what Ansible's ``serial`` takes: the number of hosts in a batch, a percentage of all hosts as in
    ``10%`` (rounded down, but at least one), or a list of those, the last of which holds for all further batches.
    ``pairs`` gives the name of a host's HA pair. Without one, or with an empty one, it stands alone. A host whose peer
    is in the batch already waits for a later one, and the next host takes its place.

    Raises OptionError for a size that is none, and for a pair whose name is neither a text nor a whole number.
    """
    waiting = collections.deque(dict.fromkeys(hosts))
    names = {host: pair_name(host, (pairs or {}).get(host)) for host in waiting}
    limits = _limits(sizes, len(waiting))
    done: list[list[str]] = []
    while waiting:
        done.append(_take(waiting, limits[min(len(done), len(limits) - 1)], names))
    return done


def pair_name(host: str, name: t.Any) -> str:
    """Return the name of a host's pair as a text, which is empty for a host that stands alone.

    Raises OptionError for what is neither a text nor a whole number.
    """
    if name is None:
        return ""
    if isinstance(name, bool) or not isinstance(name, (str, int)):
        remedy = "Give both routers of the pair the same text, in quotes."
        raise OptionError(f"conntrack_pair of {host}", name, "is no name", remedy)
    return str(name)


def _limits(sizes: t.Any, hosts: int) -> list[int]:
    """Return the sizes as numbers of hosts."""
    listed = sizes if isinstance(sizes, list) else [sizes]
    if not listed:
        raise OptionError("batch", sizes, "names no size", _REMEDY)
    for size in listed:
        if not _SIZE.fullmatch(str(size)):
            raise OptionError("batch", size, "is no size of a batch", _REMEDY)
    return [pct_to_int(size, hosts) for size in listed]


def _take(waiting: collections.deque[str], limit: int, names: t.Mapping[str, str]) -> list[str]:
    """Move the first hosts of ``waiting`` into a batch of at most ``limit``, of each pair no more than one."""
    batch: list[str] = []
    held: list[str] = []
    pairs = set()
    while waiting and len(batch) < limit:
        host = waiting.popleft()
        if names[host] in pairs:
            held.append(host)
            continue
        batch.append(host)
        if names[host]:
            pairs.add(names[host])
    waiting.extendleft(reversed(held))
    return batch

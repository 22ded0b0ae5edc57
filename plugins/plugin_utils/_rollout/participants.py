# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""Who takes part in a roll-out, in which batches, and why others do not."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.netops.conntrack.plugins.plugin_utils._rollout.batches import batches, pair_name

_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_LONE = "left alone, because the other half of its conntrack_pair is down. To change it anyway, use --limit"
_NAME_OF_A_GROUP = "left alone, because a group of the inventory has the same name. Rename one of them"


class Plan(t.NamedTuple):
    """The batches of a roll-out, the host pattern of each router in their order, and why routers are left out."""

    batches: list[list[str]]
    patterns: list[str]
    left_out: dict[str, str]


def plan(
    hosts: list[str],
    down: t.Collection[str],
    pairs: t.Mapping[str, t.Any],
    groups: t.Collection[str],
    sizes: t.Any,
) -> Plan:
    """Return the plan for ``hosts``, without those that are ``down`` already, which are reported by themselves.

    ``pairs`` gives the name of a router's HA pair. Where one of a pair is down the other one is alone, and is left out.
    ``groups`` are the names of the inventory's groups, which cannot be distinguished from routers of the same name.
    ``sizes`` are those of the batches. Raises OptionError for sizes and names of pairs that are none (see batches).
    """
    names = {host: pair_name(host, pairs.get(host)) for host in (*hosts, *down)}
    broken = {names[host] for host in down if names[host]}
    left_out = {host: _NAME_OF_A_GROUP for host in hosts if host in groups}
    left_out |= {host: _LONE for host in hosts if names[host] in broken}
    taking_part = [host for host in hosts if host not in down and host not in left_out]
    planned = batches(taking_part, sizes, pairs)
    return Plan(
        planned,
        [pattern_of(host) for batch in planned for host in batch],
        {host: reason for host, reason in left_out.items() if host not in down},
    )


def pattern_of(host: str) -> str:
    """Return the host pattern that matches the router of exactly this name.

    To Ansible, a name such as ``fe80::1%eth0`` is several patterns, and one such as ``gw[1]`` is another router's.
    """
    if _PLAIN_NAME.fullmatch(host):
        return host
    # No letter of the expression is one at which Ansible divides patterns.
    letters = (letter if letter.isalnum() and letter.isascii() else f"\\U{ord(letter):08x}" for letter in host)
    return f"~{''.join(letters)}\\Z"

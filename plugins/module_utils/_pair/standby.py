# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The two members of a pair: which of them is active, and what must not be deleted on the other one.

The entries of a standby saw no packet of its own. So they look idle, and deleting them there can delete those of live
connections on the active member: conntrackd hands deletes on.
"""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._errors import (
    NotPermittedError,
    OptionError,
    RefusedError,
    UnavailableError,
)
from ansible_collections.netops.conntrack.plugins.module_utils._pair.conntrackd import Daemon, find_daemon
from ansible_collections.netops.conntrack.plugins.module_utils._pair.local_addresses import (
    local_addresses,
    parse_address,
)

ACTIVE_OPTION: dict[str, t.Any] = {"active_address": {"type": "list", "elements": "str", "default": []}}
"""The option that tells which member is active. It is documented in the fragment ``netops.conntrack._pair``."""

PAIR_OPTIONS: dict[str, t.Any] = {**ACTIVE_OPTION, "protect_pair": {"type": "bool", "default": True}}
"""The options of a module that deletes entries."""

_REMEDY = (
    "Give active_address, the addresses that only the active member has, such as the virtual ones of keepalived. "
    "With protect_pair: false, the entries are deleted on either member."
)


def is_standby(params: t.Mapping[str, t.Any]) -> bool | None:
    """Return whether this router is the member of a pair that stands by, as the options tell. None: they do not.

    ``params`` has PAIR_OPTIONS, or ACTIVE_OPTION for a module that deletes nothing.
    Raises OptionError for what is no address. Raises RefusedError where nothing tells which member is active, and a
    delete here could reach a live connection on the other one.
    """
    addresses = [_parsed(text) for text in params["active_address"]]
    if addresses:
        return local_ones().isdisjoint(addresses)
    daemon = _daemon() if params.get("protect_pair") else None
    if daemon is not None:
        _refuse_mirrored_table(daemon)
    return None


def refuse_standby(params: t.Mapping[str, t.Any]) -> None:
    """Raise RefusedError if the router has become the member that stands by since it was asked.

    Then the connections pass the other member. So here they look as if nothing came.
    """
    if params["active_address"] and is_standby(params):
        raise RefusedError(
            "active_address: this router was the active member when its table was read, and stands by now. Nothing was "
            "deleted. Run this again on both members."
        )


def _daemon() -> Daemon | None:
    try:
        return find_daemon()
    except NotPermittedError as error:
        raise RefusedError(f"protect_pair: {error.message} Nothing was deleted. {_REMEDY}") from None


def _parsed(text: str) -> bytes:
    try:
        return parse_address(text.strip())
    except ValueError:
        remedy = "Give addresses that only the active member has, such as the virtual ones of keepalived."
        raise OptionError("active_address", text, "is no address", remedy) from None


def local_ones() -> set[bytes]:
    """Return the addresses of the router. Raises UnavailableError where they cannot be read."""
    try:
        return local_addresses()
    except OSError as error:
        raise UnavailableError(f"active_address: the addresses of this router cannot be read: {error}.") from None


def _refuse_mirrored_table(daemon: Daemon) -> None:
    """Raise RefusedError if conntrackd writes the peer's entries into the table, or does not say whether it does."""
    statistics, problem = daemon.statistics()
    if statistics is None:
        raise RefusedError(f"protect_pair: conntrackd runs here and does not answer. {problem} {_REMEDY}")
    external = statistics["external_cache"]
    if external is not None and not external["enabled"]:
        raise RefusedError(
            "protect_pair: conntrackd writes the entries of the other router into this table (DisableExternalCache). "
            "If this router stands by, they look idle, and a delete can cut live connections of the other one. "
            f"Nothing was deleted. {_REMEDY}"
        )

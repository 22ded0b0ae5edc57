# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The ports over which conntrackd hands entries to the other member of a pair, as its configuration says."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._entry.control_traffic import SYNC_PORT
from ansible_collections.netops.conntrack.plugins.module_utils._errors import BECOME_ROOT, NotPermittedError
from ansible_collections.netops.conntrack.plugins.module_utils._pair.conntrackd import Daemon, find_daemon
from ansible_collections.netops.conntrack.plugins.module_utils._uapi import TCP, UDP

USUAL = frozenset({(UDP, SYNC_PORT)})
"""What is protected also where nothing tells of a daemon."""

_COMMENT = re.compile(r"#[^\n]*")
_LINK = re.compile(r"\b(Multicast|UDP|TCP)\s+(?:Default\s+)?\{([^{}]*)\}")
_PORT = re.compile(r"\b(?:Port|Group)\s+([0-9]{1,5})\b", re.ASCII)
_PROTOCOLS = {"Multicast": UDP, "UDP": UDP, "TCP": TCP}
"""The links of a Sync section (conntrackd.conf(5)). Multicast is UDP, and its port is called Group."""


def sync_ports() -> frozenset[tuple[int, int]]:
    """Return protocol and port of each link of the conntrackd of this network namespace, and of the usual one.

    Raises NotPermittedError if one runs, or may run, whose configuration cannot be read.
    """
    daemon = find_daemon()
    return USUAL if daemon is None else USUAL.union(parse_links(_configuration_of(daemon)))


def _configuration_of(daemon: Daemon) -> str:
    try:
        return daemon.read_configuration().decode(errors="replace")
    except OSError as error:
        raise NotPermittedError(
            f"conntrackd runs as process {daemon.pid}, and the port of its link has to be protected. Its configuration "
            f"{daemon.config} cannot be read: {error.strerror}. {BECOME_ROOT}"
        ) from None


def parse_links(text: str) -> t.Iterator[tuple[int, int]]:
    """Yield protocol and port of each link in a configuration (conntrack-tools 1.4, src/read_config_yy.y)."""
    for kind, block in _LINK.findall(_COMMENT.sub("", text)):
        for port in _PORT.findall(block):
            # conntrackd keeps it as an unsigned short.
            yield _PROTOCOLS[kind], int(port) & 0xFFFF

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The protocols by which a router keeps its routes, its virtual addresses and its tunnels, and their ports."""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._uapi import TCP, UDP

PROTOCOLS: t.Mapping[int, str] = {50: "esp", 51: "ah", 89: "ospf", 112: "vrrp"}
"""The protocols above IP, by number (IANA, Assigned Internet Protocol Numbers)."""

PORTS: t.Mapping[int, t.Mapping[int, str]] = {TCP: {179: "bgp"}, UDP: {500: "ike", 4500: "ike"}}
"""The ports by protocol: BGP (RFC 4271), IKE (RFC 7296) and IKE that encloses ESP behind NAT (RFC 3948)."""

SYNC_PORT = 3780
"""The port of UDP of the examples of conntrack-tools, over which conntrackd hands entries on."""

KEPT_PORTS: t.Mapping[int, frozenset[int]] = {TCP: frozenset(PORTS[TCP]), UDP: frozenset({*PORTS[UDP], SYNC_PORT})}
"""The ports by protocol of what a prune keeps, whatever runs on the machine."""

PORT_FIELDS = ("source_port", "destination_port", "reply_source_port", "reply_destination_port")
"""Where an entry can have such a port. One that was picked up in mid-connection may have it as its source."""


def is_control_traffic(protocol: int, destination_port: int | None) -> bool:
    """Return whether all entries of a protocol, with this destination port if it is given, are control traffic."""
    return protocol in PROTOCOLS or destination_port in PORTS.get(protocol, ())
